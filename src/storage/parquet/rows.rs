//! Rows of any signal on their way from views into column arrays.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::errors::ParquetError;

use super::envelope::{Envelope, EnvelopeColumns, Promoted, Record};
use super::logs::LogColumns;
use super::metrics::PointColumns;
use super::traces::SpanColumns;
use crate::data::{Signal, Time};

/// So many rows go to the writer at once.
const MAX_ROWS: usize = 1_024;
/// So many bytes of records, with what they stand in, go to the writer at once, or one record.
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
    signal: Signal,
    schema: SchemaRef,
    own: Own,
    envelope: EnvelopeColumns,
    promoted: Promoted,
    num_rows: usize,
    /// The size of their records on the wire, each with its metric.
    record_bytes: usize,
    /// The number of the envelope of the last row.
    envelope_number: u64,
    pub(super) times: TimeRange,
}

impl Rows {
    pub(super) fn new(signal: Signal, promoted: &[String], schema: SchemaRef) -> Self {
        let own = match signal {
            Signal::Logs => Own::Logs(Box::default()),
            Signal::Traces => Own::Traces(Box::default()),
            Signal::Metrics => Own::Metrics(Box::default()),
        };
        Self {
            signal,
            schema,
            own,
            envelope: EnvelopeColumns::default(),
            promoted: Promoted::new(promoted),
            num_rows: 0,
            record_bytes: 0,
            envelope_number: 0,
            times: TimeRange::default(),
        }
    }

    /// The number of rows that wait.
    pub(super) const fn len(&self) -> usize {
        self.num_rows
    }

    /// Whether they should be written now.
    pub(super) const fn is_enough(&self) -> bool {
        self.num_rows >= MAX_ROWS || self.size_bytes() >= MAX_BYTES
    }

    /// About the memory that they take.
    pub(super) const fn size_bytes(&self) -> usize {
        self.record_bytes + self.envelope.size_bytes()
    }

    /// Lets go of the rows that wait.
    pub(super) fn clear(&mut self) {
        let times = self.times;
        *self = Self::new(self.signal, self.promoted.names(), Arc::clone(&self.schema));
        self.times = times;
    }

    /// Takes out the rows that wait; what a panic left of another goes away.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ParquetError> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        match &mut self.own {
            Own::Logs(columns) => columns.finish(&mut arrays),
            Own::Traces(columns) => columns.finish(&mut arrays),
            Own::Metrics(columns) => columns.finish(&mut arrays),
        }
        self.envelope.finish(&mut arrays);
        self.promoted.finish(&mut arrays);
        let num_rows = self.num_rows;
        for array in &mut arrays {
            if array.len() > num_rows {
                *array = array.slice(0, num_rows);
            }
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
        self.num_rows = 0;
        self.record_bytes = 0;
        Ok(rows)
    }

    /// Adds a row. Envelopes of equal numbers are equal.
    pub(super) fn push(
        &mut self,
        envelope: &Envelope<'_>,
        envelope_number: u64,
        record: &Record<'_, '_>,
    ) {
        let (time, record_bytes) = match (&mut self.own, record) {
            (Own::Logs(columns), Record::Log(record)) => (columns.push(record), record.len()),
            (Own::Traces(columns), Record::Span(span)) => (columns.push(span), span.len()),
            (Own::Metrics(columns), Record::Point(metric, point)) => {
                let about_len =
                    metric.name().len() + metric.description().len() + metric.unit().len();
                let about_len = about_len + metric.metadata().kvlist_len();
                (columns.push(metric, *point), about_len + point.bytes().len())
            }
            // An archive takes records of its own signal only.
            _ => return,
        };
        #[cfg(test)]
        super::tests::panics::trip_on_record(record);
        self.promoted.push(envelope.resource, record);
        if self.num_rows > 0 && envelope_number == self.envelope_number {
            self.envelope.repeat();
        } else {
            self.envelope.push(envelope);
        }
        self.envelope_number = envelope_number;
        self.times.add(time);
        self.record_bytes += record_bytes;
        self.num_rows += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::walk_rows;
    use super::super::schema::{arrow_schema, columns};
    use super::*;
    use crate::data::wire::Writer;
    use crate::data::{About, DataKind, MetricsBuilder, NumberValue, Temporality, encode_scope};

    const LARGE: usize = 3 << 20;

    fn rows(signal: Signal) -> Rows {
        Rows::new(signal, &[], Arc::new(arrow_schema(&columns(signal, &[]))))
    }

    #[test]
    fn rows_that_share_a_large_scope_are_taken_a_few_at_a_time() {
        let scope = encode_scope(&"s".repeat(LARGE), "");
        let envelope = Envelope { scope: &scope, ..Envelope::default() };
        let mut rows = rows(Signal::Logs);
        let mut num_taken = 0;
        for _ in 0..1024 {
            rows.push(&envelope, 1, &Record::Log(&[]));
            if rows.is_enough() {
                let taken = rows.take().unwrap();
                assert!(taken.get_array_memory_size() < 3 * LARGE);
                num_taken += taken.num_rows();
            }
        }
        assert_eq!(num_taken + rows.len(), 1024);
    }

    #[test]
    fn whatever_records_stand_in_counts_for_each_of_them() {
        let large = "s".repeat(LARGE);
        let name = encode_scope(&large, "");
        let version = encode_scope("", &large);
        let resource = |number: u32, field: &[u8]| {
            let mut writer = Writer::default();
            writer.bytes_field(number, field);
            writer.into_bytes()
        };
        let entity = resource(3, &resource(1, large.as_bytes()));
        // An attribute without a name and a value, many times.
        let attributes = resource(1, &[]).repeat(LARGE / 9);
        let none = Envelope::default();
        for envelope in [
            Envelope { tenant: &large, ..none },
            Envelope { resource: &entity, ..none },
            Envelope { resource: &attributes, ..none },
            Envelope { resource_schema_url: large.as_bytes(), ..none },
            Envelope { scope: &name, ..none },
            Envelope { scope: &version, ..none },
            Envelope { scope_schema_url: large.as_bytes(), ..none },
        ] {
            let mut rows = rows(Signal::Logs);
            rows.push(&envelope, 1, &Record::Log(&[]));
            assert!(!rows.is_enough());
            rows.push(&envelope, 1, &Record::Log(&[]));
            assert!(rows.is_enough());
        }
    }

    #[test]
    fn whatever_a_metric_says_of_itself_counts_for_each_of_its_points() {
        let large = "s".repeat(LARGE);
        let none = About {
            name: "",
            description: "",
            unit: "",
            kind: DataKind::Gauge,
            temporality: Temporality::Unspecified,
            is_monotonic: false,
        };
        for about in [
            About { name: &large, ..none },
            About { description: &large, ..none },
            About { unit: &large, ..none },
        ] {
            let mut builder = MetricsBuilder::new();
            builder.metric(&about, |points| {
                for _ in 0..2 {
                    points.number((Time::default(), Time::default()), NumberValue::Int(1), []);
                }
            });
            let batch = builder.finish(Arc::default());
            let mut rows = rows(Signal::Metrics);
            let walked = walk_rows(&batch, &mut 0, |envelope, number, record| {
                assert!(!rows.is_enough());
                rows.push(envelope, number, &record);
                Ok::<(), ()>(())
            });
            walked.unwrap();
            assert!(rows.is_enough());
        }
    }
}
