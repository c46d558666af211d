//! JSON against the structs of opentelemetry-proto.

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use super::*;
use crate::data::{Batch, Context, DoorLimits, Signal};

fn logs(text: &str) -> ExportLogsServiceRequest {
    let bytes = decode(Signal::Logs, text.as_bytes()).unwrap();
    ExportLogsServiceRequest::decode(bytes).unwrap()
}

fn error(signal: Signal, text: &str) -> String {
    let error = decode(signal, text.as_bytes()).unwrap_err();
    std::error::Error::source(&error).unwrap().to_string()
}

fn record(fields: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#)
}

/// What comes back when a request in JSON is read, admitted, and written as JSON.
fn round(signal: Signal, text: &str) -> serde_json::Value {
    let bytes = decode(signal, text.as_bytes()).unwrap();
    let context = Arc::new(Context::default());
    let batch = Batch::try_new(signal, bytes, context, &DoorLimits::default()).unwrap().batch;
    serde_json::from_slice(&encode(&batch)).unwrap()
}

#[test]
fn log_record_is_read_in_all_its_forms() {
    let request = logs(&record(
        r#""timeUnixNano":"1544712660300000000","observed_time_unix_nano":1544712660300000001,
        "severityNumber":"SEVERITY_NUMBER_INFO2","severityText":"Info","unknown":{"a":[1,{}]},
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","flags":1,
        "eventName":null,"droppedAttributesCount":"7","body":{"stringValue":"ex\u00e4mple"},
        "attributes":[
            {"key":"i","value":{"intValue":"-10"}},{"key":"n","value":{"intValue":11}},
            {"key":"b","value":{"boolValue":false}},{"key":"d","value":{"doubleValue":"-Infinity"}},
            {"key":"e","value":{}},{"key":"x","value":{"bytesValue":"AQI_/w=="}},
            {"key":"a","value":{"arrayValue":{"values":[{"stringValue":""},null,{"kvlistValue":
                {"values":[{"key":"k","value":{"doubleValue":1e3}}]}}]}}}]"#,
    ));
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.time_unix_nano, 1_544_712_660_300_000_000);
    assert_eq!(record.observed_time_unix_nano, 1_544_712_660_300_000_001);
    assert_eq!((record.severity_number, record.flags), (10, 1));
    assert_eq!(record.dropped_attributes_count, 7);
    assert_eq!(record.trace_id[..3], [0x5B, 0x8E, 0xFF]);
    assert_eq!(record.span_id.len(), 8);
    let body = record.body.clone().unwrap().value.unwrap();
    assert_eq!(body, Value::StringValue("exämple".to_owned()));
    let values: Vec<Option<Value>> =
        record.attributes.iter().map(|attribute| attribute.value.clone().unwrap().value).collect();
    assert_eq!(values[0], Some(Value::IntValue(-10)));
    assert_eq!(values[1], Some(Value::IntValue(11)));
    assert_eq!(values[2], Some(Value::BoolValue(false)));
    assert_eq!(values[3], Some(Value::DoubleValue(f64::NEG_INFINITY)));
    assert_eq!(values[4], None);
    assert_eq!(values[5], Some(Value::BytesValue(vec![1, 2, 63, 255])));
    let Some(Value::ArrayValue(array)) = &values[6] else {
        panic!("no array in {values:?}");
    };
    assert_eq!(array.values.len(), 3);
    assert_eq!(array.values[0].value, Some(Value::StringValue(String::new())));
    assert_eq!(array.values[1].value, None);
}

#[test]
fn metrics_keep_what_is_there_apart_from_what_is_zero() {
    let text = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"s","sum":{"aggregationTemporality":2,"isMonotonic":true,
            "dataPoints":[{"asInt":"0","timeUnixNano":"5"},{"asDouble":0.0},{}]}},
        {"name":"h","histogram":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA",
            "dataPoints":[{"count":"3","sum":0,"bucketCounts":["1",2],"explicitBounds":[1.5],
                "min":0}]}},
        {"name":"e","exponentialHistogram":{"dataPoints":[{"scale":-2,
            "positive":{"offset":-3,"bucketCounts":["300",1]},"zeroThreshold":"NaN"}]}}
        ]}]}]}"#;
    let bytes = decode(Signal::Metrics, text.as_bytes()).unwrap();
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let Some(metric::Data::Sum(sum)) = &metrics[0].data else { panic!("no sum") };
    assert!(sum.is_monotonic);
    assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsInt(0)));
    assert_eq!(sum.data_points[1].value, Some(number_data_point::Value::AsDouble(0.0)));
    assert_eq!(sum.data_points[2].value, None);
    let Some(metric::Data::Histogram(histogram)) = &metrics[1].data else { panic!("no histogram") };
    let point = &histogram.data_points[0];
    assert_eq!((point.sum, point.min, point.max), (Some(0.0), Some(0.0), None));
    assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[1, 2][..], &[1.5][..]));
    let Some(metric::Data::ExponentialHistogram(exponential)) = &metrics[2].data else {
        panic!("no exponential histogram")
    };
    let point = &exponential.data_points[0];
    assert_eq!(point.scale, -2);
    let positive = point.positive.as_ref().unwrap();
    assert_eq!((positive.offset, &positive.bucket_counts[..]), (-3, &[300, 1][..]));
    assert!(point.zero_threshold.is_nan());
}

#[test]
fn what_is_wrong_is_named() {
    for (fields, expected) in [
        (r#""traceId":"abc""#, "32 hexadecimal digits for `trace_id`"),
        (r#""traceId":"5B8EFFF798""#, "32 hexadecimal digits for `trace_id`"),
        (r#""spanId":"zzz19b7ec3c1b174""#, "16 hexadecimal digits for `span_id`"),
        (r#""timeUnixNano":"x""#, "a whole number for `time_unix_nano`"),
        (r#""timeUnixNano":-1"#, "`time_unix_nano` is out of range"),
        (r#""timeUnixNano":1.5"#, "a whole number for `time_unix_nano`"),
        (r#""severityNumber":"LOUD""#, "number or name of the enumeration"),
        (r#""severityText":7"#, "a string for `severity_text`"),
        (r#""attributes":{}"#, "an array for `attributes`"),
        (r#""body":"text""#, "an object for `body`"),
        (r#""flags":4294967296"#, "`flags` is out of range"),
        (r#""flags":1,"flags":1"#, "duplicate field `flags`"),
        (r#""timeUnixNano":1,"time_unix_nano":1"#, "duplicate field `time_unix_nano`"),
    ] {
        let message = error(Signal::Logs, &record(fields));
        assert!(message.contains(expected), "{fields}: {message}");
        assert!(message.contains("at line 1 column"), "{message}");
    }
    assert!(error(Signal::Logs, "{} {}").contains("trailing"));
    assert!(error(Signal::Logs, "[]").contains("an object"));
    assert!(error(Signal::Logs, "").contains("EOF"));
    let unknown = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    assert_eq!(decode(Signal::Logs, unknown.as_bytes()).unwrap(), Bytes::new());
    let deep = format!(r#""body":{}"#, r#"{"arrayValue":{"values":["#.repeat(10_000));
    assert!(error(Signal::Logs, &record(&deep)).contains("recursion limit"));
}

#[test]
fn empty_request_is_empty() {
    for text in ["{}", r#"{"resourceLogs":[]}"#, r#"{"resourceLogs":null}"#] {
        assert_eq!(decode(Signal::Logs, text.as_bytes()).unwrap(), Bytes::new(), "{text}");
    }
}

#[test]
fn json_comes_back_as_it_was_in_the_preferred_form() {
    let spans = json!({"resourceSpans": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "my \"service\""}},
            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}]}}},
        ], "entityRefs": [{"type": "host", "idKeys": ["a", "b"]}]},
        "scopeSpans": [{
            "scope": {"name": "lib", "version": "1"},
            "spans": [{
                "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
                "traceState": "ot=th:8", "flags": 257, "name": "I'm a span", "kind": 2,
                "startTimeUnixNano": "1544712660000000000",
                "attributes": [{"key": "half", "value": {"doubleValue": 0.5}},
                    {"key": "raw", "value": {"bytesValue": "AQID"}},
                    {"key": "no", "value": {"boolValue": false}}],
                "events": [{"timeUnixNano": "1", "name": "e"}],
                "links": [{"traceId": "5b8efff798038103d269b633813fc60d", "flags": 1}],
                "status": {"message": "bad", "code": 2},
            }],
            "schemaUrl": "https://opentelemetry.io/schemas/1.40.0",
        }],
    }]});
    assert_eq!(round(Signal::Traces, &spans.to_string()), spans);
    let metrics = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "g", "unit": "By", "gauge": {"dataPoints": [
            {"timeUnixNano": "2", "asInt": "-5"},
            {"asDouble": "NaN", "flags": 1, "exemplars": [{"asInt": "0", "spanId": "eee19b7ec3c1b174"}]},
        ]}},
        {"name": "h", "histogram": {"dataPoints": [{"count": "3", "sum": 0.0,
            "bucketCounts": ["1", "2"], "explicitBounds": [1.5], "max": 2.0}],
            "aggregationTemporality": 1}},
        {"name": "x", "exponentialHistogram": {"dataPoints": [{"scale": -2,
            "positive": {"offset": -3, "bucketCounts": ["300", "1"]}}]}},
        {"name": "q", "summary": {"dataPoints": [{"quantileValues": [{"quantile": 0.5}]}]}},
    ]}]}]});
    assert_eq!(round(Signal::Metrics, &metrics.to_string()), metrics);
}

#[test]
fn chunks_of_a_batch_are_one_request() {
    let bytes = decode(Signal::Traces, br#"{"resourceSpans":[{},{}]}"#).unwrap();
    let request = ExportTraceServiceRequest::decode(bytes).unwrap();
    assert_eq!(request.resource_spans.len(), 2);
}

/// JSON that has the keys and kinds of values of OTLP in any order and place.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let keys = prop::sample::select(vec![
        "resourceLogs",
        "resource_metrics",
        "scopeLogs",
        "scopeMetrics",
        "logRecords",
        "metrics",
        "sum",
        "histogram",
        "dataPoints",
        "bucketCounts",
        "attributes",
        "key",
        "value",
        "body",
        "arrayValue",
        "kvlistValue",
        "values",
        "intValue",
        "doubleValue",
        "bytesValue",
        "stringValue",
        "traceId",
        "timeUnixNano",
        "severityNumber",
        "unknown",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        "[0-9a-fA-F+/=-]{0,34}".prop_map(|value| json!(value)),
        any::<String>().prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(12, 200, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|list| json!(list)),
            prop::collection::btree_map(keys.clone(), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(Signal::Logs, &text);
    }

    #[test]
    fn whatever_is_read_is_protobuf_and_comes_back(value in any_json(), logs in any::<bool>()) {
        let (signal, root) =
            if logs { (Signal::Logs, "resourceLogs") } else { (Signal::Metrics, "resourceMetrics") };
        let text = json!({ root: value }).to_string();
        let Ok(bytes) = decode(signal, text.as_bytes()) else { return Ok(()) };
        let context = Arc::new(Context::default());
        let admitted = Batch::try_new(signal, bytes, context, &DoorLimits::default());
        let Ok(admitted) = admitted else { return Ok(()) };
        let again = encode(&admitted.batch);
        prop_assert_eq!(
            encode(&Batch::try_new(
                signal,
                decode(signal, &again).unwrap(),
                Arc::new(Context::default()),
                &DoorLimits::default(),
            ).unwrap().batch),
            again
        );
    }
}
