//! Lists of attributes, read where they stand.

use super::value::{Value, text_of};
use super::view::messages;
use super::wire::{Fields, Raw, Writer, bytes_field_len};

/// The number of the field that holds the pairs in a `KeyValueList`.
const KVLIST_VALUES: u32 = 1;

/// The attributes of a message: all its fields of one number.
///
/// A name may be there more than once; lookups answer the last one, and forwarding keeps all.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    message: &'a [u8],
    number: u32,
}

impl<'a> Attributes<'a> {
    /// The attributes that `message` has in its fields called `number`.
    #[must_use]
    #[inline]
    pub(super) const fn new(message: &'a [u8], number: u32) -> Self {
        Self { message, number }
    }

    /// The attributes in the fields called `number` of an encoded message of any kind.
    #[must_use]
    #[inline]
    pub const fn of_message(message: &'a [u8], number: u32) -> Self {
        Self::new(message, number)
    }

    /// No attributes.
    #[must_use]
    pub const fn empty() -> Self {
        Self::new(&[], KVLIST_VALUES)
    }

    /// The pairs of an encoded `KeyValueList`, such as [`write_attribute`] with number 1 makes.
    #[must_use]
    #[inline]
    pub const fn of_kvlist(message: &'a [u8]) -> Self {
        Self::new(message, KVLIST_VALUES)
    }

    /// The value of the last attribute called `key`.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        let mut found = None;
        for pair in self.raw() {
            if let Some(value) = value_if_named(pair, key.as_bytes()) {
                found = Some(value);
            }
        }
        found.map(Value::read)
    }

    /// The values of all attributes called `key`, in the order of the wire.
    #[inline]
    pub fn all(&self, key: &str) -> impl Iterator<Item = Value<'a>> {
        self.raw().filter_map(move |pair| value_if_named(pair, key.as_bytes())).map(Value::read)
    }

    /// Whether there is an attribute called `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.raw().any(|pair| value_if_named(pair, key.as_bytes()).is_some())
    }

    /// Names and values in the order of the wire.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.raw().map(|pair| {
            let (key, value) = split(pair);
            (text_of(key), Value::read(value))
        })
    }

    /// The encoded `KeyValue`s in the order of the wire.
    #[inline]
    pub fn raw(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        messages(self.message, self.number)
    }

    /// The number of attributes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw().count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw().next().is_none()
    }

    /// The size of a `KeyValueList` of these attributes.
    #[must_use]
    pub fn kvlist_len(&self) -> usize {
        self.raw().map(|pair| bytes_field_len(KVLIST_VALUES, pair.len())).sum()
    }

    /// Writes the fields of a `KeyValueList` of these attributes.
    pub fn write_kvlist(&self, writer: &mut Writer) {
        for pair in self.raw() {
            writer.bytes_field(KVLIST_VALUES, pair);
        }
    }
}

/// Writes an attribute as field `number` of a message.
pub fn write_attribute(number: u32, key: &str, value: Value<'_>, writer: &mut Writer) {
    let value_len = value.encoded_len();
    writer.length_prefix(number, attribute_len(key, value_len));
    writer.str_field(1, key);
    writer.length_prefix(2, value_len);
    value.write(writer);
}

/// Writes an attribute whose value is an encoded `AnyValue`.
pub fn write_encoded(number: u32, key: &str, value: &[u8], writer: &mut Writer) {
    writer.length_prefix(number, attribute_len(key, value.len()));
    writer.str_field(1, key);
    writer.bytes_field(2, value);
}

/// Name and value of an encoded `KeyValue`.
#[inline]
pub(super) fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    // What every encoder writes: the key, then the value, both short.
    if let [0x0a, key_length, rest @ ..] = pair
        && *key_length < 0x80
        && let Some((key, [0x12, value_length, value @ ..])) =
            rest.split_at_checked(usize::from(*key_length))
        && *value_length < 0x80
        && usize::from(*value_length) == value.len()
    {
        return (key, value);
    }
    let mut key: &[u8] = &[];
    let mut value: &[u8] = &[];
    for field in Fields::new(pair) {
        match (field.number, field.value) {
            (1, Raw::Bytes(bytes)) => key = bytes,
            (2, Raw::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    (key, value)
}

/// The encoded `AnyValue` of a `KeyValue` that is called `key`.
#[inline]
pub(super) fn value_if_named<'a>(pair: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    // As in `split`; most names differ in length already.
    if let [0x0a, length, rest @ ..] = pair
        && *length < 0x80
    {
        if usize::from(*length) != key.len() || !rest.starts_with(key) {
            return None;
        }
        if let Some([0x12, length, value @ ..]) = rest.get(key.len()..)
            && usize::from(*length) == value.len()
            && *length < 0x80
        {
            return Some(value);
        }
    }
    let (name, value) = split(pair);
    (name == key).then_some(value)
}

fn attribute_len(key: &str, value_len: usize) -> usize {
    bytes_field_len(1, key.len()) + bytes_field_len(2, value_len)
}
