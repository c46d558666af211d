//! Values as text: plain for single values, JSON for arrays and maps.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smallvec::SmallVec;

use super::attributes::Attributes;
use super::value::Value;

/// Maps of more entries are searched for repeated names by a table.
const MAX_SCAN: usize = 32;
/// Below this, and from [`LARGE`] up, doubles are written with an exponent, as ECMAScript does.
const SMALL: f64 = 1e-6;
/// See [`SMALL`].
const LARGE: f64 = 1e21;

impl<'a> Value<'a> {
    /// The value as text, as the Collector's `AsString`: text as it is, `true`, `42`, `1.5`, JSON
    /// for arrays and maps, Base64 for bytes, nothing for no value.
    #[must_use]
    pub fn to_text(&self) -> Cow<'a, str> {
        match self {
            Self::Empty => Cow::Borrowed(""),
            Self::Str(text) => Cow::Borrowed(text),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            _ => {
                let mut text = String::new();
                self.push_text(&mut text);
                Cow::Owned(text)
            }
        }
    }

    /// Appends [`Value::to_text`] to `text`.
    pub fn push_text(&self, text: &mut String) {
        match self {
            Self::Empty => {}
            Self::Str(value) => text.push_str(value),
            Self::Bytes(bytes) => STANDARD.encode_string(bytes, text),
            Self::Double(number) => push_double(*number, text),
            _ => self.push_json(text),
        }
    }

    /// Appends the value as JSON: bytes as Base64 text, `NaN` and the infinities as text, no value
    /// as `null`. Maps keep their order; of a name that is there twice the last value is written.
    pub fn push_json(&self, text: &mut String) {
        match self {
            Self::Empty => text.push_str("null"),
            Self::Str(value) => push_json_str(value, text),
            Self::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
            Self::Int(number) => push_display(number, text),
            Self::Double(number) if number.is_finite() => push_double(*number, text),
            Self::Double(number) => {
                text.push('"');
                push_double(*number, text);
                text.push('"');
            }
            Self::Array(array) => {
                text.push('[');
                for (index, value) in array.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    value.push_json(text);
                }
                text.push(']');
            }
            Self::KvList(list) => list.push_json(text),
            Self::Bytes(bytes) => {
                text.push('"');
                STANDARD.encode_string(bytes, text);
                text.push('"');
            }
        }
    }
}

impl Attributes<'_> {
    /// Appends the attributes as a JSON object; see [`Value::push_json`].
    pub fn push_json(&self, text: &mut String) {
        text.push('{');
        let pairs: SmallVec<[(&str, Value<'_>); 16]> = self.iter().collect();
        let mut seen = HashSet::new();
        // From the back, for the last of a name counts; a list that is short needs no table.
        let mut is_last: SmallVec<[bool; 16]> = SmallVec::from_elem(true, pairs.len());
        for (index, (key, _)) in pairs.iter().enumerate().rev() {
            let later = pairs.get(index + 1..).unwrap_or_default();
            let is_new = if pairs.len() > MAX_SCAN {
                seen.insert(*key)
            } else {
                later.iter().all(|(other, _)| other != key)
            };
            if let Some(flag) = is_last.get_mut(index) {
                *flag = is_new;
            }
        }
        let kept = pairs.iter().zip(is_last).filter(|(_, is_last)| *is_last);
        for (index, ((key, value), _)) in kept.enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_json_str(key, text);
            text.push(':');
            value.push_json(text);
        }
        text.push('}');
    }
}

/// Appends a JSON string.
pub fn push_json_str(value: &str, text: &mut String) {
    text.push('"');
    let mut rest = value;
    while let Some(index) =
        rest.bytes().position(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'))
    {
        let Some((plain, special)) = rest.split_at_checked(index) else { break };
        text.push_str(plain);
        let mut characters = special.chars();
        match characters.next() {
            Some('"') => text.push_str("\\\""),
            Some('\\') => text.push_str("\\\\"),
            Some('\n') => text.push_str("\\n"),
            Some('\r') => text.push_str("\\r"),
            Some('\t') => text.push_str("\\t"),
            Some(other) => push_display(format_args!("\\u{:04x}", u32::from(other)), text),
            None => {}
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
    text.push('"');
}

/// Appends a double as ECMAScript writes it; `NaN`, `Infinity`, `-Infinity` where it has no digits.
pub fn push_double(number: f64, text: &mut String) {
    let size = number.abs();
    if number.is_nan() {
        text.push_str("NaN");
    } else if number.is_infinite() {
        text.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
    } else if size != 0.0 && !(SMALL..LARGE).contains(&size) {
        let scientific = format!("{number:e}");
        match scientific.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                push_display(format_args!("{digits}e+{exponent}"), text);
            }
            _ => text.push_str(&scientific),
        }
    } else {
        push_display(number, text);
    }
}

fn push_display(value: impl std::fmt::Display, text: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(text, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::wire::Writer;
    use crate::data::{Array, write_attribute};

    #[test]
    fn single_values_are_plain_text() {
        assert_eq!(Value::Str("a \"b\"").to_text(), "a \"b\"");
        assert_eq!(Value::Bool(true).to_text(), "true");
        assert_eq!(Value::Int(-42).to_text(), "-42");
        assert_eq!(Value::Bytes(b"hello").to_text(), "aGVsbG8=");
        assert_eq!(Value::Empty.to_text(), "");
    }

    #[test]
    fn doubles_are_written_as_the_collector_writes_them() {
        for (number, expected) in [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (0.000_001, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(Value::Double(number).to_text(), expected);
        }
    }

    #[test]
    fn arrays_and_maps_are_json() {
        let mut array = Writer::default();
        Value::Int(1).write_field(1, &mut array);
        Value::Str("x\n\u{1}é").write_field(1, &mut array);
        Value::Empty.write_field(1, &mut array);
        Value::Double(f64::NAN).write_field(1, &mut array);
        let mut map = Writer::default();
        write_attribute(1, "a", Value::Int(0), &mut map);
        write_attribute(1, "b", Value::Array(Array::of_encoded(array.as_slice())), &mut map);
        write_attribute(1, "a", Value::Bytes(&[0]), &mut map);
        let value = Value::KvList(Attributes::of_kvlist(map.as_slice()));
        assert_eq!(value.to_text(), r#"{"b":[1,"x\n\u0001é",null,"NaN"],"a":"AA=="}"#);
    }
}
