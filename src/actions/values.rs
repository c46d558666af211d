//! Values by other values: hashes and conversions.

use sha2::{Digest as _, Sha256};

use super::settings::Target;
use crate::data::Value;

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A hash in hexadecimal, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hash {
    digits: [u8; 64],
    len: usize,
}

impl Hash {
    /// The SHA-256 of text as it is, of a number's eight bytes with the lowest first (a double's
    /// by IEEE 754), of one byte 1 or 0 for a truth value. Other kinds have none.
    pub(super) fn of(value: Value<'_>) -> Self {
        let digest = match value {
            Value::Str(text) => Sha256::digest(text),
            Value::Bool(flag) => Sha256::digest([u8::from(flag)]),
            Value::Int(number) => Sha256::digest(number.to_le_bytes()),
            Value::Double(number) => Sha256::digest(number.to_bits().to_le_bytes()),
            Value::Empty | Value::Array(_) | Value::KvList(_) | Value::Bytes(_) => {
                return Self { digits: [0; 64], len: 0 };
            }
        };
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(digest) {
            let [high, low] = [byte >> 4, byte & 0xf].map(usize::from);
            pair.copy_from_slice(&[HEX_DIGITS[high], HEX_DIGITS[low]]);
        }
        Self { digits, len: digits.len() }
    }

    pub(super) fn as_str(&self) -> &str {
        let digits = self.digits.get(..self.len).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

/// The value as another type, if it is not of it and can be; text is put into `text`.
pub(super) fn converted<'t>(
    value: Value<'_>,
    target: Target,
    text: &'t mut String,
) -> Option<Value<'t>> {
    match target {
        Target::String => {
            if matches!(value, Value::Str(_)) {
                return None;
            }
            text.clear();
            value.push_text(text);
            Some(Value::Str(text))
        }
        Target::Int => match value {
            #[expect(clippy::cast_possible_truncation, reason = "that is asked for")]
            Value::Double(number) => Some(Value::Int(number as i64)),
            Value::Bool(flag) => Some(Value::Int(i64::from(flag))),
            Value::Str(text) => text.parse().ok().map(Value::Int),
            _ => None,
        },
        Target::Double => match value {
            #[expect(clippy::cast_precision_loss, reason = "that is asked for")]
            Value::Int(number) => Some(Value::Double(number as f64)),
            Value::Bool(flag) => Some(Value::Double(f64::from(u8::from(flag)))),
            Value::Str(text) => parse_double(text).map(Value::Double),
            _ => None,
        },
    }
}

/// A number that is too large is none; infinity is written as a word.
fn parse_double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    (!number.is_infinite() || !has_digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the Collector hashes of each type; digests by coreutils' `sha256sum`.
    #[test]
    fn hashes_are_those_of_the_collector() {
        for (value, digest) in [
            (Value::Str("foo"), "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"),
            (Value::Str(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (Value::Bool(true), "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"),
            (
                Value::Bool(false),
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            ),
            (Value::Int(24), "cbb032642036ec7043fa4529f06c9c9d8b12fa70ea6799a19ca8321a808d86fa"),
            (
                Value::Double(2.4),
                "df3022be03461368aa299f2f30d440fd3ca45c9b62af40733f10296a53d42859",
            ),
            (Value::Bytes(b"foo"), ""),
            (Value::Empty, ""),
        ] {
            assert_eq!(Hash::of(value).as_str(), digest, "{value:?}");
        }
    }

    #[test]
    fn values_are_converted_or_left() {
        let mut text = String::new();
        let mut check = |value, target, expected| {
            assert_eq!(converted(value, target, &mut text), expected, "{value:?} {target:?}");
        };
        check(Value::Str("123"), Target::Int, Some(Value::Int(123)));
        check(Value::Str("+5"), Target::Int, Some(Value::Int(5)));
        check(Value::Str("1.5"), Target::Int, None);
        check(Value::Str(" 1"), Target::Int, None);
        check(Value::Double(-2.9), Target::Int, Some(Value::Int(-2)));
        check(Value::Bool(true), Target::Int, Some(Value::Int(1)));
        check(Value::Int(1), Target::Int, None);
        check(Value::Bytes(b"1"), Target::Int, None);
        check(Value::Str("1.5e3"), Target::Double, Some(Value::Double(1500.0)));
        check(Value::Str("1e999"), Target::Double, None);
        check(Value::Str("-Inf"), Target::Double, Some(Value::Double(f64::NEG_INFINITY)));
        check(Value::Int(2), Target::Double, Some(Value::Double(2.0)));
        check(Value::Bool(false), Target::Double, Some(Value::Double(0.0)));
        check(Value::Double(1.0), Target::Double, None);
        check(Value::Int(-7), Target::String, Some(Value::Str("-7")));
        check(Value::Double(0.25), Target::String, Some(Value::Str("0.25")));
        check(Value::Bool(true), Target::String, Some(Value::Str("true")));
        check(Value::Bytes(b"hello"), Target::String, Some(Value::Str("aGVsbG8=")));
        check(Value::Empty, Target::String, Some(Value::Str("")));
        check(Value::Str("x"), Target::String, None);
    }
}
