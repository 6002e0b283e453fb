//! What has to hold after every case, told from the server itself and not from what the product says.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Output;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::canary;
use crate::harness::stdout_of;
use crate::scenario::{ROW_CANARY, Scenario, Version};
use crate::site::Case;

/// Within this time everything of a program that is no more has to be gone from the server.
const GONE: Duration = Duration::from_secs(15);

/// The oracles, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oracle {
    /// Nothing that was committed was committed twice.
    O1,
    /// The history is a beginning of the declared order, with the checksums of the files; at the end it is all of it.
    O2,
    /// No effect without a row, no row without its effect; no statement left as started.
    O3,
    /// Never two of our sessions that write to one database.
    O4,
    /// No secret and no row in what was printed.
    O5,
    /// When the faults stop, the run comes to its end by itself, and at rest nothing is written.
    O6,
    /// No session, lock, prepared transaction, slot or invalid index of ours is left.
    O7,
    /// What is published stays within its limits.
    O8,
    /// What was told is there, and stays: also when the server crashes right after.
    O9,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub oracle: Oracle,
    pub about: String,
}

impl Complaint {
    pub fn new(oracle: Oracle, about: impl Into<String>) -> Self {
        Self {
            oracle,
            about: about.into(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.oracle, self.about)
    }
}

/// A database at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    /// Committed DDL, as `CREATE TABLE public.t001`, and how often.
    ddl: BTreeMap<String, u32>,
    /// Marks of committed changes of data, as `up 001`, and how often.
    marks: BTreeMap<String, u32>,
    /// Tables and valid indexes in schema public.
    relations: Vec<String>,
    /// Every row of every table, with the transaction that wrote it.
    contents: BTreeMap<String, Vec<Value>>,
}

impl Snapshot {
    pub fn take(case: &Case<'_>) -> Self {
        let report =
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT oracle.report(); COMMIT";
        // A table that this moment still has may be dropped before its rows are read: a way back goes on for a
        // while on the server when its program is gone. The next moment is as good.
        // Dropped by the time that it is looked up, it has no name any more, and a number stands in its place.
        let dropped = ["does not exist", "syntax error at or near"];
        let is_race = |output: &Output| {
            let error = String::from_utf8_lossy(&output.stderr);
            error.contains("oracle.contents()") && dropped.iter().any(|text| error.contains(text))
        };
        let mut output = case.database.try_admin_exec(report);
        while is_race(&output) {
            output = case.database.try_admin_exec(report);
        }
        let text = stdout_of(&output, report);
        serde_json::from_str(&text).expect("the oracle's own report")
    }

    fn count(&self, tag: &str, name: &str) -> u32 {
        let what = format!("{tag} public.{name}");
        self.ddl.get(&what).copied().unwrap_or(0)
    }

    fn mark(&self, direction: &str, version: &str) -> u32 {
        let what = format!("{direction} {version}");
        self.marks.get(&what).copied().unwrap_or(0)
    }

    fn rows(&self, table: &str) -> &[Value] {
        self.contents.get(table).map_or(&[], Vec::as_slice)
    }

    /// Versions with a row in the history, with its checksum, in numeric order.
    fn history(&self) -> Vec<(&str, &str)> {
        let mut rows: Vec<_> = self
            .rows("schema_migrations")
            .iter()
            .map(|row| {
                let column = |name: &str| row[name].as_str().unwrap_or_default();
                (column("version"), column("checksum"))
            })
            .collect();
        rows.sort_unstable();
        rows
    }

    fn records(&self, version: &Version) -> bool {
        self.history()
            .iter()
            .any(|(found, _)| *found == version.number)
    }
}

/// O1, O2 and O3, which hold at any moment: also between a fault and the next run.
pub fn always(case: &Case<'_>, now: &Snapshot) -> Vec<Complaint> {
    let mut complaints = exactly_once(case.scenario, now);
    complaints.extend(history(case.scenario, now));
    complaints.extend(effects(case.scenario, now));
    complaints
}

fn exactly_once(scenario: &Scenario, now: &Snapshot) -> Vec<Complaint> {
    // An index that was built in vain is dropped and built again; the ledger counts only what was completed.
    let in_vain = |what: &str| {
        !scenario.is_transactional() && !scenario.goes_back() && what.starts_with("DROP INDEX")
    };
    let marks = now.marks.iter();
    marks
        .chain(now.ddl.iter().filter(|(what, _)| !in_vain(what)))
        .filter(|(_, number)| **number > 1)
        .map(|(what, number)| {
            Complaint::new(Oracle::O1, format!("{what} was committed {number} times"))
        })
        .collect()
}

fn history(scenario: &Scenario, now: &Snapshot) -> Vec<Complaint> {
    let declared = |version: &'_ Version| (version.number.clone(), sha256(&version.up));
    let declared: Vec<_> = scenario.versions.iter().map(declared).collect();
    let found = now.history();
    let is_prefix = found.len() <= declared.len()
        && found
            .iter()
            .zip(&declared)
            .all(|(row, (number, checksum))| row.0 == number && row.1 == checksum);
    let mut complaints = Vec::new();
    if !is_prefix {
        let about = format!("the history {found:?} is no beginning of {declared:?}");
        complaints.push(Complaint::new(Oracle::O2, about));
    }
    let mut kept: Vec<_> = now
        .rows("schemaward.script")
        .iter()
        .map(|row| row["version"].as_str().unwrap_or_default())
        .collect();
    kept.sort_unstable();
    if now.contents.contains_key("schemaward.script")
        && !kept.iter().eq(found.iter().map(|(version, _)| version))
    {
        let about = format!("the stored scripts are of {kept:?}, the history is {found:?}");
        complaints.push(Complaint::new(Oracle::O2, about));
    }
    complaints
}

fn effects(scenario: &Scenario, now: &Snapshot) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    // A statement outside a transaction is there before its row; what holds for it is looked at in the end.
    for version in scenario
        .versions
        .iter()
        .filter(|version| version.transactional)
    {
        complaints.extend(effects_of(version, now));
    }
    complaints
}

/// Compares a version's row with its objects in the catalog, with the ledger of DDL and with its marks.
fn effects_of(version: &Version, now: &Snapshot) -> Vec<Complaint> {
    let recorded = now.records(version);
    let complaint = |what: &str, found: String| {
        let row = if recorded { "a row" } else { "no row" };
        let about = format!("{} has {row}, and {what}: {found}", version.number);
        Complaint::new(Oracle::O3, about)
    };
    let mut complaints = Vec::new();
    for (kind, name) in &version.objects {
        if now.relations.contains(name) != recorded {
            let found = if recorded { "is missing" } else { "is there" };
            complaints.push(complaint(name, found.to_owned()));
        }
        let made = now.count(&format!("CREATE {kind}"), name);
        let dropped = now.count(&format!("DROP {kind}"), name);
        // What was built in vain, and so never completed, may have been dropped.
        let in_vain = !version.transactional && *kind == "INDEX";
        if made != dropped + u32::from(recorded) && !in_vain {
            let found = format!("{name} made {made} times, dropped {dropped} times");
            complaints.push(complaint("the ledger of DDL", found));
        }
    }
    for mark in &version.marks {
        let (up, down) = (now.mark("up", mark), now.mark("down", mark));
        if up != down + u32::from(recorded) {
            let found = format!("{mark} {up} times by UP, {down} times by DOWN");
            complaints.push(complaint("its marks", found));
        }
    }
    complaints
}

/// What holds when the case is over: the target is reached, nothing is left over, and nothing was written by a run
/// that had nothing to do.
pub fn at_the_end(case: &Case<'_>, done: &Snapshot, rested: &Snapshot) -> Vec<Complaint> {
    let mut complaints = reached(case.scenario, done);
    complaints.extend(started(done));
    for version in &case.scenario.versions {
        if !version.transactional {
            complaints.extend(effects_of(version, done));
        }
    }
    if done != rested {
        complaints.push(Complaint::new(Oracle::O6, difference(done, rested)));
    }
    complaints
}

fn reached(scenario: &Scenario, done: &Snapshot) -> Vec<Complaint> {
    let found = done.history().len();
    if found == scenario.target {
        return Vec::new();
    }
    let about = format!(
        "the history has {found} versions, {} are asked for",
        scenario.target
    );
    vec![Complaint::new(Oracle::O6, about)]
}

/// Statements that the journal holds for started.
fn started(now: &Snapshot) -> Vec<Complaint> {
    now.rows("schemaward.journal")
        .iter()
        .filter(|row| row["state"] == "started")
        .map(|row| Complaint::new(Oracle::O3, format!("the journal has a started row: {row}")))
        .collect()
}

fn difference(before: &Snapshot, after: &Snapshot) -> String {
    let changed: Vec<_> = after
        .contents
        .iter()
        .filter(|(table, rows)| before.contents.get(*table) != Some(rows))
        .map(|(table, _)| table.as_str())
        .collect();
    format!("a run with nothing to do wrote: tables {changed:?}, or DDL or marks")
}

/// O5.
pub fn secrets(case: &Case<'_>, said: &str) -> Vec<Complaint> {
    canary::leaks(said, &[&case.database.password, ROW_CANARY])
        .into_iter()
        .map(|form| Complaint::new(Oracle::O5, format!("{form:?} was printed in:\n{said}")))
        .collect()
}

/// O9: what the command line has told of versions is true, whatever happened since.
pub fn told(said: &str, now: &Snapshot) -> Vec<Complaint> {
    let history = now.history();
    let is_there = |version: &str| history.iter().any(|(found, _)| *found == version);
    said.lines()
        .filter_map(|line| {
            let (version, what) = line.split_once("  ")?;
            let is_lie = match what.split("  ").next()? {
                "applied" => !is_there(version),
                "undone" => is_there(version),
                _ => false,
            };
            is_lie.then(|| {
                Complaint::new(Oracle::O9, format!("it said `{line}`, and that is not so"))
            })
        })
        .collect()
}

/// O7: waits a while, for a server may need a second to notice that a client is gone.
pub fn leftovers(case: &Case<'_>) -> Vec<Complaint> {
    let end = Instant::now() + GONE;
    loop {
        let left = case.database.admin_exec("SELECT oracle.leftovers()");
        if left.is_empty() {
            return Vec::new();
        }
        if Instant::now() > end {
            return vec![Complaint::new(Oracle::O7, left)];
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// In lower-case hexadecimal, as it stands in the history.
pub fn sha256(text: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(text)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a String takes all");
            hex
        })
}
