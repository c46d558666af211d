//! Trace and span ids.

use std::fmt;

/// The digits of hexadecimal numbers.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A trace's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// A span's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The id of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id, if there are 16 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The id of 32 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether all bytes are 0, which the specification calls invalid.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        u128::from_ne_bytes(self.0) == 0
    }
}

impl SpanId {
    /// The id of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The id, if there are 8 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The id of 16 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// Whether all bytes are 0, which the specification calls invalid.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        u64::from_ne_bytes(self.0) == 0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, formatter)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, formatter)
    }
}

/// Bytes as lower-case hexadecimal digits, appended to `text`.
pub fn push_hex(bytes: &[u8], text: &mut String) {
    text.reserve(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from));
        }
    }
}

/// Bytes of pairs of hexadecimal digits, upper or lower case.
#[must_use]
pub fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

fn write_hex(bytes: &[u8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = String::new();
    push_hex(bytes, &mut text);
    formatter.pad(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back_in_either_case() {
        let id = TraceId::from_hex("5B8EFFF798038103D269B633813FC60C").expect("32 digits");
        assert_eq!(id.to_string(), "5b8efff798038103d269b633813fc60c");
        assert_eq!(TraceId::from_slice(id.as_bytes()), Some(id));
        let id = SpanId::from_hex("eee19b7ec3c1b174").expect("16 digits");
        assert_eq!(id.to_string(), "eee19b7ec3c1b174");
    }

    #[test]
    fn other_text_is_no_id() {
        for text in ["", "eee19b7ec3c1b17", "eee19b7ec3c1b1740", "xee19b7ec3c1b174"] {
            assert_eq!(SpanId::from_hex(text), None);
        }
        assert_eq!(TraceId::from_slice(&[1; 5]), None);
        assert!(SpanId::default().is_zero());
    }
}
