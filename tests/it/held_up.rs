//! A run that has the migration lock and waits for somebody itself: who looks, and who comes second, learns whom to end.

use std::process::Child;
use std::time::Duration;

use crate::cli::{Ended, Project};
use crate::harness::{Database, eventually, postgres_major};
use crate::journal::{end, start};
use crate::waiting::{Held, hold, without_numbers};

/// How the others are connected.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// As the role of the run, which sees all of its own sessions.
    Own,
    /// As another role, of whose sessions the run's one sees little.
    Other,
}

/// A run that waits for `report`, which waits for `ann`, which is idle in a transaction.
struct Chain {
    project: Project,
    others: String,
    ann: Held,
    report: Child,
    run: Child,
}

impl Chain {
    fn start(major: u8, name: &str, role: Role) -> Self {
        let project = Project::on(postgres_major(major), name);
        let database = &project.database;
        database.exec("CREATE TABLE orders (id int); CREATE TABLE customers (id int)");
        project.write("001_note_UP.sql", "ALTER TABLE orders ADD note text;\n");
        let others = match role {
            Role::Own => database.user.clone(),
            Role::Other => format!("{}_other", database.user),
        };
        if role == Role::Other {
            database.admin_exec(&format!(
                "CREATE ROLE {others} LOGIN PASSWORD '{}'; GRANT ALL ON orders, customers TO {others}",
                database.password
            ));
        }
        let sessions = Database {
            server: database.server,
            name: database.name.clone(),
            user: others.clone(),
            password: database.password.clone(),
        };
        let ann = hold(&sessions, "ann", "BEGIN; LOCK TABLE customers;");
        let report = sessions.session(
            "report",
            "BEGIN; SELECT id FROM orders; SELECT 'a secret' FROM customers;",
        );
        waits(database, "report");
        let run = start(&project, "up --lock-timeout 0");
        waits(database, "schemaward/cli");
        Self {
            project,
            others,
            ann,
            report,
            run,
        }
    }

    /// The process id of the session of this name.
    fn pid(&self, application: &str) -> String {
        let database = &self.project.database;
        database.admin_exec(&format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND application_name = '{application}'
             AND wait_event_type IS DISTINCT FROM 'Activity' ORDER BY backend_start LIMIT 1",
            database.name
        ))
    }

    /// A second run, which does not wait.
    fn second(&self) -> Ended {
        self.project.run("up --lock-wait 0s")
    }

    /// Ends the session at the end of the chain, as a person would: the run goes on by itself.
    fn comes_to_its_end(mut self) {
        let ann = self.pid("ann");
        let database = &self.project.database;
        database.admin_exec(&format!("SELECT pg_terminate_backend({ann})"));
        drop(self.ann);
        // What waited for it goes on, and ends as it would have.
        self.report.kill().expect("our own child");
        self.report.wait().expect("our own child");
        let ended = end(self.run);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
}

/// Waits until the session of this name waits for a lock.
fn waits(database: &Database<'_>, application: &str) {
    let sql = format!(
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '{}' AND application_name = '{application}'
         AND wait_event_type = 'Lock'",
        database.name
    );
    eventually(Duration::from_mins(1), || {
        match database.admin_exec(&sql).as_str() {
            "t" => Ok(()),
            seen => Err(format!("{application}: {seen}")),
        }
    });
}

#[test]
fn the_session_at_the_end_of_the_chain_is_named() {
    for (major, role) in [(14, Role::Own), (18, Role::Own), (18, Role::Other)] {
        let chain = Chain::start(major, "held_up", role);
        let (user, others) = (&chain.project.database.user, &chain.others);
        // Of others' sessions our role sees who they are, and not what they do.
        let (waiting, idle, age) = match role {
            Role::Own => (", waiting for a lock", ", idle in transaction", " for N s"),
            Role::Other => ("", "", ""),
        };
        let holder = format!(
            "the migration lock is held by pid N (app \"schemaward/cli\", role \"{user}\"), connected for N s, active for \
             N s, which waits for a lock on public.orders held{age} by pid N (app \"report\", role \"{others}\"{waiting}), \
             which waits for a lock on public.customers held{age} by pid N (app \"ann\", role \"{others}\"{idle})"
        );
        let ann = chain.pid("ann");
        let way_out = format!(
            "The holder of the migration lock goes on by itself once pid N ends its transaction; to end pid {ann}, which \
             takes back what it has not committed"
        );
        let command = format!("SELECT pg_terminate_backend({ann})");

        let second = chain.second();
        assert_eq!(second.code, Some(3), "{second:#?}");
        let said = without_numbers(&second.stderr);
        let expected = format!("{holder}. Nothing was changed. {way_out}: {command}.");
        assert!(said.contains(&expected), "{said}\nis not\n{expected}");

        let doctor = chain.project.run("doctor");
        assert_eq!(doctor.code, Some(3), "{doctor:#?}");
        let said = without_numbers(&doctor.stderr);
        let expected = format!("{holder}. Others wait for it. {way_out}.\n  {command};");
        assert!(said.contains(&expected), "{said}\nis not\n{expected}");
        assert!(!doctor.stderr.contains("secret"), "{doctor:#?}");
        chain.comes_to_its_end();
    }
}

#[test]
fn who_waits_says_once_for_whom() {
    let chain = Chain::start(18, "held_up_waited", Role::Own);
    let waited = chain.project.run("up --lock-wait 5s");
    assert_eq!(waited.code, Some(3), "{waited:#?}");
    let notes = waited.stderr.lines();
    let notes = notes.filter(|line| line.contains("waiting for it. The migration lock is held by"));
    assert_eq!(notes.count(), 1, "{waited:#?}");
    chain.comes_to_its_end();
}

#[test]
fn whoever_may_not_ask_whom_it_waits_for_still_learns_of_the_holder() {
    let chain = Chain::start(18, "held_up_unseen", Role::Own);
    let database = &chain.project.database;
    database.admin_exec("REVOKE EXECUTE ON FUNCTION pg_blocking_pids(int) FROM PUBLIC");
    let second = chain.second();
    assert_eq!(second.code, Some(3), "{second:#?}");
    let said = without_numbers(&second.stderr);
    assert!(
        said.contains("connected for N s, active for N s. Nothing was changed."),
        "{said}"
    );
    let holder = chain.pid("schemaward/cli");
    let doctor = chain.project.run("doctor");
    assert_eq!(doctor.code, Some(3), "{doctor:#?}");
    let remedy = format!("If it hangs, end it.\n  SELECT pg_terminate_backend({holder});");
    assert!(doctor.stderr.contains(&remedy), "{doctor:#?}");
    chain.comes_to_its_end();
}

#[test]
fn a_role_that_sees_no_statistics_of_others_learns_whom_the_run_waits_for() {
    let project = Project::on(postgres_major(18), "held_up_foreign");
    let database = &project.database;
    database.exec("CREATE TABLE orders (id int)");
    project.write(
        "001_i_UP.sql",
        "CREATE INDEX CONCURRENTLY i ON orders (id);\n",
    );
    let writer = hold(database, "writer", "BEGIN; INSERT INTO orders VALUES (1);");
    let run = start(&project, "up --lock-timeout 0");
    waits(database, "schemaward/cli");
    let (user, guest) = (&database.user, format!("{}_guest", database.user));
    database.admin_exec(&format!(
        "CREATE ROLE {guest} LOGIN PASSWORD '{}'; GRANT ALL ON DATABASE {} TO {guest};
         GRANT ALL ON SCHEMA public, schemaward TO {guest};
         GRANT ALL ON ALL TABLES IN SCHEMA public, schemaward TO {guest};
         GRANT ALL ON ALL SEQUENCES IN SCHEMA public, schemaward TO {guest}",
        database.password, database.name
    ));
    let mut command = project.command("doctor");
    let doctor = Ended::of(&command.env("POSTGRES_USER", &guest).output().unwrap());
    assert_eq!(doctor.code, Some(3), "{doctor:#?}");
    let said = without_numbers(&doctor.stderr);
    let expected = format!(
        "the migration lock is held by pid N (app \"schemaward/cli\", role \"{user}\"), which waits for a lock \
         held by pid N (app \"writer\", role \"{user}\"). Others wait for it."
    );
    assert!(said.contains(&expected), "{said}\nis not\n{expected}");
    drop(writer);
    assert_eq!(end(run).code, Some(0));
}
