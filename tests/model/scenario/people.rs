//! What people have to do with a run: what they decide, approve and ask for.

use std::time::Duration;

use schemaward::api::v1alpha1::CheckMoment;
use schemaward::engine::check::Check;
use schemaward::engine::decision::{
    AcceptedText, Decision, PresentOwner, Resolution, Verdict, Wish,
};
use schemaward::engine::review::{Approval, Judgements, RequiredApproval, Review};
use schemaward::engine::task::{Mode, Task};
use schemaward::migration::plan::{Step, plan};
use schemaward::migration::plan_hash::{PlanContext, plan_hash};
use schemaward::migration::query::Query;
use schemaward::migration::statement_policy::StatementPolicy;
use schemaward::migration::version::Version;

use super::{Part, owner};
use crate::database::Committed;
use crate::memory::shown;
use crate::texts;

/// The right answer to the check.
pub const HOLDS: &str = "yes";

impl Part {
    /// Somebody who has these files and decides.
    pub fn decides(&self, wish: Wish) -> Task {
        Task {
            mode: Mode::Decide(Box::new(Decision { wish, by: None })),
            ..self.task()
        }
    }

    /// The same, and it needs an approval: what it would do to `database` is approved.
    pub fn approved_on(&self, database: &Committed) -> Task {
        let mut task = self.task();
        task.review = Some(review(RequiredApproval::Always));
        approve(&mut task, database);
        task
    }

    /// The same, in a window alone.
    pub fn in_a_window(&self) -> Task {
        let mut task = self.task();
        task.review = Some(review(RequiredApproval::Never));
        task
    }

    /// The same, with a check of the database before and after.
    pub fn checked(&self) -> Task {
        Task {
            checks: vec![Check {
                name: "sound".to_owned(),
                query: Query::parse("SELECT 'yes'").expect("a query"),
                equals: HOLDS.to_owned(),
                when: CheckMoment::Both,
                from_version: None,
                show_value: false,
                timeout: Duration::from_secs(1),
            }],
            ..self.task()
        }
    }
}

fn review(required: RequiredApproval) -> Review {
    Review {
        wal_position: None,
        context: PlanContext::new(["d"]),
        required,
        policy: StatementPolicy::new([]).expect("no name"),
        approval: None,
        judgements: Judgements::default(),
    }
}

/// Approves what `task` would do to a database now, if it asks for approvals.
pub fn approve(task: &mut Task, database: &Committed) {
    let Some(review) = &mut task.review else {
        return;
    };
    let history = shown::history(database);
    let plan = plan(&task.catalog, &history, &task.target, &task.policy);
    review.approval = plan.ok().map(|plan| Approval {
        plan: Some(plan_hash(&review.context, &plan, &history)),
        by: "a person".to_owned(),
        is_used: false,
    });
}

/// The scripts that `task` would run on a database now: versions, their texts, whether undone.
pub fn would_run(task: &Task, database: &Committed) -> Vec<(usize, usize, bool)> {
    let history = shown::history(database);
    let plan = plan(&task.catalog, &history, &task.target, &task.policy);
    let steps = plan.map_or_else(|_| Vec::new(), |plan| plan.steps);
    let of_file = |version: &Version| {
        let migration = task.catalog.get(version).expect("it is planned");
        texts::mark(&String::from_utf8_lossy(&migration.up.bytes)).variant
    };
    let script = |step: &Step| match step {
        Step::Apply { version, .. } => (texts::number(version), of_file(version), false),
        Step::Undo { version, .. } => {
            let number = texts::number(version);
            let row = database.fate(number).row.expect("it is planned");
            let stored = row.stored.map(|stored| usize::from(stored.variant));
            (number, stored.unwrap_or_else(|| of_file(version)), true)
        }
    };
    steps.iter().map(script).collect()
}

/// The file of this version is the truth.
pub fn accept(number: usize) -> Wish {
    Wish::Accept(vec![AcceptedText {
        version: texts::version(number, 0),
        checksum: None,
    }])
}

/// What is in doubt of this version is so.
pub fn resolve(number: usize, verdict: Verdict) -> Wish {
    Wish::Resolve(Resolution {
        version: texts::version(number, 0),
        checksum: None,
        verdict,
    })
}

/// The history is taken from an owner.
pub fn takeover(from: u8) -> Wish {
    let from = owner(from);
    let named = format!("{}/{}", from.namespace, from.name);
    Wish::Takeover(PresentOwner::parse(&named).expect("a name"))
}
