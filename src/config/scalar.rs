//! What a plain scalar means: YAML 1.2's core rules as the Collector's parser has them.

use super::Value;

/// The value of a scalar without quotes.
///
/// As in go-yaml v3: `yes` and `on` are strings, whole numbers may have `_`, and `0x`, `0o`, `0b` or a
/// leading `0` (octal).
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let starts_number =
        text.starts_with(|char: char| char.is_ascii_digit() || matches!(char, '+' | '-' | '.'));
    let number = if starts_number { int(text).or_else(|| float(text)) } else { None };
    number.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A whole number in any of its notations that fits into an `i64` or `u64`.
pub(super) fn int(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|char: char| char.is_ascii_digit()) || unsigned.ends_with('_') {
        return None;
    }
    let digits = unsigned.replace('_', "");
    let prefixed = |prefix: &str, radix| Some((digits.strip_prefix(prefix)?, radix));
    let (digits, radix) = prefixed("0x", 16)
        .or_else(|| prefixed("0X", 16))
        .or_else(|| prefixed("0o", 8))
        .or_else(|| prefixed("0b", 2))
        .or_else(|| prefixed("0", 8).filter(|(rest, _)| !rest.is_empty()))
        .unwrap_or((&digits, 10));
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let number = if text.starts_with('-') { -number } else { number };
    (number >= i128::from(i64::MIN)).then_some(Value::Int(number))
}

/// A decimal number: `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
pub(super) fn float(text: &str) -> Option<Value> {
    let allowed = |char: char| char.is_ascii_digit() || matches!(char, '+' | '-' | '.' | 'e' | 'E');
    if !text.chars().all(allowed) || !text.contains(|char: char| char.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        format!("{:?}", resolve(text))
    }

    #[test]
    fn scalars_have_the_types_of_the_core_schema() {
        for (text, value) in [
            ("", "Null"),
            ("~", "Null"),
            ("true", "Bool(true)"),
            ("False", "Bool(false)"),
            ("yes", "String(\"yes\")"),
            ("8080", "Int(8080)"),
            ("-5", "Int(-5)"),
            ("1_000", "Int(1000)"),
            ("0x1F", "Int(31)"),
            ("0o17", "Int(15)"),
            ("0123", "Int(83)"),
            ("0b101", "Int(5)"),
            ("18446744073709551615", "Int(18446744073709551615)"),
            ("1e3", "Float(1000.0)"),
            ("0.5", "Float(0.5)"),
            (".5", "Float(0.5)"),
            ("5.", "Float(5.0)"),
            ("089", "Float(89.0)"),
            (".inf", "Float(inf)"),
            ("1.2.3", "String(\"1.2.3\")"),
            ("5s", "String(\"5s\")"),
            ("-", "String(\"-\")"),
            (".", "String(\".\")"),
            ("+-5", "String(\"+-5\")"),
            ("0x+5", "String(\"0x+5\")"),
            ("2001-01-01", "String(\"2001-01-01\")"),
            ("nan", "String(\"nan\")"),
        ] {
            assert_eq!(shown(text), value, "{text}");
        }
    }
}
