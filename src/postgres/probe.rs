//! Asking the catalog what a statement outside of a transaction acts on, and how that stands.
//!
//! Names are resolved where the script would resolve them, under its role, `search_path` and settings, and
//! nothing else happens there. What is resolved is an oid; everything about it is asked behind names that
//! nobody can shadow.

use crate::migration::subject::{ObjectKind, Scope, Subject};

use super::quote::literal;

/// The names that have to be resolved where the script runs.
pub fn names(subject: &Subject) -> Vec<&str> {
    match subject {
        Subject::CreateIndex { table: name, .. }
        | Subject::DropIndex { index: name }
        | Subject::Reindex(Scope::Index(name) | Scope::Table(name)) => vec![name],
        Subject::DetachPartition { parent, partition } => vec![parent, partition],
        Subject::Reindex(Scope::Schema(_) | Scope::Database)
        | Subject::Object { .. }
        | Subject::Repeatable
        | Subject::Unknown => Vec::new(),
    }
}

/// Resolves `names`: a column of text each, null where there is no such relation.
pub fn resolve(names: &[&str]) -> String {
    let columns: Vec<_> = names
        .iter()
        .map(|name| {
            format!(
                "pg_catalog.to_regclass({})::pg_catalog.oid::pg_catalog.text",
                literal(name)
            )
        })
        .collect();
    format!("SELECT {}", columns.join(", "))
}

/// The query for what the catalog shows; its one row and column is the JSON of an
/// [`crate::migration::evidence::Evidence`]. `None`: there is nothing to look at. `oids` are those of
/// [`names`]; `known` is a query for those of the indexes that were there before the statement.
pub fn query(subject: &Subject, oids: &[Option<String>], known: &str) -> Option<String> {
    let oid = |number: usize| {
        let found = oids.get(number).and_then(Option::as_deref);
        found.map_or_else(
            || "NULL::pg_catalog.oid".to_owned(),
            |oid| format!("{}::pg_catalog.oid", literal(oid)),
        )
    };
    Some(match subject {
        Subject::CreateIndex { name, .. } => indexes_on(name.as_deref(), &oid(0)),
        // By its oid, too: the name may by now lead to another index, or nowhere.
        Subject::DropIndex { .. } => indexes(&format!(
            "x.indexrelid = {} OR x.indexrelid IN ({known})",
            oid(0)
        )),
        Subject::Reindex(scope) => indexes(&format!(
            "NOT x.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND x.indrelid IN ({})",
            tables(scope, &oid(0))
        )),
        Subject::DetachPartition { .. } => partition(&oid(0), &oid(1)),
        Subject::Object { kind, name, .. } => object(*kind, name),
        Subject::Repeatable | Subject::Unknown => return None,
    })
}

/// The statement that finishes the detaching of a partition.
pub fn finish_detach(subject: &Subject) -> Option<String> {
    match subject {
        Subject::DetachPartition { parent, partition } => Some(format!(
            "ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE"
        )),
        _ => None,
    }
}

/// An index that is to be dropped: its quoted name, and whether somebody else builds an index on its table
/// right now. No row: it is gone, or valid by now.
///
/// Who builds one concurrently holds this lock on the table all the time, and is among those whose progress
/// the server shows; its index is INVALID until it is done, and must not be mistaken for a leftover.
pub fn leftover(oid: u32) -> String {
    format!(
        "SELECT pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', \
         pg_catalog.quote_ident(c.relname)), EXISTS (SELECT 1 FROM pg_catalog.pg_locks l \
         WHERE l.locktype = 'relation' AND l.relation = x.indrelid \
         AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted \
         AND l.pid <> pg_catalog.pg_backend_pid() AND l.database = (SELECT d.oid \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) \
         AND l.pid IN (SELECT p.pid FROM pg_catalog.pg_stat_progress_create_index p)) \
         FROM {INDEXES} WHERE x.indexrelid = {oid}::pg_catalog.oid AND NOT ({VALID})"
    )
}

const INDEXES: &str = "pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";

const VALID: &str = "x.indisvalid AND x.indisready AND x.indislive";

fn indexes(condition: &str) -> String {
    format!(
        "SELECT pg_catalog.json_build_object('indexes', {})::pg_catalog.text",
        list(condition)
    )
}

/// The indexes of a table, or what bears the name of a new one: names are unique in the table's schema.
fn indexes_on(name: Option<&str>, table: &str) -> String {
    let condition = match name {
        Some(name) => format!(
            "c.relname = {}::pg_catalog.name AND c.relnamespace = \
             (SELECT t.relnamespace FROM pg_catalog.pg_class t WHERE t.oid = {table})",
            literal(name)
        ),
        None => format!("x.indrelid = {table}"),
    };
    format!(
        "SELECT pg_catalog.json_build_object('indexes_on', pg_catalog.json_build_object(\
         'table', {table}::pg_catalog.int8, 'indexes', {}))::pg_catalog.text",
        list(&condition)
    )
}

/// The indexes for which `condition` holds, as JSON.
fn list(condition: &str) -> String {
    format!(
        "COALESCE((SELECT pg_catalog.json_agg(\
         pg_catalog.json_build_object('oid', c.oid::pg_catalog.int8, 'schema', n.nspname, \
         'name', c.relname, 'valid', {VALID}, 'unique', x.indisunique, \
         'table', x.indrelid::pg_catalog.int8) ORDER BY c.oid) \
         FROM {INDEXES} WHERE {condition}), '[]'::pg_catalog.json)"
    )
}

/// The tables that a REINDEX touches, their TOAST tables included.
fn tables(scope: &Scope, oid: &str) -> String {
    let tables = match scope {
        Scope::Index(_) => format!(
            "SELECT y.indrelid AS oid FROM pg_catalog.pg_index y WHERE y.indexrelid = {oid} \
             OR y.indexrelid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree({oid}) p)"
        ),
        Scope::Table(_) => format!(
            "SELECT {oid} AS oid UNION \
             SELECT p.relid FROM pg_catalog.pg_partition_tree({oid}) p"
        ),
        Scope::Schema(name) => format!(
            "SELECT r.oid FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace m \
             ON m.oid = r.relnamespace WHERE m.nspname = {}::pg_catalog.name",
            literal(name)
        ),
        Scope::Database => "SELECT r.oid FROM pg_catalog.pg_class r".to_owned(),
    };
    format!(
        "WITH touched AS ({tables}) SELECT t.oid FROM touched t UNION \
         SELECT r.reltoastrelid FROM touched t JOIN pg_catalog.pg_class r ON r.oid = t.oid"
    )
}

fn partition(parent: &str, partition: &str) -> String {
    format!(
        "SELECT pg_catalog.json_build_object('partition', pg_catalog.json_build_object(\
         'attached', pg_catalog.count(*) > 0, \
         'pending', COALESCE(pg_catalog.bool_or(i.inhdetachpending), false), \
         'parent', {parent}::pg_catalog.int8, 'partition', {partition}::pg_catalog.int8))::pg_catalog.text \
         FROM pg_catalog.pg_inherits i WHERE i.inhparent = {parent} AND i.inhrelid = {partition}"
    )
}

fn object(kind: ObjectKind, name: &str) -> String {
    let condition = match kind {
        ObjectKind::Database => "pg_catalog.pg_database o WHERE o.datname",
        ObjectKind::Tablespace => "pg_catalog.pg_tablespace o WHERE o.spcname",
        // Of this database: their names are not shared.
        ObjectKind::Subscription => {
            "pg_catalog.pg_subscription o WHERE o.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d \
             WHERE d.datname = pg_catalog.current_database()) AND o.subname"
        }
    };
    format!(
        "SELECT pg_catalog.json_build_object('object', EXISTS (SELECT 1 FROM {condition} = \
         {}::pg_catalog.name))::pg_catalog.text",
        literal(name)
    )
}
