//! What a command adds to the engine's sentences.

use super::exit::Exit;

/// The engine says what happened; that another try may help is the caller's to hear.
pub(super) fn with_advice(message: &str, exit: Exit) -> String {
    match exit {
        Exit::Retry => format!("{message} Try again."),
        Exit::Done | Exit::NotDone | Exit::Usage => message.to_owned(),
    }
}
