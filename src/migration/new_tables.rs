//! Whether a script takes moments, told from its text: a version that was committed before it can wait for it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::classify::outer_words;
use super::lexer::{Kind, Tokens};
use super::script::Script;
use super::statement::StatementClass;
use super::subject::Reader;

/// Longest script that takes moments, in bytes.
const LONGEST: usize = 16 * 1024;

/// The tables that the scripts of a run made, and put no more than single rows into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTables(BTreeSet<String>);

impl NewTables {
    /// Whether each statement of `script` is known to take moments, however many rows the database holds: it makes
    /// something that has none, adds single ones, says something about an object, or is about a table of these. Who
    /// waits for a lock waits as long as `lock_timeout` says.
    #[must_use]
    pub fn make_brief(&self, script: &Script) -> bool {
        self.clone().take_in(script)
    }

    /// Takes in what a script does, and answers as [`Self::make_brief`].
    pub fn take_in(&mut self, script: &Script) -> bool {
        let is_brief = script.text().len() <= LONGEST
            && script.statements().iter().all(|statement| {
                statement.class == StatementClass::Transactional
                    && self
                        .is_brief(&script.text()[statement.range.clone()])
                        .unwrap_or(false)
            });
        if !is_brief {
            // It may have filled them.
            self.0.clear();
        }
        is_brief
    }

    /// `None`: it is not read here.
    fn is_brief(&mut self, sql: &str) -> Option<bool> {
        let mut reader = Reader::new(sql);
        Some(match reader.word()?.as_str() {
            "comment" | "grant" | "revoke" => true,
            "create" => self.creates_briefly(sql, &mut reader)?,
            "alter" => {
                reader.require("table")?;
                reader.skip_all(&["if", "exists", "only"]);
                self.has(&reader.relation()?) && !says(sql, &["partition", "inherit"])
            }
            "insert" => adds_single_rows(sql),
            _ => false,
        })
    }

    fn creates_briefly(&mut self, sql: &str, reader: &mut Reader<'_>) -> Option<bool> {
        reader.skip_all(&["or", "replace", "unique"]);
        Some(match reader.word()?.as_str() {
            "table" => {
                let may_be_there = reader.is("if");
                reader.skip_all(&["if", "not", "exists"]);
                let table = reader.relation()?.to_ascii_lowercase();
                if !may_be_there {
                    self.0.insert(table);
                }
                // A query's result, or a partition, whose siblings are searched for rows of it.
                let is_about_others =
                    |word: &Cow<'_, str>| matches!(word.as_ref(), "AS" | "PARTITION" | "INHERITS");
                !outer_words(sql).iter().any(is_about_others)
            }
            "index" => {
                reader.skip_all(&["if", "not", "exists"]);
                if !reader.is("on") {
                    reader.name()?;
                }
                reader.require("on")?;
                reader.skip("only");
                self.has(&reader.relation()?)
            }
            "type" | "domain" | "sequence" | "view" | "function" | "procedure" => true,
            _ => false,
        })
    }

    fn has(&self, table: &str) -> bool {
        self.0.contains(&table.to_ascii_lowercase())
    }
}

/// Whether a rollback takes back all that a brief `script` does. It does not give a number back that was taken from a
/// sequence: by an `INSERT`, or by what a column that is added holds in rows that are there, which only a constant is sure
/// not to.
#[must_use]
pub fn leaves_nothing(script: &Script) -> bool {
    script.statements().iter().all(|statement| {
        let sql = &script.text()[statement.range.clone()];
        match Reader::new(sql).word().as_deref() {
            Some("comment" | "create" | "grant" | "revoke") => true,
            Some("alter") => !Tokens::new(sql).any(|token| token.kind == Kind::OpenParenthesis),
            _ => false,
        }
    })
}

/// Whether one of these keywords stands anywhere in a statement.
fn says(sql: &str, keywords: &[&str]) -> bool {
    Tokens::new(sql).any(|token| keywords.iter().any(|keyword| token.is(keyword)))
}

/// `INSERT … VALUES` of what is written there: no query, and no function, whose time nobody knows.
fn adds_single_rows(sql: &str) -> bool {
    let mut values = Tokens::new(sql).skip_while(|token| !token.is("values"));
    if values.next().is_none() || says(sql, &["select", "with", "table"]) {
        return false;
    }
    let mut depth = 0_usize;
    values.all(|token| {
        match token.kind {
            Kind::OpenParenthesis => depth += 1,
            Kind::CloseParenthesis => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_gives_no_number_back() {
        let cases = [
            (
                "CREATE TABLE a (id serial); COMMENT ON TABLE a IS 'a'",
                true,
            ),
            (
                "CREATE TABLE a (id serial); insert into a DEFAULT VALUES",
                false,
            ),
            ("/* one */ INSERT INTO a VALUES (1)", false),
            ("ALTER TABLE a ADD COLUMN b int DEFAULT 0", true),
            ("ALTER TABLE a ADD COLUMN b int DEFAULT nextval('s')", false),
        ];
        for (sql, expected) in cases {
            assert_eq!(leaves_nothing(&script(sql)), expected, "{sql}");
        }
    }

    fn script(sql: &str) -> Script {
        Script::parse(sql.as_bytes(), "schema_migrations").expect("a script")
    }

    #[test]
    fn what_takes_moments_is_told_from_the_text() {
        for (sql, is_brief) in [
            ("CREATE TABLE a (id int PRIMARY KEY)", true),
            (
                "CREATE TABLE a (id bigint GENERATED ALWAYS AS IDENTITY)",
                true,
            ),
            (
                "CREATE TABLE a (id int); CREATE INDEX ON a (id); ALTER TABLE a ADD b int",
                true,
            ),
            (
                "create table s.a (id int); create unique index i on only S.A (id)",
                true,
            ),
            ("CREATE TABLE IF NOT EXISTS a (id int)", true),
            (
                "CREATE TABLE IF NOT EXISTS a (id int); CREATE INDEX ON a (id)",
                false,
            ),
            (
                "CREATE TABLE a (id int); CREATE TABLE IF NOT EXISTS a (id int); CREATE INDEX ON a (id)",
                true,
            ),
            ("CREATE TABLE a AS SELECT 1", false),
            ("CREATE TABLE a (id) AS VALUES (1)", false),
            ("CREATE TABLE a PARTITION OF b DEFAULT", false),
            ("CREATE INDEX i ON a (id)", false),
            ("CREATE INDEX CONCURRENTLY i ON a (id)", false),
            ("CREATE TABLE a (id int); CREATE INDEX i ON b (id)", false),
            ("ALTER TABLE a ADD b int", false),
            (
                "CREATE TABLE a (id int); ALTER TABLE a ATTACH PARTITION b DEFAULT",
                false,
            ),
            ("COMMENT ON TABLE a IS 'select'", true),
            ("GRANT SELECT ON a TO b", true),
            ("CREATE VIEW v AS SELECT count(*) FROM a", true),
            (
                "CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM a",
                false,
            ),
            (
                "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                true,
            ),
            (
                "INSERT INTO a (id) VALUES (1), (2) ON CONFLICT DO NOTHING",
                true,
            ),
            ("INSERT INTO a VALUES (pg_sleep(9))", false),
            ("INSERT INTO a SELECT generate_series(1, 9)", false),
            ("INSERT INTO a (id) VALUES (1) RETURNING (SELECT 1)", false),
            ("INSERT INTO a DEFAULT VALUES", true),
            ("SELECT pg_sleep(9)", false),
            ("UPDATE a SET b = 1", false),
            ("VACUUM", false),
            ("CREATE TABLE a (id int); UPDATE a SET id = 1", false),
        ] {
            assert_eq!(
                NewTables::default().make_brief(&script(sql)),
                is_brief,
                "{sql}"
            );
        }
        let long = format!("COMMENT ON TABLE a IS '{}'", "x".repeat(LONGEST));
        assert!(!NewTables::default().make_brief(&script(&long)));
    }

    #[test]
    fn a_table_is_new_until_something_else_ran() {
        let mut tables = NewTables::default();
        let index = script("CREATE INDEX ON a (id)");
        assert!(tables.take_in(&script("CREATE TABLE a (id int)")));
        assert!(tables.take_in(&index));
        assert!(!tables.take_in(&script("INSERT INTO a SELECT generate_series(1, 1000000)")));
        assert!(!tables.take_in(&index));
    }
}
