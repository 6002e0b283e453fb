//! `schemaward wait`, on a real API server. Where a test decides what status says and when, it writes status
//! as the operator does.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::Ended;
use crate::crd;
use crate::harness::{Api, Namespace, api, free_port, postgres, schemaward};
use crate::operator_rig::{Tenant, cluster, condition as condition_of, inline, resource};

const WIDGETS: (&str, &str) = ("001_widgets_UP.sql", "CREATE TABLE widgets (id int);");
const WRONG: (&str, &str) = ("002_wrong_UP.sql", "INSERT INTO nowhere VALUES (1);");

/// `schemaward wait` in `namespace`.
fn wait(namespace: &Namespace<'_>, arguments: &[&str]) -> Command {
    wait_by(&namespace.api.kubeconfig, namespace, arguments)
}

fn wait_by(kubeconfig: &Path, namespace: &Namespace<'_>, arguments: &[&str]) -> Command {
    let mut command = schemaward();
    command
        .env("KUBECONFIG", kubeconfig)
        .args(["wait", "databaseschema/shop", "--namespace"])
        .arg(&namespace.name)
        .args(arguments);
    command
}

fn ended(mut command: Command) -> Ended {
    Ended::of(&command.output().expect("the program starts"))
}

/// A wait that goes on while the test does something.
struct Waiting {
    child: Child,
    notes: BufReader<std::process::ChildStderr>,
}

impl Waiting {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let notes = BufReader::new(child.stderr.take().expect("stderr is piped"));
        Self { child, notes }
    }

    /// The next line of standard error.
    fn says(&mut self) -> String {
        let mut line = String::new();
        self.notes.read_line(&mut line).expect("stderr is text");
        line.trim_end().to_owned()
    }

    fn ends(mut self) -> Ended {
        let mut stderr = String::new();
        self.notes
            .read_to_string(&mut stderr)
            .expect("stderr is text");
        let output = self.child.wait_with_output().expect("our own child");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is text"),
            stderr,
        }
    }

    /// It ends, and says this of the resource alone.
    #[track_caller]
    fn ends_ready(self, message: &str) {
        let ended = self.ends();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(ended.stdout, format!("databaseschema/shop: {message}\n"));
        assert_eq!(ended.stderr, "");
    }
}

/// A condition as the operator writes it.
fn condition(type_: &str, status: &str, generation: i64, reason: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "observedGeneration": generation, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-26T06:25:12Z",
    })
}

fn report(namespace: &Namespace<'_>, generation: i64, conditions: &[Value]) {
    let status = json!({"observedGeneration": generation, "conditions": conditions});
    namespace.write_status("dbs", "shop", &status);
}

fn annotate(namespace: &Namespace<'_>, annotation: &str) {
    namespace.kubectl(&["annotate", "--overwrite", "dbs", "shop", annotation]);
}

#[test]
fn it_ends_with_the_operators_success_or_with_its_reason() {
    let database = postgres().database("wait");
    let namespace = cluster().tenant("wait");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);

    let ready = ended(wait(&namespace, &["--timeout=60s"]));
    assert_eq!(ready.code, Some(0), "{ready:#?}");
    assert_eq!(ready.stdout, "databaseschema/shop: at version 001\n");

    schema.patch(&json!({"spec": {"source": inline(&[WIDGETS, WRONG])}}));
    let stalled = ended(wait(&namespace, &["--timeout=60s"]));
    assert_eq!(stalled.code, Some(1), "{stalled:#?}");
    assert_eq!(stalled.stdout, "");
    let message = crate::operator_rig::condition(&schema.status(), "Stalled")["message"].clone();
    let message = message.as_str().expect("a message");
    assert!(message.contains("relation \"nowhere\" does not exist"));
    let last = stalled.stderr.lines().last();
    assert_eq!(last, Some(format!("error: {message}").as_str()));

    // The database is mended, and somebody asks for another attempt: what status says is from before it.
    database.exec("CREATE TABLE nowhere (id int)");
    schema.ask("1");
    let mended = ended(wait(&namespace, &["--timeout=60s"]));
    assert_eq!(mended.code, Some(0), "{mended:#?}");
    assert_eq!(mended.stdout, "databaseschema/shop: at version 002\n");
}

/// Changes of a person that change no generation.
#[test]
fn what_was_said_before_a_decision_does_not_count() {
    let namespace = crd::namespace("wait-decision");
    namespace.apply(&crd::resource("shop").to_string());
    let stalled = [
        condition("Ready", "False", 1, "ChecksumMismatch", "001 changed."),
        condition("Stalled", "True", 1, "ChecksumMismatch", "001 changed."),
    ];
    report(&namespace, 1, &stalled);
    let before = ended(wait(&namespace, &["--timeout=0"]));
    assert_eq!(before.code, Some(1), "{before:#?}");

    annotate(&namespace, "schemaward.dev/accept=001");
    let asked = ended(wait(&namespace, &["--timeout=0"]));
    assert_eq!(asked.code, Some(3), "{asked:#?}");
    let said = "The operator has not looked at annotation schemaward.dev/accept yet, or is older than this command: \
                see whether it runs, and whether it watches this namespace. It says of what was before: \
                ChecksumMismatch: 001 changed.";
    assert_eq!(
        asked.stderr,
        format!(
            "note: databaseschema/shop: {said}\nerror: databaseschema/shop is not Ready. {said}\n"
        )
    );

    let handled = json!({"observedDecisions": {"schemaward.dev/accept": "001"}});
    namespace.write_status("dbs", "shop", &handled);
    let in_vain = ended(wait(&namespace, &["--timeout=0"]));
    assert_eq!(in_vain.code, Some(1), "{in_vain:#?}");
    assert_eq!(in_vain.stderr, "error: 001 changed.\n");
}

#[test]
fn the_operator_says_with_which_decisions_it_looked() {
    let database = postgres().database("wait_decided");
    let namespace = cluster().tenant("wait-decided");
    namespace.secret(&database);
    let manifest = |file| resource("shop", &database, &inline(&[file]));
    let schema = namespace.schema("shop", &manifest(WIDGETS));
    schema.reaches("UpToDate");
    namespace.schema(
        "shop",
        &manifest(("001_widgets_UP.sql", "CREATE TABLE widgets (id bigint);")),
    );
    schema.reaches("ChecksumMismatch");

    // What cannot be acted on is looked at, too, and it is said why.
    let resolve = "note: databaseschema/shop: The decision of schemaward.dev/resolve was refused: Nothing of 002 is in \
                   doubt. Nothing was changed. It is not tried again by itself: give the annotation another value, or \
                   take it away and set it anew.";
    let accept = "note: databaseschema/shop: The decision of schemaward.dev/accept was refused: Annotation \
                  schemaward.dev/accept cannot be acted on: ";
    for (nothing, said) in [
        ("approve=yes", &[][..]),
        ("resolve=002:1dd701f2=retry", &[resolve]),
        ("accept=yes", &[accept, resolve]),
    ] {
        annotate(&namespace, &format!("schemaward.dev/{nothing}"));
        let in_vain = ended(wait(&namespace, &["--timeout=60s"]));
        assert_eq!(in_vain.code, Some(1), "{nothing} {in_vain:#?}");
        let notes: Vec<_> = in_vain
            .stderr
            .lines()
            .filter(|line| line.contains("was refused"))
            .collect();
        assert_eq!(notes.len(), said.len(), "{nothing} {in_vain:#?}");
        for (note, said) in notes.iter().zip(said) {
            assert!(note.starts_with(said), "{nothing} {in_vain:#?}");
        }
    }
    let described = namespace.kubectl(&["describe", "dbs", "shop"]);
    assert!(
        described.contains("AcceptRefused") && described.contains("cannot be acted on"),
        "{described}"
    );

    // What is carried out is over; the other one stands refused also of a resource that is Ready.
    annotate(&namespace, "schemaward.dev/accept=001");
    let accepted = ended(wait(&namespace, &["--timeout=60s"]));
    assert_eq!(accepted.code, Some(0), "{accepted:#?}");
    assert_eq!(accepted.stdout, "databaseschema/shop: at version 001\n");
    let last = accepted.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with(resolve), "{accepted:#?}");
    annotate(&namespace, "schemaward.dev/resolve-");
    schema.becomes("at rest", |status| {
        condition_of(status, "ResolveRefused").is_null()
            && condition_of(status, "AcceptRefused").is_null()
    });
}

#[test]
fn only_the_wanted_generation_counts() {
    let namespace = crd::namespace("wait-generation");
    namespace.apply(&crd::resource("shop").to_string());

    let unseen = ended(wait(&namespace, &["--timeout=0"]));
    assert_eq!(unseen.code, Some(3), "{unseen:#?}");
    assert_eq!(
        unseen.stderr,
        "error: databaseschema/shop is not Ready. The operator has not looked at generation 1 yet: \
         see whether it runs, and whether it watches this namespace.\n"
    );

    // What is said of another generation is not what is waited for.
    report(
        &namespace,
        1,
        &[condition("Ready", "True", 1, "UpToDate", "at version 001")],
    );
    namespace.kubectl(&[
        "patch",
        "dbs",
        "shop",
        "--type=merge",
        "-p",
        r#"{"spec": {"suspend": true}}"#,
    ]);
    let old = ended(wait(&namespace, &["--timeout=0"]));
    assert_eq!(old.code, Some(3), "{old:#?}");

    let mut waiting = Waiting::start(wait(&namespace, &["--timeout=60s"]));
    report(
        &namespace,
        2,
        &[
            condition("Ready", "False", 2, "LockTimeout", "002 waits."),
            condition(
                "Reconciling",
                "True",
                2,
                "ProgressingWithRetry",
                "002 waits.",
            ),
        ],
    );
    assert_eq!(
        waiting.says(),
        "note: databaseschema/shop: LockTimeout: 002 waits."
    );
    // The same reason again is no news.
    report(
        &namespace,
        2,
        &[condition(
            "Ready",
            "False",
            2,
            "LockTimeout",
            "002 still waits.",
        )],
    );
    report(
        &namespace,
        2,
        &[condition("Ready", "False", 2, "Applying", "applying 002")],
    );
    assert_eq!(
        waiting.says(),
        "note: databaseschema/shop: Applying: applying 002"
    );
    // A later generation is as good.
    namespace.kubectl(&[
        "patch",
        "dbs",
        "shop",
        "--type=merge",
        "-p",
        r#"{"spec": {"suspend": false}}"#,
    ]);
    report(
        &namespace,
        3,
        &[condition("Ready", "True", 3, "UpToDate", "at version 003")],
    );
    waiting.ends_ready("at version 003");
}

/// What only waits calls for nobody: not for an approval, not for a window, not for a backup.
#[test]
fn the_time_out_says_the_last_state() {
    let namespace = crd::namespace("wait-time-out");
    namespace.apply(&crd::resource("shop").to_string());
    for reason in ["AwaitingApproval", "OutsideWindow", "GateNotMet"] {
        report(
            &namespace,
            1,
            &[condition("Ready", "False", 1, reason, "1 version waits.")],
        );
        let began = Instant::now();
        let ended = ended(wait(&namespace, &["--timeout=1s"]));
        assert_eq!(ended.code, Some(3), "{reason} {ended:#?}");
        assert_eq!(ended.stdout, "");
        assert_eq!(
            ended.stderr,
            format!(
                "note: databaseschema/shop: {reason}: 1 version waits.\n\
                 error: databaseschema/shop is not Ready after 1s. {reason}: 1 version waits.\n"
            )
        );
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_resource_that_goes_away_ends_it() {
    let namespace = crd::namespace("wait-deleted");
    namespace.apply(&crd::resource("shop").to_string());
    report(
        &namespace,
        1,
        &[condition("Ready", "False", 1, "Applying", "applying 001")],
    );
    let mut waiting = Waiting::start(wait(&namespace, &[]));
    waiting.says();
    namespace.kubectl(&["delete", "dbs", "shop"]);
    let ended = waiting.ends();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(
        ended.stderr,
        "error: databaseschema/shop was deleted while it was waited for. The database was not changed by that.\n"
    );
}

/// The watch is cut, the server does not answer for a while, and what it remembered before is gone.
#[test]
fn it_outlives_a_restart_of_the_api_server() {
    let api = Api::start();
    let namespace = api.namespace("wait-restart");
    let no_crd = ended(wait(&namespace, &[]));
    assert_eq!(no_crd.code, Some(1), "{no_crd:#?}");
    assert_eq!(
        no_crd.stderr,
        format!(
            "error: The cluster at {} knows no databaseschemas: the CRD of Schemaward is not installed.\n",
            api.url
        )
    );
    api.apply(include_str!(
        "../../crds/schemaward.dev_databaseschemas.yaml"
    ));
    api.established(&["crd/databaseschemas.schemaward.dev"]);
    namespace.apply(&crd::resource("shop").to_string());
    report(
        &namespace,
        1,
        &[condition("Ready", "False", 1, "Applying", "applying 001")],
    );
    let mut waiting = Waiting::start(wait(&namespace, &["--timeout=5m"]));
    assert_eq!(
        waiting.says(),
        "note: databaseschema/shop: Applying: applying 001"
    );
    api.stop();
    let interrupted = waiting.says();
    assert!(
        interrupted.starts_with(
            "note: The watch is tried again. No connection to the API server at https://"
        ),
        "{interrupted}"
    );
    api.start_again();
    report(
        &namespace,
        1,
        &[condition("Ready", "True", 1, "UpToDate", "at version 001")],
    );
    waiting.ends_ready("at version 001");
}

#[test]
fn what_is_not_there_or_not_allowed_is_said() {
    let namespace = crd::namespace("wait-refused");
    let missing = ended(wait(&namespace, &[]));
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    let (url, name) = (&api().url, &namespace.name);
    assert_eq!(
        missing.stderr,
        format!("error: There is no databaseschema/shop in namespace {name} of {url}.\n")
    );

    namespace.apply(&crd::resource("shop").to_string());
    namespace.kubectl(&["create", "serviceaccount", "nobody"]);
    let nobody = api().kubeconfig_of(name, "nobody");
    let forbidden = ended(wait_by(&nobody, &namespace, &[]));
    assert_eq!(forbidden.code, Some(1), "{forbidden:#?}");
    assert_eq!(
        forbidden.stderr,
        format!(
            "error: The API server at {url} does not allow it: databaseschemas.schemaward.dev \"shop\" is forbidden: \
             User \"system:serviceaccount:{name}:nobody\" cannot get resource \"databaseschemas\" in API group \
             \"schemaward.dev\" in the namespace \"{name}\". Grant get, list and watch on databaseschemas in \
             namespace {name}.\n"
        )
    );

    // The right to get alone: it is said before the first state could be waited for in vain.
    namespace.kubectl(&[
        "create",
        "role",
        "getter",
        "--verb=get",
        "--resource=databaseschemas",
    ]);
    let account = format!("--serviceaccount={name}:nobody");
    namespace.kubectl(&["create", "rolebinding", "getter", "--role=getter", &account]);
    let no_watch = ended(wait_by(&nobody, &namespace, &["--timeout=60s"]));
    assert_eq!(no_watch.code, Some(1), "{no_watch:#?}");
    assert!(
        no_watch.stderr.contains("cannot list resource"),
        "{no_watch:#?}"
    );

    let wrong = ended(wait(&namespace, &["--context=nowhere"]));
    assert_eq!(wrong.code, Some(1), "{wrong:#?}");
    assert!(
        wrong
            .stderr
            .starts_with("error: There is no way to a cluster: "),
        "{wrong:#?}"
    );
    let nowhere = ended(wait(&namespace, &["--kubeconfig=/nowhere"]));
    assert_eq!(nowhere.code, Some(1), "{nowhere:#?}");
    assert!(
        nowhere
            .stderr
            .starts_with("error: There is no way to a cluster: "),
        "{nowhere:#?}"
    );
    let usage = ended(wait(&namespace, &["-n", "A,b"]));
    assert_eq!(usage.code, Some(2), "{usage:#?}");
}

#[test]
fn an_api_server_that_is_away_or_silent_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kubeconfig = |server: &str| {
        let path = folder.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": server}}],
            "users": [{"name": "a", "user": {}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        });
        std::fs::write(&path, config.to_string()).expect("our own folder");
        path
    };
    let namespace = crd::namespace("wait-nowhere");
    let closed = format!("http://127.0.0.1:{}", free_port());
    let refused = ended(wait_by(
        &kubeconfig(&closed),
        &namespace,
        &["--timeout=60s"],
    ));
    assert_eq!(refused.code, Some(3), "{refused:#?}");
    assert_eq!(
        refused.stderr,
        format!(
            "error: No connection to the API server at {closed}: Connection refused (os error 111). Try again.\n"
        )
    );

    // Who takes a connection and says nothing is not waited for longer than was asked.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let silent_at = format!("http://{}", silent.local_addr().expect("an address"));
    let silence = ended(wait_by(
        &kubeconfig(&silent_at),
        &namespace,
        &["--timeout=1s"],
    ));
    assert_eq!(silence.code, Some(3), "{silence:#?}");
    assert_eq!(
        silence.stderr,
        "error: databaseschema/shop is not Ready after 1s. The API server has not answered.\n"
    );
}
