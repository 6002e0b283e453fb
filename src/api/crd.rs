//! The CRD as canonical YAML: the same bytes for the same code.

use kube::CustomResourceExt;
use serde_json::{Map, Number, Value};

use super::v1alpha1::DatabaseSchema;

/// The custom resource definition of `DatabaseSchema`, as it is shipped in `crds/` and in the chart.
#[must_use]
pub fn yaml() -> String {
    // A struct of texts, maps and lists always has a JSON form.
    let definition = serde_json::to_value(DatabaseSchema::crd()).unwrap_or_default();
    let mut text = String::new();
    write_block(&mut text, &canonical(definition), 0);
    text
}

/// What the API server would keep of the definition, with keys in order.
///
/// `nullable` goes: without it the API server drops a null and takes the default, which is what a
/// template that renders to nothing means. Formats that the API server does not know go, because it
/// warns about them on each apply. Lines of one paragraph are joined, because `kubectl explain` wraps
/// them itself.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map
                .into_iter()
                .filter(|(key, value)| !is_noise(key, value))
                .map(|(key, value)| match (key.as_str(), value) {
                    ("description", Value::String(text)) => (key, Value::String(joined(&text))),
                    (_, value) => (key, canonical(value)),
                })
                .collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(Map::from_iter(entries))
        }
        Value::Array(items) => {
            let items = items.into_iter().filter(|item| !item.is_null());
            Value::Array(items.map(canonical).collect())
        }
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        scalar => scalar,
    }
}

fn is_noise(key: &str, value: &Value) -> bool {
    match (key, value) {
        ("nullable", _) | (_, Value::Null) => true,
        ("format", Value::String(format)) => format.starts_with("uint"),
        _ => false,
    }
}

/// Bounds of integers come as `65535.0` and are kept as `65535`.
fn whole(number: &Number) -> Option<Number> {
    let text = number.to_string();
    text.strip_suffix(".0")?
        .parse::<i64>()
        .ok()
        .map(Number::from)
}

fn joined(text: &str) -> String {
    let paragraphs = text.split("\n\n");
    let lines =
        paragraphs.map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Writes a map or list, an entry a line, and ends with a line end.
fn write_block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                margin(out, indent);
                out.push_str(&scalar(key));
                out.push(':');
                write_after_key(out, value, indent);
            }
        }
        Value::Array(items) => {
            for item in items {
                margin(out, indent);
                out.push('-');
                write_item(out, item, indent);
            }
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn write_after_key(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            write_block(out, value, indent + 2);
        }
        // As kubectl and controller-gen write it: a list is not further in than its key.
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write_block(out, value, indent);
        }
        Value::String(text) if text.contains('\n') => {
            out.push_str(" |-\n");
            for line in text.lines() {
                margin(out, indent + 2);
                out.push_str(line);
                out.push('\n');
            }
        }
        value => write_inline(out, value),
    }
}

fn write_item(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut block = String::new();
            write_block(&mut block, value, indent + 2);
            // The first entry stands beside the dash.
            out.push(' ');
            out.push_str(block.trim_start());
        }
        value => write_inline(out, value),
    }
}

fn write_inline(out: &mut String, value: &Value) {
    out.push(' ');
    match value {
        Value::String(text) => out.push_str(&scalar(text)),
        value => out.push_str(&value.to_string()),
    }
    out.push('\n');
}

fn margin(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// `text` as it is where YAML reads that as the same text, else in double quotes.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 8] = ["true", "false", "null", "yes", "no", "on", "off", "~"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " -_./,;()=".contains(c))
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        // A JSON string is a double-quoted YAML scalar.
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(path: &str) -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    /// Holds a generated file equal to the code; `UPDATE_GENERATED=1 cargo test` writes it.
    fn check_generated(path: &str) {
        let path = repository(path);
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(&path, yaml()).expect("the generated file is written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == yaml(),
            "{} is not what the code says; run UPDATE_GENERATED=1 cargo test and commit it",
            path.display()
        );
    }

    #[test]
    fn the_file_in_crds_is_up_to_date() {
        check_generated("crds/schemaward.dev_databaseschemas.yaml");
    }

    #[test]
    fn the_chart_carries_the_same_definition() {
        check_generated("charts/schemaward/files/crd.yaml");
    }

    #[test]
    fn the_yaml_is_read_back_as_what_was_written() {
        let read: Value = serde_saphyr::from_str(&yaml()).expect("YAML");
        let written = canonical(serde_json::to_value(DatabaseSchema::crd()).expect("JSON"));
        assert_eq!(read, written);
    }

    #[test]
    fn nothing_in_it_differs_for_ever_from_what_the_server_keeps() {
        let text = yaml();
        for noise in [" null\n", "[]\n", "nullable", "uint", ".0\n"] {
            assert!(!text.contains(noise), "{noise:?} in the CRD");
        }
    }

    #[test]
    fn every_field_has_a_text_for_kubectl_explain() {
        fn look(schema: &Value, path: &str, missing: &mut Vec<String>) {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                let text = field["description"].as_str().unwrap_or_default();
                if !(text.ends_with('.') && text.len() > 8) {
                    missing.push(format!("{path}: \"{text}\""));
                }
                look(field, &path, missing);
                look(&field["items"], &format!("{path}[]"), missing);
            }
        }
        let definition = canonical(serde_json::to_value(DatabaseSchema::crd()).expect("JSON"));
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        let mut missing = Vec::new();
        look(&schema["spec"], "spec", &mut missing);
        look(&schema["status"], "status", &mut missing);
        assert!(missing.is_empty(), "without a full sentence: {missing:#?}");
    }
}
