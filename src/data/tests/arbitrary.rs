//! Arbitrary OTLP requests, and noise whose meaning prost decides.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::data::Signal;
use crate::data::schema::{self, Message, Shape};
use crate::data::wire::{Fields, Writer};

/// What unknown fields hold in noise, so that they can be counted.
pub(super) const UNKNOWN: &[u8] = b"\xf0unknown-field\xf1";

/// An encoded request of any signal.
pub(crate) fn request() -> impl Strategy<Value = (Signal, Vec<u8>)> {
    prop_oneof![
        logs().prop_map(|request| (Signal::Logs, request.encode_to_vec())),
        traces().prop_map(|request| (Signal::Traces, request.encode_to_vec())),
        metrics().prop_map(|request| (Signal::Metrics, request.encode_to_vec())),
    ]
}

/// An encoded request of any signal with noise.
pub(crate) fn noisy_request() -> impl Strategy<Value = (Signal, Vec<u8>)> {
    (request(), any::<u64>()).prop_map(|((signal, bytes), seed)| {
        let mut noise = Noise { random: SmallRng::seed_from_u64(seed), repeats: true };
        (signal, noise.message(schema::request(signal), &bytes))
    })
}

/// Adds unknown fields only.
pub(super) fn with_unknown_fields(signal: Signal, bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut noise = Noise { random: SmallRng::seed_from_u64(seed), repeats: false };
    noise.message(schema::request(signal), bytes)
}

/// Puts unknown fields into messages, and singular fields there twice.
struct Noise {
    random: SmallRng,
    repeats: bool,
}

impl Noise {
    fn message(&mut self, spec: &'static Message, message: &[u8]) -> Vec<u8> {
        let mut writer = Writer::default();
        let fields: Vec<_> = Fields::new(message).collect();
        for field in &fields {
            self.unknown(&mut writer);
            let field_spec = spec.field(u64::from(field.number));
            if let (Shape::Message, Some(inner)) = (field_spec.shape, field_spec.message) {
                writer.bytes_field(field.number, &self.message(inner, field.bytes()));
            } else {
                writer.raw(&message[field.start..field.end]);
            }
            if self.repeats && self.random.random_ratio(1, 12) {
                // Any field once more: one of a `oneof` again, an element of a list twice.
                let again = &fields[self.random.random_range(0..fields.len())];
                writer.raw(&message[again.start..again.end]);
            }
        }
        if self.repeats && spec.name == "AnyValue" && self.random.random_ratio(1, 6) {
            self.members(&mut writer);
        }
        if self.repeats && spec.name == "Metric" && self.random.random_ratio(1, 3) {
            self.kinds(&mut writer);
        }
        self.unknown(&mut writer);
        writer.into_vec()
    }

    /// Members of an `AnyValue`, of which the last one counts.
    fn members(&mut self, writer: &mut Writer) {
        for _ in 0..self.random.random_range(1..5) {
            match self.random.random_range(0..5) {
                0 => writer.str_field(1, "other"),
                1 => writer.varint_field(3, 7),
                2 => writer.message(5, |array| {
                    array.message(1, |value| value.varint_field(3, self.random.random()));
                }),
                3 => writer.message(6, |list| {
                    list.message(1, |pair| pair.str_field(1, "a"));
                }),
                _ => writer.bytes_field(7, &[1, 2]),
            }
        }
    }

    /// Kinds of data of a metric, of which the last one counts.
    fn kinds(&mut self, writer: &mut Writer) {
        for _ in 0..self.random.random_range(1..4) {
            let number = [5, 7, 9, 10, 11][self.random.random_range(0..5)];
            let time = self.random.random();
            writer.message(number, |data| {
                data.message(1, |point| point.fixed64_field(3, time));
            });
        }
    }

    fn unknown(&mut self, writer: &mut Writer) {
        match self.random.random_range(0..20) {
            0 => writer.bytes_field(17, UNKNOWN),
            1 => writer.bytes_field(1000, UNKNOWN),
            2 => writer.varint_field(20_000, self.random.random()),
            3 => writer.fixed32_field(300, 1),
            4 => writer.fixed64_field(536_870_911, 2),
            _ => {}
        }
    }
}

pub(crate) fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope_logs = (option::of(scope()), vec(log_record(), 0..5), text())
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    let resource_logs = (option::of(resource()), vec(scope_logs, 0..3), text()).prop_map(
        |(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url },
    );
    vec(resource_logs, 0..4).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

pub(crate) fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans = (option::of(scope()), vec(span(), 0..4), text())
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource_spans = (option::of(resource()), vec(scope_spans, 0..3), text()).prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url },
    );
    vec(resource_spans, 0..3)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub(crate) fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scope_metrics = (option::of(scope()), vec(metric(), 0..4), text())
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    let resource_metrics = (option::of(resource()), vec(scope_metrics, 0..3), text()).prop_map(
        |(resource, scope_metrics, schema_url)| ResourceMetrics {
            resource,
            scope_metrics,
            schema_url,
        },
    );
    vec(resource_metrics, 0..3)
        .prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        5 => "[a-d]{1,3}",
        2 => "\\PC{0,12}",
        1 => "[a-z ]{100,300}",
    ]
}

/// Few names, so that they collide.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]", 1 => "\\PC{0,4}", 1 => Just("service.name".to_owned())]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(key_value(), 0..5)
}

fn key_value() -> impl Strategy<Value = KeyValue> {
    (key(), option::weighted(0.9, any_value())).prop_map(|(key, value)| KeyValue {
        key,
        value,
        ..KeyValue::default()
    })
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        int().prop_map(|number| Some(Value::IntValue(number))),
        double().prop_map(|number| Some(Value::DoubleValue(number))),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 8, 3, |inner| {
        let pair = (key(), option::of(inner.clone())).prop_map(|(key, value)| KeyValue {
            key,
            value,
            ..KeyValue::default()
        });
        prop_oneof![
            vec(inner, 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(pair, 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn int() -> impl Strategy<Value = i64> {
    prop_oneof![0..300_i64, any::<i64>()]
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(f64::NAN), Just(f64::INFINITY), any::<f64>()]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0), 1 => any::<u32>()]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 4 => any::<u64>()]
}

fn trace_id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 16)]
}

fn span_id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 8)]
}

fn resource() -> impl Strategy<Value = Resource> {
    let entity_ref = (text(), text(), vec(text(), 0..2), vec(text(), 0..2)).prop_map(
        |(schema_url, r#type, id_keys, description_keys)| EntityRef {
            schema_url,
            r#type,
            id_keys,
            description_keys,
        },
    );
    (attributes(), count(), vec(entity_ref, 0..2)).prop_map(
        |(attributes, dropped_attributes_count, entity_refs)| Resource {
            attributes,
            dropped_attributes_count,
            entity_refs,
        },
    )
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    (text(), text(), attributes(), count()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let times = (time(), time());
    let severity = (prop_oneof![0..25_i32, any::<i32>()], text());
    let ids = (trace_id(), span_id());
    (times, severity, option::of(any_value()), attributes(), count(), count(), ids, text())
        .prop_map(|(times, severity, body, attributes, dropped, flags, ids, event_name)| {
            LogRecord {
                time_unix_nano: times.0,
                observed_time_unix_nano: times.1,
                severity_number: severity.0,
                severity_text: severity.1,
                body,
                attributes,
                dropped_attributes_count: dropped,
                flags,
                trace_id: ids.0,
                span_id: ids.1,
                event_name,
            }
        })
}

fn span() -> impl Strategy<Value = Span> {
    let event = (time(), text(), attributes(), count()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (trace_id(), span_id(), text(), attributes(), count(), count()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    );
    let status = (text(), any::<i32>()).prop_map(|(message, code)| Status { message, code });
    let ids = (trace_id(), span_id(), span_id());
    let texts = (text(), text());
    let numbers = (any::<i32>(), time(), time(), count());
    let dropped = (count(), count(), count());
    let parts = (attributes(), vec(event, 0..3), vec(link, 0..3), option::of(status));
    (ids, texts, numbers, dropped, parts).prop_map(|(ids, texts, numbers, dropped, parts)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: ids.2,
        trace_state: texts.0,
        name: texts.1,
        kind: numbers.0,
        start_time_unix_nano: numbers.1,
        end_time_unix_nano: numbers.2,
        flags: numbers.3,
        dropped_attributes_count: dropped.0,
        dropped_events_count: dropped.1,
        dropped_links_count: dropped.2,
        attributes: parts.0,
        events: parts.1,
        links: parts.2,
        status: parts.3,
    })
}

fn metric() -> impl Strategy<Value = Metric> {
    let temporality = || prop_oneof![0..3_i32, any::<i32>()];
    let data = prop_oneof![
        vec(number_point(), 0..3).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number_point(), 0..3), temporality(), any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| Data::Sum(Sum {
                data_points,
                aggregation_temporality,
                is_monotonic
            })
        ),
        (vec(histogram_point(), 0..3), temporality()).prop_map(
            |(data_points, aggregation_temporality)| Data::Histogram(Histogram {
                data_points,
                aggregation_temporality
            })
        ),
        (vec(exponential_point(), 0..3), temporality()).prop_map(
            |(data_points, aggregation_temporality)| Data::ExponentialHistogram(
                ExponentialHistogram { data_points, aggregation_temporality }
            )
        ),
        vec(summary_point(), 0..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ];
    (text(), text(), text(), attributes(), option::weighted(0.9, data)).prop_map(
        |(name, description, unit, metadata, data)| Metric {
            name,
            description,
            unit,
            metadata,
            data,
        },
    )
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let value = prop_oneof![
        double().prop_map(exemplar::Value::AsDouble),
        any::<i64>().prop_map(exemplar::Value::AsInt)
    ];
    let exemplar = (attributes(), time(), option::of(value), trace_id(), span_id()).prop_map(
        |(filtered_attributes, time_unix_nano, value, trace_id, span_id)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            value,
            trace_id,
            span_id,
        },
    );
    vec(exemplar, 0..2)
}

fn number_point() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        double().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt)
    ];
    (attributes(), time(), time(), exemplars(), count(), option::of(value)).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, exemplars, flags, value)| {
            NumberDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                exemplars,
                flags,
                value,
            }
        },
    )
}

fn histogram_point() -> impl Strategy<Value = HistogramDataPoint> {
    let numbers = (time(), time(), any::<u64>(), count());
    let doubles = (option::of(double()), option::of(double()), option::of(double()));
    let buckets = (vec(any::<u64>(), 0..4), vec(double(), 0..4));
    (attributes(), numbers, doubles, buckets, exemplars()).prop_map(
        |(attributes, numbers, doubles, buckets, exemplars)| HistogramDataPoint {
            attributes,
            start_time_unix_nano: numbers.0,
            time_unix_nano: numbers.1,
            count: numbers.2,
            flags: numbers.3,
            sum: doubles.0,
            min: doubles.1,
            max: doubles.2,
            bucket_counts: buckets.0,
            explicit_bounds: buckets.1,
            exemplars,
        },
    )
}

fn exponential_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        option::of(
            (any::<i32>(), vec(any::<u64>(), 0..4))
                .prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }),
        )
    };
    let numbers = (time(), time(), any::<u64>(), count(), any::<i32>(), any::<u64>());
    let doubles = (option::of(double()), option::of(double()), option::of(double()), double());
    (attributes(), numbers, doubles, buckets(), buckets(), exemplars()).prop_map(
        |(attributes, numbers, doubles, positive, negative, exemplars)| {
            ExponentialHistogramDataPoint {
                attributes,
                start_time_unix_nano: numbers.0,
                time_unix_nano: numbers.1,
                count: numbers.2,
                flags: numbers.3,
                scale: numbers.4,
                zero_count: numbers.5,
                sum: doubles.0,
                min: doubles.1,
                max: doubles.2,
                zero_threshold: doubles.3,
                positive,
                negative,
                exemplars,
            }
        },
    )
}

fn summary_point() -> impl Strategy<Value = SummaryDataPoint> {
    let quantile =
        (double(), double()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    (attributes(), time(), time(), any::<u64>(), double(), vec(quantile, 0..3), count()).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, count, sum, quantile_values, flags)| {
            SummaryDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                count,
                sum,
                quantile_values,
                flags,
            }
        },
    )
}
