//! Numbers and quoted texts as Go's `strconv` writes and reads them.

use std::fmt::Write as _;

use super::{Answer, Refusal};

/// Writes a number as `strconv.FormatFloat(value, verb, precision, 64)`.
///
/// `verb` is one of `b`, `e`, `E`, `f`, `g`, `G`, `x`, `X`; without a precision, as few digits as
/// tell the number from others.
#[must_use]
pub fn format_float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match (verb, precision) {
        ('e' | 'E', Some(precision)) => {
            exponent_of_two_digits(&format!("{value:.precision$e}"), verb)
        }
        ('e' | 'E', None) => exponent_of_two_digits(&format!("{value:e}"), verb),
        ('f', Some(precision)) => format!("{value:.precision$}"),
        ('g' | 'G', _) => general(value, verb, precision),
        ('b', _) => binary(value),
        ('x' | 'X', _) => hexadecimal(value, verb, precision),
        _ => value.to_string(),
    }
}

/// Writes a number as Go's JSON encoder does: with an exponent only from 1e21 on and below 1e-6.
#[must_use]
pub fn json_float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) && value.is_finite() {
        let text = format_float(value, 'e', None);
        // e-09 becomes e-9.
        return match text.rsplit_once("e-0") {
            Some((digits, exponent)) => format!("{digits}e-{exponent}"),
            None => text,
        };
    }
    format_float(value, 'f', None)
}

/// `1.5e3` as `1.5e+03`.
fn exponent_of_two_digits(text: &str, verb: char) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{verb}{sign}{:02}", exponent.unsigned_abs())
}

fn general(value: f64, verb: char, precision: Option<usize>) -> String {
    let text = match precision {
        Some(precision) => format!("{value:.*e}", precision.max(1) - 1),
        None => format!("{value:e}"),
    };
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or_default();
    let digits = if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    };
    let num_digits = digits.bytes().filter(u8::is_ascii_digit).count();
    let count = i64::try_from(num_digits).unwrap_or(i64::MAX);
    let asked =
        precision.map_or(6, |precision| i64::try_from(precision.max(1)).unwrap_or(i64::MAX));
    let largest =
        if precision.is_some() && asked > count && count > exponent { count } else { asked };
    if exponent < -4 || exponent >= largest {
        let verb = if verb == 'G' { 'E' } else { 'e' };
        return exponent_of_two_digits(&format!("{digits}e{exponent}"), verb);
    }
    let decimals = usize::try_from(count - exponent - 1).unwrap_or_default();
    match precision {
        Some(_) => digits
            .parse::<f64>()
            .map_or_else(|_| value.to_string(), |_| positional(digits, exponent, decimals)),
        None => value.to_string(),
    }
}

/// Digits such as `-1.25` times ten to the `exponent`, without an exponent.
fn positional(digits: &str, exponent: i64, decimals: usize) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let plain: String = digits.chars().filter(char::is_ascii_digit).collect();
    if exponent < 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
        return format!("{sign}0.{}{plain}", "0".repeat(zeros));
    }
    let whole = usize::try_from(exponent + 1).unwrap_or_default();
    if decimals == 0 {
        return format!("{sign}{plain}{}", "0".repeat(whole.saturating_sub(plain.len())));
    }
    let (before, after) = plain.split_at_checked(whole).unwrap_or((&plain, ""));
    format!("{sign}{before}.{after}")
}

/// Sign, mantissa and binary exponent of a finite number.
fn parts(value: f64) -> (&'static str, u64, i64) {
    let bits = value.to_bits();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let fraction = bits & ((1 << 52) - 1);
    let exponent = i64::try_from((bits >> 52) & 0x7ff).unwrap_or_default();
    match exponent {
        0 => (sign, fraction, -1074),
        _ => (sign, fraction | (1 << 52), exponent - 1075),
    }
}

fn binary(value: f64) -> String {
    let (sign, mantissa, exponent) = parts(value);
    format!("{sign}{mantissa}p{exponent:+}")
}

fn hexadecimal(value: f64, verb: char, precision: Option<usize>) -> String {
    let (sign, mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = 0;
    } else {
        exponent += 60;
        while mantissa & (1 << 60) == 0 {
            mantissa <<= 1;
            exponent -= 1;
        }
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let shift = u32::try_from(precision * 4).unwrap_or_default();
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        Some(precision) => format!("{fraction:0<precision$}").chars().take(precision).collect(),
        None => fraction.trim_end_matches('0').to_owned(),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    let exponent = exponent.unsigned_abs();
    let text = format!("{sign}0x{}{point}{fraction}p{exponent_sign}{exponent:02}", mantissa >> 60);
    if verb == 'X' { text.to_uppercase() } else { text }
}

/// Reads a number as `strconv.ParseFloat(text, 64)`.
///
/// Underscores between digits are skipped. Nothing if it is no number or out of range.
#[must_use]
pub fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.starts_with("0x") || unsigned.starts_with("0X") {
        return parse_hexadecimal(text);
    }
    if text.contains('_') {
        let is_between =
            |(before, after): (char, char)| before.is_ascii_digit() && after.is_ascii_digit();
        let is_right = text.char_indices().filter(|(_, letter)| *letter == '_').all(|(at, _)| {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let after = text.get(at + 1..).and_then(|text| text.chars().next());
            before.zip(after).is_some_and(is_between)
        });
        return if is_right { parse_float(&text.replace('_', "")) } else { None };
    }
    let is_word = unsigned.starts_with(|letter: char| letter.is_ascii_alphabetic());
    let value: f64 = text.parse().ok()?;
    (is_word || value.is_finite()).then_some(value)
}

/// `-0x1.8p+3`.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = text.get(2..)?.split_once(['p', 'P'])?;
    let mut exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 13 {
        return None;
    }
    let mantissa = u64::from_str_radix(&digits, 16).ok()?;
    exponent = exponent.checked_sub(i32::try_from(fraction.len() * 4).ok()?)?;
    #[expect(clippy::cast_precision_loss, reason = "13 hexadecimal digits fit in a double")]
    let value = mantissa as f64 * 2f64.powi(exponent);
    value.is_finite().then_some(if is_negative { -value } else { value })
}

/// Reads a whole number as `strconv.ParseInt(text, base, 64)`.
///
/// Base 0 takes the base from the prefix (`0b`, `0`, `0o`, `0x`) and allows underscores between
/// digits.
///
/// # Errors
///
/// Fails where Go does: for what is no number, is out of range, or has no such base.
pub fn parse_int(text: &str, base: i64) -> Answer<i64> {
    let refuse = |reason: &str| {
        Refusal::new(format!("{} is not a whole number: {reason}", quote(text, false)))
    };
    if base < 0 {
        return Err(Refusal::new(format!(
            "invalid base {base} for `{text}`: base must be 0 or 2 to 36"
        )));
    }
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match base {
        0 => implied_base(digits).ok_or_else(|| refuse("invalid syntax"))?,
        2..=36 => (u32::try_from(base).unwrap_or(10), digits.to_owned()),
        _ => return Err(refuse(&format!("there is no base {base}"))),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return Err(refuse("invalid syntax"));
    }
    let signed = if is_negative { format!("-{digits}") } else { digits };
    i64::from_str_radix(&signed, base).map_err(|_| refuse("value out of range"))
}

/// The base of a prefix, and the digits after it without underscores.
fn implied_base(text: &str) -> Option<(u32, String)> {
    let lower = text.to_ascii_lowercase();
    let (base, digits, has_prefix) = if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits, true)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits, true)
    } else if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits, true)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.strip_prefix('0')?, true)
    } else {
        (10, &*lower, false)
    };
    let misplaced =
        digits.ends_with('_') || digits.contains("__") || (!has_prefix && digits.starts_with('_'));
    (!misplaced).then(|| (base, digits.replace('_', "")))
}

/// Whether Go prints the letter as it is.
#[must_use]
pub fn is_printable(letter: char) -> bool {
    match letter {
        ' '..='~' => true,
        '\u{ad}' => false,
        _ if letter.is_control() => false,
        _ => {
            let mut text = String::from('a');
            text.push(letter);
            let is_other_space = letter.is_whitespace();
            !is_other_space && text.escape_debug().nth(1) == Some(letter)
        }
    }
}

/// Quotes a text as `strconv.Quote`, or as `strconv.QuoteToASCII`.
#[must_use]
pub fn quote(text: &str, ascii_only: bool) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        push_escaped(&mut quoted, letter, '"', ascii_only);
    }
    quoted.push('"');
    quoted
}

/// Quotes a letter as `strconv.QuoteRune`, or as `strconv.QuoteRuneToASCII`.
#[must_use]
pub fn quote_letter(letter: char, ascii_only: bool) -> String {
    let mut quoted = String::from('\'');
    push_escaped(&mut quoted, letter, '\'', ascii_only);
    quoted.push('\'');
    quoted
}

fn push_escaped(quoted: &mut String, letter: char, quote: char, ascii_only: bool) {
    let short = match letter {
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        _ if letter == quote || letter == '\\' => letter,
        _ if is_printable(letter) && (letter.is_ascii() || !ascii_only) => {
            quoted.push(letter);
            return;
        }
        _ => {
            let code = u32::from(letter);
            let written = match code {
                0..0x80 => write!(quoted, "\\x{code:02x}"),
                0x80..0x1_0000 => write!(quoted, "\\u{code:04x}"),
                _ => write!(quoted, "\\U{code:08x}"),
            };
            debug_assert!(written.is_ok(), "a String takes all");
            return;
        }
    };
    quoted.push('\\');
    quoted.push(short);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go 1.26 prints for `strconv.FormatFloat(v, 'g', -1, 64)`.
    const SHORTEST: &[(f64, &str)] = &[
        (0.0, "0"),
        (-1.0, "-1"),
        (1.5, "1.5"),
        (100_000.0, "100000"),
        (1_000_000.0, "1e+06"),
        (123_456_789.0, "1.23456789e+08"),
        (1e20, "1e+20"),
        (1.23e-4, "0.000123"),
        (1.23e-5, "1.23e-05"),
        (1.0 / 3.0, "0.3333333333333333"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (1234.5678, "1234.5678"),
    ];

    #[test]
    fn writes_the_shortest_form_as_go() {
        for (value, text) in SHORTEST {
            assert_eq!(format_float(*value, 'g', None), *text);
            assert_eq!(parse_float(text), Some(*value));
        }
    }

    #[test]
    fn writes_json_numbers_as_go() {
        // encoding/json: exponents from 1e21 on and below 1e-6.
        assert_eq!(json_float(1e20), "100000000000000000000");
        assert_eq!(json_float(1e21), "1e+21");
        assert_eq!(json_float(1e-7), "1e-7");
        assert_eq!(json_float(0.000_001), "0.000001");
        assert_eq!(json_float(1.0), "1");
    }

    #[test]
    fn reads_integers_as_documented() {
        // From the Collector's documentation of ParseInt.
        let cases = [
            ("0b1111_0000", 0, 240),
            ("0b10110", 0, 22),
            ("0xFF", 0, 255),
            ("-0xFF", 0, -255),
            ("-0o123", 0, -83),
            ("12345", 10, 12345),
            ("0xAA", 0, 170),
            ("AA", 16, 170),
            ("-20", 8, -16),
            ("+5", 10, 5),
            ("010", 0, 8),
            ("0", 0, 0),
            ("0_7", 0, 7),
            ("-9223372036854775808", 10, i64::MIN),
        ];
        for (text, base, number) in cases {
            assert_eq!(parse_int(text, base), Ok(number), "{text} in base {base}");
        }
        let wrong = [
            ("", 10),
            ("notANumber", 10),
            ("1_000", 10),
            ("0xAA", 10),
            ("9", 8),
            ("1", -1),
            ("1", 1),
            ("1", 37),
            ("9223372036854775808", 10),
            ("1__0", 0),
            ("_1", 0),
            ("--1", 10),
            ("08", 0),
        ];
        for (text, base) in wrong {
            assert!(parse_int(text, base).is_err(), "{text} in base {base}");
        }
    }

    #[test]
    fn reads_floats_as_go() {
        assert_eq!(parse_float("1.5e3"), Some(1500.0));
        assert_eq!(parse_float("0x1.8p+1"), Some(3.0));
        assert_eq!(parse_float("+Inf"), Some(f64::INFINITY));
        assert_eq!(parse_float("infinity"), Some(f64::INFINITY));
        assert_eq!(parse_float("1e400"), None);
        assert_eq!(parse_float("1_0"), Some(10.0));
        assert_eq!(parse_float("1__0"), None);
        assert_eq!(parse_float(" 1"), None);
        assert_eq!(parse_float(""), None);
    }

    #[test]
    fn quotes_as_go() {
        // Go 1.26: fmt.Sprintf("%q", …).
        assert_eq!(quote("a\"b\n\u{2603}\0\u{e9}", false), "\"a\\\"b\\n\u{2603}\\x00\u{e9}\"");
        assert_eq!(quote("\u{2603}", true), "\"\\u2603\"");
        assert_eq!(quote_letter('\u{1f600}', true), "'\\U0001f600'");
        assert_eq!(quote_letter('\n', false), "'\\n'");
        assert_eq!(quote("e\u{301}", false), "\"e\u{301}\"");
    }
}
