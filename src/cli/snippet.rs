//! The source line of an error, with a caret under the place.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use crate::migration::lint;
use crate::migration::statement::Position;

/// One place in one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// What the file is called for the reader.
    pub(super) path: &'a str,
    /// Where in it.
    pub(super) position: Position,
    /// The whole line, without its end.
    pub(super) line: &'a str,
}

/// What a rule found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) level: lint::Level,
    pub(super) rule: &'a str,
    pub(super) message: &'a str,
    pub(super) help: Option<&'a str>,
}

/// What is wrong, with the line and a caret, ready to print.
pub(super) fn render(what: &str, place: Place<'_>, in_colour: bool) -> String {
    print(
        &[Level::ERROR.primary_title(what).element(snippet(place))],
        in_colour,
    )
}

/// What a rule found, with the line and a caret, the rule's name and its advice.
pub(super) fn render_finding(said: Said<'_>, place: Place<'_>, in_colour: bool) -> String {
    let level = match said.level {
        lint::Level::Error => Level::ERROR,
        lint::Level::Warning => Level::WARNING,
        lint::Level::Note | lint::Level::Off => Level::NOTE,
    };
    let group = level
        .primary_title(said.message)
        .id(said.rule)
        .element(snippet(place));
    let help = said.help.map(|help| Level::HELP.message(help));
    print(&[group.elements(help)], in_colour) + "\n"
}

fn snippet(place: Place<'_>) -> Snippet<'_, Annotation<'_>> {
    Snippet::source(place.line)
        .path(place.path)
        .line_start(place.position.line)
        .annotation(AnnotationKind::Primary.span(word_at(place.line, place.position.column)))
}

fn print(report: &[Group<'_>], in_colour: bool) -> String {
    let renderer = if in_colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = renderer.decor_style(DecorStyle::Ascii).render(report);
    text.push('\n');
    text
}

/// Bytes of the word that begins at a column (in characters, from 1), or of the one character there.
fn word_at(line: &str, column: usize) -> std::ops::Range<usize> {
    let start = line
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(line.len(), |(byte, _)| byte);
    let rest = &line[start..];
    let word = rest
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(rest.len());
    let length = if word == 0 {
        rest.chars().next().map_or(0, char::len_utf8)
    } else {
        word
    };
    start..start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_under_the_place() {
        let place = Place {
            path: "migrations/042_add_limits_UP.sql",
            position: Position {
                line: 7,
                column: 13,
            },
            line: "INSERT INTO nowhere VALUES (1);",
        };
        assert_eq!(
            render("relation \"nowhere\" does not exist (42P01)", place, false),
            "error: relation \"nowhere\" does not exist (42P01)\n \
             --> migrations/042_add_limits_UP.sql:7:13\n  \
             |\n\
             7 | INSERT INTO nowhere VALUES (1);\n  \
             |             ^^^^^^^\n"
        );
    }

    #[test]
    fn the_caret_covers_a_word_or_a_character() {
        let cases = [
            ("SELECT x", 1, 0..6),
            ("SELECT x", 8, 7..8),
            ("é (", 3, 3..4),
            ("é ñu)", 3, 3..6),
            ("", 1, 0..0),
            ("x", 9, 1..1),
        ];
        for (line, column, expected) in cases {
            assert_eq!(word_at(line, column), expected, "{line:?} {column}");
        }
    }
}
