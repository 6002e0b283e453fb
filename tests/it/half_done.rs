//! A version of which a part is done and which is not recorded: whatever a person asks, it is said.

use crate::cli::Project;
use crate::journal::projects;

/// What is said of it by whoever looks.
const SEEN: &str = "is begun and not recorded: statement 1 is done";

/// Two versions, and a third one of which the first statement is done and the second fails.
fn begun(project: &Project) {
    project.table("001", "a").table("002", "b").write(
        "003_code_UP.sql",
        "CREATE TABLE codes (id int);\nCREATE UNIQUE INDEX CONCURRENTLY i ON orders (code);\n",
    );
    let failed = project.run("up").stderr;
    assert!(failed.contains("Statement 1 is done and kept"), "{failed}");
}

#[test]
fn each_command_that_looks_says_that_a_version_is_half_done() {
    for project in projects("half_done") {
        begun(&project);
        let way_back = project.fail(1, "down 003");
        assert_eq!(
            way_back,
            "error: 003 was begun and is not finished (statement 1 is done), and the target is below it. The database was \
             not changed: there is no way back from a version that is not recorded. Let 003 finish first (correct what \
             fails, or take it out of the file), and then undo it.\n"
        );
        for other in ["001", "004"] {
            let refused = project.fail(1, &format!("down {other}"));
            assert!(refused.contains(&format!("003 {SEEN}.")), "{refused}");
        }

        let verified = project.run("verify");
        assert_eq!(verified.code, Some(1), "{verified:#?}");
        assert_eq!(
            verified.stdout,
            format!("failed  history  003 is not applied; 003 {SEEN}\n")
        );
        project.table("004", "d");
        let verified = project.run("verify");
        let several = format!("2 versions are not applied: 003 to 004; 003 {SEEN}\n");
        assert!(verified.stdout.ends_with(&several), "{verified:#?}");

        let examined = project.succeed("doctor");
        let history = format!("history     ok      at 002; 003 {SEEN}; ");
        assert!(examined.contains(&history), "{examined}");
    }
}

#[test]
fn what_stands_in_the_way_does_not_hide_that_a_version_is_half_done() {
    for project in projects("half_done_blocked") {
        begun(&project);
        project.write("001_a_UP.sql", "CREATE TABLE a (id bigint);\n");
        for command in ["plan", "verify", "doctor"] {
            let ended = project.run(command);
            assert_eq!(ended.code, Some(1), "{command}: {ended:#?}");
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(said.contains("UP of 001 was"), "{command}: {said}");
            assert!(said.contains(&format!("003 {SEEN}.")), "{command}: {said}");
        }
    }
}

#[test]
fn a_way_back_that_is_half_done_is_said_too() {
    for project in projects("half_undone") {
        project
            .table("001", "a")
            .write("002_b_UP.sql", "CREATE TABLE b (id int);\n")
            .write(
                "002_b_DOWN.sql",
                "DROP TABLE b;\nCREATE UNIQUE INDEX CONCURRENTLY i ON orders (code);\n",
            );
        project.succeed("up");
        project.fail(1, "down 002");
        let seen = format!("the DOWN of 002 {SEEN}");
        let refused = project.fail(1, "down 001");
        assert!(
            refused.contains(&format!("The DOWN of 002 {SEEN}.")),
            "{refused}"
        );
        // Without a folder nothing is wanted, so nothing stands in the way.
        let mut doctor = project.database.schemaward();
        let doctor = doctor
            .args(["doctor", "--dir", "none"])
            .output()
            .expect("the program starts");
        let examined = String::from_utf8_lossy(&doctor.stdout);
        assert!(
            examined.contains(&format!("ok      at 002; {seen};")),
            "{examined}"
        );
        let verified = project.run("verify --to 001").stdout;
        assert!(verified.contains("going back is not allowed"), "{verified}");
        assert!(
            verified.contains(&format!("The DOWN of 002 {SEEN}.")),
            "{verified}"
        );
    }
}
