//! Scripts as the rules judge them, whatever a policy makes of it. That may take a second for a megabyte, so it is
//! done away from the threads that keep others waiting, and kept: the same text is never judged twice.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::migration::checksum::Checksum;
use crate::migration::lint::{Finding, Impact, Loss, Role, TableLock, judge, losses};
use crate::migration::script::Script;
use crate::migration::statement::StatementClass;
use crate::migration::statement_words::words;

/// Statements and findings that are kept over all scripts.
const MOST: usize = 50_000;

/// Names a script, and what it is judged as. The rules are those of this program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptKey {
    /// Of its text.
    pub checksum: Checksum,
    /// What it is for.
    pub role: Role,
    /// The ledger's table, by which its own record is known.
    pub table: String,
}

/// A script to judge.
#[derive(Debug, Clone)]
pub struct ScriptText {
    /// What names it.
    pub key: ScriptKey,
    /// Its text.
    pub bytes: Arc<[u8]>,
}

/// What is found in a script.
#[derive(Debug, Default)]
pub struct JudgedScript {
    pub(super) statements: Vec<JudgedStatement>,
    /// What is about the script as a whole.
    pub(super) findings: Vec<Found>,
    pub(super) losses: Vec<Loss>,
}

/// What is found in a statement that somebody has to know of.
#[derive(Debug)]
pub(super) struct JudgedStatement {
    pub(super) line: usize,
    pub(super) words: String,
    pub(super) class: StatementClass,
    pub(super) impact: Impact,
    pub(super) lock: TableLock,
    pub(super) findings: Vec<Found>,
}

/// One finding.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) finding: Finding,
    pub(super) is_waived: bool,
}

impl ScriptText {
    /// Judges it. A text that cannot be parsed has no statements to show: its run ends before it.
    fn judge(&self) -> JudgedScript {
        let Ok(script) = Script::parse(&self.bytes, &self.key.table) else {
            return JudgedScript::default();
        };
        let assessment = judge(&script, self.key.role);
        let standing = assessment.findings.into_iter().map(|finding| Found {
            finding,
            is_waived: false,
        });
        let waived = assessment.waived.into_iter().map(|waived| Found {
            finding: waived.finding,
            is_waived: true,
        });
        let mut findings: HashMap<Option<usize>, Vec<Found>> = HashMap::new();
        for found in standing.chain(waived) {
            let of = findings.entry(found.finding.statement).or_default();
            of.push(found);
        }
        let text = script.text();
        let judged = script.statements().iter().zip(&assessment.statements);
        let run = judged.filter(|(statement, _)| {
            statement.class != StatementClass::TransactionControl && !statement.is_plain_record
        });
        let statements = run.map(|(statement, judged)| JudgedStatement {
            line: statement.position.line,
            words: words(&text[statement.range.clone()]),
            class: statement.class,
            impact: judged.impact,
            lock: judged.lock,
            findings: findings.remove(&Some(statement.number)).unwrap_or_default(),
        });
        let statements = statements.collect();
        JudgedScript {
            statements,
            findings: findings.remove(&None).unwrap_or_default(),
            losses: match self.key.role {
                Role::Up { .. } => Vec::new(),
                Role::Down => losses(&script),
            },
        }
    }
}

impl JudgedScript {
    /// How much there is to keep.
    fn weight(&self) -> usize {
        let findings = self
            .statements
            .iter()
            .map(|statement| statement.findings.len());
        1 + self.statements.len()
            + self.findings.len()
            + self.losses.len()
            + findings.sum::<usize>()
    }
}

/// Scripts that were judged, kept across runs; of too many the oldest go. Clones share what is kept.
#[derive(Clone, Default)]
pub struct Judgements(Arc<Mutex<Kept>>);

impl fmt::Debug for Judgements {
    /// What is kept is no part of a run's state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judgements")
    }
}

#[derive(Default)]
struct Kept {
    scripts: HashMap<ScriptKey, Arc<JudgedScript>>,
    oldest_first: VecDeque<ScriptKey>,
    weight: usize,
}

impl Judgements {
    /// What is found in a script. Takes its time, unless it is kept.
    #[must_use]
    pub fn of(&self, script: &ScriptText) -> Arc<JudgedScript> {
        let kept = self.lock(|kept| kept.scripts.get(&script.key).cloned());
        if let Some(judged) = kept {
            return judged;
        }
        // Nobody waits for the lock meanwhile; that two judge the same text at once does no harm.
        let judged = Arc::new(script.judge());
        self.lock(|kept| kept.add(script.key.clone(), Arc::clone(&judged)));
        judged
    }

    fn lock<T>(&self, use_it: impl FnOnce(&mut Kept) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn add(&mut self, key: ScriptKey, judged: Arc<JudgedScript>) {
        let weight = judged.weight();
        if weight > MOST || self.scripts.contains_key(&key) {
            return;
        }
        while self.weight + weight > MOST {
            let Some(oldest) = self.oldest_first.pop_front() else {
                break;
            };
            let gone = self.scripts.remove(&oldest);
            self.weight -= gone.map_or(0, |gone| gone.weight());
        }
        self.weight += weight;
        self.oldest_first.push_back(key.clone());
        self.scripts.insert(key, judged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> ScriptText {
        ScriptText {
            key: ScriptKey {
                checksum: Checksum::of(text.as_bytes()),
                role: Role::Down,
                table: "schema_migrations".to_owned(),
            },
            bytes: Arc::from(text.as_bytes()),
        }
    }

    #[test]
    fn the_same_text_is_judged_once() {
        let judgements = Judgements::default();
        let (a, b) = (script("DROP TABLE a"), script("DROP TABLE b"));
        let first = judgements.of(&a);
        assert_eq!((first.statements.len(), first.losses.len()), (1, 1));
        assert!(Arc::ptr_eq(&first, &judgements.clone().of(&a)));
        assert!(!Arc::ptr_eq(&first, &judgements.of(&b)));
        // As something else it is another.
        let mut up = a.clone();
        up.key.role = Role::Up { lacks_down: false };
        assert_eq!(judgements.of(&up).losses, []);
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let judgements = Judgements::default();
        let many = |n: usize| format!("SELECT {n};{}", "SELECT 1;".repeat(MOST / 4));
        let first = judgements.of(&script(&many(0)));
        assert!(Arc::ptr_eq(&first, &judgements.of(&script(&many(0)))));
        for n in 1..5 {
            let _ = judgements.of(&script(&many(n)));
        }
        assert!(!Arc::ptr_eq(&first, &judgements.of(&script(&many(0)))));
        judgements.lock(|kept| {
            assert!(kept.weight <= MOST, "{}", kept.weight);
            assert_eq!(kept.scripts.len(), kept.oldest_first.len());
        });
        let huge = script(&"SELECT 1;".repeat(MOST + 1));
        assert!(!Arc::ptr_eq(&judgements.of(&huge), &judgements.of(&huge)));
    }
}
