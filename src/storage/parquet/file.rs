//! A Parquet file while it is written: rows in, bytes out.
//!
//! Row groups are encoded apart from the file that they go to: what breaks one in the making leaves
//! those before it as they are.

use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::envelope::{Envelope, Record};
use super::footer::Footer;
use super::group::{Group, GroupFactory};
use super::rows::{Rows, TimeRange};
use super::schema::{Layout, arrow_schema, columns, leaves, parquet_schema};
use super::{Format, RowGroup};
use crate::data::Signal;

/// How often the bloom filter may say of a trace that it might be there when it is not.
const FALSE_POSITIVES: f64 = 0.01;

/// The bloom filters of the row groups in the making take at most about one part in so many of
/// what those may take together.
const FILTERS_PART: usize = 4;

/// A file that is being written; its bytes are taken out as they come.
pub(super) struct FileWriter {
    signal: Signal,
    rows: Rows,
    limits: RowGroup,
    writer: SerializedFileWriter<Vec<u8>>,
    factory: GroupFactory,
    /// The row group in the making; nothing until it has rows.
    group: Group,
    /// The number of rows that are in it, or were before it broke.
    group_rows: usize,
    /// The number of rows in the row groups that are in the file.
    ended_rows: u64,
    num_taken: u64,
    /// Rows that are being encoded, to be found here if that breaks.
    in_work: Option<RecordBatch>,
    state: State,
}

/// What a panic, or an error, leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Everything that was added before.
    Sound,
    /// No row group in the making.
    GroupBroken,
    /// Nothing.
    FileBroken,
}

impl FileWriter {
    /// A file that is one of at most `max_open`, which share the memory of a row group.
    pub(super) fn try_new(
        signal: Signal,
        format: &Format,
        max_open: usize,
    ) -> Result<Self, ParquetError> {
        let columns = columns(signal, &format.promoted);
        let mut properties = properties(signal, format, max_open)?;
        let leaves = leaves(&columns);
        for leaf in leaves.iter().filter(|leaf| !leaf.is_repeated) {
            let path = ColumnPath::new(leaf.path.clone());
            properties = match leaf.layout {
                Layout::Dictionary => properties.set_column_dictionary_enabled(path.clone(), true),
                Layout::Delta => {
                    properties.set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                }
                Layout::Plain => properties,
            };
            if leaf.has_range {
                properties =
                    properties.set_column_statistics_enabled(path, EnabledStatistics::Page);
            }
        }
        let schema = Arc::new(arrow_schema(&columns));
        let root = parquet_schema(&columns)?.root_schema_ptr();
        let writer = SerializedFileWriter::new(Vec::new(), root, Arc::new(properties.build()))?;
        let factory = GroupFactory {
            library: ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema)),
            leaves,
            level: ZstdLevel::try_new(format.zstd_level)?,
            page_rows: page_rows(signal),
        };
        Ok(Self {
            signal,
            rows: Rows::new(signal, &format.promoted, schema),
            factory,
            limits: format.row_group,
            writer,
            group: Group::default(),
            group_rows: 0,
            ended_rows: 0,
            num_taken: 0,
            in_work: None,
            state: State::Sound,
        })
    }

    /// Adds a row. Envelopes of equal numbers are equal.
    pub(super) fn push(
        &mut self,
        envelope: &Envelope<'_>,
        envelope_number: u64,
        record: &Record<'_, '_>,
    ) -> Result<(), ParquetError> {
        self.rows.push(envelope, envelope_number, record);
        if self.rows.is_enough() { self.write_rows() } else { Ok(()) }
    }

    /// The number of rows in it.
    pub(super) const fn num_rows(&self) -> u64 {
        self.ended_rows + (self.group_rows + self.rows.len()) as u64
    }

    /// The times of its records.
    pub(super) const fn times(&self) -> TimeRange {
        self.rows.times
    }

    /// What of it is left when a call did not return, or failed.
    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Whether nothing of it is left.
    pub(super) fn is_broken(&self) -> bool {
        self.state == State::FileBroken
    }

    /// Begins the row group anew, without the rows that were in it or waited for it; answers how
    /// many they were.
    pub(super) fn give_up_group(&mut self) -> u64 {
        let num_rows = self.num_rows() - self.ended_rows;
        self.group.clear();
        self.group_rows = 0;
        self.rows.clear();
        self.state = State::Sound;
        num_rows
    }

    /// Takes out the rows of which encoding broke.
    pub(super) const fn take_broken_rows(&mut self) -> Option<RecordBatch> {
        self.in_work.take()
    }

    /// About the size that the file would have now.
    pub(super) fn size_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.group.size_bytes()) as u64
    }

    /// About the memory that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.rows.size_bytes() + self.group.memory_bytes() + self.writer.inner().len()
    }

    /// Writes the rows that wait, as rows of the row group.
    pub(super) fn write_rows(&mut self) -> Result<(), ParquetError> {
        self.refuse_broken()?;
        if self.rows.len() == 0 {
            // A panic may have left half a row.
            self.rows.clear();
            return Ok(());
        }
        self.state = State::GroupBroken;
        let rows = self.rows.take()?;
        self.write(rows)
    }

    /// Encodes rows, as many to a row group as may be.
    pub(super) fn write(&mut self, rows: RecordBatch) -> Result<(), ParquetError> {
        self.refuse_broken()?;
        self.state = State::GroupBroken;
        let mut rest = rows;
        while rest.num_rows() > 0 {
            let room = self.limits.max_rows.saturating_sub(self.group_rows).max(1);
            let part = rest.slice(0, room.min(rest.num_rows()));
            let behind = rest.slice(part.num_rows(), rest.num_rows() - part.num_rows());
            self.in_work = Some(rest);
            self.encode(&part)?;
            self.group_rows += part.num_rows();
            self.in_work = Some(behind.clone());
            if self.group_rows >= self.limits.max_rows
                || self.group.size_bytes() >= self.limits.max_bytes
            {
                self.end_group()?;
            }
            rest = behind;
        }
        self.in_work = None;
        self.state = State::Sound;
        Ok(())
    }

    /// Ends the row group, so that it takes less memory.
    pub(super) fn end_row_group(&mut self) -> Result<(), ParquetError> {
        self.write_rows()?;
        self.state = State::GroupBroken;
        self.end_group()?;
        self.state = State::Sound;
        Ok(())
    }

    /// Takes out the bytes that are ready.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, ParquetError> {
        if self.writer.bytes_written() as u64 == self.num_taken {
            return Ok(Vec::new());
        }
        self.writer.flush()?;
        let bytes = std::mem::take(self.writer.inner_mut());
        self.num_taken += bytes.len() as u64;
        Ok(bytes)
    }

    /// Ends the file, in which no row group is in the making; answers its last bytes.
    pub(super) fn finish(mut self, footer: &Footer) -> Result<Vec<u8>, ParquetError> {
        for (key, value) in footer.entries(self.signal) {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.writer.finish()?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    fn refuse_broken(&self) -> Result<(), ParquetError> {
        if self.is_broken() {
            return Err(ParquetError::General("the file broke before".to_owned()));
        }
        Ok(())
    }

    fn encode(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        #[cfg(test)]
        super::tests::panics::trip_on_rows(rows);
        if self.group.is_empty() {
            self.group = self.factory.create(&self.writer)?;
        }
        self.group.write(rows)
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        if self.group.is_empty() {
            return Ok(());
        }
        let chunks = self.group.end()?;
        self.state = State::FileBroken;
        #[cfg(test)]
        super::tests::panics::trip_on_end(self.ended_rows);
        let mut group = self.writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to(&mut group)?;
        }
        group.close()?;
        self.ended_rows += std::mem::take(&mut self.group_rows) as u64;
        self.state = State::GroupBroken;
        Ok(())
    }
}

/// Rows of a page, where bytes do not end it before. Columns of points repeat over many rows, which
/// the compressor sees only within a page; other signals have larger maps, whose positions in
/// dictionaries take memory until the page ends.
const fn page_rows(signal: Signal) -> usize {
    match signal {
        Signal::Metrics => 65_536,
        Signal::Logs | Signal::Traces => 20_000,
    }
}

/// What holds for all columns unless it is said of one.
///
/// The writer's own defaults cost twice the time: dictionaries of what hardly repeats, and least
/// and greatest values of long text.
fn properties(
    signal: Signal,
    format: &Format,
    max_open: usize,
) -> Result<WriterPropertiesBuilder, ParquetError> {
    let level = ZstdLevel::try_new(format.zstd_level)?;
    let trace_id = ColumnPath::from("trace_id");
    Ok(WriterProperties::builder()
        .set_created_by(format!("catchment {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(page_rows(signal))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_bloom_filter_enabled(trace_id.clone(), true)
        .set_column_bloom_filter_fpp(trace_id.clone(), FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(trace_id, max_filter_ids(format.row_group, max_open)))
}

/// How many traces the bloom filter of a row group has room for.
///
/// It takes that room from its first row on; with more traces it says more often that one might be
/// there. One of [`FALSE_POSITIVES`] takes 9.7 bits of each, and up to twice that, for its size is
/// a power of two.
fn max_filter_ids(limits: RowGroup, max_open: usize) -> u64 {
    let filter_bytes = limits.max_bytes / FILTERS_PART / max_open.max(1);
    let most = filter_bytes.saturating_mul(8) / 10;
    limits.max_rows.min(most.max(1)) as u64
}
