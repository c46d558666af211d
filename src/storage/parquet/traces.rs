//! The columns of spans.

use arrow::array::ArrayRef;
use arrow::datatypes::{Int32Type, Int64Type};

use super::attributes::AttributeColumns;
use super::columns::{Arrays, Ids, Lists, Numbers, Texts, Times};
use super::columns_of::{EVENT, LINK};
use super::logs::{end_unknown, low_bits, push_field};
use super::schema::row_fields;
use crate::data::wire::{Fields, Raw};
use crate::data::{Status, Time};

/// Spans, row by row.
#[derive(Debug, Default)]
pub(super) struct SpanColumns {
    time: Times,
    end_time: Times,
    duration: Numbers<Int64Type>,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    parent_span_id: Ids<8>,
    trace_state: Texts,
    name: Texts,
    kind: Numbers<Int32Type>,
    status_code: Numbers<Int32Type>,
    status_message: Texts,
    flags: Numbers<Int64Type>,
    dropped_attributes: Numbers<Int64Type>,
    dropped_events: Numbers<Int64Type>,
    dropped_links: Numbers<Int64Type>,
    attributes: AttributeColumns,
    events: EventColumns,
    links: LinkColumns,
    unknown: Texts,
}

/// The single fields of a span.
#[derive(Default)]
struct Single<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: &'a [u8],
    parent_span_id: &'a [u8],
    name: &'a [u8],
    kind: i32,
    start: u64,
    end: u64,
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
    status: Option<&'a [u8]>,
    flags: u32,
}

impl SpanColumns {
    /// Adds an encoded span; answers when it began.
    pub(super) fn push(&mut self, span: &[u8]) -> Time {
        let mut single = Single::default();
        let mut num_unknown = 0;
        for field in Fields::new(span) {
            match (field.number, field.value) {
                (1, Raw::Bytes(bytes)) => single.trace_id = bytes,
                (2, Raw::Bytes(bytes)) => single.span_id = bytes,
                (3, Raw::Bytes(bytes)) => single.trace_state = bytes,
                (4, Raw::Bytes(bytes)) => single.parent_span_id = bytes,
                (5, Raw::Bytes(bytes)) => single.name = bytes,
                (6, Raw::Varint(bits)) => single.kind = low_bits(bits).cast_signed(),
                (7, Raw::Fixed64(bits)) => single.start = bits,
                (8, Raw::Fixed64(bits)) => single.end = bits,
                (9, Raw::Bytes(bytes)) => self.attributes.push(bytes),
                (10, Raw::Varint(bits)) => single.dropped_attributes = low_bits(bits),
                (11, Raw::Bytes(bytes)) => self.events.push(bytes),
                (12, Raw::Varint(bits)) => single.dropped_events = low_bits(bits),
                (13, Raw::Bytes(bytes)) => self.links.push(bytes),
                (14, Raw::Varint(bits)) => single.dropped_links = low_bits(bits),
                (15, Raw::Bytes(bytes)) => single.status = Some(bytes),
                (16, Raw::Fixed32(bits)) => single.flags = bits,
                _ => num_unknown += push_field(span, &field, &mut self.unknown),
            }
        }
        end_unknown(num_unknown, &mut self.unknown);
        self.attributes.end();
        self.events.end();
        self.links.end();
        self.push_single(&single);
        Time::from_unix_nanos(single.start)
    }

    fn push_single(&mut self, single: &Single<'_>) {
        self.time.push(Time::from_unix_nanos(single.start));
        self.end_time.push(Time::from_unix_nanos(single.end));
        let is_ended = single.end != 0;
        let duration = single.end.wrapping_sub(single.start).cast_signed();
        self.duration.push_maybe(Some(duration).filter(|_| is_ended));
        self.trace_id.push(single.trace_id);
        self.span_id.push(single.span_id);
        self.parent_span_id.push(single.parent_span_id);
        self.trace_state.push_unless_empty(single.trace_state);
        self.name.push_unless_empty(single.name);
        self.kind.push(single.kind);
        let status = single.status.map(Status::of_encoded);
        self.status_code.push_maybe(status.map(|status| status.code()));
        let message = status.map(|status| status.message()).unwrap_or_default();
        self.status_message.push_unless_empty(message.as_bytes());
        self.flags.push(i64::from(single.flags));
        self.dropped_attributes.push(i64::from(single.dropped_attributes));
        self.dropped_events.push(i64::from(single.dropped_events));
        self.dropped_links.push(i64::from(single.dropped_links));
    }

    pub(super) fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.extend(self.time.finish());
        arrays.extend(self.end_time.finish());
        arrays.extend([
            self.duration.finish(),
            self.trace_id.finish(),
            self.span_id.finish(),
            self.parent_span_id.finish(),
            self.trace_state.finish(),
            self.name.finish(),
            self.kind.finish(),
            self.status_code.finish(),
            self.status_message.finish(),
            self.flags.finish(),
            self.dropped_attributes.finish(),
            self.dropped_events.finish(),
            self.dropped_links.finish(),
        ]);
        arrays.extend(self.attributes.finish());
        arrays.extend([self.events.finish(), self.links.finish(), self.unknown.finish()]);
    }
}

/// The events of spans.
#[derive(Debug, Default)]
struct EventColumns {
    lists: Lists,
    time: Times,
    name: Texts,
    dropped: Numbers<Int64Type>,
    attributes: AttributeColumns,
}

impl EventColumns {
    fn push(&mut self, event: &[u8]) {
        let (mut time, mut name, mut dropped): (u64, &[u8], u32) = (0, &[], 0);
        for field in Fields::new(event) {
            match (field.number, field.value) {
                (1, Raw::Fixed64(bits)) => time = bits,
                (2, Raw::Bytes(bytes)) => name = bytes,
                (3, Raw::Bytes(bytes)) => self.attributes.push(bytes),
                (4, Raw::Varint(bits)) => dropped = low_bits(bits),
                _ => {}
            }
        }
        self.attributes.end();
        self.time.push(Time::from_unix_nanos(time));
        self.name.push_unless_empty(name);
        self.dropped.push(i64::from(dropped));
    }

    fn end(&mut self) {
        self.lists.end(self.name.len());
    }

    fn finish(&mut self) -> ArrayRef {
        let mut columns: Arrays = self.time.finish();
        columns.extend([self.name.finish(), self.dropped.finish()]);
        columns.extend(self.attributes.finish());
        self.lists.finish_rows(row_fields(EVENT), columns)
    }
}

/// The links of spans.
#[derive(Debug, Default)]
struct LinkColumns {
    lists: Lists,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    trace_state: Texts,
    flags: Numbers<Int64Type>,
    dropped: Numbers<Int64Type>,
    attributes: AttributeColumns,
}

impl LinkColumns {
    fn push(&mut self, link: &[u8]) {
        let mut ids: (&[u8], &[u8]) = (&[], &[]);
        let (mut trace_state, mut dropped, mut flags): (&[u8], u32, u32) = (&[], 0, 0);
        for field in Fields::new(link) {
            match (field.number, field.value) {
                (1, Raw::Bytes(bytes)) => ids.0 = bytes,
                (2, Raw::Bytes(bytes)) => ids.1 = bytes,
                (3, Raw::Bytes(bytes)) => trace_state = bytes,
                (4, Raw::Bytes(bytes)) => self.attributes.push(bytes),
                (5, Raw::Varint(bits)) => dropped = low_bits(bits),
                (6, Raw::Fixed32(bits)) => flags = bits,
                _ => {}
            }
        }
        self.attributes.end();
        self.trace_id.push(ids.0);
        self.span_id.push(ids.1);
        self.trace_state.push_unless_empty(trace_state);
        self.flags.push(i64::from(flags));
        self.dropped.push(i64::from(dropped));
    }

    fn end(&mut self) {
        self.lists.end(self.trace_state.len());
    }

    fn finish(&mut self) -> ArrayRef {
        let mut columns: Arrays = vec![
            self.trace_id.finish(),
            self.span_id.finish(),
            self.trace_state.finish(),
            self.flags.finish(),
            self.dropped.finish(),
        ];
        columns.extend(self.attributes.finish());
        self.lists.finish_rows(row_fields(LINK), columns)
    }
}
