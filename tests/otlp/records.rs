//! Requests to send.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

pub const LOGS: &str = "opentelemetry.proto.collector.logs.v1.LogsService";
pub const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";
pub const METRICS: &str = "opentelemetry.proto.collector.metrics.v1.MetricsService";

pub const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
pub const JSON: (&str, &str) = ("content-type", "application/json");

pub fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

pub fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// A request of these log records.
pub fn logs_of(log_records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// A log record with a body.
pub fn log(body: AnyValue) -> LogRecord {
    LogRecord { time_unix_nano: 1, body: Some(body), ..LogRecord::default() }
}

/// A request of `count` log records.
pub fn logs(count: usize) -> Vec<u8> {
    logs_of((0..count).map(|i| log(text(&format!("line {i}")))).collect())
}

/// A request of one log record that is exactly `size` bytes long.
pub fn logs_of_size(size: usize) -> Vec<u8> {
    let filled = |length| logs_of(vec![log(text(&"x".repeat(length)))]);
    let overhead = filled(size).len() - size;
    // Lengths in front of it may shrink with it.
    (0..8)
        .map(|slack| filled(size - overhead + slack))
        .find(|request| request.len() == size)
        .expect("a request of this size")
}

pub fn spans(count: usize) -> Vec<u8> {
    let spans = (0..count).map(|i| Span {
        trace_id: vec![7; 16],
        span_id: (i as u64 + 1).to_be_bytes().to_vec(),
        name: format!("span {i}"),
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// A request of one span with this trace id.
pub fn span_of_trace(trace_id: &[u8]) -> Vec<u8> {
    let span = Span { trace_id: trace_id.to_vec(), span_id: vec![1; 8], ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

pub fn points(count: usize) -> Vec<u8> {
    let data_points = (0..count).map(|i| NumberDataPoint {
        start_time_unix_nano: 1,
        time_unix_nano: i as u64 + 1,
        value: Some(number_data_point::Value::AsInt(7)),
        ..NumberDataPoint::default()
    });
    let gauge = Gauge { data_points: data_points.collect() };
    let metric = Metric {
        name: "queue.length".to_owned(),
        data: Some(metric::Data::Gauge(gauge)),
        ..Metric::default()
    };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// A value inside `depth` arrays.
pub fn nested(depth: usize) -> AnyValue {
    let mut value = text("deep");
    for _ in 0..depth {
        value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![value] })) };
    }
    value
}

/// The length of a field's payload, and the payload.
fn field(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = payload.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(payload);
    out
}

/// A request whose only body is `depth` arrays deep, written from the inside out: encoders recurse
/// too.
pub fn logs_nested(depth: usize) -> Vec<u8> {
    let mut value = field(1, b"deep");
    for _ in 0..depth {
        value = field(5, &field(1, &value));
    }
    logs_with_body(&value)
}

/// A request with one log record whose body is the encoded `value`.
pub fn logs_with_body(value: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, &field(5, value))))
}
