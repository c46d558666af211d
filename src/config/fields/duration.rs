//! Durations in Go's notation.

use std::{fmt, str::FromStr, time};

use serde::{Deserialize, Deserializer, de};

use super::names;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Longest first, so that `ms` is not read as `m`.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3600 * NANOS_PER_SECOND),
];

/// A length of time, at most some 292 years, written as in Go: `300ms`, `1.5h`, `1h30m`, `0`.
///
/// A number without a unit is taken as nanoseconds, with a warning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(time::Duration);

impl Duration {
    /// No time.
    pub const ZERO: Self = Self(time::Duration::ZERO);

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(time::Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(time::Duration::from_millis(millis))
    }

    /// The same for the standard library.
    #[must_use]
    pub const fn get(self) -> time::Duration {
        self.0
    }

    /// Whether it is no time, which for many keys means "no limit".
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The same for the standard library, nothing when it is zero.
    #[must_use]
    pub const fn non_zero(self) -> Option<time::Duration> {
        if self.is_zero() { None } else { Some(self.0) }
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<time::Duration> for Duration {
    fn from(duration: time::Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for Duration {
    /// Writes `1h30m`, `300ms`, `0s`: every unit that is not zero, fractions of a second in the largest unit.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours > 0 {
            write!(out, "{hours}h")?;
        }
        if minutes > 0 {
            write!(out, "{minutes}m")?;
        }
        let is_empty = hours == 0 && minutes == 0;
        match (rest, nanos) {
            (0, 0) if !is_empty => Ok(()),
            (_, 0) => write!(out, "{rest}s"),
            (0, _) if is_empty && nanos % 1_000_000 == 0 => write!(out, "{}ms", nanos / 1_000_000),
            (0, _) if is_empty && nanos % 1_000 == 0 => write!(out, "{}us", nanos / 1_000),
            (0, _) if is_empty => write!(out, "{nanos}ns"),
            _ => {
                let fraction = format!("{nanos:09}");
                write!(out, "{rest}.{}s", fraction.trim_end_matches('0'))
            }
        }
    }
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// It is not written like one.
    #[error("`{text}` is not a duration such as `300ms`, `5s` or `1h30m`")]
    Malformed {
        /// What stands there.
        text: String,
    },
    /// It has no unit.
    #[error("`{text}` has no unit: write it like `{text}s` or `{text}ms`")]
    NoUnit {
        /// What stands there.
        text: String,
    },
    /// It is less than nothing.
    #[error("`{text}` is negative, a duration cannot be")]
    Negative {
        /// What stands there.
        text: String,
    },
    /// It does not fit into 64 bits of nanoseconds.
    #[error("`{text}` is longer than 292 years")]
    TooLong {
        /// What stands there.
        text: String,
    },
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let shown = || super::super::read_error::shortened(text);
        let malformed = || DurationError::Malformed { text: shown() };
        let too_long = || DurationError::TooLong { text: shown() };
        let (is_negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(malformed());
        }
        let mut nanos = 0_u64;
        while !rest.is_empty() {
            let number_end = rest.find(|char: char| !char.is_ascii_digit() && char != '.');
            let Some(number_end) = number_end else {
                return Err(DurationError::NoUnit { text: shown() });
            };
            let (number, after) = rest.split_at(number_end);
            let unit_end = after.find(|char: char| char.is_ascii_digit() || char == '.');
            let (unit, after) = after.split_at(unit_end.unwrap_or(after.len()));
            rest = after;
            let unit = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(malformed)?;
            let part = scaled(number, unit.1).ok_or_else(malformed)?.ok_or_else(too_long)?;
            nanos = nanos.checked_add(part).filter(fits).ok_or_else(too_long)?;
        }
        if is_negative && nanos > 0 {
            return Err(DurationError::Negative { text: shown() });
        }
        Ok(Self(time::Duration::from_nanos(nanos)))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(names::DURATION, DurationVisitor)
    }
}

struct DurationVisitor;

impl<'de> de::Visitor<'de> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a duration such as `300ms`, `5s` or `1h30m`")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Duration, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<Duration, E> {
        if !fits(&nanos) {
            return Err(E::custom(DurationError::TooLong { text: nanos.to_string() }));
        }
        Ok(Duration(time::Duration::from_nanos(nanos)))
    }

    fn visit_i64<E: de::Error>(self, nanos: i64) -> Result<Duration, E> {
        match u64::try_from(nanos) {
            Ok(nanos) => self.visit_u64(nanos),
            Err(_) => Err(E::custom(DurationError::Negative { text: nanos.to_string() })),
        }
    }
}

/// Go's durations are an `i64` of nanoseconds.
const fn fits(nanos: &u64) -> bool {
    *nanos <= i64::MAX as u64
}

/// `number` times `unit`, what is less than a nanosecond cut off.
///
/// Nothing if it is not a decimal number, nothing within if it does not fit.
fn scaled(number: &str, unit: u64) -> Option<Option<u64>> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: u64 = match whole {
        "" => 0,
        digits => match digits.parse() {
            Ok(whole) => whole,
            Err(_) => return Some(None),
        },
    };
    let (mut part, mut scale) = (0_u64, unit);
    for digit in fraction.bytes().take(18) {
        part = part.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        scale = scale.saturating_mul(1);
    }
    let divisor = 10_u128.pow(u32::try_from(fraction.len().min(18)).unwrap_or(18));
    let fraction = u128::from(part) * u128::from(scale) / divisor;
    let fraction = u64::try_from(fraction).ok();
    Some(whole.checked_mul(unit).zip(fraction).and_then(|(whole, part)| whole.checked_add(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Option<u128> {
        text.parse::<Duration>().ok().map(|duration| duration.get().as_nanos())
    }

    #[test]
    fn go_durations_are_read() {
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1h15m30.918273645s", 4_530_918_273_645),
            ("5us", 5_000),
            ("5µs", 5_000),
            ("5μs", 5_000),
            ("7ns", 7),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+5s", 5_000_000_000),
            ("-0s", 0),
            ("0.3333333333333333333h", 1_200_000_000_000 - 1),
            ("2562047h47m16.854775807s", i64::MAX as u128),
        ] {
            assert_eq!(nanos(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "s", ".s", "1", "5x", "1d", "5 s", "1..2s", "-", "5s3", "1e3s"] {
            assert_eq!(nanos(text), None, "{text}");
        }
        assert!(matches!("-5s".parse::<Duration>(), Err(DurationError::Negative { .. })));
        assert!(matches!("9999999h".parse::<Duration>(), Err(DurationError::TooLong { .. })));
        let long = format!("{}s", "9".repeat(100));
        assert!(matches!(long.parse::<Duration>(), Err(DurationError::TooLong { .. })));
        assert!(matches!("5".parse::<Duration>(), Err(DurationError::NoUnit { .. })));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (text, written) in [
            ("90m", "1h30m"),
            ("300ms", "300ms"),
            ("1.5s", "1.5s"),
            ("0", "0s"),
            ("61.25s", "1m1.25s"),
            ("5us", "5us"),
            ("7ns", "7ns"),
            ("1h0.5s", "1h0.5s"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.to_string(), written);
            assert_eq!(written.parse::<Duration>(), Ok(duration));
        }
    }
}
