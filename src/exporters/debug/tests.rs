use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
    exemplar, exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
    summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, span::Event, span::Link,
};
use prost::Message;

use super::detailed::detailed;
use super::normal::normal;
use super::summary;
use crate::data::{Batch, Context, DoorLimits, Signal};

const TIME: u64 = 1_581_452_773_000_000_789;

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", "cart")], ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "lib".into(),
        version: "1.0".into(),
        ..InstrumentationScope::default()
    })
}

fn batch(signal: Signal, request: &impl Message) -> Batch {
    let bytes = Bytes::from(request.encode_to_vec());
    let limits = DoorLimits::default();
    Batch::try_new(signal, bytes, Arc::new(Context::default()), &limits).unwrap().batch
}

fn logs() -> Batch {
    let record = LogRecord {
        time_unix_nano: TIME,
        severity_number: 9,
        severity_text: "INFO".into(),
        body: Some(AnyValue { value: Some(Value::StringValue("paid".into())) }),
        attributes: vec![
            text("user", "ann"),
            KeyValue {
                key: "count".into(),
                value: Some(AnyValue { value: Some(Value::IntValue(3)) }),
                ..KeyValue::default()
            },
        ],
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..LogRecord::default()
    };
    let scope_logs =
        vec![ScopeLogs { scope: scope(), log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    batch(Signal::Logs, &ExportLogsServiceRequest { resource_logs })
}

fn traces() -> Batch {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "GET /".into(),
        kind: 2,
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + 1,
        attributes: vec![text("a", "b")],
        events: vec![Event {
            name: "retry".into(),
            time_unix_nano: TIME,
            attributes: vec![text("n", "1")],
            ..Event::default()
        }],
        links: vec![Link { trace_id: vec![3; 16], span_id: vec![4; 8], ..Link::default() }],
        status: Some(Status { code: 2, message: "timeout".into() }),
        dropped_events_count: 1,
        ..Span::default()
    };
    let scope_spans =
        vec![ScopeSpans { scope: scope(), spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
    batch(Signal::Traces, &ExportTraceServiceRequest { resource_spans })
}

fn metrics() -> Batch {
    let sum = Data::Sum(Sum {
        data_points: vec![NumberDataPoint {
            attributes: vec![text("zone", "a")],
            time_unix_nano: TIME,
            value: Some(number_data_point::Value::AsInt(42)),
            exemplars: vec![Exemplar {
                time_unix_nano: TIME,
                value: Some(exemplar::Value::AsDouble(1.5)),
                filtered_attributes: vec![text("f", "g")],
                ..Exemplar::default()
            }],
            ..NumberDataPoint::default()
        }],
        aggregation_temporality: 2,
        is_monotonic: true,
    });
    let histogram = Data::Histogram(Histogram {
        data_points: vec![HistogramDataPoint {
            count: 3,
            sum: Some(4.5),
            bucket_counts: vec![1, 2],
            explicit_bounds: vec![0.5],
            flags: 1,
            ..HistogramDataPoint::default()
        }],
        aggregation_temporality: 1,
    });
    let exponential = Data::ExponentialHistogram(ExponentialHistogram {
        data_points: vec![ExponentialHistogramDataPoint {
            count: 6,
            zero_count: 1,
            positive: Some(Buckets { offset: 0, bucket_counts: vec![2, 0, 1] }),
            negative: Some(Buckets { offset: 1, bucket_counts: vec![1, 1] }),
            ..ExponentialHistogramDataPoint::default()
        }],
        aggregation_temporality: 2,
    });
    let summary = Data::Summary(Summary {
        data_points: vec![SummaryDataPoint {
            count: 2,
            sum: 3.0,
            quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 1.5 }],
            ..SummaryDataPoint::default()
        }],
    });
    let metric = |name: &str, data| Metric {
        name: name.into(),
        unit: "s".into(),
        data: Some(data),
        ..Metric::default()
    };
    let metrics = vec![
        metric("s", sum),
        metric("h", histogram),
        metric("e", exponential),
        metric("q", summary),
    ];
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }];
    batch(Signal::Metrics, &ExportMetricsServiceRequest { resource_metrics })
}

#[test]
fn basic_is_one_line_with_counts() {
    assert_eq!(summary(&logs()), "Logs: 1 resource logs, 1 log records");
    assert_eq!(summary(&traces()), "Traces: 1 resource spans, 1 spans");
    let counts = "Metrics: 1 resource metrics, 4 metrics, 4 data points";
    assert_eq!(summary(&metrics()), counts);
}

#[test]
fn normal_is_about_a_line_for_each_record() {
    insta::assert_snapshot!(normal(&logs()));
    insta::assert_snapshot!(normal(&traces()));
    insta::assert_snapshot!(normal(&metrics()));
}

#[test]
fn detailed_logs_have_every_field() {
    insta::assert_snapshot!(detailed(&logs()));
}

#[test]
fn detailed_spans_have_every_field() {
    insta::assert_snapshot!(detailed(&traces()));
}

#[test]
fn detailed_metrics_have_every_field() {
    insta::assert_snapshot!(detailed(&metrics()));
}
