use super::*;

fn row(id: i64, action: &str, version: Option<&str>, before: &[u8]) -> Row {
    let content = format!("{id} {action}").into_bytes();
    Row {
        id,
        hash: Sha256::new()
            .chain_update(before)
            .chain_update(&content)
            .finalize()
            .to_vec(),
        content,
        at: 0.0,
        action: action.to_owned(),
        version: version.map(str::to_owned),
        has_checksum: true,
    }
}

/// An audit that begins with `install` and goes on with these, oldest first.
fn audit(actions: &[(&str, &str)]) -> Vec<Row> {
    let mut rows = vec![row(1, "install", None, &[])];
    for (id, (action, version)) in (2..).zip(actions) {
        let before = rows.last().unwrap().hash.clone();
        let version = (!version.is_empty()).then_some(*version);
        rows.push(row(id, action, version, &before));
    }
    rows
}

fn applied(number: usize) -> Vec<Row> {
    let versions: Vec<_> = (1..=number).map(|version| version.to_string()).collect();
    let actions: Vec<_> = versions
        .iter()
        .map(|version| ("apply", version.as_str()))
        .collect();
    audit(&actions)
}

fn whole(rows: &[Row]) -> Chain {
    let mut chain = Chain::new(Extent::Whole);
    for row in rows {
        chain.add(row);
    }
    chain
}

/// As a look reads them.
fn newest(rows: &[Row]) -> Chain {
    let read = rows.len().min(NEWEST + 1);
    let newest_first: Vec<_> = rows[rows.len() - read..].iter().rev().cloned().collect();
    Chain::of_newest(&newest_first)
}

fn found(chain: Chain) -> Option<(i64, AuditDefectKind)> {
    let defect = chain.verdict(None, |_| true);
    defect.map(|defect| (defect.row, defect.kind))
}

#[test]
fn an_audit_as_it_was_written_has_no_defect() {
    for number in [0, 1, NEWEST - 1, NEWEST, NEWEST + 1, 100] {
        let rows = applied(number);
        assert_eq!(found(whole(&rows)), None, "{number}");
        assert_eq!(found(newest(&rows)), None, "{number}");
        assert_eq!(whole(&rows).taken(), number + 1);
    }
}

#[test]
fn a_row_that_was_changed_is_found_by_its_hash() {
    let mut rows = applied(100);
    rows[99].content.push(b'!');
    let expected = Some((100, AuditDefectKind::Changed));
    assert_eq!(found(whole(&rows)), expected);
    assert_eq!(found(newest(&rows)), expected);
    // A look does not read so far back.
    let mut rows = applied(100);
    rows[5].hash = vec![0; 32];
    assert_eq!(found(whole(&rows)), Some((6, AuditDefectKind::Changed)));
    assert_eq!(found(newest(&rows)), None);
}

#[test]
fn the_oldest_row_that_a_look_verifies_is_chained_to_the_one_before_it() {
    let mut rows = applied(100);
    let before = rows.len() - NEWEST - 1;
    rows[before].hash = vec![0; 32];
    let first = i64::try_from(before).unwrap() + 2;
    assert_eq!(
        found(newest(&rows)),
        Some((first, AuditDefectKind::Changed))
    );
}

#[test]
fn rows_that_are_gone_are_found_by_the_numbers() {
    let mut rows = applied(50);
    rows.remove(40);
    let expected = Some((42, AuditDefectKind::Missing));
    assert_eq!(found(whole(&rows)), expected);
    assert_eq!(found(newest(&rows)), expected);
    let mut rows = applied(10);
    rows.drain(..3);
    assert_eq!(found(newest(&rows)), Some((4, AuditDefectKind::Missing)));
    assert_eq!(found(newest(&[])), Some((0, AuditDefectKind::Missing)));
    assert_eq!(found(whole(&[])), Some((0, AuditDefectKind::Missing)));
}

#[test]
fn an_audit_begins_with_its_installation() {
    let rows = [row(1, "apply", Some("1"), &[])];
    assert_eq!(found(newest(&rows)), Some((1, AuditDefectKind::Missing)));
    let rows = [row(1, ACCEPT_AUDIT, None, &[])];
    assert_eq!(found(newest(&rows)), None);
}

#[test]
fn what_a_person_accepted_is_not_told_again() {
    let mut rows = audit(&[
        ("apply", "1"),
        ("apply", "2"),
        (ACCEPT_AUDIT, ""),
        ("apply", "3"),
    ]);
    rows[1].content.push(b'!');
    assert_eq!(found(whole(&rows)), None);
    assert_eq!(found(newest(&rows)), None);
    let accepted = whole(&rows).accepted().unwrap();
    assert_eq!(accepted.rows().collect::<Vec<_>>(), [2]);
    // What came behind it is.
    rows[4].content.push(b'!');
    assert_eq!(found(newest(&rows)), Some((5, AuditDefectKind::Changed)));
}

#[test]
fn the_newest_version_has_to_have_a_record_and_for_a_person_each_one() {
    let rows = audit(&[
        ("apply", "001"),
        ("apply", "2"),
        ("undo", "2"),
        ("apply", "3"),
    ]);
    let without = |missing: &'static str| move |version: &str| version != missing;
    let defect = |version| AuditDefectKind::Unrecorded(Version::parse(version).unwrap());
    let told = |chain: Chain, missing| {
        let defect = chain.verdict(None, without(missing));
        defect.map(|defect| (defect.row, defect.kind))
    };
    assert_eq!(told(newest(&rows), "3"), Some((5, defect("3"))));
    assert_eq!(told(newest(&rows), "001"), None);
    assert_eq!(told(whole(&rows), "001"), Some((2, defect("001"))));
    assert_eq!(told(whole(&rows), "2"), None);
    let accepted = audit(&[("apply", "1"), (ACCEPT_AUDIT, "")]);
    assert_eq!(told(newest(&accepted), "1"), None);
}

#[test]
fn a_record_that_no_row_wrote_is_told_at_the_end() {
    let told = |version| {
        let defect = newest(&applied(3)).verdict(Some(version), |_| true);
        defect.map(|defect| (defect.row, defect.kind))
    };
    let expected = AuditDefectKind::Unwritten(Version::parse("4").unwrap());
    assert_eq!(told("4"), Some((4, expected)));
    assert_eq!(told("four"), Some((4, AuditDefectKind::Changed)));
}

#[test]
fn the_first_defect_is_told() {
    let mut rows = applied(5);
    rows[5].content.push(b'!');
    rows[3].hash = vec![0; 32];
    let all = whole(&rows).verdict(None, |_| true).unwrap();
    assert_eq!(all.rows().collect::<Vec<_>>(), [4, 5, 6]);
    rows = applied(5);
    rows[5].content.push(b'!');
    let chain = newest(&rows);
    let defect = chain.verdict(Some("9"), |_| false).unwrap();
    assert_eq!((defect.row, defect.kind), (6, AuditDefectKind::Changed));
}

#[test]
fn no_number_of_a_row_is_too_large() {
    let mut rows = applied(1);
    rows.push(row(i64::MAX, "apply", Some("2"), &rows[1].hash.clone()));
    rows.push(row(i64::MIN, "apply", Some("2"), &[]));
    assert_eq!(
        found(whole(&rows)),
        Some((i64::MAX, AuditDefectKind::Missing))
    );
}

#[test]
fn a_hash_is_read_from_its_digits() {
    assert_eq!(from_hex("\\x00fF7a"), [0, 255, 122]);
    assert!(from_hex("\\x0g11").is_empty());
    assert!(from_hex("").is_empty());
}
