//! What mutation begins with: one request of each signal with every kind of field, and files.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status,
    span::{Event, Link},
};
use prost::Message;

/// Files as people write them.
pub const FILES: [&str; 4] = [
    include_str!("../../../pipelines/default.yaml"),
    include_str!("../../../pipelines/default-remote-write.yaml"),
    "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: ${env:HOST:-localhost}:4317\n        \
     keepalive: {server_parameters: {max_connection_age: 1h30m}}\n      http: {cors: {allowed_origins: ['*']}}\n\
     processors:\n  batch/2: {timeout: 1s, send_batch_size: 10}\n  memory_limiter: {check_interval: 1s, limit_mib: 100}\n\
     exporters:\n  otlphttp: &a\n    endpoint: \"https://x:4318\"\n    headers: {a: $$b}\n    compression: zstd\n\
     \x20   sending_queue: {batch: {min_size: 1}}\n  debug: {verbosity: detailed}\n  nop:\n\
     extensions: {health_check: , bearertokenauth: {token: t}}\n\
     service:\n  extensions: [health_check]\n  telemetry: {logs: {level: debug}}\n  pipelines:\n\
     \x20   logs: {receivers: [otlp], processors: [memory_limiter, batch/2], exporters: [otlphttp, debug]}\n\
     \x20   traces/1: {receivers: [otlp], exporters: [nop]}\n",
    "receivers: {otlp: {protocols: {http: null}}}\nexporters: {nop: !!map {}}\n\
     service: {pipelines: {metrics: {receivers: [otlp], exporters: [nop]}}}\n---\n",
];

/// Queries with every kind of condition.
pub const QUERIES: [&str; 4] = [
    "refused \"connection reset\" AND NOT (severity:>=warn OR service:checkout)",
    "http.status:[500 TO 599] duration_ms:>2.5 _exists_:user.id conn* *refused* /time[d]? out/",
    "trace_id:0102030405060708090a0b0c0d0e0f10 -span_id:0102030405060708 scope:a url.path:/api/v1*",
    "a:{1 TO 2] OR b:<=-3 OR c:\"x \\\" y\" d:true",
];

fn value(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn attribute(key: &str, kind: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value(kind), ..KeyValue::default() }
}

fn attributes() -> Vec<KeyValue> {
    let array = ArrayValue { values: vec![AnyValue { value: Some(Value::BoolValue(true)) }] };
    let list = KeyValueList { values: vec![attribute("in", Value::BytesValue(vec![1, 0xff]))] };
    vec![
        attribute("text", Value::StringValue("wörd".to_owned())),
        attribute("int", Value::IntValue(-7)),
        attribute("double", Value::DoubleValue(f64::NAN)),
        attribute("array", Value::ArrayValue(array)),
        attribute("list", Value::KvlistValue(list)),
        KeyValue { key: "none".to_owned(), ..KeyValue::default() },
    ]
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: attributes(), ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    let (name, version) = ("lib".to_owned(), "1".to_owned());
    Some(InstrumentationScope { name, version, attributes: attributes(), ..Default::default() })
}

pub fn logs() -> Vec<u8> {
    let record = LogRecord {
        time_unix_nano: 1 << 60,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: value(Value::StringValue("hello".to_owned())),
        attributes: attributes(),
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..LogRecord::default()
    };
    let log_records = vec![record, LogRecord::default()];
    let group = ScopeLogs { scope: scope(), log_records, schema_url: "https://s".to_owned() };
    let group =
        ResourceLogs { resource: resource(), scope_logs: vec![group], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![group] }.encode_to_vec()
}

pub fn traces() -> Vec<u8> {
    let event = Event { name: "event".to_owned(), attributes: attributes(), ..Event::default() };
    let link = Link { trace_id: vec![3; 16], span_id: vec![4; 8], ..Link::default() };
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        trace_state: "ot=th:8".to_owned(),
        name: "GET /".to_owned(),
        kind: 3,
        start_time_unix_nano: 5,
        end_time_unix_nano: 9,
        attributes: attributes(),
        events: vec![event],
        links: vec![link],
        status: Some(Status { message: "no".to_owned(), code: 2 }),
        ..Span::default()
    };
    let group =
        ScopeSpans { scope: scope(), spans: vec![span, Span::default()], ..Default::default() };
    let group =
        ResourceSpans { resource: resource(), scope_spans: vec![group], ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}

fn exemplars() -> Vec<Exemplar> {
    let value = Some(exemplar::Value::AsDouble(0.5));
    vec![Exemplar { filtered_attributes: attributes(), value, ..Exemplar::default() }]
}

fn number() -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(),
        time_unix_nano: 7,
        exemplars: exemplars(),
        value: Some(number_data_point::Value::AsInt(-3)),
        ..NumberDataPoint::default()
    }
}

pub fn metrics() -> Vec<u8> {
    let histogram = HistogramDataPoint {
        count: 3,
        sum: Some(1.5),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.5],
        exemplars: exemplars(),
        ..HistogramDataPoint::default()
    };
    let buckets = Some(Buckets { offset: -2, bucket_counts: vec![1, 0, 300] });
    let exponential = ExponentialHistogramDataPoint {
        scale: -3,
        zero_count: 1,
        positive: buckets.clone(),
        negative: buckets,
        ..ExponentialHistogramDataPoint::default()
    };
    let quantile = ValueAtQuantile { quantile: 0.9, value: 4.0 };
    let summary =
        SummaryDataPoint { count: 2, quantile_values: vec![quantile], ..Default::default() };
    let data = [
        Data::Gauge(Gauge { data_points: vec![number()] }),
        Data::Sum(Sum {
            data_points: vec![number()],
            aggregation_temporality: 1,
            is_monotonic: true,
        }),
        Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 2 }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential],
            aggregation_temporality: 2,
        }),
        Data::Summary(Summary { data_points: vec![summary] }),
    ];
    let metrics = data.into_iter().map(|data| Metric {
        name: "a.b".to_owned(),
        unit: "By".to_owned(),
        metadata: attributes(),
        data: Some(data),
        ..Metric::default()
    });
    let group = ScopeMetrics { scope: scope(), metrics: metrics.collect(), ..Default::default() };
    let group =
        ResourceMetrics { resource: resource(), scope_metrics: vec![group], ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![group] }.encode_to_vec()
}
