//! Prost structs made of what the views read, field by field.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{self as common, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    self as proto, exemplar, exponential_histogram_data_point, number_data_point,
    summary_data_point,
};
use opentelemetry_proto::tonic::{logs, resource, trace};
use prost::Message as _;

use crate::data::wire::Fields;
use crate::data::{
    Attributes, Batch, Buckets, Exemplar, LogRecord, Metric, MetricData, NumberPoint, NumberValue,
    Resource, Scope, Signal, Span, SpanId, TraceId, Value,
};

/// The request that the views of `batch` show.
pub(super) fn encode(batch: &Batch) -> Vec<u8> {
    match batch.signal() {
        Signal::Logs => logs_request(batch).encode_to_vec(),
        Signal::Traces => traces_request(batch).encode_to_vec(),
        Signal::Metrics => metrics_request(batch).encode_to_vec(),
    }
}

fn logs_request(batch: &Batch) -> ExportLogsServiceRequest {
    let resource_logs = batch.logs().resources().map(|group| logs::v1::ResourceLogs {
        resource: has(group.bytes(), 1).then(|| resource(group.resource())),
        schema_url: group.schema_url().to_owned(),
        scope_logs: group
            .scopes()
            .map(|group| logs::v1::ScopeLogs {
                scope: has(group.bytes(), 1).then(|| scope(group.scope())),
                schema_url: group.schema_url().to_owned(),
                log_records: group.records().map(log_record).collect(),
            })
            .collect(),
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn traces_request(batch: &Batch) -> ExportTraceServiceRequest {
    let resource_spans = batch.spans().resources().map(|group| trace::v1::ResourceSpans {
        resource: has(group.bytes(), 1).then(|| resource(group.resource())),
        schema_url: group.schema_url().to_owned(),
        scope_spans: group
            .scopes()
            .map(|group| trace::v1::ScopeSpans {
                scope: has(group.bytes(), 1).then(|| scope(group.scope())),
                schema_url: group.schema_url().to_owned(),
                spans: group.spans().map(span).collect(),
            })
            .collect(),
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn metrics_request(batch: &Batch) -> ExportMetricsServiceRequest {
    let resource_metrics = batch.metrics().resources().map(|group| proto::ResourceMetrics {
        resource: has(group.bytes(), 1).then(|| resource(group.resource())),
        schema_url: group.schema_url().to_owned(),
        scope_metrics: group
            .scopes()
            .map(|group| proto::ScopeMetrics {
                scope: has(group.bytes(), 1).then(|| scope(group.scope())),
                schema_url: group.schema_url().to_owned(),
                metrics: group.metrics().map(metric).collect(),
            })
            .collect(),
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

fn has(message: &[u8], number: u32) -> bool {
    Fields::new(message).first(number).is_some()
}

fn resource(view: Resource<'_>) -> resource::v1::Resource {
    resource::v1::Resource {
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes_count(),
        entity_refs: view
            .entity_refs()
            .map(|entity| common::EntityRef {
                schema_url: entity.schema_url().to_owned(),
                r#type: entity.entity_type().to_owned(),
                id_keys: entity.id_keys().map(str::to_owned).collect(),
                description_keys: entity.description_keys().map(str::to_owned).collect(),
            })
            .collect(),
    }
}

fn scope(view: Scope<'_>) -> common::InstrumentationScope {
    common::InstrumentationScope {
        name: view.name().to_owned(),
        version: view.version().to_owned(),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes_count(),
    }
}

fn attributes(view: Attributes<'_>) -> Vec<KeyValue> {
    assert_eq!(view.len(), view.iter().count());
    view.raw()
        .zip(view.iter())
        .map(|(raw, (key, value))| {
            // Lookups answer the last of a name.
            let found = view.get(key).expect("it is there");
            let last = view.iter().filter(|(other, _)| *other == key).last().expect("one at least");
            assert_eq!(format!("{found:?}"), format!("{:?}", last.1));
            KeyValue {
                key: key.to_owned(),
                value: has(raw, 2).then(|| any_value(value)),
                ..KeyValue::default()
            }
        })
        .collect()
}

fn any_value(view: Value<'_>) -> common::AnyValue {
    let value = match view {
        Value::Empty => None,
        Value::Str(text) => Some(ProtoValue::StringValue(text.to_owned())),
        Value::Bool(flag) => Some(ProtoValue::BoolValue(flag)),
        Value::Int(number) => Some(ProtoValue::IntValue(number)),
        Value::Double(number) => Some(ProtoValue::DoubleValue(number)),
        Value::Array(array) => {
            let values = array.iter().map(any_value).collect();
            Some(ProtoValue::ArrayValue(common::ArrayValue { values }))
        }
        Value::KvList(list) => {
            let values = attributes(list);
            Some(ProtoValue::KvlistValue(common::KeyValueList { values }))
        }
        Value::Bytes(bytes) => Some(ProtoValue::BytesValue(bytes.to_vec())),
    };
    common::AnyValue { value }
}

fn trace_id(id: Option<TraceId>) -> Vec<u8> {
    id.map(|id| id.as_bytes().to_vec()).unwrap_or_default()
}

fn span_id(id: Option<SpanId>) -> Vec<u8> {
    id.map(|id| id.as_bytes().to_vec()).unwrap_or_default()
}

pub(super) fn log_record(view: LogRecord<'_>) -> logs::v1::LogRecord {
    logs::v1::LogRecord {
        time_unix_nano: view.time().as_unix_nanos(),
        observed_time_unix_nano: view.observed_time().as_unix_nanos(),
        severity_number: view.severity_number(),
        severity_text: view.severity_text().to_owned(),
        body: has(view.bytes(), 5).then(|| any_value(view.body())),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes_count(),
        flags: view.flags(),
        trace_id: trace_id(view.trace_id()),
        span_id: span_id(view.span_id()),
        event_name: view.event_name().to_owned(),
    }
}

fn span(view: Span<'_>) -> trace::v1::Span {
    trace::v1::Span {
        trace_id: trace_id(view.trace_id()),
        span_id: span_id(view.span_id()),
        trace_state: view.trace_state().to_owned(),
        parent_span_id: span_id(view.parent_span_id()),
        flags: view.flags(),
        name: view.name().to_owned(),
        kind: view.kind(),
        start_time_unix_nano: view.start_time().as_unix_nanos(),
        end_time_unix_nano: view.end_time().as_unix_nanos(),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes_count(),
        events: view
            .events()
            .map(|event| trace::v1::span::Event {
                time_unix_nano: event.time().as_unix_nanos(),
                name: event.name().to_owned(),
                attributes: attributes(event.attributes()),
                dropped_attributes_count: event.dropped_attributes_count(),
            })
            .collect(),
        dropped_events_count: view.dropped_events_count(),
        links: view
            .links()
            .map(|link| trace::v1::span::Link {
                trace_id: trace_id(link.trace_id()),
                span_id: span_id(link.span_id()),
                trace_state: link.trace_state().to_owned(),
                attributes: attributes(link.attributes()),
                dropped_attributes_count: link.dropped_attributes_count(),
                flags: link.flags(),
            })
            .collect(),
        dropped_links_count: view.dropped_links_count(),
        status: view.status().map(|status| trace::v1::Status {
            message: status.message().to_owned(),
            code: status.code(),
        }),
    }
}

fn metric(view: Metric<'_>) -> proto::Metric {
    let data = match view.data() {
        MetricData::Empty => None,
        MetricData::Gauge(gauge) => Some(proto::metric::Data::Gauge(proto::Gauge {
            data_points: gauge.points().map(number_point).collect(),
        })),
        MetricData::Sum(sum) => Some(proto::metric::Data::Sum(proto::Sum {
            data_points: sum.points().map(number_point).collect(),
            aggregation_temporality: sum.temporality_number(),
            is_monotonic: sum.is_monotonic(),
        })),
        MetricData::Histogram(histogram) => {
            Some(proto::metric::Data::Histogram(proto::Histogram {
                data_points: histogram.points().map(histogram_point).collect(),
                aggregation_temporality: histogram.temporality_number(),
            }))
        }
        MetricData::ExponentialHistogram(histogram) => {
            Some(proto::metric::Data::ExponentialHistogram(proto::ExponentialHistogram {
                data_points: histogram.points().map(exponential_point).collect(),
                aggregation_temporality: histogram.temporality_number(),
            }))
        }
        MetricData::Summary(summary) => Some(proto::metric::Data::Summary(proto::Summary {
            data_points: summary.points().map(summary_point).collect(),
        })),
    };
    proto::Metric {
        name: view.name().to_owned(),
        description: view.description().to_owned(),
        unit: view.unit().to_owned(),
        metadata: attributes(view.metadata()),
        data,
    }
}

fn exemplar(view: Exemplar<'_>) -> proto::Exemplar {
    proto::Exemplar {
        filtered_attributes: attributes(view.filtered_attributes()),
        time_unix_nano: view.time().as_unix_nanos(),
        span_id: span_id(view.span_id()),
        trace_id: trace_id(view.trace_id()),
        value: match view.value() {
            NumberValue::Empty => None,
            NumberValue::Int(number) => Some(exemplar::Value::AsInt(number)),
            NumberValue::Double(number) => Some(exemplar::Value::AsDouble(number)),
        },
    }
}

fn number_point(view: NumberPoint<'_>) -> proto::NumberDataPoint {
    proto::NumberDataPoint {
        attributes: attributes(view.attributes()),
        start_time_unix_nano: view.start_time().as_unix_nanos(),
        time_unix_nano: view.time().as_unix_nanos(),
        exemplars: view.exemplars().map(exemplar).collect(),
        flags: view.flags(),
        value: match view.value() {
            NumberValue::Empty => None,
            NumberValue::Int(number) => Some(number_data_point::Value::AsInt(number)),
            NumberValue::Double(number) => Some(number_data_point::Value::AsDouble(number)),
        },
    }
}

fn histogram_point(view: crate::data::HistogramPoint<'_>) -> proto::HistogramDataPoint {
    proto::HistogramDataPoint {
        attributes: attributes(view.attributes()),
        start_time_unix_nano: view.start_time().as_unix_nanos(),
        time_unix_nano: view.time().as_unix_nanos(),
        count: view.count(),
        sum: view.sum(),
        bucket_counts: view.bucket_counts().collect(),
        explicit_bounds: view.explicit_bounds().collect(),
        exemplars: view.exemplars().map(exemplar).collect(),
        flags: view.flags(),
        min: view.min(),
        max: view.max(),
    }
}

fn exponential_point(
    view: crate::data::ExponentialHistogramPoint<'_>,
) -> proto::ExponentialHistogramDataPoint {
    let buckets = |buckets: Buckets<'_>| exponential_histogram_data_point::Buckets {
        offset: buckets.offset(),
        bucket_counts: buckets.bucket_counts().collect(),
    };
    proto::ExponentialHistogramDataPoint {
        attributes: attributes(view.attributes()),
        start_time_unix_nano: view.start_time().as_unix_nanos(),
        time_unix_nano: view.time().as_unix_nanos(),
        count: view.count(),
        sum: view.sum(),
        scale: view.scale(),
        zero_count: view.zero_count(),
        positive: view.positive().map(buckets),
        negative: view.negative().map(buckets),
        flags: view.flags(),
        exemplars: view.exemplars().map(exemplar).collect(),
        min: view.min(),
        max: view.max(),
        zero_threshold: view.zero_threshold(),
    }
}

fn summary_point(view: crate::data::SummaryPoint<'_>) -> proto::SummaryDataPoint {
    proto::SummaryDataPoint {
        attributes: attributes(view.attributes()),
        start_time_unix_nano: view.start_time().as_unix_nanos(),
        time_unix_nano: view.time().as_unix_nanos(),
        count: view.count(),
        sum: view.sum(),
        quantile_values: view
            .quantile_values()
            .map(|quantile| summary_data_point::ValueAtQuantile {
                quantile: quantile.quantile(),
                value: quantile.value(),
            })
            .collect(),
        flags: view.flags(),
    }
}
