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

#[test]
fn what_to_do_about_line_ends_is_said() {
    use Against::{Pin, Recorded};
    let [lf, cr_lf] = [Some(LineEnds::Lf), Some(LineEnds::CrLf)];
    for (mismatches, expected) in [
        (
            vec![mismatch("001", Recorded, lf), mismatch("002", Recorded, lf)],
            "UP of 001 was cba06b57 when it was applied, the file is 11507a0e and differs only in its line ends (CR LF \
             instead of LF); UP of 002 was cba06b57 when it was applied, the file is 11507a0e and differs only in its \
             line ends (CR LF instead of LF). The database was not changed. Git or an editor converted the line ends: \
             put `*.sql -text` (or `*.sql text eol=lf`) into .gitattributes, delete the files and have Git check them out again.",
        ),
        (
            vec![mismatch("001", Recorded, cr_lf)],
            "UP of 001 was cba06b57 when it was applied, the file is 11507a0e and differs only in its line ends (LF \
             instead of CR LF). The database was not changed. Git or an editor converted the line ends: put `*.sql text \
             eol=crlf` into .gitattributes, delete the files and have Git check them out again; or accept the files as they are, by annotation \
             schemaward.dev/accept=001:11507a0e or by `schemaward accept 001:11507a0e`.",
        ),
        (
            vec![mismatch("001", Pin, cr_lf)],
            "UP of 001 is pinned to cba06b57, the file is 11507a0e and differs only in its line ends (LF instead of CR \
             LF). The database was not changed. Git or an editor converted the line ends: put `*.sql text eol=crlf` into \
             .gitattributes, delete the files and have Git check them out again; or correct the pins.",
        ),
        (
            vec![
                mismatch("001", Recorded, lf),
                mismatch("002", Recorded, None),
            ],
            "UP of 001 was cba06b57 when it was applied, the file is 11507a0e and differs only in its line ends (CR LF \
             instead of LF); UP of 002 was cba06b57 when it was applied, the file is 11507a0e. The database was not \
             changed. Where only line ends differ, Git or an editor converted them: restore them, and put `*.sql -text` \
             into .gitattributes. Restore the text that was applied, and make the change in a new version; or accept the \
             file as it is, by annotation schemaward.dev/accept=001:11507a0e,002:11507a0e or by `schemaward accept \
             001:11507a0e 002:11507a0e`.",
        ),
    ] {
        assert_eq!(Blocked::ChecksumMismatch(mismatches).to_string(), expected);
    }
}
