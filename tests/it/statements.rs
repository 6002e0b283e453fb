//! What the splitter and the classifier believe of SQL, asked of the servers.

use either::Either;
use futures::TryStreamExt;
use schemaward::migration::script::Script;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, SqlSafeStr};

use crate::harness::{Database, postgres_major};

#[path = "../cases/classes.rs"]
mod classify;
#[path = "../cases/corpus.rs"]
mod corpus;
#[path = "../cases/generated.rs"]
mod generated;
#[path = "../cases/splits.rs"]
mod split;

const MAJORS: [u8; 5] = [14, 15, 16, 17, 18];

async fn connect(database: &Database<'_>) -> PgConnection {
    PgConnectOptions::new_without_pgpass()
        .host(&database.server.host)
        .port(database.server.port)
        .database(&database.name)
        .username(&database.user)
        .password(&database.password)
        .ssl_mode(PgSslMode::Disable)
        .connect()
        .await
        .expect("a connection")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

/// SQLSTATE and message of a refusal; `None` when the server had nothing against it.
fn refusal<T>(result: Result<T, sqlx::Error>) -> Option<(String, String)> {
    let error = result.err()?;
    let database = error
        .as_database_error()
        .unwrap_or_else(|| panic!("{error}"));
    let code = database.code().expect("a SQLSTATE");
    Some((code.into_owned(), database.message().to_owned()))
}

#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// One statement at most; whether its tables exist does not matter here.
    One,
    Several,
    NotSql,
}

/// How many statements the server's parser finds: a prepared statement takes but one.
async fn read(connection: &mut PgConnection, sql: &str) -> Read {
    let prepared = connection
        .prepare(AssertSqlSafe(sql.to_owned()).into_sql_str())
        .await;
    match refusal(prepared) {
        Some((_, message)) if message.contains("cannot insert multiple commands") => Read::Several,
        Some((code, _)) if code == "42601" => Read::NotSql,
        _ => Read::One,
    }
}

#[test]
fn servers_split_as_we_do() {
    for major in MAJORS {
        let database = postgres_major(major).database("split");
        let understood = wait(async {
            let mut connection = connect(&database).await;
            let mut understood = 0;
            for (sql, statements) in split::SPLITS {
                let whole = read(&mut connection, sql).await;
                if whole == Read::NotSql {
                    continue;
                }
                understood += 1;
                let expected = if statements.len() > 1 {
                    Read::Several
                } else {
                    Read::One
                };
                assert_eq!(whole, expected, "PostgreSQL {major}: {sql:?}");
                for statement in *statements {
                    let part = read(&mut connection, statement).await;
                    assert_eq!(
                        part,
                        Read::One,
                        "PostgreSQL {major}: {statement:?} of {sql:?}"
                    );
                }
            }
            understood
        });
        assert!(
            understood > 40,
            "PostgreSQL {major} understood {understood}"
        );
    }
}

/// How many commands the server completes of a text that is sent as one simple Query.
async fn completed(connection: &mut PgConnection, sql: &str) -> Result<usize, sqlx::Error> {
    let mut answers = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
    let mut completed = 0;
    while let Some(answer) = answers.try_next().await? {
        completed += usize::from(matches!(answer, Either::Left(_)));
    }
    Ok(completed)
}

/// The commands completed of each text, all in one transaction that is left afterwards.
async fn completed_in_transaction(connection: &mut PgConnection, texts: &[&str]) -> Vec<usize> {
    completed(connection, "BEGIN").await.expect("a transaction");
    let mut all = Vec::new();
    for text in texts {
        let found = completed(connection, text).await;
        all.push(found.unwrap_or_else(|error| panic!("{text:?}: {error}")));
    }
    completed(connection, "ROLLBACK")
        .await
        .expect("a transaction");
    all
}

/// One count for the whole script, and one for each of its statements alone: neither their number nor a place
/// between two of them is another one than the server's.
#[test]
fn servers_complete_as_many_commands_as_we_count() {
    for major in MAJORS {
        let database = postgres_major(major).database("corpus");
        wait(async {
            let mut connection = connect(&database).await;
            for (name, sql) in corpus::SCRIPTS {
                let script = Script::parse(sql.as_bytes(), "schema_migrations")
                    .unwrap_or_else(|defects| panic!("{name}: {defects:?}"));
                for max_bytes in [usize::MAX, 1] {
                    let chunks = script.chunks(max_bytes);
                    let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_ref()).collect();
                    let counted: Vec<usize> =
                        chunks.iter().map(|chunk| chunk.statement_count).collect();
                    let completed = completed_in_transaction(&mut connection, &texts).await;
                    assert_eq!(completed, counted, "PostgreSQL {major}, {name}: {texts:?}");
                }
            }
        });
    }
}

/// As many as can be asked in a second or two of each server.
const GENERATED: u64 = 1_000;

/// What nobody would write is counted alike, too. What a server does not take says nothing, and is rare.
#[test]
fn servers_complete_as_many_commands_of_generated_scripts() {
    for major in MAJORS {
        let database = postgres_major(major).database("generated");
        wait(async {
            let mut connection = connect(&database).await;
            let mut taken = 0;
            for seed in 0..GENERATED {
                let sql = generated::script(seed);
                let script = Script::parse(sql.as_bytes(), "schema_migrations");
                let counted = script.map(|script| script.statements().len());
                match completed(&mut connection, &sql).await {
                    Ok(completed) => {
                        taken += 1;
                        assert_eq!(
                            Ok(completed),
                            counted,
                            "PostgreSQL {major}, seed {seed}: {sql:?}"
                        );
                    }
                    Err(error) => {
                        let refused = refusal::<()>(Err(error));
                        let code = refused.as_ref().map(|(code, _)| code.as_str());
                        assert_eq!(
                            code,
                            Some("42601"),
                            "PostgreSQL {major}, seed {seed}: {sql:?}"
                        );
                    }
                }
            }
            assert!(taken > GENERATED * 3 / 4, "PostgreSQL {major} took {taken}");
        });
    }
}

#[test]
fn servers_refuse_what_only_psql_understands() {
    for major in MAJORS {
        let database = postgres_major(major).database("psql");
        wait(async {
            let mut connection = connect(&database).await;
            for sql in corpus::FOR_PSQL_ALONE {
                assert!(
                    Script::parse(sql.as_bytes(), "schema_migrations").is_err(),
                    "{sql:?}"
                );
                let code = refusal(completed(&mut connection, sql).await).map(|(code, _)| code);
                assert_eq!(
                    code.as_deref(),
                    Some("42601"),
                    "PostgreSQL {major}: {sql:?}"
                );
            }
        });
    }
}

/// Why every session is started with `standard_conforming_strings` on, whatever the database says: with it off a
/// server finds other statements in the same text.
#[test]
fn a_reader_setting_changes_what_is_a_statement() {
    let sql = corpus::DEPENDS_ON_THE_READER;
    let script = Script::parse(sql.as_bytes(), "schema_migrations").expect("a script");
    for major in MAJORS {
        let database = postgres_major(major).database("reader");
        wait(async {
            let mut connection = connect(&database).await;
            for (setting, as_we) in [("on", true), ("off", false)] {
                let set = format!("SET standard_conforming_strings = {setting}");
                completed(&mut connection, &set).await.expect("a setting");
                let found = completed(&mut connection, sql).await.expect("it runs");
                let agrees = found == script.statements().len();
                assert_eq!(agrees, as_we, "PostgreSQL {major}, {setting}: {found}");
            }
        });
    }
}

/// What the server says to a statement in a transaction block, which is left afterwards.
async fn in_transaction(connection: &mut PgConnection, sql: &str) -> Option<(String, String)> {
    let mut run = async |sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
    };
    let result = run(format!("BEGIN; {sql}")).await;
    run("ROLLBACK".to_owned())
        .await
        .expect("the session is there");
    refusal(result)
}

/// Whether that is what a statement says that must not run in a transaction block.
fn must_run_outside(refusal: Option<&(String, String)>) -> bool {
    refusal.is_some_and(|(code, message)| match code.as_str() {
        NOT_IN_A_TRANSACTION => true,
        // Looked up first; there is no publisher to subscribe to in a test.
        "42704" => message.contains("subscription"),
        // Options that a later version brought.
        "42601" => message.contains("unrecognized") || message.contains("syntax error"),
        _ => false,
    })
}

/// What PostgreSQL's `PreventInTransactionBlock` raises.
const NOT_IN_A_TRANSACTION: &str = "25001";

#[test]
fn servers_refuse_in_a_transaction_what_we_keep_out_of_it() {
    for major in MAJORS {
        let database = postgres_major(major).database("classes");
        wait(async {
            let mut connection = connect(&database).await;
            for (sql, _) in classify::OUTSIDE {
                let refusal = in_transaction(&mut connection, sql).await;
                assert!(
                    must_run_outside(refusal.as_ref()),
                    "PostgreSQL {major}: {sql}: {refusal:?}"
                );
            }
            for sql in classify::INSIDE {
                let refusal = in_transaction(&mut connection, sql).await;
                let code = refusal.as_ref().map(|(code, _)| code.as_str());
                assert_ne!(
                    code,
                    Some(NOT_IN_A_TRANSACTION),
                    "PostgreSQL {major}: {sql}: {refusal:?}"
                );
            }
        });
    }
}

/// Why a number that runs into a quote is refused: up to 14 an identifier begins behind the number, so that the
/// second statement is one; later servers see a quote or an error.
#[test]
fn servers_disagree_about_numbers_that_run_into_quotes() {
    for major in MAJORS {
        let database = postgres_major(major).database("numbers");
        for sql in [
            "select 1e$$; select 2; --$$",
            "select 1_0$$; select 2; --$$",
        ] {
            let found = wait(async { read(&mut connect(&database).await, sql).await });
            let expected = if major == 14 {
                Read::Several
            } else {
                Read::NotSql
            };
            assert_eq!(found, expected, "PostgreSQL {major}: {sql}");
        }
    }
}
