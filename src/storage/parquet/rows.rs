//! Rows of any signal on their way from views into column arrays.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::errors::ParquetError;

use super::envelope::{Envelope, EnvelopeColumns, Promoted, walk};
use super::logs::LogColumns;
use super::metrics::PointColumns;
use super::traces::SpanColumns;
use crate::data::wire::Fields;
use crate::data::{Batch, Metric, Signal, Time};

/// So many rows go to the writer at once.
const MAX_ROWS: usize = 4_096;
/// So many bytes of records go to the writer at once, or one record.
const MAX_BYTES: usize = 4 << 20;

/// The columns that differ between signals.
#[derive(Debug)]
enum Own {
    Logs(Box<LogColumns>),
    Traces(Box<SpanColumns>),
    Metrics(Box<PointColumns>),
}

/// The least and the greatest time of records, leaving out what has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeRange {
    pub(super) min: Time,
    pub(super) max: Time,
}

impl Default for TimeRange {
    fn default() -> Self {
        Self { min: Time::MAX, max: Time::default() }
    }
}

impl TimeRange {
    fn add(&mut self, time: Time) {
        if time != Time::default() {
            self.min = self.min.min(time);
            self.max = self.max.max(time);
        }
    }
}

/// Rows that wait to be written.
#[derive(Debug)]
pub(super) struct Rows {
    schema: SchemaRef,
    own: Own,
    envelope: EnvelopeColumns,
    promoted: Promoted,
    /// The size of their records on the wire.
    record_bytes: usize,
    /// Whether the next row has another envelope than the one before.
    is_new_envelope: bool,
    pub(super) times: TimeRange,
}

impl Rows {
    pub(super) fn new(signal: Signal, promoted: &[String], schema: Schema) -> Self {
        let own = match signal {
            Signal::Logs => Own::Logs(Box::default()),
            Signal::Traces => Own::Traces(Box::default()),
            Signal::Metrics => Own::Metrics(Box::default()),
        };
        Self {
            schema: Arc::new(schema),
            own,
            envelope: EnvelopeColumns::default(),
            promoted: Promoted::new(promoted),
            record_bytes: 0,
            is_new_envelope: true,
            times: TimeRange::default(),
        }
    }

    /// Adds the records of a batch; gives rows to `write` as they become enough.
    pub(super) fn add(
        &mut self,
        batch: &Batch,
        mut write: impl FnMut(&RecordBatch) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        let tenant = batch.context().tenant.as_deref().unwrap_or_default();
        for chunk in batch.chunks() {
            walk(chunk, tenant, |envelope, record, is_first| {
                self.push(envelope, record, is_first, &mut write)
            })?;
        }
        Ok(())
    }

    /// The number of rows that wait.
    pub(super) const fn len(&self) -> usize {
        self.envelope.len()
    }

    /// About the memory that they take.
    pub(super) const fn size_bytes(&self) -> usize {
        self.record_bytes + self.envelope.size_bytes()
    }

    /// Takes out the rows that wait.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ParquetError> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        match &mut self.own {
            Own::Logs(columns) => columns.finish(&mut arrays),
            Own::Traces(columns) => columns.finish(&mut arrays),
            Own::Metrics(columns) => columns.finish(&mut arrays),
        }
        self.envelope.finish(&mut arrays);
        self.promoted.finish(&mut arrays);
        self.record_bytes = 0;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }

    fn push(
        &mut self,
        envelope: &Envelope<'_>,
        record: &[u8],
        is_first: bool,
        write: &mut dyn FnMut(&RecordBatch) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        self.is_new_envelope |= is_first;
        let resource = envelope.resource;
        match &mut self.own {
            Own::Logs(columns) => {
                self.times.add(columns.push(record));
                self.promoted.push(resource, || attributes(record, 6));
            }
            Own::Traces(columns) => {
                self.times.add(columns.push(record));
                self.promoted.push(resource, || attributes(record, 9));
            }
            Own::Metrics(_) => return self.push_points(envelope, record, write),
        }
        self.end_row(envelope, record.len(), write)
    }

    fn push_points(
        &mut self,
        envelope: &Envelope<'_>,
        metric: &[u8],
        write: &mut dyn FnMut(&RecordBatch) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        let metric = Metric::of_encoded(metric);
        let about_len =
            metric.name().len() + metric.description().len() + metric.metadata().kvlist_len();
        for point in metric.points() {
            if let Own::Metrics(columns) = &mut self.own {
                self.times.add(columns.push(&metric, point));
            }
            self.promoted.push(envelope.resource, || point.attributes().raw());
            self.end_row(envelope, about_len + point.bytes().len(), write)?;
        }
        Ok(())
    }

    /// Adds the envelope's columns to the row; writes the rows when they are enough.
    fn end_row(
        &mut self,
        envelope: &Envelope<'_>,
        record_bytes: usize,
        write: &mut dyn FnMut(&RecordBatch) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        self.record_bytes += record_bytes;
        if self.is_new_envelope || self.envelope.len() == 0 {
            self.envelope.push(envelope);
        } else {
            self.envelope.repeat();
        }
        self.is_new_envelope = false;
        if self.len() >= MAX_ROWS || self.size_bytes() >= MAX_BYTES {
            write(&self.take()?)?;
        }
        Ok(())
    }
}

fn attributes(record: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(record).filter(move |field| field.number == number).map(|field| field.bytes())
}
