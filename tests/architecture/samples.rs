//! Each rule seen red, on a sample.

use super::source::blank;
use super::*;

#[track_caller]
fn check(rule: fn(&Source) -> Vec<String>, path: &str, text: &str, expected: &[&str]) {
    assert_eq!(rule(&Source::new(path, text)), expected, "{path}:\n{text}");
}

#[test]
fn an_import_from_above_or_beside_is_seen() {
    let above = ["imports crate::engine, which is not below it"];
    let beside = ["imports crate::postgres, which is not below it"];
    check(
        broken_layers,
        "migration/plan.rs",
        "use crate::engine::run;",
        &above,
    );
    check(
        broken_layers,
        "migration/plan.rs",
        "fn f() { crate::engine::run() }",
        &above,
    );
    check(
        broken_layers,
        "migration/plan.rs",
        "use super::super::engine::run;",
        &above,
    );
    check(
        broken_layers,
        "migration/mod.rs",
        "use super::engine::run;",
        &above,
    );
    check(
        broken_layers,
        "source/a.rs",
        "use crate::{engine::{a, b}, postgres};",
        &beside,
    );
    check(
        broken_layers,
        "cli/up.rs",
        "use crate::engine; use super::args;",
        &[],
    );
    check(broken_layers, "cli/run.rs", "use crate::controller;", &[]);
    check(
        broken_layers,
        "migration/plan.rs",
        "// crate::engine\nconst X: &str = \"crate::engine\";",
        &[],
    );
    check(
        broken_layers,
        "cli/up.rs",
        "use crate::controller;",
        &["imports crate::controller, which is not below it"],
    );
}

#[test]
fn a_crate_out_of_its_folder_is_seen() {
    let sqlx = ["uses sqlx, which only src/postgres may"];
    check(
        stray_crates,
        "engine/run.rs",
        "use sqlx::PgConnection;",
        &sqlx,
    );
    check(
        stray_crates,
        "postgres/a.rs",
        "use sqlx::PgConnection;",
        &[],
    );
    check(
        stray_crates,
        "api/a.rs",
        "use kube::{CustomResource, KubeSchema};",
        &[],
    );
    check(
        stray_crates,
        "api/a.rs",
        "use kube::Client;",
        &["uses kube::Client, which only controller/ and cli/cluster.rs may"],
    );
    check(stray_crates, "cli/cluster.rs", "use kube::api::Api;", &[]);
    check(
        stray_crates,
        "source/a.rs",
        "use kube::api::Api;",
        &["uses kube::api, which only controller/ and cli/cluster.rs may"],
    );
}

#[test]
fn impurity_sql_aborts_and_length_are_seen() {
    check(
        impurities,
        "api/a.rs",
        "fn f() { Timestamp::now() }",
        &["is pure and knows \"::now(\""],
    );
    check(impurities, "engine/a.rs", "async fn f() {}", &[]);
    check(
        stray_sql,
        "cli/a.rs",
        "let a = \"SELECT 1 FROM t\"; let b = \"DROP INDEX CONCURRENTLY\";",
        &["holds SQL: \"SELECT 1 FROM t\""],
    );
    check(
        stray_sql,
        "cli/a.rs",
        "let a = r#\"DELETE FROM \"t\"\"#;",
        &["holds SQL: \"DELETE FROM \\\"t\\\"\""],
    );
    check(
        aborts,
        "cli/a.rs",
        "fn f() { x.unwrap() }",
        &["has .unwrap() outside of tests"],
    );
    check(
        aborts,
        "cli/a.rs",
        "fn f() { x.unwrap_or(1); dont_panic!() }\n#[cfg(test)]\nmod tests { fn g() { x.unwrap() } }\n",
        &[],
    );
    check(
        too_long,
        "cli/a.rs",
        &"x;\n".repeat(401),
        &["has 401 lines, more than 400"],
    );
    check(
        too_long,
        "cli/a.rs",
        &format!("x;\n#[cfg(test)]\nmod t {{\n{}}}\n", "x;\n".repeat(400)),
        &[],
    );
}

#[test]
fn quotes_and_comments_do_not_confuse() {
    let (code, literals) =
        blank("a('\"', '\\'', b\"x\", 'l) // \"y\"\n/* \"z\" */ c(r\"w\\\", \"\\\"v\")");
    assert_eq!(literals.len(), 3, "{code}");
    assert!(!code.contains(['x', 'y', 'z', 'w', 'v']), "{code}");
}

#[test]
fn a_dead_link_is_seen() {
    let text = "[a](here.md) [b](gone.md#x) [c](https://x.y) [d](#here)";
    assert_eq!(
        dead_links(text, |target| target == "here.md"),
        ["gone.md#x"]
    );
}
