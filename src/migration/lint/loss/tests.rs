use super::*;
use crate::migration::lint::{Role, judge};

fn script(text: &str) -> Script {
    Script::parse(text.as_bytes(), "schema_migrations").unwrap()
}

/// `table t`, `rows t`, `column t.c`, `schema s`, `untold DO`; `+` for what depends on it; where an unqualified
/// name is looked up, if not where the script is run.
fn said(text: &str) -> Vec<String> {
    let place = |table: &TableName| match &table.schemas {
        Schemas::Named(_) | Schemas::Session => table.to_string(),
        Schemas::Listed(schemas) => format!("{table} in {}", schemas.join(",")),
        Schemas::Unsure => format!("{table} in ?"),
    };
    let losses = losses(&script(text)).into_iter();
    let say = |loss: Loss| {
        let what = match &loss.what {
            Lost::Table(table) => format!("table {}", place(table)),
            Lost::Rows(table) => format!("rows {}", place(table)),
            Lost::Column { table, column } => format!("column {}.{column}", place(table)),
            Lost::Schema(schema) => format!("schema {schema}"),
            Lost::Untold(words) => format!("untold {words}"),
        };
        format!("{what}{}", if loss.cascades { " +" } else { "" })
    };
    losses.map(say).collect()
}

const SCRIPTS: &[(&str, &[&str])] = &[
    ("DROP TABLE a", &["table a"]),
    (
        "DROP TABLE IF EXISTS app.a, \"B\" CASCADE",
        &["table app.a +", "table B +"],
    ),
    ("DROP TABLE db.app.a", &["table app.a"]),
    ("TRUNCATE a", &["rows a"]),
    (
        "TRUNCATE TABLE ONLY a, b * RESTART IDENTITY CASCADE",
        &["rows a +", "rows b +"],
    ),
    ("DELETE FROM a", &["rows a"]),
    ("DELETE FROM ONLY app.a RETURNING x", &["rows app.a"]),
    ("DELETE FROM a WHERE x", &[]),
    (
        "WITH gone AS (DELETE FROM a RETURNING *), kept AS (DELETE FROM b WHERE x) DELETE FROM c",
        &["rows a", "rows c"],
    ),
    ("DELETE FROM schema_migrations WHERE version = '001'", &[]),
    ("DELETE FROM schema_migrations", &["rows schema_migrations"]),
    (
        "ALTER TABLE IF EXISTS ONLY a DROP COLUMN IF EXISTS x, DROP y CASCADE, DROP CONSTRAINT z, ADD w int",
        &["column a.x +", "column a.y +"],
    ),
    ("ALTER TABLE a DROP CONSTRAINT z", &[]),
    ("ALTER TABLE a ALTER COLUMN x DROP NOT NULL", &[]),
    ("DROP SCHEMA s CASCADE", &["schema s +"]),
    ("DROP SCHEMA s", &[]),
    // Structure.
    ("DROP VIEW v", &[]),
    (
        "DROP MATERIALIZED VIEW v; DROP INDEX i; DROP SEQUENCE s; DROP TYPE t",
        &[],
    ),
    // What the words do not tell is not left out.
    ("DROP EXTENSION e", &["untold DROP EXTENSION e"]),
    ("DROP TYPE t CASCADE", &["untold DROP TYPE t CASCADE +"]),
    ("DROP OWNED BY boss", &["untold DROP OWNED BY boss"]),
    (
        "ALTER TYPE t DROP ATTRIBUTE x",
        &["untold ALTER TYPE t DROP ATTRIBUTE x"],
    ),
    ("DO $$ BEGIN DROP TABLE a; END $$", &["untold DO"]),
    ("SELECT tidy()", &["untold SELECT"]),
    ("DROP TABLE U&\"\\0061\"", &["untold DROP TABLE"]),
    // What the script made is nobody's.
    ("CREATE TEMP TABLE t AS SELECT 1; DROP TABLE t", &[]),
    ("CREATE TABLE t (x int); DROP TABLE t, a", &["table a"]),
    (
        "DROP TABLE t; CREATE TABLE t (x int); TRUNCATE t",
        &["table t"],
    ),
    // Where names are looked up.
    (
        "SET search_path TO app, \"Web\", 'x'; DROP TABLE a; SET LOCAL search_path = y; DROP TABLE a, z.b",
        &["table a in app,Web,x", "table a in y", "table z.b"],
    ),
    (
        "SET search_path TO DEFAULT; DROP TABLE a",
        &["table a in ?"],
    ),
    ("RESET search_path; DROP TABLE a", &["table a in ?"]),
    (
        "SELECT set_config('search_path', 'app', true); DROP TABLE a",
        &["table a in ?"],
    ),
];

#[test]
fn what_holds_data_is_named() {
    for (text, expected) in SCRIPTS {
        assert_eq!(said(text), *expected, "{text}");
    }
}

#[test]
fn every_destructive_statement_is_named_or_said_to_be_untold() {
    for (text, _) in SCRIPTS {
        let script = script(text);
        let losses = losses(&script);
        let judged = judge(&script, Role::Down).statements;
        let harmful = judged
            .iter()
            .filter(|judged| judged.impact >= Impact::Unknown);
        for statement in harmful {
            let line = statement.position.line;
            assert!(losses.iter().any(|loss| loss.line == line), "{text}");
        }
    }
}

#[test]
fn a_statement_too_long_to_be_read_is_untold_as_well() {
    let many = "a, ".repeat(20_000);
    assert_eq!(
        said(&format!("DELETE FROM t USING {many} b"))[..1],
        ["rows t"]
    );
    assert_eq!(said(&format!("DELETE FROM t USING {many} b")).len(), 2);
}
