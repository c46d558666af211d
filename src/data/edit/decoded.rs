//! Writes that no splice does: the record is decoded, changed and encoded again, and what was not
//! changed, or is not known, stays byte for byte.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::super::schema::{self, Message, Shape};
use super::super::wire::{Field, Fields, Writer};
use super::{LogRecordMut, MessageMut, MetricMut, SpanMut};

/// The highest number of a known field.
const LAST_FIELD: u32 = 16;
/// How many elements of a list are looked through for one that stayed equal.
const MAX_SCAN: usize = 64;

impl LogRecordMut<'_, '_> {
    /// Calls `edit` with the decoded record; costs decoding and encoding it.
    ///
    /// Ids must have the lengths that the door asks for. Unknown fields stay, also in submessages
    /// that are changed; in lists that grow or shrink, only those of elements that stay equal.
    pub fn edit_decoded(&mut self, edit: impl FnOnce(&mut LogRecord)) {
        edit_decoded(self, &schema::LOG_RECORD, edit);
    }
}

impl SpanMut<'_, '_> {
    /// Calls `edit` with the decoded span; as [`LogRecordMut::edit_decoded`].
    pub fn edit_decoded(&mut self, edit: impl FnOnce(&mut Span)) {
        edit_decoded(self, &schema::SPAN, edit);
    }
}

impl MetricMut<'_, '_> {
    /// Calls `edit` with the decoded metric; as [`LogRecordMut::edit_decoded`]. The number of its
    /// points must stay the same.
    pub fn edit_decoded(&mut self, edit: impl FnOnce(&mut Metric)) {
        edit_decoded(self, &schema::METRIC, edit);
    }
}

fn edit_decoded<M: prost::Message + Default>(
    message: &mut MessageMut<'_, '_>,
    spec: &'static Message,
    edit: impl FnOnce(&mut M),
) {
    let current = message.current();
    let Ok(mut decoded) = M::decode(current.as_slice()) else {
        debug_assert!(false, "a {} that came through the door is valid", spec.name);
        return;
    };
    let before = decoded.encode_to_vec();
    edit(&mut decoded);
    let after = decoded.encode_to_vec();
    for number in 1..=LAST_FIELD {
        let (old, new) = (fields(&before, number), fields(&after, number));
        if encoded(&before, &old) == encoded(&after, &new) {
            continue;
        }
        let raw = fields(&current, number);
        let mut writer = Writer::default();
        write_fields(spec, &raw, &old, &new, &mut writer);
        if is_number(&new) {
            writer.raw(&encoded(&after, &new));
        }
        message.replace_all(number, writer.as_slice());
    }
}

/// Writes the changed fields of one number; `raw` as they were, `old` the same without unknown
/// fields, `new` as they shall be.
fn write_fields(
    spec: &'static Message,
    raw: &[Field<'_>],
    old: &[Field<'_>],
    new: &[Field<'_>],
    writer: &mut Writer,
) {
    let mut next_old = 0;
    for (index, field) in new.iter().enumerate() {
        let inner = spec.field(u64::from(field.number));
        let Some(message) = inner.message.filter(|_| inner.shape == Shape::Message) else {
            if !is_number(new) {
                writer.bytes_field(field.number, field.bytes());
            }
            continue;
        };
        let is_aligned = raw.len() == old.len();
        let kept = (next_old..old.len())
            .take(MAX_SCAN)
            .find(|at| old.get(*at).is_some_and(|other| other.bytes() == field.bytes()));
        match (kept, raw.get(index)) {
            (Some(at), _) if is_aligned => {
                next_old = at + 1;
                writer.bytes_field(field.number, raw.get(at).map_or(&[], Field::bytes));
            }
            (_, Some(raw)) if is_aligned && old.len() == new.len() => {
                next_old = index + 1;
                let carried = carry_unknown(message, raw.bytes(), field.bytes());
                writer.bytes_field(field.number, &carried);
            }
            _ => writer.bytes_field(field.number, field.bytes()),
        }
    }
}

/// `new` with the unknown fields of `raw`, which it replaces.
fn carry_unknown(spec: &'static Message, raw: &[u8], new: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(raw.len().max(new.len()));
    for number in 1..=LAST_FIELD {
        let inner = spec.field(u64::from(number));
        let (old, new_fields) = (fields(raw, number), fields(new, number));
        let is_same_list = old.len() == new_fields.len();
        for (index, field) in new_fields.iter().enumerate() {
            match (inner.message, old.get(index)) {
                (Some(message), Some(old)) if is_same_list => {
                    let carried = carry_unknown(message, old.bytes(), field.bytes());
                    writer.bytes_field(number, &carried);
                }
                _ => writer.raw(new.get(field.start..field.end).unwrap_or_default()),
            }
        }
    }
    for field in Fields::new(raw) {
        if spec.field(u64::from(field.number)).shape == Shape::Unknown {
            writer.raw(raw.get(field.start..field.end).unwrap_or_default());
        }
    }
    writer.into_vec()
}

fn fields(message: &[u8], number: u32) -> Vec<Field<'_>> {
    Fields::new(message).filter(|field| field.number == number).collect()
}

fn encoded(message: &[u8], fields: &[Field<'_>]) -> Vec<u8> {
    let runs = fields.iter().filter_map(|field| message.get(field.start..field.end));
    runs.flatten().copied().collect()
}

/// Whether these are numbers, which hold no bytes.
fn is_number(fields: &[Field<'_>]) -> bool {
    fields.iter().any(|field| !matches!(field.value, super::super::wire::Raw::Bytes(_)))
}
