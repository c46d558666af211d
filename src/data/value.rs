//! Attribute values and bodies (`AnyValue`): reading and writing.

use super::attributes::Attributes;
use super::wire::{Field, Fields, Raw, Writer, varint_len};

/// A value as it stands on the wire.
#[derive(Clone, Copy, Debug, Default)]
pub enum Value<'a> {
    /// None is set, or a kind that only profiles use.
    #[default]
    Empty,
    /// Text.
    Str(&'a str),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A list of values.
    Array(Array<'a>),
    /// A list of names with values.
    KvList(Attributes<'a>),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// The kind of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    /// None is set.
    Empty,
    /// Text.
    Str,
    /// A truth value.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// A list of values.
    Array,
    /// A list of names with values.
    KvList,
    /// Bytes.
    Bytes,
}

impl<'a> Value<'a> {
    /// Reads an encoded `AnyValue`.
    #[must_use]
    #[inline]
    pub fn read(message: &'a [u8]) -> Self {
        // What most values are: one member that is short text or a number.
        match message {
            [0x0a, length, text @ ..] if *length < 0x80 && usize::from(*length) == text.len() => {
                return Self::Str(text_of(text));
            }
            [0x10, flag] => return Self::Bool(*flag != 0),
            [0x21, number @ ..] if let Ok(bytes) = <[u8; 8]>::try_from(number) => {
                return Self::Double(f64::from_le_bytes(bytes));
            }
            _ => {}
        }
        Fields::new(message).find_map(|field| Self::member(&field)).unwrap_or_default()
    }

    /// What kind it is.
    #[must_use]
    pub const fn kind(&self) -> ValueKind {
        match self {
            Self::Empty => ValueKind::Empty,
            Self::Str(_) => ValueKind::Str,
            Self::Bool(_) => ValueKind::Bool,
            Self::Int(_) => ValueKind::Int,
            Self::Double(_) => ValueKind::Double,
            Self::Array(_) => ValueKind::Array,
            Self::KvList(_) => ValueKind::KvList,
            Self::Bytes(_) => ValueKind::Bytes,
        }
    }

    /// The text, if it is text.
    #[must_use]
    pub const fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The size of the encoded `AnyValue`, without a tag or length before it.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Str(text) => 1 + varint_len(text.len() as u64) + text.len(),
            Self::Bool(_) => 2,
            Self::Int(number) => 1 + varint_len(number.cast_unsigned()),
            Self::Double(_) => 9,
            Self::Array(array) => 1 + varint_len(array.message.len() as u64) + array.message.len(),
            Self::KvList(list) => {
                let length = list.kvlist_len();
                1 + varint_len(length as u64) + length
            }
            Self::Bytes(bytes) => 1 + varint_len(bytes.len() as u64) + bytes.len(),
        }
    }

    /// Writes the fields of the `AnyValue`.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Self::Empty => {}
            Self::Str(text) => writer.str_field(1, text),
            Self::Bool(flag) => writer.varint_field(2, u64::from(*flag)),
            Self::Int(number) => writer.varint_field(3, number.cast_unsigned()),
            Self::Double(number) => writer.double_field(4, *number),
            Self::Array(array) => writer.bytes_field(5, array.message),
            Self::KvList(list) => {
                writer.length_prefix(6, list.kvlist_len());
                list.write_kvlist(writer);
            }
            Self::Bytes(bytes) => writer.bytes_field(7, bytes),
        }
    }

    /// Writes the value as field `number` of a message.
    pub fn write_field(&self, number: u32, writer: &mut Writer) {
        writer.length_prefix(number, self.encoded_len());
        self.write(writer);
    }

    #[inline]
    fn member(field: &Field<'a>) -> Option<Self> {
        Some(match (field.number, field.value) {
            (1, Raw::Bytes(text)) => Self::Str(text_of(text)),
            (2, Raw::Varint(bits)) => Self::Bool(bits != 0),
            (3, Raw::Varint(bits)) => Self::Int(bits.cast_signed()),
            (4, Raw::Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
            (5, Raw::Bytes(message)) => Self::Array(Array { message }),
            (6, Raw::Bytes(message)) => Self::KvList(Attributes::of_kvlist(message)),
            (7, Raw::Bytes(bytes)) => Self::Bytes(bytes),
            _ => return None,
        })
    }
}

impl PartialEq for Value<'_> {
    /// Equal kinds with equal contents; doubles by value, maps in their order.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Empty, Self::Empty) => true,
            (Self::Str(left), Self::Str(right)) => left == right,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Int(left), Self::Int(right)) => left == right,
            (Self::Double(left), Self::Double(right)) => left == right,
            (Self::Array(left), Self::Array(right)) => left.iter().eq(right.iter()),
            (Self::KvList(left), Self::KvList(right)) => left.iter().eq(right.iter()),
            (Self::Bytes(left), Self::Bytes(right)) => left == right,
            _ => false,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

/// A list of values, encoded (`ArrayValue`).
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    message: &'a [u8],
}

impl<'a> Array<'a> {
    /// An encoded `ArrayValue`, such as [`Writer`] made.
    #[must_use]
    pub const fn of_encoded(message: &'a [u8]) -> Self {
        Self { message }
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        Fields::new(self.message)
            .filter(|field| field.number == 1)
            .map(|field| Value::read(field.bytes()))
    }

    /// The encoded `ArrayValue`.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.message
    }
}

/// Text that the door checked; what is not text reads as empty.
#[inline]
pub(super) fn text_of(bytes: &[u8]) -> &str {
    if bytes.len() < 64 {
        return std::str::from_utf8(bytes).unwrap_or_default();
    }
    simdutf8::basic::from_utf8(bytes).unwrap_or_default()
}
