//! `schemaward completions`: what a shell needs to complete our options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Print the completions for a shell
///
/// For bash: `schemaward completions bash > /etc/bash_completion.d/schemaward`
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        let mut command = super::Cli::command();
        clap_complete::generate(self.shell, &mut command, "schemaward", &mut script);
        terminal.results(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
