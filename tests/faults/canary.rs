//! Secrets that must not come out, in any of the forms that a program might print them in.

use std::collections::BTreeSet;
use std::fmt::Write;

/// The forms of `secrets` that `output` holds.
pub fn leaks(output: &str, secrets: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for secret in secrets {
        found.extend(
            forms(secret)
                .into_iter()
                .filter(|form| output.contains(form)),
        );
    }
    found
}

/// The secret as it is, percent-encoded, in hexadecimal, in JSON, and in base64 wherever it lies in the encoded text.
fn forms(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([
        secret.to_owned(),
        percent_encoded(secret),
        hex(secret),
        serde_json::Value::from(secret)
            .to_string()
            .trim_matches('"')
            .to_owned(),
    ]);
    // Of three bytes base64 makes four characters; the ones at both ends hold bits of the neighbours.
    forms.extend((0..3).map(|shift| {
        let padded = [&vec![0; shift][..], secret.as_bytes()].concat();
        let whole = padded.len() / 3 * 3;
        let text = base64(&padded[..whole]);
        text[if shift == 0 { 0 } else { 4 }..].to_owned()
    }));
    forms
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes all");
        }
        encoded
    })
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "{byte:02x}").expect("a String takes all");
        encoded
    })
}

/// Base64 of a whole number of groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks_exact(3) {
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(DIGITS[(bits >> shift) as usize & 63]));
        }
    }
    text
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = "p@ss word/+&1";
    for leak in [
        "a p@ss word/+&1 b",
        "url p%40ss%20word%2F%2B%261",
        "70407373",
        "base64 of itself: cEBzcyB3b3JkLysmMQ==",
        "of two bytes and it: eDpwQHNzIHdvcmQvKyYx",
        "of one byte and it: OnBAc3Mgd29yZC8rJjE=",
    ] {
        let expected = usize::from(leak != "70407373"); // a part of it is no leak
        assert_eq!(leaks(leak, &[secret]).len(), expected, "{leak}");
    }
    assert_eq!(
        leaks("the password is wrong", &[secret]),
        Vec::<String>::new()
    );
}
