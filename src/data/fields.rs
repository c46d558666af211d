//! Log records and spans read as a whole, in one pass; for those who want every field.

use super::value::text_of;
use super::wire::{Fields, Raw};
use super::{Attributes, LogRecord, Span, SpanId, Status, Time, TraceId, Value};

/// All single fields of a log record; see the methods of [`LogRecord`].
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the methods of `LogRecord` say it")]
pub struct LogFields<'a> {
    pub time: Time,
    pub observed_time: Time,
    pub severity_number: i32,
    pub severity_text: &'a str,
    pub body: Value<'a>,
    pub attributes: Attributes<'a>,
    pub dropped_attributes_count: u32,
    pub flags: u32,
    pub trace_id: Option<TraceId>,
    pub span_id: Option<SpanId>,
    pub event_name: &'a str,
}

impl<'a> LogRecord<'a> {
    /// Reads all single fields at once; from three fields on that is cheaper than one by one.
    #[must_use]
    pub fn read(&self) -> LogFields<'a> {
        let mut all = LogFields {
            time: Time::default(),
            observed_time: Time::default(),
            severity_number: 0,
            severity_text: "",
            body: Value::Empty,
            attributes: self.attributes(),
            dropped_attributes_count: 0,
            flags: 0,
            trace_id: None,
            span_id: None,
            event_name: "",
        };
        for field in Fields::new(self.bytes()) {
            match (field.number, field.value) {
                (1, Raw::Fixed64(bits)) => all.time = Time::from_unix_nanos(bits),
                (2, Raw::Varint(bits)) => all.severity_number = low_bits(bits).cast_signed(),
                (3, Raw::Bytes(bytes)) => all.severity_text = text_of(bytes),
                (5, Raw::Bytes(bytes)) => all.body = Value::read(bytes),
                (7, Raw::Varint(bits)) => all.dropped_attributes_count = low_bits(bits),
                (8, Raw::Fixed32(bits)) => all.flags = bits,
                (9, Raw::Bytes(bytes)) => all.trace_id = TraceId::from_slice(bytes),
                (10, Raw::Bytes(bytes)) => all.span_id = SpanId::from_slice(bytes),
                (11, Raw::Fixed64(bits)) => all.observed_time = Time::from_unix_nanos(bits),
                (12, Raw::Bytes(bytes)) => all.event_name = text_of(bytes),
                _ => {}
            }
        }
        all
    }
}

/// All single fields of a span; see the methods of [`Span`], which also read events and links.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the methods of `Span` say it")]
pub struct SpanFields<'a> {
    pub trace_id: Option<TraceId>,
    pub span_id: Option<SpanId>,
    pub trace_state: &'a str,
    pub parent_span_id: Option<SpanId>,
    pub name: &'a str,
    pub kind: i32,
    pub start_time: Time,
    pub end_time: Time,
    pub attributes: Attributes<'a>,
    pub dropped_attributes_count: u32,
    pub dropped_events_count: u32,
    pub dropped_links_count: u32,
    pub status: Option<Status<'a>>,
    pub flags: u32,
}

impl<'a> Span<'a> {
    /// Reads all single fields at once; from three fields on that is cheaper than one by one.
    #[must_use]
    pub fn read(&self) -> SpanFields<'a> {
        let mut all = SpanFields {
            trace_id: None,
            span_id: None,
            trace_state: "",
            parent_span_id: None,
            name: "",
            kind: 0,
            start_time: Time::default(),
            end_time: Time::default(),
            attributes: self.attributes(),
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
            status: None,
            flags: 0,
        };
        for field in Fields::new(self.bytes()) {
            match (field.number, field.value) {
                (1, Raw::Bytes(bytes)) => all.trace_id = TraceId::from_slice(bytes),
                (2, Raw::Bytes(bytes)) => all.span_id = SpanId::from_slice(bytes),
                (3, Raw::Bytes(bytes)) => all.trace_state = text_of(bytes),
                (4, Raw::Bytes(bytes)) => all.parent_span_id = SpanId::from_slice(bytes),
                (5, Raw::Bytes(bytes)) => all.name = text_of(bytes),
                (6, Raw::Varint(bits)) => all.kind = low_bits(bits).cast_signed(),
                (7, Raw::Fixed64(bits)) => all.start_time = Time::from_unix_nanos(bits),
                (8, Raw::Fixed64(bits)) => all.end_time = Time::from_unix_nanos(bits),
                (10, Raw::Varint(bits)) => all.dropped_attributes_count = low_bits(bits),
                (12, Raw::Varint(bits)) => all.dropped_events_count = low_bits(bits),
                (14, Raw::Varint(bits)) => all.dropped_links_count = low_bits(bits),
                (15, Raw::Bytes(bytes)) => all.status = Some(Status::of_encoded(bytes)),
                (16, Raw::Fixed32(bits)) => all.flags = bits,
                _ => {}
            }
        }
        all
    }
}

/// Protobuf keeps the low bits of a number that is too long.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
const fn low_bits(bits: u64) -> u32 {
    bits as u32
}
