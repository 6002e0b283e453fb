//! `schemaward man`: the manual pages.

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;

use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Print a manual page
///
/// To read one: `schemaward man up | man -l -`
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The command whose page it is [default: that of the program]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Man {
    pub(super) fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        // Display names such as `schemaward-up` come with the build.
        let mut root = super::Cli::command();
        root.build();
        let command = match self.command {
            None => root,
            Some(name) => find(&root, &name)?,
        };
        let mut page = Vec::new();
        Page::new(command)
            .render(&mut page)
            .map_err(|error| Failure::not_done(format!("The page cannot be made: {error}.")))?;
        terminal.results(&String::from_utf8_lossy(&page))?;
        Ok(Exit::Done)
    }
}

fn find(root: &Command, name: &str) -> Result<Command, Failure> {
    root.find_subcommand(name).cloned().ok_or_else(|| {
        let known: Vec<_> = root.get_subcommands().map(Command::get_name).collect();
        Failure::usage(format!(
            "There is no command {name}. There are: {}.",
            known.join(", ")
        ))
    })
}
