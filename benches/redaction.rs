//! What detectors of sensitive values cost, beside one pass of a set of regular expressions.
//!
//! Input: 4,000 bodies of log records, see `corpus`; one in a hundred has a value that is found
//! besides the addresses of machines that lines have anyway. `scan` finds and checks values;
//! `regex set` only says which expressions match somewhere, `regex each` also where. `stage` is the
//! whole processor on requests of 500 records, attributes and resources included.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what a bench cannot read stops it"
)]

#[allow(dead_code, reason = "other benches use the rest")]
mod corpus;

use std::hint::black_box;
use std::path::PathBuf;

use catchment::component::{
    Budget, BuildContext, Extensions, Host, Outbox, Processor, Shard, lookup,
};
use catchment::components::builtin;
use catchment::config::Node;
use catchment::data::{Batch, Signal, Time, Value};
use catchment::processors::redaction::detectors::{Detector, Scanner};
use catchment::telemetry::{Clock, Ledger, Metrics, Status};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use self::corpus::{Corpus, RECORDS_PER_REQUEST};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUESTS: usize = 8;
/// One body of so many has a value from [`VALUES`].
const EVERY: usize = 100;
const VALUES: [&str; 5] = [
    "4111 1111 1111 1111",
    "first.last@example.com",
    "DE89370400440532013000",
    "AKIAIOSFODNN7EXAMPLE",
    "+1 (212) 555-0187",
];

/// What is written for these detectors where nothing is checked.
const EXPRESSIONS: [&str; 15] = [
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    r"\b(?:\d[ -]?){13,19}\b",
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
    r"\bgl[a-z]{2,5}-[A-Za-z0-9_-]{20,}",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
    r"\b(?:\d{1,3}\.){3}\d{1,3}\b|(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}",
    r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    r"\bnpm_[A-Za-z0-9]{36}\b",
    r"\+[1-9](?:[ .()-]{0,2}\d){7,14}\b|\b[2-9]\d\d[.-]\d{3}[.-]\d{4}\b",
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
    r"\bxox[a-z]-[0-9A-Za-z-]{20,}",
    r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"\w://[^\s/@:]*:[^\s/@]+@",
];

fn ascii(expression: &str) -> String {
    format!("(?-u){expression}")
}

fn bodies(batches: &[Batch]) -> Vec<String> {
    let mut bodies = Vec::new();
    for item in batches.iter().flat_map(|batch| batch.logs().items()) {
        let Value::Str(body) = item.record.body() else { continue };
        let mut body = body.to_owned();
        if bodies.len() % EVERY == 0 {
            body.push_str(" for ");
            body.push_str(VALUES[bodies.len() / EVERY % VALUES.len()]);
        }
        bodies.push(body);
    }
    bodies
}

fn scanning(criterion: &mut Criterion) {
    let mut corpus = Corpus::new();
    let batches: Vec<Batch> = (0..REQUESTS).map(|_| corpus.batch()).collect();
    let bodies = bodies(&batches);
    let num_bytes: usize = bodies.iter().map(String::len).sum();
    let mut group = criterion.benchmark_group("detectors");
    group.throughput(Throughput::Bytes(u64::try_from(num_bytes).unwrap()));
    let scanner = Scanner::new(&Detector::ALL);
    group.bench_function("scan", |bencher| {
        bencher.iter(|| {
            let mut num_found = 0;
            for body in black_box(&bodies) {
                let mut from = 0;
                while let Some(found) = scanner.next(body, from) {
                    from = found.range.end;
                    num_found += 1;
                }
            }
            num_found
        });
    });
    let expressions = EXPRESSIONS.map(ascii);
    let bytes = regex::bytes::RegexSet::new(&expressions).unwrap();
    group.bench_function("regex set", |bencher| {
        bencher.iter(|| {
            let bodies = black_box(&bodies).iter();
            bodies.filter(|body| bytes.matches(body.as_bytes()).matched_any()).count()
        });
    });
    let each = expressions.map(|expression| regex::bytes::Regex::new(&expression).unwrap());
    group.bench_function("regex each", |bencher| {
        bencher.iter(|| {
            let matches = |body: &String| -> usize {
                each.iter().map(|regex| regex.find_iter(body.as_bytes()).count()).sum()
            };
            black_box(&bodies).iter().map(matches).sum::<usize>()
        });
    });
    group.finish();
}

/// The processor as a file has it.
fn stage(yaml: &str) -> Box<dyn Processor> {
    let registry = builtin();
    let node = Node::parse("bench.yaml", yaml).expect("YAML");
    let registered = lookup(&registry.processors, "redaction").expect("the processor");
    let loaded = registered.load(&node, "redaction").expect("settings");
    let clock = Clock::default();
    let context = BuildContext {
        id: "redaction".parse().expect("an id"),
        pipeline: None,
        signal: Signal::Logs,
        outputs: Vec::new(),
        shard: Shard { index: 0, count: 1 },
        host: Host {
            metrics: Metrics::default(),
            status: Status::new(clock.clone()),
            ledger: Ledger::default(),
            clock,
            budget: Budget::new(1 << 30, 1 << 20),
            data_dir: PathBuf::new(),
            extensions: Extensions::default(),
        },
    };
    loaded.value.build(&context).expect("a processor")
}

fn processor(criterion: &mut Criterion) {
    let mut corpus = Corpus::new();
    let batches: Vec<Batch> = (0..REQUESTS).map(|_| corpus.batch()).collect();
    let names = Detector::ALL.map(Detector::name).join(", ");
    let mut group = criterion.benchmark_group("redaction");
    group.throughput(Throughput::Elements((REQUESTS * RECORDS_PER_REQUEST) as u64));
    for (name, yaml) in [
        ("all detectors", format!("{{allow_all_keys: true, detectors: [{names}]}}")),
        (
            "all detectors but ip",
            format!("{{allow_all_keys: true, detectors: [{}]}}", names.replace("ip, ", "")),
        ),
        (
            "expressions",
            "{allow_all_keys: true, blocked_key_patterns: [password], blocked_values: ['4[0-9]{12}(?:[0-9]{3})?', '5[1-5][0-9]{14}']}".to_owned(),
        ),
        ("allowed keys", "{allowed_keys: [request.id, thread.id, service.name]}".to_owned()),
    ] {
        let mut stage = stage(&yaml);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut out = Outbox::new(Time::default(), None, false);
                for batch in black_box(&batches) {
                    stage.process(batch.clone(), &mut out).expect("it does not fail");
                }
                out
            });
        });
    }
    group.finish();
}

criterion_group!(benches, scanning, processor);
criterion_main!(benches);
