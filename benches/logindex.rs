//! Cost of indexing log records, full and lean, and of searching them.
//!
//! The data: requests of 500 records, 4 resources of 10 attributes each; bodies from loghub's files,
//! each resource going through one of them, where `CATCHMENT_TEST_DATA` names their folder, else
//! from templates; every number of at least four digits is rolled anew; 6 attributes, one of them a UUID and one a double; trace and span ids on every other record.
//! Beside it: tantivy with its own documents, tokenizer and writer on the same rows. Times are CPU
//! times of the whole process, so the index thread and merges count and other processes do not.
//!
//! `CATCHMENT_BENCH_RECORDS` says how many records are searched, by default 1,000,000.

#![expect(clippy::expect_used, reason = "a benchmark may stop where its data is wrong")]
#![expect(clippy::print_stderr, reason = "a benchmark tells its figures")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchment::data::{Batch, Context, DoorLimits, Signal, Time, Value as View};
use catchment::query;
use catchment::storage::logindex::{Detail, LogIndex, Order, Search, Settings};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::{Index, IndexWriter, TantivyDocument};

const RECORDS_PER_REQUEST: usize = 500;
const REQUESTS: usize = 256;
const START: u64 = 1_795_532_400_000_000_000;
/// A record every 10 µs.
const STEP: u64 = 10_000;
const QUERIES: usize = 1_000;

const TEMPLATES: [&str; 6] = [
    "Received block blk_1608999687919862906 of size 91178 from /10.250.14.224 and written to disk",
    "Failed password for invalid user admin from 185.190.58.151 port 55495 ssh2",
    "workerEnv.init() ok /etc/httpd/conf/workers2.properties jk2_init() Found child 6725 in slot 10",
    "Connection broken for id 188978561024, my id = 1, error = java.io.EOFException at line 765",
    "session opened for user root by (uid=0) after 3312 ms, pam_unix(sshd:session) tty 7",
    "GET /api/v1/users/55120/orders?page=17 answered 502 in 1834 ms, upstream connection refused",
];

/// The rows as requests, made one after the other.
struct Corpus {
    /// The lines of each file.
    files: Vec<Vec<String>>,
    random: SmallRng,
    num_records: u64,
}

impl Corpus {
    fn new() -> Self {
        let mut files = vec![TEMPLATES.iter().map(|line| (*line).to_owned()).collect()];
        if let Ok(folder) = std::env::var("CATCHMENT_TEST_DATA") {
            let read = |name: &str| {
                let path = Path::new(&folder).join(format!("loghub/{name}/{name}_2k.log"));
                let bytes = fs::read(path).expect("loghub is in the folder of test data");
                String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
            };
            files = ["HDFS", "Apache", "OpenSSH", "Zookeeper"].map(read).to_vec();
        }
        Self { files, random: SmallRng::seed_from_u64(7), num_records: 0 }
    }

    /// A line with every number of at least four digits rolled anew.
    fn body(&mut self, resource: usize) -> String {
        let lines = &self.files[resource % self.files.len()];
        let line = &lines[usize::try_from(self.num_records).expect("not so many") % lines.len()];
        let mut body = String::with_capacity(line.len());
        let mut rest = line.as_str();
        while let Some(start) = rest.find(|char: char| char.is_ascii_digit()) {
            let (before, digits) = rest.split_at(start);
            let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
            let (digits, after) = digits.split_at(end);
            body.push_str(before);
            if digits.len() >= 4 {
                body.extend(
                    digits.chars().map(|_| char::from(self.random.random_range(b'0'..=b'9'))),
                );
            } else {
                body.push_str(digits);
            }
            rest = after;
        }
        body.push_str(rest);
        body
    }

    fn record(&mut self, resource: usize) -> LogRecord {
        self.num_records += 1;
        let time = START + self.num_records * STEP;
        let uuid: u128 = self.random.random();
        let has_ids = self.num_records.is_multiple_of(2);
        let id = |random: &mut SmallRng, length: usize| -> Vec<u8> {
            if has_ids { (0..length).map(|_| random.random()).collect() } else { Vec::new() }
        };
        LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time + 1_000,
            severity_number: [5, 9, 9, 9, 13, 17][self.random.random_range(0..6)],
            severity_text: "INFO".to_owned(),
            body: Some(AnyValue { value: Some(Value::StringValue(self.body(resource))) }),
            attributes: vec![
                text(
                    "log.file.path",
                    format!("/var/log/app-{}.log", self.random.random_range(0..20)),
                ),
                text("request.id", dashed(uuid)),
                value("thread.id", Value::IntValue(self.random.random_range(0..64))),
                value("http.status_code", Value::IntValue(self.random.random_range(200..505))),
                value("duration_ms", Value::DoubleValue(self.random.random::<f64>() * 1000.0)),
                value("retried", Value::BoolValue(self.random.random())),
            ],
            trace_id: id(&mut self.random, 16),
            span_id: id(&mut self.random, 8),
            ..LogRecord::default()
        }
    }

    fn batch(&mut self) -> Batch {
        let resource_logs = (0..4).map(|number| {
            let log_records = (0..RECORDS_PER_REQUEST / 4).map(|_| self.record(number)).collect();
            ResourceLogs {
                resource: Some(resource(number)),
                scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
                ..ResourceLogs::default()
            }
        });
        let request = ExportLogsServiceRequest { resource_logs: resource_logs.collect() };
        let arrived = Time::from_unix_nanos(START + self.num_records * STEP);
        let context = Arc::new(Context { arrived, ..Context::default() });
        let bytes = Bytes::from(request.encode_to_vec());
        let admitted = Batch::try_new(Signal::Logs, bytes, context, &DoorLimits::default());
        admitted.expect("it was encoded just now").batch
    }
}

/// A UUID in its usual form.
fn dashed(uuid: u128) -> String {
    let hex = format!("{uuid:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range));
    parts.into_iter().flatten().collect::<Vec<_>>().join("-")
}

fn value(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, text: impl Into<String>) -> KeyValue {
    value(key, Value::StringValue(text.into()))
}

fn resource(number: usize) -> Resource {
    let attributes = vec![
        text("service.name", ["checkout", "cart", "payment", "frontend"][number]),
        text("service.namespace", "shop"),
        text("service.version", "2.4.1"),
        text("service.instance.id", format!("8e2c1d7a-5f0b-4f6e-9d59-{number:012}")),
        text("host.name", format!("node-{number}")),
        text("k8s.namespace.name", "shop"),
        text("k8s.pod.name", format!("pod-7d4b9c5f6-{number}")),
        text("k8s.node.name", format!("node-{number}")),
        text("cloud.region", "eu-central-1"),
        text("deployment.environment.name", "production"),
    ];
    Resource { attributes, ..Resource::default() }
}

/// CPU time that this process took so far, of all its threads.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("there is /proc");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // utime and stime, fields 14 and 15, in hundredths of a second.
    let ticks: u64 =
        fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

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
        index.try_add(&batch, Box::new(())).expect("commits make room");
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

/// Searches with words of the data itself and a time range; not a criterion loop, for the slowest
/// of different queries is what counts.
fn searching(_: &mut Criterion) {
    let wanted = std::env::var("CATCHMENT_BENCH_RECORDS").ok();
    let num_records: usize = wanted.map_or(1_000_000, |text| text.parse().expect("a number"));
    for (name, detail) in [("full", Detail::Full), ("lean", Detail::Lean)] {
        let folder = tempfile::tempdir().expect("there is room");
        let index = open(folder.path(), detail);
        let mut corpus = Corpus::new();
        fill(&index, (0..num_records / RECORDS_PER_REQUEST).map(|_| corpus.batch()));
        let mut times: Vec<Duration> = (0..QUERIES).map(|_| timed(&index, &mut corpus)).collect();
        times.sort_unstable();
        eprintln!(
            "search {name}, a word and a time range over {num_records} records, newest 100: \
             p50 {:?}, p99 {:?}, slowest {:?}",
            times[QUERIES / 2],
            times[QUERIES * 99 / 100],
            times[QUERIES - 1]
        );
    }
}

/// How long a search with a word of a line and a tenth to all of the time takes.
fn timed(index: &LogIndex, corpus: &mut Corpus) -> Duration {
    let file = corpus.random.random_range(0..corpus.files.len());
    let line = corpus.random.random_range(0..corpus.files[file].len());
    let line = corpus.files[file][line].clone();
    let words = catchment::storage::logindex::words(&line);
    let words: Vec<&String> =
        words.iter().filter(|word| word.contains(|char: char| char.is_alphabetic())).collect();
    let word = words.get(corpus.random.random_range(0..words.len().max(1)));
    let span = corpus.num_records * STEP;
    let length = corpus.random.random_range(span / 10..=span);
    let start = START + corpus.random.random_range(0..=span - length);
    let search = Search {
        filter: query::parse(word.map_or("user", |word| word.as_str())).expect("a word"),
        time: start.cast_signed()..(start + length).cast_signed(),
        order: Order::NewestFirst,
        limit: 100,
        deadline: None,
    };
    let started = Instant::now();
    query::search(vec![index.snapshot()], &search).expect("the index is sound");
    started.elapsed()
}

criterion_group!(benches, indexing, searching);
criterion_main!(benches);
