-- =====================================================================
-- Migration 001 DOWN: add_historical_inventory
-- Removes the view, the indexes and the table that 001 UP created.
-- WARNING: the history that was loaded is lost.
-- Idempotent: safe to run again.
-- =====================================================================

BEGIN;

DROP VIEW IF EXISTS v_inventario_historico_reciente;

DROP INDEX IF EXISTS idx_hist_producto_ubicacion_fecha;
DROP INDEX IF EXISTS idx_hist_ubicacion;
DROP INDEX IF EXISTS idx_hist_fecha;
DROP INDEX IF EXISTS idx_hist_producto_ubicacion;

DROP TABLE IF EXISTS inventario_historico;

DELETE FROM schema_migrations WHERE version = '001';

COMMIT;
