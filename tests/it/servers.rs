//! The harness itself: that the servers behave as the other tests take for granted.

use std::time::Duration;

use crate::harness::{Api, Postgres, api, eventually, part, postgres, postgres_major, schemaward};

#[test]
fn a_database_belongs_to_a_role_that_is_no_superuser() {
    let database = postgres().database("owner");
    database.exec("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1), (2);");
    assert_eq!(
        database.query_text("SELECT count(*), current_user FROM kept"),
        format!("2|{}", database.user)
    );
    assert_eq!(
        database.admin_exec(&format!(
            "SELECT rolsuper FROM pg_roles WHERE rolname = '{}'",
            database.user
        )),
        "f"
    );
    assert_eq!(
        postgres()
            .database("owner")
            .query_text("SELECT to_regclass('kept') IS NULL"),
        "t"
    );
}

#[test]
fn every_major_version_is_what_it_says() {
    for major in 14..=18 {
        let version = postgres_major(major).admin_exec("SHOW server_version_num");
        assert_eq!(version[..2], major.to_string());
    }
}

#[test]
fn a_role_can_be_held_to_tls() {
    let database = postgres().database("tls");
    database.exec("SELECT 1");
    database.require_tls();
    // psql prefers TLS, and the server offers it.
    assert_eq!(
        database.query_text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
        "t"
    );
}

#[test]
fn a_server_of_its_own_can_stop_and_come_back() {
    let server = Postgres::start(16, &["--fsync"]);
    let database = server.database("back");
    database.exec("CREATE TABLE kept ()");
    server.stop("immediate");
    assert!(!database.try_exec("SELECT 1").status.success());
    server.start_again();
    assert_eq!(database.query_text("SELECT to_regclass('kept')"), "kept");
    assert_eq!(database.query_text("SHOW fsync"), "on");
}

#[test]
fn the_api_server_has_controllers_and_real_service_accounts() {
    let namespace = api().namespace("accounts");
    namespace.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: here}}");
    assert_eq!(
        namespace.kubectl(&["get", "configmap", "here", "-o", "name"]),
        "configmap/here"
    );
    eventually(Duration::from_secs(30), || {
        let output = namespace.try_kubectl(&["get", "serviceaccount", "default"]);
        if output.status.success() {
            Ok(())
        } else {
            Err(output)
        }
    });
    let kubeconfig = api().kubeconfig_of(&namespace.name, "default");
    let refused = api().try_kubectl(
        &[
            "--kubeconfig",
            &kubeconfig.display().to_string(),
            "get",
            "configmaps",
        ],
        "",
    );
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    let user = format!("system:serviceaccount:{}:default", namespace.name);
    assert!(
        message.contains("Forbidden") && message.contains(&user),
        "{message}"
    );
}

#[test]
fn the_program_runs() {
    schemaward().output().expect("the program starts");
}

#[test]
fn an_api_server_of_its_own_can_stop_and_come_back() {
    let server = Api::start();
    let namespace = server.namespace("back");
    server.stop();
    assert!(
        !namespace
            .try_kubectl(&["get", "configmaps"])
            .status
            .success()
    );
    server.start_again();
    assert_eq!(
        server.kubectl(&["get", "namespace", &namespace.name, "-o", "name"]),
        "namespace/back-0"
    );
}

#[test]
fn the_parts_are_where_they_are_said_to_be() {
    for name in ["HELM", "HELM_3", "KSTATUS", "ARGO_HEALTH", "KUBECTL"] {
        assert!(part(name).is_file(), "{name}");
    }
}
