//! The catalog of a database, object by object, so that two moments of it can be compared. A file a family.
//!
//! Every query gives kind, name, the kind and name of what the object hangs on, and its attributes. None of
//! them has a number that is another one after DROP and CREATE. Not in it: schema `schemaward`, members of
//! extensions, data, and what is of the server and not of the database (roles, tablespaces).

mod constraints;
mod database;
mod relations;
mod routines;
mod types;

use crate::engine::error::DatabaseError;
use crate::migration::snapshot::{Row, Snapshot};

use super::connection::Postgres;

/// Names of their own for what the queries share: schemas of users, members of extensions, relations.
const SHARED: &str = "WITH ns AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'schemaward')),
ext AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
rel AS (
  SELECT c.oid, c.relkind, format('%I.%I', ns.nspname, c.relname) AS name, CASE c.relkind WHEN 'v' THEN 'view'
    WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table'
    WHEN 'c' THEN 'composite type' WHEN 'p' THEN 'partitioned table' ELSE 'table' END AS kind
  FROM pg_class c JOIN ns ON ns.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_class'::regclass AND ext.objid = c.oid))";

const FAMILIES: [&str; 20] = [
    relations::SCHEMAS,
    relations::RELATIONS,
    relations::COLUMNS,
    relations::SEQUENCES,
    constraints::CONSTRAINTS,
    constraints::INDEXES,
    constraints::STATISTICS,
    constraints::TRIGGERS,
    constraints::RULES,
    constraints::POLICIES,
    routines::ROUTINES,
    routines::OPERATORS,
    routines::CASTS,
    routines::EVENT_TRIGGERS,
    types::TYPES,
    types::COLLATIONS,
    types::TEXT_SEARCH,
    database::EXTENSIONS,
    database::DEFAULT_PRIVILEGES,
    database::SETTINGS,
];

/// The first server with `pg_publication_namespace`.
const PUBLISHED_SCHEMAS_SINCE: i64 = 150_000;

impl Postgres {
    /// Reads the catalog of the database.
    ///
    /// # Errors
    /// When the database does not give it.
    pub async fn snapshot(&mut self) -> Result<Snapshot, DatabaseError> {
        let version = "SELECT current_setting('server_version_num')".to_owned();
        let version: i64 = self.read_json(version).await?;
        let mut families = FAMILIES.to_vec();
        families.extend([database::FOREIGN, database::PUBLICATIONS]);
        if version >= PUBLISHED_SCHEMAS_SINCE {
            families.push(database::PUBLISHED_SCHEMAS);
        }
        let rows: Vec<Row> = self
            .read_json(format!(
                "{SHARED} SELECT COALESCE(jsonb_agg(jsonb_build_array(kind, name, parent_kind, parent, attributes)), \
                 '[]')::text FROM ({}) AS objects (kind, name, parent_kind, parent, attributes)",
                families.join("\nUNION ALL\n")
            ))
            .await?;
        Ok(Snapshot::new(rows))
    }
}
