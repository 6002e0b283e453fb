-- =====================================================================
-- Migration 001 UP: add_historical_inventory
-- Adds the history of inventory snapshots: one row per product, location
-- and snapshot, loaded by the ETL, and a view of the last 90 days.
-- Needs the tables productos and ubicaciones.
-- Idempotent: safe to run again.
-- =====================================================================

BEGIN;

-- ---------------------------------------------------------------------
-- Table
-- ---------------------------------------------------------------------
CREATE TABLE IF NOT EXISTS inventario_historico (
    id             SERIAL         PRIMARY KEY,
    ubicacion_id   VARCHAR(50)    NOT NULL,
    producto_id    VARCHAR(50)    NOT NULL,
    almacen_codigo VARCHAR(50),
    cantidad       DECIMAL(15, 3) NOT NULL,
    fecha_snapshot TIMESTAMP      NOT NULL,
    fecha_carga    TIMESTAMP      DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT fk_hist_ubicacion
        FOREIGN KEY (ubicacion_id) REFERENCES ubicaciones (id) ON DELETE CASCADE,
    CONSTRAINT fk_hist_producto
        FOREIGN KEY (producto_id) REFERENCES productos (id) ON DELETE CASCADE
);

-- ---------------------------------------------------------------------
-- Indexes
-- ---------------------------------------------------------------------
CREATE INDEX IF NOT EXISTS idx_hist_producto_ubicacion
    ON inventario_historico (producto_id, ubicacion_id);

CREATE INDEX IF NOT EXISTS idx_hist_fecha
    ON inventario_historico (fecha_snapshot DESC);

CREATE INDEX IF NOT EXISTS idx_hist_ubicacion
    ON inventario_historico (ubicacion_id);

-- Answers the view's window and "quantity over time" from the index alone.
CREATE INDEX IF NOT EXISTS idx_hist_producto_ubicacion_fecha
    ON inventario_historico (producto_id, ubicacion_id, fecha_snapshot DESC)
    INCLUDE (cantidad, almacen_codigo);

-- ---------------------------------------------------------------------
-- View: last 90 days, with the variation against the previous snapshot
-- ---------------------------------------------------------------------
CREATE OR REPLACE VIEW v_inventario_historico_reciente AS
SELECT
    h.id,
    h.producto_id,
    p.nombre AS producto_nombre,
    h.ubicacion_id,
    u.nombre AS ubicacion_nombre,
    h.almacen_codigo,
    h.cantidad,
    LAG(h.cantidad) OVER serie AS cantidad_anterior,
    h.cantidad - LAG(h.cantidad) OVER serie AS variacion,
    h.fecha_snapshot,
    h.fecha_carga
FROM inventario_historico h
JOIN productos p ON p.id = h.producto_id
JOIN ubicaciones u ON u.id = h.ubicacion_id
WHERE h.fecha_snapshot >= CURRENT_DATE - INTERVAL '90 days'
WINDOW serie AS (
    PARTITION BY h.producto_id, h.ubicacion_id, h.almacen_codigo
    ORDER BY h.fecha_snapshot, h.id
);

-- ---------------------------------------------------------------------
-- Comments
-- ---------------------------------------------------------------------
COMMENT ON TABLE inventario_historico IS
    'Histórico de snapshots de inventario por producto y ubicación';
COMMENT ON COLUMN inventario_historico.id IS
    'Identificador del registro';
COMMENT ON COLUMN inventario_historico.ubicacion_id IS
    'Ubicación del inventario (ubicaciones.id)';
COMMENT ON COLUMN inventario_historico.producto_id IS
    'Producto inventariado (productos.id)';
COMMENT ON COLUMN inventario_historico.almacen_codigo IS
    'Código del almacén dentro de la ubicación; nulo si no se distingue';
COMMENT ON COLUMN inventario_historico.cantidad IS
    'Cantidad en existencia en el momento del snapshot';
COMMENT ON COLUMN inventario_historico.fecha_snapshot IS
    'Momento al que corresponde la cantidad';
COMMENT ON COLUMN inventario_historico.fecha_carga IS
    'Momento en que el ETL cargó el registro';
COMMENT ON VIEW v_inventario_historico_reciente IS
    'Inventario de los últimos 90 días con la variación respecto al snapshot anterior';

-- ---------------------------------------------------------------------
-- Record this migration
-- ---------------------------------------------------------------------
INSERT INTO schema_migrations (version, name)
VALUES ('001', 'add_historical_inventory')
ON CONFLICT (version) DO NOTHING;

COMMIT;
