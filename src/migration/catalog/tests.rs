use std::fmt::Write;
use std::time::Instant;

use super::*;

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile {
        name: name.to_owned(),
        bytes: text.as_bytes().to_vec(),
    }
}

/// Files that each hold one harmless statement.
fn files(names: &[&str]) -> Vec<SourceFile> {
    names
        .iter()
        .map(|name| file(name, &format!("select '{name}'")))
        .collect()
}

fn catalog(names: &[&str]) -> Catalog {
    Catalog::from_files(files(names), "schema_migrations", &|_| false)
        .expect("a set without defects")
}

fn defects(files: Vec<SourceFile>) -> Vec<(DefectKind, String)> {
    let defects = Catalog::from_files(files, "schema_migrations", &|_| false).expect_err("defects");
    defects
        .into_iter()
        .map(|defect| (defect.kind(), defect.to_string()))
        .collect()
}

fn as_text(found: &[(DefectKind, String)]) -> Vec<(DefectKind, &str)> {
    let found = found.iter();
    found
        .map(|(kind, message)| (*kind, message.as_str()))
        .collect()
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

#[test]
fn pairs_files_in_numeric_order() {
    let catalog = catalog(&[
        "10_j_UP.sql",
        "2_b_UP.sql",
        "2_b_DOWN.sql",
        "000_init_schema_migrations.sql",
        "README.md",
        "notes.sql",
    ]);
    let versions: Vec<(&str, &str, bool)> = catalog
        .iter()
        .map(|migration| {
            (
                migration.version.as_str(),
                migration.name.as_str(),
                migration.down.is_some(),
            )
        })
        .collect();
    assert_eq!(
        versions,
        [
            ("000", "init_schema_migrations", false),
            ("2", "b", true),
            ("10", "j", false)
        ]
    );
    assert_eq!(catalog.latest(), Some(&version("10")));
    let found = catalog.get(&version("002")).expect("the same number");
    assert_eq!(found.up.checksum, Checksum::of(b"select '2_b_UP.sql'"));
    assert_eq!(&*found.up.bytes, b"select '2_b_UP.sql'");
}

#[test]
fn reports_every_defect_of_every_file() {
    use DefectKind::{DuplicateVersion, InvalidSource, TransactionControl, UnsupportedStatement};
    let found = defects(vec![
        file("9_ok_UP.sql", "select 1"),
        file("1_a_UP.sql", "select 1"),
        file("001_b_UP.sql", "select 1"),
        file("2_c_DOWN.sql", "select 1"),
        file("3_.sql", "select 1"),
        file("3__UP.sql", "select 1"),
        file("4_e_UP.sql", "-- nothing"),
        file("5_f_UP.sql", "select 1;\n\\d\ncommit;\nvacuum;"),
        SourceFile {
            name: "6_g_UP.sql".to_owned(),
            bytes: b"select '\xff'".to_vec(),
        },
        file("7_h_UP.sql", "select 1"),
        file("7_i_DOWN.sql", "select 1"),
        file("8_j_UP.sql", "select 1"),
        file("08_j_DOWN.sql", "a\0"),
    ]);
    let expected = [
        (
            DuplicateVersion,
            "001_b_UP.sql and 1_a_UP.sql are UP files of the same version 001; give each migration a version of its own (1 and 001 are the same)",
        ),
        (
            InvalidSource,
            "08_j_DOWN.sql, line 1, column 2: byte 1 is NUL, where PostgreSQL would silently stop reading; remove it",
        ),
        (
            InvalidSource,
            "08_j_DOWN.sql: it is the DOWN of 8_j_UP.sql but is named otherwise; name both alike or remove it",
        ),
        (
            InvalidSource,
            "2_c_DOWN.sql: there is no UP of this version; add 2_c_UP.sql or remove the file",
        ),
        (
            InvalidSource,
            "3_.sql: a file that starts with a digit is a migration, and its name must end in _UP.sql or _DOWN.sql",
        ),
        (
            InvalidSource,
            "3__UP.sql: the name between the version and the suffix is empty",
        ),
        (InvalidSource, "4_e_UP.sql: the file holds no statement"),
        (
            UnsupportedStatement,
            "5_f_UP.sql, line 2, column 1: a backslash starts a psql meta-command, which only psql can run; write it as SQL",
        ),
        (
            TransactionControl,
            "5_f_UP.sql, line 3, column 1: COMMIT would end the transaction that makes a version all or nothing; only a BEGIN before and a COMMIT after everything else may stay",
        ),
        (
            InvalidSource,
            "6_g_UP.sql, line 1, column 9: byte 8 is not UTF-8; save the file as UTF-8",
        ),
        (
            InvalidSource,
            "7_i_DOWN.sql: it is the DOWN of 7_h_UP.sql but is named otherwise; name both alike or remove it",
        ),
    ];
    assert_eq!(as_text(&found), expected);
}

#[test]
fn two_files_of_one_name_are_one_version_twice() {
    let found = defects(files(&["1_a_UP.sql", "1_a_UP.sql"]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, DefectKind::DuplicateVersion);
}

#[test]
fn known_files_are_hashed_and_not_judged() {
    let refused = file("1_a_UP.sql", "commit");
    let known = Checksum::of(&refused.bytes);
    assert!(Catalog::from_files(vec![refused.clone()], "t", &|_| false).is_err());
    let catalog = Catalog::from_files(vec![refused], "t", &|checksum| *checksum == known).unwrap();
    assert_eq!(catalog.len(), 1);
}

fn listed(version_text: &str) -> Listed {
    Listed {
        version: version(version_text),
        name: None,
        pin: None,
    }
}

#[test]
fn selects_what_is_listed() {
    let pin = Pin {
        up: Checksum::of(b"x"),
        down: None,
    };
    let list = [
        listed("1"),
        Listed {
            name: Some("c".to_owned()),
            pin: Some(pin),
            ..listed("3")
        },
    ];
    let selected = catalog(&["001_a_UP.sql", "002_b_UP.sql", "003_c_UP.sql"])
        .select(&list)
        .unwrap();
    let versions: Vec<_> = selected
        .iter()
        .map(|migration| (migration.version.as_str(), migration.pin))
        .collect();
    assert_eq!(versions, [("001", None), ("003", Some(pin))]);
    assert!(catalog(&["1_a_UP.sql"]).select(&[]).unwrap().is_empty());
}

#[test]
fn reports_every_contradiction_of_a_list() {
    use DefectKind::{DuplicateVersion, InvalidList, InvalidSource};
    let pin = |down| {
        Some(Pin {
            up: Checksum::of(b""),
            down,
        })
    };
    let set = catalog(&["1_a_UP.sql", "2_b_UP.sql", "2_b_DOWN.sql", "3_c_UP.sql"]);
    let list = [
        Listed {
            name: Some("A".to_owned()),
            ..listed("1")
        },
        Listed {
            pin: pin(Some(Checksum::of(b""))),
            ..listed("3")
        },
        Listed {
            pin: pin(None),
            ..listed("2")
        },
        listed("001"),
        listed("7"),
    ];
    let found = set.select(&list).expect_err("contradictions");
    let found: Vec<(DefectKind, String)> = found
        .iter()
        .map(|defect| (defect.kind(), defect.to_string()))
        .collect();
    let expected = [
        (
            InvalidList,
            "version 1 is listed as \"A\", but its file is 1_a_UP.sql; make both names alike",
        ),
        (
            InvalidList,
            "version 3 is listed with checksums: its DOWN has a checksum, but the source has no DOWN file of it",
        ),
        (
            InvalidList,
            "version 2 is listed after 3; list the versions in numeric order",
        ),
        (
            InvalidList,
            "version 2 is listed with checksums: its UP has a checksum, but its DOWN 2_b_DOWN.sql has none; give both or neither",
        ),
        (
            DuplicateVersion,
            "version 001 is listed twice, as 1 and as 001; list it once",
        ),
        (
            InvalidSource,
            "version 7 is listed, but the source has no UP file of it",
        ),
    ];
    assert_eq!(as_text(&found), expected);
}

#[test]
fn a_thousand_files_take_no_time() {
    let mut sql = String::new();
    let all: Vec<SourceFile> = (0..1000)
        .map(|number| {
            sql.clear();
            write!(sql, "BEGIN;\nCREATE TABLE t{number} (id bigint);\nCOMMENT ON TABLE t{number} IS 'x;y';\nCOMMIT;\n")
                .unwrap();
            file(&format!("{number}_t_UP.sql"), &sql)
        })
        .collect();
    let started = Instant::now();
    assert_eq!(
        Catalog::from_files(all, "schema_migrations", &|_| false)
            .unwrap()
            .len(),
        1000
    );
    // 100 ms is the aim for an optimised build; this one is not.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
