//! Rows back as log records.

use arrow::array::{Array as _, BinaryArray};
use arrow::datatypes::{Int32Type, Int64Type};

use super::super::error::ParquetArchiveError;
use super::super::text::{kind, write_value};
use super::access::{Attributes, Ids, Numbers, Table, Texts, Times, write_fixed32, write_varint};
use super::foreign;
use crate::data::wire::Writer;

/// The columns of log records.
pub(super) struct Reader<'a> {
    time: Times<'a>,
    observed_time: Times<'a>,
    severity_number: Numbers<'a, Int32Type>,
    severity_text: Texts<'a>,
    event_name: Texts<'a>,
    body: Texts<'a>,
    body_kind: Numbers<'a, Int32Type>,
    trace_id: Ids<'a>,
    span_id: Ids<'a>,
    flags: Numbers<'a, Int64Type>,
    dropped: Numbers<'a, Int64Type>,
    attributes: Attributes<'a>,
    unknown: &'a BinaryArray,
}

impl<'a> Reader<'a> {
    pub(super) fn try_new(table: &Table<'a>) -> Result<Self, ParquetArchiveError> {
        Ok(Self {
            time: table.times("time")?,
            observed_time: table.times("observed_time")?,
            severity_number: table.numbers("severity_number")?,
            severity_text: table.texts("severity_text")?,
            event_name: table.texts("event_name")?,
            body: table.texts("body")?,
            body_kind: table.numbers("body_kind")?,
            trace_id: table.ids("trace_id")?,
            span_id: table.ids("span_id")?,
            flags: table.numbers("flags")?,
            dropped: table.numbers("dropped_attributes_count")?,
            attributes: table.attributes("attributes", "attribute_kinds")?,
            unknown: table.bytes("unknown_fields")?,
        })
    }

    pub(super) fn write(&self, row: usize, writer: &mut Writer) -> Result<(), ParquetArchiveError> {
        self.time.write(row, 1, writer);
        write_varint(2, i64::from(self.severity_number.number(row)), writer);
        self.severity_text.write(row, 3, writer);
        let body_kind = u8::try_from(self.body_kind.number(row)).unwrap_or(u8::MAX);
        if body_kind != kind::ABSENT {
            let body = writer.begin(5);
            write_value(body_kind, self.body.text(row), writer)
                .map_err(|error| foreign(error.to_string()))?;
            writer.end(body);
        }
        self.attributes.write(row, 6, writer)?;
        write_varint(7, self.dropped.number(row), writer);
        write_fixed32(8, self.flags.number(row), writer);
        self.trace_id.write(row, 9, writer);
        self.span_id.write(row, 10, writer);
        self.observed_time.write(row, 11, writer);
        self.event_name.write(row, 12, writer);
        write_unknown(self.unknown, row, writer);
        Ok(())
    }
}

/// Writes fields that this version does not know.
pub(super) fn write_unknown(unknown: &BinaryArray, row: usize, writer: &mut Writer) {
    if unknown.is_valid(row) {
        writer.raw(unknown.value(row));
    }
}
