//! What another object has to say before scripts run. Pure; the object and the time are given.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use serde_json_path::JsonPath;

use crate::api::v1alpha1::GateSpec;

/// What the CRD says of an age.
pub const LEAST_AGE: &str = "must be at least 1m";
/// And of the field that has the time.
pub const BOTH_OR_NONE: &str = "maxAge and timePath need each other";
/// For a group and version.
const GROUP: &str = "must be a group and a version, such as postgresql.cnpg.io/v1; a kind without a group, such as a \
                     Secret, cannot be a gate";
/// For a kind.
const KIND: &str = "must be of letters and digits and start with a letter, such as Backup";
/// For a name.
const NAME: &str = "must be the name of an object: lower-case letters, digits, - and ., with a letter or digit at \
                    both ends, of at most 253 characters";
/// For a path.
const PATH: &str = "is no path that a gate takes: a JSONPath that starts with a dot and leads to one value, of names, \
                    positions and at most one filter, such as .status.phase or \
                    .status.conditions[?(@.type==\"Ready\")].status, without functions, and without .., *, $, <, > \
                    and the comma, in quotes, too";
/// Characters of a kind, and of a name, an API version or a path.
const MAX_KIND: usize = 63;
const MAX_TEXT: usize = 253;
/// How far ahead of ours the clock of another server may be.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// Gates of one resource.
const MAX_GATES: usize = 20;
/// Characters of the longest value that a message shows.
const SHOWN: usize = 64;

/// One gate.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The object.
    pub name: String,
    path: (String, JsonPath),
    equals: String,
    fresh: Option<Fresh>,
}

/// How old an object may be.
#[derive(Debug, Clone)]
struct Fresh {
    path: (String, JsonPath),
    age: Duration,
    text: String,
}

/// The gates that these specs say.
///
/// # Errors
/// What is wrong with them, each as `field: why`.
pub fn gates(specs: &[GateSpec]) -> Result<Vec<Gate>, Vec<String>> {
    if !(1..=MAX_GATES).contains(&specs.len()) {
        return Err(vec!["spec.gates: must be 1 to 20 gates".to_owned()]);
    }
    let (gates, defects): (Vec<_>, Vec<_>) = specs.iter().map(gate).partition(Result::is_ok);
    let defects: Vec<String> = defects.into_iter().filter_map(Result::err).collect();
    if defects.is_empty() {
        Ok(gates.into_iter().flatten().collect())
    } else {
        Err(defects)
    }
}

fn gate(spec: &GateSpec) -> Result<Gate, String> {
    let of_group = spec.api_version.split_once('/');
    let (group, version) = of_group
        .filter(|_| spec.api_version.len() <= MAX_TEXT)
        .filter(|(group, version)| group.contains('.') && is_name(group) && is_word(version))
        .ok_or_else(|| format!("spec.gates.apiVersion: {GROUP}"))?;
    // They are parts of the path that is asked for: none of them may lead elsewhere.
    if !is_kind(&spec.kind) {
        return Err(format!("spec.gates.kind: {KIND}"));
    }
    if !is_name(&spec.name) {
        return Err(format!("spec.gates.name: {NAME}"));
    }
    let fresh = match (&spec.max_age, &spec.time_path) {
        (None, None) => None,
        (Some(age), Some(path)) => {
            let text = age.to_string();
            let age = age.get();
            let age = age.map_err(|error| format!("spec.gates.maxAge: {error}"))?;
            if age < Duration::from_mins(1) {
                return Err(format!("spec.gates.maxAge: {LEAST_AGE}"));
            }
            let path = parse("timePath", path)?;
            Some(Fresh { path, age, text })
        }
        _ => return Err(format!("spec.gates: {BOTH_OR_NONE}")),
    };
    Ok(Gate {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: spec.kind.clone(),
        name: spec.name.clone(),
        path: parse("jsonPath", &spec.json_path)?,
        equals: spec.equals.clone(),
        fresh,
    })
}

/// A subdomain as RFC 1123 has it, which names of objects and API groups are.
fn is_name(text: &str) -> bool {
    let is_end = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= MAX_TEXT
        && bytes.first().is_some_and(is_end)
        && bytes.last().is_some_and(is_end)
        && bytes
            .iter()
            .all(|byte| is_end(byte) || b"-.".contains(byte))
}

/// A version of an API.
fn is_word(text: &str) -> bool {
    is_name(text) && !text.contains(['-', '.'])
}

fn is_kind(text: &str) -> bool {
    text.len() <= MAX_KIND
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn parse(field: &str, path: &str) -> Result<(String, JsonPath), String> {
    let parsed = is_cheap(path).then(|| JsonPath::parse(&format!("${path}")));
    match parsed {
        Some(Ok(parsed)) => Ok((path.to_owned(), parsed)),
        Some(Err(_)) | None => Err(format!("spec.gates.{field}: \"{path}\" {PATH}")),
    }
}

/// Whether a path can be parsed, and asked of any object, in about the time that it takes to read them. The parser
/// takes twice as long for each filter in a filter, and a query for each selector that finds the same again. The
/// characters count in quotes, too: what is a quote is then for the parser alone to say.
///
/// Nor does a path ask whether a value is less than another: whoever may not read the object would find it by halves.
fn is_cheap(path: &str) -> bool {
    // One pair, around the filter as a whole: the call of a function has its own, and so has nesting.
    let is_around_filter = |(at, _)| path[..at].trim_end().ends_with('?');
    path.starts_with('.')
        && path.len() <= MAX_TEXT
        && !path.contains("..")
        && !path.contains(['*', '$', ',', '<', '>'])
        && path.matches('?').count() <= 1
        && path.match_indices('(').all(is_around_filter)
}

impl Gate {
    /// What is not as it has to be in `object` at `now`, as a clause; `None`: it is met.
    #[must_use]
    pub fn unmet(&self, object: &Value, now: Timestamp) -> Option<String> {
        let (path, _) = &self.path;
        let equals = &self.equals;
        match found(&self.path, object) {
            None => return Some(format!("{self} has no {path}, which has to be {equals:?}")),
            Some(value) if value != *equals => {
                let value = if is_status_word(path, &value) {
                    format!("{value:?}")
                } else {
                    "another value".to_owned()
                };
                return Some(format!(
                    "{path} of {self} is {value} and has to be {equals:?}"
                ));
            }
            Some(_) => {}
        }
        let Fresh { path, age, text } = self.fresh.as_ref()?;
        let (name, _) = path;
        let time = found(path, object).and_then(|text| text.parse::<Timestamp>().ok());
        let Some(time) = time else {
            return Some(format!("{name} of {self} is no time"));
        };
        if time.duration_since(now) > CLOCK_SKEW {
            return Some(format!("{self} is of {time}, which is still to come"));
        }
        let is_old = Duration::try_from(now.duration_since(time)).is_ok_and(|old| old > *age);
        is_old.then(|| format!("{self} is of {time}, older than {text}: take a new one"))
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Whether a value may be told to whoever reads the status of a resource, who may have no right to read the object:
/// it is a part of the object's own status, and of words alone, as phases are. No token is, and few passwords are.
fn is_status_word(path: &str, value: &str) -> bool {
    let is_of_status = [".status.", ".status["]
        .iter()
        .any(|of| path.starts_with(of));
    let is_of_word = |letter: char| letter.is_ascii_alphabetic() || " -_".contains(letter);
    is_of_status && value.len() <= SHOWN && value.chars().all(is_of_word)
}

/// The one value at a path, as text; of none or several there is nothing to say.
fn found((_, path): &(String, JsonPath), object: &Value) -> Option<String> {
    match path.query(object).exactly_one().ok()? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        value => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(change: &Value) -> Vec<GateSpec> {
        let mut spec = json!({
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Backup",
            "name": "before",
            "jsonPath": ".status.phase",
            "equals": "completed",
        });
        for (key, value) in change.as_object().unwrap() {
            spec[key] = value.clone();
        }
        vec![serde_json::from_value(spec).unwrap()]
    }

    #[test]
    fn a_gate_is_met_by_the_value_and_by_nothing_else() {
        let now: Timestamp = "2026-03-07T12:00:00Z".parse().unwrap();
        let age = json!({"maxAge": "24h", "timePath": ".status.stoppedAt"});
        let ready = json!({"jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "equals": "True"});
        let snapshot = json!({"jsonPath": ".status.readyToUse", "equals": "true"});
        for (change, status, unmet) in [
            (json!({}), json!({"phase": "completed"}), None),
            (
                json!({}),
                json!({"phase": "running"}),
                Some(".status.phase of Backup before is \"running\" and has to be \"completed\""),
            ),
            (
                json!({}),
                json!({}),
                Some("Backup before has no .status.phase, which has to be \"completed\""),
            ),
            (
                json!({}),
                json!({"phase": null}),
                Some("Backup before has no .status.phase, which has to be \"completed\""),
            ),
            (snapshot, json!({"readyToUse": true}), None),
            (
                ready.clone(),
                json!({"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]}),
                None,
            ),
            (
                ready,
                json!({"conditions": [{"type": "Ready", "status": "True"}, {"type": "Ready", "status": "True"}]}),
                Some(
                    "Backup before has no .status.conditions[?(@.type==\"Ready\")].status, which has to be \"True\"",
                ),
            ),
            (
                age.clone(),
                json!({"phase": "completed", "stoppedAt": "2026-03-06T12:00:00Z"}),
                None,
            ),
            (
                age.clone(),
                json!({"phase": "completed", "stoppedAt": "2026-03-06T11:59:59Z"}),
                Some("Backup before is of 2026-03-06T11:59:59Z, older than 24h: take a new one"),
            ),
            (
                age.clone(),
                json!({"phase": "completed", "stoppedAt": "2026-03-07T12:05:00Z"}),
                None,
            ),
            (
                age.clone(),
                json!({"phase": "completed", "stoppedAt": "2099-01-01T00:00:00Z"}),
                Some("Backup before is of 2099-01-01T00:00:00Z, which is still to come"),
            ),
            (
                age,
                json!({"phase": "completed"}),
                Some(".status.stoppedAt of Backup before is no time"),
            ),
        ] {
            let gate = &gates(&spec(&change)).unwrap()[0];
            let found = gate.unmet(&json!({"status": status}), now);
            assert_eq!(found.as_deref(), unmet, "{change} {status}");
        }
    }

    #[test]
    fn what_is_no_gate_is_said_before_anything_is_touched() {
        for (change, said) in [
            (
                json!({"apiVersion": "v1", "kind": "Secret"}),
                "a kind without a group",
            ),
            (json!({"apiVersion": "apps/v1"}), "a kind without a group"),
            (
                json!({"jsonPath": "status.phase"}),
                "\"status.phase\" is no path",
            ),
            (json!({"jsonPath": ".status["}), "\".status[\" is no path"),
            (json!({"maxAge": "1h"}), BOTH_OR_NONE),
            (json!({"timePath": ".status.at"}), BOTH_OR_NONE),
            (json!({"maxAge": "1s", "timePath": ".status.at"}), LEAST_AGE),
        ] {
            let defects = gates(&spec(&change)).unwrap_err();
            assert!(defects[0].contains(said), "{change}: {defects:?}");
        }
        assert!(gates(&[]).is_err());
    }

    /// Whoever writes a resource may not be the one who may read the object.
    #[test]
    fn only_a_word_of_the_objects_own_status_is_told() {
        let now: Timestamp = "2026-03-07T12:00:00Z".parse().unwrap();
        let long = "a".repeat(65);
        for (path, object, told) in [
            (
                ".status.phase",
                json!({"status": {"phase": "Cluster in healthy state"}}),
                true,
            ),
            (
                ".status['phase']",
                json!({"status": {"phase": "walArchivingFailing"}}),
                true,
            ),
            (".status.ready", json!({"status": {"ready": false}}), true),
            (
                ".status.token",
                json!({"status": {"token": "hunter2"}}),
                false,
            ),
            (".status.token", json!({"status": {"token": long}}), false),
            (".status", json!({"status": {"phase": "running"}}), false),
            (
                ".statuses.phase",
                json!({"statuses": {"phase": "running"}}),
                false,
            ),
            (
                ".spec.password",
                json!({"spec": {"password": "sesame"}}),
                false,
            ),
        ] {
            let spec = spec(&json!({"jsonPath": path, "equals": "completed"}));
            let unmet = gates(&spec).unwrap()[0].unmet(&object, now).unwrap();
            let hidden =
                format!("{path} of Backup before is another value and has to be \"completed\"");
            assert_eq!(unmet != hidden, told, "{unmet}");
        }
    }

    /// What is a part of the path that the API server is asked for leads nowhere else.
    #[test]
    fn a_gate_names_one_object_and_no_other_path() {
        for (field, texts) in [
            (
                "name",
                &[
                    "",
                    "../x",
                    "..",
                    "before/status",
                    "before?watch=true",
                    "Before",
                    "-b",
                    "b.",
                    "a%2fb",
                    "a b",
                ][..],
            ),
            ("kind", &["", "Backup/x", "..", "1Backup", "Back-up"]),
            (
                "apiVersion",
                &[
                    "../v1", "a.b/..", "a.b/v1/x", "a.b/", "a.b?c/v1", "a.b/v1?x", "A.b/v1",
                ],
            ),
        ] {
            for text in texts {
                let defects = gates(&spec(&json!({field: text}))).unwrap_err();
                let said = format!("spec.gates.{field}: must be ");
                assert!(defects[0].starts_with(&said), "{text}: {defects:?}");
            }
            let long = format!("a.b/{}", "a".repeat(253));
            assert!(gates(&spec(&json!({field: long}))).is_err());
        }
        for name in ["b", "fluxion-before-002", "v1.2-x"] {
            assert!(gates(&spec(&json!({"name": name}))).is_ok(), "{name}");
        }
    }

    /// Each of the refused would keep the process busy for hours, or take all of its stack, when it is parsed or asked.
    #[test]
    fn a_path_costs_no_more_than_its_length() {
        let nested = format!(".a{}@.b{}", "[?@".repeat(60), "]".repeat(60));
        let anywhere = format!(".a{}..*{}", "..[?$".repeat(8), "]".repeat(8));
        let parentheses = format!(".a[?{}@.b{}]", "(".repeat(120), ")".repeat(120));
        for path in [
            nested.as_str(),
            &anywhere,
            &parentheses,
            &format!(".a[?@.b[?{}", "(".repeat(200)),
            &format!(".a{}", "[0,0]".repeat(50)),
            ".a[?@.b][?@.c]",
            ".a[?@.b[?@.c]]",
            "..a",
            ".a..b",
            ".a..['b']",
            ".a.*",
            ".a[*]",
            ".a[0,0]",
            ".a['b','b']",
            ".a[?@.b==$.c]",
            ".a[?length(@.b)==1]",
            ".a[?(length(@.b)==1)]",
            ".a[?match(@.b, 'c')]",
            ".a[?((@.b))]",
            ".a[?!(@.b)]",
            ".a['*']",
        ] {
            assert_is_refused(path);
        }
        for path in [
            ".status.status",
            ".status.snapshotCreateTime",
            ".status.phase",
            ".status.stoppedAt",
            ".status.readyToUse",
            ".status.creationTime",
            ".status.conditions[?(@.type==\"Ready\")].status",
            ".status.conditions[?@.type=='Ready' && @.status!='x'].status",
            ".status.conditions[? (@.type=='Ready')].status",
            ".metadata.annotations['a.b/c-d']",
            ".status.items[0].name",
            ".status.items[-1]",
        ] {
            let parsed = gates(&spec(&json!({"jsonPath": path})));
            assert!(parsed.is_ok(), "{path}: {parsed:?}");
        }
    }

    /// An order would make a search of halves of it: some twenty resources would say a password.
    #[test]
    fn no_filter_asks_whether_a_value_is_less_than_another() {
        for path in [
            ".spec.auth[?(@<\"m\")]",
            ".spec.auth[?(@>\"m\")]",
            ".spec.auth[?(@<=\"m\" && @>=\"l\")]",
            ".spec.auth[?@.password > 'l']",
        ] {
            assert_is_refused(path);
        }
    }

    fn assert_is_refused(path: &str) {
        for change in [
            json!({"jsonPath": path}),
            json!({"timePath": path, "maxAge": "1h"}),
        ] {
            let defects = gates(&spec(&change)).unwrap_err();
            assert!(
                defects[0].contains("is no path that a gate takes"),
                "{defects:?}"
            );
        }
    }
}
