//! What a statement sees: a record, what it shares with others, and the request that brought it.

use std::borrow::Cow;

use super::context::Context;
use super::error::EvalError;
use super::path::{Form, PATHS, PathSpec, Place, SPAN_KINDS};
use super::slot::Slot;
use super::value::{List, Map, Messages, Moment, Value};
use crate::data::wire::{self, Fields, Raw, Writer};
use crate::data::{
    Attributes, Context as Request, DataKind, Metric, NumberPoint, SpanId, Time, TraceId,
    Value as AnyValue,
};

/// A record with its surroundings.
///
/// One scene is loaded with record after record; a level that is not looked at need not be loaded.
#[derive(Debug, Default)]
pub struct Scene<'a> {
    /// What produced the telemetry.
    pub resource: Slot<'a>,
    /// The instrumentation that produced it.
    pub scope: Slot<'a>,
    /// A log record, a span or a metric.
    pub element: Slot<'a>,
    /// An event, a link or a point of the element.
    pub inner: Slot<'a>,
    /// An exemplar of the point.
    pub exemplar: Slot<'a>,
    /// The scratch map, with its pairs in fields called 1.
    pub cache: Slot<'a>,
    /// What kind of data the metric has.
    pub kind: Option<DataKind>,
    /// The turn of an event among its span's.
    pub event_index: usize,
    /// Who sent it.
    pub request: Option<&'a Request>,
    /// The engine's time.
    pub now: Time,
    /// Encoded metrics that statements made, which come behind the element.
    pub made: Vec<Vec<u8>>,
    pub(super) scratch: [Writer; 2],
}

impl<'a> Scene<'a> {
    /// A scene without a record.
    #[must_use]
    pub fn new(request: &'a Request, now: Time) -> Self {
        Self { request: Some(request), now, ..Self::default() }
    }

    /// The message of a context.
    #[must_use]
    #[inline]
    pub const fn slot(&self, context: Context) -> &Slot<'a> {
        match context {
            Context::Resource | Context::Otelcol => &self.resource,
            Context::Scope => &self.scope,
            Context::Span | Context::Metric | Context::Log => &self.element,
            Context::SpanEvent | Context::SpanLink | Context::DataPoint => &self.inner,
            Context::Exemplar => &self.exemplar,
            Context::Cache => &self.cache,
        }
    }

    /// The message of a context, to be written.
    pub const fn slot_mut(&mut self, context: Context) -> &mut Slot<'a> {
        match context {
            Context::Resource | Context::Otelcol => &mut self.resource,
            Context::Scope => &mut self.scope,
            Context::Span | Context::Metric | Context::Log => &mut self.element,
            Context::SpanEvent | Context::SpanLink | Context::DataPoint => &mut self.inner,
            Context::Exemplar => &mut self.exemplar,
            Context::Cache => &mut self.cache,
        }
    }

    /// Puts an encoded metric in the place of the element.
    pub fn replace_metric(&mut self, metric: &[u8]) {
        self.element.replace_message(metric);
        self.kind = Metric::of_encoded(metric).kind();
    }

    fn kind_index(&self) -> usize {
        match self.kind {
            None | Some(DataKind::Gauge | DataKind::Sum) => 0,
            Some(DataKind::Histogram) => 1,
            Some(DataKind::ExponentialHistogram) => 2,
            Some(DataKind::Summary) => 3,
        }
    }

    /// The number of a field of a point, if this kind has it.
    pub(super) fn number_by_kind(&self, numbers: [u32; 4]) -> Option<u32> {
        numbers.get(self.kind_index()).copied().filter(|number| *number != 0)
    }

    /// Whether the point has these buckets.
    pub(super) fn has_buckets(&self) -> bool {
        self.kind == Some(DataKind::ExponentialHistogram)
    }

    /// The value at a path without keys.
    #[inline]
    pub(super) fn read(&self, spec: &PathSpec) -> Value<'_> {
        let message = self.slot(spec.context).bytes();
        match spec.place {
            Place::Field(number) => self.field(message, number, spec.form),
            Place::Within(outer, number) => {
                let message = wire::payload(message, outer).unwrap_or_default();
                self.field(message, number, spec.form)
            }
            Place::ByKind(numbers) => match self.number_by_kind(numbers) {
                Some(number) => self.field(message, number, spec.form),
                None => Value::Nil,
            },
            Place::Buckets(outer, number) if self.has_buckets() => {
                let message = wire::payload(message, outer).unwrap_or_default();
                self.field(message, number, spec.form)
            }
            Place::Buckets(..) => Value::Nil,
            Place::Special => self.special(spec),
        }
    }

    /// The number of the fields of the map at a path, if it is one.
    #[inline]
    pub(super) fn attributes_number(&self, spec: &PathSpec) -> Option<u32> {
        match (spec.form, spec.place) {
            (Form::Attributes, Place::Field(number)) => Some(number),
            (Form::Attributes, Place::ByKind(numbers)) => self.number_by_kind(numbers),
            _ => None,
        }
    }

    /// The value of an attribute in the map at a path; nothing if it is no map.
    #[inline]
    pub(super) fn attribute(&self, spec: &PathSpec, key: &str) -> Option<Value<'_>> {
        let number = self.attributes_number(spec)?;
        let value = self.slot(spec.context).attribute(number, key);
        Some(value.map(|value| AnyValue::read(value).into()).unwrap_or_default())
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits")]
    fn field<'s>(&self, message: &'s [u8], number: u32, form: Form) -> Value<'s> {
        let bytes = || wire::payload(message, number).unwrap_or_default();
        let bits = || wire::number(message, number).unwrap_or_default();
        let text = || std::str::from_utf8(bytes()).unwrap_or_default();
        match form {
            Form::Str | Form::TraceState => Value::Str(Cow::Borrowed(text())),
            Form::Any => AnyValue::read(bytes()).into(),
            Form::AnyText => Value::Str(AnyValue::read(bytes()).to_text()),
            Form::Attributes => Value::Map(Map::View(Attributes::of_message(message, number))),
            Form::Int => Value::Int(i64::from((bits() as u32).cast_signed())),
            Form::Count | Form::Fixed32 => Value::Int(i64::from(bits() as u32)),
            Form::Sint => {
                let bits = bits() as u32;
                Value::Int(i64::from((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()))
            }
            Form::Fixed64 | Form::TimeNanos => Value::Int(bits().cast_signed()),
            Form::Number { .. } => {
                Value::Int(wire::number(message, number).unwrap_or_default().cast_signed())
            }
            Form::Double { .. } => {
                Value::Double(f64::from_bits(wire::number(message, number).unwrap_or_default()))
            }
            Form::Time => Value::Time(Moment::utc(bits().cast_signed())),
            Form::TraceId => Value::TraceId(TraceId::from_slice(bytes()).unwrap_or_default()),
            Form::SpanId => Value::SpanId(SpanId::from_slice(bytes()).unwrap_or_default()),
            // An id that is not there is all zeros.
            Form::TraceIdHex => {
                let id = TraceId::from_slice(bytes()).unwrap_or_default();
                Value::Str(Cow::Owned(super::value::hex(id.as_bytes())))
            }
            Form::SpanIdHex => {
                let id = SpanId::from_slice(bytes()).unwrap_or_default();
                Value::Str(Cow::Owned(super::value::hex(id.as_bytes())))
            }
            Form::Messages => Value::Messages(Messages { message, number }),
            Form::Fixed64s | Form::Doubles | Form::Varints => {
                Value::List(List::Owned(packed(message, number, form)))
            }
            Form::SpanKind => {
                let name = usize::try_from(bits()).ok().and_then(|kind| SPAN_KINDS.get(kind));
                Value::Str(Cow::Borrowed(name.copied().unwrap_or_default()))
            }
            Form::SpanKindOld => {
                let name = usize::try_from(bits()).ok().and_then(|kind| SPAN_KINDS.get(kind));
                let name = name.copied().unwrap_or_default().to_uppercase();
                Value::Str(Cow::Owned(format!("SPAN_KIND_{name}")))
            }
            _ => Value::Nil,
        }
    }

    fn special(&self, spec: &PathSpec) -> Value<'_> {
        let metric = Metric::of_encoded(self.element.bytes());
        match spec.form {
            Form::EventIndex => Value::Int(i64::try_from(self.event_index).unwrap_or(i64::MAX)),
            Form::MetricType => Value::Int(match metric.kind() {
                None => 0,
                Some(DataKind::Gauge) => 1,
                Some(DataKind::Sum) => 2,
                Some(DataKind::Histogram) => 3,
                Some(DataKind::ExponentialHistogram) => 4,
                Some(DataKind::Summary) => 5,
            }),
            Form::Temporality => match metric.kind() {
                Some(DataKind::Sum | DataKind::Histogram | DataKind::ExponentialHistogram) => {
                    Value::Int(i64::from(metric.temporality().number()))
                }
                _ => Value::Nil,
            },
            Form::Monotonic => match metric.kind() {
                Some(DataKind::Sum) => Value::Bool(metric.is_monotonic()),
                _ => Value::Nil,
            },
            Form::Points => metric.kind().map_or(Value::Nil, |kind| {
                let data = wire::payload(self.element.bytes(), kind.field_number());
                Value::Messages(Messages { message: data.unwrap_or_default(), number: 1 })
            }),
            _ => self.client(spec.form),
        }
    }

    fn client(&self, form: Form) -> Value<'_> {
        let Some(request) = self.request else { return Value::Nil };
        match form {
            Form::ClientAddress => {
                let address = request.peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
                Value::Str(Cow::Owned(address))
            }
            Form::ClientMetadata => {
                let pairs = request.metadata.iter().map(|(key, values)| {
                    let values = values.iter().map(|text| Value::Str(Cow::Borrowed(text.as_str())));
                    let list = Value::List(List::Owned(values.collect()));
                    (Cow::Borrowed(key.as_str()), list)
                });
                Value::Map(Map::Owned(pairs.collect()))
            }
            Form::ClientAttributes => {
                let identity = request.identity.as_deref().unwrap_or_default();
                let pair = |key| (Cow::Borrowed(key), Value::Str(Cow::Borrowed(identity)));
                Value::Map(Map::Owned(["subject", "username"].map(pair).into()))
            }
            _ => Value::Nil,
        }
    }

    /// When the point was taken, for functions on points.
    #[must_use]
    pub fn point(&self) -> NumberPoint<'_> {
        NumberPoint::of_encoded(self.inner.bytes())
    }
}

fn packed(message: &[u8], number: u32, form: Form) -> Vec<Value<'_>> {
    let mut values = Vec::new();
    for field in Fields::new(message).filter(|field| field.number == number) {
        let value = |bits: u64| match form {
            Form::Doubles => Value::Double(f64::from_bits(bits)),
            _ => Value::Int(bits.cast_signed()),
        };
        match (field.value, form) {
            (Raw::Bytes(bytes), Form::Varints) => {
                let mut position = 0;
                while let Some((bits, end)) = wire::read_varint(bytes, position) {
                    values.push(value(bits));
                    position = end;
                }
            }
            (Raw::Bytes(bytes), _) => {
                let (chunks, _) = bytes.as_chunks::<8>();
                values.extend(chunks.iter().map(|chunk| value(u64::from_le_bytes(*chunk))));
            }
            _ => values.push(value(field.bits())),
        }
    }
    values
}

/// The value that `key` has in `value`.
pub(super) fn look_up<'s>(value: Value<'s>, key: &Value<'_>) -> Result<Value<'s>, EvalError> {
    match (value, key) {
        (Value::Nil, _) => Ok(Value::Nil),
        (Value::Map(map), Value::Str(key)) => Ok(map.into_value(key).unwrap_or_default()),
        (Value::List(list), Value::Int(index)) => {
            let length = list.len();
            let found = usize::try_from(*index).ok().filter(|index| *index < length);
            let index = found.ok_or_else(|| {
                EvalError::new(format!("index {index} is outside of a list of {length}"))
            })?;
            Ok(match list {
                List::View(array) => array.iter().nth(index).map(Value::from),
                List::Owned(values) => values.into_iter().nth(index),
                List::Borrowed(values) => values.get(index).map(Value::borrowed),
            }
            .unwrap_or_default())
        }
        (value, Value::Str(_)) => {
            Err(EvalError::new(format!("{} has no names to look up", value.kind())))
        }
        (value, _) => Err(EvalError::new(format!("{} has no elements to look up", value.kind()))),
    }
}

/// The path of a context that is called `name`.
pub(super) fn find_path(context: Context, name: &str) -> Option<&'static PathSpec> {
    PATHS.iter().find(|path| path.context == context && path.name == name)
}
