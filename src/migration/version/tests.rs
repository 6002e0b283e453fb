use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn version(text: &str) -> Version {
    Version::parse(text).expect("a version")
}

#[test]
fn keeps_the_text_and_compares_the_number() {
    for (left, right, expected) in [
        ("1", "001", Ordering::Equal),
        ("0", "000", Ordering::Equal),
        ("2", "10", Ordering::Less),
        ("9", "0010", Ordering::Less),
        ("007", "6", Ordering::Greater),
        ("20240101120000", "20240101120001", Ordering::Less),
        (
            "99999999999999999999999999",
            "100000000000000000000000000",
            Ordering::Less,
        ),
    ] {
        assert_eq!(
            version(left).cmp(&version(right)),
            expected,
            "{left} against {right}"
        );
    }
    assert_eq!(version("007").to_string(), "007");
    assert_eq!(HashSet::from([version("1"), version("001")]).len(), 1);
}

#[test]
fn refuses_all_but_digits() {
    for text in ["", "-1", "+1", "1a", " 1", "1.0", "٣", "1_0"] {
        assert!(Version::parse(text).is_err(), "{text:?}");
    }
    let message = Version::parse("1\n").unwrap_err().to_string();
    assert_eq!(
        message,
        r#""1\n" is not a version: a version is one or more of the digits 0 to 9"#
    );
}

proptest! {
    #[test]
    fn order_is_that_of_numbers(left in any::<u64>(), right in any::<u64>(), zeros in 0_usize..5) {
        let padded = version(&format!("{}{left}", "0".repeat(zeros)));
        prop_assert_eq!(padded.cmp(&version(&right.to_string())), left.cmp(&right));
        prop_assert_eq!(padded, version(&left.to_string()));
    }

    #[test]
    fn digits_round_trip(text in "[0-9]{1,40}") {
        let parsed = version(&text);
        prop_assert_eq!(parsed.as_str(), &text);
        prop_assert_eq!(parsed.to_string(), text);
    }
}
