//! Cost of storing log records and spans as Parquet, from validated requests to bytes of files.
//!
//! The data: see `corpus`; spans have the same resources, attributes and ids, an event on every
//! fourth and a link on every eighth. Beside it: the bare Parquet writer, with zstd 1 and otherwise
//! its own settings, on the same rows as record batches made before. Times are CPU times of the
//! process.

#![expect(clippy::expect_used, reason = "a benchmark may stop where its data is wrong")]
#![expect(clippy::print_stderr, reason = "a benchmark tells its figures")]

mod corpus;

use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::Bytes;
use catchment::data::{
    Batch, LogRecord, Signal, SpanId, SpanWriter, Time, TraceId, TracesBuilder, Value,
};
use catchment::storage::object::{Object, ObjectError, ObjectStore, Upload};
use catchment::storage::parquet::{
    Archive, Format, Partitioning, Retention, Rotation, RowGroup, Settings,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use self::corpus::{Corpus, RECORDS_PER_REQUEST, cpu_time};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUESTS: usize = 256;

/// The store of the last file, in memory.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl ObjectStore for Memory {
    fn open(&self) -> Result<(), ObjectError> {
        Ok(())
    }

    fn create(&self, _: &str) -> Result<Box<dyn Upload>, ObjectError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(Box::new(self.clone()))
    }

    fn list(&self, _: &str) -> Result<Vec<Object>, ObjectError> {
        Ok(Vec::new())
    }

    fn read_end(&self, _: &str, _: u64) -> Result<Bytes, ObjectError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().into())
    }

    fn delete(&self, _: &str) -> Result<(), ObjectError> {
        Ok(())
    }
}

impl Upload for Memory {
    fn append(&mut self, bytes: &[u8]) -> Result<(), ObjectError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ObjectError> {
        Ok(())
    }
}

/// Spans that have what log records have.
fn spans(logs: &Batch) -> Batch {
    let mut builder = TracesBuilder::new();
    for group in logs.logs().resources() {
        builder.resource(group.resource().bytes(), group.schema_url());
        for record in group.scopes().flat_map(|group| group.records()) {
            builder.span(|span| write_span(&record, span));
        }
    }
    builder.finish(Arc::clone(logs.context()))
}

fn write_span(record: &LogRecord<'_>, span: &mut SpanWriter<'_>) {
    let nanos = record.time().as_unix_nanos();
    let number = nanos / 10_000;
    let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let trace = record.trace_id().unwrap_or(TraceId::new(u128::from(id / 8).to_be_bytes()));
    let parent = record.span_id();
    span.ids(trace, SpanId::new(id.to_be_bytes()), parent);
    span.name(["GET /users", "SELECT users", "publish"][id as usize % 3], 2);
    let took = id % 1_000_000;
    span.times(record.time(), Time::from_unix_nanos(nanos + took));
    span.attributes(record.attributes());
    if number.is_multiple_of(4) {
        span.event(record.time(), "exception", [("exception.type", Value::Str("IOError"))]);
    }
    if number.is_multiple_of(8) {
        span.link(trace, SpanId::new(number.to_be_bytes()));
    }
    span.status(u8::from(number.is_multiple_of(16)) * 2, "");
    span.flags(0x101);
}

fn store(signal: Signal, batches: &[Batch]) -> Bytes {
    let memory = Memory::default();
    let settings = Settings {
        signal,
        file_prefix: "bench".to_owned(),
        format: Format {
            row_group: RowGroup { max_rows: 1 << 17, max_bytes: 64 << 20 },
            zstd_level: 1,
            promoted: Vec::new(),
        },
        partitioning: Partitioning { by: Vec::new(), max_open: 64 },
        rotation: Rotation { max_bytes: 1 << 40, max_rows: 1 << 40 },
        retention: Retention::default(),
    };
    let mut archive = Archive::new(settings, Arc::new(memory.clone()));
    for batch in batches {
        archive.add(batch, Time::default()).expect("memory takes it");
    }
    archive.commit(Time::default()).expect("memory takes it");
    let bytes = std::mem::take(&mut *memory.0.lock().unwrap_or_else(PoisonError::into_inner));
    Bytes::from(bytes)
}

/// The rows of a file, as many to a batch as to a request.
fn rows(file: Bytes) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("it was written just now");
    let reader = reader.with_batch_size(RECORDS_PER_REQUEST).build().expect("it is sound");
    reader.collect::<Result<_, _>>().expect("it is sound")
}

/// What one would do with the Parquet library at hand.
fn bare(rows: &[RecordBatch]) -> usize {
    let level = ZstdLevel::try_new(1).expect("there is a level 1");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(1 << 17))
        .build();
    let schema = rows.first().expect("there are rows").schema();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), schema, Some(properties)).expect("the types are known");
    for rows in rows {
        writer.write(rows).expect("memory takes it");
    }
    writer.into_inner().expect("memory takes it").len()
}

fn measured(rounds: u64, run: impl Fn() -> usize) -> Duration {
    let before = cpu_time();
    for _ in 0..rounds {
        black_box(run());
    }
    cpu_time() - before
}

fn storing(criterion: &mut Criterion) {
    let mut corpus = Corpus::new();
    let logs: Vec<Batch> = (0..REQUESTS).map(|_| corpus.batch()).collect();
    let spans: Vec<Batch> = logs.iter().map(spans).collect();
    let num_records = REQUESTS * RECORDS_PER_REQUEST;
    let mut group = criterion.benchmark_group("parquet");
    group.sample_size(10).throughput(Throughput::Elements(num_records as u64));
    for (name, signal, batches) in [("logs", Signal::Logs, logs), ("spans", Signal::Traces, spans)]
    {
        let wire: usize = batches.iter().map(Batch::size_bytes).sum();
        let file = store(signal, &batches);
        let rows = rows(file.clone());
        eprintln!(
            "{name}: {} bytes a record on the wire, {} in the file, {} by the bare writer",
            wire / num_records,
            file.len() / num_records,
            bare(&rows) / num_records
        );
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| measured(rounds, || store(signal, &batches).len()));
        });
        group.bench_function(format!("{name}, bare writer"), |bencher| {
            bencher.iter_custom(|rounds| measured(rounds, || bare(&rows)));
        });
    }
    group.finish();
}

criterion_group!(benches, storing);
criterion_main!(benches);
