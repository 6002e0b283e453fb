//! `takeover`: the history passes to another resource, or to whoever comes next.

use std::fmt;

use super::{Change, InvalidWish, Refusal};
use crate::engine::database::Inspection;
use crate::engine::task::{Actor, Task};

/// The owner that is to let go, as a person names it: `namespace/name`, or the resource's uid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentOwner(String);

impl PresentOwner {
    /// Reads a name.
    ///
    /// # Errors
    /// When the text is neither of both.
    pub fn parse(text: &str) -> Result<Self, InvalidWish> {
        let text = text.trim();
        let is_plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        };
        let fits = match text.split_once('/') {
            Some((namespace, name)) => is_plain(namespace) && is_plain(name),
            None => is_plain(text),
        };
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidWish(
                "it is neither namespace/name nor the uid of a DatabaseSchema".to_owned(),
            ))
        }
    }
}

impl fmt::Display for PresentOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What taking over changes; `None`: the history is the resource's already.
pub(super) fn takeover(
    task: &Task,
    seen: &Inspection,
    named: &PresentOwner,
) -> Result<Option<Change>, Refusal> {
    let not_the_owner = || Refusal::NotTheOwner {
        named: named.to_string(),
        present: seen.claim.clone(),
    };
    let present = seen.claim.as_ref().ok_or_else(not_the_owner)?;
    if let Actor::Resource(me) = &task.actor
        && me.is_same_resource(present)
    {
        return Ok(None);
    }
    if named.0 != present.uid && named.0 != format!("{}/{}", present.namespace, present.name) {
        return Err(not_the_owner());
    }
    let from = present.clone();
    Ok(Some(match &task.actor {
        Actor::Resource(me) => Change::Claim {
            from,
            to: me.clone(),
        },
        Actor::CommandLine => Change::Release { from },
    }))
}
