//! The server: down, strange, without TLS, without the database.

use super::*;

#[test]
fn a_database_that_is_down_is_awaited() {
    let server = Postgres::start(16, &[]);
    let database = server.database("down");
    server.stop("fast");
    let namespace = cluster().tenant("down");
    namespace.secret(&database);
    let manifest = resource("shop", &database, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(
        &schema.reaches("DatabaseUnreachable"),
        "DatabaseUnreachable",
    );
    assert!(message.contains(&server.port.to_string()), "{message}");
    // Once or twice is everyday life; a third time is news.
    schema.becomes("tried three times", |status| {
        status["failure"]["attempts"].as_i64() >= Some(3)
    });
    let warnings = |reason: &str| {
        let events = schema.events();
        let start = format!("Warning {reason}");
        events
            .iter()
            .filter(|event| event.starts_with(&start))
            .count()
    };
    crate::harness::eventually(crate::operator_rig::LIMIT, || {
        match warnings("DatabaseUnreachable") {
            1 => Ok(()),
            count => Err(count),
        }
    });
    server.start_again();
    let status = schema.reaches("UpToDate");
    assert_eq!(status["failure"], Value::Null);
    assert_eq!(database.applied(), "001");
}

#[test]
fn a_wrong_password_is_tried_carefully_and_a_mended_secret_at_once() {
    let database = postgres().database("password");
    let namespace = cluster().tenant("password");
    let right = database.password.clone();
    let wrong = Database {
        password: "no-such-password-canary".to_owned(),
        ..database
    };
    namespace.secret(&wrong);
    let manifest = resource("shop", &wrong, &inline(&[WIDGETS]));
    let schema = namespace.schema("shop", &manifest);
    let status = schema.reaches("AuthenticationFailed");
    let message = is_retried(&status, "AuthenticationFailed");
    assert!(message.contains(&wrong.user), "{message}");
    assert!(!status.to_string().contains("canary"), "{status:#}");
    let database = Database {
        password: right,
        ..wrong
    };
    assert_eq!(tables(&database), "");
    let began = std::time::Instant::now();
    namespace.secret(&database);
    schema.reaches("UpToDate");
    // Sooner than the 15 s that a locked-out user is spared.
    assert!(began.elapsed().as_secs() < 12, "{:?}", began.elapsed());
    assert!(!cluster().log().contains("canary"));
}

#[test]
fn a_missing_database_is_not_created_but_awaited() {
    let database = postgres().database("missing");
    let namespace = cluster().tenant("missing");
    namespace.secret(&database);
    let name = format!("{}_later", database.name);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["database"] = json!({"value": name});
    let schema = namespace.schema("shop", &manifest);
    let message = is_retried(&schema.reaches("DatabaseNotFound"), "DatabaseNotFound");
    assert!(message.contains(&name), "{message}");
    let exists = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(database.query_text(&exists), "0");
    let owner = &database.user;
    database
        .server
        .admin_exec(&format!("CREATE DATABASE {name} OWNER {owner}"));
    schema.reaches("UpToDate");
}

#[test]
fn a_server_without_tls_gets_no_plaintext() {
    let server = Postgres::start(16, &["--set=ssl=off"]);
    let database = server.database("plain");
    let namespace = cluster().tenant("plain");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["tls"] = json!({"mode": "Require"});
    let schema = namespace.schema("shop", &manifest);
    is_retried(&schema.reaches("TLSRequired"), "TLSRequired");
    assert_eq!(tables(&database), "");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_until_the_ca_is_named() {
    let database = postgres().database("ca");
    database.require_tls();
    let namespace = cluster().tenant("ca");
    namespace.secret(&database);
    let mut manifest = resource("shop", &database, &inline(&[WIDGETS]));
    manifest["spec"]["connection"]["host"] = json!({"value": database.server.tls_host});
    manifest["spec"]["connection"]["tls"] = json!({"mode": "VerifyFull"});
    let schema = namespace.schema("shop", &manifest);
    is_retried(
        &schema.reaches("TLSVerificationFailed"),
        "TLSVerificationFailed",
    );
    let ca = std::fs::read_to_string(&database.server.ca).expect("the CA is a file");
    namespace.config_map("ca", &[("ca.pem", &ca)]);
    let reference = json!({"configMapKeyRef": {"name": "ca", "key": "ca.pem"}});
    schema.patch(&json!({"spec": {"connection": {"tls": {"ca": reference}}}}));
    schema.reaches("UpToDate");
}
