//! OTLP to Parquet and back.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use proptest::prelude::*;
use prost::Message as _;

use super::{admit, file, format, read};
use crate::data::tests::arbitrary::{noisy_request, request};
use crate::data::wire::Writer;
use crate::data::{Array, Attributes, Batch, LogsBuilder, Signal, Value, write_attribute};
use crate::storage::parquet::{FileReader, ParquetArchiveError};

/// Each log record, span or data point as a request of its own, as prost reads it; an absent
/// resource or scope is an empty one.
fn single(signal: Signal, bytes: &[u8]) -> Vec<Vec<u8>> {
    match signal {
        Signal::Logs => single_logs(ExportLogsServiceRequest::decode(bytes).unwrap()),
        Signal::Traces => single_spans(ExportTraceServiceRequest::decode(bytes).unwrap()),
        Signal::Metrics => single_points(ExportMetricsServiceRequest::decode(bytes).unwrap()),
    }
}

fn single_logs(request: ExportLogsServiceRequest) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for group in request.resource_logs {
        for scope in group.scope_logs {
            for record in scope.log_records {
                let scope_logs = ScopeLogs {
                    scope: Some(scope.scope.clone().unwrap_or_default()),
                    log_records: vec![record],
                    schema_url: scope.schema_url.clone(),
                };
                let resource_logs = ResourceLogs {
                    resource: Some(group.resource.clone().unwrap_or_default()),
                    scope_logs: vec![scope_logs],
                    schema_url: group.schema_url.clone(),
                };
                all.push(resource_logs.encode_to_vec());
            }
        }
    }
    all
}

fn single_spans(request: ExportTraceServiceRequest) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for group in request.resource_spans {
        for scope in group.scope_spans {
            for span in scope.spans {
                let scope_spans = ScopeSpans {
                    scope: Some(scope.scope.clone().unwrap_or_default()),
                    spans: vec![span],
                    schema_url: scope.schema_url.clone(),
                };
                let resource_spans = ResourceSpans {
                    resource: Some(group.resource.clone().unwrap_or_default()),
                    scope_spans: vec![scope_spans],
                    schema_url: group.schema_url.clone(),
                };
                all.push(resource_spans.encode_to_vec());
            }
        }
    }
    all
}

fn single_points(request: ExportMetricsServiceRequest) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for group in request.resource_metrics {
        for scope in group.scope_metrics {
            for metric in scope.metrics.into_iter().flat_map(single_metrics) {
                let scope_metrics = ScopeMetrics {
                    scope: Some(scope.scope.clone().unwrap_or_default()),
                    metrics: vec![metric],
                    schema_url: scope.schema_url.clone(),
                };
                let resource_metrics = ResourceMetrics {
                    resource: Some(group.resource.clone().unwrap_or_default()),
                    scope_metrics: vec![scope_metrics],
                    schema_url: group.schema_url.clone(),
                };
                all.push(resource_metrics.encode_to_vec());
            }
        }
    }
    all
}

/// A metric of one point for each of its points.
fn single_metrics(metric: Metric) -> Vec<Metric> {
    let about = Metric { data: None, ..metric.clone() };
    let with = |data: Data| Metric { data: Some(data), ..about.clone() };
    macro_rules! each {
        ($kind:ident, $data:expr) => {{
            let data = $data;
            let points = data.data_points.clone();
            let one = |point| {
                let mut data = data.clone();
                data.data_points = vec![point];
                with(Data::$kind(data))
            };
            points.into_iter().map(one).collect()
        }};
    }
    match metric.data {
        None => Vec::new(),
        Some(Data::Gauge(data)) => each!(Gauge, data),
        Some(Data::Sum(data)) => each!(Sum, data),
        Some(Data::Histogram(data)) => each!(Histogram, data),
        Some(Data::ExponentialHistogram(data)) => each!(ExponentialHistogram, data),
        Some(Data::Summary(data)) => each!(Summary, data),
    }
}

fn single_of(batches: &[Batch]) -> Vec<Vec<u8>> {
    batches.iter().flat_map(|batch| single(batch.signal(), &batch.merged_bytes())).collect()
}

fn there_and_back(batches: &[Batch]) {
    let signal = batches[0].signal();
    let format = format(&["a", "service.name"]);
    let back = read(file(signal, &format, batches), 3);
    for batch in &back {
        // What is made here goes through the door as it is.
        let again = admit(signal, batch.merged_bytes());
        assert_eq!(again.merged_bytes(), batch.merged_bytes());
        assert_eq!(again.num_records(), batch.num_records());
    }
    let (expected, back) = (single_of(batches), single_of(&back));
    assert_eq!(back.len(), expected.len());
    for (back, expected) in back.iter().zip(&expected) {
        assert_eq!(back, expected);
    }
}

proptest! {
    #[test]
    fn otlp_to_parquet_and_back_is_the_identity((signal, bytes) in request()) {
        there_and_back(&[admit(signal, bytes)]);
    }

    #[test]
    fn noise_is_stored_as_prost_reads_it((signal, bytes) in noisy_request()) {
        let batch = admit(signal, bytes);
        there_and_back(&[batch.clone(), batch]);
    }
}

fn logs_of_bodies(bodies: &[Value<'_>]) -> Batch {
    let mut builder = LogsBuilder::new();
    bodies.iter().for_each(|body| builder.record(|record| record.body(*body)));
    builder.finish(Default::default())
}

#[test]
fn values_that_json_does_not_have_come_back() {
    let mut array = Writer::default();
    for value in [
        Value::Empty,
        Value::Double(1.0),
        Value::Double(-0.0),
        Value::Double(f64::from_bits(0x7ff8_0000_0000_0001)),
        Value::Double(f64::NEG_INFINITY),
        Value::Str("NaN"),
        Value::Bytes(&[0, 255]),
        Value::Int(i64::MIN),
    ] {
        value.write_field(1, &mut array);
    }
    let mut map = Writer::default();
    write_attribute(1, "$bytes", Value::Str("$double"), &mut map);
    write_attribute(1, "$bytes", Value::Bool(false), &mut map);
    write_attribute(1, "", Value::Array(Array::of_encoded(array.as_slice())), &mut map);
    map.message(1, |pair| pair.str_field(1, "absent"));
    let map = Value::KvList(Attributes::of_kvlist(map.as_slice()));
    let mut nested = Writer::default();
    write_attribute(1, "a", map, &mut nested);
    let nested = Value::KvList(Attributes::of_kvlist(nested.as_slice()));
    there_and_back(&[logs_of_bodies(&[
        map,
        nested,
        Value::Array(Array::of_encoded(array.as_slice())),
        Value::Double(f64::from_bits(0xfff0_0000_0000_0002)),
        Value::Double(5e-324),
        Value::Int(i64::MIN),
        Value::Str(""),
        Value::Bytes(&[]),
        Value::Empty,
    ])]);
}

#[test]
fn fields_of_a_newer_protocol_come_back_with_their_record() {
    let mut request = Writer::default();
    request.message(1, |group| {
        group.message(2, |group| {
            group.message(2, |record| {
                record.varint_field(99, 7);
                record.fixed64_field(1, 5);
                record.bytes_field(100, b"new");
            });
            group.message(2, |record| record.fixed64_field(1, 6));
        });
    });
    let batch = admit(Signal::Logs, request.into_vec());
    let back = read(file(Signal::Logs, &format(&[]), &[batch]), 10);
    let records: Vec<_> = back[0].logs().items().map(|item| item.record.bytes()).collect();
    let mut first = Writer::default();
    first.fixed64_field(1, 5);
    first.varint_field(99, 7);
    first.bytes_field(100, b"new");
    assert_eq!(records[0], first.as_slice());
    assert_eq!(records[1].len(), 9);
}

#[test]
fn many_rows_in_many_row_groups_come_back_in_order() {
    let bodies: Vec<Value<'_>> = (0..10_000).map(Value::Int).collect();
    let batches: Vec<Batch> = bodies.chunks(999).map(logs_of_bodies).collect();
    let mut format = format(&[]);
    format.row_group.max_rows = 3000;
    let back = read(file(Signal::Logs, &format, &batches), 777);
    let bodies: Vec<i64> = back
        .iter()
        .flat_map(|batch| batch.logs().items().filter_map(|item| item.record.body().as_int()))
        .collect();
    assert_eq!(bodies, (0..10_000).collect::<Vec<_>>());
}

#[test]
fn other_files_are_refused() {
    let refused = FileReader::try_new(Bytes::from_static(b"PAR1 is not all"), 1);
    assert!(matches!(refused.map(drop), Err(ParquetArchiveError::Read(_))));
}
