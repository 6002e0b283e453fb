//! E: the Kubernetes API.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::http::Method;
use schemaward::api::condition::Reason;
use serde_json::json;

use super::scene::{
    Cluster, ONE, SLOW, THREE, TWO, a_while, applied, database, has, operator, peak_of, resources,
    sleeps, source, tenant,
};
use super::{Case, Expected, covered, run, slow};
use crate::harness::{Api, Database, Namespace, eventually, part};
use crate::kfault::{Fault, Kfault, Rule};
use crate::operator_rig::{
    LIMIT, Operator, Schema, Tenant, apart, condition, inline, install, resource,
};

pub const CASES: &[Case] = &[
    covered(
        "E1",
        "the API server is away when the operator starts",
        &["tests/it/operator_api_server.rs::the_api_server_may_be_away"],
    ),
    slow(
        "E2",
        "the API server answers 503 in the middle of a run: without a look at the resource for a minute, no version begins",
        &[Reason::UpToDate],
        away_in_the_middle,
    ),
    slow(
        "E3",
        "409 to three writes of status",
        &[Reason::UpToDate],
        conflicts,
    ),
    slow(
        "E4",
        "what is known is old: a watch that is silent in the middle of a run, a list from before, a watch that is over (410)",
        &[Reason::UpToDate, Reason::UpToDate],
        stale_list,
    ),
    run(
        "E6",
        "a watch stays open and delivers nothing: the interval finds the change",
        &[Reason::UpToDate],
        frozen_watch,
    ),
    run(
        "E7",
        "429 with Retry-After",
        &[Reason::UpToDate],
        too_many_requests,
    ),
    slow(
        "E8",
        "three of ten requests fail: with 500, after seven seconds, with half an answer",
        &[Reason::UpToDate],
        three_of_ten,
    ),
    slow(
        "E9",
        "the operator's token is no longer good, and a new one is in its file",
        &[Reason::UpToDate],
        rotated_token,
    ),
    run(
        "E10",
        "403 to Secrets, to events, to status",
        &[Reason::AccessDenied, Reason::UpToDate],
        forbidden,
    ),
    slow(
        "E11",
        "etcd stops: every request of the API server fails",
        &[Reason::UpToDate, Reason::UpToDate],
        etcd_stops,
    ),
    slow(
        "E12",
        "the cluster is set back to an older state, in which the list is shorter",
        &[Reason::UpToDate, Reason::DatabaseAhead, Reason::UpToDate],
        older_state,
    ),
    covered(
        "E13",
        "the resource is deleted in the middle of a run",
        &["tests/it/operator.rs::deleting_changes_no_database"],
    ),
    covered(
        "E15",
        "the namespace is deleted",
        &["tests/it/operator.rs::deleting_changes_no_database"],
    ),
    covered(
        "E17",
        "suspend in the middle of a run",
        &["tests/it/operator.rs::suspending_stops_between_versions"],
    ),
    slow(
        "E18",
        "the CRD is deleted, and comes back",
        &[Reason::UpToDate, Reason::UpToDate],
        without_crd,
    ),
    slow(
        "E20",
        "the operator's clock is two hours ahead, and jumps back by four in the middle of a run",
        &[Reason::UpToDate, Reason::UpToDate],
        wrong_clock,
    ),
    slow(
        "E21",
        "200 resources on 10 databases (1,000 on 50 measure the servers of a test, and not the operator)",
        &[],
        many_resources,
    ),
    run(
        "E22",
        "events cannot be written",
        &[Reason::UpToDate],
        without_events,
    ),
    covered(
        "E23",
        "somebody edits the conditions",
        &["tests/it/operator.rs::a_status_that_somebody_wrote_into_is_put_right"],
    ),
    covered(
        "E24",
        "somebody writes Ready True",
        &["tests/it/operator.rs::a_status_that_somebody_wrote_into_is_put_right"],
    ),
    run(
        "E25",
        "a ConfigMap alone is changed: the generation stays, the version in status tells",
        &[Reason::UpToDate],
        config_map_alone,
    ),
    covered(
        "E26",
        "an API server that does not know the CRD's rules",
        &["tests/it/crd.rs::bad_resources_are_refused_with_words_that_help"],
    ),
];

/// A namespace of the shared cluster, with a database.
fn scene(name: &str) -> (&'static Cluster, Namespace<'static>, Database<'static>) {
    let cluster = Cluster::shared();
    let namespace = cluster.tenant(name);
    let database = database(name);
    namespace.secret(&database);
    (cluster, namespace, database)
}

fn conflicts(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e3");
    let writes = Rule::on(
        Method::PATCH,
        format!("{}shop/status", resources(&namespace)),
    );
    let trouble = cluster
        .kfault
        .fault(writes.nth(|n| n < 3), Fault::Status(409));
    let manifest = resource("shop", &database, &inline(&[ONE, TWO]));
    let schema = namespace.schema("shop", &manifest);
    let status = expected.of_resource(&schema);
    assert_eq!(trouble.hits(), 3);
    assert_eq!(status["currentVersion"], "002");
    assert_eq!(applied(&database), "001 002");
}

fn stale_list(expected: &mut Expected) {
    let mut cluster = Cluster::to_break();
    let Cluster {
        api,
        kfault,
        operator: running,
    } = &mut *cluster;
    let namespace = tenant(api, "e4");
    let database = database("e4");
    namespace.secret(&database);
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[SLOW, TWO])));
    sleeps(&database);
    let frozen = kfault.freeze_watches();
    replace_source(&schema, &[SLOW]);
    // The run ends at the boundary; nothing tells the operator to look again but itself.
    eventually(LIMIT, || match applied(&database).as_str() {
        "001" => Ok(()),
        seen => Err(seen.to_owned()),
    });
    a_while();
    assert_eq!(applied(&database), "001");
    drop(frozen);
    expected.of_resource(&schema);
    assert!(!has(&database, "two"));

    // A list from before TWO, which may be undone: what counts is what a GET says.
    schema.patch(&json!({"spec": {"rollback": {"policy": "Allow"}}}));
    let restart = |running: &mut Operator| {
        running.signal("KILL");
        running.wait();
        *running = operator(kfault);
        running.leads();
    };
    restart(running);
    let down = ("002_two_DOWN.sql", "DROP TABLE two;");
    replace_source(&schema, &[SLOW, TWO, down]);
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    let list = Rule::on(Method::GET, "/databaseschemas?").nth(|_| true);
    let old = kfault.fault(list, Fault::Old);
    let frozen = kfault.freeze_watches();
    restart(running);
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
    restart(running);
    eventually(LIMIT, || if gone.hits() > 0 { Ok(()) } else { Err(()) });
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

fn frozen_watch(expected: &mut Expected) {
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

fn too_many_requests(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e7");
    let path = format!("{}shop/status", resources(&namespace));
    let busy = cluster.kfault.fault(
        Rule::on(Method::PATCH, &path).nth(|n| n < 2),
        Fault::TooManyRequests(2),
    );
    let manifest = resource("shop", &database, &inline(&[ONE]));
    let schema = namespace.schema("shop", &manifest);
    expected.of_resource(&schema);
    assert_eq!(busy.hits(), 2);
    // Each of the two was followed by the pause that it asked for.
    let writes = cluster.kfault.seen(&Rule::on(Method::PATCH, &path));
    let soon = writes
        .windows(2)
        .take(2)
        .filter(|pair| pair[1].at - pair[0].at < Duration::from_millis(1900));
    assert_eq!(soon.count(), 0, "{writes:?}");
    assert!(writes.len() <= 5, "{writes:?}");
}

fn three_of_ten(expected: &mut Expected) {
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
}

fn forbidden(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e10");
    let in_here = |what: &str| format!("/namespaces/{}/{what}", namespace.name);
    let secrets = cluster.kfault.fault(
        Rule::on(Method::GET, in_here("secrets/")),
        Fault::Status(403),
    );
    let _events = cluster.kfault.fault(
        Rule::on(Method::POST, in_here("events")),
        Fault::Status(403),
    );
    let manifest = resource("shop", &database, &inline(&[ONE]));
    let schema = namespace.schema("shop", &manifest);
    expected.of_resource(&schema);
    assert!(!has(&database, "one"));

    // Without the right to tell, it does what there is to do, once, and tells when it may.
    let status = Rule::on(
        Method::PATCH,
        format!("{}shop/status", resources(&namespace)),
    );
    let mute = cluster.kfault.fault(status, Fault::Status(403));
    drop(secrets);
    eventually(LIMIT, || {
        if has(&database, "one") {
            Ok(())
        } else {
            Err(())
        }
    });
    eventually(LIMIT, || if mute.hits() > 0 { Ok(()) } else { Err(()) });
    let audit = "SELECT count(*) FROM schemaward.audit";
    let audited = database.query_text(audit);
    a_while();
    assert_eq!(database.query_text(audit), audited);
    assert!(mute.hits() < 10, "{}", mute.hits());
    drop(mute);
    expected.of_resource(&schema);
    assert_eq!(applied(&database), "001");
}

fn without_events(expected: &mut Expected) {
    let (cluster, namespace, database) = scene("e22");
    let events = Rule::on(
        Method::POST,
        format!("/namespaces/{}/events", namespace.name),
    );
    let trouble = cluster.kfault.fault(events, Fault::Status(500));
    let manifest = resource("shop", &database, &inline(&[ONE, TWO]));
    let schema = namespace.schema("shop", &manifest);
    let began = Instant::now();
    expected.of_resource(&schema);
    eventually(LIMIT, || if trouble.hits() > 0 { Ok(()) } else { Err(()) });
    assert!(began.elapsed() < LIMIT);
    assert_eq!(applied(&database), "001 002");
    assert_eq!(schema.events(), [""; 0]);
}

fn config_map_alone(expected: &mut Expected) {
    let (_, namespace, database) = scene("e25");
    namespace.config_map("files", &[ONE]);
    let source = json!({"configMaps": [{"name": "files"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &source));
    let generation = expected.of_resource(&schema)["observedGeneration"].clone();
    namespace.config_map("files", &[ONE, TWO]);
    let status = schema.becomes("at 002", |status| status["currentVersion"] == "002");
    assert_eq!(status["observedGeneration"], generation);
}

// ---- these take long, or a cluster of their own ----------------------------------------------------------------

fn away_in_the_middle(expected: &mut Expected) {
    let cluster = Cluster::start();
    let namespace = cluster.tenant("e2");
    let database = database("e2");
    namespace.secret(&database);
    let long = (SLOW.0, "CREATE TABLE slow (id int); SELECT pg_sleep(75);");
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[long, TWO])));
    sleeps(&database);
    let troubles = [Method::GET, Method::PATCH, Method::POST, Method::PUT].map(|verb| {
        cluster
            .kfault
            .fault(Rule::on(verb, "/"), Fault::Status(503))
    });
    eventually(2 * LIMIT, || match applied(&database).as_str() {
        "001" => Ok(()),
        seen => Err(seen.to_owned()),
    });
    a_while();
    assert_eq!(applied(&database), "001", "it is not known what is wanted");
    drop(troubles);
    expected.of_resource(&schema);
    assert_eq!(applied(&database), "001 002");
}

/// A kubeconfig whose token is in a file, as a pod's is; gives both.
fn with_token_file(kubeconfig: &Path, token: &str) -> (PathBuf, PathBuf) {
    let text = std::fs::read_to_string(kubeconfig).expect("the harness wrote it");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("as JSON");
    let file = kubeconfig.with_extension("token");
    std::fs::write(&file, token).expect("the servers' folder is writable");
    config["users"][0]["user"] = json!({"tokenFile": file});
    let path = kubeconfig.with_extension("by-file.kubeconfig");
    std::fs::write(&path, config.to_string()).expect("the servers' folder is writable");
    (path, file)
}

fn rotated_token(expected: &mut Expected) {
    let api = Api::start();
    let kubeconfig = install(&api, "schemaward", &[]);
    // A token that ends with the object that it is bound to.
    let token = |name: &str| {
        let in_here =
            |arguments: &[&str]| api.kubectl(&[&["-n", "schemaward"], arguments].concat());
        in_here(&["create", "secret", "generic", name]);
        let bound = format!("--bound-object-name={name}");
        in_here(&[
            "create",
            "token",
            "schemaward",
            "--bound-object-kind=Secret",
            &bound,
        ])
    };
    let (kubeconfig, file) = with_token_file(&kubeconfig, &token("first"));
    let mut operator = Operator::start(&kubeconfig, &["--source-poll-interval=1s"]);
    operator.is_ready();
    let namespace = tenant(&api, "e9");
    let database = database("e9");
    namespace.secret(&database);
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[ONE])));
    expected.of_resource(&schema);
    api.kubectl(&["-n", "schemaward", "delete", "secret", "first"]);
    eventually(LIMIT, || match operator.http("/readyz") {
        Some(text) if text.contains("[-] API server reachable") => Ok(()),
        seen => Err(seen),
    });
    std::fs::write(&file, token("second")).expect("the servers' folder is writable");
    // A file is read again once a minute.
    eventually(2 * LIMIT, || match operator.http("/readyz") {
        Some(text) if !text.contains("[-]") => Ok(()),
        seen => Err(seen),
    });
    assert!(operator.runs());
    schema.patch(&source(&[ONE, TWO]));
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
}

fn etcd_stops(expected: &mut Expected) {
    let cluster = Cluster::start();
    let namespace = cluster.tenant("e11");
    let database = database("e11");
    namespace.secret(&database);
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[SLOW])));
    sleeps(&database);
    cluster.api.etcd("stop");
    // What was begun is finished.
    eventually(LIMIT, || match applied(&database).as_str() {
        "001" => Ok(()),
        seen => Err(seen.to_owned()),
    });
    a_while();
    cluster.api.etcd("start");
    expected.of_resource(&schema);
    schema.patch(&source(&[SLOW, TWO]));
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    expected.of_resource(&schema);
}

/// Stops API server and etcd, does something to what etcd stores, and starts both.
fn with_etcd_stopped(api: &Api, command: &str) {
    api.stop();
    api.etcd("stop");
    api.etcd(command);
    api.etcd("start");
    api.start_again();
}

fn older_state(expected: &mut Expected) {
    let cluster = Cluster::start();
    let namespace = cluster.tenant("e12");
    let database = database("e12");
    namespace.secret(&database);
    // A watch that goes on from a later time than the cluster's own hears nothing: it is the interval that finds it.
    let mut manifest = resource("shop", &database, &inline(&[ONE]));
    manifest["spec"]["interval"] = json!("2s");
    let schema = namespace.schema("shop", &manifest);
    expected.of_resource(&schema);
    with_etcd_stopped(&cluster.api, "save");
    schema.patch(&source(&[ONE, TWO]));
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    with_etcd_stopped(&cluster.api, "restore");
    // The resource is the one of before, which never heard of 002.
    let status = expected.of_resource(&schema);
    assert_eq!(status["currentVersion"], "002", "{status:#}");
    assert!(has(&database, "two"));
    schema.patch(&source(&[ONE, TWO]));
    expected.of_resource(&schema);
    assert_eq!(applied(&database), "001 002");
}

fn without_crd(expected: &mut Expected) {
    let mut cluster = Cluster::start();
    let Cluster {
        api,
        operator: running,
        ..
    } = &mut cluster;
    let namespace = tenant(api, "e18");
    let database = database("e18");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[ONE]));
    expected.of_resource(&namespace.schema("shop", &manifest));
    api.kubectl(&["delete", "crd", "databaseschemas.schemaward.dev"]);
    a_while();
    assert!(running.runs());
    assert!(has(&database, "one"));
    let crd = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/crds/schemaward.dev_databaseschemas.yaml"
    );
    api.kubectl(&["apply", "--server-side", "-f", crd]);
    api.established(&["crd/databaseschemas.schemaward.dev"]);
    expected.of_resource(&namespace.schema("shop", &manifest));
    assert_eq!(applied(&database), "001");
}

fn wrong_clock(expected: &mut Expected) {
    let apart = apart("e20");
    let kfault = Kfault::before(&apart.kubeconfig);
    let namespace = &apart.namespace;
    let database = database("e20");
    namespace.secret(&database);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clock = folder.path().join("clock");
    let set = |time: &str| std::fs::write(&clock, time).expect("the folder is writable");
    set("+2h");
    let library = part("SCHEMAWARD_FAKETIME");
    let environment = [
        ("LD_PRELOAD", library.as_path()),
        ("FAKETIME_TIMESTAMP_FILE", &clock),
        ("FAKETIME_NO_CACHE", Path::new("1")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
    ];
    let watched = format!("--watch-namespaces={}", namespace.name);
    let lease = format!("--lease-name={}", apart.release);
    let flags = [watched.as_str(), &lease, "--log-level=debug"];
    let operator = Operator::start_in(&environment, &kfault.kubeconfig, &flags);
    operator.leads();
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[SLOW, TWO])));
    sleeps(&database);
    // Its own time stamps show that it believes in another time.
    let ahead = |log: &str| {
        log.lines()
            .last()
            .is_some_and(|line| !line.contains(&this_hour(&database)))
    };
    assert!(ahead(&operator.log()), "{}", operator.log());
    set("-2h");
    expected.of_resource(&schema);
    assert_eq!(applied(&database), "001 002");
    // What is recorded is the server's: its time, and no time that is negative.
    let recorded = "SELECT count(*) FROM schema_migrations
        WHERE execution_time_ms >= 0 AND applied_at BETWEEN now() - interval '5 min' AND now()";
    assert_eq!(database.query_text(recorded), "2");
    set("+2h");
    schema.patch(&source(&[SLOW, TWO, THREE]));
    schema.becomes("at 003", |status| status["currentVersion"] == "003");
    expected.of_resource(&schema);
    assert!(
        operator
            .http("/readyz")
            .is_some_and(|text| text.contains("leading"))
    );
}

/// The hour that it is, as a log has it.
fn this_hour(database: &Database<'_>) -> String {
    database.query_text(r#"SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:')"#)
}

fn many_resources(_: &mut Expected) {
    let cluster = Cluster::start();
    let namespace = cluster.tenant("e21");
    let databases: Vec<Database<'_>> = (0..10).map(|_| database("e21")).collect();
    let mut objects = Vec::new();
    for (number, database) in databases.iter().enumerate() {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("db-{number}")},
            "stringData": {"password": database.password},
        }));
        for history in 0..20 {
            let table = format!("history_{history}");
            let script = format!("CREATE TABLE of_{history} (id int);");
            let files = [("001_one_UP.sql", script.as_str())];
            let mut one = resource(&format!("r{number}-{history}"), database, &inline(&files));
            one["spec"]["connection"]["password"] =
                json!({"secretKeyRef": {"name": format!("db-{number}"), "key": "password"}});
            one["spec"]["history"] = json!({"schema": "public", "table": table});
            objects.push(one);
        }
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let peak = || peak_of(cluster.operator.pid()).expect("it runs");
    let before = peak();
    let began = Instant::now();
    namespace.apply(&list.to_string());
    eventually(15 * LIMIT, || {
        let ready = [
            "get",
            "dbs",
            "--no-headers",
            "-o",
            "custom-columns=R:.status.conditions[0].reason",
        ];
        let reasons = namespace.kubectl(&ready);
        match reasons
            .lines()
            .filter(|reason| *reason == "UpToDate")
            .count()
        {
            200 => Ok(()),
            count => Err(count),
        }
    });
    println!(
        "E21: 200 resources Ready after {} s, {before} MiB before, {} MiB at most",
        began.elapsed().as_secs(),
        peak()
    );
    for database in &databases {
        let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'of\\_%'";
        assert_eq!(database.query_text(tables), "20");
    }
    assert!(peak() < 300, "{} MiB, as an unoptimised build", peak());
}
