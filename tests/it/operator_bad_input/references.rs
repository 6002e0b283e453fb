//! What the resource refers to: missing, malformed, not granted.

use super::*;

#[test]
fn a_missing_secret_is_awaited() {
    let database = postgres().database("secret");
    let namespace = cluster().tenant("secret");
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(&schema.reaches("SecretNotFound"), "SecretNotFound");
    assert_eq!(
        message,
        format!(
            "Secret db with connection data does not exist in namespace {}. Nothing was connected to. Create it, \
             or correct the reference; it is looked for again by itself.",
            namespace.name
        )
    );
    namespace.secret(&database);
    schema.reaches("UpToDate");
}

#[test]
fn a_missing_config_map_is_awaited() {
    let database = postgres().database("source");
    let namespace = cluster().tenant("source");
    namespace.secret(&database);
    let source = json!({"configMaps": [{"name": "first"}, {"name": "second"}]});
    let schema = namespace.schema("shop", &resource("shop", &database, &source));
    let message = is_retried(&schema.reaches("SourceNotFound"), "SourceNotFound");
    assert!(
        message.starts_with("ConfigMap first with the migrations does not exist"),
        "{message}"
    );
    namespace.config_map("first", &[WIDGETS]);
    schema.becomes("waiting for the second", |status| {
        let message = condition(status, "Ready")["message"].to_string();
        message.contains("ConfigMap second")
    });
    assert_eq!(tables(&database), "");
    namespace.config_map("second", &[GADGETS]);
    schema.reaches("UpToDate");
    assert_eq!(database.applied(), "001 002");
}

#[test]
fn a_missing_key_is_named() {
    let database = postgres().database("key");
    let namespace = cluster().tenant("key");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["username"] =
        json!({"secretKeyRef": {"name": "db", "key": "username"}});
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(&schema.reaches("KeyMissing"), "KeyMissing");
    assert!(
        message.starts_with("Secret db in namespace") && message.contains("has no key username."),
        "{message}"
    );
    let username = json!({"stringData": {"username": database.user}}).to_string();
    namespace.kubectl(&["patch", "secret", "db", "--type=merge", "-p", &username]);
    schema.reaches("UpToDate");
}

#[test]
fn malformed_connection_data_is_named_and_not_quoted() {
    let database = postgres().database("malformed");
    let namespace = cluster().tenant("malformed");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["port"] =
        json!({"secretKeyRef": {"name": "db", "key": "password"}});
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("InvalidCredentials");
    assert_eq!(
        is_retried(&status, "InvalidCredentials"),
        "Connection data is malformed: key password of Secret db: not a port number from 1 to 65535. Nothing was \
         connected to. Mend it; it is read again by itself."
    );
    assert!(!status.to_string().contains(&database.password));
}

#[test]
fn without_a_grant_the_message_has_the_command_that_grants() {
    let database = postgres().database("grant");
    // No RoleBinding in this one.
    let namespace = cluster().api.namespace("grant");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(&schema.reaches("AccessDenied"), "AccessDenied");
    let (said, command) = message.split_once("Grant it: kubectl ").expect("a command");
    assert_eq!(
        said,
        format!(
            "The operator may not read Secret db in namespace {}. Nothing was connected to. ",
            namespace.name
        )
    );
    let command: Vec<&str> = command.split(' ').collect();
    cluster().api.kubectl(&command);
    schema.reaches("UpToDate");
}
