use super::*;
use crate::migration::subject::Scope;

use Conclusion::{Done, InvalidIndex, NotDone, Repair as Mend, Skipped, Unknown};
use Ended::{Failed, Succeeded, Unheard};

fn index(oid: u32, valid: bool) -> IndexSeen {
    IndexSeen {
        oid,
        schema: "public".to_owned(),
        name: format!("i{oid}"),
        valid,
        unique: false,
        table: TABLE,
    }
}

/// The `oid` of the table that statements name.
const TABLE: u32 = 100;

/// An index of the same name on another table.
fn elsewhere(oid: u32, valid: bool) -> IndexSeen {
    IndexSeen {
        table: TABLE + 1,
        ..index(oid, valid)
    }
}

fn on(table: Option<u32>, found: &[IndexSeen]) -> Evidence {
    Evidence::IndexesOn {
        table,
        indexes: found.to_vec(),
    }
}

fn on_table(found: &[IndexSeen]) -> Evidence {
    on(Some(TABLE), found)
}

fn unique(oid: u32) -> IndexSeen {
    IndexSeen {
        unique: true,
        ..index(oid, true)
    }
}

fn indexes(found: &[IndexSeen]) -> Evidence {
    Evidence::Indexes(found.to_vec())
}

fn drop(found: &[IndexSeen]) -> Conclusion {
    let repairs = found.iter().cloned().map(Repair::DropIndex);
    Mend(repairs.collect())
}

fn not_done() -> Conclusion {
    NotDone { leftover: None }
}

/// One row: before, now, and what follows when the server said done, when it said failed, when nobody heard.
type Row = (Evidence, Evidence, [Conclusion; 3]);

fn hold(subject: &Subject, rows: Vec<Row>) {
    for (before, now, expected) in rows {
        for (ended, expected) in [Succeeded, Failed, Unheard].into_iter().zip(expected) {
            assert_eq!(
                conclude(subject, &before, &now, ended),
                expected,
                "{subject:?}: {before:?} -> {now:?}, {ended:?}"
            );
        }
    }
}

#[test]
fn create_index_with_a_name() {
    let subject = Subject::CreateIndex {
        name: Some("i".to_owned()),
        table: "t".to_owned(),
        unique: false,
    };
    let (none, valid, invalid) = (
        on_table(&[]),
        on_table(&[index(1, true)]),
        on_table(&[index(1, false)]),
    );
    let foreign = || InvalidIndex(index(1, false));
    hold(
        &subject,
        vec![
            // A build that failed made none: this one is somebody else's, and the server's refusal stands.
            (none.clone(), valid.clone(), [Done, not_done(), Done]),
            (
                none.clone(),
                invalid.clone(),
                [
                    drop(&[index(1, false)]),
                    drop(&[index(1, false)]),
                    drop(&[index(1, false)]),
                ],
            ),
            (
                none.clone(),
                none.clone(),
                [Skipped, not_done(), not_done()],
            ),
            // An index of somebody else took the name while nobody looked.
            (
                none.clone(),
                on_table(&[unique(1)]),
                [Unknown, not_done(), Unknown],
            ),
            (valid.clone(), valid.clone(), [Done, not_done(), not_done()]),
            (invalid.clone(), invalid, [foreign(), foreign(), foreign()]),
            (
                valid.clone(),
                on_table(&[index(2, true)]),
                [Done, not_done(), Unknown],
            ),
            (valid, none.clone(), [Done, not_done(), Unknown]),
            // The same name on another table: neither success, nor ours to drop.
            (
                on_table(&[elsewhere(1, true)]),
                on_table(&[elsewhere(1, true)]),
                [Skipped, not_done(), not_done()],
            ),
            (
                none.clone(),
                on_table(&[elsewhere(1, false)]),
                [Skipped, not_done(), not_done()],
            ),
            // The table's name leads to another table by now, or to none.
            (
                none.clone(),
                on(Some(TABLE + 1), &[elsewhere(1, false)]),
                [Done, not_done(), Unknown],
            ),
            (none, on(None, &[]), [Done, not_done(), Unknown]),
            (
                on(None, &[]),
                on(None, &[]),
                [Unknown, not_done(), not_done()],
            ),
        ],
    );
}

#[test]
fn create_index_without_a_name() {
    let subject = Subject::CreateIndex {
        name: None,
        table: "t".to_owned(),
        unique: true,
    };
    let before = on_table(&[index(1, true), index(2, false)]);
    let after = |new: &[IndexSeen]| {
        let mut all = vec![index(1, true), index(2, false)];
        all.extend_from_slice(new);
        on_table(&all)
    };
    let repair = || drop(&[index(3, false)]);
    hold(
        &subject,
        vec![
            // Nobody held the lock between two runs: it may be somebody else's.
            (
                before.clone(),
                after(&[unique(3)]),
                [Done, not_done(), Unknown],
            ),
            (
                before.clone(),
                after(&[index(3, false)]),
                [repair(), repair(), repair()],
            ),
            (
                before.clone(),
                before.clone(),
                [Unknown, not_done(), not_done()],
            ),
            (
                before.clone(),
                after(&[index(3, true)]),
                [Unknown, not_done(), Unknown],
            ),
            // Ours may be the one that is invalid.
            (
                before.clone(),
                after(&[unique(3), index(4, false)]),
                [Unknown, Unknown, Unknown],
            ),
            (
                before.clone(),
                after(&[unique(3), unique(4)]),
                [Done, not_done(), Unknown],
            ),
            // The table's name leads to another table by now.
            (before, on(Some(7), &[]), [Done, not_done(), Unknown]),
        ],
    );
}

#[test]
fn drop_index() {
    let subject = Subject::DropIndex {
        index: "i".to_owned(),
    };
    let (none, valid, invalid) = (
        indexes(&[]),
        indexes(&[index(1, true)]),
        indexes(&[index(1, false)]),
    );
    let half = || NotDone {
        leftover: Some(index(1, false)),
    };
    hold(
        &subject,
        vec![
            (valid.clone(), none.clone(), [Done, Done, Done]),
            (
                valid.clone(),
                valid.clone(),
                [Unknown, not_done(), not_done()],
            ),
            (valid.clone(), invalid.clone(), [Unknown, half(), half()]),
            (invalid, none.clone(), [Done, Done, Done]),
            // Another index of that name is there by now.
            (valid, indexes(&[index(2, true)]), [Done, Done, Done]),
            (none.clone(), none, [Done, not_done(), not_done()]),
        ],
    );
}

#[test]
fn reindex() {
    let subject = Subject::Reindex(Scope::Database);
    let (none, old, new) = (
        indexes(&[]),
        indexes(&[index(1, false)]),
        indexes(&[index(1, false), index(2, false)]),
    );
    let repair = || drop(&[index(2, false)]);
    hold(
        &subject,
        vec![
            (none.clone(), none, [Done, not_done(), not_done()]),
            (old.clone(), old.clone(), [Done, not_done(), not_done()]),
            (old, new, [repair(), repair(), repair()]),
        ],
    );
}

#[test]
fn detach_partition() {
    let subject = Subject::DetachPartition {
        parent: "p".to_owned(),
        partition: "c".to_owned(),
    };
    let of = |parent, partition, attached, pending| Evidence::Partition {
        attached,
        pending,
        parent,
        partition,
    };
    let seen = |attached, pending| of(Some(1), Some(2), attached, pending);
    let finish = || Mend(vec![Repair::FinishDetach]);
    hold(
        &subject,
        vec![
            (seen(true, false), seen(false, false), [Done, Done, Done]),
            (
                seen(true, false),
                seen(true, true),
                [finish(), finish(), finish()],
            ),
            (
                seen(true, false),
                seen(true, false),
                [Unknown, not_done(), not_done()],
            ),
            (
                seen(true, true),
                seen(true, true),
                [Unknown, not_done(), not_done()],
            ),
            // IF EXISTS, and nothing of that name.
            (
                of(None, None, false, false),
                of(None, None, false, false),
                [Done, not_done(), not_done()],
            ),
            // The names lead elsewhere by now: that the relation there is no partition proves nothing.
            (
                seen(true, false),
                of(Some(1), None, false, false),
                [Done, not_done(), Unknown],
            ),
            (
                seen(true, false),
                of(Some(3), Some(2), false, false),
                [Done, not_done(), Unknown],
            ),
        ],
    );
}

#[test]
fn objects_without_a_schema() {
    let (there, gone) = (Evidence::Object(true), Evidence::Object(false));
    let subject = |kind, creates| Subject::Object {
        kind,
        name: "x".to_owned(),
        creates,
    };
    for kind in [
        ObjectKind::Database,
        ObjectKind::Tablespace,
        ObjectKind::Subscription,
    ] {
        // The publisher may have made the slot already.
        let unheard = if kind == ObjectKind::Subscription {
            Unknown
        } else {
            not_done()
        };
        hold(
            &subject(kind, true),
            vec![
                (gone.clone(), there.clone(), [Done, not_done(), Done]),
                (gone.clone(), gone.clone(), [Unknown, not_done(), unheard]),
                (there.clone(), there.clone(), [Done, not_done(), not_done()]),
            ],
        );
        hold(
            &subject(kind, false),
            vec![
                (there.clone(), gone.clone(), [Done, Done, Done]),
                (
                    there.clone(),
                    there.clone(),
                    [Unknown, not_done(), not_done()],
                ),
                (gone.clone(), gone.clone(), [Done, not_done(), not_done()]),
            ],
        );
    }
}

#[test]
fn what_may_run_twice_and_what_nobody_can_say() {
    let nothing = Evidence::Nothing;
    hold(
        &Subject::Repeatable,
        vec![(
            nothing.clone(),
            nothing.clone(),
            [Done, not_done(), not_done()],
        )],
    );
    hold(
        &Subject::Unknown,
        vec![(nothing.clone(), nothing, [Done, not_done(), Unknown])],
    );
}

#[test]
fn evidence_survives_the_journal() {
    for evidence in [
        Evidence::Nothing,
        indexes(&[index(7, true)]),
        on_table(&[index(7, true)]),
        Evidence::Partition {
            attached: true,
            pending: false,
            parent: Some(1),
            partition: None,
        },
        Evidence::Object(true),
    ] {
        let text = serde_json::to_string(&evidence).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Evidence>(&text).expect("the same"),
            evidence,
            "{text}"
        );
    }
}
