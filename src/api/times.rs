//! Times in requests and answers.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a time may look like.
pub const EXPECTED: &str = "a time: RFC 3339 (`2026-11-24T15:00:00Z`), or Unix time in seconds, milliseconds, microseconds or nanoseconds";

/// Reads a time as Unix nanoseconds.
///
/// Whole numbers are seconds, milliseconds, microseconds or nanoseconds by their size, so that any
/// time from 1973 to 5138 can be told in each.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    if is_number && !text.get(1..).is_some_and(|rest| rest.contains('-')) {
        return number(text);
    }
    // A `+` of the offset that was not encoded came as a space.
    let text = text.trim().replace(' ', "+");
    let time = OffsetDateTime::parse(&text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos()).ok()
}

fn number(text: &str) -> Option<i64> {
    if let Some((seconds, fraction)) = text.split_once('.') {
        let seconds: i64 = seconds.parse().ok()?;
        let digits = format!("{fraction:0<9}");
        let nanos: i64 = digits.get(..9)?.parse().ok()?;
        let nanos = if text.starts_with('-') { -nanos } else { nanos };
        return seconds.checked_mul(1_000_000_000)?.checked_add(nanos);
    }
    let number: i64 = text.parse().ok()?;
    let unit = match number.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(unit)
}

/// A time as RFC 3339 with all its digits.
#[must_use]
pub fn show(nanos: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| nanos.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_unit() {
        const NANOS: i64 = 1_795_532_400_000_000_000;
        for text in [
            "2026-11-24T15:00:00Z",
            "2026-11-24T16:00:00+01:00",
            "2026-11-24T16:00:00 01:00",
            "1795532400",
            "1795532400.0",
            "1795532400000",
            "1795532400000000",
            "1795532400000000000",
        ] {
            assert_eq!(parse(text), Some(NANOS), "{text}");
        }
        assert_eq!(parse("1795532400.25"), Some(NANOS + 250_000_000));
        assert_eq!(parse("0"), Some(0));
        for text in ["", "yesterday", "2026-11-24", "1.2.3", "-", "99999999999999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_shown_with_all_digits() {
        assert_eq!(show(1_795_532_400_000_000_001), "2026-11-24T15:00:00.000000001Z");
        assert_eq!(show(0), "1970-01-01T00:00:00Z");
    }
}
