//! The workflows of `examples/github-actions`: actionlint finds nothing in them, and their shell steps run as they
//! stand, with the rights of the pipeline alone. What GitHub's runner does around a step is done here; `aws` and
//! `docker` are stand-ins that hand out the kubeconfig and the program, and `gh` keeps what it was to say.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::checkout::Checkout;
use crate::cli::Ended;
use crate::harness::{Api, Namespace, part, postgres};
use crate::operator_rig::{Schema, cluster};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/github-actions");

/// A runner of GitHub's in a checkout.
struct Runner<'a> {
    checkout: &'a Checkout,
    /// `RUNNER_TEMP`, `HOME` and the stand-ins.
    folder: PathBuf,
    variables: BTreeMap<String, String>,
    /// What stands here goes before the workflow's own, and is what GitHub gives.
    given: BTreeMap<String, String>,
    path: Vec<PathBuf>,
}

/// A step that was run.
struct Step {
    name: String,
    ended: Ended,
}

impl<'a> Runner<'a> {
    fn new(checkout: &'a Checkout, api: &Api) -> Self {
        let folder = checkout.path(".runner");
        fs::create_dir_all(folder.join("bin")).expect("our own folder");
        let kubectl = api.kubectl_path();
        let aws = format!(
            "[ \"$1 $2\" = 'eks update-kubeconfig' ] && mkdir -p ~/.kube && cp '{}' ~/.kube/config",
            api.deployer.display()
        );
        let docker = format!(
            "case $1 in create) echo made;; cp) [ \"$2\" = made:/schemaward ] && cp '{}' \"$3\";; rm) ;; *) exit 1;; esac",
            env!("CARGO_BIN_EXE_schemaward")
        );
        let kubectl = format!("exec '{}' \"$@\"", kubectl.display());
        let psql = part("SCHEMAWARD_POSTGRES_BIN").join("psql");
        let psql = format!("exec '{}' \"$@\"", psql.display());
        let gh = "for body; do :; done; cp \"$body\" ~/said.md; echo \"$@\" >~/gh".to_owned();
        for (name, script) in [
            ("aws", &aws),
            ("docker", &docker),
            ("kubectl", &kubectl),
            ("psql", &psql),
            ("gh", &gh),
        ] {
            let program = folder.join("bin").join(name);
            fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("our own folder");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("our own file");
        }
        let system = ["/usr/bin", "/bin"].map(PathBuf::from);
        Self {
            checkout,
            path: [&[folder.join("bin")], &system[..]].concat(),
            variables: BTreeMap::new(),
            given: BTreeMap::new(),
            folder,
        }
    }

    /// Runs the `run` steps of a workflow's only job; the last one is the first that fails, apart from those
    /// that run nevertheless.
    fn run(&mut self, workflow: &str) -> Vec<Step> {
        let workflow = read(workflow);
        self.variables = texts(&workflow["env"]);
        let jobs = workflow["jobs"].as_object().expect("jobs");
        let job = jobs.values().next().expect("a job");
        assert_eq!(jobs.len(), 1);
        assert_eq!(job["defaults"]["run"]["shell"], "bash");
        let mut done: Vec<Step> = Vec::new();
        for step in job["steps"].as_array().expect("steps") {
            let Some(script) = step["run"].as_str() else {
                continue;
            };
            assert!(
                !script.contains("${{"),
                "a step's shell reads variables, not expressions: {script}"
            );
            let failed = done.iter().any(|step| step.ended.code != Some(0));
            let wanted = match step["if"].as_str() {
                None | Some(OWN_REPOSITORY) => !failed,
                Some("${{ !cancelled() }}") => true,
                Some(other) => panic!("this runner does not know {other}"),
            };
            if wanted {
                let name = step["name"].as_str().expect("a name").to_owned();
                let ended = self.step(script, &texts(&step["env"]));
                done.push(Step { name, ended });
            }
        }
        done
    }

    /// As `shell: bash` does it.
    fn step(&mut self, script: &str, variables: &BTreeMap<String, String>) -> Ended {
        let file = |name: &str| self.folder.join(name);
        for name in ["env", "path", "step.sh"] {
            fs::write(file(name), if name == "step.sh" { script } else { "" })
                .expect("our own folder");
        }
        let path = std::env::join_paths(&self.path).expect("paths without a colon");
        let output = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(file("step.sh"))
            .current_dir(self.checkout.root())
            .env_clear()
            .envs(&self.variables)
            .envs(variables)
            .envs(&self.given)
            .env("PATH", path)
            .env("HOME", &self.folder)
            .env("RUNNER_TEMP", &self.folder)
            .env("GITHUB_ENV", file("env"))
            .env("GITHUB_PATH", file("path"))
            .output()
            .expect("bash starts");
        for line in fs::read_to_string(file("env")).expect("a text").lines() {
            let (name, value) = line.split_once('=').expect("NAME=VALUE");
            self.variables.insert(name.to_owned(), value.to_owned());
        }
        for line in fs::read_to_string(file("path")).expect("a text").lines() {
            self.path.insert(0, line.into());
        }
        Ended::of(&output)
    }
}

fn read(workflow: &str) -> Value {
    let text = fs::read_to_string(Path::new(FOLDER).join(workflow)).expect("a workflow");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn texts(map: &Value) -> BTreeMap<String, String> {
    let entries = map.as_object().into_iter().flatten();
    entries
        .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
        .collect()
}

#[track_caller]
fn succeeded(steps: &[Step]) {
    for Step { name, ended } in steps {
        assert_eq!(ended.code, Some(0), "{name}: {ended:#?}");
    }
}

fn said<'a>(steps: &'a [Step], name: &str) -> &'a Ended {
    let found = steps.iter().find(|step| step.name == name);
    &found.unwrap_or_else(|| panic!("no step {name}")).ended
}

/// A pull request that does not come from a fork.
const OWN_REPOSITORY: &str =
    "${{ github.event.pull_request.head.repo.full_name == github.repository }}";

const WAIT: &str = "Wait until the database is there";

#[test]
fn actionlint_finds_nothing() {
    let workflows: Vec<_> = fs::read_dir(FOLDER)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .filter(|path| !path.ends_with("access.yaml"))
        .collect();
    assert!(!workflows.is_empty());
    let output = Command::new(part("ACTIONLINT"))
        // Only what is pinned looks at them, not what a machine happens to have.
        .args(["-shellcheck=", "-pyflakes="])
        .args(&workflows)
        .output()
        .expect("actionlint starts");
    assert!(output.status.success(), "{:#?}", Ended::of(&output));
}

#[test]
fn the_pipeline_migrates_and_holds_no_password() {
    let database = postgres().database("pipeline");
    let checkout = Checkout::leading_to(&database);
    let api = &cluster().api;
    api.apply(&checkout.read("examples/fluxion/namespace.yaml"));
    let namespace = Namespace {
        api,
        name: "fluxion".to_owned(),
    };
    checkout.prepare_namespace(&namespace, &database);
    namespace.apply(&checkout.read("examples/github-actions/access.yaml"));
    database.exec(&checkout.read("examples/fluxion/base-tables.sql"));
    // Somebody who may make the resource does, once.
    let example = checkout.path("examples/fluxion");
    namespace.kubectl(&["apply", "-k", example.to_str().expect("a path")]);
    let schema = Schema {
        namespace: &namespace,
        name: "fluxion",
    };
    schema.reaches("UpToDate");

    // A push with a new version.
    checkout.add_version(
        "002",
        "add_prices",
        "ALTER TABLE productos ADD precio_lista int;\n",
        "ALTER TABLE productos DROP precio_lista;\n",
    );
    let mut runner = Runner::new(&checkout, api);
    let steps = runner.run("deploy.yaml");
    succeeded(&steps);
    assert_eq!(
        said(&steps, WAIT).stdout,
        "databaseschema/fluxion: at version 002, 3 checks passed\n"
    );
    assert_eq!(database.applied(), "000 001 002");
    let config_map = runner.variables["MIGRATIONS"].clone();
    assert_eq!(
        schema.get()["spec"]["source"]["configMaps"][0]["name"],
        config_map.as_str()
    );
    assert_eq!(
        namespace.kubectl(&[
            "get",
            "configmap",
            &config_map,
            "-o",
            "jsonpath={.immutable}"
        ]),
        "true"
    );

    // The same commit once more: nothing new, and a success.
    let steps = Runner::new(&checkout, api).run("deploy.yaml");
    succeeded(&steps);

    // A version that fails: the run fails with the operator's own words, and shows where it stands.
    checkout.add_version(
        "003",
        "wrong",
        "INSERT INTO nowhere VALUES (1);\n",
        "SELECT 1;\n",
    );
    let mut runner = Runner::new(&checkout, api);
    let steps = runner.run("deploy.yaml");
    let wait = said(&steps, WAIT);
    assert_eq!(wait.code, Some(1), "{wait:#?}");
    assert!(
        wait.stderr.ends_with(
            "error: 003 wrong failed at line 1, column 13: relation \"nowhere\" does not exist (42P01). Nothing of 003 was \
             applied; the database is at 002. Correct 003 and commit.\n"
        ),
        "{wait:#?}"
    );
    let shown = said(&steps, "Show where it stands");
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    assert!(shown.stdout.contains("MigrationFailed"), "{shown:#?}");

    the_pipeline_may_do_this_and_no_more(&namespace, &config_map);
    for workflow in fs::read_dir(FOLDER).expect("a folder") {
        let text = fs::read_to_string(workflow.expect("an entry").path()).expect("a text");
        assert!(
            !text.contains("PASSWORD") && !text.contains("secrets."),
            "{text}"
        );
    }
}

#[test]
fn a_pull_request_is_told_its_plan_and_its_findings() {
    let database = postgres().database("pull_request");
    let server = database.server;
    let checkout = Checkout::new();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(checkout.root()).args(arguments);
        let identity = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "a"));
        let address = ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "a@b.example"));
        let output = git.envs(identity).envs(address).output().expect("git");
        assert!(output.status.success(), "{:#?}", Ended::of(&output));
    };
    git(&["init", "--quiet"]);
    git(&["add", "migrations", "examples"]);
    git(&["commit", "--quiet", "--message", "The target branch"]);
    git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);

    // The pull request: one version that runs, and is not what its author should do to a table in use.
    checkout.add_version(
        "002",
        "add_prices",
        "ALTER TABLE productos ADD precio_lista int;\nCREATE INDEX por_precio ON productos (precio);\n",
        "DROP INDEX por_precio;\nALTER TABLE productos DROP precio_lista;\n",
    );
    let mut runner = Runner::new(&checkout, &cluster().api);
    runner.given = [
        ("POSTGRES_HOST", server.host.clone()),
        ("POSTGRES_PORT", server.port.to_string()),
        ("POSTGRES_DB", database.name.clone()),
        // The image's user may do everything.
        ("POSTGRES_USER", server.superuser.clone()),
        ("POSTGRES_PASSWORD", server.password.clone()),
        ("PGPASSWORD", server.password.clone()),
        ("GITHUB_BASE_REF", "main".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let steps = runner.run("review.yaml");
    succeeded(&steps);
    let comment = checkout.read(".runner/said.md");
    for expected in [
        "    002 add_prices  apply",
        "CREATE INDEX por_precio ON productos",
        "require-concurrent-index-creation",
        "1 version to apply",
    ] {
        assert!(comment.contains(expected), "{expected}: {comment}");
    }
    assert!(!comment.contains("inventario_historico"), "{comment}");
    let findings = checkout.read(".runner/findings.sarif");
    let findings: Value = serde_json::from_str(&findings).expect("SARIF is JSON");
    let results = findings["runs"][0]["results"].as_array().expect("findings");
    let files: Vec<_> = results
        .iter()
        .filter(|result| result["ruleId"] == "require-concurrent-index-creation")
        .map(|result| &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        .collect();
    assert_eq!(files, ["migrations/002_add_prices_UP.sql"], "{findings}");

    // What cannot run fails the review, after it has been said.
    checkout.write("migrations/003_wrong_UP.sql", "COMMIT;\n");
    checkout.write("migrations/003_wrong_DOWN.sql", "SELECT 1;\n");
    git(&["worktree", "remove", "--force", ".runner/base"]);
    database.admin_exec("DROP SCHEMA public, schemaward CASCADE; CREATE SCHEMA public");
    let steps = runner.run("review.yaml");
    let failed = said(&steps, "Fail where something is wrong");
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(
        checkout
            .read(".runner/said.md")
            .contains("003_wrong_UP.sql")
    );
}

fn the_pipeline_may_do_this_and_no_more(namespace: &Namespace<'_>, config_map: &str) {
    let kubeconfig = format!("--kubeconfig={}", namespace.api.deployer.display());
    let can = |verb: &str, object: &str, namespace: &str| {
        let question = ["auth", "can-i", verb, object, "-n", namespace, &kubeconfig];
        let answer = cluster().api.try_kubectl(&question, "");
        answer.status.success()
    };
    let own = "databaseschemas/fluxion";
    for verb in ["get", "list", "watch", "patch"] {
        assert!(can(verb, own, "fluxion"), "{verb}");
        assert!(!can(verb, "databaseschemas/other", "fluxion"), "{verb}");
        assert!(!can(verb, own, "default"), "{verb}");
    }
    for verb in ["create", "delete", "update"] {
        assert!(!can(verb, own, "fluxion"), "{verb}");
    }
    let config_map = format!("configmaps/{config_map}");
    assert!(can("get", &config_map, "fluxion"));
    assert!(can("create", "configmaps", "fluxion"));
    for verb in ["patch", "update", "delete", "list"] {
        assert!(!can(verb, &config_map, "fluxion"), "{verb}");
    }
    for object in [
        "secrets",
        "secrets/fluxion-db",
        "pods",
        "serviceaccounts/token",
        "rolebindings",
    ] {
        for verb in ["get", "list", "create", "patch"] {
            assert!(!can(verb, object, "fluxion"), "{verb} {object}");
        }
    }
    let status = [
        "auth",
        "can-i",
        "patch",
        own,
        "--subresource=status",
        "-n",
        "fluxion",
        &kubeconfig,
    ];
    assert!(!cluster().api.try_kubectl(&status, "").status.success());
}
