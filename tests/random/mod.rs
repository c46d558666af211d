//! Random OTLP, made and taken apart with prost's structs.

use catchment::data::{Batch, DoorLimits, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

/// When the random records begin.
pub(crate) const START_NANOS: u64 = 1_800_000_000_000_000_000;

/// A message that the door admits.
pub(crate) fn batch(signal: Signal, bytes: impl Into<bytes::Bytes>) -> Batch {
    let limits = DoorLimits::default();
    Batch::try_new(signal, bytes.into(), std::sync::Arc::default(), &limits).unwrap().batch
}

/// Random batches, empty ones and empty envelopes among them.
pub(crate) fn batches(signal: Signal) -> BoxedStrategy<Batch> {
    match signal {
        Signal::Logs => vec((resource(), vec((scope(), vec(log(), 0..5)), 0..3)), 0..3)
            .prop_map(|groups| batch(Signal::Logs, logs(groups).encode_to_vec()))
            .boxed(),
        Signal::Traces => vec((resource(), vec((scope(), vec(span(), 0..5)), 0..3)), 0..3)
            .prop_map(|groups| batch(Signal::Traces, traces(groups).encode_to_vec()))
            .boxed(),
        Signal::Metrics => vec((resource(), vec((scope(), vec(metric(), 0..4)), 0..3)), 0..3)
            .prop_map(|groups| batch(Signal::Metrics, metrics(groups).encode_to_vec()))
            .boxed(),
    }
}

type Groups<T> = Vec<(Resource, Vec<(InstrumentationScope, Vec<T>)>)>;

fn logs(groups: Groups<LogRecord>) -> ExportLogsServiceRequest {
    let scope = |(scope, log_records)| ScopeLogs {
        scope: Some(scope),
        log_records,
        ..ScopeLogs::default()
    };
    let resource_logs = groups.into_iter().map(|(resource, scopes)| ResourceLogs {
        resource: Some(resource),
        scope_logs: scopes.into_iter().map(scope).collect(),
        ..ResourceLogs::default()
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn traces(groups: Groups<Span>) -> ExportTraceServiceRequest {
    let scope = |(scope, spans)| ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
    let resource_spans = groups.into_iter().map(|(resource, scopes)| ResourceSpans {
        resource: Some(resource),
        scope_spans: scopes.into_iter().map(scope).collect(),
        ..ResourceSpans::default()
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn metrics(groups: Groups<Metric>) -> ExportMetricsServiceRequest {
    let scope =
        |(scope, metrics)| ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() };
    let resource_metrics = groups.into_iter().map(|(resource, scopes)| ResourceMetrics {
        resource: Some(resource),
        scope_metrics: scopes.into_iter().map(scope).collect(),
        ..ResourceMetrics::default()
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-z]{0,6}".prop_map(Value::StringValue),
        "(production|GET /healthz)".prop_map(Value::StringValue),
        "[a-z ]{0,40}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        (-3i64..600).prop_map(Value::IntValue),
        (-2f64..2.0).prop_map(Value::DoubleValue),
        vec(any::<u8>(), 0..4).prop_map(Value::BytesValue),
    ]
}

/// Few keys, so that conditions and groups of the examples are met.
fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let keys =
        ["http.route", "deployment.environment.name", "service.name", "team", "user.email", "a"];
    let keys = prop::sample::subsequence(keys.to_vec(), 0..4);
    (keys, vec(value(), 6)).prop_map(|(keys, values)| {
        let pair = |(key, value): (&str, Value)| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        };
        keys.into_iter().zip(values).map(pair).collect()
    })
}

fn resource() -> impl Strategy<Value = Resource> {
    attributes().prop_map(|attributes| Resource { attributes, ..Resource::default() })
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    "[ab]?".prop_map(|name| InstrumentationScope { name, ..InstrumentationScope::default() })
}

/// An id, or none.
fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), length), 1 => Just(Vec::new())]
}

/// Times that mostly move on, in nanoseconds.
fn time() -> impl Strategy<Value = u64> {
    prop_oneof![9 => (0..100_000_000_000u64).prop_map(|after| START_NANOS + after), 1 => Just(0)]
}

fn log() -> impl Strategy<Value = LogRecord> {
    let severity = (0..25i32, "(INFO|WARN|ERROR)?");
    (time(), severity, prop::option::of(value()), attributes(), id(16), id(8)).prop_map(
        |(time, (severity_number, severity_text), body, attributes, trace_id, span_id)| LogRecord {
            time_unix_nano: time,
            severity_number,
            severity_text,
            body: body.map(|value| AnyValue { value: Some(value) }),
            attributes,
            trace_id,
            span_id,
            ..LogRecord::default()
        },
    )
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (vec(any::<u8>(), 16), vec(any::<u8>(), 8), id(8));
    (ids, "([a-c]{0,3}|GET /healthz)", time(), 0..1_000_000_000u64, attributes(), 0..6i32, 0..3i32)
        .prop_map(
            |((trace_id, span_id, parent_span_id), name, start, length, attributes, kind, code)| {
                Span {
                    trace_id,
                    span_id,
                    parent_span_id,
                    name,
                    kind,
                    start_time_unix_nano: start,
                    end_time_unix_nano: start + length,
                    attributes,
                    status: Some(Status { message: String::new(), code }),
                    ..Span::default()
                }
            },
        )
}

fn metric() -> impl Strategy<Value = Metric> {
    ("([a-c]|go_a)", "(s|By|)", data()).prop_map(|(name, unit, data)| Metric {
        name,
        unit,
        data: Some(data),
        ..Metric::default()
    })
}

fn data() -> impl Strategy<Value = Data> {
    let temporality = 0..3i32;
    prop_oneof![
        vec(number(), 0..4).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number(), 0..4), temporality.clone(), any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| Data::Sum(Sum {
                data_points,
                aggregation_temporality,
                is_monotonic
            })
        ),
        (vec(histogram(), 0..3), temporality.clone()).prop_map(
            |(data_points, aggregation_temporality)| Data::Histogram(Histogram {
                data_points,
                aggregation_temporality
            })
        ),
        (vec(exponential(), 0..3), temporality).prop_map(
            |(data_points, aggregation_temporality)| {
                Data::ExponentialHistogram(ExponentialHistogram {
                    data_points,
                    aggregation_temporality,
                })
            }
        ),
        vec(summary(), 0..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ]
}

fn number() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        (-5i64..100).prop_map(|value| Some(Number::AsInt(value))),
        (-5f64..100.0).prop_map(|value| Some(Number::AsDouble(value))),
        Just(None),
    ];
    (attributes(), time(), time(), value, 0..2u32).prop_map(
        |(attributes, start, time, value, flags)| NumberDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            value,
            flags,
            ..NumberDataPoint::default()
        },
    )
}

fn histogram() -> impl Strategy<Value = HistogramDataPoint> {
    (attributes(), time(), time(), vec(0..9u64, 3)).prop_map(|(attributes, start, time, counts)| {
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count: counts.iter().sum(),
            sum: Some(1.5),
            bucket_counts: counts,
            explicit_bounds: vec![0.0, 10.0],
            ..HistogramDataPoint::default()
        }
    })
}

fn exponential() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    (attributes(), time(), time(), -5..5i32, 0..9u64).prop_map(
        |(attributes, start, time, scale, count)| ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            scale,
            count,
            zero_count: count,
            ..ExponentialHistogramDataPoint::default()
        },
    )
}

fn summary() -> impl Strategy<Value = SummaryDataPoint> {
    (attributes(), time(), 0..9u64).prop_map(|(attributes, time, count)| SummaryDataPoint {
        attributes,
        time_unix_nano: time,
        count,
        ..SummaryDataPoint::default()
    })
}

/// Each record of `batch` as a message of its own, in its resource and scope.
pub(crate) fn records(batch: &Batch) -> Vec<Vec<u8>> {
    let bytes = batch.merged_bytes();
    match batch.signal() {
        Signal::Logs => log_records(&ExportLogsServiceRequest::decode(bytes).unwrap()),
        Signal::Traces => spans(&ExportTraceServiceRequest::decode(bytes).unwrap()),
        Signal::Metrics => points(&ExportMetricsServiceRequest::decode(bytes).unwrap()),
    }
}

fn log_records(request: &ExportLogsServiceRequest) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for resource in &request.resource_logs {
        for scope in &resource.scope_logs {
            for record in &scope.log_records {
                let scope = ScopeLogs { log_records: vec![record.clone()], ..scope.clone() };
                let resource = ResourceLogs { scope_logs: vec![scope], ..resource.clone() };
                records.push(resource.encode_to_vec());
            }
        }
    }
    records
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                let scope = ScopeSpans { spans: vec![span.clone()], ..scope.clone() };
                let resource = ResourceSpans { scope_spans: vec![scope], ..resource.clone() };
                records.push(resource.encode_to_vec());
            }
        }
    }
    records
}

fn points(request: &ExportMetricsServiceRequest) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for resource in &request.resource_metrics {
        for scope in &resource.scope_metrics {
            for metric in &scope.metrics {
                for data in metric.data.iter().flat_map(single_points) {
                    let metric = Metric { data: Some(data), ..metric.clone() };
                    let scope = ScopeMetrics { metrics: vec![metric], ..scope.clone() };
                    let scope_metrics = vec![scope];
                    let resource = ResourceMetrics { scope_metrics, ..resource.clone() };
                    records.push(resource.encode_to_vec());
                }
            }
        }
    }
    records
}

fn single_points(data: &Data) -> Vec<Data> {
    match data {
        Data::Gauge(gauge) => {
            singles(&gauge.data_points, |data_points| Data::Gauge(Gauge { data_points }))
        }
        Data::Sum(sum) => {
            singles(&sum.data_points, |data_points| Data::Sum(Sum { data_points, ..sum.clone() }))
        }
        Data::Histogram(histogram) => singles(&histogram.data_points, |data_points| {
            Data::Histogram(Histogram { data_points, ..histogram.clone() })
        }),
        Data::ExponentialHistogram(histogram) => singles(&histogram.data_points, |data_points| {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, ..histogram.clone() })
        }),
        Data::Summary(summary) => {
            singles(&summary.data_points, |data_points| Data::Summary(Summary { data_points }))
        }
    }
}

fn singles<P: Clone>(points: &[P], make: impl Fn(Vec<P>) -> Data) -> Vec<Data> {
    points.iter().map(|point| make(vec![point.clone()])).collect()
}
