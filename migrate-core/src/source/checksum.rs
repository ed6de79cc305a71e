//! Checksums, by which the ledger detects that a file was changed after it was applied.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest, Sha256};

/// The digest of a script, written `sha256:<hex>`.
///
/// It is computed from the text after [`normalise`]: without a byte order mark, and with `\n` as line ending. The
/// algorithm is part of the text, so that a later version can use another one and still understand older checksums.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum(Box<str>);

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl Checksum {
    /// Computes the checksum of a text that is already normalised.
    pub fn of(text: &str) -> Self {
        let mut written = [0; 71];
        let (name, digits) = written.split_at_mut(7);
        name.copy_from_slice(b"sha256:");
        for (byte, pair) in Sha256::digest(text.as_bytes()).iter().zip(digits.chunks_exact_mut(2)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(String::from_utf8_lossy(&written).into())
    }

    /// A checksum as stored in the ledger.
    pub fn recorded(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The checksum as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Removes a byte order mark and converts CRLF to LF, so that every checkout of a file has the same text.
///
/// The same text is sent to the server: the body of a function must not depend on the line endings of the machine that
/// created it.
pub fn normalise(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains("\r\n") { text.replace("\r\n", "\n").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha256_in_hex() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Checksum::of("").as_str(), empty);
    }

    #[test]
    fn line_endings_and_a_byte_order_mark_do_not_count() {
        assert_eq!(normalise("\u{feff}a;\r\nb;\r\n"), "a;\nb;\n");
        assert_ne!(Checksum::of("a; \n"), Checksum::of("a;\n"));
    }
}
