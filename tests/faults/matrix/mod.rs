//! The fault matrix as data: every case of sections A to J, with what is done and which reason the product gives
//! for it, or a word on why it is not run here. One driver runs them ([`driver`]).
//!
//! A case's id is the one of the project's fault matrix; gaps in the numbers are the matrix's own.

mod a;
mod attempt;
mod b;
mod c;
mod content;
mod d;
mod driver;
mod e;
mod f;
mod g;
mod h;
mod i;
mod j;
pub mod scene;

use std::collections::VecDeque;

use schemaward::api::condition::Reason;
use schemaward::controller::verdict::Verdict;
use serde_json::Value;

use crate::operator_rig::Schema;

use attempt::Attempt;
use content::Content;
pub use driver::alone_is_asked_for;

/// One case.
pub struct Case {
    pub id: &'static str,
    /// What is done.
    pub what: &'static str,
    pub proof: Proof,
}

/// How a case is shown, or why it is not.
pub enum Proof {
    /// By doing it here.
    Run {
        pace: Pace,
        /// The reasons that the product gives, in the order in which they are met.
        expected: &'static [Reason],
        steps: Steps,
    },
    /// By tests that stand elsewhere, as `path::name`.
    CoveredBy(&'static [&'static str]),
    /// Not.
    Excluded(Why, &'static str),
}

/// When a case is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// With every `make test`.
    Quick,
    /// With `make faults`.
    Slow,
}

/// What a case does.
pub enum Steps {
    /// Something of its own.
    Own(fn(&mut Expected)),
    /// It runs each of these files in a database of its own; each meets the one expected reason.
    Content(&'static [Content]),
}

/// Why a case is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No machine that runs these tests can do it.
    CannotBeRunHere,
    /// It is about a field or a part that no issue asks for.
    NotInTheProduct,
    /// A decision of the project settled it otherwise; the documents say so.
    Decided,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Self::CannotBeRunHere => "can't be run here",
            Self::NotInTheProduct => "not in the product",
            Self::Decided => "settled otherwise",
        }
    }
}

/// The sections, and how many cases each has in the project's fault matrix.
const SECTIONS: [(&str, &[Case], usize); 10] = [
    ("A", a::CASES, 14),
    ("B", b::CASES, 20),
    ("C", c::CASES, 12),
    ("D", d::CASES, 19),
    ("E", e::CASES, 22),
    ("F", f::CASES, 15),
    ("G", g::CASES, 22),
    ("H", h::CASES, 39),
    ("I", i::CASES, 9),
    ("J", j::CASES, 24),
];

const fn run(
    id: &'static str,
    what: &'static str,
    expected: &'static [Reason],
    steps: fn(&mut Expected),
) -> Case {
    case(id, what, Pace::Quick, expected, Steps::Own(steps))
}

/// Takes long, or has servers of its own.
const fn slow(
    id: &'static str,
    what: &'static str,
    expected: &'static [Reason],
    steps: fn(&mut Expected),
) -> Case {
    case(id, what, Pace::Slow, expected, Steps::Own(steps))
}

const fn content(
    id: &'static str,
    what: &'static str,
    expected: &'static [Reason],
    files: &'static [Content],
) -> Case {
    case(id, what, Pace::Quick, expected, Steps::Content(files))
}

const fn case(
    id: &'static str,
    what: &'static str,
    pace: Pace,
    expected: &'static [Reason],
    steps: Steps,
) -> Case {
    let proof = Proof::Run {
        pace,
        expected,
        steps,
    };
    Case { id, what, proof }
}

const fn covered(id: &'static str, what: &'static str, tests: &'static [&'static str]) -> Case {
    Case {
        id,
        what,
        proof: Proof::CoveredBy(tests),
    }
}

const fn excluded(id: &'static str, what: &'static str, why: Why, because: &'static str) -> Case {
    Case {
        id,
        what,
        proof: Proof::Excluded(why, because),
    }
}

/// The reasons that a case still has to meet, in their order.
pub struct Expected {
    reasons: VecDeque<Reason>,
}

impl Expected {
    fn of(reasons: &[Reason]) -> Self {
        Self {
            reasons: reasons.iter().copied().collect(),
        }
    }

    #[track_caller]
    fn next(&mut self) -> Reason {
        let next = self.reasons.pop_front();
        next.expect("the case meets more than it expects")
    }

    /// Makes an attempt, which has to end with the next reason.
    #[track_caller]
    pub fn of_attempt(&mut self, attempt: &Attempt) -> Verdict {
        self.of_verdict(attempt.go())
    }

    /// An attempt that was made has the next reason.
    #[track_caller]
    pub fn of_verdict(&mut self, verdict: Verdict) -> Verdict {
        assert_eq!(verdict.reason, self.next(), "{}", verdict.message);
        verdict
    }

    /// Waits until a resource is Ready, or is not, with the next reason; gives its status.
    #[track_caller]
    pub fn of_resource(&mut self, schema: &Schema<'_>) -> Value {
        schema.reaches(self.next().as_str())
    }

    #[track_caller]
    fn all_met(&self) {
        assert!(self.reasons.is_empty(), "never came to {:?}", self.reasons);
    }
}
