//! Script texts as they are kept in the database: raw DEFLATE (RFC 1951).

use std::cell::RefCell;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// Largest text that is read back, in bytes; a stored text that unpacks to more is not ours.
const LARGEST: u64 = 256 * 1024 * 1024;

thread_local! {
    /// Kept from text to text: to get and clear its tables, 300 KB, takes longer than to pack a usual
    /// script.
    static PACKER: RefCell<DeflateEncoder<Vec<u8>>> =
        RefCell::new(DeflateEncoder::new(Vec::new(), Compression::default()));
}

/// Texts up to this length, in bytes, are kept as they are: packed they are hardly shorter, and two thirds of
/// the instructions that the client spent on a run of short versions were the packer's start.
const SHORT: u16 = 1024;

/// Packs a text.
pub fn pack(text: &[u8]) -> std::io::Result<Vec<u8>> {
    if let Some(length) = u16::try_from(text.len())
        .ok()
        .filter(|length| *length <= SHORT)
    {
        return Ok(plain(text, length));
    }
    PACKER.with_borrow_mut(|packer| {
        packer.write_all(text)?;
        packer.reset(Vec::new())
    })
}

/// One block that is not compressed, the last one (RFC 1951, 3.2.4).
fn plain(text: &[u8], length: u16) -> Vec<u8> {
    let mut block = Vec::with_capacity(text.len() + 5);
    block.push(1);
    block.extend(length.to_le_bytes());
    block.extend((!length).to_le_bytes());
    block.extend(text);
    block
}

/// Unpacks a text.
///
/// # Errors
/// The bytes are not DEFLATE, or unpack to more than 256 MiB.
pub fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    DeflateDecoder::new(packed)
        .take(LARGEST + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(std::io::Error::other("longer than 256 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks() -> std::io::Result<()> {
        for text in [
            &b""[..],
            b"DROP TABLE a;",
            &[0xff; 1024],
            &[0xff; 1025],
            &[0xff; 10_000],
        ] {
            assert_eq!(unpack(&pack(text)?)?, text);
        }
        assert!(pack(&[0xff; 10_000])?.len() < 100);
        assert!(unpack(b"\xff\xff\xff").is_err());
        Ok(())
    }
}
