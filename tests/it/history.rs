//! `schemaward history`: what changed, when, by whom, and how long it took.

use serde_json::{Value, json};

use crate::cli::{Ended, Project};

fn history(project: &Project, arguments: &[&str]) -> Ended {
    let mut command = project.database.schemaward();
    command.arg("history").args(arguments);
    Ended::of(&command.output().expect("the program starts"))
}

/// Action and version of each change.
fn changes(project: &Project, arguments: &[&str]) -> Vec<(String, String)> {
    let ended = history(project, &[arguments, &["-o", "json"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(found["format"], "schemaward.history/v1");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let changes = found["changes"].as_array().expect("changes");
    changes
        .iter()
        .map(|change| (text(&change["action"]), text(&change["version"])))
        .collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(action, version): &(&str, &str)| ((*action).to_owned(), (*version).to_owned());
    of.iter().map(owned).collect()
}

#[test]
fn it_tells_what_changed_when_by_whom_and_how_long_it_took() {
    let project = Project::new("history");
    assert_eq!(changes(&project, &[]), []);
    project.table("001", "widgets").table("002", "gadgets");
    // What another program applied, before Schemaward came.
    project.database.exec(
        "CREATE TABLE widgets (id int);
         CREATE TABLE schema_migrations (version text PRIMARY KEY, name text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now(), execution_time_ms bigint, checksum text);
         INSERT INTO schema_migrations VALUES ('001', 'widgets', '2020-01-02 03:04:05Z', 7, NULL);",
    );
    let by_another = pairs(&[("apply", "001")]);
    assert_eq!(changes(&project, &[]), by_another);
    project.succeed("up");
    let all = pairs(&[
        ("apply", "001"),
        ("adopt", "001"),
        ("apply", "002"),
        ("undo", "002"),
    ]);
    // What we applied stands in the ledger and in the audit, and is told once.
    assert_eq!(changes(&project, &[]), all[..3]);
    project.succeed("down 002");
    assert_eq!(changes(&project, &[]), all);
    assert_eq!(changes(&project, &["--version", "2"]), all[2..]);
    assert_eq!(changes(&project, &["--version", "1"]), all[..2]);
    assert_eq!(changes(&project, &["--since", "2021-01-01"]), all[1..]);
    assert_eq!(changes(&project, &["--limit", "1"]), all[3..]);
    let last = history(&project, &["--limit", "1"]);
    assert!(
        last.stderr.contains("There is more before that"),
        "{last:?}"
    );
    assert!(!history(&project, &[]).stderr.contains("more"));
    assert_eq!(history(&project, &["--since", "soon"]).code, Some(2));

    let ended = history(&project, &["-o", "json"]);
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(
        found["changes"][0],
        json!({"at": "2020-01-02T03:04:05Z", "action": "apply", "version": "001", "detail": "widgets",
            "executionTimeMs": 7, "by": null})
    );
    let undo = &found["changes"][3];
    assert_eq!(undo["by"]["actor"], "command line");
    let role = project.database.query_text(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()",
    );
    assert_eq!(undo["by"]["databaseRole"], role);
    let tool = concat!("schemaward ", env!("CARGO_PKG_VERSION"));
    assert_eq!(undo["by"]["tool"], tool);
    assert!(undo["executionTimeMs"].is_i64(), "{undo}");

    let text = history(&project, &[]).stdout;
    let lines: Vec<&str> = text.lines().collect();
    let first: Vec<&str> = lines[1]
        .split("  ")
        .filter(|cell| !cell.is_empty())
        .collect();
    assert_eq!(
        first.iter().map(|cell| cell.trim()).collect::<Vec<_>>(),
        [
            "2020-01-02 03:04:05Z",
            "apply",
            "001",
            "7",
            "another program",
            "widgets"
        ]
    );
    assert!(lines[4].contains("undo"), "{text}");
    assert!(
        lines[4].contains(&format!("command line, role {role}  gadgets")),
        "{text}"
    );
    // What another program applied again after our undo is its own.
    project
        .database
        .exec("INSERT INTO schema_migrations VALUES ('002', 'again', now(), 7, NULL)");
    let again = pairs(&[("apply", "002")]);
    assert_eq!(changes(&project, &[]), [all, again].concat());
}
