//! `schemaward new` and `check`: what is said of a set of files, with and without a database.

use std::fs;

use serde_json::Value;

use crate::cli::{Ended, Project};
use crate::cli_output::json;

const ADD: &str = "-- schemaward: allow down-missing because the rows cannot be told apart again\n\
                   ALTER TABLE widgets ADD COLUMN size bigint NOT NULL;\n";

fn offline(project: &Project, arguments: &str) -> Ended {
    let mut command = project.command(arguments);
    command.arg("--offline");
    Ended::of(&command.output().expect("the program starts"))
}

#[test]
fn a_new_version_is_checked_planned_and_applied() {
    let project = Project::new("new");
    project.table("007", "widgets");
    let paths = project.succeed("new add_sizes");
    let paths: Vec<_> = paths.lines().collect();
    assert_eq!(paths.len(), 2);
    assert!(paths[0].ends_with("/008_add_sizes_UP.sql"), "{paths:?}");
    assert!(paths[1].ends_with("/008_add_sizes_DOWN.sql"), "{paths:?}");
    // As they are written nothing can run by mistake.
    let empty = project.run("check --offline");
    assert_eq!(empty.code, Some(1), "{empty:#?}");
    assert!(
        empty
            .stdout
            .ends_with("4 files: 2 errors, 2 notes (--show note).\n"),
        "{empty:#?}"
    );

    let add = |path: &str, sql: &str| {
        let comments = fs::read_to_string(path).unwrap();
        fs::write(path, comments + sql).unwrap();
    };
    add(paths[0], "ALTER TABLE widgets ADD COLUMN size bigint;\n");
    add(paths[1], "ALTER TABLE widgets DROP COLUMN size;\n");
    let database = &project.database.name;
    assert_eq!(
        project.succeed("check"),
        format!(
            "4 files: 3 notes (--show note).\n{database} is at no version; up would apply 007 widgets, 008 add_sizes.\n"
        )
    );
    project.succeed("up");
    assert_eq!(
        project.succeed("check"),
        format!("4 files: nothing found.\n{database} is at 008; up would apply nothing.\n")
    );
}

#[test]
fn everything_is_said_at_once_and_errors_fail() {
    let project = Project::new("check");
    project
        .table("001", "widgets")
        .write("002_size_UP.sql", ADD)
        .write("003_x_UP.sql", "COMMIT;\n\\i y\n")
        .write("03_x_UP.sql", "CREATE ROLE r PASSWORD 'hunter2';\n")
        .write("4.sql", "");
    let said = offline(&project, "check");
    assert_eq!(said.code, Some(1), "{said:#?}");
    for expected in [
        "warning[adding-required-field]: ",
        "002_size_UP.sql:2:21\n",
        "= help: Make the field nullable or add a non-VOLATILE DEFAULT\n",
        "error[transaction-control]: COMMIT closes a transaction that no BEGIN",
        "error[unsupported-statement]: a backslash starts a psql meta-command",
        "error[duplicate-version]: 003_x_UP.sql and 03_x_UP.sql are UP files of the same version 003",
        "error[secret-in-sql]: ",
        "1 | CREATE ROLE r PASSWORD '*******';\n",
        "error[invalid-source]: 4.sql: ",
        // The DOWN of 3 is missing, in the file that can be read.
        "warning[down-missing]: ",
        "\n5 files: 5 errors, 2 warnings, 2 notes (--show note), 1 waived.\n",
    ] {
        assert!(said.stdout.contains(expected), "{expected}\n{said:#?}");
    }
    assert!(!format!("{said:?}").contains("hunter2"));
    // With a database at hand, too: it is not asked about what is no set.
    let with = project.run("check");
    assert_eq!((with.code, &with.stdout), (Some(1), &said.stdout));
    assert!(
        with.stderr.contains("The database was not asked"),
        "{with:#?}"
    );
}

#[test]
fn what_fails_is_a_matter_of_levels() {
    let project = Project::new("check_levels");
    project
        .table("001", "widgets")
        .write("002_size_UP.sql", ADD);
    let code = |arguments: &str| offline(&project, arguments).code;
    assert_eq!(code("check"), Some(0));
    assert_eq!(code("check --fail-on warning"), Some(1));
    assert_eq!(code("check --fail-on warning --from 003"), Some(0));
    assert_eq!(
        code("check --fail-on warning --rule adding-required-field=note"),
        Some(0)
    );
    assert_eq!(code("check --rule adding-required-field=error"), Some(1));
    assert_eq!(
        code("check --rule ban-add-column=error"),
        Some(1),
        "a rule that is off can be switched on"
    );
    assert_eq!(code("check --rule no-such-rule=error"), Some(2));
    assert_eq!(code("check --fail-on off"), Some(2));
}

#[test]
fn a_database_is_compared_and_its_versions_are_left_alone() {
    let project = Project::new("check_database");
    project
        .table("001", "widgets")
        .write("002_size_UP.sql", ADD);
    project.succeed("up");
    project.write("003_name_UP.sql", "ALTER TABLE widgets RENAME TO things;\n");
    let said = project.succeed("check --show note");
    assert!(
        said.contains("[renaming-table]") && !said.contains("[adding-required-field]"),
        "{said}"
    );
    let expected = format!(
        "{} is at 002; up would apply 003 name.\n",
        project.database.name
    );
    assert!(said.ends_with(&expected), "{said}");
    assert!(
        offline(&project, "check")
            .stdout
            .contains("[adding-required-field]")
    );

    project.write("001_widgets_UP.sql", "CREATE TABLE widgets (id bigint);\n");
    let changed = project.run("check -o json");
    assert_eq!(changed.code, Some(1), "{changed:#?}");
    assert!(changed.stderr.contains("UP of 001 was "), "{changed:#?}");
    let answer = &json(&changed.stdout, "check.json")["database"];
    assert_eq!(answer["problem"]["reason"], "ChecksumMismatch");
    assert_eq!(answer["current"], "002");

    let mut unreachable = project.command("check -o json --fail-on warning");
    unreachable.env("POSTGRES_PORT", "1");
    let ended = Ended::of(&unreachable.output().unwrap());
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert_eq!(json(&ended.stdout, "check.json")["database"], Value::Null);
}

#[test]
fn json_and_sarif_say_the_same() {
    let project = Project::new("check_forms");
    project
        .table("001", "widgets")
        .write("002_size_UP.sql", ADD);
    let check = json(&offline(&project, "check -o json").stdout, "check.json");
    assert_eq!(check["format"], "schemaward.check/v1");
    let findings = check["findings"].as_array().unwrap();
    let sarif: Value = serde_json::from_str(&offline(&project, "check -o sarif").stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), findings.len());
    let mut waived = 0;
    for (result, finding) in results.iter().zip(findings) {
        assert_eq!(result["ruleId"], finding["rule"]);
        assert_eq!(result["level"], finding["level"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(
            place["artifactLocation"]["uri"],
            format!("file://{}", finding["path"].as_str().unwrap())
        );
        assert_eq!(place["region"]["startLine"], finding["line"]);
        assert_eq!(place["region"]["startColumn"], finding["column"]);
        let message = result["message"]["text"].as_str().unwrap();
        assert!(
            message.starts_with(finding["message"].as_str().unwrap()),
            "{message}"
        );
        if finding["waived"].is_string() {
            waived += 1;
            assert_eq!(result["suppressions"][0]["kind"], "inSource");
            assert_eq!(
                result["suppressions"][0]["justification"],
                finding["waived"]
            );
        } else {
            assert_eq!(result["suppressions"], Value::Null);
        }
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert!(
            rules.iter().any(|rule| rule["id"] == result["ruleId"]),
            "{result:#}"
        );
    }
    assert_eq!(waived, 1);
}
