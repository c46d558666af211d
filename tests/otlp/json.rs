//! OTLP in JSON, as clients write it: what goes in must come out at the destination.

use http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::agent::Agent;
use super::client::post;
use super::downstream::{Downstream, status};
use super::records::JSON;

/// Sends JSON to `path`, and gives what the destination got.
async fn through(path: &str, json: &str) -> bytes::Bytes {
    let downstream = Downstream::start(|_| status(200)).await;
    let agent = Agent::start(&downstream.over_http("")).await;
    let reply = post(agent.http(), path, &[JSON], json.to_owned()).await;
    assert_eq!(reply.status, StatusCode::OK, "{json}: {reply:?}");
    agent.stop().await;
    let (_, body) = downstream.seen().pop().unwrap();
    body
}

async fn span(fields: &str) -> Span {
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#);
    let request = ExportTraceServiceRequest::decode(through("/v1/traces", &json).await).unwrap();
    request.resource_spans[0].scope_spans[0].spans[0].clone()
}

async fn record(fields: &str) -> LogRecord {
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#);
    let request = ExportLogsServiceRequest::decode(through("/v1/logs", &json).await).unwrap();
    request.resource_logs[0].scope_logs[0].log_records[0].clone()
}

#[tokio::test]
async fn ids_are_hex_in_any_case() {
    let id = "5B8EFFF798038103d269b633813fc60c";
    let fields = format!(r#""traceId":"{id}","spanId":"EEE19b7ec3c1B174","parentSpanId":"""#);
    let span = span(&fields).await;
    assert_eq!(span.trace_id[..4], [0x5b, 0x8e, 0xff, 0xf7]);
    assert_eq!(span.span_id, 0xeee1_9b7e_c3c1_b174_u64.to_be_bytes());
    assert!(span.parent_span_id.is_empty());
}

#[tokio::test]
async fn numbers_may_be_strings() {
    let span = span(
        r#""startTimeUnixNano":"1544712660000000001","endTimeUnixNano":1544712661000000002,
           "droppedAttributesCount":"7","flags":257"#,
    )
    .await;
    assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_001);
    assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_002);
    assert_eq!((span.dropped_attributes_count, span.flags), (7, 257));
    for (json, expected) in [
        (r#"{"intValue":"-9223372036854775808"}"#, Value::IntValue(i64::MIN)),
        (r#"{"intValue":42}"#, Value::IntValue(42)),
        (r#"{"intValue":0}"#, Value::IntValue(0)),
        (r#"{"doubleValue":"-Infinity"}"#, Value::DoubleValue(f64::NEG_INFINITY)),
        (r#"{"bytesValue":"AQID"}"#, Value::BytesValue(vec![1, 2, 3])),
    ] {
        let body = record(&format!(r#""body":{json}"#)).await.body.unwrap();
        assert_eq!(body.value, Some(expected), "{json}");
    }
}

#[tokio::test]
async fn enumerations_may_be_names() {
    for fields in [
        r#""kind":3,"status":{"code":2}"#,
        r#""kind":"SPAN_KIND_CLIENT","status":{"code":"STATUS_CODE_ERROR"}"#,
    ] {
        let span = span(fields).await;
        assert_eq!((span.kind, span.status.unwrap().code), (3, 2), "{fields}");
    }
    assert_eq!(record(r#""severityNumber":"SEVERITY_NUMBER_WARN""#).await.severity_number, 13);
    assert_eq!(record(r#""severityNumber":13"#).await.severity_number, 13);
}

#[tokio::test]
async fn unknown_keys_and_null_are_passed_over_and_snake_case_is_read() {
    let json = r#"{"new":{"deep":[1,{"a":null}]},"resource_spans":[{"resource":null,
        "scope_spans":[{"spans":[{"trace_id":"5b8efff798038103d269b633813fc60c",
        "span_id":"eee19b7ec3c1b174","start_time_unix_nano":"5","brand_new":true,
        "attributes":null,"links":[]}]}]}]}"#;
    let request = ExportTraceServiceRequest::decode(through("/v1/traces", json).await).unwrap();
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.start_time_unix_nano, span.span_id[0]), (5, 0xee));
}

#[tokio::test]
async fn histograms_keep_what_is_there_and_what_is_not() {
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{
        "aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","dataPoints":[{
        "timeUnixNano":"1","count":"3","sum":0,"bucketCounts":["1",2,"0"],
        "explicitBounds":[0.5,"Infinity"]}]}}]}]}]}"#;
    let request = ExportMetricsServiceRequest::decode(through("/v1/metrics", json).await).unwrap();
    let Some(Data::Histogram(histogram)) =
        &request.resource_metrics[0].scope_metrics[0].metrics[0].data
    else {
        panic!("{request:?}");
    };
    let point = &histogram.data_points[0];
    assert_eq!(histogram.aggregation_temporality, 1);
    assert_eq!((point.count, point.sum, point.min), (3, Some(0.0), None));
    assert_eq!(point.bucket_counts, [1, 2, 0]);
    assert_eq!(point.explicit_bounds, [0.5, f64::INFINITY]);
}

#[tokio::test]
async fn what_is_not_otlp_in_json_is_refused() {
    let agent = Agent::start("").await;
    let in_span = |fields: &str| {
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#)
    };
    for json in [
        "[]".to_owned(),
        "{".to_owned(),
        "{} {}".to_owned(),
        "{}x".to_owned(),
        "\u{feff}{}".to_owned(),
        in_span(r#""traceId":"5b8e""#),
        in_span(r#""traceId":"5b8efff798038103d269b633813fc60g""#),
        in_span(r#""name":"a","name":"b""#),
        in_span(r#""startTimeUnixNano":"-1""#),
        in_span(r#""startTimeUnixNano":1.5"#),
        in_span(r#""startTimeUnixNano":"18446744073709551616""#),
        in_span(r#""kind":"SPAN_KIND_NO""#),
        in_span(r#""name":7"#),
        in_span(r#""name":"\ud800""#),
        in_span(r#""attributes":{}"#),
    ] {
        let reply = post(agent.http(), "/v1/traces", &[JSON], json.clone()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{json}");
        assert_eq!(reply.json()["code"], 3, "{json}");
    }
    assert_eq!(post(agent.http(), "/v1/traces", &[JSON], "{}").await.status, StatusCode::OK);
    agent.stop().await;
}
