//! The command line: one file per command. Results go to standard output, messages to standard error.
//!
//! In reading order: [`args`] are the options that commands share, [`connection`] those of the database, [`terminal`] writes, [`session`]
//! drives a run of the engine under signals and with [`progress`], [`exit`] says what a run's end means
//! for the exit code, [`report`] what it means for a person, and [`output`] is the documented JSON. [`cluster`]
//! is the way to Kubernetes for the commands about a resource.

mod accept;
mod approve;
mod args;
mod audit;
mod check;
mod checks;
mod cluster;
mod completions;
mod connection;
mod crd;
mod credentials;
mod decide;
mod doctor;
mod down;
mod duration;
mod environment;
mod exit;
mod history;
mod init;
mod list;
mod man;
mod new;
pub mod output;
mod plan;
mod plan_text;
mod progress;
mod report;
mod resolve;
mod run;
mod server_host;
mod session;
mod signals;
mod snippet;
mod source;
mod table;
mod takeover;
mod terminal;
mod test;
mod up;
mod verify;
mod wait;
mod wording;

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::migration::lint;

use self::exit::{Exit, Failure};
use self::terminal::Terminal;

/// Keeps a PostgreSQL database at the schema version that Git says.
///
/// Migrations are files `NNN_name_UP.sql` and `NNN_name_DOWN.sql` in a folder. Every version runs in one
/// transaction together with its row in the history table, so a version is either there and recorded,
/// or has left nothing behind.
#[derive(Debug, Parser)]
#[command(
    name = "schemaward",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done; 1 not done, for the reason printed; 2 wrong usage;\n\
                  3 not reachable or timed out, a retry may help."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    History(history::HistoryCommand),
    Up(up::Up),
    Down(down::Down),
    Init(init::Init),
    Plan(plan::PlanCommand),
    Verify(verify::Verify),
    New(new::New),
    Check(check::Check),
    Test(test::Test),
    Accept(accept::Accept),
    Takeover(takeover::Takeover),
    Audit(audit::Audit),
    Resolve(resolve::Resolve),
    Approve(approve::Approve),
    Wait(wait::Wait),
    Doctor(doctor::Doctor),
    Crd(crd::Crd),
    Run(run::Run),
    Completions(completions::Completions),
    Man(man::Man),
}

/// The whole program: reads the command line, does what it says, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Whatever went wrong, values that a panic's message may hold are not printed.
    panic::set_hook(Box::new(report_panic));
    panic::catch_unwind(|| start(std::env::args_os().collect()))
        .unwrap_or_else(|_| Exit::NotDone.into())
}

fn start(arguments: Vec<OsString>) -> ExitCode {
    let terminal = Terminal::detect();
    if let Err(failure) = environment::shed_libpq_variables() {
        return terminal.fail(&failure).into();
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help to a closed pipe is no error.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
            .into();
        }
    };
    match cli.command.carry_out(terminal) {
        Ok(exit) => exit,
        Err(failure) => terminal.fail(&failure),
    }
    .into()
}

impl Command {
    fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        match self {
            Self::List(command) => wait_for(command.carry_out(terminal)),
            Self::History(command) => wait_for(command.carry_out(terminal)),
            Self::Up(command) => wait_for(command.carry_out(terminal)),
            Self::Down(command) => wait_for(command.carry_out(terminal)),
            Self::Init(command) => wait_for(command.carry_out(terminal)),
            Self::Plan(command) => wait_for(command.carry_out(terminal)),
            Self::Test(command) => wait_for(command.carry_out(terminal)),
            Self::Verify(command) => wait_for(command.carry_out(terminal)),
            Self::New(command) => command.carry_out(terminal),
            Self::Check(command) => wait_for(command.carry_out(terminal)),
            Self::Accept(command) => wait_for(command.carry_out(terminal)),
            Self::Takeover(command) => wait_for(command.carry_out(terminal)),
            Self::Audit(command) => wait_for(command.carry_out(terminal)),
            Self::Resolve(command) => wait_for(command.carry_out(terminal)),
            Self::Approve(command) => wait_for(command.carry_out(terminal)),
            Self::Wait(command) => wait_for(command.carry_out(terminal)),
            Self::Doctor(command) => wait_for(Box::pin(command.carry_out(terminal))),
            Self::Crd(command) => command.carry_out(terminal),
            Self::Run(command) => command.carry_out(),
            Self::Completions(command) => command.carry_out(terminal),
            Self::Man(command) => command.carry_out(terminal),
        }
    }
}

/// One thread is enough for one connection, and starts fastest.
fn wait_for(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::not_done(format!("The program cannot start: {error}.")))?
        .block_on(work)
}

fn report_panic(info: &panic::PanicHookInfo<'_>) {
    // The parser of the rules gave up on a script, and that is told as a finding.
    if std::thread::current().name() == Some(lint::THREAD) {
        return;
    }
    let place = info.location().map_or_else(
        || "an unknown place".to_owned(),
        |location| format!("{}:{}", location.file(), location.line()),
    );
    terminal::write_error(&format!(
        "error: Schemaward met a state that must not be, at {place}. What was not committed is rolled \
         back by the server. Please report it.\n"
    ));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
