//! Findings as SARIF 2.1.0, the form that code reviews take.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::migration::lint::{Level, RULES};

use super::findings::{DEFECTS, Findings, Found};

/// The log with all findings; waived ones are suppressed in the source.
pub(super) fn log(findings: &Findings) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "Schemaward",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules(findings),
            }},
            // Columns count characters.
            "columnKind": "unicodeCodePoints",
            "results": findings.found.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// The rules that found something.
fn rules(findings: &Findings) -> Vec<Value> {
    let is_used = |name: &str| findings.found.iter().any(|found| found.rule == name);
    let defects = DEFECTS.iter().filter(|(name, _)| is_used(name)).map(|(name, about)| {
        json!({"id": name, "shortDescription": {"text": about}, "defaultConfiguration": {"level": "error"}})
    });
    let rules = RULES.iter().filter(|rule| is_used(rule.name)).map(|rule| {
        let mut known = json!({
            "id": rule.name,
            "shortDescription": {"text": rule.about},
            "defaultConfiguration": {"level": level(rule.up)},
        });
        if let Some(page) = rule.page() {
            known["helpUri"] = page.into();
        }
        known
    });
    defects.chain(rules).collect()
}

fn result(found: &Found) -> Value {
    let text = match &found.help {
        Some(help) => format!("{} {help}", found.message),
        None => found.message.clone(),
    };
    let mut location = json!({"artifactLocation": {"uri": uri(&found.path)}});
    if let Some(at) = found.position {
        location["region"] = json!({"startLine": at.line, "startColumn": at.column});
    }
    let mut result = json!({
        "ruleId": found.rule,
        "level": level(found.level),
        "message": {"text": text},
        "locations": [{"physicalLocation": location}],
    });
    if let Some(reason) = &found.waived {
        result["suppressions"] =
            json!([{"kind": "inSource", "status": "accepted", "justification": reason}]);
    }
    result
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Off => "none",
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// A path as a relative reference, or as a `file:` URI when it is absolute.
fn uri(path: &Path) -> String {
    let text = path.display().to_string();
    let mut uri = String::from(if path.is_absolute() { "file://" } else { "" });
    for byte in text.strip_prefix("./").unwrap_or(&text).bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_uris() {
        for (path, expected) in [
            ("migrations/001_a_UP.sql", "migrations/001_a_UP.sql"),
            ("./my files/1_ñ_UP.sql", "my%20files/1_%C3%B1_UP.sql"),
            ("/tmp/a:b", "file:///tmp/a%3Ab"),
        ] {
            assert_eq!(uri(Path::new(path)), expected);
        }
    }
}
