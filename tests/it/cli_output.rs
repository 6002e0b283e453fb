//! What the command line prints: texts that people read, JSON that programs read, and where it goes.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cli::{Ended, Project, first_columns};
use crate::harness::schemaward;

/// Times and checksums differ in each run.
fn without_figures(list: &str) -> String {
    let lines = list.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [version, "applied", name, _date, _time, _ms, checksum] => {
                format!("{version} applied {name} DATE TIME MS {}\n", checksum.len())
            }
            _ => format!("{line}\n"),
        }
    });
    lines.collect()
}

#[test]
fn list_is_a_table() {
    let project = Project::new("list_text");
    project
        .table("001", "a")
        .write("010_longer_name_UP.sql", "SELECT 1;");
    assert_eq!(
        project.succeed("list"),
        "VERSION  STATUS   NAME         APPLIED AT  MS  CHECKSUM\n\
         001      pending  a            -            -  c2de7559\n\
         010      pending  longer_name  -            -  17db4fd3\n"
    );
    project.succeed("up --to 001");
    assert_eq!(
        without_figures(&project.succeed("list")),
        "VERSION  STATUS   NAME         APPLIED AT            MS  CHECKSUM\n\
         001 applied a DATE TIME MS 8\n\
         010      pending  longer_name  -                      -  17db4fd3\n"
    );
}

#[test]
fn plan_reads_like_a_code_review() {
    let project = Project::new("plan_text");
    project
        .write(
            "001_users_UP.sql",
            "BEGIN;\n-- all of them\nCREATE TABLE users (name text DEFAULT 'a-secret');\n\
             INSERT INTO users VALUES ('a-secret');\n\
             INSERT INTO schema_migrations (version, name) VALUES ('001', 'users')\n  ON CONFLICT (version) DO NOTHING;\nCOMMIT;\n",
        )
        .write("001_users_DOWN.sql", "DROP TABLE users;")
        .write("002_index_UP.sql", "CREATE INDEX CONCURRENTLY users_name ON users (name);");
    let plan = project.succeed("plan");
    assert_eq!(
        plan,
        "001 users  apply  CHECKSUM\n  \
           line 3  CREATE TABLE users             in its transaction                  additive     lock none\n  \
           line 4  INSERT INTO users              in its transaction                  data change  lock none\n  \
           line 5  INSERT INTO schema_migrations  its own record, in its transaction  none         lock ROW EXCLUSIVE\n\
         \n\
         002 index  apply  CHECKSUM\n  \
           line 1  CREATE INDEX CONCURRENTLY users_name ON users  outside of a transaction  additive  lock SHARE UPDATE EXCLUSIVE\n  \
           all of it  warning  down-missing  The version has no DOWN: once applied, it cannot be undone.\n\
         \n\
         2 versions to apply, 4 statements, 1 of them outside of a transaction: from nothing to 002.\n"
            .replacen("CHECKSUM", &checksum_of(&plan, 0), 1)
            .replacen("CHECKSUM", &checksum_of(&plan, 1), 1)
    );
    project.succeed("up --to 001");
    assert_eq!(
        without_checksums(&project.succeed("plan --to 001")),
        "Nothing to do: the database is at 001.\n"
    );
    project.succeed("up");
    assert_eq!(
        project.succeed("plan"),
        "Nothing to do: the database is at 002.\n"
    );
}

#[test]
fn plan_shows_the_way_back() {
    let project = Project::new("plan_back");
    project.table("001", "a").table("002", "b");
    project.succeed("up");
    project.remove("002_b_UP.sql").remove("002_b_DOWN.sql");
    let plan = project.succeed("plan --to 001");
    assert_eq!(
        without_checksums(&plan),
        "002 b  undo, with the DOWN that was stored  CHECKSUM\n  \
           line 1  DROP TABLE b  in its transaction  destructive  lock ACCESS EXCLUSIVE\n\
         \n\
         Going back loses:\n  \
           002 line 1  table public.b  number of rows unknown: never analyzed\n\
         \n\
         1 version to undo, 1 statement: from 002 to 001.\n"
    );
    assert!(project.has("b"), "plan only reads");
}

/// The checksum at the end of the n-th heading.
fn checksum_of(plan: &str, n: usize) -> String {
    let mut headings = plan.lines().filter(|line| line.contains("  apply  "));
    let checksum = headings
        .nth(n)
        .and_then(|line| line.rsplit(' ').next())
        .unwrap_or_default();
    assert!(
        checksum.len() == 8 && checksum.chars().all(|c| c.is_ascii_hexdigit()),
        "{plan}"
    );
    checksum.to_owned()
}

fn without_checksums(plan: &str) -> String {
    let is_checksum = |word: &str| word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    let lines = plan.lines().map(|line| match line.rsplit_once(' ') {
        Some((before, last)) if is_checksum(last) => format!("{before} CHECKSUM\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn json_is_what_its_schema_says() {
    let project = Project::new("json");
    project.table("001", "a").table("002", "b");
    let list = || json(&project.succeed("list -o json"), "list.json");
    let plan = |arguments: &str| json(&project.succeed(arguments), "plan.json");

    let before = list();
    assert_eq!(before["format"], "schemaward.list/v1");
    assert_eq!(before["current"], Value::Null);
    assert_eq!(before["versions"][1]["status"], "pending");
    let up = plan("plan -o json");
    assert_eq!(up["format"], "schemaward.plan/v1");
    assert_eq!(up["steps"][0]["direction"], "up");
    assert_eq!(up["steps"][0]["statements"][0]["command"], "CREATE TABLE a");
    assert_eq!(up["target"], "002");

    project.succeed("up");
    let after = list();
    assert_eq!(after["current"], "002");
    assert_eq!(after["database"]["name"], project.database.name.as_str());
    assert_eq!(after["versions"][0]["status"], "applied");
    assert_eq!(
        after["versions"][0]["checksum"],
        before["versions"][0]["checksum"]
    );
    assert!(
        after["versions"][0]["executionTimeMs"].is_u64(),
        "{after:#}"
    );
    assert_eq!(plan("plan -o json")["steps"], Value::Array(Vec::new()));
    let down = plan("plan -o json --to 001");
    assert_eq!(down["steps"][0]["direction"], "down");
    assert_eq!(down["steps"][0]["text"], "stored");

    project.write("001_a_UP.sql", "SELECT 1;");
    assert_eq!(list()["problem"]["reason"], "ChecksumMismatch");
    let blocked = project.run("plan -o json");
    assert_eq!(blocked.code, Some(1), "{blocked:#?}");
    let blocked = json(&blocked.stdout, "plan.json");
    assert_eq!(blocked["problem"]["reason"], "ChecksumMismatch");
    assert_eq!(blocked["target"], Value::Null);
}

/// Parses a result and holds it against its documented schema.
#[track_caller]
pub fn json(text: &str, schema: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/schema")
        .join(schema);
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let value: Value = serde_json::from_str(text).unwrap();
    if let Err(why) = validate(&schema, &schema, &value, "$") {
        panic!("{why}\n{value:#}");
    }
    value
}

/// As much of JSON Schema as ours uses. A property that the schema does not know is an error here,
/// although a schema that may grow does not say so.
fn validate(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        return validate(root, target, value, at);
    }
    for union in ["anyOf", "oneOf"] {
        if let Some(options) = schema[union].as_array() {
            let fits = |option| validate(root, option, value, at).is_ok();
            return if options.iter().any(fits) {
                Ok(())
            } else {
                Err(format!("{at} is none of {union}"))
            };
        }
    }
    if let Some(expected) = schema.get("const") {
        return if expected == value {
            Ok(())
        } else {
            Err(format!("{at} is not {expected}"))
        };
    }
    let types: Vec<_> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let own = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&own) {
        return Err(format!("{at} is {own} and should be {types:?}"));
    }
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            validate(root, &schema["items"], item, &format!("{at}[{index}]"))?;
        }
    }
    if let Value::Object(object) = value {
        for (name, property) in object {
            let known = schema["properties"].get(name);
            let known = known.ok_or_else(|| format!("{at}.{name} is not documented"))?;
            validate(root, known, property, &format!("{at}.{name}"))?;
        }
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            object
                .get(name)
                .ok_or_else(|| format!("{at}.{name} is missing"))?;
        }
    }
    Ok(())
}

#[test]
fn a_reader_may_stop_reading() {
    let project = Project::new("pipe");
    for n in 0..500 {
        project.write(&format!("{n}_x_UP.sql"), "SELECT 1;");
    }
    for arguments in ["list", "completions bash", "man", "crd", "--help"] {
        let mut command = if arguments == "list" {
            project.command(arguments)
        } else {
            let mut command = schemaward();
            command.args(arguments.split(' '));
            command
        };
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = Ended::of(&child.wait_with_output().unwrap());
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{arguments}"
        );
    }
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = schemaward().arg("crd").stdout(full).output().unwrap();
    let ended = Ended::of(&output);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(
        ended
            .stderr
            .starts_with("error: The results cannot be written"),
        "{ended:#?}"
    );
}

/// What a command prints on a terminal, results and messages together.
fn on_a_terminal(command: &Command) -> String {
    let program =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut python = Command::new("python3");
    python
        .args(["-c", program])
        .arg(command.get_program())
        .args(command.get_args());
    python.env("TERM", "xterm").env_remove("NO_COLOR");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            python.env(name, value);
        }
    }
    let mut child = python
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    child.wait().unwrap();
    text
}

#[test]
fn colours_and_progress_are_for_terminals() {
    let project = Project::new("colours");
    project.write("001_slow_UP.sql", "SELECT pg_sleep(1.5);");
    let piped = project.run("list");
    assert!(!piped.stdout.contains('\x1b'), "{piped:#?}");
    let list = on_a_terminal(&project.command("list"));
    assert!(
        list.contains("\x1b[") && list.contains("pending"),
        "{list:?}"
    );
    let plain = on_a_terminal(project.command("list").env("NO_COLOR", "1"));
    assert!(
        !plain.contains('\x1b') && plain.contains("pending"),
        "{plain:?}"
    );
    let up = on_a_terminal(project.command("up").env("NO_COLOR", "1"));
    assert!(up.contains("applying 001 slow … 1 s"), "{up:?}");
    assert!(up.contains("001  applied  slow  1"), "{up:?}");
    project.write("002_slow_UP.sql", "SELECT pg_sleep(1);");
    let piped = project.run("up");
    assert!(!piped.stderr.contains("applying"), "{piped:#?}");
    assert_eq!(first_columns(&piped.stdout), ["002 applied slow"]);
}

#[test]
fn help_completions_and_manual_pages_cover_every_command() {
    let print = |arguments: &[&str]| {
        let ended = Ended::of(&schemaward().args(arguments).output().unwrap());
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        ended.stdout
    };
    let commands = [
        "list",
        "up",
        "down",
        "init",
        "plan",
        "crd",
        "run",
        "completions",
        "man",
    ];
    let help = print(&["--help"]);
    let page = print(&["man"]);
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        assert!(
            page.contains(&format!("schemaward\\-{command}(1)")),
            "{page}"
        );
        assert!(print(&["man", command]).starts_with(".ie"), "{command}");
        assert!(
            print(&[command, "--help"]).contains("Usage: schemaward"),
            "{command}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            print(&["completions", shell]).contains("password-file"),
            "{shell}"
        );
    }
    assert!(print(&["crd"]).contains("kind: CustomResourceDefinition"));
    assert!(print(&["--version"]).starts_with("schemaward "));
    // Values of the environment are not for everybody who asks for help.
    let help = schemaward()
        .args(["up", "--help"])
        .env("POSTGRES_USER", "somebody")
        .output()
        .unwrap();
    assert!(!Ended::of(&help).stdout.contains("somebody"));
}
