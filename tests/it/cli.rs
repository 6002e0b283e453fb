//! The command line on a real PostgreSQL: the way of the first user, the way back, exit codes. What the
//! tests of the command line share is here, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::{Database, Postgres, postgres, schemaward};

/// A folder of migrations and the database they are for.
pub struct Project {
    pub database: Database<'static>,
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    pub fn new(name: &str) -> Self {
        Self::on(postgres(), name)
    }

    pub fn on(server: &'static Postgres, name: &str) -> Self {
        Self {
            database: server.database(name),
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// The first user's database and migrations.
    pub fn of_first_user(name: &str) -> Self {
        let project = Self::new(name);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tables = root.join("examples/fluxion/base-tables.sql");
        project.database.exec(&fs::read_to_string(tables).unwrap());
        for entry in fs::read_dir(root.join("migrations")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(
                &path,
                project.path(path.file_name().unwrap().to_str().unwrap()),
            )
            .unwrap();
        }
        project
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn write(&self, file: &str, sql: &str) -> &Self {
        fs::write(self.path(file), sql).unwrap();
        self
    }

    pub fn remove(&self, file: &str) -> &Self {
        fs::remove_file(self.path(file)).unwrap();
        self
    }

    /// A version that creates a table of its name, with its way back.
    pub fn table(&self, version: &str, name: &str) -> &Self {
        self.write(
            &format!("{version}_{name}_UP.sql"),
            &format!("CREATE TABLE {name} (id int);\n"),
        )
        .write(
            &format!("{version}_{name}_DOWN.sql"),
            &format!("DROP TABLE {name};\n"),
        )
    }

    /// `schemaward` for this database and folder; the first word is the command.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = self.database.schemaward();
        command.args(arguments.split_whitespace());
        command.arg("--dir").arg(self.folder.path());
        command
    }

    pub fn run(&self, arguments: &str) -> Ended {
        Ended::of(
            &self
                .command(arguments)
                .output()
                .expect("the program starts"),
        )
    }

    /// Standard output of a command that must succeed.
    #[track_caller]
    pub fn succeed(&self, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments}: {ended:#?}");
        ended.stdout
    }

    /// Standard error of a command that must end with this code and print no results.
    #[track_caller]
    pub fn fail(&self, code: i32, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments}: {ended:#?}");
        assert_eq!(ended.stdout, "", "{arguments}");
        // The folder is another one in each run.
        ended
            .stderr
            .replace(&format!("{}/", self.folder.path().display()), "")
    }

    /// Versions in the ledger, in order, parted by blanks.
    pub fn applied(&self) -> String {
        self.database.applied()
    }

    /// Whether a table or view is there.
    pub fn has(&self, relation: &str) -> bool {
        let sql = format!("SELECT to_regclass('{relation}') IS NOT NULL");
        self.database.query_text(&sql) == "t"
    }
}

impl Ended {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The first columns of what `list` and `up` print: version, status, name.
pub fn first_columns(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            line.split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

#[test]
fn the_first_user_goes_up_down_and_up_again() {
    let project = Project::of_first_user("first_user");
    let list = || first_columns(&project.succeed("list"))[1..].to_vec();

    assert_eq!(
        list(),
        [
            "000 pending init_schema_migrations",
            "001 pending add_historical_inventory"
        ]
    );
    assert!(!project.has("schema_migrations"), "list only reads");

    let applied = [
        "000 applied init_schema_migrations",
        "001 applied add_historical_inventory",
    ];
    assert_eq!(first_columns(&project.succeed("up")), applied);
    assert_eq!(list(), applied);
    assert!(project.has("v_inventario_historico_reciente"));
    assert_eq!(
        project.database.query_text(
            "SELECT count(*) FROM schema_migrations
             WHERE execution_time_ms >= 0 AND length(checksum) = 64"
        ),
        "2",
        "the files' own rows are complete"
    );

    let again = project.run("up");
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""));
    assert!(
        again
            .stderr
            .ends_with(": at version 001, 3 checks passed\n"),
        "{again:?}"
    );

    assert_eq!(
        first_columns(&project.succeed("down 001")),
        ["001 undone add_historical_inventory"]
    );
    assert!(!project.has("inventario_historico"));
    assert_eq!(list()[1], "001 pending add_historical_inventory");

    assert_eq!(first_columns(&project.succeed("up")), applied[1..]);
    assert!(project.has("v_inventario_historico_reciente"));
}

#[test]
fn up_stops_where_it_is_told_to() {
    let project = Project::new("up_to");
    project.table("1", "a").table("2", "b").table("3", "c");
    assert_eq!(
        first_columns(&project.succeed("up --to 2")),
        ["1 applied a", "2 applied b"]
    );
    assert_eq!(project.applied(), "1 2");
    let unknown = project.fail(1, "up --to 9");
    assert!(unknown.contains('9'), "{unknown}");
    let below = project.fail(1, "up --to 1");
    assert!(below.contains("schemaward down --to 1"), "{below}");
    assert_eq!(project.applied(), "1 2");
}

#[test]
fn down_undoes_the_newest_version_only() {
    let project = Project::new("down");
    project
        .table("001", "a")
        .table("002", "b")
        .table("003", "c");
    project.succeed("up");
    let refused = project.fail(1, "down 002");
    assert_eq!(
        refused,
        "error: 002 is not the newest version applied, 003 is. Nothing was undone. `schemaward down --to \
         001` undoes, in this order: 003 c, 002 b.\n"
    );
    assert_eq!(first_columns(&project.succeed("down 3")), ["003 undone c"]);
    assert_eq!(
        project.fail(1, "down 003"),
        "error: 003 is not applied; the database is at 002. Nothing was undone.\n"
    );
    assert_eq!(project.applied(), "001 002");
}

#[test]
fn down_to_undoes_all_above_newest_first() {
    let project = Project::new("down_to");
    project
        .table("001", "a")
        .table("002", "b")
        .table("003", "c");
    project.succeed("up");
    assert_eq!(
        first_columns(&project.succeed("down --to 001")),
        ["003 undone c", "002 undone b"]
    );
    assert_eq!(project.applied(), "001");
    let again = project.run("down --to 001");
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (Some(0), ""),
        "{again:?}"
    );
}

#[test]
fn the_way_back_needs_no_file() {
    let project = Project::new("reverted");
    project.table("001", "a").table("002", "b");
    project.succeed("up");
    project.remove("002_b_UP.sql").remove("002_b_DOWN.sql");
    assert_eq!(
        first_columns(&project.succeed("down 002")),
        ["002 undone b"]
    );
    assert!(!project.has("b"));
    assert_eq!(project.applied(), "001");
}

#[test]
fn init_creates_the_history_and_nothing_else() {
    let project = Project::new("init");
    let init = |code: i32| {
        let ended = Ended::of(&project.database.schemaward().arg("init").output().unwrap());
        assert_eq!(ended.code, Some(code), "{ended:#?}");
    };
    init(0);
    assert_eq!(
        project.database.query_text(
            "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position)
             FROM information_schema.columns WHERE table_name = 'schema_migrations'"
        ),
        "version name applied_at execution_time_ms checksum"
    );
    assert_eq!(project.applied(), "");
    init(0);
    project.table("1", "a").succeed("up");
    init(0);
    assert_eq!(project.applied(), "1");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let usage = |arguments: &[&str]| {
        let ended = Ended::of(&schemaward().args(arguments).output().unwrap());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:#?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        ended.stderr
    };
    let missing = usage(&["list"]);
    for option in ["--host", "--db", "--user"] {
        assert!(missing.contains(option), "{missing}");
    }
    let to = ["--host=h", "--db=d", "--user=u"];
    assert!(usage(&[&["down"], &to[..]].concat()).contains("<VERSION|--to <VERSION>>"));
    usage(&[&["down", "1", "--to", "2"], &to[..]].concat());
    usage(&[&["up", "--to", "x"], &to[..]].concat());
    usage(&[&["up", "--lock-wait", "soon"], &to[..]].concat());
    usage(&[&["up", "--sslmode", "prefer"], &to[..]].concat());
    usage(&["up", "--host=/var/run", "--db=d", "--user=u"]);
    usage(&["up", "--password=x"]);
    usage(&["sideways"]);
    usage(&[]);
    assert!(usage(&["man", "sideways"]).contains("There is no command sideways"));
}

#[test]
fn the_password_may_come_from_a_file_and_libpq_has_no_say() {
    let project = Project::new("password");
    project.write("password", &format!("{}\n", project.database.password));
    let path = project.path("password").display().to_string();
    let ended = project
        .command(&format!("list --password-file {path}"))
        .env_remove("POSTGRES_PASSWORD")
        .env("PGOPTIONS", "-c search_path=nowhere -c statement_timeout=1")
        .env("PGSSLMODE", "verify-full")
        .env("PGHOST", "nowhere.example")
        .output()
        .unwrap();
    let ended = Ended::of(&ended);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

#[test]
fn scripts_run_as_a_role_and_in_a_schema_of_choice() {
    let project = Project::new("role");
    let user = &project.database.user;
    project.database.admin_exec(&format!(
        "CREATE ROLE {user}_owner; GRANT {user}_owner TO {user}; CREATE SCHEMA app AUTHORIZATION {user}_owner"
    ));
    project.write("001_a_UP.sql", "CREATE TABLE a ();");
    project.succeed(&format!("up --role {user}_owner --search-path app,public"));
    assert_eq!(
        project
            .database
            .query_text("SELECT schemaname, tableowner FROM pg_tables WHERE tablename = 'a'"),
        format!("app|{user}_owner")
    );
    assert_eq!(project.applied(), "001");
}

#[test]
fn the_history_may_stand_elsewhere() {
    let project = Project::new("elsewhere");
    project.database.exec("CREATE SCHEMA ops");
    project.table("001", "a");
    let here = "--history-schema ops --history-table versions";
    project.succeed(&format!("up {here}"));
    assert_eq!(
        project
            .database
            .query_text("SELECT version FROM ops.versions"),
        "001"
    );
    assert_eq!(
        first_columns(&project.succeed(&format!("list {here}")))[1..],
        ["001 applied a"]
    );
    project.succeed(&format!("down 001 {here}"));
    assert!(!project.has("a") && !project.has("schema_migrations"));
}

#[test]
fn the_first_users_own_table_is_taken_over() {
    let project = Project::of_first_user("taken_over");
    project.database.exec(
        "CREATE TABLE schema_migrations (version VARCHAR(3) PRIMARY KEY, name VARCHAR(255) NOT NULL,
           applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, execution_time_ms INTEGER,
           checksum VARCHAR(64));
         INSERT INTO schema_migrations (version, name) VALUES ('000', 'init_schema_migrations')",
    );
    let plan = project.succeed("plan");
    assert!(
        plan.starts_with(
            "000 is taken over from another program: its row has no checksum and gets the file's\n"
        ),
        "{plan}"
    );
    let up = project.run("up");
    assert_eq!(
        first_columns(&up.stdout),
        ["001 applied add_historical_inventory"]
    );
    let told = "note: 1 row of the history that another program wrote was adopted: 000. No script was run for that. 1 \
                without a checksum got that of the file, and stands in the audit as unverified: nobody knows whether \
                that is the text that ran.\n";
    assert!(up.stderr.contains(told), "{up:?}");
    assert_eq!(
        project
            .database
            .query_text("SELECT version, length(checksum) FROM schema_migrations ORDER BY version"),
        "000|64\n001|64"
    );
}
