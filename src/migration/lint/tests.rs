use super::impact::of_words;
use super::words::words;
use super::*;

mod effects;
mod findings;
mod syntax;
mod waivers;

const LEDGER: &str = "schema_migrations";

fn script(text: &str) -> Script {
    Script::parse(text.as_bytes(), LEDGER).unwrap()
}

fn up(text: &str) -> Assessment {
    judge(&script(text), Role::Up { lacks_down: false })
}

fn down(text: &str) -> Assessment {
    judge(&script(text), Role::Down)
}

/// `rule line:column`, of those that are reported by default.
fn names(assessment: &Assessment) -> Vec<String> {
    let reported = assessment.at_least(Level::Note);
    reported
        .map(|finding| match finding.position {
            Some(at) => format!("{} {}:{}", finding.rule.name, at.line, at.column),
            None => finding.rule.name.to_owned(),
        })
        .collect()
}

fn of(assessment: &Assessment, level: Level) -> Vec<&'static str> {
    let reported = assessment.at_least(level);
    reported.map(|finding| finding.rule.name).collect()
}

/// The impact and lock of one statement.
fn effect(sql: &str) -> String {
    let (words, _) = words(sql);
    let effect = of_words(&words, &mut Created::default());
    format!("{}, {}", effect.impact, effect.lock)
}

/// The last statement's, behind others.
fn last(text: &str) -> String {
    let assessment = up(text);
    let judged = assessment.statements.last().unwrap();
    format!("{}, {}", judged.impact, judged.lock)
}
