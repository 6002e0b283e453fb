//! E: what the API server answers to reads and writes.

use super::*;

pub(super) fn conflicts(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e3");
    let writes = status_writes(&namespace).nth(|n| n < 3);
    let trouble = cluster.kfault.fault(writes, Fault::Status(409));
    let manifest = resource("shop", &database, &inline(&[ONE, TWO]));
    let schema = namespace.schema("shop", &manifest);
    let status = expected.of_resource(&schema);
    assert_eq!(trouble.hits(), 3);
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(applied(&database), "001 002");
}

pub(super) fn stale_list(expected: &mut Expected) {
    let mut cluster = Cluster::to_break();
    let Parts {
        kfault,
        operator: running,
        namespace,
        database,
        ..
    } = Parts::of(&mut cluster, "e4");
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[SLOW, TWO])));
    sleeps(&database);
    let frozen = kfault.freeze_watches();
    replace_source(&schema, &[SLOW]);
    // The run ends at the boundary; nothing tells the operator to look again but itself.
    has_applied(&database, "001");
    a_while();
    assert_eq!(applied(&database), "001");
    drop(frozen);
    expected.of_resource(&schema);
    assert!(!has(&database, "two"));

    // A list from before TWO, which may be undone: what counts is what a GET says.
    schema.patch(&json!({"spec": {"rollback": {"policy": "Allow"}}}));
    replace(running, kfault);
    let down = ("002_two_DOWN.sql", "DROP TABLE two;");
    replace_source(&schema, &[SLOW, TWO, down]);
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    let list = Rule::on(Method::GET, "/databaseschemas?").nth(|_| true);
    let old = kfault.fault(list, Fault::Old);
    let frozen = kfault.freeze_watches();
    replace(running, kfault);
    let looked = format!(
        "schemaward_resource_reason{{namespace=\"{}\",name=\"shop\",reason=\"UpToDate\"}} 1",
        namespace.name
    );
    eventually(LIMIT, || match running.http("/metrics") {
        Some(metrics) if metrics.contains(&looked) => Ok(()),
        seen => Err(seen),
    });
    assert!(old.hits() > 0);
    assert!(has(&database, "two"));
    drop((old, frozen));
    // And a watch that has to begin anew.
    let gone = kfault.fault(
        Rule::on(Method::GET, "watch=true").nth(|n| n < 1),
        Fault::Status(410),
    );
    replace(running, kfault);
    has_struck(&gone);
    replace_source(&schema, &[SLOW, TWO, down, THREE]);
    schema.becomes("at 003", |status| status["currentVersion"] == "003");
    expected.of_resource(&schema);
}

fn replace_source(schema: &Schema<'_>, files: &[(&str, &str)]) {
    let patch = json!([{"op": "replace", "path": "/spec/source", "value": inline(files)}]);
    patch_json(schema, &patch);
}

fn patch_json(schema: &Schema<'_>, patch: &serde_json::Value) {
    let patch = patch.to_string();
    let arguments = ["patch", "dbs", schema.name, "--type=json", "-p", &patch];
    schema.namespace.kubectl(&arguments);
}

pub(super) fn frozen_watch(expected: &mut Expected) {
    let cluster = Cluster::to_break();
    let namespace = cluster.tenant("e6");
    let database = database("e6");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[ONE]));
    manifest["spec"]["interval"] = json!("2s");
    let schema = namespace.schema("shop", &manifest);
    expected.of_resource(&schema);
    let _frozen = cluster.kfault.freeze_watches();
    schema.patch(&source(&[ONE, TWO]));
    let status = schema.becomes("at 002", |status| status["currentVersion"] == "002");
    assert_eq!(condition(&status, "Ready")["status"], "True");
    // It would be looked at every two seconds until the end of the tests.
    namespace.kubectl(&["delete", "dbs", "shop"]);
}

pub(super) fn too_many_requests(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e7");
    let writes = status_writes(&namespace).nth(|n| n < 2);
    let busy = cluster.kfault.fault(writes, Fault::TooManyRequests(2));
    let manifest = resource("shop", &database, &inline(&[ONE]));
    let schema = namespace.schema("shop", &manifest);
    expected.of_resource(&schema);
    assert_eq!(busy.hits(), 2);
    // Each of the two was followed by the pause that it asked for.
    let writes = cluster.kfault.seen(&status_writes(&namespace));
    let soon = writes
        .windows(2)
        .take(2)
        .filter(|pair| pair[1].at - pair[0].at < Duration::from_millis(1900));
    assert_eq!(soon.count(), 0, "{writes:?}");
    assert!(writes.len() <= 5, "{writes:?}");
}

pub(super) fn three_of_ten(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e8");
    let in_here = |what: &str| format!("/namespaces/{}/{what}", namespace.name);
    let troubles = [
        (Method::GET, in_here("databaseschemas"), Fault::Status(500)),
        (
            Method::GET,
            in_here("secrets"),
            Fault::Delay(Duration::from_secs(7)),
        ),
        (Method::PATCH, in_here("databaseschemas"), Fault::CutBody),
    ]
    .map(|(verb, path, fault)| {
        let rule = Rule::on(verb, path).nth(|n| n % 10 < 3);
        cluster.kfault.fault(rule, fault)
    });
    let manifest = resource("shop", &database, &inline(&[ONE, TWO, THREE]));
    let schema = namespace.schema("shop", &manifest);
    let status = expected.of_resource(&schema);
    assert_eq!(status["currentVersion"], "003");
    assert_eq!(applied(&database), "001 002 003");
    assert!(troubles.iter().all(|trouble| trouble.hits() > 0));
    // Also when nobody heard that the status was written, somebody is told what ran: once.
    let told = || {
        let events = schema.events();
        let ran = events.iter().filter(|event| {
            event.starts_with("Normal UpToDate at version 003. Applied: 001 one in ")
        });
        ran.count()
    };
    eventually(LIMIT, || match told() {
        0 => Err(schema.events()),
        _ => Ok(()),
    });
    // The Event of an attempt is there before the next attempt begins: two more tell it no second time.
    drop(troubles);
    for asked in ["again", "and again"] {
        schema.ask(asked);
        schema.becomes("asked", |status| status["lastHandledReconcile"] == asked);
    }
    assert_eq!(told(), 1);
}

pub(super) fn forbidden(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e10");
    let reads = Rule::on(
        Method::GET,
        format!("/namespaces/{}/secrets/", namespace.name),
    );
    let secrets = cluster.kfault.fault(reads, Fault::Status(403));
    let _events = cluster
        .kfault
        .fault(event_writes(&namespace), Fault::Status(403));
    let manifest = resource("shop", &database, &inline(&[ONE]));
    let schema = namespace.schema("shop", &manifest);
    expected.of_resource(&schema);
    assert!(!has(&database, "one"));

    // Without the right to tell, it does what there is to do, once, and tells when it may.
    let mute = cluster
        .kfault
        .fault(status_writes(&namespace), Fault::Status(403));
    drop(secrets);
    eventually(LIMIT, || {
        if has(&database, "one") {
            Ok(())
        } else {
            Err(())
        }
    });
    has_struck(&mute);
    let audit = "SELECT count(*) FROM schemaward.audit";
    let audited = database.query_text(audit);
    a_while();
    assert_eq!(database.query_text(audit), audited);
    assert!(mute.hits() < 10, "{}", mute.hits());
    drop(mute);
    expected.of_resource(&schema);
    assert_eq!(applied(&database), "001");
}

pub(super) fn without_events(expected: &mut Expected) {
    refused_events(expected);
    unanswered_events(expected);
}

fn refused_events(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e22");
    let trouble = cluster
        .kfault
        .fault(event_writes(&namespace), Fault::Status(500));
    let manifest = resource("shop", &database, &inline(&[ONE, TWO]));
    let schema = namespace.schema("shop", &manifest);
    let began = Instant::now();
    expected.of_resource(&schema);
    has_struck(&trouble);
    assert!(began.elapsed() < LIMIT);
    assert_eq!(applied(&database), "001 002");
    // It goes on with its work.
    schema.patch(&source(&[ONE, TWO, THREE]));
    schema.becomes("at 003", |status| status["currentVersion"] == "003");
    assert_eq!(applied(&database), "001 002 003");
    assert_eq!(schema.events(), [""; 0]);
}

/// A history that another program wrote: to take it over is news, which an event tells while the run goes on.
const FOREIGN: &str = "CREATE TABLE one (id int);
    CREATE TABLE schema_migrations (version VARCHAR(255) PRIMARY KEY, name VARCHAR(255) NOT NULL,
        applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, execution_time_ms INTEGER, checksum VARCHAR(64));
    INSERT INTO schema_migrations (version, name) VALUES ('001', 'one')";

/// An event is waited for 5 s. Connection and lock are gone long before that.
fn unanswered_events(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e22b");
    database.exec(FOREIGN);
    let held = cluster.kfault.fault(event_writes(&namespace), Fault::Hold);
    let manifest = resource("shop", &database, &inline(&[ONE, TWO]));
    let schema = namespace.schema("shop", &manifest);
    has_struck(&held);
    let began = Instant::now();
    has_applied(&database, "001 002");
    at_rest(&database);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    drop(held);
    expected.of_resource(&schema);
}

pub(super) fn config_map_alone(expected: &mut Expected) {
    let (_, namespace, database) = scene("e25");
    namespace.config_map("files", &[ONE]);
    let source = json!({"configMaps": [{"name": "files"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &source));
    let generation = expected.of_resource(&schema)["observedGeneration"].clone();
    namespace.config_map("files", &[ONE, TWO]);
    let status = schema.becomes("at 002", |status| status["currentVersion"] == "002");
    assert_eq!(status["observedGeneration"], generation);
}
