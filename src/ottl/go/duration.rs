//! Lengths of time as Go's `time.Duration` is read and written.

use super::{Answer, Refusal};

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads nanoseconds as `time.ParseDuration`: `1h15m30.918s`, `-1.5h`, `300ms`.
///
/// # Errors
///
/// Fails for what is no duration or longer than 292 years.
pub fn parse_duration(text: &str) -> Answer<i64> {
    let refuse = |reason: &str| Refusal::new(format!("`{text}` is not a duration: {reason}"));
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(refuse("it has no number"));
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanos, after) = parse_part(rest).map_err(refuse)?;
        rest = after;
        total = total.checked_add(nanos).ok_or_else(|| refuse("it is too long"))?;
    }
    let negated = 0i64.checked_sub_unsigned(total).ok_or_else(|| refuse("it is too long"))?;
    if is_negative {
        return Ok(negated);
    }
    negated.checked_neg().ok_or_else(|| refuse("it is too long"))
}

/// One number with its unit, and what follows.
fn parse_part(text: &str) -> Result<(u64, &str), &'static str> {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err("it has no number");
    }
    if fraction.contains('.') {
        return Err("it has two points");
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
    let scale = scale.ok_or("a number needs one of the units ns, us, ms, s, m, h")?;
    let whole = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| "it is too long")? };
    let nanos = scale.checked_mul(whole).ok_or("it is too long")?;
    Ok((nanos.checked_add(part_of(fraction, scale)).ok_or("it is too long")?, rest))
}

/// The digits after a point, of a unit.
fn part_of(fraction: &str, scale: u64) -> u64 {
    // More digits than these change nothing.
    let digits: String = fraction.chars().take(18).collect();
    let power = u32::try_from(digits.len()).unwrap_or_default();
    let value = digits.parse::<u128>().unwrap_or_default() * u128::from(scale);
    u64::try_from(value / 10u128.pow(power)).unwrap_or_default()
}

/// Writes nanoseconds as `time.Duration.String`: `1h15m30.918s`, `1.5ms`, `0s`.
#[must_use]
pub fn format_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let small = [("ns", 1), ("\u{b5}s", 1_000), ("ms", 1_000_000)];
    if size == 0 {
        return "0s".to_owned();
    }
    if size < 1_000_000_000 {
        let (unit, scale) =
            small.into_iter().rfind(|(_, scale)| size >= *scale).unwrap_or(small[0]);
        return format!("{sign}{}{unit}", decimal(size, scale));
    }
    let seconds = decimal(size % 60_000_000_000, 1_000_000_000);
    let minutes = size / 60_000_000_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / scale`, exactly; `scale` is a power of ten.
fn decimal(value: u64, scale: u64) -> String {
    let (whole, part) = (value / scale, value % scale);
    if part == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let digits = format!("{part:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_as_go() {
        // Go's documentation of time.ParseDuration and Duration.String, and the Collector's examples.
        let cases = [
            ("3s", 3_000_000_000, "3s"),
            ("333ms", 333_000_000, "333ms"),
            ("1000000h", 3_600_000_000_000_000_000, "1000000h0m0s"),
            ("1h15m30.918s", 4_530_918_000_000, "1h15m30.918s"),
            ("-1.5h", -5_400_000_000_000, "-1h30m0s"),
            ("2h45m", 9_900_000_000_000, "2h45m0s"),
            ("300ms", 300_000_000, "300ms"),
            ("1.5us", 1_500, "1.5\u{b5}s"),
            ("0", 0, "0s"),
            (".5s", 500_000_000, "500ms"),
            ("5.s", 5_000_000_000, "5s"),
            ("-9223372036854775808ns", i64::MIN, "-2562047h47m16.854775808s"),
        ];
        for (text, nanos, written) in cases {
            assert_eq!(parse_duration(text), Ok(nanos), "{text}");
            assert_eq!(format_duration(nanos), written);
            assert_eq!(parse_duration(written), Ok(nanos), "{written}");
        }
        for wrong in ["", "3", "s", "-", "1x", "1.2.3s", "9223372036854775808ns", "3 s", ".s", "1d"]
        {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
