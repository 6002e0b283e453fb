//! The Helm chart on a real API server: what it puts there, what the operator's account may do with it, and
//! what stays when the release goes. `charts/check` looks at what needs no server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Api, Namespace, eventually, schemaward};

const LIMIT: Duration = Duration::from_secs(30);
const CRD: &str = "databaseschemas.schemaward.dev";

/// A server for these tests alone: they put the CRD in place and take it away, which all others stand on.
fn api() -> &'static Api {
    static SERVER: OnceLock<Api> = OnceLock::new();
    SERVER.get_or_init(Api::start)
}

fn repository(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// `helm install|upgrade RELEASE` of the chart with these flags; gives what helm prints, NOTES included.
#[track_caller]
fn deploy(verb: &str, release: &str, namespace: &str, flags: &[&str]) -> String {
    let chart = repository("charts/schemaward");
    let arguments = [verb, release, &chart, "--namespace", namespace];
    api().helm(&[&arguments, flags].concat())
}

#[track_caller]
fn uninstall(release: &str, namespace: &str) -> String {
    api().helm(&["uninstall", release, "--namespace", namespace])
}

// ---- a release's life --------------------------------------------------------------------------------------

/// One test, because there is one CRD in a cluster.
#[test]
fn a_release_comes_changes_and_goes_and_the_crd_stays() {
    installs_under_restricted_pod_security();
    serves_the_example();
    upgrades_to_some_namespaces_and_back();
    leaves_the_crd_to_its_release();
    keeps_crd_and_resources_when_it_goes();
    comes_back_over_the_kept_crd();
    works_with_a_crd_put_in_place_without_helm();
}

fn installs_under_restricted_pod_security() {
    api().apply(
        "{apiVersion: v1, kind: Namespace, metadata: {name: schemaward, labels: {
            pod-security.kubernetes.io/enforce: restricted}}}",
    );
    let notes = deploy(
        "install",
        "schemaward",
        "schemaward",
        &["--set=replicaCount=2"],
    );
    assert!(
        notes.contains("--serviceaccount schemaward:schemaward"),
        "{notes}"
    );
    assert!(!notes.contains("left as it is"), "{notes}");
    // Admission is where the API server would refuse a pod that asks for more.
    eventually(LIMIT, || {
        let pods = get("schemaward", &["pods", "-o", "name"]);
        if pods.lines().count() == 2 {
            Ok(())
        } else {
            Err(get("schemaward", &["events"]))
        }
    });
}

/// `kubectl apply -k`, without flags; the CRD's own checks judge the `DatabaseSchema`.
fn serves_the_example() {
    api().established(&[&format!("crd/{CRD}")]);
    api().kubectl(&["apply", "-k", &repository("examples/fluxion")]);
    let path = "jsonpath={.spec.source.configMaps[0].name}";
    let config_map = get("fluxion", &["databaseschema", "fluxion", "-o", path]);
    let immutable = get(
        "fluxion",
        &["configmap", &config_map, "-o", "jsonpath={.immutable}"],
    );
    assert_eq!(immutable, "true", "{config_map}");
    let text = get("fluxion", &["configmap", &config_map, "-o", "json"]);
    let packed: Value = serde_json::from_str(&text).expect("kubectl gives JSON");
    let packed: Vec<_> = packed["data"]
        .as_object()
        .expect("files")
        .keys()
        .cloned()
        .collect();
    let mut scripts = files_in("migrations");
    scripts.retain(|name| name.starts_with(|first: char| first.is_ascii_digit()));
    assert_eq!(packed, scripts);
    // Nobody has looked at it: without this, clients take it for ready.
    let path = "jsonpath={.status.observedGeneration}";
    assert_eq!(
        get("fluxion", &["databaseschema", "fluxion", "-o", path]),
        "-1"
    );
    for object in ["secrets:fluxion-db", &format!("configmaps:{config_map}")] {
        let operator = account("schemaward", "schemaward");
        assert!(can_i(&operator, "fluxion", &format!("get {object}")));
    }
}

/// Names, sorted.
fn files_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(repository(folder)).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("a file").file_name().into_string());
    let mut names: Vec<_> = names.map(|name| name.expect("a name of ours")).collect();
    names.sort();
    names
}

fn upgrades_to_some_namespaces_and_back() {
    assert_eq!(cluster_roles("schemaward"), 4);
    deploy(
        "upgrade",
        "schemaward",
        "schemaward",
        &["--set=watchNamespaces={fluxion}"],
    );
    assert_eq!(cluster_roles("schemaward"), 0);
    let path = "jsonpath={.spec.template.spec.containers[0].args}";
    let arguments = get("schemaward", &["deployment", "schemaward", "-o", path]);
    assert!(
        arguments.contains("--watch-namespaces=fluxion"),
        "{arguments}"
    );
    // Without any setting helm would take over the last release's.
    deploy(
        "upgrade",
        "schemaward",
        "schemaward",
        &["--set=replicaCount=1"],
    );
    assert_eq!(cluster_roles("schemaward"), 4);
    let owner = crd_owner();
    assert_eq!(owner, "schemaward/schemaward");
}

fn leaves_the_crd_to_its_release() {
    let namespace = api().namespace("second").name;
    let watch = format!("--set=watchNamespaces={{{namespace}}}");
    let notes = deploy("install", "second", &namespace, &[&watch]);
    assert!(
        notes.contains("came with release schemaward/schemaward and was left as it is"),
        "{notes}"
    );
    deploy("upgrade", "second", &namespace, &[&watch]);
    uninstall("second", &namespace);
    assert_eq!(crd_owner(), "schemaward/schemaward");
}

fn keeps_crd_and_resources_when_it_goes() {
    let said = uninstall("schemaward", "schemaward");
    assert!(said.contains("were kept"), "{said}");
    assert_eq!(
        get("fluxion", &["databaseschemas", "-o", "name"]),
        "databaseschema.schemaward.dev/fluxion"
    );
    assert_eq!(cluster_roles("schemaward"), 0);
    let gone = api().try_kubectl(&["-n", "schemaward", "get", "deployment", "schemaward"], "");
    assert!(!gone.status.success(), "{gone:?}");
}

fn comes_back_over_the_kept_crd() {
    let notes = deploy("install", "schemaward", "schemaward", &[]);
    assert!(!notes.contains("left as it is"), "{notes}");
    uninstall("schemaward", "schemaward");
    let namespace = api().namespace("moved").name;
    let notes = deploy("install", "moved", &namespace, &[]);
    assert!(notes.contains("left as it is"), "{notes}");
    uninstall("moved", &namespace);
}

fn works_with_a_crd_put_in_place_without_helm() {
    api().kubectl(&["delete", "crd", CRD]);
    let file = repository("charts/schemaward/files/crd.yaml");
    api().kubectl(&["apply", "--server-side", "-f", &file]);
    let notes = deploy("install", "schemaward", "schemaward", &[]);
    assert!(notes.contains("put in place without Helm"), "{notes}");
    uninstall("schemaward", "schemaward");
    assert_eq!(crd_owner(), "/");
}

#[track_caller]
fn get(namespace: &str, arguments: &[&str]) -> String {
    api().kubectl(&[&["-n", namespace, "get"], arguments].concat())
}

/// `namespace/release` that helm wrote on the CRD.
fn crd_owner() -> String {
    let text = api().kubectl(&["get", "crd", CRD, "-o", "json"]);
    let crd: Value = serde_json::from_str(&text).expect("kubectl gives JSON");
    let note = |name: &str| {
        let pointer = format!("/metadata/annotations/meta.helm.sh~1release-{name}");
        crd.pointer(&pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    format!("{}/{}", note("namespace"), note("name"))
}

/// How many `ClusterRole`s a release has.
fn cluster_roles(release: &str) -> usize {
    let label = format!("app.kubernetes.io/instance={release}");
    api()
        .kubectl(&["get", "clusterroles", "-l", &label, "-o", "name"])
        .lines()
        .count()
}

// ---- what the operator's account may do --------------------------------------------------------------------

/// On its own kind and on Events, wherever it watches.
const WATCHING: &[&str] = &[
    "get schemaward.dev/databaseschemas",
    "list schemaward.dev/databaseschemas",
    "watch schemaward.dev/databaseschemas",
    "patch schemaward.dev/databaseschemas/status",
    "create events.k8s.io/events",
    "patch events.k8s.io/events",
];
const CLUSTER_ID: &[&str] = &["get namespaces:kube-system"];
const TENANT: &[&str] = &["get configmaps", "get secrets"];
const CACHES: &[&str] = &[
    "list configmaps",
    "watch configmaps",
    "list secrets",
    "watch secrets",
];
/// `NAME` stands for the release's.
const LEASE: &[&str] = &[
    "create coordination.k8s.io/leases",
    "get coordination.k8s.io/leases:NAME",
    "update coordination.k8s.io/leases:NAME",
    "patch coordination.k8s.io/leases:NAME",
];

/// A release without CRD, and namespaces of three kinds.
struct Installed {
    release: String,
    own: Namespace<'static>,
    served: Namespace<'static>,
    other: Namespace<'static>,
    kubeconfig: PathBuf,
}

impl Installed {
    /// `settings` may name the served namespace as `SERVED`.
    fn new(settings: &[&str]) -> Self {
        let [own, served, other] = ["operator", "served", "other"].map(|n| api().namespace(n));
        // The name holds the chart's, so that it is the name of all objects.
        let release = format!("schemaward-{}", own.name);
        let flags: Vec<_> = settings
            .iter()
            .map(|setting| format!("--set={}", setting.replace("SERVED", &served.name)))
            .chain(["--set=crds.install=false".to_owned()])
            .collect();
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        deploy("install", &release, &own.name, &flags);
        let kubeconfig = account(&own.name, &release);
        Self {
            release,
            own,
            served,
            other,
            kubeconfig,
        }
    }

    /// All that the operator's account may do in a namespace is this.
    #[track_caller]
    fn may(&self, namespace: &str, rules: &[&[&str]]) {
        let expected: BTreeSet<_> = rules
            .concat()
            .iter()
            .map(|rule| rule.replace("NAME", &self.release))
            .collect();
        let every_account = rules_of(&account(&self.own.name, "default"), namespace);
        let found: BTreeSet<_> = rules_of(&self.kubeconfig, namespace)
            .difference(&every_account)
            .cloned()
            .collect();
        assert_eq!(found, expected, "in namespace {namespace}");
    }

    fn can_i(&self, namespace: &str, rule: &str) -> bool {
        can_i(&self.kubeconfig, namespace, rule)
    }

    /// The one object outside of its namespaces that the operator reads.
    fn reads_the_clusters_id_and_no_more(&self) {
        let get = |name| {
            let config = self.kubeconfig.to_str().expect("a path of ours is UTF-8");
            let arguments = ["--kubeconfig", config, "get", "namespace", name];
            api().try_kubectl(&arguments, "").status.success()
        };
        assert!(get("kube-system"));
        assert!(!get("default"));
        assert!(!get(&self.other.name));
    }
}

#[test]
fn by_default_it_reads_secrets_only_where_it_was_let() {
    let it = Installed::new(&["tenantNamespaces={SERVED}"]);
    it.may(&it.own.name, &[WATCHING, CLUSTER_ID, LEASE]);
    it.may(&it.served.name, &[WATCHING, CLUSTER_ID, TENANT]);
    it.may(&it.other.name, &[WATCHING, CLUSTER_ID]);
    it.may("kube-system", &[WATCHING, CLUSTER_ID]);
    it.reads_the_clusters_id_and_no_more();
    for (namespace, rule, expected) in [
        (&it.served, "get secrets:any", true),
        (&it.served, "list secrets", false),
        (&it.served, "update schemaward.dev/databaseschemas", false),
        (
            &it.served,
            "patch schemaward.dev/databaseschemas/status",
            true,
        ),
        (&it.other, "get secrets:any", false),
        (&it.other, "list schemaward.dev/databaseschemas", true),
        (&it.own, "create coordination.k8s.io/leases", true),
        (&it.own, "update coordination.k8s.io/leases:other", false),
        (&it.own, "create pods", false),
        (&it.own, "create serviceaccounts/token", false),
    ] {
        let found = it.can_i(&namespace.name, rule);
        assert_eq!(found, expected, "{rule} in {}", namespace.name);
    }
    // What NOTES tells a person to run.
    let account = format!("{}:{}", it.own.name, it.release);
    let role = format!("{}-tenant", it.release);
    let arguments = ["--clusterrole", &role, "--serviceaccount", &account];
    it.other
        .kubectl(&[&["create", "rolebinding", &role], &arguments[..]].concat());
    it.may(&it.other.name, &[WATCHING, CLUSTER_ID, TENANT]);
}

#[test]
fn with_watch_namespaces_it_may_nothing_elsewhere() {
    let it = Installed::new(&["watchNamespaces={SERVED}"]);
    it.may(&it.own.name, &[LEASE]);
    it.may(&it.served.name, &[WATCHING, TENANT, CACHES]);
    it.may(&it.other.name, &[]);
    it.may("kube-system", &[CLUSTER_ID]);
    it.reads_the_clusters_id_and_no_more();
    assert!(it.can_i(&it.served.name, "watch secrets"));
    assert!(!it.can_i(&it.other.name, "get schemaward.dev/databaseschemas"));
    assert_eq!(cluster_roles(&it.release), 0);
}

#[test]
fn cluster_wide_it_reads_secrets_everywhere_by_name() {
    let it = Installed::new(&["rbac.clusterWide=true"]);
    it.may(&it.own.name, &[WATCHING, CLUSTER_ID, TENANT, LEASE]);
    it.may(&it.other.name, &[WATCHING, CLUSTER_ID, TENANT]);
    it.may("kube-system", &[WATCHING, CLUSTER_ID, TENANT]);
    assert!(it.can_i(&it.other.name, "get secrets:any"));
    assert!(!it.can_i(&it.other.name, "list secrets"));
}

#[test]
fn viewers_read_and_editors_write_database_schemas() {
    let it = Installed::new(&[]);
    for role in ["view", "edit", "admin"] {
        let subject = format!("--serviceaccount={}:{role}", it.served.name);
        it.served.kubectl(&["create", "serviceaccount", role]);
        it.served.kubectl(&[
            "create",
            "rolebinding",
            role,
            "--clusterrole",
            role,
            &subject,
        ]);
        let config = account(&it.served.name, role);
        // A controller adds our rules to the default roles.
        eventually(LIMIT, || {
            let may = ["get", "list", "watch", "create", "patch", "delete"].map(|verb| {
                let rule = format!("{verb} schemaward.dev/databaseschemas");
                can_i(&config, &it.served.name, &rule)
            });
            let write = role != "view";
            if may == [true, true, true, write, write, write] {
                Ok(())
            } else {
                Err((role, may))
            }
        });
        let status = "patch schemaward.dev/databaseschemas/status";
        assert!(!can_i(&config, &it.served.name, status));
    }
}

#[test]
fn every_set_of_values_that_we_check_installs() {
    let it = api().namespace("values");
    for tenant in ["fluxion", "billing"] {
        api().apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {tenant}}}}}"
        ));
    }
    let sets = files_in("charts/schemaward/ci");
    assert!(sets.len() > 5, "{sets:?}");
    for file in sets {
        let release = file.trim_end_matches("-values.yaml");
        let file = repository(&format!("charts/schemaward/ci/{file}"));
        let flags = ["--set=crds.install=false", "--values", &file];
        deploy("install", release, &it.name, &flags);
        starts_with_the_arguments_of(release, &it.name);
        uninstall(release, &it.name);
    }
}

/// The program takes the arguments that the chart gives it, and fails only for the want of an API server.
fn starts_with_the_arguments_of(release: &str, namespace: &str) {
    let label = format!("app.kubernetes.io/instance={release}");
    let path = "jsonpath={.items[0].spec.template.spec.containers[0].args}";
    let text = get(namespace, &["deployments", "-l", &label, "-o", path]);
    let mut arguments: Vec<String> = serde_json::from_str(&text).expect("a list of texts");
    let folder = tempfile::tempdir().expect("a folder");
    for argument in &mut arguments {
        if let Some(mounted) = argument.strip_prefix("--config=/etc/schemaward/") {
            let path = folder.path().join(mounted);
            std::fs::write(&path, configuration(&label, namespace, mounted)).expect("our own");
            *argument = format!("--config={}", path.display());
        }
    }
    let output = schemaward()
        .args(&arguments)
        .env("KUBECONFIG", "/nowhere")
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nowhere"), "{arguments:?}: {output:?}");
}

/// What the chart has the node put where the program reads its configuration.
fn configuration(label: &str, namespace: &str, key: &str) -> String {
    let text = get(namespace, &["configmaps", "-l", label, "-o", "json"]);
    let list: Value = serde_json::from_str(&text).expect("kubectl gives JSON");
    let content = list["items"][0]["data"][key].as_str();
    content.expect("a ConfigMap with the file").to_owned()
}

/// A kubeconfig of an account, once the account is there.
fn account(namespace: &str, name: &str) -> PathBuf {
    eventually(LIMIT, || {
        let output = api().try_kubectl(&["-n", namespace, "get", "serviceaccount", name], "");
        if output.status.success() {
            Ok(())
        } else {
            Err(output)
        }
    });
    api().kubeconfig_of(namespace, name)
}

/// Whether an account may do what `rule` says, in the words of [`rules_of`]: `verb group/resource/subresource:name`.
fn can_i(kubeconfig: &Path, namespace: &str, rule: &str) -> bool {
    let (verb, object) = rule.split_once(' ').expect("a verb and an object");
    let (object, name) = object.split_once(':').unwrap_or((object, ""));
    let (group, object) = match object.split_once('/') {
        Some((group, object)) if group.contains('.') => (group, object),
        _ => ("", object),
    };
    let (resource, subresource) = object.split_once('/').unwrap_or((object, ""));
    let answer = ask(
        kubeconfig,
        &json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group, "resource": resource,
                "subresource": subresource, "name": name,
            }},
        }),
    );
    answer["status"]["allowed"].as_bool().expect("a verdict")
}

/// Lets the API server answer a review as an account. Not `kubectl auth can-i`: that needs the CRD, which comes and
/// goes here.
fn ask(kubeconfig: &Path, review: &Value) -> Value {
    let config = kubeconfig.to_str().expect("a path of ours is UTF-8");
    let output = api().try_kubectl(
        &[
            "--kubeconfig",
            config,
            "create",
            "--validate=false",
            "-f",
            "-",
            "-o",
            "json",
        ],
        &review.to_string(),
    );
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Everything that an account may do in a namespace, as `verb group/resource:name`; the API server's own list.
fn rules_of(kubeconfig: &Path, namespace: &str) -> BTreeSet<String> {
    let review = ask(
        kubeconfig,
        &json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }),
    );
    let mut found = BTreeSet::new();
    for rule in review["status"]["resourceRules"].as_array().expect("rules") {
        let list = |key: &str| -> Vec<String> {
            let items = rule[key].as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let names = match list("resourceNames") {
            names if names.is_empty() => vec![String::new()],
            names => names.into_iter().map(|name| format!(":{name}")).collect(),
        };
        for group in list("apiGroups") {
            let group = if group.is_empty() { group } else { group + "/" };
            for resource in list("resources") {
                for verb in list("verbs") {
                    for name in &names {
                        found.insert(format!("{verb} {group}{resource}{name}"));
                    }
                }
            }
        }
    }
    found
}
