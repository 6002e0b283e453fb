-- =====================================================================
-- Migration 000: init_schema_migrations
-- Creates the table that records which migrations have been applied.
-- It has no DOWN: without this table there is nothing to undo.
-- Idempotent: safe to run again.
-- =====================================================================

BEGIN;

CREATE TABLE IF NOT EXISTS schema_migrations (
    version           VARCHAR(3)   PRIMARY KEY,
    name              VARCHAR(255) NOT NULL,
    applied_at        TIMESTAMP    NOT NULL DEFAULT CURRENT_TIMESTAMP,
    execution_time_ms INTEGER,
    checksum          VARCHAR(64)
);

INSERT INTO schema_migrations (version, name)
VALUES ('000', 'init_schema_migrations')
ON CONFLICT (version) DO NOTHING;

COMMIT;
