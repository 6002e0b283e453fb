//! The migrations that we ship, as the first user runs them: with psql, file by file, twice.

use crate::harness::{Database, postgres, postgres_major};

fn run(database: &Database, file: &str) {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    database.exec(&script);
}

fn up(database: &Database) {
    run(database, "migrations/000_init_schema_migrations.sql");
    run(database, "migrations/001_add_historical_inventory_UP.sql");
}

fn down(database: &Database) {
    run(database, "migrations/001_add_historical_inventory_DOWN.sql");
}

/// Everything in `public`, with what it is.
fn objects(database: &Database) -> String {
    database.query_text(
        "SELECT string_agg(relname || ' ' || relkind::text, ', ' ORDER BY relname)
         FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    )
}

#[test]
fn the_round_trip_leaves_the_base_tables_and_every_step_may_be_repeated() {
    for server in [postgres_major(14), postgres(), postgres_major(18)] {
        let database = server.database("shipped");
        run(&database, "examples/fluxion/base-tables.sql");
        run(&database, "examples/fluxion/base-tables.sql");
        let before = objects(&database);
        up(&database);
        let after = objects(&database);
        up(&database);
        assert_eq!(objects(&database), after);
        let recorded = "SELECT string_agg(version || ' ' || name, ', ' ORDER BY version) FROM schema_migrations";
        assert_eq!(
            database.query_text(recorded),
            "000 init_schema_migrations, 001 add_historical_inventory"
        );
        down(&database);
        down(&database);
        assert_eq!(database.query_text(recorded), "000 init_schema_migrations");
        database.exec("DROP TABLE schema_migrations");
        assert_eq!(objects(&database), before);
    }
}

#[test]
fn historical_inventory_is_what_the_first_user_has() {
    let database = postgres().database("inventory");
    run(&database, "examples/fluxion/base-tables.sql");
    up(&database);
    let check = |sql: &str, expected: &str| assert_eq!(database.query_text(sql), expected, "{sql}");
    check(
        "SELECT string_agg(concat_ws(' ', column_name, data_type, character_maximum_length, numeric_precision,
             numeric_scale, is_nullable), '; ' ORDER BY ordinal_position)
         FROM information_schema.columns
         WHERE table_name = 'inventario_historico' AND column_name IN ('producto_id', 'almacen_codigo', 'cantidad', 'fecha_carga')",
        "producto_id character varying 50 NO; almacen_codigo character varying 50 YES; cantidad numeric 15 3 NO; \
         fecha_carga timestamp without time zone YES",
    );
    check(
        "SELECT string_agg(pg_get_constraintdef(oid), '; ' ORDER BY conname) FROM pg_constraint
         WHERE conrelid = 'inventario_historico'::regclass AND contype IN ('f', 'p')",
        "FOREIGN KEY (producto_id) REFERENCES productos(id) ON DELETE CASCADE; \
         FOREIGN KEY (ubicacion_id) REFERENCES ubicaciones(id) ON DELETE CASCADE; PRIMARY KEY (id)",
    );
    check(
        "SELECT string_agg(split_part(indexdef, ' USING btree ', 2), '; ' ORDER BY indexname) FROM pg_indexes
         WHERE indexname LIKE 'idx_hist_%'",
        "(fecha_snapshot DESC); (producto_id, ubicacion_id); \
         (producto_id, ubicacion_id, fecha_snapshot DESC) INCLUDE (cantidad, almacen_codigo); (ubicacion_id)",
    );
    check(
        "SELECT count(*) FROM pg_description WHERE objoid = 'inventario_historico'::regclass",
        "8",
    );
    database.exec(
        "INSERT INTO inventario_historico (ubicacion_id, producto_id, cantidad, fecha_snapshot) VALUES
             ('tienda_01', 'prod_001', 12, now() - interval '91 days'),
             ('tienda_01', 'prod_001', 10.5, now() - interval '2 days'),
             ('tienda_01', 'prod_001', 8, now() - interval '1 day'),
             ('tienda_02', 'prod_001', 3, now())",
    );
    check(
        "SELECT string_agg(concat_ws(' ', ubicacion_nombre, cantidad, coalesce(variacion::text, '-')), ', ' ORDER BY id)
         FROM v_inventario_historico_reciente",
        "Tienda Centro 10.500 -, Tienda Centro 8.000 -2.500, Tienda Este 3.000 -",
    );
    database.exec("DELETE FROM productos WHERE id = 'prod_001'");
    check("SELECT count(*) FROM inventario_historico", "0");
}
