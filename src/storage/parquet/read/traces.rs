//! Rows back as spans.

use arrow::array::{BinaryArray, ListArray};
use arrow::datatypes::{Int32Type, Int64Type};

use super::super::error::ParquetArchiveError;
use super::access::{
    Attributes, Ids, Numbers, Table, Texts, Times, range, rows_of, write_fixed32, write_varint,
};
use super::logs::write_unknown;
use crate::data::wire::Writer;

/// The columns of spans.
pub(super) struct Reader<'a> {
    trace_id: Ids<'a>,
    span_id: Ids<'a>,
    parent_span_id: Ids<'a>,
    trace_state: Texts<'a>,
    name: Texts<'a>,
    kind: Numbers<'a, Int32Type>,
    time: Times<'a>,
    end_time: Times<'a>,
    dropped: [(u32, Numbers<'a, Int64Type>); 3],
    status_code: Numbers<'a, Int32Type>,
    status_message: Texts<'a>,
    flags: Numbers<'a, Int64Type>,
    attributes: Attributes<'a>,
    events: Events<'a>,
    links: Links<'a>,
    unknown: &'a BinaryArray,
}

impl<'a> Reader<'a> {
    pub(super) fn try_new(table: &Table<'a>) -> Result<Self, ParquetArchiveError> {
        Ok(Self {
            trace_id: table.ids("trace_id")?,
            span_id: table.ids("span_id")?,
            parent_span_id: table.ids("parent_span_id")?,
            trace_state: table.texts("trace_state")?,
            name: table.texts("name")?,
            kind: table.numbers("kind")?,
            time: table.times("time")?,
            end_time: table.times("end_time")?,
            dropped: [
                (10, table.numbers("dropped_attributes_count")?),
                (12, table.numbers("dropped_events_count")?),
                (14, table.numbers("dropped_links_count")?),
            ],
            status_code: table.numbers("status_code")?,
            status_message: table.texts("status_message")?,
            flags: table.numbers("flags")?,
            attributes: table.attributes("attributes", "attribute_kinds")?,
            events: Events::try_new(table.lists("events")?)?,
            links: Links::try_new(table.lists("links")?)?,
            unknown: table.bytes("unknown_fields")?,
        })
    }

    pub(super) fn write(&self, row: usize, writer: &mut Writer) -> Result<(), ParquetArchiveError> {
        self.trace_id.write(row, 1, writer);
        self.span_id.write(row, 2, writer);
        self.trace_state.write(row, 3, writer);
        self.parent_span_id.write(row, 4, writer);
        self.name.write(row, 5, writer);
        write_varint(6, i64::from(self.kind.number(row)), writer);
        self.time.write(row, 7, writer);
        self.end_time.write(row, 8, writer);
        self.attributes.write(row, 9, writer)?;
        for (number, dropped) in &self.dropped {
            write_varint(*number, dropped.number(row), writer);
        }
        self.events.write(row, writer)?;
        self.links.write(row, writer)?;
        if let Some(code) = self.status_code.maybe(row) {
            let status = writer.begin(15);
            self.status_message.write(row, 2, writer);
            write_varint(3, i64::from(code), writer);
            writer.end(status);
        }
        write_fixed32(16, self.flags.number(row), writer);
        write_unknown(self.unknown, row, writer);
        Ok(())
    }
}

/// The columns of events.
struct Events<'a> {
    lists: &'a ListArray,
    time: Times<'a>,
    name: Texts<'a>,
    attributes: Attributes<'a>,
    dropped: Numbers<'a, Int64Type>,
}

impl<'a> Events<'a> {
    fn try_new(lists: &'a ListArray) -> Result<Self, ParquetArchiveError> {
        let table = Table::new(rows_of(lists)?);
        Ok(Self {
            lists,
            time: table.times("time")?,
            name: table.texts("name")?,
            attributes: table.attributes("attributes", "attribute_kinds")?,
            dropped: table.numbers("dropped_attributes_count")?,
        })
    }

    fn write(&self, row: usize, writer: &mut Writer) -> Result<(), ParquetArchiveError> {
        for index in range(self.lists.value_offsets(), row) {
            let event = writer.begin(11);
            self.time.write(index, 1, writer);
            self.name.write(index, 2, writer);
            self.attributes.write(index, 3, writer)?;
            write_varint(4, self.dropped.number(index), writer);
            writer.end(event);
        }
        Ok(())
    }
}

/// The columns of links.
struct Links<'a> {
    lists: &'a ListArray,
    trace_id: Ids<'a>,
    span_id: Ids<'a>,
    trace_state: Texts<'a>,
    attributes: Attributes<'a>,
    dropped: Numbers<'a, Int64Type>,
    flags: Numbers<'a, Int64Type>,
}

impl<'a> Links<'a> {
    fn try_new(lists: &'a ListArray) -> Result<Self, ParquetArchiveError> {
        let table = Table::new(rows_of(lists)?);
        Ok(Self {
            lists,
            trace_id: table.ids("trace_id")?,
            span_id: table.ids("span_id")?,
            trace_state: table.texts("trace_state")?,
            attributes: table.attributes("attributes", "attribute_kinds")?,
            dropped: table.numbers("dropped_attributes_count")?,
            flags: table.numbers("flags")?,
        })
    }

    fn write(&self, row: usize, writer: &mut Writer) -> Result<(), ParquetArchiveError> {
        for index in range(self.lists.value_offsets(), row) {
            let link = writer.begin(13);
            self.trace_id.write(index, 1, writer);
            self.span_id.write(index, 2, writer);
            self.trace_state.write(index, 3, writer);
            self.attributes.write(index, 4, writer)?;
            write_varint(5, self.dropped.number(index), writer);
            write_fixed32(6, self.flags.number(index), writer);
            writer.end(link);
        }
        Ok(())
    }
}
