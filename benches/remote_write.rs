//! Cost of making remote-write requests from OTLP metrics, per data point.
//!
//! The data: batches of 8,000 points with seven attributes each, of 20 resources with eight
//! attributes; and the same with histograms of ten bounds. Beside it: the same request, as prost
//! structs made before, encoded by prost and compressed; and what only decoding the metrics with
//! prost costs.

#![expect(clippy::expect_used, reason = "a benchmark may stop where its data is wrong")]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use catchment::codec::remote_write::{Settings, Targets, encode};
use catchment::data::{Batch, Context, DoorLimits, Signal};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

/// The allocator of the agent.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `WriteRequest` of remote-write 1.0, as far as these metrics need it.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

const NUM_RESOURCES: u64 = 20;
const NUM_METRICS: u64 = 20;
const NUM_POINTS: u64 = 20;
const TIME: u64 = 1_764_000_000_000_000_000;

fn text(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn attributes(point: u64) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("http.request.method", "GET".into()),
        text("http.route", format!("/api/v1/users/{point}/orders")),
        text("url.scheme", "https".into()),
        text("network.protocol.version", "1.1".into()),
        text("server.address", "shop.example.com".into()),
        text("error.type", String::new()),
    ];
    attributes.push(KeyValue {
        key: "http.response.status_code".into(),
        value: Some(AnyValue { value: Some(Value::IntValue(200)) }),
        ..KeyValue::default()
    });
    attributes
}

fn resource(number: u64) -> Resource {
    let attributes = vec![
        text("service.name", "checkout".into()),
        text("service.namespace", "shop".into()),
        text("service.instance.id", format!("8e2c1d7a-5f0b-4f6e-9d59-{number:012}")),
        text("service.version", "2.4.1".into()),
        text("host.name", format!("node-{number}")),
        text("k8s.namespace.name", "shop".into()),
        text("k8s.pod.name", format!("checkout-7d4b9c5f6-{number}")),
        text("telemetry.sdk.language", "rust".into()),
    ];
    Resource { attributes, ..Resource::default() }
}

fn sum() -> Data {
    let data_points = (0..NUM_POINTS).map(|point| NumberDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: TIME,
        time_unix_nano: TIME,
        value: Some(number_data_point::Value::AsInt(i64::from(u8::MAX))),
        ..NumberDataPoint::default()
    });
    Data::Sum(Sum {
        data_points: data_points.collect(),
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
        is_monotonic: true,
    })
}

fn histogram() -> Data {
    let data_points = (0..NUM_POINTS).map(|point| HistogramDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: TIME,
        time_unix_nano: TIME,
        count: 66,
        sum: Some(12.5),
        bucket_counts: (1..12).collect(),
        explicit_bounds: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0],
        ..HistogramDataPoint::default()
    });
    Data::Histogram(Histogram {
        data_points: data_points.collect(),
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
    })
}

fn request(data: &Data) -> Bytes {
    let metrics = (0..NUM_METRICS).map(|metric| Metric {
        name: format!("http.server.metric.{metric}"),
        unit: "s".into(),
        data: Some(data.clone()),
        ..Metric::default()
    });
    let scope_metrics =
        vec![ScopeMetrics { metrics: metrics.collect(), ..ScopeMetrics::default() }];
    let resource_metrics = (0..NUM_RESOURCES).map(|number| ResourceMetrics {
        resource: Some(resource(number)),
        scope_metrics: scope_metrics.clone(),
        ..ResourceMetrics::default()
    });
    let request = ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() };
    Bytes::from(request.encode_to_vec())
}

fn compressed(message: &[u8]) -> usize {
    snap::raw::Encoder::new().compress_vec(message).expect("it is no 4 GiB").len()
}

fn remote_write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("remote_write");
    group.throughput(Throughput::Elements(NUM_RESOURCES * NUM_METRICS * NUM_POINTS));
    group.sample_size(20);
    for (name, data) in [("sums", sum()), ("histograms", histogram())] {
        let bytes = request(&data);
        let context = Arc::new(Context::default());
        let limits = DoorLimits::default();
        let admitted = Batch::try_new(Signal::Metrics, bytes.clone(), context, &limits);
        let batch = admitted.expect("prost wrote it").batch;
        let settings = Settings::default();
        group.bench_function(format!("{name}/encode"), |bencher| {
            bencher.iter(|| encode(black_box(&batch), &settings, &Targets::default()));
        });
        group.bench_function(format!("{name}/encode and compress"), |bencher| {
            bencher.iter(|| {
                let encoded = encode(black_box(&batch), &settings, &Targets::default());
                encoded.writes.iter().map(|write| compressed(&write.body)).sum::<usize>()
            });
        });
        let writes = encode(&batch, &settings, &Targets::default()).writes;
        let bare = writes.iter().map(|write| WriteRequest::decode(write.body.as_slice()));
        let bare: Vec<_> = bare.collect::<Result<_, _>>().expect("it is such a request");
        for (write, bare) in writes.iter().zip(&bare) {
            assert!(write.body == bare.encode_to_vec(), "{name}");
        }
        group.bench_function(format!("{name}/bare"), |bencher| {
            bencher.iter(|| {
                let writes = black_box(&bare).iter();
                writes.map(|write| compressed(&write.encode_to_vec())).sum::<usize>()
            });
        });
        group.bench_function(format!("{name}/prost decode only"), |bencher| {
            bencher.iter(|| ExportMetricsServiceRequest::decode(black_box(bytes.clone())));
        });
    }
    group.finish();
}

criterion_group!(benches, remote_write);
criterion_main!(benches);
