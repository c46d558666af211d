//! Sizes in bytes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// A number of bytes: plain (`1048576`) or with a unit (`1MiB`, `10kb`, `1.5 GiB`).
///
/// Units do not depend on case: `k`, `kb` are thousands, `ki`, `kib` are 1024s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1024 * 1024 bytes.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// In bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In bytes, at most what memory can be addressed.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 > 0 && self.0.is_multiple_of(1 << shift) {
                return write!(out, "{}{unit}", self.0 >> shift);
            }
        }
        write!(out, "{}", self.0)
    }
}

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ByteSizeError {
    /// It is not written like one.
    #[error("`{text}` is not a size in bytes such as `1048576`, `1MiB` or `10kb`")]
    Malformed {
        /// What stands there.
        text: String,
    },
    /// It does not fit into 64 bits.
    #[error("`{text}` is too large")]
    TooLarge {
        /// What stands there.
        text: String,
    },
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let shown = || super::super::read_error::shortened(text);
        let malformed = || ByteSizeError::Malformed { text: shown() };
        let trimmed = text.trim();
        let number_end = trimmed.find(|char: char| !char.is_ascii_digit() && char != '.');
        let (number, unit) = trimmed.split_at(number_end.unwrap_or(trimmed.len()));
        let unit = unit_bytes(unit.trim_start()).ok_or_else(malformed)?;
        if let Ok(whole) = number.parse::<u64>() {
            let bytes = whole.checked_mul(unit);
            return bytes.map(Self).ok_or_else(|| ByteSizeError::TooLarge { text: shown() });
        }
        let is_number = number.starts_with(|char: char| char.is_ascii_digit());
        let number: f64 = number.parse().ok().filter(|_| is_number).ok_or_else(malformed)?;
        #[expect(clippy::cast_precision_loss, reason = "a unit is a small power")]
        let bytes = (number * unit as f64).round();
        #[expect(clippy::cast_precision_loss, reason = "the limit need not be exact")]
        if bytes >= u64::MAX as f64 {
            return Err(ByteSizeError::TooLarge { text: shown() });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is rounded, has no sign and is less than the largest"
        )]
        Ok(Self(bytes as u64))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl de::Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a size in bytes such as `1048576`, `1MiB` or `10kb`")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(bytes))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }
}

fn unit_bytes(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let prefix = unit.strip_suffix('b').unwrap_or(&unit);
    let bytes = match prefix {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "t" => 1_000_000_000_000,
        "p" => 1_000_000_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        "ti" => 1 << 40,
        "pi" => 1 << 50,
        _ => return None,
    };
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("1MiB", 1 << 20),
            ("1mib", 1 << 20),
            ("10kb", 10_000),
            ("10KiB", 10_240),
            ("5b", 5),
            ("1.5 GiB", 3 << 29),
            ("2Mi", 2 << 20),
            ("3g", 3_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "MiB", "-1", "1XB", ".5k", "1..5k", "1kk"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        let large = "99999999PiB".parse::<ByteSize>();
        assert!(matches!(large, Err(ByteSizeError::TooLarge { .. })));
        assert!("9999999999.5PiB".parse::<ByteSize>().is_err());
    }

    #[test]
    fn sizes_are_written_in_the_largest_whole_unit() {
        assert_eq!(ByteSize::mib(64).to_string(), "64MiB");
        assert_eq!(ByteSize::bytes(1500).to_string(), "1500");
        assert_eq!(ByteSize::bytes(0).to_string(), "0");
    }
}
