//! The catalog of a database at two moments, compared.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::lexer::{Kind, Tokens};

/// An object as it is read: kind, name, kind and name of what it hangs on, attributes.
#[derive(Debug, Clone, Deserialize)]
pub struct Row(
    String,
    String,
    Option<String>,
    Option<String>,
    BTreeMap<String, Value>,
);

/// What an object is, and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// `table`, `column`, `index` and so on.
    pub kind: String,
    /// Its name as SQL writes it.
    pub name: String,
}

/// The objects of a database at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<Identity, Object>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Object {
    /// What it hangs on: it comes and goes with that.
    parent: Option<Identity>,
    attributes: BTreeMap<String, String>,
}

/// An object that is not what it was. Displayed as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object.
    pub object: Identity,
    /// How it differs.
    pub change: Change,
}

/// How an object differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is not there any more.
    Gone,
    /// It was not there.
    LeftBehind,
    /// These attributes have other values.
    Differs(Vec<Attribute>),
}

/// An attribute that has another value. `None`: none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// What it is.
    pub name: String,
    /// What it was.
    pub before: Option<String>,
    /// What it is now.
    pub after: Option<String>,
}

impl Snapshot {
    /// A snapshot of these objects.
    #[must_use]
    pub fn new(rows: Vec<Row>) -> Self {
        let objects = rows
            .into_iter()
            .map(|Row(kind, name, parent_kind, parent, attributes)| {
                let object = Object {
                    parent: parent_kind
                        .zip(parent)
                        .map(|(kind, name)| Identity { kind, name }),
                    attributes: attributes
                        .into_iter()
                        .filter_map(|(attribute, value)| Some((attribute, text(value)?)))
                        .collect(),
                };
                (Identity { kind, name }, object)
            });
        Self(objects.collect())
    }

    /// What is not in `after` as it is here. What hangs on an object that came or went is not told by itself.
    #[must_use]
    pub fn differences(&self, after: &Self) -> Vec<Difference> {
        let gone = self.without(after, Change::Gone);
        let left = after.without(self, Change::LeftBehind);
        let changed = self.0.iter().filter_map(|(identity, before)| {
            let attributes = before.attributes_that_differ(after.0.get(identity)?);
            (!attributes.is_empty()).then(|| Difference {
                object: identity.clone(),
                change: Change::Differs(attributes),
            })
        });
        let mut all: Vec<_> = gone.chain(left).chain(changed).collect();
        all.sort_by(|one, other| one.object.cmp(&other.object));
        all
    }

    /// What is here and not there, apart from what hangs on such.
    fn without<'a>(
        &'a self,
        there: &'a Self,
        change: Change,
    ) -> impl Iterator<Item = Difference> + 'a {
        let is_alone =
            |identity: &Identity| self.0.contains_key(identity) && !there.0.contains_key(identity);
        self.0
            .iter()
            .filter(move |(identity, object)| {
                let hangs = object.parent.as_ref().is_some_and(is_alone);
                !there.0.contains_key(identity) && !hangs
            })
            .map(move |(identity, _)| Difference {
                object: identity.clone(),
                change: change.clone(),
            })
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

impl Object {
    fn attributes_that_differ(&self, after: &Self) -> Vec<Attribute> {
        let mut names: Vec<_> = self
            .attributes
            .keys()
            .chain(after.attributes.keys())
            .collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter(|name| self.attributes.get(*name) != after.attributes.get(*name))
            .map(|name| Attribute {
                name: name.clone(),
                before: self.attributes.get(name).cloned(),
                after: after.attributes.get(name).cloned(),
            })
            .collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { kind, name } = &self.object;
        write!(f, "{kind} {}: ", one_line(name))?;
        match &self.change {
            Change::Gone => f.write_str("was there, and is gone"),
            Change::LeftBehind => f.write_str("was not there, and is"),
            Change::Differs(attributes) => {
                let said: Vec<_> = attributes.iter().map(ToString::to_string).collect();
                f.write_str(&said.join("; "))
            }
        }
    }
}

/// Attributes whose values are texts that somebody wrote, or may hold secrets: their change is told alone.
const NOT_SHOWN: [&str; 4] = ["comment", "options", "foreign options", "value"];

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        let hidden = NOT_SHOWN.contains(&name.as_str());
        match (&self.before, &self.after) {
            (Some(_), None) if hidden => write!(f, "{name} was there, and is gone"),
            (None, Some(_)) if hidden => write!(f, "{name} was not there, and is"),
            _ if hidden => write!(f, "{name} differs"),
            (before, after) => {
                let shown = |value: &Option<String>| match value.as_deref() {
                    None | Some("") => "none".to_owned(),
                    Some(value) => without_literals(value),
                };
                let (before, after) = (shown(before), shown(after));
                if before == after {
                    return write!(f, "{name} differs in a literal or a body");
                }
                let (before, after) = excerpts(&before, &after);
                write!(f, "{name} {before} → {after}")
            }
        }
    }
}

/// SQL on one line, with an ellipsis for each string.
fn without_literals(sql: &str) -> String {
    let mut shown = String::new();
    let mut end = 0;
    for token in Tokens::new(sql) {
        shown.push_str(&sql[end..token.start]);
        match token.kind {
            Kind::String | Kind::Open(_) => shown.push_str("'…'"),
            _ => shown.push_str(token.text),
        }
        end = token.end();
    }
    shown.push_str(&sql[end..]);
    one_line(&shown)
}

fn one_line(text: &str) -> String {
    let words: Vec<_> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// Longest value that is shown whole, in characters.
const WHOLE: usize = 60;
/// Characters around a difference within longer ones.
const AROUND: usize = 20;

/// Both values, or of long ones the parts that differ with a little around them.
fn excerpts(before: &str, after: &str) -> (String, String) {
    let (one, other): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
    if one.len() <= WHOLE && other.len() <= WHOLE {
        return (before.to_owned(), after.to_owned());
    }
    let common =
        |pairs: &mut dyn Iterator<Item = (&char, &char)>| pairs.take_while(|(a, b)| a == b).count();
    let head = common(&mut one.iter().zip(&other));
    let rest = one.len().min(other.len()) - head;
    let tail = common(&mut one.iter().rev().zip(other.iter().rev())).min(rest);
    let cut = |text: &[char]| {
        let start = head.saturating_sub(AROUND);
        let end = (text.len() - tail + AROUND)
            .min(text.len())
            .min(start + 3 * WHOLE);
        let dots = |is_cut: bool| if is_cut { "…" } else { "" };
        let shown: String = text[start..end].iter().collect();
        format!("{}{shown}{}", dots(start > 0), dots(end < text.len()))
    };
    (cut(&one), cut(&other))
}

#[cfg(test)]
mod tests;
