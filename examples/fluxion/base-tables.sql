-- The tables that the application had before it adopted Schemaward, as far as migration 001 needs them, with a few rows.
-- Not a migration: run it once on an empty database with psql.

BEGIN;

CREATE TABLE IF NOT EXISTS productos (
    id            VARCHAR(50)    PRIMARY KEY,
    codigo        VARCHAR(50)    NOT NULL UNIQUE,
    nombre        VARCHAR(255)   NOT NULL,
    categoria     VARCHAR(100),
    unidad_medida VARCHAR(20)    NOT NULL DEFAULT 'unidad',
    precio        DECIMAL(15, 2),
    activo        BOOLEAN        NOT NULL DEFAULT TRUE
);

CREATE TABLE IF NOT EXISTS ubicaciones (
    id     VARCHAR(50)  PRIMARY KEY,
    nombre VARCHAR(255) NOT NULL,
    tipo   VARCHAR(50)  NOT NULL DEFAULT 'tienda',
    region VARCHAR(100),
    activo BOOLEAN      NOT NULL DEFAULT TRUE
);

INSERT INTO productos (id, codigo, nombre, categoria, unidad_medida, precio) VALUES
    ('prod_001', 'CAF-500', 'Café molido 500 g',       'Alimentos', 'unidad', 8.90),
    ('prod_002', 'ARR-001', 'Arroz blanco',            'Alimentos', 'kg',     1.35),
    ('prod_003', 'DET-002', 'Detergente líquido 2 l',  'Limpieza',  'unidad', 5.20)
ON CONFLICT (id) DO NOTHING;

INSERT INTO ubicaciones (id, nombre, tipo, region) VALUES
    ('tienda_01', 'Tienda Centro',  'tienda',  'Capital'),
    ('tienda_02', 'Tienda Este',    'tienda',  'Capital'),
    ('cedi_01',   'Centro de distribución Valencia', 'almacen', 'Centro')
ON CONFLICT (id) DO NOTHING;

COMMIT;
