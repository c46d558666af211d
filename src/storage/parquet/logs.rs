//! The columns of log records.

use arrow::array::ArrayRef;
use arrow::datatypes::{Int32Type, Int64Type};

use super::attributes::AttributeColumns;
use super::columns::{Ids, Numbers, Texts, Times};
use super::text::{kind, push_text};
use crate::data::Time;
use crate::data::wire::{Field, Fields, Raw};

/// Log records, row by row.
#[derive(Debug, Default)]
pub(super) struct LogColumns {
    time: Times,
    observed_time: Times,
    severity_number: Numbers<Int32Type>,
    severity_text: Texts,
    event_name: Texts,
    body: Texts,
    body_kind: Numbers<Int32Type>,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    flags: Numbers<Int64Type>,
    dropped: Numbers<Int64Type>,
    attributes: AttributeColumns,
    unknown: Texts,
}

/// The single fields of a log record.
#[derive(Default)]
struct Single<'a> {
    time: u64,
    observed_time: u64,
    severity_number: i32,
    severity_text: &'a [u8],
    event_name: &'a [u8],
    body: Option<&'a [u8]>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    flags: u32,
    dropped: u32,
}

impl LogColumns {
    /// Adds an encoded log record; answers when it happened or was seen.
    pub(super) fn push(&mut self, record: &[u8]) -> Time {
        let mut single = Single::default();
        let mut num_unknown = 0;
        for field in Fields::new(record) {
            match (field.number, field.value) {
                (1, Raw::Fixed64(bits)) => single.time = bits,
                (2, Raw::Varint(bits)) => single.severity_number = low_bits(bits).cast_signed(),
                (3, Raw::Bytes(bytes)) => single.severity_text = bytes,
                (5, Raw::Bytes(bytes)) => single.body = Some(bytes),
                (6, Raw::Bytes(bytes)) => self.attributes.push(bytes),
                (7, Raw::Varint(bits)) => single.dropped = low_bits(bits),
                (8, Raw::Fixed32(bits)) => single.flags = bits,
                (9, Raw::Bytes(bytes)) => single.trace_id = bytes,
                (10, Raw::Bytes(bytes)) => single.span_id = bytes,
                (11, Raw::Fixed64(bits)) => single.observed_time = bits,
                (12, Raw::Bytes(bytes)) => single.event_name = bytes,
                _ => num_unknown += push_field(record, &field, &mut self.unknown),
            }
        }
        end_unknown(num_unknown, &mut self.unknown);
        self.attributes.end();
        self.push_single(&single);
        let time = if single.time == 0 { single.observed_time } else { single.time };
        Time::from_unix_nanos(time)
    }

    fn push_single(&mut self, single: &Single<'_>) {
        self.time.push(Time::from_unix_nanos(single.time));
        self.observed_time.push(Time::from_unix_nanos(single.observed_time));
        self.severity_number.push(single.severity_number);
        self.severity_text.push_unless_empty(single.severity_text);
        self.event_name.push_unless_empty(single.event_name);
        let body_kind = push_text(single.body, self.body.open());
        match body_kind {
            kind::ABSENT | kind::EMPTY => self.body.push_none(),
            _ => self.body.end(),
        }
        self.body_kind.push(i32::from(body_kind));
        self.trace_id.push(single.trace_id);
        self.span_id.push(single.span_id);
        self.flags.push(i64::from(single.flags));
        self.dropped.push(i64::from(single.dropped));
    }

    pub(super) fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.extend(self.time.finish());
        arrays.extend(self.observed_time.finish());
        arrays.extend([
            self.severity_number.finish(),
            self.severity_text.finish(),
            self.event_name.finish(),
            self.body.finish(),
            self.body_kind.finish(),
            self.trace_id.finish(),
            self.span_id.finish(),
            self.flags.finish(),
            self.dropped.finish(),
        ]);
        arrays.extend(self.attributes.finish());
        arrays.push(self.unknown.finish());
    }
}

/// Appends a field as it stands in `message`; answers 1, the number of fields appended.
#[cold]
pub(super) fn push_field(message: &[u8], field: &Field<'_>, texts: &mut Texts) -> usize {
    texts.open().extend_from_slice(message.get(field.start..field.end).unwrap_or_default());
    1
}

/// Ends a row of unknown fields.
pub(super) fn end_unknown(count: usize, texts: &mut Texts) {
    if count == 0 {
        return texts.push_none();
    }
    texts.end();
}

/// Protobuf keeps the low bits of a number that is too long.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
pub(super) const fn low_bits(bits: u64) -> u32 {
    bits as u32
}
