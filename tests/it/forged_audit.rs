//! Rows of the audit that another program wrote: whoever accepts the audit sees them, and they stay marked.

use crate::cli::{Ended, Project};

/// A row that looks like one of ours, with a hash that does not.
const FORGED: &str = "INSERT INTO schemaward.audit (id, at, ledger_schema, ledger_table, action, version, detail, actor, \
     database_role, tool, hash) SELECT max(a.id) + 1, now(), 'public', 'schema_migrations', 'undo', '001', 'forged', \
     'somebody', 'them', 'theirs', '\\x00' FROM schemaward.audit a";

/// A command that needs no folder.
fn run(project: &Project, arguments: &str) -> Ended {
    let mut command = project.database.schemaward();
    let arguments = arguments.split(' ');
    Ended::of(
        &command
            .args(arguments)
            .output()
            .expect("the program starts"),
    )
}

#[test]
fn nobody_accepts_a_forged_row_unseen() {
    let project = Project::new("forged");
    project.table("001", "a");
    project.succeed("up");
    project.database.exec(FORGED);
    project.database.exec(FORGED);
    let said = "row 3 of schemaward.audit is not as it was written, nor does row 4 fit what stands before it";
    let stopped = project.fail(1, "up");
    assert!(stopped.contains(said), "{stopped}");
    let audited = run(&project, "audit --limit 1");
    assert_eq!(audited.code, Some(1), "{audited:#?}");
    for row in ["\n3    ", "\n4    "] {
        let shown = audited.stderr.split_once(row).expect("it is shown").1;
        let shown = shown.lines().next().expect("a line");
        assert!(
            shown.contains("undo") && shown.contains("somebody"),
            "{shown}"
        );
    }

    let accepted = run(&project, "accept --audit");
    assert_eq!(accepted.code, Some(0), "{accepted:#?}");
    let warned = format!(
        "warning: This is accepted: {said}.\nRows that are not as they were written, or do not fit what stands before them:\nROW "
    );
    assert!(accepted.stderr.contains(&warned), "{accepted:#?}");
    assert!(accepted.stderr.contains("somebody"), "{accepted:#?}");
    let ends = format!(
        "The audit is accepted as it stands, although {said}. That counts as true from now on; `schemaward audit` goes on \
         to name what does not fit. What comes after this is verified. No script was run.\n"
    );
    assert!(accepted.stderr.ends_with(&ends), "{accepted:#?}");

    let audited = run(&project, "audit");
    assert_eq!(audited.code, Some(0), "{audited:#?}");
    let but_for = format!("as they were written but for what a person accepted: {said}\n");
    assert!(
        audited.stderr.ends_with(&format!(": 5 rows, {but_for}")),
        "{audited:#?}"
    );
    let examined = project.succeed("doctor");
    assert!(
        examined.ends_with(&format!("at 001; 5 rows of the audit are {but_for}")),
        "{examined}"
    );
}

#[test]
fn what_is_wrong_in_rows_that_no_look_reads_is_told_before_it_is_accepted() {
    let project = Project::new("forged_long_ago");
    for number in 1..=40 {
        project.table(&format!("{number:03}"), &format!("t{number}"));
    }
    project.succeed("up");
    project
        .database
        .exec("UPDATE schemaward.audit SET actor = 'nobody' WHERE id = 5");
    let accepted = run(&project, "accept --audit");
    assert_eq!(accepted.code, Some(0), "{accepted:#?}");
    let said = "This is accepted: row 5 of schemaward.audit is not as it was written.\n";
    assert!(accepted.stderr.contains(said), "{accepted:#?}");
    assert!(accepted.stderr.contains("nobody"), "{accepted:#?}");
    assert!(
        accepted
            .stderr
            .contains("older ones were not looked at here"),
        "{accepted:#?}"
    );
    let audited = run(&project, "audit");
    let but_for = "42 rows, as they were written but for what a person accepted: row 5 of schemaward.audit is";
    assert!(audited.stderr.contains(but_for), "{audited:#?}");
}
