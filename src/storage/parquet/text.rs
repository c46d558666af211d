//! Attribute values as text, and back, without loss.
//!
//! Text is as it is, and numbers, truth values, arrays and maps are JSON; doubles always have a
//! point or an exponent, which tells them from whole numbers. What JSON does not have is an object
//! of one entry whose name begins with `$`; a map whose own first name does is wrapped in one.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::data::wire::{Fields, Raw, Writer};
use crate::data::{Value, parse_hex, push_hex, push_json_str};

/// What stands for a value that is missing, in JSON.
const ABSENT_JSON: &str = "{\"$absent\":true}";

/// The bits of the usual `NaN`.
const NAN_BITS: u64 = f64::NAN.to_bits();

/// The kind of a value, as it stands in the columns of kinds: the number of the member of
/// `AnyValue` that is set.
pub(super) mod kind {
    /// There is no value at all.
    pub(in super::super) const ABSENT: u8 = 0;
    /// Text.
    pub(in super::super) const STRING: u8 = 1;
    /// A truth value.
    pub(in super::super) const BOOL: u8 = 2;
    /// A whole number.
    pub(in super::super) const INT: u8 = 3;
    /// A number.
    pub(in super::super) const DOUBLE: u8 = 4;
    /// A list of values.
    pub(in super::super) const ARRAY: u8 = 5;
    /// A list of names with values.
    pub(in super::super) const KVLIST: u8 = 6;
    /// Bytes.
    pub(in super::super) const BYTES: u8 = 7;
    /// A value in which nothing is set.
    pub(in super::super) const EMPTY: u8 = 8;
}

/// Why a text is not what a value was written as.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not the text of a value of kind {kind}")]
pub(super) struct TextError {
    text: String,
    kind: u8,
}

/// Appends the text of an encoded `AnyValue`; answers its kind. What is absent or empty has none.
#[inline]
pub(super) fn push_text(value: Option<&[u8]>, text: &mut Vec<u8>) -> u8 {
    let Some(message) = value else { return kind::ABSENT };
    // What most values are: one member that is short text.
    if let [0x0a, length, bytes @ ..] = message
        && *length < 0x80
        && usize::from(*length) == bytes.len()
    {
        text.extend_from_slice(bytes);
        return kind::STRING;
    }
    match Value::read(message) {
        Value::Empty => kind::EMPTY,
        Value::Str(value) => {
            text.extend_from_slice(value.as_bytes());
            kind::STRING
        }
        Value::Bool(value) => {
            text.extend_from_slice(if value { b"true" } else { b"false" });
            kind::BOOL
        }
        Value::Int(value) => {
            push_int(value, text);
            kind::INT
        }
        Value::Double(value) => {
            push_double(value, text);
            kind::DOUBLE
        }
        Value::Bytes(bytes) => {
            text.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            kind::BYTES
        }
        value @ (Value::Array(_) | Value::KvList(_)) => {
            let mut json = String::new();
            push_json(Some(message), &mut json);
            text.extend_from_slice(json.as_bytes());
            if matches!(value, Value::Array(_)) { kind::ARRAY } else { kind::KVLIST }
        }
    }
}

/// Writes the `AnyValue` that has this text.
pub(super) fn write_value(kind: u8, text: &str, writer: &mut Writer) -> Result<(), TextError> {
    let wrong = || TextError { text: text.to_owned(), kind };
    match kind {
        kind::EMPTY => {}
        kind::STRING => writer.str_field(1, text),
        kind::BOOL => writer.varint_field(2, u64::from(text == "true")),
        kind::INT => {
            let value: i64 = text.parse().map_err(|_| wrong())?;
            writer.varint_field(3, value.cast_unsigned());
        }
        kind::DOUBLE => writer.double_field(4, parse_double(text).ok_or_else(wrong)?),
        kind::BYTES => {
            writer.bytes_field(7, &STANDARD.decode(text).map_err(|_| wrong())?);
        }
        kind::ARRAY | kind::KVLIST => {
            write_json(text, writer).ok_or_else(wrong)?;
        }
        _ => return Err(wrong()),
    }
    Ok(())
}

/// Appends a whole number.
fn push_int(value: i64, text: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        let digit = u8::try_from(rest % 10).unwrap_or_default();
        if let Some(place) = digits.get_mut(start) {
            *place = b'0' + digit;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        text.push(b'-');
    }
    text.extend_from_slice(digits.get(start..).unwrap_or_default());
}

fn push_double(value: f64, text: &mut Vec<u8>) {
    if value.is_finite() {
        text.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        text.extend_from_slice(not_finite(value).as_bytes());
    }
}

/// `Infinity`, `-Infinity`, `NaN`, or `NaN:` with the bits of an unusual one.
fn not_finite(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let mut text = "NaN".to_owned();
    if value.to_bits() != NAN_BITS {
        text.push(':');
        push_hex(&value.to_bits().to_be_bytes(), &mut text);
    }
    text
}

fn parse_double(text: &str) -> Option<f64> {
    if let Some(bits) = text.strip_prefix("NaN:") {
        return parse_hex::<8>(bits).map(u64::from_be_bytes).map(f64::from_bits);
    }
    match text {
        "NaN" => Some(f64::NAN),
        _ => text.parse().ok(),
    }
}

/// Appends an encoded `AnyValue` as JSON.
fn push_json(value: Option<&[u8]>, text: &mut String) {
    let Some(message) = value else { return text.push_str(ABSENT_JSON) };
    match Value::read(message) {
        Value::Empty => text.push_str("null"),
        Value::Str(value) => push_json_str(value, text),
        Value::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        Value::Int(value) => text.push_str(&value.to_string()),
        Value::Double(value) if value.is_finite() => {
            text.push_str(ryu::Buffer::new().format_finite(value));
        }
        Value::Double(value) => {
            text.push_str("{\"$double\":\"");
            text.push_str(&not_finite(value));
            text.push_str("\"}");
        }
        Value::Bytes(bytes) => {
            text.push_str("{\"$bytes\":\"");
            STANDARD.encode_string(bytes, text);
            text.push_str("\"}");
        }
        Value::Array(array) => {
            text.push('[');
            let values = Fields::new(array.bytes()).filter(|field| field.number == 1);
            for (index, field) in values.enumerate() {
                if index > 0 {
                    text.push(',');
                }
                push_json(Some(field.bytes()), text);
            }
            text.push(']');
        }
        Value::KvList(list) => {
            let mut pairs = list.raw().map(split).peekable();
            let is_wrapped = pairs.peek().is_some_and(|(key, _)| key.starts_with(b"$"));
            text.push_str(if is_wrapped { "{\"$map\":{" } else { "{" });
            for (index, (key, value)) in pairs.enumerate() {
                if index > 0 {
                    text.push(',');
                }
                push_json_str(&String::from_utf8_lossy(key), text);
                text.push(':');
                push_json(value, text);
            }
            text.push_str(if is_wrapped { "}}" } else { "}" });
        }
    }
}

/// Name and value of an encoded `KeyValue`; the value may be missing.
#[inline]
pub(super) fn split(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    // What every encoder writes: the key, then the value, both short.
    if let [0x0a, key_length, rest @ ..] = pair
        && *key_length < 0x80
        && let Some((key, [0x12, value_length, value @ ..])) =
            rest.split_at_checked(usize::from(*key_length))
        && *value_length < 0x80
        && usize::from(*value_length) == value.len()
    {
        return (key, Some(value));
    }
    let mut key: &[u8] = &[];
    let mut value = None;
    for field in Fields::new(pair) {
        match (field.number, field.value) {
            (1, Raw::Bytes(bytes)) => key = bytes,
            (2, Raw::Bytes(bytes)) => value = Some(bytes),
            _ => {}
        }
    }
    (key, value)
}

/// Writes the members of an `AnyValue` from JSON; nothing if it is not what [`push_json`] writes.
fn write_json(json: &str, writer: &mut Writer) -> Option<()> {
    match json.as_bytes().first()? {
        b'n' => {}
        b't' | b'f' => writer.varint_field(2, u64::from(json == "true")),
        b'"' => writer.str_field(1, &serde_json::from_str::<String>(json).ok()?),
        b'[' => {
            let values: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let array = writer.begin(5);
            for value in values {
                let element = writer.begin(1);
                write_json(value.get(), writer)?;
                writer.end(element);
            }
            writer.end(array);
        }
        b'{' => write_object(json, writer)?,
        _ if json.contains(['.', 'e', 'E']) => writer.double_field(4, json.parse().ok()?),
        _ => writer.varint_field(3, json.parse::<i64>().ok()?.cast_unsigned()),
    }
    Some(())
}

fn write_object(json: &str, writer: &mut Writer) -> Option<()> {
    let Pairs(pairs) = serde_json::from_str(json).ok()?;
    let Some((name, value)) = pairs.first() else {
        writer.bytes_field(6, &[]);
        return Some(());
    };
    let text = |value: &RawValue| serde_json::from_str::<String>(value.get()).ok();
    match name.as_str() {
        "$double" => writer.double_field(4, parse_double(&text(value)?)?),
        "$bytes" => writer.bytes_field(7, &STANDARD.decode(text(value)?).ok()?),
        "$map" => {
            let Pairs(pairs) = serde_json::from_str(value.get()).ok()?;
            write_map(&pairs, writer)?;
        }
        name if name.starts_with('$') => return None,
        _ => write_map(&pairs, writer)?,
    }
    Some(())
}

fn write_map(pairs: &[(String, &RawValue)], writer: &mut Writer) -> Option<()> {
    let list = writer.begin(6);
    for (key, json) in pairs {
        let pair = writer.begin(1);
        writer.str_field(1, key);
        if json.get() != ABSENT_JSON {
            let value = writer.begin(2);
            write_json(json.get(), writer)?;
            writer.end(value);
        }
        writer.end(pair);
    }
    writer.end(list);
    Some(())
}

/// The entries of a JSON object in their order, repeated names included.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<'a>(PhantomData<&'a RawValue>);

impl<'de: 'a, 'a> Visitor<'de> for PairsVisitor<'a> {
    type Value = Pairs<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Pairs<'a>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = entries.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
