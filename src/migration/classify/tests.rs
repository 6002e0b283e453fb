use super::*;

#[path = "../../../tests/cases/classes.rs"]
mod cases;

#[test]
fn knows_what_cannot_run_in_a_transaction() {
    for (sql, expected) in cases::OUTSIDE {
        let class = classify(sql);
        assert!(
            matches!(class, StatementClass::NonTransactional(command) if command.to_string() == *expected),
            "{sql}: {class:?}"
        );
    }
}

#[test]
fn lets_everything_else_into_the_transaction() {
    for sql in cases::INSIDE {
        assert_eq!(classify(sql), StatementClass::Transactional, "{sql}");
    }
}

#[test]
fn knows_transaction_control() {
    for sql in [
        "begin",
        "BEGIN isolation level serializable",
        "start transaction read only",
        "commit",
        "commit and chain",
        "/* a */ end",
        "rollback",
        "rollback and chain",
        "rollback work",
        "abort",
        "prepare transaction 'x'",
        "commit prepared 'x'",
        "rollback prepared 'x'",
    ] {
        assert_eq!(classify(sql), StatementClass::TransactionControl, "{sql}");
    }
    assert_eq!(leading_words("commit and -- x\n chain"), "COMMIT AND CHAIN");
    assert_eq!(
        leading_words("prepare transaction 'secret'"),
        "PREPARE TRANSACTION"
    );
}

#[test]
fn a_name_in_unicode_escapes_is_refused_only_where_it_has_to_be_looked_up() {
    for sql in [
        "create index concurrently i on t (U&\"d\\0061\")",
        "create index concurrently i on t (a) where b = U&'\\0061'",
        "create index i on U&\"t\" (a)",
        "create database U&\"d\"",
        // What the server will not understand is for the server to say.
        "create index concurrently on",
    ] {
        let class = classify(sql);
        assert!(!matches!(class, StatementClass::Refused(_)), "{sql}");
    }
}

#[test]
fn refuses_what_must_not_reach_a_server() {
    for (sql, expected) in [
        ("copy t from stdin", Refusal::CopyFromStdin),
        (
            "copy t (a, b) from stdin with (format csv)",
            Refusal::CopyFromStdin,
        ),
        ("COPY stdin FROM STDOUT", Refusal::CopyFromStdin),
        ("copy (select 1) to stdout", Refusal::CopyToStdout),
        (
            "set standard_conforming_strings = off",
            Refusal::ReaderSetting,
        ),
        (
            "SET LOCAL \"Standard_Conforming_Strings\" TO 'off'",
            Refusal::ReaderSetting,
        ),
        (
            "set session client_encoding to latin1",
            Refusal::ReaderSetting,
        ),
        ("set names 'SQL_ASCII'", Refusal::ReaderSetting),
        ("set backslash_quote = on", Refusal::ReaderSetting),
        ("discard all", Refusal::DiscardAll),
        (
            "create index concurrently U&\"\\0061\" on t (a)",
            Refusal::UnicodeName,
        ),
        (
            "create index concurrently i on s.u&\"t\" (a)",
            Refusal::UnicodeName,
        ),
        ("drop index concurrently u&\"i\"", Refusal::UnicodeName),
        ("reindex table concurrently U&\"t\"", Refusal::UnicodeName),
        (
            "alter table t detach partition U&\"c\" concurrently",
            Refusal::UnicodeName,
        ),
    ] {
        assert_eq!(classify(sql), StatementClass::Refused(expected), "{sql}");
    }
}

#[test]
fn knows_the_files_own_record() {
    for (sql, expected) in [
        (
            "INSERT INTO schema_migrations (version, name) VALUES ('002', 'x') ON CONFLICT (version) DO NOTHING",
            true,
        ),
        ("insert into public.schema_migrations values ('1')", true),
        ("insert into \"schema_migrations\" values ('1')", true),
        ("DELETE FROM schema_migrations WHERE version = '002'", true),
        ("delete from only \"public\" . Schema_Migrations", true),
        ("insert into \"Schema_Migrations\" values ('1')", false),
        ("insert into other values ('schema_migrations')", false),
        ("insert into schema_migrations.other values ('1')", false),
        ("update schema_migrations set name = 'x'", false),
        ("delete from t using schema_migrations", false),
        (
            "with x as (select 1) insert into schema_migrations select 1",
            false,
        ),
        ("insert into", false),
        ("insert into public.", false),
        ("insert", false),
    ] {
        assert_eq!(is_self_record(sql, "schema_migrations"), expected, "{sql}");
    }
    assert!(is_self_record(
        "insert into \"odd \"\" name\" values (1)",
        "odd \" name"
    ));
}

#[test]
fn a_record_that_may_do_more_is_reviewed() {
    for (sql, expected) in [
        (
            "INSERT INTO schema_migrations (version, name) VALUES ('002', 'x') ON CONFLICT (version) DO NOTHING",
            true,
        ),
        (
            "insert into public.schema_migrations values ('1', 2, null), ('2', 3, default)",
            true,
        ),
        ("DELETE FROM schema_migrations WHERE version = '002'", true),
        (
            "delete from only public.\"schema_migrations\" where version = '2'",
            true,
        ),
        ("DELETE FROM schema_migrations", false),
        (
            "DELETE FROM schema_migrations WHERE version = '002' OR true",
            false,
        ),
        (
            "DELETE FROM schema_migrations WHERE version = version",
            false,
        ),
        (
            "DELETE FROM other_app.schema_migrations WHERE version = '002'",
            false,
        ),
        (
            "INSERT INTO other_app.schema_migrations VALUES ('1')",
            false,
        ),
        ("INSERT INTO schema_migrations SELECT f()", false),
        ("INSERT INTO schema_migrations VALUES (f())", false),
        (
            "INSERT INTO schema_migrations VALUES ('1') ON CONFLICT (version) DO UPDATE SET name = f()",
            false,
        ),
        (
            "INSERT INTO schema_migrations VALUES ('1') RETURNING f()",
            false,
        ),
    ] {
        assert_eq!(is_plain_record(sql, "schema_migrations"), expected, "{sql}");
    }
}

#[test]
fn whose_row_a_plain_record_is_about_is_told_by_its_words() {
    for (sql, expected) in [
        (
            "DELETE FROM schema_migrations WHERE version = '002'",
            Some("002"),
        ),
        (
            "INSERT INTO schema_migrations (name, \"version\") VALUES ('a, (b)', '007'), ('1', 8) ON CONFLICT (version) DO NOTHING",
            Some("007 8"),
        ),
        (
            "INSERT INTO public.schema_migrations VALUES ('1', 2), ('3', 4)",
            Some("1 3"),
        ),
        ("INSERT INTO schema_migrations (name) VALUES ('1')", None),
        (
            "INSERT INTO schema_migrations VALUES ('1'), (DEFAULT)",
            None,
        ),
        ("INSERT INTO schema_migrations VALUES (E'1')", None),
    ] {
        assert!(is_plain_record(sql, "schema_migrations"), "{sql}");
        let found = recorded(sql).map(|versions| {
            let texts: Vec<_> = versions.iter().map(ToString::to_string).collect();
            texts.join(" ")
        });
        assert_eq!(found.as_deref(), expected, "{sql}");
    }
}
