//! Searches compared with a plain scan that shares no code with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message as _;

use super::{parse, search, visit};
use crate::data::{Batch, Context, DoorLimits, Signal, Time};
use crate::storage::logindex::{
    Allowance, AtRest, Detail, Hit, LogIndex, Order, Patience, Search, Settings, read_at_rest,
};

/// A record in the terms of this test.
#[derive(Clone, Debug)]
struct Sample {
    time: u64,
    severity: i32,
    service: &'static str,
    body: String,
    attributes: BTreeMap<&'static str, Scalar>,
    /// Each byte of its trace id, if it has one.
    trace: u8,
}

#[derive(Clone, Debug, PartialEq)]
enum Scalar {
    Text(String),
    Int(i64),
    Double(f64),
}

/// A query in the terms of this test: it can be written down, and decided on a sample.
#[derive(Clone, Debug)]
enum Asked {
    Word(String),
    Phrase(Vec<String>),
    Prefix(String),
    Substring(String),
    AtLeast(i32),
    Service(&'static str),
    Text(&'static str, String),
    Number(&'static str, i64),
    Fraction(&'static str, f64),
    Start(&'static str, &'static str),
    Part(&'static str, &'static str),
    Regex(&'static str),
    Above(&'static str, i64),
    Within(&'static str, f64, f64),
    Exists(&'static str),
    Trace(u8),
    Not(Box<Asked>),
    And(Vec<Asked>),
    Or(Vec<Asked>),
}

const WORDS: [&str; 16] = [
    "error",
    "Error",
    "42",
    "1007",
    "007",
    "12345678901234567890",
    "12345678901234567891",
    "6af3b2c19d",
    "6AF3b2c199",
    "deadbeef",
    "user",
    "größe",
    "conn",
    "connection",
    "x1",
    VERY_LONG,
];
/// Longer than a term.
const VERY_LONG: &str = "v123456789v123456789v123456789v123456789v123456789v123456789v123456789v\
    123456789v123456789v123456789v123456789v123456789v123456789v123456789v123456789end";
/// What terms have between name and value.
const MARKED: &str = "a\u{0}b";
const LONG: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

impl Sample {
    fn to_record(&self) -> LogRecord {
        let attributes = self.attributes.iter().map(|(key, value)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue {
                value: Some(match value {
                    Scalar::Text(text) => Any::StringValue(text.clone()),
                    Scalar::Int(int) => Any::IntValue(*int),
                    Scalar::Double(double) => Any::DoubleValue(*double),
                }),
            }),
            ..KeyValue::default()
        });
        LogRecord {
            time_unix_nano: self.time,
            severity_number: self.severity,
            body: Some(AnyValue { value: Some(Any::StringValue(self.body.clone())) }),
            attributes: attributes.collect(),
            trace_id: if self.trace > 0 { vec![self.trace; 16] } else { Vec::new() },
            span_id: if self.trace > 0 { vec![self.trace; 8] } else { Vec::new() },
            ..LogRecord::default()
        }
    }

    fn words(&self) -> Vec<String> {
        let lower = self.body.to_lowercase();
        let runs = lower.split(|char: char| !char.is_alphanumeric());
        runs.filter(|run| !run.is_empty()).map(str::to_owned).collect()
    }

    /// The service is an attribute of the resource.
    fn text_of(&self, name: &str) -> Option<Scalar> {
        match name {
            "service.name" => Some(Scalar::Text(self.service.to_owned())),
            _ => self.attributes.get(name).cloned(),
        }
    }
}

impl Scalar {
    fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(int) => int.to_string(),
            Self::Double(double) => double.to_string(),
        }
    }
}

impl Asked {
    fn is_true_of(&self, sample: &Sample) -> bool {
        match self {
            Self::Word(word) => sample.words().contains(&word.to_lowercase()),
            Self::Phrase(row) => {
                let row: Vec<String> = row.iter().map(|word| word.to_lowercase()).collect();
                sample.words().windows(row.len()).any(|window| window == row)
            }
            Self::Prefix(start) => sample.words().iter().any(|word| word.starts_with(start)),
            Self::Substring(part) => sample.body.to_lowercase().contains(part),
            Self::AtLeast(severity) => sample.severity >= *severity,
            Self::Service(service) => sample.service == *service,
            Self::Text(name, text) => sample.text_of(name) == Some(Scalar::Text(text.clone())),
            Self::Number(name, number) => match sample.text_of(name) {
                Some(Scalar::Text(text)) => text == number.to_string(),
                Some(Scalar::Int(int)) => int == *number,
                Some(Scalar::Double(double)) => double == *number as f64,
                None => false,
            },
            Self::Fraction(name, number) => match sample.text_of(name) {
                Some(Scalar::Text(text)) => text == number.to_string(),
                Some(Scalar::Int(int)) => int as f64 == *number,
                Some(Scalar::Double(double)) => double == *number,
                None => false,
            },
            Self::Start(name, start) => {
                sample.text_of(name).is_some_and(|value| value.to_text().starts_with(start))
            }
            Self::Part(name, part) => {
                sample.text_of(name).is_some_and(|value| value.to_text().contains(part))
            }
            Self::Regex(regex) => regex::Regex::new(regex).unwrap().is_match(&sample.body),
            Self::Above(name, number) => match sample.text_of(name) {
                Some(Scalar::Text(text)) => text.parse::<i64>().is_ok_and(|text| text > *number),
                Some(Scalar::Int(int)) => int > *number,
                Some(Scalar::Double(double)) => double > *number as f64,
                None => false,
            },
            Self::Within(name, low, high) => {
                let number = match sample.text_of(name) {
                    Some(Scalar::Text(text)) => text.parse().ok(),
                    Some(Scalar::Int(int)) => Some(int as f64),
                    Some(Scalar::Double(double)) => Some(double),
                    None => None,
                };
                number.is_some_and(|number: f64| *low <= number && number < *high)
            }
            Self::Exists(name) => sample.text_of(name).is_some(),
            Self::Trace(trace) => sample.trace == *trace,
            Self::Not(of) => !of.is_true_of(sample),
            Self::And(of) => of.iter().all(|asked| asked.is_true_of(sample)),
            Self::Or(of) => of.iter().any(|asked| asked.is_true_of(sample)),
        }
    }

    fn to_query(&self) -> String {
        let all = |of: &[Self], between: &str| {
            let parts: Vec<String> = of.iter().map(Self::to_query).collect();
            format!("({})", parts.join(between))
        };
        match self {
            Self::Word(word) => word.clone(),
            Self::Phrase(row) => format!("\"{}\"", row.join(" ")),
            Self::Prefix(start) => format!("{start}*"),
            Self::Substring(part) => format!("*{}*", part.replace(' ', "\\ ").replace(':', "\\:")),
            Self::AtLeast(severity) => format!("severity:>={severity}"),
            Self::Service(service) => format!("service:{service}"),
            Self::Text(name, text) => format!("{name}:\"{text}\""),
            Self::Number(name, number) => format!("{name}:{number}"),
            Self::Fraction(name, number) => format!("{name}:{number}"),
            Self::Start(name, start) => format!("{name}:{start}*"),
            Self::Part(name, part) => format!("{name}:*{part}*"),
            Self::Regex(regex) => format!("/{regex}/"),
            Self::Above(name, number) => format!("{name}:>{number}"),
            Self::Within(name, low, high) => format!("{name}:[{low} TO {high}}}"),
            Self::Exists(name) => format!("_exists_:{name}"),
            Self::Trace(trace) if trace % 2 == 1 => {
                format!("trace_id:{}", format!("{trace:02x}").repeat(16))
            }
            Self::Trace(trace) => format!("span_id:{}", format!("{trace:02x}").repeat(8)),
            Self::Not(of) => format!("NOT {}", of.to_query()),
            Self::And(of) => all(of, " "),
            Self::Or(of) => all(of, " OR "),
        }
    }
}

fn scalars() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        prop::sample::select(vec!["a", "7", "two words", LONG, "", MARKED])
            .prop_map(|text| Scalar::Text(text.to_owned())),
        (-2_i64..9).prop_map(Scalar::Int),
        prop::sample::select(vec![7.0, 0.5, -1.25, -1.0, 1e300]).prop_map(Scalar::Double),
    ]
}

fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["http.code", "user", "service.name"])
}

fn samples() -> impl Strategy<Value = Sample> {
    let body = prop::collection::vec(prop::sample::select(&WORDS[..]), 0..6);
    let separator = prop::sample::select(vec![" ", "_", ": ", "/"]);
    let attributes = prop::collection::btree_map(
        prop::sample::select(vec!["http.code", "user"]),
        scalars(),
        0..3,
    );
    (
        1_u64..1000,
        0_i32..=24,
        prop::sample::select(vec!["web", "db", "web 2"]),
        (body, separator).prop_map(|(words, separator)| words.join(separator)),
        attributes,
        0_u8..4,
    )
        .prop_map(|(time, severity, service, body, attributes, trace)| Sample {
            time,
            severity,
            service,
            body,
            attributes,
            trace,
        })
}

fn asked() -> impl Strategy<Value = Asked> {
    let word = || prop::sample::select(&WORDS[..]).prop_map(str::to_owned);
    let leaf = prop_oneof![
        4 => word().prop_map(Asked::Word),
        2 => prop::collection::vec(word(), 1..4).prop_map(Asked::Phrase),
        2 => prop::sample::select(vec![
            "conn", "4", "100", "gr", "us", "0", "1234567890123456", "v12", "x", "6", "6af3b2c1",
            "6af3b2c19", "dead",
        ])
        .prop_map(|start| Asked::Prefix(start.to_owned())),
        2 => prop::sample::select(vec![
            "onn", "r", "ö", "r_", "or conn", "er: user", "onn/42", "_1007_", "345", "6af3", "c19",
            "ea", "d/42", "89v1", "9end", "/", "00", "7", "42", "901234567891", "42_", "9",
        ])
        .prop_map(|part| Asked::Substring(part.to_owned())),
        1 => (0_i32..=24).prop_map(Asked::AtLeast),
        1 => prop::sample::select(vec!["web", "db", "none"]).prop_map(Asked::Service),
        2 => (names(), prop::sample::select(vec!["a", "two words", LONG, "web", "web 2"]))
            .prop_map(|(name, text)| Asked::Text(name, text.to_owned())),
        1 => (names(), -2_i64..9).prop_map(|(name, number)| Asked::Number(name, number)),
        1 => (names(), -2_i64..9).prop_map(|(name, number)| Asked::Above(name, number)),
        1 => (names(), prop::sample::select(vec![(-1.25, 0.5), (0.5, 1e300), (-2.0, 0.0), (7.0, 7.5)]))
            .prop_map(|(name, (low, high))| Asked::Within(name, low, high)),
        1 => names().prop_map(Asked::Exists),
        1 => (names(), prop::sample::select(vec![0.5, -1.25, 7.0, 3.5]))
            .prop_map(|(name, number)| Asked::Fraction(name, number)),
        1 => (names(), prop::sample::select(vec!["7", "two", "0123", "a", "-1", "0", "-", "we"]))
            .prop_map(|(name, start)| Asked::Start(name, start)),
        1 => (names(), prop::sample::select(vec!["wo", "web", "5", "cdef01", "b"]))
            .prop_map(|(name, part)| Asked::Part(name, part)),
        2 => prop::sample::select(vec![
            "error (user|conn)", "(?i)ERROR.conn", "^user", "[0-9]+ user", "conn(ection)?.x1$",
            "r: (42)+", "größe", "6af3b2c1[0-9]d",
        ])
        .prop_map(Asked::Regex),
        1 => (1_u8..5).prop_map(Asked::Trace),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|asked| Asked::Not(Box::new(asked))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Asked::And),
            prop::collection::vec(inner, 1..4).prop_map(Asked::Or),
        ]
    })
}

/// A batch of samples that arrived at `arrived` nanoseconds; one resource for each service.
fn batch(samples: &[Sample], arrived: u64) -> Batch {
    let mut services: BTreeMap<&str, Vec<LogRecord>> = BTreeMap::new();
    for sample in samples {
        services.entry(sample.service).or_default().push(sample.to_record());
    }
    let resource_logs = services.into_iter().map(|(service, log_records)| ResourceLogs {
        resource: Some(Resource {
            attributes: vec![KeyValue {
                key: "service.name".to_owned(),
                value: Some(AnyValue { value: Some(Any::StringValue(service.to_owned())) }),
                ..KeyValue::default()
            }],
            ..Resource::default()
        }),
        scope_logs: vec![ScopeLogs {
            scope: Some(InstrumentationScope { name: "lib".into(), ..Default::default() }),
            log_records,
            schema_url: "http://schema".into(),
        }],
        ..ResourceLogs::default()
    });
    let request = ExportLogsServiceRequest { resource_logs: resource_logs.collect() };
    let context = Context { arrived: Time::from_unix_nanos(arrived), ..Context::default() };
    let bytes = request.encode_to_vec().into();
    Batch::try_new(Signal::Logs, bytes, Arc::new(context), &DoorLimits::default()).unwrap().batch
}

fn index(directory: &Path, detail: Detail) -> LogIndex {
    LogIndex::open(Settings {
        directory: directory.to_owned(),
        window: Duration::from_secs(3600),
        detail,
        memory_bytes: 64 << 20,
        max_age: None,
        max_size_bytes: None,
    })
    .unwrap()
}

fn add(index: &LogIndex, samples: &[Sample], arrived: u64) {
    index.try_add(&batch(samples, arrived)).unwrap();
}

fn commit(index: &LogIndex) {
    index.commit(Time::from_unix_nanos(1)).blocking_recv().unwrap().unwrap();
}

fn find(index: &LogIndex, query: &str, time: std::ops::Range<i64>, limit: usize) -> Vec<Hit> {
    let filter = parse(query).unwrap();
    let wanted = Search {
        filter,
        time,
        order: Order::NewestFirst,
        limit,
        patience: Patience::default(),
        allowance: Allowance::default(),
    };
    search(vec![index.snapshot()], &wanted).unwrap()
}

fn find_oldest(
    index: &LogIndex,
    query: &str,
    time: std::ops::Range<i64>,
    limit: usize,
) -> Vec<Hit> {
    let filter = parse(query).unwrap();
    let wanted = Search {
        filter,
        time,
        order: Order::OldestFirst,
        limit,
        patience: Patience::default(),
        allowance: Allowance::default(),
    };
    search(vec![index.snapshot()], &wanted).unwrap()
}

fn visited(index: &LogIndex, query: &str, time: std::ops::Range<i64>) -> Vec<u64> {
    let filter = parse(query).unwrap();
    let order = Order::NewestFirst;
    let wanted = Search {
        filter,
        time,
        order,
        limit: 0,
        patience: Patience::default(),
        allowance: Allowance::default(),
    };
    let mut times = Vec::new();
    visit(vec![index.snapshot()], &wanted, |seen| times.push(seen.time.cast_unsigned())).unwrap();
    times
}

fn times(hits: &[Hit]) -> Vec<u64> {
    hits.iter().map(|hit| hit.time.cast_unsigned()).collect()
}

fn expected(samples: &[Sample], asked: &Asked, time: &std::ops::Range<i64>) -> Vec<u64> {
    let mut times: Vec<u64> = samples
        .iter()
        .filter(|sample| time.contains(&sample.time.cast_signed()) && asked.is_true_of(sample))
        .map(|sample| sample.time)
        .collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn full_and_lean_find_what_a_plain_scan_finds(
        all in prop::collection::vec(samples(), 1..60),
        queries in prop::collection::vec((asked(), 0_i64..500, 400_i64..1100, 1_usize..80), 24),
    ) {
        const HOUR: u64 = 3_600_000_000_000;
        let folder = tempfile::tempdir().unwrap();
        let indexes = [
            index(&folder.path().join("full"), Detail::Full),
            index(&folder.path().join("lean"), Detail::Lean),
        ];
        let (first, rest) = all.split_at(all.len() / 3);
        let (second, tail) = rest.split_at(rest.len() / 2);
        for index in &indexes {
            add(index, first, HOUR);
            commit(index);
            add(index, second, 2 * HOUR);
            commit(index);
            add(index, tail, 2 * HOUR);
        }
        for is_committed in [false, true] {
            for (asked, start, end, limit) in &queries {
                let mut wanted = expected(&all, asked, &(*start..*end));
                wanted.truncate(*limit);
                let query = asked.to_query();
                let all_times = expected(&all, asked, &(*start..*end));
                for index in &indexes {
                    let mut visited = visited(index, &query, *start..*end);
                    visited.sort_unstable_by(|a, b| b.cmp(a));
                    prop_assert_eq!(&visited, &all_times, "{} {}", query, is_committed);
                    let hits = find(index, &query, *start..*end, *limit);
                    let oldest = find_oldest(index, &query, *start..*end, *limit);
                    let from_the_end = all_times.iter().rev().take(*limit).copied();
                    prop_assert_eq!(times(&oldest), from_the_end.collect::<Vec<_>>());
                    prop_assert_eq!(
                        times(&hits), wanted.clone(),
                        "{} {:?} {}", query, index.settings().detail, is_committed
                    );
                }
            }
            for index in &indexes {
                commit(index);
            }
        }
    }
}

fn sample(time: u64, body: &str) -> Sample {
    Sample {
        time,
        severity: 9,
        service: "web",
        body: body.to_owned(),
        attributes: BTreeMap::new(),
        trace: 0,
    }
}

#[test]
fn records_out_of_order_over_many_segments_are_found_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let indexes = [
        index(&folder.path().join("full"), Detail::Full),
        index(&folder.path().join("lean"), Detail::Lean),
    ];
    // More than tantivy leaves unmerged, and one segment of several blocks of times.
    let mut all = Vec::new();
    for (round, count) in (0..20).map(|round| (round, if round == 7 { 20_000 } else { 40 })) {
        let samples: Vec<Sample> = (0..count)
            .map(|i| {
                let time = 1 + (round * 31 + i * 7919) % 30_000;
                let even = if i % 2 == 0 { "even" } else { "odd" };
                sample(time, &format!("{even} number {} of r{round}", i % 1000))
            })
            .collect();
        for index in &indexes {
            add(index, &samples, 0);
            commit(index);
        }
        all.extend(samples);
    }
    for (query, asked) in [
        ("even", Asked::Word("even".into())),
        ("number", Asked::Word("number".into())),
        ("777", Asked::Word("777".into())),
        ("r13", Asked::Word("r13".into())),
        ("*umbe*", Asked::Substring("umbe".into())),
        ("\"odd number\"", Asked::Phrase(vec!["odd".into(), "number".into()])),
        ("\"number odd\"", Asked::Phrase(vec!["number".into(), "odd".into()])),
        ("99*", Asked::Prefix("99".into())),
    ] {
        for range in [0..i64::MAX, 100..20_000, 29_990..30_000] {
            let mut wanted = expected(&all, &asked, &range);
            for index in &indexes {
                assert_eq!(visited(index, query, range.clone()).len(), wanted.len(), "{query}");
            }
            wanted.truncate(100);
            for index in &indexes {
                assert_eq!(times(&find(index, query, range.clone(), 100)), wanted, "{query}");
            }
        }
    }
}

#[test]
fn hit_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(folder.path(), Detail::Full);
    let mut sample = sample(5, "it is here");
    sample.attributes.insert("user", Scalar::Double(0.5));
    add(&index, &[sample.clone()], 0);
    for _ in 0..2 {
        let hits = find(&index, "here", 0..10, 10);
        let request = ExportLogsServiceRequest::decode(hits[0].found.to_request()).unwrap();
        let expected = batch(&[sample.clone()], 0).merged_bytes();
        assert_eq!(request, ExportLogsServiceRequest::decode(expected).unwrap());
        commit(&index);
    }
}

#[test]
fn record_is_found_once_before_during_and_after_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(folder.path(), Detail::Full);
    let mut added = 0;
    for round in 0..20 {
        let samples: Vec<_> = (0..50).map(|i| sample(1 + round * 50 + i, "tick")).collect();
        add(&index, &samples, 0);
        added += samples.len();
        let committed = index.commit(Time::default());
        for _ in 0..5 {
            assert_eq!(find(&index, "tick", 0..i64::MAX, 5000).len(), added);
        }
        committed.blocking_recv().unwrap().unwrap();
        assert_eq!(find(&index, "tick", 0..i64::MAX, 5000).len(), added);
    }
    assert!(!index.has_tail());
    assert_eq!(index.num_committed(), added as u64);
}

#[test]
fn restart_finds_what_was_committed_and_goes_on_in_the_same_window() {
    let folder = tempfile::tempdir().unwrap();
    {
        let index = index(folder.path(), Detail::Full);
        add(&index, &[sample(1, "kept")], 0);
        commit(&index);
        add(&index, &[sample(2, "lost")], 0);
    }
    let index = index(folder.path(), Detail::Full);
    assert_eq!(times(&find(&index, "", 0..10, 10)), [1]);
    add(&index, &[sample(3, "new")], 0);
    assert_eq!(times(&find(&index, "", 0..10, 10)), [3, 1]);
    commit(&index);
    assert_eq!(times(&find(&index, "", 0..10, 10)), [3, 1]);
    let windows = std::fs::read_dir(folder.path().join("default")).unwrap().count();
    assert_eq!(windows, 1);
}

#[test]
fn tenants_and_windows_have_folders_of_their_own_and_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let second = 1_000_000_000;
    let index = LogIndex::open(Settings {
        window: Duration::from_secs(60),
        max_age: Some(Duration::from_secs(600)),
        ..index(folder.path(), Detail::Lean).settings().clone()
    })
    .unwrap();
    for minute in 0..3 {
        add(&index, &[sample(minute + 1, "x")], minute * 60 * second);
    }
    let of_tenant = batch(&[sample(9, "x")], 0);
    let context = Context { tenant: Some("acme".into()), ..Context::default() };
    index.try_add(&of_tenant.with_context(Arc::new(context))).unwrap();
    let commit_at = |seconds: u64| {
        let now = Time::from_unix_nanos(seconds * second);
        index.commit(now).blocking_recv().unwrap().unwrap();
    };
    commit_at(180);
    assert_eq!(times(&find(&index, "x", 0..100, 10)), [9, 3, 2, 1]);
    assert!(folder.path().join("tenant=acme").exists());
    // The second window ended at 120 s.
    commit_at(721);
    assert_eq!(times(&find(&index, "x", 0..100, 10)), [3]);
    let left = std::fs::read_dir(folder.path().join("default")).unwrap().count();
    assert_eq!(left, 1);
}

#[test]
fn full_tail_takes_no_more_until_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let index = LogIndex::open(Settings {
        memory_bytes: 300,
        ..index(folder.path(), Detail::Full).settings().clone()
    })
    .unwrap();
    let mut added = 0;
    while index.try_add(&batch(&[sample(1, "x")], 0)).is_ok() {
        added += 1;
    }
    assert!(index.is_commit_due());
    commit(&index);
    assert!(index.try_add(&batch(&[sample(1, "x")], 0)).is_ok());
    assert_eq!(find(&index, "x", 0..10, 100).len(), added + 1);
}

#[test]
fn failed_commit_loses_nothing_and_is_made_up_for() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("index");
    let index = index(&directory, Detail::Full);
    // A file where the tenant's folder should be.
    std::fs::write(directory.join("default"), "in the way").unwrap();
    add(&index, &[sample(1, "x")], 0);
    let error = index.commit(Time::default()).blocking_recv().unwrap().unwrap_err();
    assert!(error.to_string().contains("default"), "{error}");
    add(&index, &[sample(2, "x")], 0);
    assert_eq!(times(&find(&index, "x", 0..10, 10)), [2, 1]);
    std::fs::remove_file(directory.join("default")).unwrap();
    commit(&index);
    assert_eq!(times(&find(&index, "x", 0..10, 10)), [2, 1]);
    assert!(!index.has_tail());
}

/// All files under a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn damaged_window_is_left_out_and_damaged_records_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    {
        let index = index(folder.path(), Detail::Full);
        add(&index, &[sample(1, "x")], 0);
        commit(&index);
    }
    for path in files(folder.path()) {
        if path.extension().is_some_and(|extension| extension == "records") {
            std::fs::write(path, [7; 100]).unwrap();
        }
    }
    let wanted = Search {
        filter: parse("x").unwrap(),
        time: 0..10,
        order: Order::NewestFirst,
        limit: 1,
        patience: Patience::default(),
        allowance: Allowance::default(),
    };
    {
        let index = index(folder.path(), Detail::Full);
        let error = search(vec![index.snapshot()], &wanted).unwrap_err();
        assert!(error.to_string().contains("19700101T000000Z-0"), "{error}");
    }
    for path in files(folder.path()) {
        if path.ends_with("meta.json") {
            std::fs::write(path, "{").unwrap();
        }
    }
    let index = index(folder.path(), Detail::Full);
    add(&index, &[sample(2, "x")], 0);
    commit(&index);
    assert_eq!(times(&find(&index, "x", 0..10, 10)), [2]);
    assert!(folder.path().join("default/19700101T000000Z-0/window.json").exists());
    assert!(folder.path().join("default/19700101T000000Z-1/window.json").exists());
}

#[test]
fn values_that_hardly_ever_come_twice_are_found_as_others_are() {
    let samples: Vec<Sample> = (0..700_u32)
        .map(|number| {
            let user = Scalar::Int(i64::from(number) * 7919 + 100_000);
            let code = Scalar::Text(format!("s-{:05}", number * 131 % 1000));
            let attributes = BTreeMap::from([("user", user), ("http.code", code)]);
            Sample { attributes, ..sample(u64::from(number) + 1, "x") }
        })
        .collect();
    let late = 100_000 + 600 * 7919;
    let asked = [
        Asked::Number("user", 100_000),
        Asked::Number("user", late),
        Asked::Number("user", late + 1),
        Asked::Fraction("user", late as f64),
        Asked::Above("user", late),
        Asked::Within("user", 100_000.5, late as f64),
        Asked::Start("user", "12"),
        Asked::Part("user", "99"),
        Asked::Exists("user"),
        Asked::Text("http.code", "s-00131".to_owned()),
        Asked::Text("http.code", "s-00600".to_owned()),
        Asked::Start("http.code", "s-00"),
        Asked::Part("http.code", "99"),
        Asked::Not(Box::new(Asked::Above("user", late))),
    ];
    for detail in [Detail::Full, Detail::Lean] {
        let folder = tempfile::tempdir().unwrap();
        let index = index(folder.path(), detail);
        add(&index, &samples, 0);
        commit(&index);
        for asked in &asked {
            let query = asked.to_query();
            let found = times(&find(&index, &query, 0..1000, 1000));
            assert_eq!(found, expected(&samples, asked, &(0..1000)), "{query} {detail:?}");
        }
    }
}

#[test]
fn window_of_an_earlier_version_is_left_out_by_name() {
    let folder = tempfile::tempdir().unwrap();
    {
        let index = index(folder.path(), Detail::Full);
        add(&index, &[sample(1, "x")], 0);
        commit(&index);
    }
    let manifest = folder.path().join("default/19700101T000000Z-0/window.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"version\":3"), "{text}");
    std::fs::write(&manifest, text.replace("\"version\":3", "\"version\":2")).unwrap();
    let AtRest { snapshot, left_out, .. } = read_at_rest(folder.path()).unwrap();
    assert_eq!(snapshot.into_sources().len(), 0);
    let [error] = left_out.as_slice() else { panic!("{left_out:?}") };
    let told = format!("`{}` has version 2, which is no longer read", manifest.display());
    assert_eq!(error.to_string(), told);
    let index = index(folder.path(), Detail::Full);
    add(&index, &[sample(2, "x")], 0);
    commit(&index);
    assert_eq!(times(&find(&index, "x", 0..10, 10)), [2]);
    assert!(manifest.exists());
}

/// The lines of one of loghub's files.
fn loghub(name: &str) -> Option<Vec<String>> {
    let Ok(folder) = std::env::var("CATCHMENT_TEST_DATA") else {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: loghub {name}: CATCHMENT_TEST_DATA is not set");
        }
        return None;
    };
    let path = Path::new(&folder).join(format!("loghub/{name}/{name}_2k.log"));
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    Some(text.lines().map(str::to_owned).collect())
}

#[test]
fn loghub_counts_are_those_of_a_plain_scan() {
    for name in ["HDFS", "Apache", "OpenSSH", "Zookeeper", "Linux"] {
        let Some(lines) = loghub(name) else {
            return;
        };
        assert_eq!(lines.len(), 2000);
        let folder = tempfile::tempdir().unwrap();
        let indexes = [
            index(&folder.path().join("full"), Detail::Full),
            index(&folder.path().join("lean"), Detail::Lean),
        ];
        let samples: Vec<Sample> =
            (1..).zip(&lines).map(|(time, line)| sample(time, line)).collect();
        for index in &indexes {
            for samples in samples.chunks(300) {
                add(index, samples, 0);
                commit(index);
            }
        }
        // Words and pairs of words from the data itself, frequent and rare ones.
        let mut asked = Vec::new();
        for line in samples.iter().step_by(97) {
            let words = line.words();
            asked.extend(words.iter().step_by(3).cloned().map(Asked::Word));
            asked.extend(words.windows(2).step_by(4).map(|row| Asked::Phrase(row.to_vec())));
        }
        for asked in asked {
            let wanted = expected(&samples, &asked, &(0..i64::MAX));
            assert!(!wanted.is_empty());
            for index in &indexes {
                let hits = find(index, &asked.to_query(), 0..i64::MAX, 5000);
                assert_eq!(times(&hits), wanted, "{name} {}", asked.to_query());
            }
        }
    }
}

#[test]
fn every_query_of_the_documentation_is_one() {
    let page = include_str!("../docs/search.md");
    let (_, section) = page.split_once("## The query language").unwrap();
    let (section, _) = section.split_once("## The HTTP interface").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut count = 0;
    for (query, _) in rows {
        parse(query).unwrap_or_else(|error| panic!("`{query}`, {}: {error}", error.position));
        count += 1;
    }
    assert!(count > 25);
}
