use super::*;
use crate::migration::script::Script;
use crate::migration::statement::StatementClass;

fn subject(sql: &str) -> Subject {
    let script = Script::parse(sql.as_bytes(), "schema_migrations").expect("a script");
    match script.statements()[0].class {
        StatementClass::NonTransactional(class) => Subject::of(class, sql),
        class => panic!("{sql}: {class:?}"),
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn reads_what_a_statement_acts_on() {
    let index = |name: Option<&str>, table: &str, unique| Subject::CreateIndex {
        name: name.map(text),
        table: text(table),
        unique,
    };
    let object = |kind, name: &str, creates| Subject::Object {
        kind,
        name: text(name),
        creates,
    };
    let detach = |parent: &str, partition: &str| Subject::DetachPartition {
        parent: text(parent),
        partition: text(partition),
    };
    let cases = [
        (
            "create index concurrently I on t (a)",
            index(Some("i"), "t", false),
        ),
        (
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"I \"\"x\" ON ONLY s.\"T\" USING btree (a)",
            index(Some("I \"x"), "s.\"T\"", true),
        ),
        (
            "create index concurrently on a . b /* c */ (a)",
            index(None, "a.b", false),
        ),
        (
            "drop index concurrently if exists s.i cascade",
            Subject::DropIndex { index: text("s.i") },
        ),
        (
            "drop index concurrently \"I\"",
            Subject::DropIndex {
                index: text("\"I\""),
            },
        ),
        (
            "reindex index concurrently i",
            Subject::Reindex(Scope::Index(text("i"))),
        ),
        (
            "reindex (verbose, concurrently) table s.t",
            Subject::Reindex(Scope::Table(text("s.t"))),
        ),
        (
            "reindex schema concurrently S",
            Subject::Reindex(Scope::Schema(text("s"))),
        ),
        (
            "reindex (concurrently) database",
            Subject::Reindex(Scope::Database),
        ),
        (
            "alter table if exists only p detach partition s.c concurrently",
            detach("p", "s.c"),
        ),
        (
            "create database d owner x",
            object(ObjectKind::Database, "d", true),
        ),
        (
            "drop database if exists D",
            object(ObjectKind::Database, "d", false),
        ),
        (
            "create tablespace t location '/x'",
            object(ObjectKind::Tablespace, "t", true),
        ),
        (
            "create subscription s connection 'x' publication p",
            object(ObjectKind::Subscription, "s", true),
        ),
        (
            "drop subscription if exists s",
            object(ObjectKind::Subscription, "s", false),
        ),
        (
            "alter subscription s refresh publication",
            Subject::Repeatable,
        ),
        ("alter subscription s add publication p", Subject::Unknown),
        ("vacuum t", Subject::Repeatable),
        ("cluster", Subject::Repeatable),
        ("reindex schema s", Subject::Repeatable),
        ("alter system set a = 1", Subject::Repeatable),
        ("alter database d set tablespace t", Subject::Repeatable),
    ];
    for (sql, expected) in cases {
        assert_eq!(subject(sql), expected, "{sql}");
    }
}

#[test]
fn what_only_the_server_s_own_lexer_reads_is_unknown() {
    let index = "create index concurrently U&\"\\0061\" on t (a)";
    let create = NonTransactional::CreateIndexConcurrently;
    assert_eq!(Subject::of(create, index), Subject::Unknown);
    assert_eq!(subject("create database U&\"\\0061\""), Subject::Unknown);
}

#[test]
fn what_breaks_off_is_unknown() {
    for sql in [
        "create index concurrently",
        "create index concurrently i on",
        "create index concurrently i",
        "drop index concurrently",
        "reindex index concurrently",
        "create database",
    ] {
        assert_eq!(subject(sql), Subject::Unknown, "{sql}");
    }
}
