use super::*;

#[test]
fn knows_what_cannot_run_in_a_transaction() {
    for (sql, expected) in [
        (
            "create index concurrently i on t (a)",
            Nt::CreateIndexConcurrently,
        ),
        (
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
            Nt::CreateIndexConcurrently,
        ),
        (
            "create /* c */ index -- d\n concurrently on t (a)",
            Nt::CreateIndexConcurrently,
        ),
        (
            "drop index concurrently if exists i",
            Nt::DropIndexConcurrently,
        ),
        ("reindex table concurrently t", Nt::ReindexConcurrently),
        (
            "reindex (verbose, concurrently) table t",
            Nt::ReindexConcurrently,
        ),
        (
            "reindex (concurrently true, tablespace x) index i",
            Nt::ReindexConcurrently,
        ),
        (
            "reindex (concurrently false) table concurrently t",
            Nt::ReindexConcurrently,
        ),
        ("reindex schema concurrently s", Nt::ReindexConcurrently),
        ("reindex schema s", Nt::Reindex),
        ("reindex (verbose) database d", Nt::Reindex),
        ("reindex system d", Nt::Reindex),
        ("vacuum", Nt::Vacuum),
        ("vacuum (full, analyze) t", Nt::Vacuum),
        ("cluster", Nt::ClusterAll),
        ("cluster verbose", Nt::ClusterAll),
        ("cluster (verbose)", Nt::ClusterAll),
        (
            "alter table t detach partition p concurrently",
            Nt::DetachPartitionConcurrently,
        ),
        (
            "alter table if exists only s.t detach partition s.\"p q\" concurrently",
            Nt::DetachPartitionConcurrently,
        ),
        ("create database d", Nt::CreateDatabase),
        ("drop database if exists d", Nt::DropDatabase),
        (
            "alter database \"d\" set tablespace x",
            Nt::AlterDatabaseSetTablespace,
        ),
        ("create tablespace x location '/x'", Nt::CreateTablespace),
        ("drop tablespace x", Nt::DropTablespace),
        ("alter system set work_mem = '1GB'", Nt::AlterSystem),
        (
            "create subscription s connection 'host=x' publication p",
            Nt::CreateSubscription,
        ),
        (
            "create subscription s connection 'x' publication p with (enabled = false)",
            Nt::CreateSubscription,
        ),
        (
            "alter subscription s refresh publication",
            Nt::AlterSubscription,
        ),
        (
            "alter subscription s add publication p",
            Nt::AlterSubscription,
        ),
        (
            "alter subscription s set publication p with (copy_data = false)",
            Nt::AlterSubscription,
        ),
        (
            "alter subscription s set (failover = true)",
            Nt::AlterSubscription,
        ),
        ("drop subscription s", Nt::DropSubscription),
    ] {
        assert_eq!(
            classify(sql),
            StatementClass::NonTransactional(expected),
            "{sql}"
        );
    }
}

#[test]
fn lets_everything_else_into_the_transaction() {
    for sql in [
        "create index i on t (a)",
        "create index \"concurrently\" on t (a)",
        "drop index concurrently_i",
        "reindex table t",
        "reindex (concurrently false) index i",
        "reindex (concurrently off, verbose) table t",
        "refresh materialized view concurrently v",
        "analyze t",
        "cluster t",
        "cluster verbose t using i",
        "cluster (verbose) t",
        "alter table t detach partition p",
        "alter table t detach partition p finalize",
        "alter table t rename to vacuum",
        "alter database d set work_mem = '1GB'",
        "alter database d set tablespace_x.y = 1",
        "alter type t add value 'x'",
        "create subscription s connection 'x' publication p with (connect = false)",
        "create subscription s connection 'x' publication p with (slot_name = none, create_slot = false)",
        "alter subscription s set publication p with (refresh = false)",
        "alter subscription s disable",
        "alter subscription s set (slot_name = none)",
        "do $$ begin commit; end $$",
        "call p()",
        "savepoint s",
        "release savepoint s",
        "rollback to s",
        "rollback work to savepoint s",
        "ROLLBACK TRANSACTION TO s",
        "prepare transaction as select 1",
        "prepare transaction (int) as select $1",
        "copy t from '/tmp/x'",
        "copy t to program 'cat'",
        "copy (select * from stdin) to '/tmp/x'",
        "copy stdin to '/tmp/x'",
        "set search_path = a, b",
        "set standard_conforming_strings = on",
        "SET client_encoding = 'UTF8'",
        "set names 'utf-8'",
        "set session authorization x",
        "set local role x",
        "set transaction isolation level serializable",
        "reset all",
        "discard temp",
        "\"vacuum\"",
        "(select 1)",
        "frobnicate the widgets",
        "é",
        "+",
    ] {
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
