//! Credentials out of AWS Secrets Manager, by operator and command line, from a server that answers as AWS does.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Database, Moto, Postgres, free_port, postgres, schemaward};
use crate::operator_rig::{Apart, Operator, Tenant, apart, cluster, condition, inline, resource};

/// The region of the server that stands for AWS.
const REGION: &str = "us-east-1";

const ONE: (&str, &str) = ("001_one_UP.sql", "CREATE TABLE one (id int);");
const TWO: (&str, &str) = ("002_two_UP.sql", "CREATE TABLE two (id int);");

/// What Secrets Manager keeps for `database`.
fn document(database: &Database<'_>, password: &str) -> Value {
    json!({
        "username": database.user, "password": password, "engine": "postgres",
        "host": database.server.host, "port": database.server.port, "dbname": database.name,
    })
}

fn rotate(database: &Database<'_>, password: &str) {
    let sql = format!("ALTER ROLE {} PASSWORD '{password}'", database.user);
    database.server.admin_exec(&sql);
}

// ---- the operator --------------------------------------------------------------------------------

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

// ---- the doctor ----------------------------------------------------------------------------------

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

// ---- the command line ----------------------------------------------------------------------------

/// A folder with version 001, and a database.
struct Shop {
    database: Database<'static>,
    folder: TempDir,
}

/// How a command ended, and what it said to standard error.
#[derive(Debug, PartialEq)]
struct Ended(Option<i32>, String);

impl Ended {
    fn of(output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Self(output.status.code(), said)
    }

    #[track_caller]
    fn refuses(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.0, Some(code), "{self:?}");
        for text in texts {
            assert!(self.1.contains(text), "{text}: {self:?}");
        }
        assert!(!self.1.contains("canary"), "{self:?}");
    }
}

impl Shop {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("migrations")).expect("it is writable");
        std::fs::write(folder.path().join("migrations").join(ONE.0), ONE.1)
            .expect("it is writable");
        Self {
            database: postgres().database(name),
            folder,
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("it is writable");
        path
    }

    /// `schemaward up` on what secret `id` says.
    fn up(&self, url: &str, id: &str) -> Command {
        let mut command = schemaward();
        command
            .current_dir(self.folder.path())
            .args(["up", "--aws-secret-id", id])
            .env("AWS_ENDPOINT_URL", url)
            .env("AWS_REGION", REGION);
        command
    }

    fn up_as(&self, url: &str, id: &str, identity: &[(&str, &str)]) -> Ended {
        let mut command = self.up(url, id);
        command.envs(identity.iter().copied());
        Ended::of(&command.output().expect("the program starts"))
    }
}

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIATESTS"),
    ("AWS_SECRET_ACCESS_KEY", "key-canary"),
];

#[test]
fn the_command_line_reads_a_secret_by_name_or_arn() {
    let aws = Moto::start();
    let shop = Shop::new("aws_cli");
    let url = aws.url.clone();
    let whole = document(&shop.database, &shop.database.password);
    let arn = aws.create_secret("cli/secret", &whole);
    let ended = shop.up_as(&url, "cli/secret", &KEYS);
    assert_eq!(ended.0, Some(0), "{ended:?}");
    assert_eq!(shop.database.applied(), "001");
    let ended = shop.up_as(&url, &arn, &KEYS);
    assert_eq!(ended.0, Some(0), "{ended:?}");

    shop.up_as(&url, "cli/none", &KEYS).refuses(
        1,
        &["secret cli/none of AWS Secrets Manager in us-east-1 does not exist"],
    );
    aws.create_secret("cli/malformed", &json!({"username": "canary"}));
    shop.up_as(&url, "cli/malformed", &KEYS).refuses(
        2,
        &["secret cli/malformed of AWS Secrets Manager in us-east-1 cannot be used: its key \"password\" is missing"],
    );
    aws.create_binary_secret("cli/binary");
    shop.up_as(&url, "cli/binary", &KEYS)
        .refuses(1, &["holds binary data and no text"]);

    let elsewhere = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a";
    shop.up_as(&url, elsewhere, &KEYS).refuses(
        2,
        &["is not the region that the ARN in --aws-secret-id names. Nothing was connected to."],
    );

    let mut nowhere = shop.up(&url, "cli/secret");
    let output = nowhere.envs(KEYS).env_remove("AWS_REGION").output();
    Ended::of(&output.expect("the program starts")).refuses(2, &["Missing: --aws-region"]);
    let with = |name: &'static str, value: &str| {
        let before = aws.log();
        let ended = shop.up_as(&url, "cli/secret", &[KEYS[0], KEYS[1], (name, value)]);
        (ended, aws.log() == before)
    };
    let (ended, _) = with("POSTGRES_CREDENTIALS", &whole.to_string());
    ended.refuses(2, &["give one of them"]);
    // A variable that was left over changes nothing in silence.
    let (ended, is_unasked) = with("POSTGRES_PASSWORD", "canary");
    ended.refuses(
        2,
        &["--aws-secret-id reads the password from the secret: leave out --password-file and POSTGRES_PASSWORD."],
    );
    assert!(is_unasked);
    let (ended, _) = with("POSTGRES_HOST", "left-over.example");
    ended.refuses(
        2,
        &["POSTGRES_HOST says left-over.example, and the document of credentials names another host. Nothing was"],
    );
    let mut by_option = shop.up(&url, "cli/secret");
    by_option.args(["--host", &shop.database.server.host]);
    let output = by_option
        .envs(KEYS)
        .env("POSTGRES_HOST", "left-over.example")
        .output();
    let ended = Ended::of(&output.expect("the program starts"));
    assert_eq!(ended.0, Some(0), "{ended:?}");
}

#[test]
fn an_empty_region_is_none() {
    let aws = Moto::start();
    let shop = Shop::new("aws_region");
    let whole = document(&shop.database, &shop.database.password);
    aws.create_secret("region", &whole);
    let token = shop.write("token", "canary-token");
    let identity = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/schemaward"),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            token.to_str().expect("UTF-8"),
        ),
        ("AWS_REGION", ""),
        ("AWS_DEFAULT_REGION", REGION),
    ];
    let ended = shop.up_as(&aws.url, "region", &identity);
    assert_eq!(ended.0, Some(0), "{ended:?}");
}

#[test]
fn what_aws_does_not_allow_and_what_does_not_answer_are_told_apart() {
    let shop = Shop::new("aws_denied");
    let whole = document(&shop.database, &shop.database.password);
    // Three requests are for the test itself; from the fourth on rights count.
    let strict = Moto::start_strict(3);
    strict.create_secret("denied", &whole);
    let (key, secret) = strict.create_user("nobody");
    let keys = [
        ("AWS_ACCESS_KEY_ID", &*key),
        ("AWS_SECRET_ACCESS_KEY", &*secret),
    ];
    shop.up_as(&strict.url, "denied", &keys).refuses(
        1,
        &[
            "secret denied of AWS Secrets Manager in us-east-1 may not be read (HTTP 403). Nothing was connected to.",
            "Allow the role secretsmanager:GetSecretValue on it",
        ],
    );
    // That server says why in another form than AWS, which says it so.
    let denial = r#"{"__type": "AccessDeniedException", "Message": "User: arn:aws:sts::1:assumed-role/r is not authorized."}"#;
    let (denying, _) = answering("400 Bad Request", denial);
    shop.up_as(&denying, "denied", &KEYS).refuses(
        1,
        &["may not be read (AccessDeniedException: User: arn:aws:sts::1:assumed-role/r is not authorized). Nothing"],
    );
    let (broken, asked) = answering("503 Service Unavailable", "");
    shop.up_as(&broken, "denied", &KEYS)
        .refuses(3, &["could not be read now (HTTP 503)"]);
    assert_eq!(asked.try_iter().count(), 3, "it is asked again a few times");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let ended = shop.up_as(&nobody, "denied", &KEYS);
    ended.refuses(
        3,
        &[
            "could not be read: ",
            "Connection refused",
            "See whether the way to the service is open",
        ],
    );
    let token = shop.write("token", "canary-token");
    let web_identity = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/schemaward"),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            token.to_str().expect("UTF-8"),
        ),
    ];
    shop.up_as(&nobody, "denied", &web_identity).refuses(
        3,
        &[
            "The service that gives the AWS identity was not reached: ",
            "Connection refused",
        ],
    );
    let with_fips = [&web_identity[..], &[("AWS_USE_FIPS_ENDPOINT", "true")]].concat();
    shop.up_as(&nobody, "denied", &with_fips)
        .refuses(3, &["FIPS and custom endpoint are not supported"]);
}

// ---- whose identity, and whom it trusts ----------------------------------------------------------

/// A listener that answers every request with `body`, and tells of each.
pub fn answering(status: &'static str, body: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (told, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).ok();
            told.send(String::from_utf8_lossy(&request[..length]).into_owned())
                .ok();
        }
    });
    (format!("http://{address}"), seen)
}

#[test]
fn the_role_of_the_instance_is_never_used() {
    let aws = Moto::start();
    let shop = Shop::new("aws_instance");
    let (metadata, seen) = answering("200 OK", "{}");
    let instance = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*metadata);
    let nobody = shop.up_as(&aws.url, "any", &[instance]);
    nobody.refuses(
        1,
        &[
            "There is no AWS identity to act with: neither the environment nor a profile, a web identity token or \
             container credentials give one, and the instance's own role is never used.",
        ],
    );
    let profile = "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source = Ec2InstanceMetadata\n";
    let profile = shop.write("profile", profile);
    let by_profile = ("AWS_CONFIG_FILE", profile.to_str().expect("UTF-8"));
    shop.up_as(&aws.url, "any", &[instance, by_profile])
        .refuses(
            1,
            &["the profile names the instance metadata service, which is never asked"],
        );
    assert_eq!(seen.try_recv().ok(), None);
}

#[test]
fn an_identity_comes_from_a_profile_or_from_the_agent_of_the_container() {
    let aws = Moto::start();
    let shop = Shop::new("aws_identity");
    let whole = document(&shop.database, &shop.database.password);
    aws.create_secret("identity", &whole);
    let profile = "[default]\naws_access_key_id = AKIATESTS\naws_secret_access_key = key-canary\n";
    let profile = shop.write("profile", profile);
    let by_profile = [(
        "AWS_SHARED_CREDENTIALS_FILE",
        profile.to_str().expect("UTF-8"),
    )];
    let ended = shop.up_as(&aws.url, "identity", &by_profile);
    assert_eq!(ended.0, Some(0), "{ended:?}");

    let (agent, seen) = answering(
        "200 OK",
        r#"{"AccessKeyId": "ASIATESTS", "SecretAccessKey": "key-canary", "Token": "token-canary",
            "Expiration": "2099-01-01T00:00:00Z"}"#,
    );
    let token = shop.write("token", "pod-identity-token");
    let agent = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &*format!("{agent}/v1/credentials"),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            token.to_str().expect("UTF-8"),
        ),
    ];
    let ended = shop.up_as(&aws.url, "identity", &agent);
    assert_eq!(ended.0, Some(0), "{ended:?}");
    let request = seen.try_recv().expect("the agent was asked");
    assert!(request.starts_with("GET /v1/credentials "), "{request}");
    assert!(request.contains("pod-identity-token"), "{request}");
}

#[test]
fn a_service_is_recognised_by_the_authorities_of_the_bundle() {
    let shop = Shop::new("aws_tls");
    // Any server of TLS will do: the test servers' own certificate and its authority.
    let server = Postgres::start(16, &[]);
    let data = server.data();
    let aws = Moto::start_tls(&data.join("server.crt"), &data.join("server.key"));
    let bundle = server.ca.to_str().expect("UTF-8");
    let with = |more: &[(&str, &str)]| shop.up_as(&aws.url, "none", &[&KEYS[..], more].concat());
    with(&[("AWS_CA_BUNDLE", bundle)]).refuses(
        1,
        &["secret none of AWS Secrets Manager in us-east-1 does not exist"],
    );
    with(&[]).refuses(3, &["invalid peer certificate: UnknownIssuer"]);
    with(&[("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")]).refuses(
        3,
        &["This machine or image has no certificate authorities, so that no service of AWS can be recognised"],
    );
    let broken = shop.write("broken.pem", "canary");
    with(&[("AWS_CA_BUNDLE", broken.to_str().expect("UTF-8"))]).refuses(
        1,
        &["broken.pem cannot be used: it holds no PEM certificates"],
    );
}
