//! Cost of indexing log records, full and lean, beside tantivy with its own documents, tokenizer and
//! writer on the same rows.
//!
//! `corpus` tells the data. Times are CPU times of the whole process, so the index thread and merges
//! count and other processes do not. How long searches of what is on
//! disk take is measured by `.ci/long search`; those of the open tail are measured here, by the clock.

#![expect(clippy::expect_used, reason = "a benchmark may stop where its data is wrong")]
#![expect(clippy::print_stderr, reason = "a benchmark tells its figures")]

mod corpus;

use std::fs;
use std::path::Path;
use std::time::Duration;

use catchment::data::{Batch, Time, Value as View};
use catchment::query::{parse, search};
use catchment::storage::logindex::{
    Allowance, Detail, LogIndex, Order, Patience, Search, Settings, Snapshot,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::{Index, IndexWriter, TantivyDocument};

use self::corpus::{Corpus, RECORDS_PER_REQUEST, cpu_time};

/// The agent's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUESTS: usize = 256;

/// The size of the open tail that is searched.
const TAIL_BYTES: usize = 100 << 20;

fn open(directory: &Path, detail: Detail) -> LogIndex {
    LogIndex::open(Settings {
        directory: directory.to_owned(),
        window: Duration::from_secs(3600),
        detail,
        memory_bytes: 256 << 20,
        max_age: None,
        max_size_bytes: None,
    })
    .expect("the folder is new")
}

/// Indexes batches, with a commit whenever one is due and at the end.
fn fill(index: &LogIndex, batches: impl Iterator<Item = Batch>) {
    let commit = || {
        let committed = index.commit(Time::default());
        committed.blocking_recv().expect("the thread lives").expect("there is room");
    };
    for batch in batches {
        index.try_add(&batch).expect("commits make room");
        if index.is_commit_due() {
            commit();
        }
    }
    commit();
}

fn indexing(criterion: &mut Criterion) {
    let mut corpus = Corpus::new();
    let batches: Vec<Batch> = (0..REQUESTS).map(|_| corpus.batch()).collect();
    let num_records = REQUESTS * RECORDS_PER_REQUEST;
    let size_bytes: usize = batches.iter().map(Batch::size_bytes).sum();
    eprintln!("{} bytes a record on the wire", size_bytes / num_records);
    let mut group = criterion.benchmark_group("logindex");
    group.sample_size(10).throughput(Throughput::Elements(num_records as u64));
    for (name, detail) in [("full", Detail::Full), ("lean", Detail::Lean)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                measured(rounds, name, num_records, |folder| {
                    fill(&open(folder, detail), batches.iter().cloned());
                })
            });
        });
    }
    group.bench_function("bare tantivy", |bencher| {
        bencher.iter_custom(|rounds| {
            measured(rounds, "bare tantivy", num_records, |folder| bare(folder, &batches))
        });
    });
    group.finish();
}

/// The CPU time of `rounds` runs, each in a new folder; tells what they left there.
fn measured(rounds: u64, name: &str, num_records: usize, run: impl Fn(&Path)) -> Duration {
    let mut sum = Duration::ZERO;
    for round in 0..rounds {
        let folder = tempfile::tempdir().expect("there is room");
        let before = cpu_time();
        run(folder.path());
        sum += cpu_time() - before;
        if round == 0 {
            let (stored, others) = sizes(folder.path());
            let per_record = |bytes: u64| bytes as f64 / num_records as f64;
            eprintln!(
                "{name}: {:.1} bytes a record stored, {:.1} of index",
                per_record(stored),
                per_record(others)
            );
        }
    }
    sum
}

/// Bytes of stored documents, and of everything else.
fn sizes(folder: &Path) -> (u64, u64) {
    let (mut stored, mut others) = (0, 0);
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            let (inner_stored, inner_others) = sizes(&path);
            stored += inner_stored;
            others += inner_others;
        } else {
            let length = entry.metadata().expect("it is there").len();
            let is_store = path
                .extension()
                .is_some_and(|extension| extension == "store" || extension == "records");
            *(if is_store { &mut stored } else { &mut others }) += length;
        }
    }
    (stored, others)
}

/// The fields of the counterpart.
struct Bare {
    time: Field,
    severity: Field,
    service: Field,
    body: Field,
    attributes: Field,
    trace_id: Field,
    span_id: Field,
}

/// What one would do with tantivy at hand: its own documents, its default tokenizer, a JSON field.
fn bare(folder: &Path, batches: &[Batch]) {
    let mut builder = Schema::builder();
    let indexing = |tokenizer: &str| {
        let indexing = TextFieldIndexing::default();
        indexing.set_tokenizer(tokenizer).set_index_option(IndexRecordOption::Basic)
    };
    let body = TextOptions::default().set_indexing_options(indexing("default")).set_stored();
    let fields = Bare {
        time: builder.add_i64_field("time", FAST | STORED),
        severity: builder.add_u64_field("severity", FAST | STORED),
        service: builder.add_text_field("service", STRING | STORED),
        body: builder.add_text_field("body", body),
        attributes: builder.add_json_field("attributes", STRING | STORED),
        trace_id: builder.add_bytes_field("trace_id", INDEXED | STORED),
        span_id: builder.add_bytes_field("span_id", INDEXED | STORED),
    };
    let index = Index::create_in_dir(folder, builder.build()).expect("the folder is new");
    let mut writer: IndexWriter =
        index.writer_with_num_threads(1, 128 << 20).expect("nobody else writes");
    for batch in batches {
        for item in batch.logs().items() {
            writer.add_document(document(&fields, &item)).expect("the thread lives");
        }
    }
    writer.commit().expect("there is room");
    writer.wait_merging_threads().expect("there is room");
}

fn document(
    fields: &Bare,
    item: &catchment::data::Item<'_, catchment::data::LogRecord<'_>>,
) -> TantivyDocument {
    let record = item.record;
    let mut document = TantivyDocument::default();
    document.add_i64(fields.time, record.time().as_unix_nanos().cast_signed());
    document.add_u64(fields.severity, record.severity_number().unsigned_abs().into());
    document.add_text(fields.service, item.resource.service_name().unwrap_or_default());
    document.add_text(fields.body, record.body().to_text());
    let attributes = record.attributes().iter().map(|(name, value)| {
        let value = match value {
            View::Int(int) => tantivy::schema::OwnedValue::I64(int),
            View::Double(double) => tantivy::schema::OwnedValue::F64(double),
            View::Bool(bool) => tantivy::schema::OwnedValue::Bool(bool),
            _ => tantivy::schema::OwnedValue::Str(value.to_text().into_owned()),
        };
        (name.to_owned(), value)
    });
    document.add_object(fields.attributes, attributes.collect());
    if let Some(id) = record.trace_id() {
        document.add_bytes(fields.trace_id, id.as_bytes());
    }
    if let Some(id) = record.span_id() {
        document.add_bytes(fields.span_id, id.as_bytes());
    }
    document
}

/// The open tail after some 100 MiB, with nothing going on beside it.
fn tail() -> Snapshot {
    let folder = tempfile::tempdir().expect("there is room");
    let index = open(folder.path(), Detail::Full);
    let mut corpus = Corpus::new();
    let mut size_bytes = 0;
    while size_bytes < TAIL_BYTES {
        let batch = corpus.batch();
        size_bytes += batch.size_bytes();
        index.try_add(&batch).expect("there is room");
    }
    let snapshot = index.snapshot();
    eprintln!("{} records in {} bytes of tail", corpus.num_records, size_bytes);
    snapshot
}

fn searching_the_tail(criterion: &mut Criterion) {
    let tail = tail();
    let mut group = criterion.benchmark_group("logindex/tail");
    group.sample_size(10);
    let everything = 0..i64::MAX;
    let start = corpus::START.cast_signed();
    for (name, query, time) in [
        ("word nowhere", "supercalifragilistic", everything.clone()),
        ("rare part of numbers", "*98765*", everything.clone()),
        ("frequent word", "session", everything.clone()),
        ("frequent word with severity", "session severity:>=error", everything.clone()),
        ("two frequent words nowhere in a row", "\"closed opened\"", everything.clone()),
        ("trace", "trace_id:5b8efff798038103d269b633813fc60c", everything.clone()),
        ("substring nowhere", "*ession\\ refus*", everything.clone()),
        (
            "attribute nowhere",
            "request.id:00000000-dead-beef-0000-000000000000",
            everything.clone(),
        ),
        ("number nowhere", "http.status_code:999", everything.clone()),
        ("word in the first second", "supercalifragilistic", 0..start + 1_000_000_000),
    ] {
        let filter = parse(query).expect("it is a query");
        let order = Order::NewestFirst;
        let wanted = Search {
            filter,
            time,
            order,
            limit: 100,
            patience: Patience::default(),
            allowance: Allowance::default(),
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| search(vec![tail.clone()], &wanted).expect("it is in memory").len());
        });
    }
    group.finish();
}

criterion_group!(benches, indexing, searching_the_tail);
criterion_main!(benches);
