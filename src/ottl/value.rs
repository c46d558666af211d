//! Values while statements run: borrowed from the record where they can be.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::ast::CompareOp;
use super::error::EvalError;
use super::go::layout;
use crate::data::wire::{Fields, Writer};
use crate::data::{
    Array, Attributes, SpanId, TraceId, Value as AnyValue, push_hex, write_attribute,
};

/// A value.
#[derive(Clone, Debug, Default)]
pub enum Value<'a> {
    /// Nothing.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Text.
    Str(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A trace's id.
    TraceId(TraceId),
    /// A span's id.
    SpanId(SpanId),
    /// A moment.
    Time(Moment),
    /// A length of time in nanoseconds.
    Duration(i64),
    /// A list.
    List(List<'a>),
    /// A map.
    Map(Map<'a>),
    /// Messages of a record, such as a span's events.
    Messages(Messages<'a>),
}

/// A moment, and how far its clock is ahead of UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Nanoseconds since the Unix epoch.
    pub unix_nanos: i64,
    /// Seconds east of UTC.
    pub offset_seconds: i32,
}

impl Moment {
    /// A moment told in UTC.
    #[must_use]
    pub const fn utc(unix_nanos: i64) -> Self {
        Self { unix_nanos, offset_seconds: 0 }
    }
}

/// A list of values.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// As it stands in a record.
    View(Array<'a>),
    /// Made by a statement.
    Owned(Vec<Value<'a>>),
    /// Of somebody else.
    Borrowed(&'a [Value<'a>]),
}

/// A map of values by name.
#[derive(Clone, Debug)]
pub enum Map<'a> {
    /// As it stands in a record.
    View(Attributes<'a>),
    /// Made by a statement; names are unique.
    Owned(Vec<(Cow<'a, str>, Value<'a>)>),
    /// Of somebody else.
    Borrowed(&'a [(Cow<'a, str>, Value<'a>)]),
}

/// All fields of one number of a message.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    pub(super) message: &'a [u8],
    pub(super) number: u32,
}

impl<'a> Messages<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        Fields::new(self.message).filter(|field| field.number == self.number).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The encoded messages.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let number = self.number;
        Fields::new(self.message)
            .filter(move |field| field.number == number)
            .map(|field| field.bytes())
    }
}

impl<'a> List<'a> {
    /// The values in order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Value<'_>> + '_> {
        match self {
            Self::View(array) => Box::new(array.iter().map(Value::from)),
            Self::Owned(values) => Box::new(values.iter().map(Value::borrowed)),
            Self::Borrowed(values) => Box::new(values.iter().map(Value::borrowed)),
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::View(array) => array.iter().count(),
            Self::Owned(values) => values.len(),
            Self::Borrowed(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, in a list of their own.
    #[must_use]
    pub fn into_values(self) -> Vec<Value<'a>> {
        match self {
            Self::View(array) => array.iter().map(Value::from).collect(),
            Self::Owned(values) => values,
            Self::Borrowed(values) => values.iter().map(Value::borrowed).collect(),
        }
    }
}

impl<'a> Map<'a> {
    /// Names and values in order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (&str, Value<'_>)> + '_> {
        fn pair<'s>((key, value): &'s (Cow<'_, str>, Value<'_>)) -> (&'s str, Value<'s>) {
            (key, value.borrowed())
        }
        match self {
            Self::View(attributes) => {
                Box::new(attributes.iter().map(|(key, value)| (key, Value::from(value))))
            }
            Self::Owned(pairs) => Box::new(pairs.iter().map(pair)),
            Self::Borrowed(pairs) => Box::new(pairs.iter().map(pair)),
        }
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::View(attributes) => attributes.len(),
            Self::Owned(pairs) => pairs.len(),
            Self::Borrowed(pairs) => pairs.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pairs, in a list of their own, a name that is there more than once only with its last
    /// value.
    #[must_use]
    pub fn into_pairs(self) -> Vec<(Cow<'a, str>, Value<'a>)> {
        match self {
            Self::View(attributes) => {
                let mut pairs: Vec<(Cow<'a, str>, Value<'a>)> = Vec::new();
                for (key, value) in attributes.iter() {
                    match pairs.iter_mut().find(|(other, _)| other == key) {
                        Some((_, old)) => *old = value.into(),
                        None => pairs.push((Cow::Borrowed(key), value.into())),
                    }
                }
                pairs
            }
            Self::Owned(pairs) => pairs,
            Self::Borrowed(pairs) => {
                let pair = |(key, value): &'a (Cow<'a, str>, Value<'a>)| {
                    (Cow::Borrowed(&**key), value.borrowed())
                };
                pairs.iter().map(pair).collect()
            }
        }
    }

    /// The value of the last `key`.
    #[must_use]
    pub fn into_value(self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::View(attributes) => attributes.get(key).map(Value::from),
            Self::Owned(pairs) => {
                pairs.into_iter().find(|(other, _)| other == key).map(|(_, value)| value)
            }
            Self::Borrowed(pairs) => {
                pairs.iter().find(|(other, _)| other == key).map(|(_, value)| value.borrowed())
            }
        }
    }
}

impl<'a> From<AnyValue<'a>> for Value<'a> {
    #[inline]
    fn from(value: AnyValue<'a>) -> Self {
        match value {
            AnyValue::Empty => Self::Nil,
            AnyValue::Str(text) => Self::Str(Cow::Borrowed(text)),
            AnyValue::Bool(flag) => Self::Bool(flag),
            AnyValue::Int(number) => Self::Int(number),
            AnyValue::Double(number) => Self::Double(number),
            AnyValue::Bytes(bytes) => Self::Bytes(Cow::Borrowed(bytes)),
            AnyValue::Array(array) => Self::List(List::View(array)),
            AnyValue::KvList(map) => Self::Map(Map::View(map)),
        }
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Str(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Str(text)
    }
}

impl<'a> Value<'a> {
    /// The same, borrowed.
    #[must_use]
    #[inline]
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Int(number) => Value::Int(*number),
            Self::Double(number) => Value::Double(*number),
            Self::Str(text) => Value::Str(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Self::TraceId(id) => Value::TraceId(*id),
            Self::SpanId(id) => Value::SpanId(*id),
            Self::Time(time) => Value::Time(*time),
            Self::Duration(nanos) => Value::Duration(*nanos),
            Self::List(List::View(array)) => Value::List(List::View(*array)),
            Self::List(List::Owned(values)) => Value::List(List::Borrowed(values)),
            Self::List(List::Borrowed(values)) => Value::List(List::Borrowed(values)),
            Self::Map(Map::View(map)) => Value::Map(Map::View(*map)),
            Self::Map(Map::Owned(pairs)) => Value::Map(Map::Borrowed(pairs)),
            Self::Map(Map::Borrowed(pairs)) => Value::Map(Map::Borrowed(pairs)),
            Self::Messages(messages) => Value::Messages(*messages),
        }
    }

    /// What it is, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Double(_) => "a number",
            Self::Str(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::TraceId(_) => "a trace id",
            Self::SpanId(_) => "a span id",
            Self::Time(_) => "a time",
            Self::Duration(_) => "a duration",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Messages(_) => "a list of messages",
        }
    }

    /// The value as text; nothing for nil. Times are JSON, lengths of time nanoseconds.
    ///
    /// # Errors
    ///
    /// Fails for messages, which functions turn into text.
    pub fn into_text(self) -> Result<Option<Cow<'a, str>>, EvalError> {
        Ok(Some(match self {
            Self::Nil => return Ok(None),
            Self::Str(text) => text,
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Double(number) => Cow::Owned(plain_double(number)),
            Self::Bytes(bytes) => Cow::Owned(hex(&bytes)),
            Self::TraceId(id) => Cow::Owned(hex(id.as_bytes())),
            Self::SpanId(id) => Cow::Owned(hex(id.as_bytes())),
            Self::List(_) | Self::Map(_) => {
                let mut encoded = Writer::default();
                self.write_any(&mut encoded)?;
                let mut text = String::new();
                AnyValue::read(encoded.as_slice()).push_json(&mut text);
                Cow::Owned(text)
            }
            Self::Duration(nanos) => Cow::Owned(nanos.to_string()),
            Self::Time(time) => {
                let layout = "\"2006-01-02T15:04:05.999999999Z07:00\"";
                let text = layout::format(time.unix_nanos, time.offset_seconds, layout);
                Cow::Owned(text.map_err(|refusal| EvalError::new(refusal.0))?)
            }
            Self::Messages(_) => {
                return Err(EvalError::new(format!("{} is no text", self.kind())));
            }
        }))
    }

    /// Writes the fields of an `AnyValue`.
    ///
    /// # Errors
    ///
    /// Fails for what records have no place for: times, durations, ids, messages.
    pub fn write_any(&self, writer: &mut Writer) -> Result<(), EvalError> {
        let plain = match self {
            Self::Nil => AnyValue::Empty,
            Self::Bool(flag) => AnyValue::Bool(*flag),
            Self::Int(number) => AnyValue::Int(*number),
            Self::Double(number) => AnyValue::Double(*number),
            Self::Str(text) => AnyValue::Str(text),
            Self::Bytes(bytes) => AnyValue::Bytes(bytes),
            Self::List(List::View(array)) => AnyValue::Array(*array),
            Self::Map(Map::View(map)) => AnyValue::KvList(*map),
            Self::List(list) => return write_list(list, writer),
            Self::Map(map) => return write_map(map, writer),
            _ => {
                let hint = "an attribute holds strings, numbers, booleans, bytes, lists and maps";
                return Err(EvalError::new(format!("{} cannot be stored: {hint}", self.kind())));
            }
        };
        plain.write(writer);
        Ok(())
    }

    /// Whether the comparison holds.
    #[must_use]
    #[inline]
    pub fn compares(&self, op: CompareOp, other: &Value<'_>) -> bool {
        if op == CompareOp::Equal {
            return self.equals(other);
        }
        if op == CompareOp::NotEqual {
            return !self.equals(other);
        }
        let Some(order) = self.order(other) else { return false };
        match op {
            CompareOp::Less => order == Ordering::Less,
            CompareOp::LessOrEqual => order != Ordering::Greater,
            CompareOp::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }
    }

    #[inline]
    fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Str(left), Value::Str(right)) => left == right,
            (Self::List(left), Value::List(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right.iter()).all(|(left, right)| left.equals(&right))
            }
            (Self::Map(left), Value::Map(right)) => {
                let right = Value::Map(right.clone());
                let Value::Map(right) = right.borrowed() else { return false };
                let equals = |(key, value): (&str, Value<'_>)| {
                    right.clone().into_value(key).is_some_and(|other| value.equals(&other))
                };
                left.len() == right.len() && left.iter().all(equals)
            }
            (Self::TraceId(left), Value::TraceId(right)) => left == right,
            (Self::SpanId(left), Value::SpanId(right)) => left == right,
            (Self::Messages(left), Value::Messages(right)) => left.iter().eq(right.iter()),
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "the language compares as doubles")]
    fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Nil, Value::Nil) => Some(Ordering::Equal),
            (Self::Int(left), Value::Int(right)) => Some(left.cmp(right)),
            (Self::Int(left), Value::Double(right)) => (*left as f64).partial_cmp(right),
            (Self::Double(left), Value::Int(right)) => left.partial_cmp(&(*right as f64)),
            (Self::Double(left), Value::Double(right)) => left.partial_cmp(right),
            (Self::Str(left), Value::Str(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
            (Self::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
            (Self::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Self::Time(left), Value::Time(right)) => Some(left.unix_nanos.cmp(&right.unix_nanos)),
            (Self::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

/// A double as Go's `FormatFloat(…, 'f', -1, 64)`.
pub(super) fn plain_double(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    number.to_string()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    push_hex(bytes, &mut text);
    text
}

fn write_list(list: &List<'_>, writer: &mut Writer) -> Result<(), EvalError> {
    let mut items = Writer::default();
    let mut item = Writer::default();
    for value in list.iter() {
        item.clear();
        value.write_any(&mut item)?;
        items.bytes_field(1, item.as_slice());
    }
    AnyValue::Array(Array::of_encoded(items.as_slice())).write(writer);
    Ok(())
}

fn write_map(map: &Map<'_>, writer: &mut Writer) -> Result<(), EvalError> {
    let mut pairs = Writer::default();
    write_pairs(map, 1, &mut pairs)?;
    AnyValue::KvList(Attributes::of_kvlist(pairs.as_slice())).write(writer);
    Ok(())
}

/// Writes the pairs of a map as fields called `number`.
pub(super) fn write_pairs(
    map: &Map<'_>,
    number: u32,
    writer: &mut Writer,
) -> Result<(), EvalError> {
    let mut encoded = Writer::default();
    for (key, value) in map.iter() {
        encoded.clear();
        value.write_any(&mut encoded)?;
        write_attribute(number, key, AnyValue::read(encoded.as_slice()), writer);
    }
    Ok(())
}
