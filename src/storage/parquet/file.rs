//! A Parquet file while it is written: records in, bytes out.

use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::footer::Footer;
use super::rows::{Rows, TimeRange};
use super::schema::{Layout, arrow_schema, columns, leaves, parquet_schema};
use super::{Format, RowGroup};
use crate::data::{Batch, Signal};

/// How often the bloom filter may say of a trace that it might be there when it is not.
const FALSE_POSITIVES: f64 = 0.01;

/// A file that is being written; its bytes are taken out as they come.
pub(super) struct FileWriter {
    signal: Signal,
    rows: Rows,
    writer: ArrowWriter<Vec<u8>>,
    num_rows: u64,
    num_taken: u64,
}

impl FileWriter {
    pub(super) fn try_new(signal: Signal, format: &Format) -> Result<Self, ParquetError> {
        let columns = columns(signal, &format.promoted);
        let mut properties = properties(format)?;
        for leaf in leaves(&columns) {
            let path = ColumnPath::new(leaf.path);
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
        let arrow = arrow_schema(&columns);
        let options = ArrowWriterOptions::new()
            .with_properties(properties.build())
            .with_skip_arrow_metadata(true)
            .with_parquet_schema(parquet_schema(&columns)?);
        let rows = Rows::new(signal, &format.promoted, arrow.clone());
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::new(arrow), options)?;
        Ok(Self { signal, rows, writer, num_rows: 0, num_taken: 0 })
    }

    /// Adds the records of a batch.
    pub(super) fn add(&mut self, batch: &Batch) -> Result<(), ParquetError> {
        let Self { rows, writer, .. } = self;
        rows.add(batch, |rows| writer.write(rows))?;
        self.num_rows += batch.num_records() as u64;
        Ok(())
    }

    /// The number of records in it.
    pub(super) const fn num_rows(&self) -> u64 {
        self.num_rows
    }

    /// The times of its records.
    pub(super) const fn times(&self) -> TimeRange {
        self.rows.times
    }

    /// About the size that the file would have now.
    pub(super) fn size_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// About the memory that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.rows.size_bytes() + self.writer.memory_size() + self.writer.inner().len()
    }

    /// Ends the row group, so that it takes less memory.
    pub(super) fn end_row_group(&mut self) -> Result<(), ParquetError> {
        self.write_rows()?;
        self.writer.flush()
    }

    /// Takes out the bytes that are ready.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, ParquetError> {
        if self.writer.bytes_written() as u64 == self.num_taken {
            return Ok(Vec::new());
        }
        self.writer.sync()?;
        let bytes = std::mem::take(self.writer.inner_mut());
        self.num_taken += bytes.len() as u64;
        Ok(bytes)
    }

    /// Ends the file; answers its last bytes.
    pub(super) fn finish(mut self, footer: &Footer) -> Result<Vec<u8>, ParquetError> {
        self.write_rows()?;
        for (key, value) in footer.entries(self.signal) {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.writer.finish()?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    fn write_rows(&mut self) -> Result<(), ParquetError> {
        if self.rows.len() > 0 {
            let rows = self.rows.take()?;
            self.writer.write(&rows)?;
        }
        Ok(())
    }
}

/// What holds for all columns unless it is said of one.
///
/// The writer's own defaults cost twice the time: dictionaries of what hardly repeats, and least
/// and greatest values of long text.
fn properties(format: &Format) -> Result<WriterPropertiesBuilder, ParquetError> {
    let RowGroup { max_rows, max_bytes } = format.row_group;
    let level = ZstdLevel::try_new(format.zstd_level)?;
    let trace_id = ColumnPath::from("trace_id");
    Ok(WriterProperties::builder()
        .set_created_by(format!("catchment {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(max_rows))
        .set_max_row_group_bytes(Some(max_bytes))
        .set_column_bloom_filter_enabled(trace_id.clone(), true)
        .set_column_bloom_filter_fpp(trace_id.clone(), FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(trace_id, max_rows as u64))
}
