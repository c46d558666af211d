//! What stands for a word or value that hardly ever comes twice: 64 bits.
//!
//! The four highest bits tell the kind. A number of a body is whole in its key, as is the beginning
//! of a hexadecimal word and of a text, and of a number of an attribute what matters of it: their keys are in their
//! order. The rest is hashes.

use std::ops::RangeInclusive;

use twox_hash::XxHash64;

/// Of a longer number only so many digits are in its key.
const MAX_DIGITS: usize = 16;

/// So many hexadecimal digits of a word are in its key, before eight bits of a hash.
const HEX_DIGITS: usize = 8;

/// Where the kind of a key begins.
const KIND_SHIFT: u32 = 60;

/// Where the number of digits begins.
const DIGITS_SHIFT: u32 = 54;

/// So much of a hash is kept: among a million records, one in a million of those that are found
/// has something else.
const HASH_MASK: u64 = (1 << 40) - 1;

/// The bits of the value of a word of digits.
const VALUE_MASK: u64 = (1 << DIGITS_SHIFT) - 1;

/// So many bits of the value of a number are in its key, the hash of a name before them.
const NUMBER_BITS: u32 = 44;

/// So many bytes of a text are in its key, the hash of a name before them and that of the text
/// behind them.
const TEXT_BYTES: usize = 3;
const TEXT_HASH_BITS: usize = 24;

/// The highest bit of a number.
const SIGN: u64 = 1 << 63;

/// What a key stands for that is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    TraceId = 1,
    SpanId = 2,
    Text = 3,
    Hex = 4,
    Number = 5,
}

impl Kind {
    /// The key of something of this kind; others may have it too.
    pub(crate) fn key(self, bytes: &[u8]) -> u64 {
        ((self as u64) << KIND_SHIFT) | (XxHash64::oneshot(0, bytes) & HASH_MASK)
    }
}

/// The key of a word of digits; whether no other word has it.
pub(crate) fn number_key(digits: &str) -> (u64, bool) {
    let is_whole = digits.len() <= MAX_DIGITS;
    let known = digits.bytes().take(MAX_DIGITS);
    let value = known.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    // Of one length, numbers are in order.
    let num_digits = digits.len().min(MAX_DIGITS + 1) as u64;
    ((num_digits << DIGITS_SHIFT) | value, is_whole)
}

/// The key of a word of hexadecimal digits, of which the first are in it; others may have it too.
pub(crate) fn hex_key(word: &str) -> u64 {
    *hex_keys(word).start() | (XxHash64::oneshot(0, word.as_bytes()) & 0xff)
}

/// The keys of words of hexadecimal digits that begin with `start`; whether of no others.
pub(crate) fn hex_prefix_keys(start: &str) -> (RangeInclusive<u64>, bool) {
    (hex_keys(start), start.len() <= HEX_DIGITS)
}

/// Whatever the hash of the whole word is.
fn hex_keys(start: &str) -> RangeInclusive<u64> {
    let known = start.chars().take(HEX_DIGITS);
    let value =
        known.fold(0, |value, char| (value << 4) | u64::from(char.to_digit(16).unwrap_or(0)));
    let num_open = 4 * HEX_DIGITS.saturating_sub(start.len()) + 8;
    let first = ((Kind::Hex as u64) << KIND_SHIFT) | (value << num_open);
    first..=first | ((1 << num_open) - 1)
}

/// The keys of all words of digits that begin with `digits`.
pub(crate) fn prefix_keys(digits: &str) -> Vec<RangeInclusive<u64>> {
    let (first, is_whole) = number_key(digits);
    if !is_whole {
        return vec![first..=first];
    }
    let value = first & VALUE_MASK;
    let mut ranges = Vec::new();
    let mut scale = 1;
    for num_digits in digits.len()..=MAX_DIGITS + 1 {
        let start = ((num_digits as u64) << DIGITS_SHIFT) | (value * scale);
        ranges.push(start..=start + scale - 1);
        if num_digits < MAX_DIGITS {
            scale *= 10;
        }
    }
    ranges
}

/// The keys of all words of at least so many digits.
pub(crate) fn keys_of_numbers(num_digits: usize) -> RangeInclusive<u64> {
    let least = num_digits.min(MAX_DIGITS + 1) as u64;
    least << DIGITS_SHIFT..=((MAX_DIGITS as u64 + 2) << DIGITS_SHIFT) - 1
}

/// What tells of the key of a word of digits whether `part` may be in it, or at its end.
pub(crate) fn number_test(part: &str, is_end: bool) -> impl Fn(u64) -> bool + Send + Sync + use<> {
    let num_digits = part.len() as u64;
    let (wanted, is_known) = number_key(part);
    let wanted = wanted & VALUE_MASK;
    let scale = 10_u64.saturating_pow(u32::try_from(num_digits).unwrap_or(u32::MAX));
    move |key| {
        let has = key >> DIGITS_SHIFT;
        if has > MAX_DIGITS as u64 {
            // The rest of its digits may be anything.
            return true;
        }
        if !is_known || has < num_digits {
            return false;
        }
        let mut value = key & VALUE_MASK;
        let num_places = if is_end { 1 } else { has - num_digits + 1 };
        (0..num_places).any(|_| {
            let is_here = value % scale == wanted;
            value /= 10;
            is_here
        })
    }
}

/// The key of a text of an attribute, of which the beginning is in it; others may have it too.
pub(crate) fn text_key(name: &str, text: &str) -> u64 {
    *text_keys(name, text).start()
        | (XxHash64::oneshot(0, text.as_bytes()) & ((1 << TEXT_HASH_BITS) - 1))
}

/// The keys of texts of an attribute that begin with `start`; others may have them too.
pub(crate) fn text_keys(name: &str, start: &str) -> RangeInclusive<u64> {
    let hash = XxHash64::oneshot(0, name.as_bytes()) & 0xfff;
    let known = start.bytes().take(TEXT_BYTES);
    let value = known.fold(hash, |value, byte| (value << 8) | u64::from(byte));
    let num_open = 8 * TEXT_BYTES.saturating_sub(start.len());
    let num_open = num_open + TEXT_HASH_BITS;
    let first = ((Kind::Text as u64) << KIND_SHIFT) | (value << num_open);
    first..=first | ((1 << num_open) - 1)
}

/// The key of a number of an attribute; others may have it too.
pub(crate) fn number_value_key(name: &str, value: f64) -> u64 {
    let hash = XxHash64::oneshot(0, name.as_bytes()) & 0xffff;
    ((Kind::Number as u64) << KIND_SHIFT)
        | (hash << NUMBER_BITS)
        | (in_order(value) >> (u64::BITS - NUMBER_BITS))
}

/// The keys of numbers of an attribute from `low` to `high`, nothing for no limit; some that lie
/// beyond may have them too.
pub(crate) fn number_value_keys(
    name: &str,
    low: Option<f64>,
    high: Option<f64>,
) -> RangeInclusive<u64> {
    let low = low.unwrap_or(f64::NEG_INFINITY);
    let high = high.unwrap_or(f64::INFINITY);
    number_value_key(name, low)..=number_value_key(name, high)
}

/// Bits that are in the order of numbers.
const fn in_order(value: f64) -> u64 {
    // Minus zero is zero.
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_keys_in_order_that_tell_them_apart() {
        let key = |digits: &str| number_key(digits).0;
        assert!(key("7") < key("007") && key("007") < key("010"));
        assert_ne!(key("7"), key("07"));
        assert!(number_key("1234567890123456").1);
        assert!(!number_key("12345678901234567").1);
        assert_eq!(key("12345678901234567"), key("123456789012345699"));
        assert!(key(&"9".repeat(200)) < Kind::TraceId.key(b"x"));
    }

    #[test]
    fn prefix_covers_the_numbers_that_begin_so() {
        for prefix in ["1", "10", "007", "1234567890123456", "12345678901234567"] {
            let ranges = prefix_keys(prefix);
            let covers =
                |digits: &str| ranges.iter().any(|range| range.contains(&number_key(digits).0));
            for end in ["", "0", "9", "00", "512", "0000000000000000000"] {
                assert!(covers(&format!("{prefix}{end}")), "{prefix} {end}");
            }
            assert!(!covers("2") && !covers("11") && !covers("0071") || prefix != "10");
            assert!(!covers("2345"));
        }
    }

    #[test]
    fn keys_of_hexadecimal_words_are_in_the_order_of_their_beginnings() {
        let word = "6af3b2c19d";
        for length in 1..=word.len() {
            let (range, is_exact) = hex_prefix_keys(&word[..length]);
            assert!(length > 8 || range.contains(&hex_key(word)), "{length}");
            assert_eq!(range.contains(&hex_key("6af3b2c29d")), length < 8, "{length}");
            assert_eq!(is_exact, length <= 8);
        }
        assert!(hex_prefix_keys("6af3b2c19").0.contains(&hex_key(word)));
        assert!(hex_prefix_keys("0").0.start() > &Kind::Text.key(b"x"));
    }
    #[test]
    fn parts_of_numbers_are_seen_in_their_keys() {
        let numbers = ["0", "7", "007", "1234567", "9001", "1234567890123456", "00100"];
        for part in ["0", "7", "00", "234", "67", "456", "9001", "12345678901234567"] {
            for is_end in [false, true] {
                let test = number_test(part, is_end);
                let keys = keys_of_numbers(part.len());
                for number in numbers {
                    let has = if is_end { number.ends_with(part) } else { number.contains(part) };
                    let key = number_key(number).0;
                    assert_eq!(keys.contains(&key) && test(key), has, "{part} {number}");
                }
                let long = number_key("99999999999999999999").0;
                assert!(keys.contains(&long) && test(long));
            }
        }
        assert!(keys_of_numbers(1).end() < &Kind::TraceId.key(b"x"));
    }

    #[test]
    fn keys_of_texts_are_among_those_of_their_beginnings() {
        let text = "größer als alles";
        for length in [0, 1, 2, 4, 9] {
            assert!(text_keys("n", &text[..length]).contains(&text_key("n", text)), "{length}");
        }
        assert!(!text_keys("n", "gs").contains(&text_key("n", text)));
        assert!(!text_keys("m", "").contains(&text_key("n", text)));
        assert_ne!(text_key("n", text), text_key("n", "größer als nichts"));
    }

    #[test]
    fn keys_of_values_are_in_their_order() {
        let values = [f64::NEG_INFINITY, -1e300, -2.5, -0.1, 0.0, 1e-300, 0.1, 0.1001, 2.5, 1e300];
        let keys = values.map(|value| number_value_key("n", value));
        assert!(keys.is_sorted());
        assert_eq!(number_value_key("n", -0.0), number_value_key("n", 0.0));
        for (low, value) in values.iter().zip(values.iter().skip(1)) {
            for high in [Some(*value), None] {
                assert!(
                    number_value_keys("n", Some(*low), high)
                        .contains(&number_value_key("n", *value))
                );
            }
            assert!(
                number_value_keys("n", None, Some(*value)).contains(&number_value_key("n", *low))
            );
        }
        assert!(
            !number_value_keys("n", Some(0.1), Some(0.2)).contains(&number_value_key("m", 0.15))
        );
        assert!(
            !number_value_keys("n", Some(0.1), Some(0.2)).contains(&number_value_key("n", 0.21))
        );
    }
}
