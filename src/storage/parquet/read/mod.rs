//! Parquet files back as OTLP.

mod access;
mod envelope;
mod logs;
mod metrics;
mod traces;

use std::sync::Arc;

use arrow::array::{ArrayData, RecordBatch, StructArray, make_array};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::KeyValue;
use parquet::file::reader::ChunkReader;

use self::access::Table;
use self::envelope::EnvelopeReader;
use super::error::ParquetArchiveError;
use super::footer::key;
use super::schema::{SCHEMA_VERSION, columns, readers_type};
use crate::data::wire::Writer;
use crate::data::{Batch, Context, LogsBuilder, MetricsBuilder, Signal, TracesBuilder};

/// A Parquet file of an archive, read as batches of about so many rows.
pub struct FileReader {
    signal: Signal,
    rows: ParquetRecordBatchReader,
}

impl FileReader {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read, is no file of an archive, or of a later version.
    pub fn try_new<T: ChunkReader + 'static>(
        file: T,
        batch_rows: usize,
    ) -> Result<Self, ParquetArchiveError> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(ParquetArchiveError::Read)?;
        let entries = builder.metadata().file_metadata().key_value_metadata();
        let entries = entries.map(Vec::as_slice).unwrap_or_default();
        let version = entry(entries, key::SCHEMA_VERSION)?;
        let found = version.parse().map_err(|_| foreign(key::SCHEMA_VERSION))?;
        if found > SCHEMA_VERSION {
            return Err(ParquetArchiveError::Version { found, known: SCHEMA_VERSION });
        }
        let signal = entry(entries, key::SIGNAL)?;
        let signal = Signal::ALL.into_iter().find(|known| known.as_str() == signal);
        let signal = signal.ok_or_else(|| foreign(key::SIGNAL))?;
        let rows = builder.with_batch_size(batch_rows).build();
        Ok(Self { signal, rows: rows.map_err(ParquetArchiveError::Read)? })
    }

    /// The signal of its records.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }
}

impl Iterator for FileReader {
    type Item = Result<Batch, ParquetArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.rows.next()?;
        Some(
            rows.map_err(|error| ParquetArchiveError::Read(error.into()))
                .and_then(|rows| batch(self.signal, rows)),
        )
    }
}

/// The records of rows that were to be written.
pub(super) fn unwritten(
    signal: Signal,
    promoted: &[String],
    rows: &RecordBatch,
) -> Result<Batch, ParquetArchiveError> {
    let columns = columns(signal, promoted);
    let arrays = columns.iter().zip(rows.columns()).map(|(column, array)| {
        let array = make_array(retype(array.to_data(), &readers_type(&column.kind))?);
        Ok((&*column.name, array, column.is_optional))
    });
    let arrays = arrays.collect::<Result<Vec<_>, ArrowError>>();
    let rows = arrays.and_then(RecordBatch::try_from_iter_with_nullable);
    rows.map_err(|error| ParquetArchiveError::Read(error.into()))
        .and_then(|rows| batch(signal, rows))
}

/// The same data with a type of the same layout.
fn retype(data: ArrayData, to: &DataType) -> Result<ArrayData, ArrowError> {
    let of_children: Vec<&DataType> = match to {
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::List(field) | DataType::Map(field, _) => vec![field.data_type()],
        _ => Vec::new(),
    };
    let children = data.child_data().iter().cloned().zip(of_children);
    let children = children.map(|(child, to)| retype(child, to)).collect::<Result<_, _>>()?;
    data.into_builder().data_type(to.clone()).child_data(children).build()
}

fn batch(signal: Signal, rows: RecordBatch) -> Result<Batch, ParquetArchiveError> {
    match signal {
        Signal::Logs => read_logs(rows),
        Signal::Traces => read_spans(rows),
        Signal::Metrics => read_points(rows),
    }
}

fn read_logs(rows: RecordBatch) -> Result<Batch, ParquetArchiveError> {
    let rows = StructArray::from(rows);
    let table = Table::new(&rows);
    let (mut envelopes, records) =
        (EnvelopeReader::try_new(&table)?, logs::Reader::try_new(&table)?);
    let mut builder = LogsBuilder::new();
    let mut writer = Writer::default();
    for row in 0..table.num_rows() {
        envelopes.begin(row, &mut builder)?;
        writer.clear();
        records.write(row, &mut writer)?;
        builder.encoded(writer.as_slice());
    }
    Ok(builder.finish(Arc::new(Context::default())))
}

fn read_spans(rows: RecordBatch) -> Result<Batch, ParquetArchiveError> {
    let rows = StructArray::from(rows);
    let table = Table::new(&rows);
    let mut envelopes = EnvelopeReader::try_new(&table)?;
    let spans = traces::Reader::try_new(&table)?;
    let mut builder = TracesBuilder::new();
    let mut writer = Writer::default();
    for row in 0..table.num_rows() {
        envelopes.begin(row, &mut builder)?;
        writer.clear();
        spans.write(row, &mut writer)?;
        builder.encoded(writer.as_slice());
    }
    Ok(builder.finish(Arc::new(Context::default())))
}

/// Rows that follow one another and have the same metric become one metric.
fn read_points(rows: RecordBatch) -> Result<Batch, ParquetArchiveError> {
    let rows = StructArray::from(rows);
    let table = Table::new(&rows);
    let mut envelopes = EnvelopeReader::try_new(&table)?;
    let points = metrics::Reader::try_new(&table)?;
    let mut builder = MetricsBuilder::new();
    let mut metric = metrics::Open::default();
    for row in 0..table.num_rows() {
        if envelopes.is_other(row)? {
            metric.end(&mut builder);
            envelopes.begin(row, &mut builder)?;
        }
        points.write(row, &mut metric, &mut builder)?;
    }
    metric.end(&mut builder);
    Ok(builder.finish(Arc::new(Context::default())))
}

fn entry<'a>(entries: &'a [KeyValue], key: &str) -> Result<&'a str, ParquetArchiveError> {
    let found = entries.iter().find(|entry| entry.key == key);
    found.and_then(|entry| entry.value.as_deref()).ok_or_else(|| foreign(key))
}

fn foreign(what: impl Into<String>) -> ParquetArchiveError {
    ParquetArchiveError::Foreign { what: what.into() }
}
