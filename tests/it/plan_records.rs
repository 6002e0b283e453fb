//! Rows of the history that a file writes itself: the plan says whose.

use crate::cli::Project;

#[test]
fn a_row_of_another_version_is_not_called_its_own() {
    let project = Project::new("plan_records");
    project.write(
        "001_a_UP.sql",
        "INSERT INTO schema_migrations (version, name) VALUES ('001', 'a');\n\
         INSERT INTO schema_migrations (version, name) VALUES ('005', 'secret');\n\
         INSERT INTO schema_migrations (version, name) VALUES ('001', 'a'), ('006', 'b'), ('007', 'c');\n\
         DELETE FROM schema_migrations WHERE version = '004';\n",
    );
    let plan = project.succeed("plan");
    let said: Vec<&str> = plan
        .lines()
        .filter_map(|line| line.split_once("schema_migrations  "))
        .map(|(_, said)| said.split("  ").next().unwrap_or_default())
        .collect();
    assert_eq!(
        said,
        [
            "its own record, in its transaction",
            "record of 005, in its transaction",
            "records of 001 and 2 others, in its transaction",
            "record of 004, in its transaction",
        ],
        "{plan}"
    );
    assert!(!plan.contains("secret"), "{plan}");
    let json = project.succeed("plan -o json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let statements = &json["steps"][0]["statements"];
    assert_eq!(statements[1]["class"], "transactional");
    assert_eq!(
        statements[2]["records"],
        serde_json::json!(["001", "006", "007"])
    );
}
