//! Versions that wait for a lock: whom for is told word for word, by whom the server shows.

use std::process::Child;
use std::time::Duration;

use schemaward::engine::outcome::{Outcome, Stop};
use schemaward::engine::run;
use schemaward::engine::sessions::{Activity, waited_for};

use crate::engine::{Run, reached};
use crate::harness::{Database, Postgres, eventually, postgres, postgres_major};

const ALTER: [(&str, &str); 1] = [("018_note_UP.sql", "ALTER TABLE orders ADD note text;")];

/// A session that holds something until this value is dropped.
pub struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it can be waited for");
    }
}

pub fn hold(database: &Database<'_>, application: &str, sql: &str) -> Held {
    Held(database.hold(application, sql))
}

fn database_with_orders<'a>(server: &'a Postgres, name: &str) -> Database<'a> {
    let database = server.database(name);
    database.exec("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)");
    database
}

/// A run of `files` that may not retry.
async fn once(database: &Database<'_>, files: &[(&str, &str)], lock_timeout: u64) -> Outcome {
    let mut run = Run::new(database, files);
    run.settings.lock_timeout = Duration::from_millis(lock_timeout);
    run.task.patience.lock_retries = 0;
    run.go().await
}

/// The message of a run that gave up, with pids and ages as letters.
#[track_caller]
fn gave_up(outcome: &Outcome) -> String {
    assert!(
        matches!(outcome.stop(), Some(Stop::LockTimeout(_))),
        "{}",
        outcome.message()
    );
    without_numbers(&outcome.message())
}

/// `pid 4711` and `for 3 s` as `pid N` and `for N s`.
pub fn without_numbers(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        let is_number = words[at].parse::<u64>().is_ok();
        if is_number && matches!(words[at - 1].as_str(), "pid" | "for" | "Waited") {
            "N".clone_into(&mut words[at]);
        }
    }
    words.join(" ")
}

#[tokio::test]
async fn who_is_idle_in_a_transaction_is_named_on_every_supported_server() {
    for major in 14..=18 {
        let database = database_with_orders(postgres_major(major), "idle");
        let holder = hold(&database, "report", "BEGIN; SELECT * FROM orders;");
        let outcome = once(&database, &ALTER, 3000).await;
        assert_eq!(
            gave_up(&outcome),
            format!(
                "018 note waits for a lock on public.orders held for N s by pid N (app \"report\", role \
                 \"{}\", idle in transaction). Nothing of 018 was applied; the database has no version \
                 yet. Gave up after 1 attempt. End that transaction, or let it end.",
                database.user
            ),
            "PostgreSQL {major}"
        );
        drop(holder);
        reached(&once(&database, &ALTER, 3000).await);
    }
}

#[tokio::test]
async fn whose_row_is_waited_for_is_named_with_its_table() {
    let database = database_with_orders(postgres(), "row");
    let _holder = hold(&database, "shop", "BEGIN; UPDATE orders SET id = 2;");
    let update = [("018_fill_UP.sql", "UPDATE orders SET id = 3;")];
    let message = gave_up(&once(&database, &update, 3000).await);
    assert!(
        message.contains("a lock on public.orders held for N s by pid N (app \"shop\""),
        "{message}"
    );
}

#[tokio::test]
async fn who_holds_the_lock_comes_before_who_queues_for_it() {
    let database = database_with_orders(postgres(), "queue");
    let _holder = hold(&database, "report", "BEGIN; SELECT * FROM orders;");
    let _queueing = Held(database.session(
        "maintenance",
        "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;",
    ));
    eventually(Duration::from_secs(30), || {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'maintenance' \
                     AND wait_event_type = 'Lock' AND datname = current_database()";
        match database.query_text(waits).as_str() {
            "1" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    let message = gave_up(&once(&database, &ALTER, 3000).await);
    assert!(
        message.contains("(app \"report\", role ") && message.contains(") and 1 other. Nothing"),
        "{message}"
    );
}

#[test]
fn who_made_it_a_deadlock_is_named() {
    use std::io::Write;
    let database = database_with_orders(postgres(), "deadlock");
    database.exec("CREATE TABLE items (id int)");
    let mut holder = hold(&database, "shop", "BEGIN; LOCK TABLE items;");
    // The circle closes after the other side has looked for one: the victim is ours.
    let script = "LOCK TABLE orders; SELECT pg_sleep(3); LOCK TABLE items;";
    let message = std::thread::scope(|scope| {
        scope.spawn(|| {
            let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'schemaward/test' \
                          AND wait_event = 'PgSleep' AND datname = current_database()";
            eventually(Duration::from_secs(30), || {
                match database.query_text(sleeps).as_str() {
                    "1" => Ok(()),
                    seen => Err(seen.to_owned()),
                }
            });
            let stdin = holder.0.stdin.as_mut().expect("stdin is piped");
            writeln!(stdin, "LOCK TABLE orders;").expect("psql reads");
        });
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let files = [("018_lock_UP.sql", script)];
        gave_up(&runtime.block_on(once(&database, &files, 10_000)))
    });
    assert!(
        message.contains("a lock on public.items held for N s by pid N (app \"shop\", role ")
            && message.contains(", waiting for a lock). Nothing of 018 was applied"),
        "{message}"
    );
}

#[tokio::test]
async fn a_prepared_transaction_is_named_on_the_oldest_and_the_newest_server() {
    for major in [14, 18] {
        let server = Postgres::start(major, &["--set=max_prepared_transactions=2"]);
        let database = database_with_orders(&server, "prepared");
        database.exec("BEGIN; SELECT * FROM orders; PREPARE TRANSACTION 'order-7'");
        let message = gave_up(&once(&database, &ALTER, 3000).await);
        assert!(
            message.contains(&format!(
                "a lock on public.orders held for N s by prepared transaction \"order-7\" (role \"{}\").",
                database.user
            )),
            "PostgreSQL {major}: {message}"
        );
        // Its row counts, too.
        database.exec("ROLLBACK PREPARED 'order-7'");
        database.exec("BEGIN; UPDATE orders SET id = 2; PREPARE TRANSACTION 'order-8'");
        let update = [("018_fill_UP.sql", "UPDATE orders SET id = 3;")];
        let message = gave_up(&once(&database, &update, 3000).await);
        assert!(
            message.contains(
                "a lock on public.orders held for N s by prepared transaction \"order-8\""
            ),
            "PostgreSQL {major}: {message}"
        );
        database.exec("ROLLBACK PREPARED 'order-8'");
    }
}

#[tokio::test]
async fn of_another_role_what_everybody_may_see_is_told() {
    let database = database_with_orders(postgres(), "foreign");
    let other = postgres().database("foreign_other");
    database.exec(&format!("GRANT SELECT ON orders TO {}", other.user));
    let elsewhere = Database {
        server: database.server,
        name: database.name.clone(),
        user: other.user.clone(),
        password: other.password.clone(),
    };
    let _holder = hold(&elsewhere, "report", "BEGIN; SELECT * FROM orders;");
    let message = gave_up(&once(&database, &ALTER, 3000).await);
    assert!(
        message.contains(&format!(
            "a lock on public.orders held by pid N (app \"report\", role \"{}\"). Nothing",
            other.user
        )),
        "{message}"
    );
}

#[tokio::test]
async fn a_version_that_is_over_soon_costs_no_second_connection() {
    let server = Postgres::start(16, &["--set=log_connections=on"]);
    let database = server.database("quick");
    let files = [
        ("001_a_UP.sql", "CREATE TABLE a ();"),
        ("002_b_UP.sql", "CREATE TABLE b ();"),
    ];
    let connections = || {
        let log = std::fs::read_to_string(&server.log).expect("the server logs");
        log.matches("connection received").count()
    };
    let before = connections();
    reached(&once(&database, &files, 5000).await);
    assert_eq!(connections() - before, 1);
}

/// Runs `wanted` and gives what the server showed of its scripts, and the outcome. Ends `holder` once something
/// was shown that `is_enough`.
async fn looked_at(
    wanted: Run,
    mut holder: Option<Held>,
    is_enough: impl Fn(&Activity) -> bool,
) -> (Vec<Activity>, Outcome) {
    let mut connection = schemaward::postgres::Postgres::connect(&wanted.settings)
        .await
        .expect("the database can be reached");
    let mut activity = connection.activity();
    let mut shown = Vec::new();
    let running = run(&mut connection, wanted.task, || true, |_| {});
    let looking = async {
        while activity.changed().await.is_ok() {
            let Some(seen) = activity.borrow_and_update().clone() else {
                continue;
            };
            if is_enough(&seen) {
                holder.take();
            }
            shown.push(seen);
        }
    };
    let outcome = tokio::select! {
        outcome = running => outcome,
        () = looking => unreachable!("the connection outlives the run"),
    };
    (shown, outcome)
}

#[tokio::test]
async fn how_far_an_index_is_can_be_seen_on_every_supported_server() {
    for major in 14..=18 {
        let database = postgres_major(major).database("percent");
        // One row a page, and a tenth of a second for each.
        database.exec(
            "CREATE TABLE wide (id int, filler text); \
             ALTER TABLE wide ALTER filler SET STORAGE PLAIN; \
             INSERT INTO wide SELECT i, repeat('x', 6000) FROM generate_series(1, 30) i; \
             CREATE FUNCTION slowly(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \
             'BEGIN PERFORM pg_sleep(0.1); RETURN $1; END'",
        );
        let index = [("001_index_UP.sql", "CREATE INDEX ON wide (slowly(id));")];
        let before = jiff::Timestamp::now();
        let (shown, outcome) = looked_at(Run::new(&database, &index), None, |_| true).await;
        reached(&outcome);
        let percents: Vec<_> = shown
            .iter()
            .filter_map(|seen| seen.index_build.as_ref())
            .filter(|build| build.phase == "building index: scanning table")
            .filter_map(|build| build.percent)
            .collect();
        assert!(
            percents.len() >= 2 && percents.is_sorted() && percents.iter().any(|p| *p > 0),
            "PostgreSQL {major}: {shown:#?}"
        );
        assert!(shown[0].since >= before && shown.iter().all(|seen| seen.since == shown[0].since));
    }
}

#[tokio::test]
async fn whom_a_concurrent_index_waits_for_can_be_seen() {
    let database = database_with_orders(postgres(), "writers");
    let writer = hold(&database, "shop", "BEGIN; INSERT INTO orders VALUES (2);");
    let index = [(
        "001_index_UP.sql",
        "CREATE INDEX CONCURRENTLY orders_id ON orders (id);",
    )];
    let mut wanted = Run::new(&database, &index);
    wanted.settings.lock_timeout = Duration::ZERO;
    let (shown, outcome) = looked_at(wanted, Some(writer), |seen| !seen.waits_for.is_empty()).await;
    reached(&outcome);
    let seen = shown
        .iter()
        .find(|seen| !seen.waits_for.is_empty())
        .expect("it waited");
    let build = seen.index_build.as_ref().expect("an index is built");
    assert_eq!(
        without_numbers(&build.to_string()),
        "waiting for writers before build, 0 of 1 over, now for pid N"
    );
    assert_eq!(
        without_numbers(&waited_for(&seen.waits_for)),
        format!(
            "a lock on public.orders held for N s by pid N (app \"shop\", role \"{}\", idle in transaction)",
            database.user
        )
    );
}
