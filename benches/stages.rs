//! What stages cost, beside the same work on prost structs.
//!
//! Input: 500 records a request, 4 resources of 5 attributes. A log record has 330 bytes of
//! request, 4 attributes and a trace id; a span 250 bytes and 4 attributes; a delta point is one of
//! 25 of its metric and has 4 attributes. Ours begins with validated bytes and ends with bytes;
//! prost's decodes and encodes, which is how it gets and leaves them.

#![expect(clippy::expect_used, reason = "a benchmark may stop where its data is wrong")]

use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use catchment::component::{
    Budget, BuildContext, ConnectorConfig, Extensions, Host, Outbox, Output, Processor,
    ProcessorConfig, Shard,
};
use catchment::config::{Node, from_node};
use catchment::connectors::count::CountConfig;
use catchment::data::{
    About, Batch, Context, DataKind, DoorLimits, LogsBuilder, MetricsBuilder, NumberValue, Signal,
    SpanId, Temporality, Time, TraceId, TracesBuilder, Value, encode_resource,
};
use catchment::processors::batch::BatchConfig;
use catchment::processors::deltatocumulative::DeltaToCumulativeConfig;
use catchment::processors::probabilistic_sampler::SamplerConfig;
use catchment::sampling::{HashBuckets, Randomness};
use catchment::telemetry::{Clock, Ledger, Metrics, Status};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use prost::Message;

/// The allocator of the agent.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NUM_RECORDS: u64 = 500;
const NUM_RESOURCES: u64 = 4;
const TIME: u64 = 1_763_000_000_000_000_000;
/// Requests that come one after the other.
const NUM_REQUESTS: u64 = 40;

fn resource(index: u64) -> Vec<u8> {
    let name = format!("checkout-{index}");
    encode_resource([
        ("service.name", Value::Str(&name)),
        ("service.version", Value::Str("1.14.2")),
        ("host.name", Value::Str("ip-10-0-13-37.eu-central-1.compute.internal")),
        ("k8s.namespace.name", Value::Str("shop")),
        ("process.pid", Value::Int(4711)),
    ])
}

fn trace_id(number: u64) -> TraceId {
    TraceId::new((u128::from(number) * 0x1234_5678_9abc_def1_2345).to_be_bytes())
}

fn logs() -> Batch {
    let mut builder = LogsBuilder::new();
    let body = "PacketResponder 4711 for block blk_38865049064139660 terminating ".repeat(2);
    for group in 0..NUM_RESOURCES {
        builder.resource(&resource(group), "");
        for index in 0..NUM_RECORDS / NUM_RESOURCES {
            let number = group * 1_000 + index + 1;
            builder.record(|record| {
                record.time(Time::from_unix_nanos(TIME + number));
                let is_error = number % 6 == 0;
                record.severity(
                    if is_error { 17 } else { 9 },
                    if is_error { "ERROR" } else { "INFO" },
                );
                record.body(Value::Str(&body));
                record.attribute("http.route", Value::Str("/api/v1/orders/{id}/items"));
                record.attribute("http.status_code", Value::Int(200));
                record.attribute("duration_ms", Value::Double(number as f64 * 0.37));
                record.attribute("cached", Value::Bool(is_error));
                record.ids(trace_id(number), SpanId::new(number.to_be_bytes()));
            });
        }
    }
    checked(&builder.finish(Arc::default()))
}

fn spans() -> Batch {
    let mut builder = TracesBuilder::new();
    for group in 0..NUM_RESOURCES {
        builder.resource(&resource(group), "");
        for index in 0..NUM_RECORDS / NUM_RESOURCES {
            let number = group * 1_000 + index + 1;
            builder.span(|span| {
                let id = SpanId::new(number.to_be_bytes());
                span.ids(trace_id(number / 8 + 1), id, Some(id));
                span.name("GET /api/v1/orders/{id}/items", 2);
                span.times(Time::from_unix_nanos(TIME), Time::from_unix_nanos(TIME + number));
                span.attribute("http.request.method", Value::Str("GET"));
                span.attribute("http.route", Value::Str("/api/v1/orders/{id}/items"));
                span.attribute("http.response.status_code", Value::Int(200));
                span.attribute("server.address", Value::Str("checkout.shop.svc.cluster.local"));
            });
        }
    }
    checked(&builder.finish(Arc::default()))
}

/// Delta sums of the same series, a step later each.
fn deltas(step: u64) -> Batch {
    let mut builder = MetricsBuilder::new();
    for group in 0..NUM_RESOURCES {
        builder.resource(&resource(group), "");
        for metric in 0..5 {
            let about = About {
                name: &format!("http.server.requests.{metric}"),
                description: "Requests that were answered.",
                unit: "{request}",
                kind: DataKind::Sum,
                temporality: Temporality::Delta,
                is_monotonic: true,
            };
            builder.metric(&about, |points| {
                for index in 0..NUM_RECORDS / NUM_RESOURCES / 5 {
                    let route = format!("/api/v1/orders/{index}");
                    let attributes = [
                        ("http.request.method", Value::Str("GET")),
                        ("http.route", Value::Str(&route)),
                        ("http.response.status_code", Value::Int(200)),
                        ("server.address", Value::Str("checkout.shop.svc.cluster.local")),
                    ];
                    let time = |step| Time::from_unix_nanos(TIME + step * 10_000_000_000);
                    points.number((time(step), time(step + 1)), NumberValue::Int(3), attributes);
                }
            });
        }
    }
    checked(&builder.finish(Arc::default()))
}

/// The batch as it comes through the door.
fn checked(batch: &Batch) -> Batch {
    let (signal, bytes) = (batch.signal(), batch.merged_bytes());
    let context = Arc::new(Context::default());
    let admitted = Batch::try_new(signal, bytes, context, &DoorLimits::default());
    admitted.expect("a valid request").batch
}

fn context(signal: Signal) -> BuildContext {
    let clock = Clock::system();
    BuildContext {
        id: "bench".parse().expect("an id"),
        pipeline: None,
        signal,
        outputs: vec![Output {
            pipeline: "metrics".parse().expect("an id"),
            signal: Signal::Metrics,
        }],
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
    }
}

fn node(text: &str) -> Node {
    Node::parse("bench.yaml", text).expect("YAML")
}

fn processor<C: ProcessorConfig>(text: &str, signal: Signal) -> Box<dyn Processor> {
    let config: C = from_node(&node(text), "").expect("settings");
    config.build(&context(signal)).expect("a stage")
}

fn connector<C: ConnectorConfig>(text: &str, signal: Signal) -> Box<dyn Processor> {
    let config: C = from_node(&node(text), "").expect("settings");
    config.build(&context(signal)).expect("a stage")
}

fn run(stage: &mut Box<dyn Processor>, batch: &Batch) -> Outbox {
    let mut out = Outbox::new(Time::from_unix_nanos(TIME), None, false);
    stage.process(batch.clone(), &mut out).expect("a stage that works");
    out
}

fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(NUM_RECORDS * NUM_REQUESTS));
    let batch = logs();
    for (name, settings) in [
        ("join to 10000", "send_batch_size: 10000"),
        ("join and divide at 8192", "{send_batch_size: 8192, send_batch_max_size: 8192}"),
    ] {
        let mut stage = processor::<BatchConfig>(settings, Signal::Logs);
        group.bench_function(name, |bencher| {
            bencher.iter(|| (0..NUM_REQUESTS).map(|_| run(&mut stage, &batch)).count());
        });
    }
    group.bench_function("join to 10000, prost", |bencher| {
        bencher.iter(|| {
            for _ in 0..NUM_REQUESTS / 20 {
                let mut joined = ExportLogsServiceRequest::default();
                for _ in 0..20 {
                    let request = ExportLogsServiceRequest::decode(batch.merged_bytes());
                    joined.resource_logs.extend(request.expect("logs").resource_logs);
                }
                black_box(joined.encode_to_vec());
            }
        });
    });
    group.finish();
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(ProtoValue::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn sampled_logs(request: Bytes) -> Vec<u8> {
    let threshold = HashBuckets::of_percentage(25.0).threshold();
    let mut request = ExportLogsServiceRequest::decode(request).expect("logs");
    for scope in request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs) {
        scope.log_records.retain_mut(|record| {
            let randomness = Randomness::of_hash(0, &record.trace_id);
            let is_kept = threshold.keeps(randomness);
            if is_kept {
                record.attributes.push(text("sampling.randomness", &randomness.to_string()));
                record.attributes.push(text("sampling.threshold", &threshold.to_string()));
            }
            is_kept
        });
    }
    request.encode_to_vec()
}

fn sampled_spans(request: Bytes) -> Vec<u8> {
    let threshold = HashBuckets::of_percentage(25.0).threshold();
    let mut request = ExportTraceServiceRequest::decode(request).expect("spans");
    for scope in request.resource_spans.iter_mut().flat_map(|group| &mut group.scope_spans) {
        scope.spans.retain_mut(|span| {
            let randomness = Randomness::of_hash(0, &span.trace_id);
            let is_kept = threshold.keeps(randomness);
            if is_kept {
                span.trace_state = format!("ot=rv:{randomness};th:{threshold}");
            }
            is_kept
        });
    }
    request.encode_to_vec()
}

type Counterpart = fn(Bytes) -> Vec<u8>;

fn sampler(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sampler");
    group.throughput(Throughput::Elements(NUM_RECORDS));
    let counterparts: [(&str, Batch, Counterpart); 2] =
        [("logs", logs(), sampled_logs), ("spans", spans(), sampled_spans)];
    for (name, batch, counterpart) in counterparts {
        let mut stage = processor::<SamplerConfig>("sampling_percentage: 25", batch.signal());
        group.bench_function(format!("a quarter of {name}"), |bencher| {
            bencher.iter(|| run(&mut stage, &batch));
        });
        group.bench_function(format!("a quarter of {name}, prost"), |bencher| {
            bencher.iter(|| counterpart(batch.merged_bytes()));
        });
    }
    group.finish();
}

fn point(value: i64, attributes: Vec<KeyValue>) -> NumberDataPoint {
    NumberDataPoint { attributes, value: Some(Number::AsInt(value)), ..NumberDataPoint::default() }
}

fn counted_logs(request: Bytes) -> Vec<u8> {
    let request = ExportLogsServiceRequest::decode(request).expect("logs");
    let mut response = ExportMetricsServiceRequest::default();
    for group in request.resource_logs {
        let mut counts: HashMap<&str, i64> = HashMap::new();
        for record in group.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            *counts.entry(&record.severity_text).or_default() += 1;
        }
        let data_points = counts
            .iter()
            .map(|(severity, count)| point(*count, vec![text("severity_text", severity)]))
            .collect();
        let sum = Sum { data_points, aggregation_temporality: 1, is_monotonic: true };
        let name = "log.record.count".to_owned();
        let metrics = vec![Metric { name, data: Some(Data::Sum(sum)), ..Metric::default() }];
        response.resource_metrics.push(ResourceMetrics {
            resource: group.resource,
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        });
    }
    response.encode_to_vec()
}

fn count(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("count");
    group.throughput(Throughput::Elements(NUM_RECORDS));
    let batch = logs();
    for (name, settings) in [
        ("all logs", "{}"),
        ("logs by severity", "logs: {log.record.count: {attributes: [{key: severity_text}]}}"),
        ("logs by an attribute", "logs: {log.record.count: {attributes: [{key: http.route}]}}"),
    ] {
        let mut stage = connector::<CountConfig>(settings, Signal::Logs);
        group.bench_function(name, |bencher| bencher.iter(|| run(&mut stage, &batch)));
    }
    group.bench_function("logs by severity, prost", |bencher| {
        bencher.iter(|| counted_logs(batch.merged_bytes()));
    });
    group.finish();
}

type Totals = HashMap<Vec<u8>, (u64, i64)>;

fn cumulative(totals: &mut Totals, request: Bytes) -> Vec<u8> {
    let mut request = ExportMetricsServiceRequest::decode(request).expect("metrics");
    for group in &mut request.resource_metrics {
        let resource = group.resource.as_ref().map(Message::encode_to_vec).unwrap_or_default();
        for metric in group.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics) {
            let Some(Data::Sum(sum)) = &mut metric.data else { continue };
            sum.aggregation_temporality = 2;
            for point in &mut sum.data_points {
                let mut key = resource.clone();
                key.extend_from_slice(metric.name.as_bytes());
                point.attributes.sort_by(|left, right| left.key.cmp(&right.key));
                for attribute in &point.attributes {
                    attribute.encode_length_delimited(&mut key).expect("memory grows");
                }
                let Some(Number::AsInt(value)) = &mut point.value else { continue };
                let start = point.start_time_unix_nano;
                let (start, total) = totals.entry(key).or_insert((start, 0));
                *total += *value;
                (point.start_time_unix_nano, *value) = (*start, *total);
            }
        }
    }
    request.encode_to_vec()
}

fn deltatocumulative(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deltatocumulative");
    group.throughput(Throughput::Elements(NUM_RECORDS * (NUM_REQUESTS - 1)));
    let batches: Vec<Batch> = (0..NUM_REQUESTS).map(deltas).collect();
    let (first, others) = batches.split_first().expect("some");
    let ready = || {
        let mut stage = processor::<DeltaToCumulativeConfig>("{}", Signal::Metrics);
        run(&mut stage, first);
        stage
    };
    group.bench_function("sums", |bencher| {
        let work = |stage: &mut Box<dyn Processor>| {
            others.iter().map(|batch| black_box(run(stage, batch))).count()
        };
        bencher.iter_batched_ref(ready, work, BatchSize::SmallInput);
    });
    let ready = || {
        let mut totals = Totals::new();
        cumulative(&mut totals, first.merged_bytes());
        totals
    };
    group.bench_function("sums, prost", |bencher| {
        let work = |totals: &mut Totals| {
            let encoded = |batch: &Batch| cumulative(totals, batch.merged_bytes()).len();
            others.iter().map(encoded).sum::<usize>()
        };
        bencher.iter_batched_ref(ready, work, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, batches, sampler, count, deltatocumulative);
criterion_main!(benches);
