//! AWS Controllers for Kubernetes (ACK) as far as others see them: their CRDs, and what they write. The controllers
//! themselves need AWS. What is written here is what runtime v0.62 and the RDS controller 1.11.1 write.

use serde_json::{Value, json};

use crate::harness::{Api, Namespace};

/// Puts the CRDs of ACK and of External Secrets in place; once more does no harm.
pub fn install_crds(api: &Api) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/crds");
    api.kubectl(&["apply", "--server-side", "-f", folder]);
    api.established(&["-f", folder]);
}

/// What the RDS controller writes about an instance that RDS is making.
pub fn instance_is_being_made(namespace: &Namespace<'_>, name: &str) {
    let said = "DB instance is currently being created";
    let status = json!({
        "ackResourceMetadata": metadata("rds", &format!("db:{name}")),
        "dbInstanceStatus": "creating",
        "dbiResourceID": "db-EXAMPLE0123456789",
        "conditions": [
            condition("ACK.ReferencesResolved", "True", ""),
            condition("ACK.ResourceSynced", "False", said),
            condition("Ready", "False", said),
        ],
    });
    namespace.write_status("dbinstance.rds.services.k8s.aws", name, &status);
}

/// What it writes once the instance is there: into the status where it is, into the spec what RDS chose.
pub fn instance_is_there(namespace: &Namespace<'_>, name: &str, host: &str, port: u16) {
    let chosen = json!({
        "metadata": {"finalizers": ["finalizers.rds.services.k8s.aws/DBInstance"]},
        "spec": {
            "availabilityZone": "eu-central-1a",
            "iops": 3000,
            "licenseModel": "postgresql-license",
            "networkType": "IPV4",
            "storageThroughput": 125,
        },
    });
    namespace.kubectl(&[
        "patch",
        "dbinstance.rds.services.k8s.aws",
        name,
        "--type=merge",
        "-p",
        &chosen.to_string(),
    ]);
    let secret = "rds!db-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9-Ab1Cd2";
    let status = json!({
        "dbInstanceStatus": "available",
        "endpoint": {"address": host, "port": port, "hostedZoneID": "Z1RLNUO7B9Q6NB"},
        "masterUserSecret": {
            "secretARN": metadata("secretsmanager", &format!("secret:{secret}"))["arn"],
            "secretStatus": "active",
        },
        "conditions": [
            condition("ACK.ReferencesResolved", "True", ""),
            condition("ACK.LateInitialized", "True", "Late initialization successful"),
            condition("ACK.ResourceSynced", "True", ""),
            condition("Ready", "True", ""),
        ],
    });
    namespace.write_status("dbinstance.rds.services.k8s.aws", name, &status);
}

/// One look of the controllers at every `FieldExport` of a namespace: the field of a source that is synced goes into
/// the `ConfigMap`, which must be there.
pub fn export_fields(namespace: &Namespace<'_>) {
    for export in items(namespace, "fieldexports.services.k8s.aws") {
        let name = export["metadata"]["name"].as_str().expect("a name");
        let spec = &export["spec"];
        let conditions = match export_field(namespace, spec) {
            Ok(()) => json!([]),
            Err(why) => json!([condition("ACK.Recoverable", "True", &why)]),
        };
        let status = json!({"conditions": conditions});
        namespace.write_status("fieldexport.services.k8s.aws", name, &status);
    }
}

fn export_field(namespace: &Namespace<'_>, spec: &Value) -> Result<(), String> {
    let text = |pointer: &str| {
        spec.pointer(pointer)
            .and_then(Value::as_str)
            .expect(pointer)
    };
    let kind = format!(
        "{}.{}",
        text("/from/resource/kind"),
        text("/from/resource/group")
    );
    let source = get(namespace, &kind, text("/from/resource/name"));
    let conditions = source["status"]["conditions"].as_array();
    let synced = conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "ACK.ResourceSynced" && condition["status"] == "True"
    });
    if !synced {
        return Err("the source resource is not synced yet".to_owned());
    }
    let pointer = text("/from/path").replace('.', "/");
    let value = match source.pointer(&pointer) {
        Some(Value::String(value)) => value.clone(),
        Some(Value::Number(value)) => value.to_string(),
        _ => return Err(format!("the field {} does not exist", text("/from/path"))),
    };
    assert_eq!(text("/to/kind"), "configmap");
    let patch = json!({"data": {text("/to/key"): value}}).to_string();
    namespace.kubectl(&["patch", "configmap", text("/to/name"), "-p", &patch]);
    Ok(())
}

fn items(namespace: &Namespace<'_>, kind: &str) -> Vec<Value> {
    let text = namespace.kubectl(&["get", kind, "-o", "json"]);
    let list: Value = serde_json::from_str(&text).expect("kubectl gives JSON");
    list["items"].as_array().cloned().expect("a list")
}

fn get(namespace: &Namespace<'_>, kind: &str, name: &str) -> Value {
    let text = namespace.kubectl(&["get", kind, name, "-o", "json"]);
    serde_json::from_str(&text).expect("kubectl gives JSON")
}

fn metadata(service: &str, resource: &str) -> Value {
    json!({
        "arn": format!("arn:aws:{service}:eu-central-1:111122223333:{resource}"),
        "ownerAccountID": "111122223333",
        "region": "eu-central-1",
    })
}

/// ACK's conditions know no `observedGeneration`.
fn condition(type_: &str, status: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "message": message, "lastTransitionTime": "2026-11-26T08:00:00Z",
    })
}
