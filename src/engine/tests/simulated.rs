//! What the simulated database answers.

use super::*;

impl Simulated {
    pub(super) fn answer(&mut self, request: &Request) -> Result<Observation, DatabaseError> {
        let number = self.asked.len();
        self.asked.push(label(request));
        if self.fail_at == Some(number) {
            return Err(DatabaseError::new(
                DatabaseErrorKind::ConnectionLost,
                "gone",
            ));
        }
        Ok(match request {
            Request::Inspect => self.inspected(),
            Request::TryLock if self.lock_refusals > 0 => {
                self.lock_refusals -= 1;
                Observation::LockHeld(Some(Holder {
                    pid: 7,
                    application_name: "other".to_owned(),
                    user: "u".to_owned(),
                    connected_seconds: Some(5),
                    state: None,
                    is_same_identity: self.is_same_identity,
                    waits_for: Vec::new(),
                }))
            }
            Request::TryLock => Observation::Locked,
            Request::Prepare(preparation) => {
                self.ledger_exists = true;
                self.installed = true;
                if preparation.claim.is_some() {
                    self.claim.clone_from(&preparation.claim);
                }
                if preparation.server.is_some() {
                    self.server.audited = preparation.server;
                }
                for adopted in &preparation.adopt {
                    self.record(&adopted.version, "adopted", &adopted.texts);
                }
                if let Some(owner) = self.claimed_meanwhile.take() {
                    self.claim = Some(owner);
                }
                self.inspected()
            }
            Request::Decide(settlement) => {
                self.installed = true;
                self.ledger_exists = true;
                settlement
                    .changes
                    .iter()
                    .for_each(|change| self.settle(change));
                self.inspected()
            }
            Request::Check(_) => Observation::Checked(
                self.check_answers
                    .pop_front()
                    .unwrap_or_else(|| CheckAnswer::Value(Some("true".to_owned()))),
            ),
            Request::LoadDowns(versions) => {
                let answered = self.texts_at_once.unwrap_or(usize::MAX);
                let texts = versions.iter().take(answered);
                Observation::DownsLoaded(texts.map(|version| self.down_text(version)).collect())
            }
            Request::Estimate(_) => {
                if let Some(error) = self.estimate_error.take() {
                    return Err(error);
                }
                Observation::Estimated(Estimate {
                    found: self.estimates.clone(),
                    ends_at: MAX_ASKED,
                })
            }
            Request::Execute(execution) => {
                if let Some(answer) = self.script_answers.pop_front() {
                    return Ok(answer);
                }
                match &execution.record {
                    Record::Apply(texts) => {
                        self.record(&execution.version, &execution.name, texts);
                    }
                    Record::Undo => self.history.remove(&execution.version),
                }
                Observation::Done(Recorded {
                    at: Timestamp::UNIX_EPOCH,
                    execution_time_ms: 1,
                    is_flushed: !execution.may_flush_later,
                    next_is_answered: execution.followed_by.is_some(),
                })
            }
            Request::Flush => Observation::Flushed,
            Request::Step(step) => self.step(step),
        })
    }

    pub(super) fn settle(&mut self, change: &Change) {
        match change {
            Change::Take { version, texts, .. } => self.record(version, "accepted", texts),
            Change::PutBack {
                version, checksum, ..
            } => {
                if let Some(mut row) = self.history.get(version).cloned() {
                    row.checksum = Some(checksum.to_string());
                    self.history.insert(row);
                }
            }
            Change::Forget { version, .. } => self.forget(version),
            Change::AcceptAudit { .. } => {}
            Change::Claim { to, .. } => self.claim = Some(to.clone()),
            Change::Release { .. } => self.claim = None,
            Change::Know { .. } => self.installed = true,
            Change::Resolve {
                statements: (first, _),
                verdict,
                ..
            } => {
                let mut begun = self.history.begun().cloned().expect("it was begun");
                match verdict {
                    Verdict::Applied => {
                        let entries = begun.entries.iter_mut();
                        entries
                            .filter(|entry| entry.first == *first)
                            .for_each(|entry| entry.state = EntryState::Done);
                    }
                    Verdict::Retry => begun.entries.retain(|entry| entry.first != *first),
                }
                let begun = (!begun.entries.is_empty()).then_some(begun);
                self.history.set_begun(begun);
            }
        }
    }

    pub(super) fn forget(&mut self, version: &Version) {
        let rows = self.history.iter().cloned().collect();
        let orphans = self.history.orphans().iter();
        let orphans = orphans.filter(|orphan| *orphan != version).cloned();
        self.history = History::new(rows, orphans.collect()).expect("a history");
    }

    /// What a version in parts does to the journal. The catalog of this database shows nothing.
    pub(super) fn step(&mut self, step: &StepRequest) -> Observation {
        let entry = |part: &Part, state, before| Entry {
            first: part.first,
            last: part.last,
            checksum: part.checksum,
            state,
            before,
        };
        let mut begun = self.history.begun().cloned().unwrap_or_else(|| Begun {
            version: step.execution.version.clone(),
            direction: step.execution.record.direction(),
            entries: Vec::new(),
        });
        let mut set = |part: &Part, state, before| {
            begun.entries.retain(|entry| entry.first != part.first);
            begun.entries.push(entry(part, state, before));
            self.history.set_begun(Some(begun.clone()));
        };
        match &step.action {
            StepAction::Start(part) => {
                set(part, EntryState::Started, Some(Evidence::Nothing));
                return Observation::Step(StepObservation::Evidence(Evidence::Nothing));
            }
            StepAction::Run(part) | StepAction::Finish(part, _) => {
                set(part, EntryState::Done, None);
            }
            StepAction::NoteEscape(part) => set(part, EntryState::Escaped, None),
            StepAction::Withdraw(part) => {
                begun.entries.retain(|entry| entry.first != part.first);
                let begun = (!begun.entries.is_empty()).then_some(begun);
                self.history.set_begun(begun);
            }
            StepAction::Execute(_) => {
                return self.script_answers.pop_front().unwrap_or_else(|| {
                    Observation::Step(StepObservation::Executed {
                        began: "now".to_owned(),
                    })
                });
            }
            StepAction::Look(_) => {
                return Observation::Step(StepObservation::Evidence(Evidence::Nothing));
            }
            StepAction::Repair(_, repair) => {
                return Observation::Step(StepObservation::Repaired(Some(repair.clone())));
            }
            StepAction::Record(_) => {
                match &step.execution.record {
                    Record::Apply(texts) => {
                        self.record(&step.execution.version, &step.execution.name, texts);
                    }
                    Record::Undo => self.history.remove(&step.execution.version),
                }
                self.history.set_begun(None);
                return Observation::Done(Recorded {
                    at: Timestamp::UNIX_EPOCH,
                    execution_time_ms: 1,
                    is_flushed: true,
                    next_is_answered: false,
                });
            }
        }
        Observation::Step(StepObservation::Journaled)
    }

    pub(super) fn record(&mut self, version: &Version, name: &str, texts: &Texts) {
        if let Some(down) = &texts.down {
            self.down_texts.push((version.clone(), down.to_vec()));
        }
        self.history.insert(Applied {
            version: version.clone(),
            name: name.to_owned(),
            applied_at: None,
            execution_time_ms: None,
            checksum: Some(texts.up_checksum.to_string()),
            stored: Some(Stored {
                up: texts.up_checksum,
                down: texts.down_checksum,
            }),
        });
    }

    pub(super) fn inspected(&self) -> Observation {
        Observation::Inspected(Box::new(Inspection {
            server_seen: self.server,
            server: Server {
                version: "16".to_owned(),
                database: "d".to_owned(),
                user: "u".to_owned(),
            },
            ledger_exists: self.ledger_exists,
            limits: self.limits,
            installation: self.installed.then_some(Installation {
                database_id: Uuid::nil(),
                audit_entries: 1,
                is_outdated: false,
            }),
            claim: self.claim.clone(),
            history: self.history.clone(),
            missing_grants: self.missing_grants.clone(),
            privileges: Vec::new(),
        }))
    }

    pub(super) fn applied(&self) -> Vec<String> {
        self.history
            .iter()
            .map(|row| row.version.to_string())
            .collect()
    }

    fn down_text(&mut self, version: &Version) -> Option<Vec<u8>> {
        if self.undone_meanwhile.as_ref() == Some(version) {
            self.history.remove(version);
            return None;
        }
        if self.lost_text.as_ref() == Some(version) {
            return None;
        }
        let mut known = self.down_texts.iter();
        let text = known.find(|(known, _)| known == version);
        Some(text.map(|(_, text)| text.clone()).unwrap_or_default())
    }
}
