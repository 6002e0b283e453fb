//! What another object has to say before scripts run. Pure; the object and the time are given.

use std::time::Duration;

use jiff::Timestamp;
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
/// For a path.
const PATH: &str = "is no JSONPath that starts with a dot, such as .status.phase";
/// Gates of one resource.
const MAX_GATES: usize = 20;
/// Characters of a found value that a message shows.
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
        .filter(|(group, version)| group.contains('.') && !version.is_empty())
        .ok_or_else(|| format!("spec.gates.apiVersion: {GROUP}"))?;
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

fn parse(field: &str, path: &str) -> Result<(String, JsonPath), String> {
    let parsed = path
        .starts_with('.')
        .then(|| JsonPath::parse(&format!("${path}")));
    match parsed {
        Some(Ok(parsed)) => Ok((path.to_owned(), parsed)),
        Some(Err(_)) | None => Err(format!("spec.gates.{field}: \"{path}\" {PATH}")),
    }
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
                let value: String = value.chars().take(SHOWN).collect();
                return Some(format!(
                    "{path} of {self} is {value:?} and has to be {equals:?}"
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
        let is_old = Duration::try_from(now.duration_since(time)).is_ok_and(|old| old > *age);
        is_old.then(|| format!("{self} is of {time}, older than {text}: take a new one"))
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
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
                "\"status.phase\" is no JSONPath",
            ),
            (
                json!({"jsonPath": ".status["}),
                "\".status[\" is no JSONPath",
            ),
            (json!({"maxAge": "1h"}), BOTH_OR_NONE),
            (json!({"timePath": ".status.at"}), BOTH_OR_NONE),
            (json!({"maxAge": "1s", "timePath": ".status.at"}), LEAST_AGE),
        ] {
            let defects = gates(&spec(&change)).unwrap_err();
            assert!(defects[0].contains(said), "{change}: {defects:?}");
        }
        assert!(gates(&[]).is_err());
    }
}
