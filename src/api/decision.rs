//! The annotations by which a person decides something, and the condition that says of each that it was refused.

use super::condition::ConditionType;
use super::v1alpha1::{ACCEPT_ANNOTATION, RESOLVE_ANNOTATION, TAKEOVER_ANNOTATION};

/// An annotation that holds a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`TAKEOVER_ANNOTATION`].
    Takeover,
    /// [`ACCEPT_ANNOTATION`].
    Accept,
    /// [`RESOLVE_ANNOTATION`].
    Resolve,
}

impl Kind {
    /// In the order in which they are carried out: whose history it is comes first.
    pub const ALL: [Self; 3] = [Self::Takeover, Self::Accept, Self::Resolve];

    /// The name of the annotation.
    #[must_use]
    pub fn annotation(self) -> &'static str {
        match self {
            Self::Takeover => TAKEOVER_ANNOTATION,
            Self::Accept => ACCEPT_ANNOTATION,
            Self::Resolve => RESOLVE_ANNOTATION,
        }
    }

    /// The condition that says that its decision was refused.
    #[must_use]
    pub fn refused(self) -> ConditionType {
        match self {
            Self::Takeover => ConditionType::TakeoverRefused,
            Self::Accept => ConditionType::AcceptRefused,
            Self::Resolve => ConditionType::ResolveRefused,
        }
    }
}
