//! A record in three parts, which are stored apart: its ids, the text of its body, and the rest.
//!
//! Each compresses better beside its like, and a search inflates only the part that it looks at.

use std::ops::Range;

use super::filter::{FieldName, Filter};
use crate::data::wire::{Fields, Raw, Writer, bytes_field_len};

/// Numbers of the fields that are taken out of a record, and of a text in a value.
const BODY: u32 = 5;
const TRACE_ID: u32 = 9;
const SPAN_ID: u32 = 10;
const TEXT: u32 = 1;

pub(crate) const TRACE_ID_BYTES: usize = 16;
pub(crate) const SPAN_ID_BYTES: usize = 8;

/// Which parts a record is made of, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(pub(crate) u8);

impl Kinds {
    /// Its body is a text, which is taken out.
    pub(crate) const BODY: Self = Self(1);
    /// Its trace id is taken out.
    pub(crate) const TRACE_ID: Self = Self(2);
    /// Its span id is taken out.
    pub(crate) const SPAN_ID: Self = Self(4);
    /// The rest has a body or ids in it.
    pub(crate) const WHOLE: Self = Self(8);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 > 0
    }

    pub(crate) const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) const fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// How many bytes of ids are taken out.
    pub(crate) const fn id_bytes(self) -> usize {
        (if self.has(Self::TRACE_ID) { TRACE_ID_BYTES } else { 0 })
            + (if self.has(Self::SPAN_ID) { SPAN_ID_BYTES } else { 0 })
    }
}

/// Where the parts of a record stand in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) kinds: Kinds,
    /// The field of the body, which ends with the text.
    body: Range<usize>,
    text_start: usize,
    trace_id: Range<usize>,
    span_id: Range<usize>,
}

impl Cut {
    const WHOLE: Self =
        Self { kinds: Kinds::WHOLE, body: 0..0, text_start: 0, trace_id: 0..0, span_id: 0..0 };

    /// Cuts an encoded record where [`put_together`] can tell how it was: its fields are in the
    /// order of their numbers, and those that are taken out as short as can be.
    pub(crate) fn of(record: &[u8]) -> Self {
        let mut cut = Self::default();
        let (mut last, mut end) = (0, 0);
        for field in Fields::new(record) {
            let is_one = matches!(field.number, BODY | TRACE_ID | SPAN_ID);
            if field.number < last || (is_one && field.number == last) {
                return Self::WHOLE;
            }
            (last, end) = (field.number, field.end);
            let place = field.start..field.end;
            match (field.number, field.value) {
                (BODY, Raw::Bytes(value)) => match text_start(value, place.len()) {
                    Some(start) => {
                        cut.kinds.add(Kinds::BODY);
                        cut.text_start = place.end - value.len() + start;
                        cut.body = place;
                    }
                    None => cut.kinds.add(Kinds::WHOLE),
                },
                (TRACE_ID, Raw::Bytes(_)) if place.len() == TRACE_ID_BYTES + 2 => {
                    cut.kinds.add(Kinds::TRACE_ID);
                    cut.trace_id = place;
                }
                (SPAN_ID, Raw::Bytes(_)) if place.len() == SPAN_ID_BYTES + 2 => {
                    cut.kinds.add(Kinds::SPAN_ID);
                    cut.span_id = place;
                }
                _ if is_one => cut.kinds.add(Kinds::WHOLE),
                _ => {}
            }
        }
        if end == record.len() { cut } else { Self::WHOLE }
    }

    /// Appends the parts of the record that was cut.
    pub(crate) fn push(
        &self,
        record: &[u8],
        rest: &mut Vec<u8>,
        bodies: &mut Vec<u8>,
        ids: &mut Vec<u8>,
    ) {
        let part = |range: Range<usize>| record.get(range).unwrap_or_default();
        let mut start = 0;
        for taken in [&self.body, &self.trace_id, &self.span_id] {
            if !taken.is_empty() {
                rest.extend_from_slice(part(start..taken.start));
                start = taken.end;
            }
        }
        rest.extend_from_slice(part(start..record.len()));
        bodies.extend_from_slice(part(self.text_start..self.body.end));
        for id in [&self.trace_id, &self.span_id] {
            ids.extend_from_slice(part((id.start + 2).min(id.end)..id.end));
        }
    }
}

/// Where the text begins in the encoded value of a body, if that is a text and its field, which has
/// so many bytes, as short as can be.
fn text_start(value: &[u8], field_bytes: usize) -> Option<usize> {
    let text = Fields::new(value).next()?;
    let is_text = text.number == TEXT && matches!(text.value, Raw::Bytes(_));
    let length = text.bytes().len();
    let is_plain = text.end == value.len()
        && value.len() == bytes_field_len(TEXT, length)
        && field_bytes == bytes_field_len(BODY, value.len());
    (is_text && is_plain).then(|| value.len() - length)
}

/// The parts of a record that something looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) body: bool,
    pub(crate) ids: bool,
    pub(crate) rest: bool,
}

impl Touched {
    const NOTHING: Self = Self { body: false, ids: false, rest: false };
    pub(crate) const BODY: Self = Self { body: true, ..Self::NOTHING };
    pub(crate) const IDS: Self = Self { ids: true, ..Self::NOTHING };
    pub(crate) const REST: Self = Self { rest: true, ..Self::NOTHING };

    /// The parts that `filter` looks at.
    pub(crate) fn by(filter: &Filter) -> Self {
        match filter {
            Filter::All => Self::NOTHING,
            Filter::And(of) | Filter::Or(of) => {
                of.iter().map(Self::by).fold(Self::NOTHING, Self::or)
            }
            Filter::Not(of) => Self::by(of),
            Filter::Row(_) => Self::BODY,
            Filter::TraceId(_) | Filter::SpanId(_) => Self::IDS,
            Filter::Severity(_) => Self::REST,
            Filter::Field(name, _) => Self::by_field(name),
        }
    }

    const fn by_field(name: &FieldName) -> Self {
        match name {
            FieldName::Body => Self::BODY,
            FieldName::TraceId | FieldName::SpanId => Self::IDS,
            FieldName::Scope => Self::NOTHING,
            FieldName::SeverityText | FieldName::Attribute(_) => Self::REST,
        }
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self {
            body: self.body || other.body,
            ids: self.ids || other.ids,
            rest: self.rest || other.rest,
        }
    }
}

/// What was taken out of a record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken<'a> {
    pub(crate) kinds: Kinds,
    pub(crate) body: &'a [u8],
    /// The trace id, then the span id, as far as they were taken out.
    pub(crate) ids: &'a [u8],
}

impl Taken<'_> {
    fn write_body(&self, to: &mut Writer) {
        if self.kinds.has(Kinds::BODY) {
            to.length_prefix(BODY, bytes_field_len(TEXT, self.body.len()));
            to.bytes_field(TEXT, self.body);
        }
    }

    fn write_trace_id(&self, to: &mut Writer) {
        if self.kinds.has(Kinds::TRACE_ID) {
            to.bytes_field(TRACE_ID, self.ids.get(..TRACE_ID_BYTES).unwrap_or_default());
        }
    }

    fn write_span_id(&self, to: &mut Writer) {
        if self.kinds.has(Kinds::SPAN_ID) {
            let start = self.ids.len().saturating_sub(SPAN_ID_BYTES);
            to.bytes_field(SPAN_ID, self.ids.get(start..).unwrap_or_default());
        }
    }

    /// Writes the record with its fields in any order: what looks at it sees the same.
    pub(crate) fn write_any_order(&self, rest: &[u8], to: &mut Writer) {
        to.raw(rest);
        self.write_body(to);
        self.write_trace_id(to);
        self.write_span_id(to);
    }

    /// Writes the record as it was.
    pub(crate) fn put_together(&self, rest: &[u8], to: &mut Writer) {
        let mut starts = [rest.len(); 3];
        for field in Fields::new(rest) {
            for (start, number) in starts.iter_mut().zip([BODY, TRACE_ID, SPAN_ID]) {
                if field.number > number {
                    *start = field.start.min(*start);
                }
            }
        }
        let [body, trace_id, span_id] = starts;
        let part = |range: Range<usize>| rest.get(range).unwrap_or_default();
        to.raw(part(0..body));
        self.write_body(to);
        to.raw(part(body..trace_id));
        self.write_trace_id(to);
        to.raw(part(trace_id..span_id));
        self.write_span_id(to);
        to.raw(part(span_id..rest.len()));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    /// The record after it was cut and put together again, and what was taken out.
    fn there_and_back(record: &[u8]) -> (Vec<u8>, Kinds, Vec<u8>) {
        let cut = Cut::of(record);
        let (mut rest, mut body, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        cut.push(record, &mut rest, &mut body, &mut ids);
        assert_eq!(ids.len(), cut.kinds.id_bytes());
        let mut writer = Writer::default();
        Taken { kinds: cut.kinds, body: &body, ids: &ids }.put_together(&rest, &mut writer);
        (writer.into_bytes().to_vec(), cut.kinds, rest)
    }

    fn record(body: Option<Any>, has_ids: bool) -> LogRecord {
        LogRecord {
            time_unix_nano: 7,
            severity_number: 9,
            body: body.map(|value| AnyValue { value: Some(value) }),
            attributes: vec![KeyValue { key: "a".into(), ..KeyValue::default() }; 2],
            trace_id: if has_ids { vec![1; 16] } else { Vec::new() },
            span_id: if has_ids { vec![2; 8] } else { Vec::new() },
            observed_time_unix_nano: 8,
            ..LogRecord::default()
        }
    }

    #[test]
    fn texts_and_ids_are_taken_out_and_put_back() {
        for length in [0, 1, 100, 125, 126, 127, 128, 200, 16_380, 16_390] {
            for has_ids in [true, false] {
                let body = Any::StringValue("x".repeat(length));
                let bytes = record(Some(body), has_ids).encode_to_vec();
                let (back, kinds, rest) = there_and_back(&bytes);
                assert_eq!(back, bytes);
                assert!(kinds.has(Kinds::BODY) && !kinds.has(Kinds::WHOLE));
                assert_eq!(kinds.has(Kinds::TRACE_ID), has_ids);
                assert_eq!(rest, record(None, false).encode_to_vec());
            }
        }
    }

    #[test]
    fn what_could_not_be_put_back_stays() {
        let other = record(Some(Any::IntValue(7)), true).encode_to_vec();
        let plain = record(Some(Any::StringValue("x".into())), true).encode_to_vec();
        let twice = [&plain[..], &plain[..]].concat();
        let turned = [&[0x58_u8, 1][..], &plain[..]].concat();
        // A body whose length takes more bytes than it has to.
        let long = [0x2a, 0x83, 0, 0x0a, 1, b'x'].to_vec();
        let cut_short = [&plain[..], &[0x2a, 9]].concat();
        for bytes in [other, twice, turned, long, cut_short] {
            let (back, kinds, _) = there_and_back(&bytes);
            assert_eq!(back, bytes);
            assert!(kinds.has(Kinds::WHOLE), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(
            pieces in prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..6),
                Just(vec![0x2a, 3, 0x0a, 1, b'x']),
                Just(vec![0x2a, 2, 0x18, 1]),
                Just([&[0x4a, 16][..], &[5; 16][..]].concat()),
                Just([&[0x52, 8][..], &[6; 8][..]].concat()),
                Just(vec![0x32, 0]),
                Just(vec![0x10, 9]),
                Just(vec![0x58, 1]),
            ], 0..8),
        ) {
            let bytes = pieces.concat();
            prop_assert_eq!(there_and_back(&bytes).0, bytes);
        }
    }
}
