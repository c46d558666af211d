//! Unique identifiers (RFC 9562).

use std::fmt::Write as _;

use rand::random;

/// A random one, version 4.
#[must_use]
pub fn v4() -> String {
    let bytes = (random::<u128>() & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    written(bytes)
}

/// One that begins with the time in milliseconds since the Unix epoch, version 7.
#[must_use]
pub fn v7(unix_millis: u64) -> String {
    let random = random::<u128>() & ((1 << 76) - 1) & !(0b11 << 62);
    written((u128::from(unix_millis) << 80) | (7 << 76) | (0b10 << 62) | random)
}

fn written(bytes: u128) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.to_be_bytes().into_iter().enumerate() {
        let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
        let written = write!(text, "{dash}{byte:02x}");
        debug_assert!(written.is_ok(), "a String takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_variants_are_right() {
        let at = |text: &str, index: usize| text.chars().nth(index).unwrap();
        for _ in 0..64 {
            for (text, version) in [(v4(), '4'), (v7(0x0123_4567_89ab), '7')] {
                assert_eq!((text.len(), at(&text, 14)), (36, version), "{text}");
                assert!("89ab".contains(at(&text, 19)), "{text}");
            }
        }
        assert!(v7(0x0123_4567_89ab).starts_with("01234567-89ab-7"));
        assert_ne!(v4(), v4());
    }
}
