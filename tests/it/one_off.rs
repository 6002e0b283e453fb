//! The one-off ways to run: the Job of `examples/job` and the ECS task of `examples/ecs`. Their container is run as a
//! process with its own command and environment, whose values are looked up as the kubelet or ECS does.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::checkout::Checkout;
use crate::cli::Ended;
use crate::harness::{Database, Namespace, api, eventually, postgres, schemaward};
use crate::operator_rig::{LIMIT, Tenant, cluster, condition, inline, resource};

/// The program as a container runs it: with these arguments and variables alone, and its folders elsewhere.
fn container(
    arguments: &Value,
    variables: &BTreeMap<String, String>,
    folders: &[(&str, PathBuf)],
) -> Ended {
    let outside = |text: &str| {
        folders
            .iter()
            .fold(text.to_owned(), |text, (inside, outside)| {
                text.replace(inside, &outside.display().to_string())
            })
    };
    let arguments = arguments.as_array().expect("arguments");
    let mut command = schemaward();
    command.args(
        arguments
            .iter()
            .map(|argument| outside(argument.as_str().expect("a text"))),
    );
    for (name, value) in variables {
        command.env(name, outside(value));
    }
    Ended::of(&command.output().expect("the program starts"))
}

#[track_caller]
fn is_at_001(database: &Database<'_>, ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(
        ended.stderr.ends_with(&format!(
            "{}: at version 001, 3 checks passed\n",
            database.name
        )),
        "{ended:#?}"
    );
    assert_eq!(database.applied(), "000 001");
}

// ---- the Job -----------------------------------------------------------------------------------------------

fn get(namespace: &Namespace<'_>, arguments: &[&str]) -> Value {
    let text = namespace.kubectl(&[&["get", "-o", "json"], arguments].concat());
    serde_json::from_str(&text).expect("kubectl gives JSON")
}

/// The pods of a Job, newest first.
fn pods(namespace: &Namespace<'_>, job: &str) -> Vec<Value> {
    let selector = format!("--selector=batch.kubernetes.io/job-name={job}");
    let list = get(namespace, &["pods", &selector]);
    let mut pods = list["items"].as_array().expect("items").clone();
    pods.sort_by_key(|pod| std::cmp::Reverse(pod["metadata"]["creationTimestamp"].to_string()));
    pods
}

/// The value of a variable, as the kubelet finds it.
fn value_of(namespace: &Namespace<'_>, variable: &Value) -> String {
    if let Some(value) = variable["value"].as_str() {
        return value.to_owned();
    }
    let reference = &variable["valueFrom"]["secretKeyRef"];
    let name = reference["name"].as_str().expect("a Secret");
    let key = reference["key"].as_str().expect("a key");
    let template = format!("-o=go-template={{{{index .data \"{key}\" | base64decode}}}}");
    namespace.kubectl(&["get", "secret", name, &template])
}

/// A `ConfigMap` as the kubelet mounts it: links into a folder that it exchanges as a whole.
fn mounted(namespace: &Namespace<'_>, config_map: &str, to: &Path) {
    fs::create_dir_all(to.join("..2026")).expect("our own folder");
    symlink("..2026", to.join("..data")).expect("our own folder");
    let data = get(namespace, &["configmap", config_map])["data"].clone();
    for (name, text) in data.as_object().expect("data") {
        fs::write(to.join("..2026").join(name), text.as_str().expect("a text"))
            .expect("our own folder");
        symlink(format!("..data/{name}"), to.join(name)).expect("our own folder");
    }
}

/// Ends a pod as the kubelet reports it.
fn pod_ended(namespace: &Namespace<'_>, pod: &Value, exit_code: i32) {
    let phase = if exit_code == 0 {
        "Succeeded"
    } else {
        "Failed"
    };
    let status = json!({"status": {"phase": phase, "containerStatuses": [{
        "name": "schemaward", "image": "schemaward", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": exit_code, "reason": "Error"}},
    }]}});
    let name = pod["metadata"]["name"].as_str().expect("a name");
    let status = status.to_string();
    namespace.kubectl(&[
        "patch",
        "pod",
        name,
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ]);
}

fn create_job(namespace: &Namespace<'_>, checkout: &Checkout) -> (String, Value) {
    let path = checkout.path("examples/job/job.yaml");
    let path = path.to_str().expect("a path");
    let name = namespace.kubectl(&["create", "-f", path, "-o", "jsonpath={.metadata.name}"]);
    let pod = eventually(LIMIT, || {
        pods(namespace, &name)
            .into_iter()
            .next()
            .ok_or("no pod yet")
    });
    (name, pod)
}

#[test]
fn the_job_migrates_and_fails_only_where_a_person_is_needed() {
    let database = postgres().database("job");
    database.require_tls();
    database.exec(&fs::read_to_string("examples/fluxion/base-tables.sql").expect("a file"));
    let checkout = Checkout::leading_to(&database);
    let job = "examples/job/job.yaml";
    for (placeholder, value) in [
        ("postgres.example.com", database.server.tls_host.as_str()),
        ("5432", &database.server.port.to_string()),
        ("fluxion_production", &database.name),
    ] {
        checkout.edit(job, placeholder, value);
    }
    api().apply(
        "{apiVersion: v1, kind: Namespace, metadata: {name: fluxion, labels: {
            pod-security.kubernetes.io/enforce: restricted}}}",
    );
    let namespace = Namespace {
        api: api(),
        name: "fluxion".to_owned(),
    };
    checkout.edit(
        "examples/fluxion/secret.yaml",
        "username: fluxion",
        &format!("username: {}", database.user),
    );
    checkout.edit(
        "examples/fluxion/secret.yaml",
        "change-me",
        &database.password,
    );
    namespace.apply(&checkout.read("examples/fluxion/secret.yaml"));
    let ca = format!(
        "--from-file=global-bundle.pem={}",
        database.server.ca.display()
    );
    namespace.kubectl(&["create", "configmap", "rds-ca", &ca]);
    let files = format!("--from-file={}", checkout.path("migrations").display());
    namespace.kubectl(&["create", "configmap", "fluxion-migrations", &files]);

    let (name, pod) = create_job(&namespace, &checkout);
    let spec = &pod["spec"];
    let running = &spec["containers"][0];
    let folders: Vec<(&str, PathBuf)> = running["volumeMounts"]
        .as_array()
        .expect("mounts")
        .iter()
        .map(|mount| {
            let volumes = spec["volumes"].as_array().expect("volumes");
            let volume = volumes
                .iter()
                .find(|volume| volume["name"] == mount["name"]);
            let config_map = volume.expect("a volume")["configMap"]["name"].as_str();
            let inside = mount["mountPath"].as_str().expect("a path");
            let outside = checkout
                .path(".mounts")
                .join(inside.trim_start_matches('/'));
            mounted(&namespace, config_map.expect("a ConfigMap"), &outside);
            (inside, outside)
        })
        .collect();
    let variables = running["env"].as_array().expect("variables").iter();
    let variables: BTreeMap<_, _> = variables
        .map(|variable| {
            let name = variable["name"].as_str().expect("a name");
            (name.to_owned(), value_of(&namespace, variable))
        })
        .collect();
    let ended = container(&running["args"], &variables, &folders);
    is_at_001(&database, &ended);

    // What the cluster makes of its end.
    pod_ended(&namespace, &pod, 0);
    let condition_of = |job: &str, type_: &str| {
        let status = get(&namespace, &["job", job])["status"].clone();
        (condition(&status, type_), status)
    };
    eventually(LIMIT, || match condition_of(&name, "Complete") {
        (complete, _) if complete["status"] == "True" => Ok(()),
        (_, status) => Err(status),
    });
    let (name, pod) = create_job(&namespace, &checkout);
    pod_ended(&namespace, &pod, 1);
    let failed = eventually(LIMIT, || match condition_of(&name, "Failed") {
        (failed, _) if failed["status"] == "True" => Ok(failed),
        (_, status) => Err(status),
    });
    assert_eq!(failed["reason"], "PodFailurePolicy", "{failed}");
    let (name, pod) = create_job(&namespace, &checkout);
    pod_ended(&namespace, &pod, 3);
    eventually(LIMIT, || match pods(&namespace, &name) {
        pods if pods.len() == 2 => Ok(()),
        pods => Err(pods.len()),
    });
    assert_eq!(condition_of(&name, "Failed").0, Value::Null);
}

// ---- the ECS task ------------------------------------------------------------------------------------------

/// Fields of a task definition and of its container, of the ECS API, that we use.
const TASK: [&str; 8] = [
    "family",
    "requiresCompatibilities",
    "networkMode",
    "cpu",
    "memory",
    "runtimePlatform",
    "executionRoleArn",
    "containerDefinitions",
];
const CONTAINER: [&str; 11] = [
    "name",
    "image",
    "essential",
    "command",
    "environment",
    "secrets",
    "user",
    "readonlyRootFilesystem",
    "stopTimeout",
    "linuxParameters",
    "logConfiguration",
];

fn fields(object: &Value) -> Vec<&str> {
    let object = object.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

/// `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX:KEY:STAGE:VERSION`: the secret and the key.
fn secret_and_key(arn: &str) -> (&str, &str) {
    let parts: Vec<_> = arn.split(':').collect();
    let [
        "arn",
        "aws",
        "secretsmanager",
        region,
        account,
        "secret",
        secret,
        key,
        stage,
        version,
    ] = parts[..]
    else {
        panic!("{arn} is no ARN of a key of a secret");
    };
    assert!(region.len() > 4 && account.len() == 12 && account.chars().all(|c| c.is_ascii_digit()));
    assert_eq!((stage, version), ("", ""), "the current version");
    let (name, suffix) = secret.rsplit_once('-').expect("a suffix");
    assert_eq!(
        suffix.len(),
        6,
        "Secrets Manager appends six characters: {secret}"
    );
    (name, key)
}

#[test]
fn the_ecs_task_migrates_with_the_secret_it_names() {
    let checkout = Checkout::new();
    let task: Value =
        serde_json::from_str(&checkout.read("examples/ecs/task-definition.json")).expect("JSON");
    let sorted = |names: &[&'static str]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    };
    assert_eq!(fields(&task), sorted(&TASK));
    assert_eq!(task["requiresCompatibilities"], json!(["FARGATE"]));
    assert_eq!(task["networkMode"], "awsvpc", "Fargate knows no other");
    assert_eq!(
        (&task["cpu"], &task["memory"]),
        (&json!("256"), &json!("512")),
        "a size that Fargate has"
    );
    let running = &task["containerDefinitions"][0];
    assert_eq!(fields(running), sorted(&CONTAINER));
    assert!(
        running["stopTimeout"]
            .as_u64()
            .is_some_and(|seconds| seconds <= 120),
        "the most that Fargate grants"
    );

    // What ECS does with it.
    let database = postgres().database("ecs");
    database.require_tls();
    database.exec(&checkout.read("examples/fluxion/base-tables.sql"));
    let server = database.server;
    let document = json!({
        "username": database.user, "password": database.password, "engine": "postgres", "host": server.tls_host,
        "port": server.port, "dbname": database.name, "dbInstanceIdentifier": "fluxion-postgres-v2",
    });
    let mut variables = BTreeMap::new();
    for entry in running["environment"].as_array().expect("variables") {
        let value = entry["value"].as_str().expect("a text");
        variables.insert(
            entry["name"].as_str().expect("a name").to_owned(),
            value.to_owned(),
        );
    }
    for entry in running["secrets"].as_array().expect("secrets") {
        let (secret, key) = secret_and_key(entry["valueFrom"].as_str().expect("an ARN"));
        assert_eq!(secret, "fluxion/postgres-credentials");
        let value = match &document[key] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            other => panic!("the secret has no {key}: {other}"),
        };
        let name = entry["name"].as_str().expect("a name").to_owned();
        assert_eq!(
            variables.insert(name, value),
            None,
            "ECS refuses a name that is there twice"
        );
    }
    assert!(variables.contains_key("POSTGRES_PASSWORD"));
    let ca = checkout.path("ca");
    fs::create_dir(&ca).expect("our own folder");
    fs::copy(&server.ca, ca.join("global-bundle.pem")).expect("our own folder");
    // The Dockerfile puts both where the command looks for them.
    let folders = [("/migrations", checkout.path("migrations")), ("/ca", ca)];
    let dockerfile = checkout.read("examples/ecs/Dockerfile");
    assert!(
        dockerfile.contains(
            "COPY migrations /migrations\nCOPY global-bundle.pem /ca/global-bundle.pem\n"
        )
    );
    let ended = container(&running["command"], &variables, &folders);
    is_at_001(&database, &ended);
}

// ---- beside the operator -----------------------------------------------------------------------------------

/// Ten versions that would each fail if they ran twice.
const VERSIONS: usize = 10;

fn counting() -> Vec<(String, String)> {
    (1..=VERSIONS)
        .map(|n| {
            let sql = format!("CREATE TABLE t{n:03} (id int); SELECT pg_sleep(0.05);");
            (format!("{n:03}_t{n:03}_UP.sql"), sql)
        })
        .collect()
}

#[test]
fn a_job_and_the_operator_at_once_apply_each_version_once() {
    let database = postgres().database("both");
    let files = counting();
    let files: Vec<_> = files
        .iter()
        .map(|(name, sql)| (name.as_str(), sql.as_str()))
        .collect();
    let namespace = cluster().tenant("both");
    namespace.secret(&database);
    // The resource has the database, at its first version.
    let schema = namespace.schema("shop", &resource("shop", &database, &inline(&files[..1])));
    schema.reaches("UpToDate");

    // Both are let go by the same lock.
    let mut gate = database.hold("gate", "SELECT pg_advisory_lock(1935894647, 1);");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, sql) in &files {
        fs::write(folder.path().join(name), sql).expect("our own folder");
    }
    let mut job: Command = database.schemaward();
    let job = job
        .arg("up")
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    schema.patch(&json!({"spec": {"source": inline(&files)}}));
    eventually(LIMIT, || {
        let sql = "SELECT count(DISTINCT application_name) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name LIKE 'schemaward/%'";
        match database.admin_exec(sql).as_str() {
            "2" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    gate.kill().expect("our own child");
    gate.wait().expect("our own child");

    let job = Ended::of(&job.wait_with_output().expect("our own child"));
    assert_eq!(job.code, Some(0), "{job:#?}");
    let claim = format!(
        "warning: DatabaseSchema {}/shop manages this database. This command passed its claim; the operator will bring \
         the database to what that resource says.",
        namespace.name
    );
    assert!(job.stderr.contains(&claim), "{job:#?}");
    let status = schema.reaches("UpToDate");
    assert_eq!(status["currentVersion"], format!("{VERSIONS:03}"));
    assert_eq!(status["appliedCount"], VERSIONS);

    // Each version ran once, whoever ran it; the audit says who, and is whole.
    assert_eq!(
        database.query_text(
            "SELECT count(*), count(DISTINCT version) FROM schemaward.audit WHERE action = 'apply'"
        ),
        format!("{VERSIONS}|{VERSIONS}")
    );
    let actors = database.query_text(
        "SELECT DISTINCT actor FROM schemaward.audit WHERE action = 'apply' ORDER BY 1",
    );
    let operator = format!("DatabaseSchema {}/shop", namespace.name);
    for actor in actors.lines() {
        assert!(actor == "command line" || actor == operator, "{actors}");
    }
    let audit = Ended::of(
        &database
            .schemaward()
            .arg("audit")
            .output()
            .expect("the program starts"),
    );
    assert!(
        audit.stderr.contains("all of them as they were written"),
        "{audit:#?}"
    );
    // The resource still has the database.
    assert_eq!(
        database.query_text("SELECT namespace || '/' || name FROM schemaward.claim"),
        format!("{}/shop", namespace.name)
    );
    database.nothing_is_left();
}
