//! One attempt of every kind that there is.

use super::*;

/// A scene with many checks that fail, all of them asked at `when`.
fn failing_checks(when: &str) -> impl Fn(&mut Scene) {
    let specs: Vec<_> = (0..20)
        .map(|number| {
            let spec = serde_json::json!({
                "name": format!("a-check-with-a-long-name-{number}"),
                "sql": "SELECT true",
                "when": when,
                "showValue": true,
            });
            serde_json::from_value(spec).expect("a check")
        })
        .collect();
    let checks = schemaward::engine::check::read(&specs).expect("checks");
    move |scene| {
        scene.checks.clone_from(&checks);
        scene.check_answer = CheckAnswer::Value(Some("x".repeat(1000)));
    }
}

/// A case for each reason that an attempt can come to, with the name of the reason.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn attempts() -> Vec<(&'static str, Attempt)> {
    let waiting = |kind| {
        Attempt::Waiting(DereferenceError {
            kind,
            message: "Secret ledger-db does not exist. Create it.".to_owned(),
        })
    };
    let invalid = |kind| {
        Attempt::Invalid(Invalid {
            kind,
            message: "001_a_UP.sql cannot be used. Correct it.".to_owned(),
        })
    };
    let database = |kind| {
        let answer = Answer::Error(kind);
        Scene {
            answer,
            ..Scene::default()
        }
        .attempt()
    };
    let fails = |kind| {
        let answer = Answer::Fails(kind);
        Scene {
            answer,
            ..Scene::default()
        }
        .attempt()
    };
    let scene = |change: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::default();
        change(&mut scene);
        scene.attempt()
    };
    let mut cases = vec![
        ("UpToDate", Scene::default().attempt()),
        ("UpToDate", scene(&|s| s.target = Some("041"))),
        (
            "UpToDate",
            scene(&|s| {
                s.applied = vec!["041", "042"];
                s.target = Some("041");
                s.rollback = Rollback::Allow;
            }),
        ),
        ("Suspended", Attempt::Suspended),
        (
            "SourceNotFound",
            waiting(DereferenceErrorKind::SourceNotFound),
        ),
        (
            "SecretNotFound",
            waiting(DereferenceErrorKind::SecretNotFound),
        ),
        ("KeyMissing", waiting(DereferenceErrorKind::KeyMissing)),
        ("AccessDenied", waiting(DereferenceErrorKind::AccessDenied)),
        ("AccessDenied", waiting(DereferenceErrorKind::AwsDenied)),
        (
            "AccessDenied",
            waiting(DereferenceErrorKind::ApiUnavailable),
        ),
        (
            "DatabaseUnreachable",
            waiting(DereferenceErrorKind::AwsUnreachable),
        ),
        ("InvalidSpec", invalid(InvalidKind::InvalidSpec)),
        ("InvalidSource", invalid(InvalidKind::InvalidSource)),
        ("DuplicateVersion", invalid(InvalidKind::DuplicateVersion)),
        (
            "UnsupportedStatement",
            invalid(InvalidKind::UnsupportedStatement),
        ),
        (
            "TransactionControl",
            invalid(InvalidKind::TransactionControl),
        ),
        (
            "InvalidCredentials",
            invalid(InvalidKind::InvalidCredentials),
        ),
        (
            "DatabaseUnreachable",
            Attempt::NotConnected(DatabaseError::new(
                DatabaseErrorKind::Unreachable,
                "db:5432 refused the connection. It is tried again.",
            )),
        ),
        ("MigrationFailed", fails(ScriptFailureKind::Failed)),
        ("MigrationFailed", fails(ScriptFailureKind::LockTableFull)),
        ("MigrationFailed", fails(ScriptFailureKind::OutOfMemory)),
        (
            "PermissionDenied",
            fails(ScriptFailureKind::PermissionDenied),
        ),
        (
            "StatementTimeout",
            fails(ScriptFailureKind::StatementTimeout),
        ),
        (
            "TransactionEscaped",
            fails(ScriptFailureKind::TransactionEscaped),
        ),
        ("InvalidIndex", fails(ScriptFailureKind::InvalidIndex)),
        (
            "InDoubt",
            scene(&|s| {
                s.texts = vec![("042", "ALTER SUBSCRIPTION s ADD PUBLICATION p")];
                s.begun = Some(("042", EntryState::Started));
            }),
        ),
        (
            "TransactionEscaped",
            scene(&|s| s.begun = Some(("042", EntryState::Escaped))),
        ),
        ("CheckFailed", scene(&failing_checks("Before"))),
        ("CheckFailed", scene(&failing_checks("After"))),
        (
            "CheckFailed",
            scene(&|s| {
                failing_checks("Both")(s);
                s.target = Some("041");
            }),
        ),
        (
            "VersionMissing",
            scene(&|s| s.begun = Some(("099", EntryState::Done))),
        ),
        (
            "OutOfOrder",
            scene(&|s| s.begun = Some(("043", EntryState::Done))),
        ),
        (
            "DatabaseAhead",
            scene(&|s| {
                s.begun = Some(("042", EntryState::Done));
                s.target = Some("041");
            }),
        ),
        ("LockHeld", scene(&|s| s.answer = Answer::LockHeld)),
        (
            "PreviousRunStillActive",
            scene(&|s| s.answer = Answer::PreviousRunStillActive),
        ),
        ("LockTimeout", scene(&|s| s.answer = Answer::NoLocks)),
        (
            "ChecksumMismatch",
            scene(&|s| s.texts = vec![("041", "SELECT 'changed'")]),
        ),
        ("VersionMissing", scene(&|s| s.applied = vec!["040", "041"])),
        ("OutOfOrder", scene(&|s| s.applied = vec!["041", "043"])),
        (
            "DatabaseAhead",
            scene(&|s| {
                s.applied = vec!["041", "042"];
                s.target = Some("041");
            }),
        ),
        (
            "DownMissing",
            scene(&|s| {
                s.applied = vec!["041", "042"];
                s.target = Some("041");
                s.without_down = vec!["042"];
                s.rollback = Rollback::Allow;
            }),
        ),
        ("HistoryTampered", scene(&|s| s.orphans = vec!["040"])),
        ("InvalidSpec", scene(&|s| s.target = Some("099"))),
        ("HistoryUnreadable", scene(&|s| s.name_limit = Some(3))),
        ("DatabaseClaimed", scene(&|s| s.claimed = true)),
        (
            "PermissionDenied",
            scene(&|s| {
                s.missing_grants = vec!["GRANT CREATE ON SCHEMA public TO ledger;".to_owned()];
            }),
        ),
        (
            "InternalError",
            Attempt::Bug("src/engine/machine.rs:1".to_owned()),
        ),
    ];
    cases.extend(
        [
            ("DatabaseUnreachable", DatabaseErrorKind::Unreachable),
            (
                "DatabaseUnreachable",
                DatabaseErrorKind::IdentityUnavailable,
            ),
            ("AccessDenied", DatabaseErrorKind::AccessDenied),
            ("ConnectionLost", DatabaseErrorKind::ConnectionLost),
            ("ReadOnlyReplica", DatabaseErrorKind::ReadOnlyReplica),
            ("TooManyConnections", DatabaseErrorKind::TooManyConnections),
            ("DiskFull", DatabaseErrorKind::DiskFull),
            (
                "AuthenticationFailed",
                DatabaseErrorKind::AuthenticationFailed,
            ),
            ("DatabaseNotFound", DatabaseErrorKind::DatabaseNotFound),
            (
                "TLSVerificationFailed",
                DatabaseErrorKind::TlsVerificationFailed,
            ),
            ("TLSRequired", DatabaseErrorKind::TlsRequired),
            ("InvalidCredentials", DatabaseErrorKind::InvalidCredentials),
            ("PermissionDenied", DatabaseErrorKind::PermissionDenied),
            ("ForeignHistory", DatabaseErrorKind::ForeignHistory),
            ("HistoryUnreadable", DatabaseErrorKind::HistoryUnreadable),
            ("HistoryTooNew", DatabaseErrorKind::HistoryTooNew),
            ("ServerTooOld", DatabaseErrorKind::ServerTooOld),
            ("Applying", DatabaseErrorKind::Cancelled),
            ("InternalError", DatabaseErrorKind::Internal),
        ]
        .map(|(reason, kind)| (reason, database(kind))),
    );
    cases
}
