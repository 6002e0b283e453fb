//! What the end of a run means for a person.

use std::path::Path;

use crate::api::v1alpha1::RECONCILE_ANNOTATION;
use crate::engine::decision::Change;
use crate::engine::error::ScriptFailure;
use crate::engine::outcome::{End, Outcome, Stop};
use crate::engine::task::Owner;
use crate::migration::begun::BEGUN;
use crate::migration::blocked::Blocked;
use crate::migration::catalog::Catalog;
use crate::migration::file_name::Direction;
use crate::migration::history::History;
use crate::migration::script::Script;

use super::exit::{Exit, exit_for};
use super::session::{Ended, Session};
use super::snippet::{self, Place};
use super::terminal::{Terminal, write_error};
use super::wording::with_advice;

/// What the sentences need besides the run itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) terminal: Terminal,
    pub(super) catalog: &'a Catalog,
    /// The folder of the files.
    pub(super) folder: &'a Path,
    /// Name of the history table.
    pub(super) ledger_table: &'a str,
    /// What to say when the plan had become another one.
    pub(super) refused: &'a str,
}

/// Tells how a run that may write ended.
pub(super) async fn conclude(session: &mut Session, ended: &Ended, context: Context<'_>) -> Exit {
    let terminal = context.terminal;
    let outcome = match ended {
        Ended::Run(outcome) => outcome,
        Ended::Refused => {
            terminal.error(context.refused);
            return Exit::NotDone;
        }
    };
    if let Some(owner) = outcome.passed_claim() {
        terminal.warning(&passed(owner, outcome.end()));
    }
    if let End::Decided(changes) = outcome.end()
        && let Some(next) = after_release(changes)
    {
        terminal.note(&next);
    }
    if !outcome.privileges().is_empty() {
        terminal.warning(&format!(
            "The role may do more on the database server than a migration needs: {}. A script that \
             somebody else wrote could run programs there, or read and write its files.",
            outcome.privileges().join("; ")
        ));
    }
    if let Some(change) = outcome.server_change() {
        terminal.warning(&change.to_string());
    }
    match outcome.stop() {
        None => write_error(&format!("{}\n", standing(outcome))),
        Some(Stop::Script(failure)) => script_failed(session, outcome, failure, context).await,
        Some(_) => terminal.error(&message(outcome)),
    }
    exit_for(outcome)
}

/// Whether a run came to where its task wanted it, so that there is nothing to tell.
pub(super) fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome.end(), End::Reached)
}

/// That a resource manages the database; and how its operator learns of a decision, which changes nothing that it
/// watches. The claim is a row that others may have written: no command to paste is made of what is no name.
fn passed(owner: &Owner, end: &End) -> String {
    let Owner {
        namespace, name, ..
    } = owner;
    let managed = format!(
        "DatabaseSchema {owner} manages this database. This command passed its claim; the operator \
         will bring the database to what that resource says."
    );
    match end {
        End::Decided(changes) if !changes.is_empty() && owner.has_plain_names() => {
            // What has to be known of a statement in doubt is not looked for again by itself.
            let when = if changes.iter().any(is_about_a_statement) {
                "A resource that stopped for it goes on when it is asked to"
            } else {
                "It looks after spec.interval at the latest, and at once when it is asked to"
            };
            format!("{managed} {when}: `{}`.", look_again(namespace, name))
        }
        End::Decided(_) | End::Reached | End::Planned | End::Interrupted | End::Stopped(_) => {
            managed
        }
    }
}

fn is_about_a_statement(change: &Change) -> bool {
    matches!(change, Change::Resolve { .. })
}

/// What comes after a history was let go: nobody can know here which resource is to have it.
fn after_release(changes: &[Change]) -> Option<String> {
    let released = changes.iter().find_map(|change| match change {
        Change::Release { from } => Some(from),
        _ => None,
    })?;
    Some(format!(
        "The resource that looks next gets the history, {released} too if it is neither deleted nor suspended. One that \
         waits for it (DatabaseClaimed) looks after its spec.interval at the latest, and at once on `{}`, with its own \
         names.",
        look_again("NAMESPACE", "NAME")
    ))
}

/// The command that makes an operator look at a resource now.
fn look_again(namespace: &str, name: &str) -> String {
    format!(
        "kubectl -n {namespace} annotate --overwrite databaseschema {name} {RECONCILE_ANNOTATION}=\"$(date +%s)\""
    )
}

/// Why there is no plan, with what is half done beside it.
pub(super) fn with_what_is_begun(blocked: &Blocked, history: &History) -> String {
    match (blocked, history.begun()) {
        (Blocked::Begun { .. }, _) | (_, None) => blocked.to_string(),
        (_, Some(begun)) => format!("{blocked} {}", begun.sentence(BEGUN)),
    }
}

/// What the engine says of a run's end.
pub(super) fn message(outcome: &Outcome) -> String {
    with_advice(&outcome.message(), exit_for(outcome))
}

/// `fluxion: at version 001`
fn standing(outcome: &Outcome) -> String {
    match outcome.server() {
        Some(server) => format!("{}: {}", server.database, message(outcome)),
        None => message(outcome),
    }
}

/// The line with a caret, and then the whole message.
async fn script_failed(
    session: &mut Session,
    outcome: &Outcome,
    failure: &ScriptFailure,
    context: Context<'_>,
) {
    let shown = match script_text(session, outcome, failure, context).await {
        Some(text) => show_line(failure, &text, context),
        None => false,
    };
    if shown {
        write_error(&format!("{}\n", message(outcome)));
    } else {
        context.terminal.error(&message(outcome));
    }
}

/// A script's text, and what to call it.
struct ScriptText {
    path: String,
    bytes: Vec<u8>,
}

/// The text that ran: for UP the file's, for DOWN the one that was stored when the version was applied.
async fn script_text(
    session: &mut Session,
    outcome: &Outcome,
    failure: &ScriptFailure,
    context: Context<'_>,
) -> Option<ScriptText> {
    let migration = context.catalog.get(&failure.version);
    let of_file = |file: &str, bytes: &[u8]| ScriptText {
        path: context.folder.join(file).display().to_string(),
        bytes: bytes.to_vec(),
    };
    if failure.direction == Direction::Up {
        return migration.map(|migration| of_file(&migration.up.file, &migration.up.bytes));
    }
    let file = migration.and_then(|migration| migration.down.as_ref());
    let applied = outcome
        .history()
        .and_then(|history| history.get(&failure.version));
    let stored = applied
        .and_then(|applied| applied.stored)
        .and_then(|stored| stored.down);
    match (stored, file) {
        (Some(stored), Some(file)) if stored == file.checksum => {
            Some(of_file(&file.file, &file.bytes))
        }
        (None, Some(file)) => Some(of_file(&file.file, &file.bytes)),
        (None, None) => None,
        (Some(_), _) => {
            let version = &applied?.version;
            let bytes = session.stored_downs(std::slice::from_ref(version)).await;
            let bytes = bytes.ok()?.pop()?;
            Some(ScriptText {
                path: format!("stored DOWN of {} {}", failure.version, failure.name),
                bytes,
            })
        }
    }
}

/// Prints the line; false when there is none to print.
fn show_line(failure: &ScriptFailure, text: &ScriptText, context: Context<'_>) -> bool {
    let Some(position) = failure.position else {
        return false;
    };
    let Ok(script) = Script::parse(&text.bytes, context.ledger_table) else {
        return false;
    };
    let Some(line) = script.source_line(position.line) else {
        return false;
    };
    let code = failure.sqlstate.as_ref();
    let what = format!(
        "{}{}",
        failure.message,
        code.map_or_else(String::new, |code| format!(" ({code})"))
    );
    let place = Place {
        path: &text.path,
        position,
        line,
    };
    write_error(&snippet::render(
        &what,
        place,
        context.terminal.messages_in_colour(),
    ));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::decision::Verdict;
    use crate::migration::checksum::Checksum;
    use crate::migration::version::Version;

    #[test]
    fn a_command_is_made_of_names_alone() {
        let owner = |name: &str| Owner {
            cluster: String::new(),
            namespace: "web".to_owned(),
            name: name.to_owned(),
            uid: String::new(),
        };
        let end = End::Decided(vec![Change::AcceptAudit { defect: None }]);
        assert!(passed(&owner("shop"), &end).contains("`kubectl -n web annotate"));
        assert!(!passed(&owner("shop; reboot"), &end).contains("kubectl"));
    }

    #[test]
    fn a_claim_cannot_command_the_terminal() {
        let owner = || Owner {
            cluster: String::new(),
            namespace: "w\u{1b}[2Jeb".to_owned(),
            name: "sh\nop\u{202e}".to_owned(),
            uid: String::new(),
        };
        let released = vec![Change::Release { from: owner() }];
        for said in [
            after_release(&released).expect("it is let go"),
            passed(&owner(), &End::Decided(released)),
        ] {
            assert!(said.contains("w [2Jeb/sh op "), "{said}");
            assert!(!said.contains(['\u{1b}', '\n', '\u{202e}']), "{said}");
        }
    }

    #[test]
    fn a_decision_says_when_the_operator_takes_it_up() {
        let owner = || Owner {
            cluster: String::new(),
            namespace: "web".to_owned(),
            name: "shop".to_owned(),
            uid: String::new(),
        };
        let resolve = Change::Resolve {
            version: Version::parse("002").unwrap(),
            direction: Direction::Up,
            statements: (1, 1),
            checksum: Checksum::of(b"x"),
            verdict: Verdict::Retry,
        };
        let command = "`kubectl -n web annotate --overwrite databaseschema shop schemaward.dev/reconcile=\"$(date +%s)\"`.";
        for (change, when) in [
            (
                resolve,
                "A resource that stopped for it goes on when it is asked to: ",
            ),
            (
                Change::AcceptAudit { defect: None },
                "It looks after spec.interval at the latest, and at once when it is asked to: ",
            ),
        ] {
            assert_eq!(after_release(std::slice::from_ref(&change)), None);
            let said = passed(&owner(), &End::Decided(vec![change]));
            assert!(said.ends_with(&format!("{when}{command}")), "{said}");
        }
        let released = after_release(&[Change::Release { from: owner() }]).unwrap();
        assert!(
            released.contains("web/shop too if it is neither deleted nor suspended"),
            "{released}"
        );
        assert!(
            released.contains("`kubectl -n NAMESPACE annotate"),
            "{released}"
        );
    }
}
