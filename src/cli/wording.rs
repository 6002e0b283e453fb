//! The engine's sentences as they are true of a command that ends.

/// The operator comes back by itself; a command leaves that to whoever called it.
const RETRIES: [(&str, &str); 4] = [
    ("Tries again by itself.", "Try again."),
    ("tries again by itself.", "try again then."),
    (" and tries again later.", "; try again later."),
    ("Tries again when it is free.", "Try again when it is free."),
];

/// A message of the engine, for a terminal.
pub(super) fn of_a_command(message: &str) -> String {
    RETRIES
        .iter()
        .fold(message.to_owned(), |text, (operators, ours)| {
            text.replace(operators, ours)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_does_not_promise_to_come_back() {
        assert_eq!(
            of_a_command(
                "No connection to h:1: refused. Nothing was changed. Tries again by itself."
            ),
            "No connection to h:1: refused. Nothing was changed. Try again."
        );
        assert_eq!(
            of_a_command("Gave up after 11 attempts and tries again later."),
            "Gave up after 11 attempts; try again later."
        );
    }
}
