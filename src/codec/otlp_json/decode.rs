//! JSON to OTLP bytes, in one pass and without a tree in between.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::JsonError;
use super::schema::{self, FieldSpec, Kind, Presence, Schema};
use crate::data::Signal;
use crate::data::wire::Writer;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads an export request of `signal` in OTLP's JSON form and writes it as protobuf.
///
/// Keys may be in lowerCamelCase or as in the `.proto` file, enumerations numbers or names, numbers
/// of 64 bits strings or numbers; unknown keys are passed over and null means not there. A key that
/// comes twice and anything after the end are errors.
///
/// # Errors
///
/// Fails when it is not JSON, or a value is not of its field's type; says where.
pub fn decode(signal: Signal, text: &[u8]) -> Result<Bytes, JsonError> {
    // Protobuf is about half as long.
    let mut out = Writer::with_capacity(text.len() / 2);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    MessageSeed { schema: schema::request(signal), out: &mut out }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|source| JsonError { source })?;
    Ok(out.into_bytes())
}

/// Reads a message's fields and writes them.
struct MessageSeed<'a> {
    schema: &'static Schema,
    out: &'a mut Writer,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0_u32;
        // Keys mostly come in the order of the fields.
        let mut next = 0;
        while let Some(found) = map.next_key_seed(KeySeed { schema: self.schema, next })? {
            let Some(index) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &self.schema.fields[index];
            if seen & (1 << index) != 0 {
                return Err(de::Error::duplicate_field(field.name));
            }
            seen |= 1 << index;
            next = index + 1;
            map.next_value_seed(FieldSeed { field, out: &mut *self.out })?;
        }
        Ok(())
    }
}

/// Finds the field that a key names; `None`: a key that is not known.
struct KeySeed {
    schema: &'static Schema,
    next: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let count = self.schema.fields.len();
        let found = (self.next..count)
            .chain(0..self.next.min(count))
            .find(|index| self.schema.fields[*index].is_called(key));
        Ok(found)
    }
}

/// Reads a field's value or values.
struct FieldSeed<'a> {
    field: &'static FieldSpec,
    out: &'a mut Writer,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.field.presence == Presence::Repeated {
            return deserializer.deserialize_any(ListVisitor { field: self.field, out: self.out });
        }
        let is_zero_written = self.field.presence == Presence::Explicit;
        let place = Place::Field { number: self.field.number, is_zero_written };
        ValueSeed { field: self.field, place, out: self.out }.deserialize(deserializer)
    }
}

/// Reads the values of a repeated field.
struct ListVisitor<'a> {
    field: &'static FieldSpec,
    out: &'a mut Writer,
}

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an array for `{}`", self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let number = self.field.number;
        let is_packed = matches!(self.field.kind, Kind::Fixed64 | Kind::Uint64 | Kind::Double);
        let mark = is_packed.then(|| self.out.begin(number));
        let place = if is_packed { Place::Packed } else { Place::Element { number } };
        while list
            .next_element_seed(ValueSeed { field: self.field, place, out: &mut *self.out })?
            .is_some()
        {}
        if let Some(mark) = mark {
            self.out.end(mark);
        }
        Ok(())
    }
}

/// Where a value is written to.
#[derive(Clone, Copy)]
enum Place {
    /// A field that is there once.
    Field { number: u32, is_zero_written: bool },
    /// One of a repeated field, with a tag of its own.
    Element { number: u32 },
    /// One of many without tags.
    Packed,
}

/// Reads one value.
struct ValueSeed<'a> {
    field: &'static FieldSpec,
    place: Place,
    out: &'a mut Writer,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ValueSeed<'_> {
    fn wrong<E: de::Error>(&self, found: de::Unexpected<'_>) -> E {
        E::invalid_type(found, &self.field)
    }

    fn invalid<E: de::Error>(&self, found: &str) -> E {
        E::invalid_value(de::Unexpected::Str(found), &self.field)
    }

    fn number(&self) -> Option<u32> {
        match self.place {
            Place::Field { number, .. } | Place::Element { number } => Some(number),
            Place::Packed => None,
        }
    }

    const fn leaves_out_zero(&self) -> bool {
        matches!(self.place, Place::Field { is_zero_written: false, .. })
    }

    /// Writes a number that fits its field, given as its bits.
    fn write_bits(&mut self, bits: u64) {
        if bits == 0 && self.leaves_out_zero() {
            return;
        }
        match (self.field.kind, self.number()) {
            (Kind::Fixed64 | Kind::Sfixed64 | Kind::Double, Some(number)) => {
                self.out.fixed64_field(number, bits);
            }
            (Kind::Fixed64 | Kind::Sfixed64 | Kind::Double, None) => {
                self.out.raw(&bits.to_le_bytes());
            }
            (Kind::Fixed32, Some(number)) => {
                self.out.fixed32_field(number, u32::try_from(bits).unwrap_or(u32::MAX));
            }
            (_, Some(number)) => self.out.varint_field(number, bits),
            (_, None) => self.out.varint(bits),
        }
    }

    /// Writes a whole number, if it is in the field's range.
    fn write_integer<E: de::Error>(mut self, value: i128) -> Result<(), E> {
        let out_of_range = || {
            let found = value.to_string();
            E::custom(format!("`{}` is out of range: {found}", self.field.name))
        };
        let bits = match self.field.kind {
            Kind::Uint32 | Kind::Fixed32 => {
                u64::from(u32::try_from(value).map_err(|_| out_of_range())?)
            }
            Kind::Sint32 => {
                let value = i32::try_from(value).map_err(|_| out_of_range())?;
                u64::from(((value << 1) ^ (value >> 31)).cast_unsigned())
            }
            Kind::Enum(_) => {
                let value = i32::try_from(value).map_err(|_| out_of_range())?;
                i64::from(value).cast_unsigned()
            }
            Kind::Uint64 | Kind::Fixed64 => u64::try_from(value).map_err(|_| out_of_range())?,
            Kind::Int64 | Kind::Sfixed64 => {
                i64::try_from(value).map_err(|_| out_of_range())?.cast_unsigned()
            }
            #[expect(clippy::cast_precision_loss, reason = "as JSON numbers are read")]
            Kind::Double => (value as f64).to_bits(),
            _ => return Err(self.wrong(de::Unexpected::Other("number"))),
        };
        self.write_bits(bits);
        Ok(())
    }

    fn write_float<E: de::Error>(mut self, value: f64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) {
            self.write_bits(value.to_bits());
            return Ok(());
        }
        // Such as `1e3`, which is a whole number written differently.
        const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() != 0.0 || value.abs() > LARGEST_EXACT {
            return Err(self.wrong(de::Unexpected::Float(value)));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        let whole = value as i64;
        self.write_integer(i128::from(whole))
    }

    fn write_payload(&mut self, payload: &[u8]) {
        if payload.is_empty() && self.leaves_out_zero() {
            return;
        }
        if let Some(number) = self.number() {
            self.out.bytes_field(number, payload);
        }
    }
}

impl de::Expected for &FieldSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Str => write!(formatter, "a string")?,
            Kind::Bytes => write!(formatter, "base64")?,
            Kind::Id(size) => write!(formatter, "{} hexadecimal digits", 2 * size)?,
            Kind::Bool => write!(formatter, "true or false")?,
            Kind::Double => write!(formatter, "a number")?,
            Kind::Enum(_) => write!(formatter, "a number or name of the enumeration")?,
            Kind::Message(_) => write!(formatter, "an object")?,
            _ => write!(formatter, "a whole number")?,
        }
        write!(formatter, " for `{}`", self.name)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        de::Expected::fmt(&self.field, formatter)
    }

    fn visit_unit<E: de::Error>(mut self) -> Result<(), E> {
        // In a list something has to stand for it, or what follows would move up.
        match (self.place, self.field.kind) {
            (Place::Field { .. }, _) => Ok(()),
            (_, Kind::Message(_)) => {
                self.write_payload(&[]);
                Ok(())
            }
            _ => Err(self.wrong(de::Unexpected::Unit)),
        }
    }

    fn visit_bool<E: de::Error>(mut self, value: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(self.wrong(de::Unexpected::Bool(value)));
        }
        self.write_bits(u64::from(value));
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.write_integer(i128::from(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.write_integer(i128::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.write_float(value)
    }

    fn visit_str<E: de::Error>(mut self, value: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::Str => self.write_payload(value.as_bytes()),
            Kind::Bytes => {
                // The URL-safe alphabet is also valid JSON mapping.
                let standard = value.replace('-', "+").replace('_', "/");
                let payload = BASE64.decode(standard).map_err(|_| self.invalid(value))?;
                self.write_payload(&payload);
            }
            Kind::Id(size) => {
                let mut id = [0; 16];
                let length = hexadecimal(value, &mut id).ok_or_else(|| self.invalid(value))?;
                if length != 0 && length != size {
                    return Err(self.invalid(value));
                }
                self.write_payload(&id[..length]);
            }
            Kind::Double => {
                let value = match value {
                    "NaN" => f64::NAN,
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    number => number.parse().map_err(|_| self.invalid(value))?,
                };
                self.write_bits(value.to_bits());
            }
            Kind::Enum(names) => {
                let known = names.iter().position(|name| *name == value);
                let number = match known {
                    Some(index) => i128::try_from(index).map_err(|_| self.invalid(value))?,
                    None => value.parse().map_err(|_| self.invalid(value))?,
                };
                return self.write_integer(number);
            }
            Kind::Bool | Kind::Message(_) => {
                return Err(self.wrong(de::Unexpected::Str(value)));
            }
            _ => {
                if let Ok(number) = value.parse::<i128>() {
                    return self.write_integer(number);
                }
                let number = value.parse().map_err(|_| self.invalid(value))?;
                return self.write_float(number);
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let (Kind::Message(schema), Some(number)) = (self.field.kind, self.number()) else {
            return Err(self.wrong(de::Unexpected::Map));
        };
        let mark = self.out.begin(number);
        MessageSeed { schema, out: &mut *self.out }.visit_map(map)?;
        self.out.end(mark);
        Ok(())
    }
}

/// The bytes that hexadecimal digits stand for, at most 16; how many they are.
fn hexadecimal(digits: &str, bytes: &mut [u8; 16]) -> Option<usize> {
    let pairs = digits.as_bytes().chunks(2);
    let length = pairs.len();
    if length > bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair else {
            return None;
        };
        let high = char::from(*high).to_digit(16)?;
        let low = char::from(*low).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(length)
}
