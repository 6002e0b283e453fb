//! J: a hostile resource, tenant or server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use schemaward::api::condition::Reason;
use serde_json::{Value, json};

use super::scene::{Cluster, ONE, applied, database, has};
use super::{Attempt, Case, Content, Expected, Why, content, covered, excluded, run};
use crate::harness::{Database, eventually};
use crate::operator_rig::{LIMIT, Tenant, condition, inline, resource};

pub const CASES: &[Case] = &[
    run(
        "J1",
        "a reference to another namespace's Secret",
        &[Reason::SecretNotFound],
        other_namespace,
    ),
    run(
        "J2",
        "options of a connection string in the fields of a connection",
        &[Reason::InvalidSpec, Reason::DatabaseNotFound, Reason::AuthenticationFailed],
        connection_options,
    ),
    covered(
        "J3",
        "libpq's variables in the environment",
        &["tests/it/cli.rs::the_password_may_come_from_a_file_and_libpq_has_no_say"],
    ),
    run(
        "J4",
        "a Unix socket as the host",
        &[Reason::InvalidSpec, Reason::InvalidSpec],
        socket_as_host,
    ),
    covered(
        "J6",
        "addresses of the cloud and of the cluster as the host",
        &[
            "tests/it/hosts.rs::metadata_services_and_the_api_server_are_never_dialled",
            "tests/it/hosts.rs::loopback_is_dialled_only_if_the_operator_was_started_so",
        ],
    ),
    run(
        "J7",
        "ports that are closed, silent, or somebody else's: one reason, and no word of what answered",
        &[
            Reason::DatabaseUnreachable,
            Reason::DatabaseUnreachable,
            Reason::DatabaseUnreachable,
        ],
        other_ports,
    ),
    excluded(
        "J8",
        "the host is the tenant's own server, which asks for the password as it is or as MD5",
        Why::Decided,
        "the driver answers both; verified TLS is the answer, and docs/security.md says so (decision 22)",
    ),
    content(
        "J9",
        "files and programs of the database's host, as a role without special rights",
        &[Reason::PermissionDenied],
        &[
            on_the_host(&[("001_case_UP.sql", b"CREATE TABLE effect (t text);\nCOPY effect FROM PROGRAM 'id';")]),
            on_the_host(&[("001_case_UP.sql", b"CREATE TABLE effect (t text);\nCOPY effect TO PROGRAM 'cat';")]),
            on_the_host(&[("001_case_UP.sql", b"CREATE TABLE effect (t text);\nCOPY effect FROM '/etc/passwd';")]),
            on_the_host(&[("001_case_UP.sql", b"CREATE TABLE effect (t text);\nSELECT pg_read_file('/etc/passwd');")]),
            on_the_host(&[("001_case_UP.sql", b"CREATE TABLE effect (t text);\nSELECT lo_import('/etc/passwd');")]),
        ],
    ),
    run(
        "J11",
        "line ends and control sequences in what is logged",
        &[Reason::MigrationFailed],
        forged_log,
    ),
    covered(
        "J13",
        "what the operator's account may do",
        &[
            "tests/it/chart.rs::by_default_it_reads_secrets_only_where_it_was_let",
            "tests/it/chart.rs::with_watch_namespaces_it_may_nothing_elsewhere",
        ],
    ),
    covered(
        "J14",
        "a great many resources: E21 has as many as the servers of a test can take",
        &["tests/faults/matrix/driver.rs::every_case_comes_to_what_is_expected"],
    ),
    excluded(
        "J15",
        "whether a Secret exists is told by the reason",
        Why::NotInTheProduct,
        "no issue asks for labels on Secrets; who may write a resource may as well read the Secrets of its namespace",
    ),
    excluded(
        "J16",
        "a server whose messages have no end",
        Why::Decided,
        "the driver has no limit for a message; verified TLS is the answer, and docs/security.md says so (decision 22)",
    ),
    content(
        "J17",
        "a history that its owner prepared: triggers, rules, row level security, a view",
        &[Reason::HistoryUnreadable],
        &[
            prepared("CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                      CREATE TABLE schema_migrations (version text PRIMARY KEY, name text, applied_at timestamptz,
                        execution_time_ms bigint, checksum text);
                      CREATE TRIGGER t BEFORE INSERT ON schema_migrations FOR EACH ROW EXECUTE FUNCTION f();
                      ALTER TABLE schema_migrations OWNER TO {user}"),
            prepared("CREATE TABLE schema_migrations (version text PRIMARY KEY, name text, applied_at timestamptz,
                        execution_time_ms bigint, checksum text);
                      CREATE RULE r AS ON INSERT TO schema_migrations DO INSTEAD NOTHING;
                      ALTER TABLE schema_migrations OWNER TO {user}"),
            prepared("CREATE TABLE schema_migrations (version text PRIMARY KEY, name text, applied_at timestamptz,
                        execution_time_ms bigint, checksum text);
                      ALTER TABLE schema_migrations ENABLE ROW LEVEL SECURITY;
                      ALTER TABLE schema_migrations OWNER TO {user}"),
            prepared("CREATE VIEW schema_migrations AS SELECT relname::text AS version, relname::text AS name, now() AS applied_at,
                        1::bigint AS execution_time_ms, relname::text AS checksum FROM pg_class WHERE false;
                      ALTER VIEW schema_migrations OWNER TO {user}"),
        ],
    ),
    excluded(
        "J18",
        "who may set the annotations that decide something",
        Why::NotInTheProduct,
        "no issue asks for admission policies; who may edit a resource decides for it, and docs/security.md says so",
    ),
    content(
        "J19",
        "the ConfigMap is edited by somebody who may not edit the resource",
        &[Reason::ChecksumMismatch],
        &[Content {
            files: &[("001_case_UP.sql", b"CREATE TABLE effect ();")],
            spec: &[(
                "/versions",
                "[{\"version\": \"001\", \"checksum\": {\"up\": \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}}]",
            )],
            says: &["001"],
            ..Content::PLAIN
        }],
    ),
    excluded(
        "J20",
        "the tag of an OCI image is moved",
        Why::NotInTheProduct,
        "migrations come from ConfigMaps and from the resource; no issue asks for OCI",
    ),
    run(
        "J21",
        "everything is logged, and a password is in none of it",
        &[Reason::AuthenticationFailed, Reason::UpToDate],
        secrets_at_trace,
    ),
    run(
        "J22",
        "what other processes of the host see of the operator: arguments and environment",
        &[Reason::UpToDate],
        seen_from_outside,
    ),
    run(
        "J23",
        "labels of metrics",
        &[Reason::UpToDate],
        metric_labels,
    ),
    covered(
        "J24",
        "a resource with too many or too long values",
        &["tests/it/crd.rs::bad_resources_are_refused_with_words_that_help"],
    ),
    run(
        "J25",
        "no webhook: none is installed",
        &[],
        no_webhook,
    ),
    run(
        "J26",
        "a megabyte of what makes a parser slow",
        &[],
        hard_to_parse,
    ),
    run(
        "J27",
        "the operator's HTTP endpoint tells no more than it should",
        &[],
        http_endpoint,
    ),
];

const fn on_the_host(files: &'static [(&'static str, &'static [u8])]) -> Content {
    Content {
        files,
        says: &["line 2, column 1", "42501"],
        hides: &["root:"],
        ..Content::PLAIN
    }
}

const fn prepared(before: &'static str) -> Content {
    Content {
        before,
        files: &[("001_case_UP.sql", b"CREATE TABLE effect ();")],
        after: (
            "SELECT to_regclass('effect') IS NULL AND to_regclass('schemaward.audit') IS NULL",
            "t",
        ),
        ..Content::PLAIN
    }
}

fn other_namespace(expected: &mut Expected) {
    let cluster = Cluster::shared();
    let (theirs, ours) = (cluster.tenant("j1-theirs"), cluster.tenant("j1-ours"));
    let database = database("j1");
    theirs.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[ONE]));
    manifest["spec"]["connection"]["password"] =
        json!({"secretKeyRef": {"name": "db", "key": "password", "namespace": theirs.name}});
    let strict = ours.api.try_kubectl(
        &["-n", &ours.name, "create", "-f", "-"],
        &manifest.to_string(),
    );
    let said = String::from_utf8_lossy(&strict.stderr).into_owned();
    assert!(
        !strict.status.success() && said.contains("unknown field"),
        "{said}"
    );
    let lax = ["-n", &ours.name, "create", "--validate=false", "-f", "-"];
    let lax = ours.api.try_kubectl(&lax, &manifest.to_string());
    assert!(lax.status.success(), "{lax:?}");
    let schema = crate::operator_rig::Schema {
        namespace: &ours,
        name: "shop",
    };
    expected.of_resource(&schema);
    assert!(
        !schema.get()["spec"].to_string().contains(&theirs.name),
        "the API server drops it"
    );
}

fn connection_options(expected: &mut Expected) {
    let database = database("j2");
    let attempt = Attempt::at(&database, &[ONE]);
    let options = "sslrootcert=/etc/passwd sslkey=/etc/shadow";
    let verdict = expected.of_attempt(&attempt.clone().host(&format!("127.0.0.1 {options}")));
    assert!(
        verdict.message.contains("Nothing was connected to."),
        "{}",
        verdict.message
    );
    // They are names, whatever they look like.
    let field = |name: &str, value: &str| {
        let pointer = format!("/connection/{name}");
        attempt
            .clone()
            .with(&pointer, json!({"value": format!("{value} {options}")}))
    };
    expected.of_attempt(&field("database", &database.name));
    expected.of_attempt(&field("username", &database.user));
    assert_eq!(applied(&database), "");
}

fn socket_as_host(expected: &mut Expected) {
    let database = database("j4");
    for host in ["/var/run/postgresql", "@abstract"] {
        expected.of_attempt(&Attempt::at(&database, &[ONE]).host(host));
    }
}

/// Something that listens on a port of loopback, takes one connection after the other and says the same to each.
fn listener(says: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            answer(stream, says);
        }
    });
    port
}

fn answer(mut stream: TcpStream, says: &str) {
    // Whoever hangs up before is served, too.
    let _ = stream.read(&mut [0; 1024]);
    let _ = stream.write_all(says.as_bytes());
}

fn other_ports(expected: &mut Expected) {
    let database = database("j7");
    let http = "HTTP/1.1 400 Bad Request\r\nServer: banner-canary\r\n\r\n";
    let ssh = "SSH-2.0-banner-canary\r\n";
    for port in [1, listener(http), listener(ssh)] {
        let verdict = expected.of_attempt(&Attempt::at(&database, &[ONE]).through(port));
        let message = verdict.message;
        assert!(
            !message.contains("canary") && !message.contains("HTTP"),
            "{message}"
        );
    }
}

/// What the shared operator logged, line by line.
fn log_lines() -> Vec<Value> {
    let log = Cluster::shared().operator.log();
    let lines = BufReader::new(log.as_bytes()).lines();
    lines
        .map_while(Result::ok)
        .map(|line| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn forged_log(expected: &mut Expected) {
    let namespace = Cluster::shared().tenant("j11");
    let database = database("j11");
    namespace.secret(&database);
    let forged =
        r#"DO $$ BEGIN RAISE EXCEPTION E'x\n{"level":"ERROR","message":"forged"}\x1b[2J'; END $$;"#;
    let files = [("001_forged_UP.sql", forged)];
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&files)));
    let status = expected.of_resource(&schema);
    let message = condition(&status, "Ready")["message"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(!message.chars().any(char::is_control), "{message:?}");
    // Each line is an object, and none of them is the script's.
    eventually(LIMIT, || {
        let lines = log_lines();
        assert!(lines.iter().all(|line| line["message"] != "forged"));
        if lines.iter().any(|line| line.to_string().contains("forged")) {
            Ok(())
        } else {
            Err(lines.len())
        }
    });
}

fn secrets_at_trace(expected: &mut Expected) {
    let cluster = Cluster::shared();
    let namespace = cluster.tenant("j21");
    let database = database("j21");
    let canary = "canary/p@ss word+1";
    let wrong = Database {
        server: database.server,
        name: database.name.clone(),
        user: database.user.clone(),
        password: format!("{canary} wrong"),
    };
    namespace.secret(&wrong);
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[ONE])));
    expected.of_resource(&schema);
    database.admin_exec(&format!("ALTER ROLE {} PASSWORD '{canary}'", database.user));
    namespace.secret(&Database {
        password: canary.to_owned(),
        ..wrong
    });
    let status = expected.of_resource(&schema);
    let said = [
        cluster.operator.log(),
        cluster.operator.http("/metrics").unwrap_or_default(),
        status.to_string(),
        schema.events().join("\n"),
    ];
    for text in said {
        assert!(!text.is_empty());
        let forms = [
            "canary/p",
            "canary%2Fp",
            "canary\\/p",
            "Y2FuYXJ5L3BAc3Mgd29yZCsx",
        ];
        let found = forms.iter().find(|form| text.contains(**form));
        assert_eq!(found, None);
    }
    let traced = log_lines().iter().any(|line| line["level"] == "TRACE");
    assert!(traced, "everything is logged");
}

fn seen_from_outside(expected: &mut Expected) {
    let cluster = Cluster::shared();
    let namespace = cluster.tenant("j22");
    let database = database("j22");
    namespace.secret(&database);
    let slow = ("001_slow_UP.sql", "SELECT pg_sleep(1);");
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[slow])));
    super::scene::sleeps(&database);
    for file in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{file}", cluster.operator.pid());
        let bytes = std::fs::read(path).expect("our own child");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            !text.contains("password-of") && !text.contains("eyJ"),
            "{text}"
        );
    }
    expected.of_resource(&schema);
}

fn metric_labels(expected: &mut Expected) {
    let cluster = Cluster::shared();
    let namespace = cluster.tenant("j23");
    let database = database("j23");
    namespace.secret(&database);
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&[ONE])));
    expected.of_resource(&schema);
    let metrics = cluster.operator.http("/metrics").expect("it answers");
    let known = [
        "namespace",
        "name",
        "reason",
        "direction",
        "state",
        "le",
        "version",
    ];
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, labels)) = line.split_once('{') else {
            continue;
        };
        let (labels, _) = labels.rsplit_once('}').expect("a set of labels");
        for label in labels.split("\",") {
            let (name, _) = label.split_once('=').expect("name and value");
            assert!(known.contains(&name), "{line}");
        }
    }
    assert!(!metrics.contains(&database.name) && !metrics.contains("127.0.0.1"));
}

fn no_webhook(_: &mut Expected) {
    let configurations = Cluster::shared().api.kubectl(&[
        "get",
        "validatingwebhookconfigurations,mutatingwebhookconfigurations",
        "-o",
        "name",
    ]);
    assert_eq!(configurations, "");
    let crd = Cluster::shared().api.kubectl(&[
        "get",
        "crd",
        "databaseschemas.schemaward.dev",
        "-o",
        "jsonpath={.spec.conversion.strategy}",
    ]);
    assert_eq!(crd, "None");
}

fn hard_to_parse(_: &mut Expected) {
    let database = database("j26");
    for piece in [
        "(",
        "/*",
        "$a$$b$",
        "'",
        "E'\\'",
        "\"",
        "BEGIN ATOMIC ",
        ";",
        "--\n",
        "1e$$",
    ] {
        let text = piece.repeat(1_000_000 / piece.len());
        let began = Instant::now();
        let attempt = Attempt::at(&database, &[("001_case_UP.sql", &text)]);
        // Whether it is refused or run, it takes no time to say so. (An unoptimised build.)
        attempt.through(1).go();
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{piece:?} took {:?}",
            began.elapsed()
        );
    }
    assert!(!has(&database, "schema_migrations"));
}

fn http_endpoint(_: &mut Expected) {
    let operator = &Cluster::shared().operator;
    for path in ["/", "/debug/pprof", "/config", "/metrics/../config", "/env"] {
        let body = operator.http(path).expect("it answers");
        assert!(
            body.len() < 200 && !body.contains("token"),
            "{path}: {body}"
        );
    }
    assert!(operator.http("/healthz").is_some_and(|body| body == "ok\n"));
}
