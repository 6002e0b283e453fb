-- A role for Schemaward, and one that owns the tables. Once, as the master, in the database that is migrated:
--
--     psql --set=password=… --file=examples/rds/migrator.sql
--
-- Afterwards nobody needs the master day by day.

-- Owns the database and all that migrations make. Nobody signs in as it.
CREATE ROLE fluxion_owner NOLOGIN;

-- Signs in for Schemaward. May become the owner (execution.role), and nothing else.
CREATE ROLE fluxion_migrator LOGIN NOCREATEDB NOCREATEROLE PASSWORD :'password';
GRANT fluxion_owner TO fluxion_migrator;

-- Since PostgreSQL 16 who makes a role is no member of it by that, and only a member may do the rest.
GRANT fluxion_owner, fluxion_migrator TO CURRENT_USER;

-- What is there already: tables, views, sequences and functions of the master's in this database, and the database itself.
REASSIGN OWNED BY CURRENT_USER TO fluxion_owner;

-- The history table is the migrator's. Scripts with an INSERT INTO schema_migrations of their own run that as the owner.
ALTER DEFAULT PRIVILEGES FOR ROLE fluxion_migrator IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO fluxion_owner;

-- The application reads and writes, as whatever role it signs in; it makes and drops nothing.
CREATE ROLE fluxion_app NOLOGIN;
GRANT USAGE ON SCHEMA public TO fluxion_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO fluxion_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO fluxion_app;
ALTER DEFAULT PRIVILEGES FOR ROLE fluxion_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO fluxion_app;
ALTER DEFAULT PRIVILEGES FOR ROLE fluxion_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO fluxion_app;
