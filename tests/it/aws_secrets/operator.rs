//! What the operator reads, for whom, and what an outage is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::operator_rig::{Apart, Operator, Tenant, apart, cluster, condition, inline, resource};

const TWO: (&str, &str) = ("002_two_UP.sql", "CREATE TABLE two (id int);");

fn rotate(database: &Database<'_>, password: &str) {
    let sql = format!("ALTER ROLE {} PASSWORD '{password}'", database.user);
    database.server.admin_exec(&sql);
}

/// Starts an operator with this configuration and this environment.
fn operator(
    apart: &Apart,
    configuration: &str,
    environment: &[(&str, &str)],
) -> (Operator, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, configuration).expect("it is writable");
    let environment: Vec<(&str, &Path)> = environment
        .iter()
        .map(|(name, value)| (*name, Path::new(*value)))
        .collect();
    let flags = [
        format!("--watch-namespaces={}", apart.namespace.name),
        format!("--lease-name={}", apart.release),
        format!("--config={}", file.display()),
        "--log-format=text".to_owned(),
        // Whatever a library would say, too.
        "--log-level=trace,h2=off,tower=off,kube=off".to_owned(),
        "--allow-loopback".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let operator = Operator::start_plain(&environment, &apart.kubeconfig, &flags);
    operator.is_ready();
    (operator, folder)
}

fn with_secret(database: &Database<'_>, id: &str) -> Value {
    let mut manifest = resource("shop", database, &inline(&[ONE]));
    manifest["spec"]["connection"] = json!({
        "credentialsFrom": {"awsSecretsManager": {"secretId": id, "region": REGION}},
        "tls": {"mode": "Disable"},
    });
    manifest
}

fn message(status: &Value) -> String {
    let message = condition(status, "Ready")["message"].clone();
    message.as_str().expect("a message").to_owned()
}

#[test]
fn the_operator_reads_a_secret_by_its_web_identity_and_takes_up_a_rotated_one() {
    let aws = Moto::start();
    let database = postgres().database("aws_rotated");
    let apart = apart("aws-rotated");
    let first = "first-canary-password";
    rotate(&database, first);
    aws.create_secret("fluxion/rotated", &document(&database, first));
    let token = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(token.path(), "a-token-canary").expect("it is writable");
    let allows = format!(
        "aws:\n  secrets:\n  - {{namespaces: [{}], ids: ['fluxion/*']}}\n",
        apart.namespace.name
    );
    let environment = [
        ("AWS_ENDPOINT_URL", &*aws.url),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/schemaward"),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            token.path().to_str().expect("UTF-8"),
        ),
        ("AWS_REGION", REGION),
    ];
    let (operator, _folder) = operator(&apart, &allows, &environment);
    let manifest = with_secret(&database, "fluxion/rotated");
    let schema = apart.namespace.schema("shop", &manifest);
    let status = schema.reaches("UpToDate");
    let place = format!("in secret fluxion/rotated of AWS Secrets Manager in {REGION}");
    assert_eq!(
        status["databaseAddress"],
        format!("{{host {place}}}:{{port {place}}}/{{dbname {place}}}")
    );
    let second = "second-canary-password";
    rotate(&database, second);
    aws.put_secret("fluxion/rotated", &document(&database, second));
    schema.patch(&json!({"spec": {"source": {"inline": {TWO.0: TWO.1}}}}));
    schema.becomes("at 002", |status| status["currentVersion"] == "002");
    assert_eq!(database.applied(), "001 002");
    let said = format!("{}{:?}{}", operator.log(), schema.events(), schema.get());
    for secret in [first, second, "a-token-canary"] {
        assert!(!said.contains(secret), "{secret} is told");
    }
    assert!(
        !schema
            .events()
            .iter()
            .any(|event| event.starts_with("Warning"))
    );
}

#[test]
fn the_operator_gives_a_namespace_no_secret_but_those_that_its_configuration_allows() {
    let aws = Moto::start();
    let database = postgres().database("aws_refused");
    let apart = apart("aws-refused");
    let namespace = &apart.namespace.name;
    let whole = document(&database, &database.password);
    for name in ["team/secret", "team/malformed", "others/secret"] {
        aws.create_secret(name, &whole);
    }
    aws.put_secret("team/malformed", &json!({"username": "canary"}));
    let allows = format!(
        "aws:\n  secrets:\n  - {{namespaces: [{namespace}], ids: ['team/*']}}\n  - {{namespaces: [others], ids: ['*']}}\n"
    );
    let url = aws.url.clone();
    let requests = || aws.log().matches("POST / ").count();
    let before = requests();
    assert_eq!(before, 4, "{}", aws.log());
    let environment = [
        ("AWS_ENDPOINT_URL", &*url),
        ("AWS_ACCESS_KEY_ID", "AKIATESTS"),
        ("AWS_SECRET_ACCESS_KEY", "key-canary"),
    ];
    let (operator, _folder) = operator(&apart, &allows, &environment);
    let schema = apart
        .namespace
        .schema("shop", &with_secret(&database, "others/secret"));
    let status = schema.reaches("AccessDenied");
    assert_eq!(requests(), before, "{}", aws.log());
    assert_eq!(
        message(&status),
        format!(
            "Namespace {namespace} may not use secret others/secret of AWS Secrets Manager in {REGION}: no rule of \
             the operator's configuration allows it. Nothing was connected to, and AWS was not asked. Whoever runs \
             the operator allows it by aws.secrets: [{{namespaces: [{namespace}], ids: [others/secret]}}]"
        )
    );
    let ask_for = |id: &str| {
        schema.patch(&json!({"spec": {"connection": {
            "credentialsFrom": {"awsSecretsManager": {"secretId": id}},
        }}}));
    };
    ask_for("team/none");
    let status = schema.reaches("SecretNotFound");
    assert!(requests() > before, "{}", aws.log());
    assert_eq!(
        message(&status),
        format!(
            "secret team/none of AWS Secrets Manager in {REGION} does not exist (ResourceNotFoundException). \
             Nothing was connected to. Create it, or correct its name and region. It is tried again by itself."
        )
    );
    ask_for("team/malformed");
    let status = schema.reaches("InvalidCredentials");
    assert_eq!(
        message(&status),
        format!(
            "Connection data is malformed: secret team/malformed of AWS Secrets Manager in {REGION}: its key \
             \"password\" is missing or empty. Nothing was connected to. Mend it; it is read again by itself."
        )
    );
    // Mended there, and nobody touches the resource.
    aws.put_secret("team/malformed", &whole);
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001");
    let said = format!("{}{:?}{}", operator.log(), schema.events(), schema.get());
    assert!(!said.contains("canary"), "a value is told");
}

#[test]
fn an_outage_of_aws_is_no_refusal_and_heals_by_itself() {
    let database = postgres().database("aws_outage");
    let apart = apart("aws-outage");
    let namespace = &apart.namespace.name;
    let allows = format!("aws:\n  secrets:\n  - {{namespaces: [{namespace}], ids: ['*']}}\n");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let environment = [("AWS_ENDPOINT_URL", &*nobody), KEYS[0], KEYS[1]];
    let (_operator, _folder) = operator(&apart, &allows, &environment);
    let manifest = with_secret(&database, "any");
    let schema = apart.namespace.schema("shop", &manifest);
    let status = schema.reaches("DatabaseUnreachable");
    let said = message(&status);
    let begins =
        format!("secret any of AWS Secrets Manager in {REGION} could not be read: Connection");
    let ends = "(network policy, VPC endpoint, region). Tries again by itself.";
    assert!(said.starts_with(&begins) && said.ends_with(ends), "{said}");
    assert!(said.contains("Nothing was connected to."), "{said}");
    assert_eq!(condition(&status, "Reconciling")["status"], "True");
}

/// Whoever wrote the resource may want what whoever asks may have.
#[test]
fn the_doctor_asks_aws_for_nothing_in_the_name_of_who_asks_unless_they_say_so() {
    let aws = Moto::start();
    let database = postgres().database("aws_doctor");
    let namespace = cluster().tenant("aws-doctor");
    aws.create_secret("prod/master", &document(&database, &database.password));
    let mut manifest = with_secret(&database, "prod/master");
    manifest["spec"]["connection"]["host"] = json!({"value": database.server.host});
    let schema = namespace.schema("shop", &manifest);
    schema.reaches("AccessDenied");
    let doctor = |url: &str, more: &[&str]| {
        let mut command = schemaward();
        command
            .env("KUBECONFIG", &cluster().api.kubeconfig)
            .args(["doctor", "databaseschema/shop", "-n", &namespace.name])
            .args(more)
            .env("AWS_ENDPOINT_URL", url)
            .envs(KEYS);
        let output = command.output().expect("the program starts");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        (stdout, Ended::of(&output))
    };
    let before = aws.log();
    let host = &database.server.host;
    let wanted =
        format!("secret prod/master of AWS Secrets Manager in {REGION}, to sign in to host {host}");
    let (stdout, ended) = doctor(&aws.url, &[]);
    assert!(stdout.ends_with("references  failed\n"), "{stdout}");
    ended.refuses(
        1,
        &[
            &format!(
                "AWS was not asked and nothing was connected to: the resource wants {wanted}."
            ),
            "add --use-my-aws-identity",
        ],
    );
    assert_eq!(aws.log(), before);

    let own = ["--use-my-aws-identity"];
    let (stdout, _) = doctor(&aws.url, &own);
    let told = format!("AWS         ok      is asked with your own identity for {wanted}\n");
    assert!(stdout.contains(&told), "{stdout}");
    assert!(stdout.contains("login       ok"), "{stdout}");
    assert_ne!(aws.log(), before);

    // What AWS says to that is told as it is.
    let denial = r#"{"__type": "AccessDeniedException", "Message": "not authorized"}"#;
    let (denying, _) = answering("400 Bad Request", denial);
    let (_, ended) = doctor(&denying, &own);
    ended.refuses(
        1,
        &["may not be read (AccessDeniedException: not authorized). Nothing was connected to."],
    );
    assert!(!ended.1.contains("ConfigMaps"), "{ended:?}");
    assert!(!ended.1.contains("tried again"), "{ended:?}");

    // A token is a password for a while.
    schema.patch(&json!({"spec": {"connection": {
        "credentialsFrom": null, "auth": {"type": "RDSIAM", "region": REGION}, "tls": {"mode": "VerifyFull"},
        "database": {"value": "any"}, "username": {"value": "any"},
    }}}));
    let (_, ended) = doctor(&aws.url, &[]);
    ended.refuses(
        1,
        &[&format!(
            "the resource wants a token of RDS IAM, to sign in to host {host}."
        )],
    );
}

/// A listener that takes every connection, counts it and never answers.
fn silent() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            seen.fetch_add(1, Ordering::Relaxed);
            kept.push(stream);
        }
    });
    (format!("http://{address}"), count)
}

#[test]
fn a_token_service_is_asked_in_the_operators_own_region_and_once_for_all_who_wait() {
    let database = postgres().database("aws_silent");
    let apart = apart("aws-silent");
    let (url, connections) = silent();
    let token = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(token.path(), "a-token-canary").expect("it is writable");
    let allows = "aws:\n  secrets:\n  - {namespaces: ['*'], ids: ['*']}\n";
    let nowhere = [
        ("AWS_ENDPOINT_URL", &*url),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/schemaward"),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            token.path().to_str().expect("UTF-8"),
        ),
        // An empty one is none.
        ("AWS_REGION", ""),
    ];
    let (first, _folder) = operator(&apart, allows, &nowhere);
    let names = ["a", "b", "c", "d", "e", "f"];
    let schemas = names.map(|name| {
        let mut manifest = with_secret(&database, "any");
        manifest["metadata"]["name"] = json!(name);
        apart.namespace.schema(name, &manifest)
    });
    let status = schemas[0].reaches("AccessDenied");
    let missing = "AWS STS in this process' own region, and none is set: set AWS_REGION (the operator's chart has \
                   aws.region). Nothing was connected to.";
    assert!(message(&status).contains(missing), "{status}");
    assert_eq!(connections.load(Ordering::Relaxed), 0);
    drop(first);

    let here = [&nowhere[..], &[("AWS_REGION", "eu-west-1")]].concat();
    let (_operator, _folder) = operator(&apart, allows, &here);
    for schema in &schemas {
        schema.becomes("told that nobody answered", |status| {
            message(status).starts_with("The service that gives the AWS identity was not reached: ")
        });
    }
    // Three attempts; and three more, should the machine be so slow that what was kept has ended.
    let connections = connections.load(Ordering::Relaxed);
    assert!((1..=6).contains(&connections), "{connections}");
}
