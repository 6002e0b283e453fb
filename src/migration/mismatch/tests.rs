use super::super::blocked::Blocked;
use super::*;

const LF: &[u8] = b"SELECT 1,\n  2;\n";
const CR_LF: &[u8] = b"SELECT 1,\r\n  2;\r\n";

#[test]
fn line_ends_are_told_from_other_changes() {
    for (file, applied, expected) in [
        (CR_LF, LF, Some(LineEnds::Lf)),
        (LF, CR_LF, Some(LineEnds::CrLf)),
        // Some lines were converted, and the last one has no end.
        (b"a\r\nb\nc", b"a\nb\nc", Some(LineEnds::Lf)),
        (b"a\r\nb\nc", b"a\r\nb\r\nc", Some(LineEnds::CrLf)),
        (CR_LF, b"SELECT 1,\n 2;\n", None),
        (LF, b"SELECT 1,\n  2;", None),
        // A CR alone is no line end that anything converts.
        (b"a\rb", b"a\nb", None),
        (b"a\r\r\n", b"a\r\n", Some(LineEnds::Lf)),
    ] as [(&[u8], &[u8], _); 8]
    {
        let found = LineEnds::that_make(file, &Checksum::of(applied));
        assert_eq!(found, expected, "{file:?} {applied:?}");
    }
}

fn mismatch(version: &str, against: Against, wanted_line_ends: Option<LineEnds>) -> Mismatch {
    Mismatch {
        version: Version::parse(version).unwrap(),
        direction: Direction::Up,
        expected: Some(Checksum::of(b"old")),
        found: Checksum::of(b"new"),
        against,
        wanted_line_ends,
    }
}

const KEEP: &str = "where they come from (a checkout, a commit, a ConfigMap), and put `*.sql -text` into \
                    .gitattributes, so that Git leaves them as they are";

/// What is said behind which texts differ.
fn advice(mismatches: Vec<Mismatch>) -> String {
    let said = Blocked::ChecksumMismatch(mismatches).to_string();
    let (_, advice) = said.split_once(" The database was not changed. ").unwrap();
    advice.to_owned()
}

#[test]
fn what_differs_in_line_ends_alone_is_said() {
    let wanted = Some(LineEnds::Lf);
    let recorded = |version| mismatch(version, Against::Recorded, wanted);
    assert_eq!(
        Blocked::ChecksumMismatch(vec![recorded("001"), recorded("002")]).to_string(),
        format!(
            "UP of 001 was cba06b57 when it was applied, the file is 11507a0e and differs only in its line ends (CR LF \
             instead of LF); UP of 002 was cba06b57 when it was applied, the file is 11507a0e and differs only in its \
             line ends (CR LF instead of LF). The database was not changed. Git or an editor converted the line ends. \
             Convert these files back to LF {KEEP}."
        )
    );
}

#[test]
fn where_cr_lf_was_applied_other_files_are_left_alone() {
    use Against::{Pin, Recorded};
    let [recorded, pinned] =
        [Recorded, Pin].map(|against| mismatch("001", against, Some(LineEnds::CrLf)));
    for (mismatches, or) in [
        (
            vec![recorded.clone()],
            "; or accept the files as they are, by annotation schemaward.dev/accept=001:11507a0e or by `schemaward \
             accept 001:11507a0e`",
        ),
        (vec![pinned.clone()], "; or correct the pins"),
        (vec![recorded, pinned], ""),
    ] {
        let said = advice(mismatches);
        assert_eq!(
            said,
            format!(
                "Git or an editor converted the line ends. Convert these files, and no others, back to CR LF {KEEP}{or}."
            )
        );
        // That would convert every file, also those that were applied with LF.
        assert!(!said.contains("eol=crlf"), "{said}");
    }
}

#[test]
fn files_that_differ_in_more_get_both_pieces_of_advice() {
    use Against::Recorded;
    let changed = mismatch("002", Recorded, None);
    assert_eq!(
        advice(vec![
            mismatch("001", Recorded, Some(LineEnds::Lf)),
            changed.clone()
        ]),
        format!(
            "Where only line ends differ, Git or an editor converted them: convert those files back {KEEP}. Restore the \
             text that was applied, and make the change in a new version; or accept the file as it is, by annotation \
             schemaward.dev/accept=001:11507a0e,002:11507a0e or by `schemaward accept 001:11507a0e 002:11507a0e`."
        )
    );
    let only_changed = advice(vec![changed]);
    assert!(
        only_changed.starts_with("Restore the text that was applied"),
        "{only_changed}"
    );
}
