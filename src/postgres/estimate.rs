//! How much data a way back would take away: one query to the catalog. Rows are never counted; the number is what
//! the last ANALYZE (or autovacuum) left behind.

use serde::Deserialize;

use crate::engine::database::Observation;
use crate::engine::error::DatabaseError;
use crate::engine::loss::{Estimate, FoundLoss, Rows};
use crate::migration::lint::{Loss, Lost, Schemas, TableName};

use super::connection::Postgres;
use super::quote::{literal, optional_literal};
use super::sanitize;
use super::session::{Scope, script_settings};

/// Most tables that are told of.
const MOST: usize = 1_000;

/// The setting that keeps, for one transaction, where a script looks up names.
const PATH: &str = "schemaward.script_path";

/// One table that would lose something.
#[derive(Debug, Deserialize)]
struct Found {
    place: usize,
    schema: String,
    name: String,
    /// Rows of its analyzed parts; NULL: there is none.
    rows: Option<f64>,
    /// Its parts that were never analyzed.
    unknown: i64,
    /// The part of the rows in which the column is NULL.
    nulls: Option<f64>,
}

impl Postgres {
    /// What the catalog has of `losses`.
    pub(super) async fn estimate(&mut self, losses: &[Loss]) -> Result<Observation, DatabaseError> {
        let asked: Vec<_> = losses.iter().enumerate().filter_map(asked).collect();
        if asked.is_empty() {
            return Ok(Observation::Estimated(Estimate::default()));
        }
        let mut settings = self.settings.clone();
        // Whether the role can be taken is judged with the other rights; here it only says what "$user" is.
        if self.facts.as_ref().is_none_or(|facts| !facts.may_take_role) {
            settings.role = None;
        }
        let mut before = script_settings(&settings, Scope::Transaction);
        before.push(format!(
            "SELECT pg_catalog.set_config('{PATH}', pg_catalog.array_to_json(\
             pg_catalog.current_schemas(true))::pg_catalog.text, true)"
        ));
        before.push("RESET ROLE".to_owned());
        let found: Vec<Found> = self.read_json_after(&before, query(&asked)).await?;
        Ok(Observation::Estimated(cut(&found, losses.len())))
    }
}

/// What is told of `found`, of so many losses that were asked for. One more than is told says where the answer ends.
fn cut(found: &[Found], asked: usize) -> Estimate {
    Estimate {
        found: found.iter().take(MOST).map(told).collect(),
        ends_at: found.get(MOST).map_or(asked, |first| first.place),
    }
}

fn told(found: &Found) -> FoundLoss {
    let has = 1.0 - found.nulls.unwrap_or_default();
    let rows = match (found.rows, found.unknown) {
        (Some(rows), unknown) => {
            let rows = whole(rows * has);
            if unknown == 0 {
                Rows::About(rows)
            } else {
                Rows::AtLeast(rows)
            }
        }
        (None, 0) => Rows::About(0),
        (None, _) => Rows::NeverAnalyzed,
    };
    FoundLoss {
        place: found.place,
        schema: sanitize::name(&found.schema),
        table: sanitize::name(&found.name),
        rows,
    }
}

/// An estimate as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast to an integer saturates"
)]
fn whole(rows: f64) -> u64 {
    rows.round() as u64
}

/// One loss as a row of `asked`; `None`: it cannot be told which table is meant.
fn asked((place, loss): (usize, &Loss)) -> Option<String> {
    let (kind, table, column) = match &loss.what {
        Lost::Table(table) => ("table", table, None),
        Lost::Rows(table) => ("rows", table, None),
        Lost::Column { table, column } => ("column", table, Some(column.as_str())),
        Lost::Schema(schema) => {
            let path = array([schema]);
            return Some(format!("({place}, 'schema', {path}, '', NULL, false)"));
        }
        Lost::Untold(_) => return None,
    };
    let TableName { schemas, name } = table;
    let path = match schemas {
        Schemas::Named(schema) => array([schema]),
        Schemas::Listed(schemas) => array(schemas),
        Schemas::Session => format!(
            "ARRAY(SELECT pg_catalog.json_array_elements_text(\
             pg_catalog.current_setting('{PATH}')::pg_catalog.json))"
        ),
        Schemas::Unsure => return None,
    };
    let (name, column) = (literal(name), optional_literal(column));
    let empties_others = kind == "rows" && loss.cascades;
    Some(format!(
        "({place}, '{kind}', {path}, {name}, {column}, {empties_others})"
    ))
}

fn array<'a>(schemas: impl IntoIterator<Item = &'a String>) -> String {
    let schemas: Vec<_> = schemas.into_iter().map(|schema| literal(schema)).collect();
    format!("ARRAY[{}]::pg_catalog.text[]", schemas.join(", "))
}

/// `root` are the tables that lose something: those that are named, those of a schema, and those that TRUNCATE
/// reaches by foreign keys. `tree` are they with their partitions and children, of which the rows are summed up.
fn query(asked: &[String]) -> String {
    format!(
        "WITH RECURSIVE asked (place, kind, path, name, part, cascades) AS (VALUES {asked}), \
         named AS (SELECT a.place, a.part, a.cascades, (SELECT c.oid \
            FROM pg_catalog.unnest(a.path) WITH ORDINALITY AS p (schema, place) \
            JOIN pg_catalog.pg_namespace n ON n.nspname = p.schema \
            JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = a.name \
                AND c.relkind IN ('r', 'p', 'f') \
            ORDER BY p.place LIMIT 1) AS oid FROM asked a WHERE a.kind <> 'schema'), \
         reached AS (SELECT t.place, t.oid FROM named t WHERE t.cascades AND t.oid IS NOT NULL \
            UNION SELECT r.place, k.conrelid FROM reached r \
            JOIN pg_catalog.pg_constraint k ON k.confrelid = r.oid AND k.contype = 'f' AND k.conparentid = 0), \
         root AS (SELECT t.place, t.part, t.oid FROM named t WHERE t.oid IS NOT NULL \
            UNION SELECT r.place, NULL, r.oid FROM reached r \
            UNION SELECT a.place, NULL, c.oid FROM asked a \
                JOIN pg_catalog.pg_namespace n ON n.nspname = a.path[1] \
                JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') \
                WHERE a.kind = 'schema' AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i \
                    JOIN pg_catalog.pg_class u ON u.oid = i.inhparent \
                    WHERE i.inhrelid = c.oid AND u.relnamespace = c.relnamespace)), \
         tree (place, root, oid) AS (SELECT r.place, r.oid, r.oid FROM root r \
            UNION SELECT t.place, t.root, i.inhrelid FROM tree t \
            JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid), \
         size AS (SELECT t.place, t.root, \
            pg_catalog.sum(c.reltuples::pg_catalog.float8) FILTER (WHERE c.reltuples >= 0) AS rows, \
            pg_catalog.count(*) FILTER (WHERE c.reltuples < 0) AS unknown, \
            pg_catalog.count(*) > 1 AS has_parts FROM tree t \
            LEFT JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind <> 'p' GROUP BY t.place, t.root), \
         told AS (SELECT r.place, n.nspname, c.relname, s.rows, s.unknown, (SELECT v.null_frac \
            FROM pg_catalog.pg_stats v WHERE v.schemaname = n.nspname AND v.tablename = c.relname \
            AND v.attname = r.part AND v.inherited = s.has_parts LIMIT 1) AS nulls \
            FROM root r JOIN size s ON s.place = r.place AND s.root = r.oid \
            JOIN pg_catalog.pg_class c ON c.oid = r.oid \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE r.part IS NULL OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a \
                WHERE a.attrelid = r.oid AND a.attname = r.part AND NOT a.attisdropped) \
            ORDER BY r.place, n.nspname, c.relname LIMIT {limit}) \
         SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_object('place', t.place, \
            'schema', t.nspname, 'name', t.relname, 'rows', t.rows, 'unknown', t.unknown, 'nulls', t.nulls) \
            ORDER BY t.place, t.nspname, t.relname), '[]'::pg_catalog.json)::pg_catalog.text FROM told t",
        asked = asked.join(", "),
        limit = MOST + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(place: usize) -> Found {
        Found {
            place,
            schema: "public".to_owned(),
            name: "t".to_owned(),
            rows: Some(4.0),
            unknown: 0,
            nulls: Some(0.75),
        }
    }

    #[test]
    fn an_answer_that_is_cut_short_says_where() {
        let whole: Vec<_> = (0..MOST).map(found).collect();
        let estimate = cut(&whole, MOST + 5);
        assert_eq!((estimate.found.len(), estimate.ends_at), (MOST, MOST + 5));
        // The last place has one more table than is told.
        let mut more = whole;
        more.push(found(MOST - 1));
        let estimate = cut(&more, MOST + 5);
        assert_eq!((estimate.found.len(), estimate.ends_at), (MOST, MOST - 1));
        assert_eq!(estimate.found[0].rows, Rows::About(1));
    }
}
