//! What is run under faults: the versions, what the database holds before, what is asked for.

use std::path::Path;

/// One way to use the product.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub versions: Vec<Version>,
    /// How many of the versions are applied before the run that is looked at; `None`: the database was never used.
    pub applied_before: Option<usize>,
    /// How many of them are applied when it is done.
    pub target: usize,
}

/// A version with its files, and what its scripts do.
#[derive(Debug)]
pub struct Version {
    pub number: String,
    pub up: String,
    pub down: String,
    /// What UP makes and DOWN takes away, by kind and name as PostgreSQL's command tags have them: `TABLE` `t001`.
    pub objects: Vec<(&'static str, String)>,
    /// The marks that each script leaves.
    pub marks: Vec<String>,
    /// Whether every statement can run inside a transaction.
    pub transactional: bool,
}

/// Stands in every script and in every row that one writes; nothing that a person reads may hold it.
pub const ROW_CANARY: &str = "canary-row/4111 1111?";

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    vec![
        plain(),
        bootstrap(),
        five(),
        together(),
        way_back(),
        concurrently(),
        concurrently_back(),
    ]
}

/// Two pending versions on a database that is in use; the second one takes its time in the middle.
fn plain() -> Scenario {
    Scenario {
        name: "plain",
        versions: vec![table("001"), table("002"), slow_table("003")],
        applied_before: Some(1),
        target: 3,
    }
}

/// The very first run on an empty database.
fn bootstrap() -> Scenario {
    Scenario {
        name: "bootstrap",
        versions: vec![table("001")],
        applied_before: None,
        target: 1,
    }
}

/// Five pending versions.
fn five() -> Scenario {
    Scenario {
        name: "five",
        versions: ["001", "002", "003", "004", "005", "006"].map(table).into(),
        applied_before: Some(1),
        target: 6,
    }
}

/// Three that go in one Query, because they are about new tables alone; a fault finds the one in the middle at work.
fn together() -> Scenario {
    Scenario {
        name: "together",
        versions: vec![
            table_to_index("001"),
            new_table("002", ""),
            new_table("003", " CHECK (slowly(id) = id)"),
            new_table("004", ""),
        ],
        applied_before: Some(1),
        target: 4,
    }
}

/// Two versions are undone, one stays.
pub fn way_back() -> Scenario {
    Scenario {
        name: "way-back",
        versions: vec![table("001"), table("002"), slow_table("003")],
        applied_before: Some(3),
        target: 1,
    }
}

/// As many are undone as [`five`] applies; not in [`all`], because it shows no more under faults.
pub fn five_back() -> Scenario {
    Scenario {
        name: "five-back",
        applied_before: Some(6),
        target: 1,
        ..five()
    }
}

/// A version in parts, one of which PostgreSQL refuses in a transaction, between two that need none.
fn concurrently() -> Scenario {
    Scenario {
        name: "concurrently",
        versions: vec![table_to_index("001"), mixed("002"), table("003")],
        applied_before: Some(1),
        target: 3,
    }
}

/// The way back of such a version.
fn concurrently_back() -> Scenario {
    Scenario {
        name: "concurrently-back",
        applied_before: Some(3),
        target: 1,
        ..concurrently()
    }
}

/// On a database without any history: two plain versions.
pub fn two_tables() -> Scenario {
    on_nothing("two-tables", vec![table("001"), slow_table("002")])
}

/// A version that works for a while.
pub fn slow() -> Scenario {
    on_nothing(
        "slow",
        vec![with_table("001", "SELECT pg_catalog.pg_sleep(1.5);\n")],
    )
}

/// A version whose script takes back what it did, and the transaction with it.
pub fn escaping() -> Scenario {
    let version = Version {
        up: "CREATE TABLE t001 (id int);\nROLLBACK;\n".to_owned(),
        ..table("001")
    };
    on_nothing("escaping", vec![version])
}

/// A version in parts that seems to bear being run again.
pub fn repeatable() -> Scenario {
    let version = Version {
        up: format!(
            "{}CREATE INDEX CONCURRENTLY IF NOT EXISTS i002 ON t001 (slowly(id));\n",
            mark("002", "up")
        ),
        objects: vec![("INDEX", "i002".to_owned())],
        marks: vec!["002".to_owned()],
        ..mixed("002")
    };
    on_nothing("repeatable", vec![table_to_index("001"), version])
}

fn on_nothing(name: &'static str, versions: Vec<Version>) -> Scenario {
    Scenario {
        name,
        applied_before: None,
        target: versions.len(),
        versions,
    }
}

fn table(number: &str) -> Version {
    with_table(number, "")
}

/// A fault finds this one at work.
fn slow_table(number: &str) -> Version {
    with_table(number, "SELECT pg_catalog.pg_sleep(0.1);\n")
}

fn with_table(number: &str, pause: &str) -> Version {
    Version {
        number: number.to_owned(),
        up: format!(
            "CREATE TABLE t{number} (id int, note text);\n{pause}{}\
             INSERT INTO t{number} VALUES (1, '{ROW_CANARY}');\n",
            mark(number, "up")
        ),
        down: format!("{}{pause}DROP TABLE t{number};\n", mark(number, "down")),
        objects: vec![("TABLE", format!("t{number}"))],
        marks: vec![number.to_owned()],
        transactional: true,
    }
}

/// About its own table alone.
fn new_table(number: &str, check: &str) -> Version {
    Version {
        up: format!(
            "CREATE TABLE t{number} (id int{check}, note text);\n\
             INSERT INTO t{number} VALUES (1, '{ROW_CANARY}');\n"
        ),
        down: format!("DROP TABLE t{number};\n"),
        marks: Vec::new(),
        ..table(number)
    }
}

/// With a function that makes a fault find the build of an index at work: it is called for the table's row.
fn table_to_index(number: &str) -> Version {
    let version = table(number);
    Version {
        up: format!(
            "CREATE FUNCTION slowly(id int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS\n\
             $$ BEGIN PERFORM pg_catalog.pg_sleep(0.1); RETURN id; END $$;\n{}",
            version.up
        ),
        down: format!("{}DROP FUNCTION slowly;\n", version.down),
        ..version
    }
}

/// Changes of data and of the schema on both sides of a statement that PostgreSQL refuses in a transaction.
fn mixed(number: &str) -> Version {
    let after = format!("{number}-after");
    let (table, index) = (format!("t{number}"), format!("i{number}"));
    Version {
        number: number.to_owned(),
        up: format!(
            "CREATE TABLE {table} (id int, note text);\n{}\
             CREATE INDEX CONCURRENTLY {index} ON t001 (slowly(id));\n{}\
             INSERT INTO {table} VALUES (1, '{ROW_CANARY}');\n",
            mark(number, "up"),
            mark(&after, "up")
        ),
        down: format!(
            "{}DROP INDEX CONCURRENTLY {index};\n{}DROP TABLE {table};\n",
            mark(&after, "down"),
            mark(number, "down")
        ),
        objects: vec![("TABLE", table), ("INDEX", index)],
        marks: vec![number.to_owned(), after],
        transactional: false,
    }
}

fn mark(number: &str, direction: &str) -> String {
    format!("INSERT INTO oracle.mark VALUES ('{number}', '{direction}', '{ROW_CANARY}');\n")
}

impl Scenario {
    /// Whether what is asked for is to undo versions.
    pub fn goes_back(&self) -> bool {
        self.applied_before
            .is_some_and(|before| before > self.target)
    }

    /// The versions that the run under faults executes.
    pub fn executed(&self) -> &[Version] {
        let before = self.applied_before.unwrap_or(0);
        &self.versions[before.min(self.target)..before.max(self.target)]
    }

    pub fn is_transactional(&self) -> bool {
        self.executed().iter().all(|version| version.transactional)
    }

    /// Writes the files of the first `count` versions into a folder.
    pub fn write_files(&self, folder: &Path, count: usize) {
        for (name, text) in self.files(count) {
            std::fs::write(folder.join(name), text).expect("a folder of the test");
        }
    }

    /// The names and texts of those files.
    pub fn files(&self, count: usize) -> Vec<(String, &str)> {
        let files = |version: &'_ Version| {
            let name = |direction| format!("{}_{}_{direction}.sql", version.number, version.name());
            [name("UP"), name("DOWN")]
        };
        self.versions[..count]
            .iter()
            .flat_map(|version| {
                files(version)
                    .into_iter()
                    .zip([version.up.as_str(), version.down.as_str()])
            })
            .collect()
    }
}

impl Version {
    /// The name in the file names.
    pub fn name(&self) -> &str {
        &self.objects[0].1
    }
}
