use proptest::prelude::*;

use super::*;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn is_sha256_of_the_exact_bytes() {
    assert_eq!(Checksum::of(b"").to_string(), EMPTY);
    assert_eq!(Checksum::of(b"").short(), "e3b0c442");
    assert_ne!(Checksum::of(b"select 1;\n"), Checksum::of(b"select 1;\r\n"));
}

#[test]
fn reads_hexadecimal_in_any_case() {
    let expected = Ok(Checksum::of(b""));
    assert_eq!(Checksum::parse(EMPTY), expected);
    assert_eq!(Checksum::parse(&EMPTY.to_uppercase()), expected);
    assert_eq!(Checksum::parse(&format!("sha256:{EMPTY}")), expected);
    assert_eq!(Checksum::parse(&format!("SHA256:{EMPTY}")), expected);
    for text in [
        "",
        "sha256:",
        &EMPTY[1..],
        &format!("{EMPTY}0"),
        &format!(" {EMPTY}"),
        &EMPTY.replace('e', "g"),
    ] {
        assert_eq!(Checksum::parse(text), Err(InvalidChecksum), "{text:?}");
    }
    // Multi-byte characters at the place where a prefix would end.
    assert_eq!(Checksum::parse("sha256\u{e9}0"), Err(InvalidChecksum));
}

proptest! {
    #[test]
    fn round_trips(bytes in any::<[u8; 32]>()) {
        prop_assert_eq!(Checksum::parse(&Checksum(bytes).to_string()), Ok(Checksum(bytes)));
    }
}
