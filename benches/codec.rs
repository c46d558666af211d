//! What OTLP/JSON and compression cost, beside the same work with prost, serde_json and flate2.
//!
//! Input: requests of 500 log records of about 444 bytes from the load generator's templates. Times
//! are of one request: divide by 500.

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot be set up stops")]

use std::hint::black_box;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use catchment::codec::compress::{Compression, Framing, compress};
use catchment::codec::inflate::{Encoding, inflate};
use catchment::codec::otlp_json;
use catchment::data::{Batch, DoorLimits, Signal, Time};
use catchment::workload::{Shape, Template};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NUM_RECORDS: usize = 500;
const START: Time = Time::from_unix_nanos(1_763_000_000_000_000_000);

fn logs() -> Bytes {
    let shape =
        Shape { signal: Signal::Logs, num_records: NUM_RECORDS, seed: 1, start: START, run: None };
    Template::new(&shape, |_| Vec::new()).next(START, 0)
}

fn batch(request: Bytes) -> Batch {
    Batch::try_new(Signal::Logs, request, Arc::default(), &DoorLimits::default())
        .expect("templates are valid OTLP")
        .batch
}

fn json(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json");
    group.throughput(Throughput::Elements(NUM_RECORDS as u64));
    let request = logs();
    let batch = batch(request.clone());
    let text = otlp_json::encode(&batch);
    group.bench_function("read/ours", |bencher| {
        bencher.iter(|| otlp_json::decode(Signal::Logs, black_box(&text)));
    });
    group.bench_function("read/serde_json value", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&text)));
    });
    group.bench_function("write/ours", |bencher| {
        bencher.iter(|| otlp_json::encode(black_box(&batch)));
    });
    let value: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    group.bench_function("write/prost and serde_json value", |bencher| {
        bencher.iter(|| {
            let decoded = ExportLogsServiceRequest::decode(black_box(&request[..]));
            (decoded, serde_json::to_vec(black_box(&value)))
        });
    });
    group.finish();
}

fn compression(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compression");
    group.throughput(Throughput::Elements(NUM_RECORDS as u64));
    let request = logs();
    let chunks = [request.clone()];
    for (name, compression, encoding) in [
        ("gzip", Compression::Gzip, Encoding::Gzip),
        ("zstd", Compression::Zstd, Encoding::Zstd),
        ("snappy", Compression::Snappy, Encoding::Snappy),
    ] {
        let framing = Framing::Block;
        let packed = compress(&chunks, compression, framing, None).expect("it can be compressed");
        group.bench_function(format!("pack/{name}"), |bencher| {
            bencher.iter(|| compress(black_box(&chunks), compression, framing, None));
        });
        group.bench_function(format!("unpack/{name}"), |bencher| {
            let max_bytes = request.len() + 1;
            let grow = &mut |_| Ok::<(), std::convert::Infallible>(());
            bencher.iter(|| inflate(encoding, black_box(&packed), max_bytes, grow));
        });
    }
    let gzip =
        compress(&chunks, Compression::Gzip, Framing::Block, None).expect("it can be packed");
    group.bench_function("unpack/gzip with flate2", |bencher| {
        bencher.iter(|| {
            let mut plain = Vec::new();
            let decoder = flate2::read::MultiGzDecoder::new(black_box(&gzip[..]));
            decoder.take(request.len() as u64 + 1).read_to_end(&mut plain)
        });
    });
    group.bench_function("pack/gzip with flate2", |bencher| {
        bencher.iter(|| {
            let level = flate2::Compression::fast();
            let mut packed = Vec::new();
            let mut encoder = flate2::read::GzEncoder::new(black_box(&request[..]), level);
            encoder.read_to_end(&mut packed)
        });
    });
    group.finish();
}

criterion_group!(benches, json, compression);
criterion_main!(benches);
