//! E: the API server is away, old, or trusts the operator no more; these take long, or a cluster of their own.

use super::*;

pub(super) fn away_in_the_middle(expected: &mut Expected) {
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
    has_applied(&database, "001");
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

pub(super) fn rotated_token(expected: &mut Expected) {
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

pub(super) fn etcd_stops(expected: &mut Expected) {
    let cluster = Cluster::start();
    let namespace = cluster.tenant("e11");
    let database = database("e11");
    namespace.secret(&database);
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[SLOW])));
    sleeps(&database);
    cluster.api.etcd("stop");
    // What was begun is finished.
    has_applied(&database, "001");
    // It cannot renew its Lease.
    eventually(LIMIT, || match cluster.operator.http("/readyz") {
        Some(text) if text.contains("standing by") => Ok(()),
        seen => Err(seen),
    });
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

pub(super) fn older_state(expected: &mut Expected) {
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

pub(super) fn without_crd(expected: &mut Expected) {
    let mut cluster = Cluster::start();
    let Parts {
        api,
        operator: running,
        namespace,
        database,
        ..
    } = Parts::of(&mut cluster, "e18");
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

pub(super) fn wrong_clock(expected: &mut Expected) {
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

pub(super) fn many_resources(_: &mut Expected) {
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
    let mut most = 0;
    eventually(15 * LIMIT, || {
        most = most.max(sessions_on_one_database());
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
        "E21: 200 resources Ready after {} s, {before} MiB before, {} MiB at most, {most} sessions on a database",
        began.elapsed().as_secs(),
        peak()
    );
    // Who waits for a turn has no connection: one runs, one looks at how far that is, and some are about to end.
    assert!(most <= 5, "{most} sessions on one database");
    for database in &databases {
        let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'of\\_%'";
        assert_eq!(database.query_text(tables), "20");
    }
    assert!(peak() < 300, "{} MiB, as an unoptimised build", peak());
}

/// The most sessions of ours that one of the case's databases has now.
fn sessions_on_one_database() -> usize {
    let counted = postgres().admin_exec(
        "SELECT coalesce(max(sessions), 0) FROM (
             SELECT count(*) AS sessions FROM pg_stat_activity
             WHERE application_name LIKE 'schemaward/%' AND datname LIKE 'e21%' GROUP BY datname) AS counted",
    );
    counted.parse().expect("a number")
}
