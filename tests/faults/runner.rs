//! Programs under test: how one is started on a case, and how it ended.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::Database;
use crate::oracle::Complaint;
use crate::pgfault::Proxy;
use crate::site::Case;

/// How long anything may take that ends by itself. Longest is a black hole: the product asks every half minute from a
/// second connection whether its session is still there, and takes a fourth silence for the end.
pub const LIMIT: Duration = Duration::from_mins(3);

/// Runs of a program that may be needed after a fault: a server that comes back may turn one away.
const RETRIES: usize = 5;

/// How one run of a program ended, or one stage of it.
#[derive(Debug)]
pub struct Ended {
    pub how: How,
    /// Everything that it printed or published.
    pub said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It did what was asked for.
    Done,
    /// It did not, and says that a retry may help.
    Retry,
    /// It did not, and calls for a person.
    Stalled,
    Killed,
    /// It did not end, and was killed for it.
    Hung,
}

/// A kind of program that migrates a database.
pub trait Runner: Sync {
    /// What stands for it in the name of a point.
    fn name(&self) -> &'static str;

    /// Prepares it for a case; `proxy` is before the case's server.
    fn start<'c>(&self, case: &'c Case<'c>, proxy: &'c Proxy) -> Box<dyn Attempt + 'c>;
}

/// One case, carried out by a program.
pub trait Attempt {
    /// The run that a fault strikes.
    fn faulted(&mut self) -> Ended;

    /// What comes after, without faults: until it is done, or a person is called for.
    fn finish(&mut self) -> Ended;

    /// Once more, with nothing to do.
    fn rest(&mut self) -> Ended;

    /// What was wrong with anything that it published.
    fn complaints(&self) -> Vec<Complaint> {
        Vec::new()
    }
}

/// A program that runs once and ends.
pub struct Program {
    pub name: &'static str,
    /// The command for a case whose server is reached at a port.
    pub command: fn(&Case<'_>, u16) -> Command,
    /// The exit code that says that a retry may help.
    pub retry_code: i32,
}

/// The command line.
pub static CLI: Program = Program {
    name: "cli",
    command: cli,
    retry_code: 3, // decision 26
};

/// The command that shows what it would do.
pub static PLAN: Program = Program {
    name: "plan",
    command: plan,
    retry_code: CLI.retry_code,
};

fn cli(case: &Case<'_>, port: u16) -> Command {
    command(case, port, &["up"], &["down", "--to"])
}

fn plan(case: &Case<'_>, port: u16) -> Command {
    command(case, port, &["plan"], &["plan", "--to"])
}

/// What goes forth, or back to the version that stays.
fn command(case: &Case<'_>, port: u16, forth: &[&str], back_to: &[&str]) -> Command {
    let scenario = case.scenario;
    let mut command = case.database.schemaward();
    command.env("POSTGRES_PORT", port.to_string());
    if scenario.goes_back() {
        let stays = &scenario.versions[scenario.target - 1].number;
        command.args(back_to).arg(stays);
    } else {
        command.args(forth);
    }
    command.arg("--dir").arg(case.folder.path());
    command
}

struct Runs<'c> {
    command: fn(&Case<'_>, u16) -> Command,
    retry_code: i32,
    case: &'c Case<'c>,
    proxy: &'c Proxy,
}

impl Runner for Program {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start<'c>(&self, case: &'c Case<'c>, proxy: &'c Proxy) -> Box<dyn Attempt + 'c> {
        Box::new(Runs {
            command: self.command,
            retry_code: self.retry_code,
            case,
            proxy,
        })
    }
}

impl Attempt for Runs<'_> {
    fn faulted(&mut self) -> Ended {
        let mut command = (self.command)(self.case, self.proxy.port);
        let folder = self.case.folder.path();
        run(&mut command, folder, self.retry_code, |pid| {
            self.proxy.runner_is(pid);
        })
    }

    fn finish(&mut self) -> Ended {
        let mut said = String::new();
        for _ in 0..RETRIES {
            let ended = self.faulted();
            said += &ended.said;
            if ended.how != How::Retry {
                return Ended { said, ..ended };
            }
        }
        Ended {
            how: How::Retry,
            said,
        }
    }

    fn rest(&mut self) -> Ended {
        self.faulted()
    }
}

/// Runs a command to its end; `started` gets its process id.
fn run(command: &mut Command, folder: &Path, retry_code: i32, started: impl FnOnce(u32)) -> Ended {
    let path = folder.join("said");
    let file = File::create(&path).expect("a folder of the test");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a file of ours"))
        .stderr(file)
        .spawn()
        .expect("the program starts");
    started(child.id());
    let how = end(&mut child, retry_code);
    let said = std::fs::read(&path).expect("a file of ours");
    std::fs::remove_file(&path).expect("a file of ours");
    Ended {
        how,
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}

fn end(child: &mut Child, retry_code: i32) -> How {
    let limit = Instant::now() + LIMIT;
    while Instant::now() < limit {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return match status.code() {
                Some(0) => How::Done,
                Some(code) if code == retry_code => How::Retry,
                Some(_) => How::Stalled,
                None => How::Killed,
            };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
    How::Hung
}

/// Applies what is in `folder`, without any fault.
///
/// # Panics
/// When it does not succeed.
pub fn up(database: &Database<'_>, folder: &Path) {
    let mut command = database.schemaward();
    command.arg("up").arg("--dir").arg(folder);
    let ended = run(&mut command, folder, CLI.retry_code, |_| ());
    assert_eq!(ended.how, How::Done, "{}", ended.said);
}
