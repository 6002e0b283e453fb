//! What a resource's status knows of its database, and under which address. Pure.

use crate::api::v1alpha1::{
    CredentialsSource, DatabaseSchemaSpec, DatabaseSchemaStatus, DocumentSource, FieldSource,
    HostSource, PortSource, TextSource,
};
use crate::engine::identity::Known;
use crate::migration::version::Version;

use super::status::clip;

/// What status knows of the database that `spec` leads to: nothing when it was written for another address.
/// Somebody changed the resource then, where everybody can see it; a change behind the address (of a DNS
/// record, of a Secret) is none of the resource.
#[must_use]
pub fn known(status: &DatabaseSchemaStatus, spec: &DatabaseSchemaSpec) -> Option<Known> {
    if status.database_address.as_ref() != Some(&address(spec)) {
        return None;
    }
    let applied = status
        .history
        .iter()
        .filter_map(|applied| Version::parse(&applied.version).ok())
        .rev()
        .collect();
    Some(Known {
        database_id: status.database_id.as_ref()?.parse().ok()?,
        audit_entries: status.audit_entries,
        applied,
    })
}

/// `db.example.com:5432/shop`, with `{key host of Secret shop-db}` for what is not in the resource itself.
#[must_use]
pub fn address(spec: &DatabaseSchemaSpec) -> String {
    let connection = &spec.connection;
    let document = connection.credentials_from.as_ref();
    let host = connection.host.as_ref().and_then(HostSource::get);
    let port = connection.port.as_ref().and_then(PortSource::get);
    let database = connection.database.as_ref().and_then(TextSource::get);
    let usual_port = port.is_none() && document.is_none();
    clip(&format!(
        "{}:{}/{}",
        field(host.as_ref(), document, "host"),
        if usual_port {
            "5432".to_owned()
        } else {
            field(port.as_ref(), document, "port")
        },
        field(database.as_ref(), document, "dbname")
    ))
}

/// A field of the resource, or the `key` of the document that stands for it.
fn field<T: ToString>(
    source: Option<&FieldSource<'_, T>>,
    document: Option<&CredentialsSource>,
    key: &str,
) -> String {
    match source {
        None => match document.and_then(CredentialsSource::get) {
            None => String::new(),
            Some(DocumentSource::Secret(secret)) => {
                format!("{{{key} in key {} of Secret {}}}", secret.key, secret.name)
            }
            Some(DocumentSource::Aws(secret)) => format!(
                "{{{key} in secret {} of AWS Secrets Manager in {}}}",
                secret.secret_id, secret.region
            ),
        },
        Some(FieldSource::Value(value)) => value.to_string(),
        Some(FieldSource::Secret(key)) => format!("{{key {} of Secret {}}}", key.key, key.name),
        Some(FieldSource::ConfigMap(key)) => {
            format!("{{key {} of ConfigMap {}}}", key.key, key.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(host: &Value) -> DatabaseSchemaSpec {
        serde_json::from_value(json!({
            "source": {"inline": {"001_a_UP.sql": "SELECT 1"}},
            "connection": {
                "host": host,
                "database": {"configMapKeyRef": {"name": "place", "key": "db"}},
                "username": {"value": "shop"},
            },
        }))
        .unwrap()
    }

    fn status(address: &str) -> DatabaseSchemaStatus {
        serde_json::from_value(json!({
            "databaseId": "1dd701f2-55b6-48fc-9150-7a0e11507a0e",
            "databaseAddress": address,
            "auditEntries": 7,
            "currentVersion": "010",
            "history": [{"version": "010", "name": "b"}, {"version": "2", "name": "a"}],
        }))
        .unwrap()
    }

    #[test]
    fn a_database_is_known_under_the_address_that_it_was_seen_at() {
        let here = spec(&json!({"value": "db.example.com"}));
        let address = address(&here);
        assert_eq!(address, "db.example.com:5432/{key db of ConfigMap place}");
        let known_here = known(&status(&address), &here).unwrap();
        assert_eq!(known_here.audit_entries, Some(7));
        let applied: Vec<_> = known_here.applied.iter().map(Version::as_str).collect();
        assert_eq!(applied, ["2", "010"]);
        let elsewhere = spec(&json!({"secretKeyRef": {"name": "shop-db", "key": "host"}}));
        assert_eq!(known(&status(&address), &elsewhere), None);
        assert_eq!(known(&DatabaseSchemaStatus::default(), &here), None);
    }
    #[test]
    fn an_address_out_of_a_document_is_its_place() {
        let spec: DatabaseSchemaSpec = serde_json::from_value(json!({
            "source": {"inline": {"001_a_UP.sql": "SELECT 1"}},
            "connection": {
                "credentialsFrom": {"secretRef": {"name": "db", "key": "json"}},
                "host": {"value": "db.example.com"},
            },
        }))
        .unwrap();
        assert_eq!(
            address(&spec),
            "db.example.com:{port in key json of Secret db}/{dbname in key json of Secret db}"
        );
    }
}
