//! Windows in which scripts may run, on a real API server, a real PostgreSQL and the real clock.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, Unit};
use serde_json::{Value, json};

use crate::harness::{eventually, postgres};
use crate::operator_rig::{LIMIT, Tenant, apart, cluster, condition, inline, resource};

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");

/// The minute that `time` is in.
fn minute(time: Timestamp) -> Timestamp {
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC);
    let second = i64::from(zoned.second());
    let start = time.checked_sub(second.seconds()).expect("a time");
    Timestamp::from_second(start.as_second()).expect("a time")
}

/// A window that opens at this minute, once a day.
fn window(opens: Timestamp, duration: &str) -> Value {
    let clock = opens.to_zoned(jiff::tz::TimeZone::UTC);
    json!([{"schedule": clock.strftime("%-M %-H * * *").to_string(), "duration": duration}])
}

/// Never soon, and not within the time of a test.
fn leap_day() -> Value {
    json!([{"schedule": "0 2 29 2 *", "duration": "1h", "timeZone": "Europe/Berlin", "appliesTo": "Risky"}])
}

fn message(status: &Value) -> String {
    let ready = condition(status, "Ready");
    ready["message"].as_str().expect("a message").to_owned()
}

#[test]
fn a_plan_waits_for_its_window_and_runs_when_it_opens_also_under_another_operator() {
    let database = postgres().database("window_opens");
    let place = apart("window-opens");
    place.namespace.secret(&database);
    let operator = place.operator(&[]);
    // The next minute that leaves time to see it wait.
    let soon = Timestamp::now() + 20.seconds();
    let opens = minute(soon) + 1.minute();
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["windows"] = window(opens, "30m");
    let schema = place.namespace.schema("shop", &manifest);
    let status = schema.reaches("OutsideWindow");
    assert_eq!(condition(&status, "Ready")["status"], "False");
    assert_eq!(condition(&status, "Stalled"), Value::Null);
    assert_eq!(condition(&status, "Reconciling"), Value::Null);
    assert_eq!(status["nextWindowTime"], opens.to_string());
    assert_eq!(status["plan"]["scriptCount"], 1);
    assert_eq!(status["pendingCount"], 1);
    // Nothing was written, not even who owns the database.
    assert_eq!(
        database.query_text("SELECT to_regclass('schemaward.audit') IS NULL"),
        "t"
    );
    drop(operator);
    let _other = place.operator(&[]);
    // Its interval is ten minutes: it is the opening that it wakes for.
    eventually(LIMIT + Duration::from_secs(20), || {
        match condition(&schema.status(), "Ready") {
            ready if ready["reason"] == "UpToDate" => Ok(()),
            ready => Err(ready),
        }
    });
    let status = schema.status();
    assert_eq!(status["currentVersion"], "001");
    assert_eq!(status["nextWindowTime"], Value::Null);
    let began = "SELECT min(at) >= '".to_owned() + &opens.to_string() + "' FROM schemaward.audit";
    assert_eq!(database.query_text(&began), "t");
}

#[test]
fn a_version_that_runs_when_the_window_closes_is_finished_and_no_other_begins() {
    let database = postgres().database("window_closes");
    let namespace = cluster().tenant("window-closes");
    namespace.secret(&database);
    let now = Timestamp::now();
    let opened = minute(now);
    // Time enough to begin.
    let (duration, closes) = match now.duration_since(opened).as_secs() {
        0..40 => ("1m", opened + 1.minute()),
        _ => ("2m", opened + 2.minutes()),
    };
    let left = closes.since((Unit::Second, now)).expect("a span");
    let seconds = left.get_seconds() + 2;
    let slow = format!("CREATE TABLE widgets (id int); SELECT pg_sleep({seconds});");
    let files = [
        ("001_widgets_UP.sql", slow.as_str()),
        ("002_gadgets_UP.sql", "CREATE TABLE gadgets (id int);"),
    ];
    let mut manifest = resource("shop", &database, &inline(&files));
    manifest["spec"]["windows"] = window(opened, duration);
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("Applying");
    eventually(LIMIT * 2, || match condition(&schema.status(), "Ready") {
        ready if ready["reason"] == "OutsideWindow" => Ok(()),
        ready => Err(ready),
    });
    let status = schema.status();
    assert_eq!(status["currentVersion"], "001");
    assert_eq!(status["pendingCount"], 1);
    let said = message(&status);
    let what = "The plan to apply 002 gadgets, 1 statement, waits for the window that opens ";
    assert!(said.starts_with(what), "{said}");
    let ran = "001 widgets was applied and is recorded; the database is at 001.";
    assert!(said.contains(ran), "{said}");
    assert_eq!(status["nextWindowTime"], (opened + 24.hours()).to_string());
}

/// What is left of a way back needs an approval of its own, whose hash is there at once.
#[test]
fn what_a_window_leaves_of_a_way_back_can_be_approved_at_once() {
    let database = postgres().database("window_back");
    let namespace = cluster().tenant("window-back");
    namespace.secret(&database);
    let now = Timestamp::now();
    let opened = minute(now);
    // Time enough to apply, to approve and to begin.
    let (duration, closes) = match now.duration_since(opened).as_secs() {
        0..30 => ("1m", opened + 1.minute()),
        _ => ("2m", opened + 2.minutes()),
    };
    let slow = format!(
        "SELECT pg_sleep_until('{}'); DROP TABLE gadgets;",
        closes + 1.second()
    );
    let files = [
        WIDGETS,
        ("001_widgets_DOWN.sql", "DROP TABLE widgets;"),
        ("002_gadgets_UP.sql", "CREATE TABLE gadgets (id int);"),
        ("002_gadgets_DOWN.sql", slow.as_str()),
        ("000_none_UP.sql", "SELECT 1;"),
    ];
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&files)));
    schema.reaches("UpToDate");
    schema.patch(&json!({"spec": {
        "targetVersion": "000",
        "rollback": {"policy": "Allow"},
        "approval": {"required": "Down"},
        "windows": window(opened, duration),
    }}));
    let hash = |status: &Value| status["plan"]["hash"].as_str().expect("a hash").to_owned();
    let whole = hash(&schema.reaches("AwaitingApproval"));
    let approval = format!("schemaward.dev/approve={whole}");
    namespace.kubectl(&["annotate", "dbs", "shop", &approval]);
    schema.reaches("RollingBack");
    // Its interval is ten minutes, and no window opens before tomorrow.
    eventually(LIMIT * 3, || {
        let status = schema.status();
        let waits = condition(&status, "Ready")["reason"] == "AwaitingApproval";
        if waits && status["currentVersion"] == "001" {
            Ok(())
        } else {
            Err(status)
        }
    });
    let status = schema.status();
    assert_ne!(hash(&status), whole);
    assert_eq!(status["plan"]["scriptCount"], 1);
    let told = schema.events();
    assert!(
        told.iter()
            .any(|event| event.starts_with("Normal OutsideWindow")),
        "{told:#?}"
    );
}

#[test]
fn only_a_risky_plan_waits_for_a_window_that_is_for_such() {
    let database = postgres().database("window_risky");
    let namespace = cluster().tenant("window-risky");
    namespace.secret(&database);
    let manifest = |files: &[(&str, &str)], windows: &Value| {
        let mut manifest = resource("shop", &database, &inline(files));
        manifest["spec"]["windows"] = windows.clone();
        manifest
    };
    let schema = namespace.schema("shop", &manifest(&[WIDGETS], &leap_day()));
    schema.reaches("UpToDate");
    let rewrite = (
        "002_wide_UP.sql",
        "ALTER TABLE widgets ALTER COLUMN id TYPE bigint;",
    );
    namespace.schema("shop", &manifest(&[WIDGETS, rewrite], &leap_day()));
    let status = schema.reaches("OutsideWindow");
    assert_eq!(status["plan"]["statements"][0]["impact"], "rewrite");
    let said = message(&status);
    assert!(
        said.contains("(Tue 2028-02-29 02:00 Europe/Berlin)"),
        "{said}"
    );
    assert_eq!(status["nextWindowTime"], "2028-02-29T01:00:00Z");
    schema.ask("again");
    schema.becomes("looked at again", |status| {
        status["lastHandledReconcile"] == "again"
    });
    let told = |reason: &str| {
        let events = schema.events();
        let about = events.iter().filter(|event| event.starts_with(reason));
        about.count()
    };
    eventually(LIMIT, || match told("Normal OutsideWindow") {
        1 => Ok(()),
        count => Err(count),
    });

    let nowhere =
        json!([{"schedule": "0 2 * * *", "duration": "1h", "timeZone": "Europe/Nowhere"}]);
    namespace.schema("shop", &manifest(&[WIDGETS, rewrite], &nowhere));
    let said = message(&schema.reaches("InvalidSpec"));
    let wrong = "spec.windows.timeZone: \"Europe/Nowhere\" is no time zone";
    assert!(said.contains(wrong), "{said}");

    schema.patch(&json!({"spec": {"windows": null}}));
    assert_eq!(schema.reaches("UpToDate")["currentVersion"], "002");
    assert_eq!(told("Normal OutsideWindow"), 1);
}
