//! Whether a script takes moments, told from its text: a version that was committed before it can wait for it, and it may share
//! its Query.

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

/// How long a script takes, as far as its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outlook {
    /// Nobody knows.
    Unknown,
    /// Moments, once it has its locks: as long as `lock_timeout` says it may wait for somebody else.
    Moments,
    /// Moments, for it is about new tables alone, and nobody else holds locks on those.
    MomentsAlone,
}

impl Outlook {
    fn moments(alone: bool) -> Self {
        if alone {
            Self::MomentsAlone
        } else {
            Self::Moments
        }
    }
}

impl NewTables {
    /// Whether each statement of `script` is known to take moments, however many rows the database holds: it makes
    /// something that has none, adds single ones, says something about an object, or is about a table of these.
    #[must_use]
    pub fn make_brief(&self, script: &Script) -> bool {
        self.clone().take_in(script) > Outlook::Unknown
    }

    /// Takes in what a script does.
    pub fn take_in(&mut self, script: &Script) -> Outlook {
        let outlook = if script.text().len() <= LONGEST {
            let statements = script.statements().iter().map(|statement| {
                let is_transactional = statement.class == StatementClass::Transactional;
                let sql = &script.text()[statement.range.clone()];
                let outlook = is_transactional.then(|| self.outlook(sql)).flatten();
                outlook.unwrap_or(Outlook::Unknown)
            });
            statements.min().unwrap_or(Outlook::MomentsAlone)
        } else {
            Outlook::Unknown
        };
        if outlook == Outlook::Unknown {
            // It may have filled them.
            self.0.clear();
        }
        outlook
    }

    /// `None`: it is not read here.
    fn outlook(&mut self, sql: &str) -> Option<Outlook> {
        let mut reader = Reader::new(sql);
        match reader.word()?.as_str() {
            "comment" => Some(Outlook::moments(self.is_comment_on_these(&mut reader))),
            "grant" | "revoke" => Some(Outlook::Moments),
            "create" => self.of_create(sql, &mut reader),
            "alter" => {
                reader.require("table")?;
                reader.skip_all(&["if", "exists", "only"]);
                let is_brief = self.has(&reader.relation()?)
                    && !says(sql, &["partition", "inherit"])
                    && !renames(sql);
                is_brief.then(|| Outlook::moments(self.refers_to_these_alone(sql)))
            }
            "insert" => {
                reader.require("into")?;
                let is_new = self.has(&reader.relation()?);
                adds_single_rows(sql).then(|| Outlook::moments(is_new))
            }
            _ => None,
        }
    }

    fn of_create(&mut self, sql: &str, reader: &mut Reader<'_>) -> Option<Outlook> {
        reader.skip_all(&["or", "replace", "unique"]);
        match reader.word()?.as_str() {
            "table" => {
                let may_be_there = reader.is("if");
                reader.skip_all(&["if", "not", "exists"]);
                let table = folded(&reader.relation()?);
                if !may_be_there {
                    self.0.insert(table);
                }
                // A query's result, or a partition, whose siblings are searched for rows of it.
                let is_about_others =
                    |word: &Cow<'_, str>| matches!(word.as_ref(), "AS" | "PARTITION" | "INHERITS");
                let is_brief = !outer_words(sql).iter().any(is_about_others);
                let alone = !says(sql, &["like", "of"]) && self.refers_to_these_alone(sql);
                is_brief.then(|| Outlook::moments(alone))
            }
            "index" => {
                reader.skip_all(&["if", "not", "exists"]);
                if !reader.is("on") {
                    reader.name()?;
                }
                reader.require("on")?;
                reader.skip("only");
                self.has(&reader.relation()?)
                    .then_some(Outlook::MomentsAlone)
            }
            "type" | "domain" | "sequence" | "view" | "function" | "procedure" => {
                Some(Outlook::Moments)
            }
            _ => None,
        }
    }

    fn has(&self, table: &str) -> bool {
        self.0.contains(&folded(table))
    }

    /// `COMMENT ON {TABLE table | COLUMN table.column}`, behind its first word.
    fn is_comment_on_these(&self, reader: &mut Reader<'_>) -> bool {
        reader.skip("on");
        let what = reader.word();
        let name = reader.relation().unwrap_or_default();
        match what.as_deref() {
            Some("table") => self.has(&name),
            Some("column") => name
                .rsplit_once('.')
                .is_some_and(|(table, _)| self.has(table)),
            _ => false,
        }
    }

    /// Whether each foreign key is to a table of these. One to another table locks that.
    fn refers_to_these_alone(&self, sql: &str) -> bool {
        Tokens::new(sql)
            .filter(|token| token.is("references"))
            .all(|token| {
                let table = Reader::new(&sql[token.end()..]).relation();
                table.is_some_and(|table| self.has(&table))
            })
    }
}

/// A name as it is found again: the server folds what is not quoted.
fn folded(name: &str) -> String {
    if name.contains('"') {
        name.to_owned()
    } else {
        name.to_ascii_lowercase()
    }
}

/// Whether an `ALTER TABLE` gives the table another name or schema, so that its old one may be another table's.
fn renames(sql: &str) -> bool {
    let words: Vec<_> = Tokens::new(sql).collect();
    words.windows(2).any(|pair| {
        (pair[0].is("rename") && pair[1].is("to")) || (pair[0].is("set") && pair[1].is("schema"))
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
                "CREATE TABLE \"A\" (id int); CREATE INDEX ON \"A\" (id)",
                true,
            ),
            (
                "CREATE TABLE \"A\" (id int); CREATE INDEX ON \"a\" (id)",
                false,
            ),
            ("CREATE TABLE \"A\" (id int); CREATE INDEX ON a (id)", false),
            (
                "CREATE TABLE a (id int); ALTER TABLE a RENAME id TO no",
                true,
            ),
            ("CREATE TABLE a (id int); ALTER TABLE a RENAME TO b", false),
            ("CREATE TABLE a (id int); ALTER TABLE a SET SCHEMA s", false),
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
    fn who_may_have_to_wait_for_a_lock_of_somebody_else_is_told_from_the_text() {
        let new = "CREATE TABLE a (id int); ";
        for (sql, alone) in [
            ("CREATE TABLE b (id int REFERENCES A)", true),
            (
                "CREATE TABLE b (id int PRIMARY KEY, up int REFERENCES b (id))",
                true,
            ),
            (
                "CREATE TABLE b (id int, FOREIGN KEY (id) REFERENCES c (id))",
                false,
            ),
            ("CREATE TABLE b (LIKE c)", false),
            ("CREATE TABLE b OF c", false),
            ("CREATE INDEX ON a (id)", true),
            ("ALTER TABLE a ADD b int DEFAULT 0", true),
            ("ALTER TABLE a ADD b int REFERENCES a", true),
            ("ALTER TABLE a ADD b int REFERENCES s.a", false),
            ("COMMENT ON TABLE a IS 'a'", true),
            ("COMMENT ON COLUMN a.id IS 'a'", true),
            ("COMMENT ON TABLE b IS 'b'", false),
            ("COMMENT ON COLUMN b.a IS 'b'", false),
            ("COMMENT ON SCHEMA a IS 'a'", false),
            ("INSERT INTO a VALUES (1)", true),
            ("INSERT INTO b VALUES (1)", false),
            ("GRANT SELECT ON a TO b", false),
            ("CREATE VIEW v AS SELECT 1", false),
            (
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                false,
            ),
            ("", true),
        ] {
            let expected = if alone {
                Outlook::MomentsAlone
            } else {
                Outlook::Moments
            };
            let outlook = NewTables::default().take_in(&script(&format!("{new}{sql}")));
            assert_eq!(outlook, expected, "{sql}");
        }
    }

    #[test]
    fn a_table_is_new_until_something_else_ran() {
        let mut tables = NewTables::default();
        for (sql, expected) in [
            ("CREATE TABLE a (id int)", Outlook::MomentsAlone),
            ("CREATE INDEX ON a (id)", Outlook::MomentsAlone),
            (
                "INSERT INTO a SELECT generate_series(1, 1000000)",
                Outlook::Unknown,
            ),
            ("CREATE INDEX ON a (id)", Outlook::Unknown),
        ] {
            assert_eq!(tables.take_in(&script(sql)), expected, "{sql}");
        }
    }
}
