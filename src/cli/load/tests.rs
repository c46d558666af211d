use std::collections::BTreeSet;

use bytes::Bytes;
use clap::Parser;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use serde_json::{Value, json};

use super::*;
use crate::data::Signal;
use crate::exporters::test_server::TestServer;
use crate::net::Body;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Load,
}

/// The arguments of a line.
pub(super) fn arguments(line: &[&str]) -> Load {
    Line::try_parse_from([&["load"], line].concat()).unwrap().arguments
}

/// The report of a run against `server`.
async fn run(server: &str, line: &[&str]) -> Value {
    let line = [&["--endpoint", server, "--seed", "1"], line].concat();
    serde_json::to_value(load(&arguments(&line)).await.unwrap()).unwrap()
}

fn grpc(status: u32, message: &[u8]) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    trailers.insert("grpc-message", HeaderValue::from_static("because"));
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    Response::new(Body::with_trailers(Bytes::from(framed), trailers))
}

fn http(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("retry-after", HeaderValue::from_static("0"));
    response
}

fn records(request: &[u8]) -> Vec<LogRecord> {
    let request = ExportLogsServiceRequest::decode(request).unwrap();
    let groups = request.resource_logs.into_iter().flat_map(|group| group.scope_logs);
    groups.flat_map(|group| group.log_records).collect()
}

fn id(record: &LogRecord) -> i64 {
    let pair = record.attributes.iter().find(|pair| pair.key == "load.id").unwrap();
    match pair.value.clone().unwrap().value {
        Some(AnyValue::IntValue(id)) => id,
        other => unreachable!("{other:?}"),
    }
}

fn text(record: &LogRecord) -> String {
    match record.body.clone().unwrap().value {
        Some(AnyValue::StringValue(text)) => text,
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn every_record_is_counted_by_what_became_of_it() {
    let partial = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records: 3,
            error_message: "too old".into(),
        }),
    };
    let server = TestServer::start(move |position| match position {
        3 => grpc(14, b""),
        5 => grpc(3, b""),
        7 => grpc(8, b""),
        9 => grpc(0, &partial.encode_to_vec()),
        _ => grpc(0, b""),
    })
    .await;
    let line = ["--requests", "20", "--batch-size", "10", "--connections", "2", "--ids"];
    let report = run(&server.url(), &line).await;
    assert_eq!(report["requests"], 20);
    assert_eq!(report["retries"], 1);
    assert_eq!(report["records_acknowledged"], 177);
    assert_eq!(report["records_rejected"], 23);
    assert_eq!(report["records_failed"], 0);
    let logs = &report["signals"]["logs"];
    assert_eq!((&logs["first_id"], &logs["last_id"]), (&json!(1), &json!(200)));
    let errors: BTreeSet<String> = report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("{} {}", error["requests"], error["message"].as_str().unwrap()))
        .collect();
    let wanted = [
        "1 partly rejected: too old",
        "1 rejected: the server answered INVALID_ARGUMENT: because",
        "1 rejected: the server answered RESOURCE_EXHAUSTED: because",
    ];
    assert_eq!(errors, wanted.map(str::to_owned).into());

    let seen = server.seen();
    assert_eq!(seen.len(), 21);
    let repeated = seen.iter().filter(|(_, body)| *body == seen[3].1).count();
    assert_eq!(repeated, 2, "tried again byte for byte");
    let ids: Vec<i64> =
        seen.iter().flat_map(|(_, body)| records(&body[5..])).map(|record| id(&record)).collect();
    assert_eq!(ids.len(), 210);
    assert_eq!(ids.into_iter().collect::<BTreeSet<i64>>(), (1..=200).collect());
}

#[tokio::test]
async fn http_is_tried_again_and_ends_with_a_smaller_request() {
    let server = TestServer::start(|position| http(if position == 0 { 503 } else { 200 })).await;
    let line = ["--protocol", "http", "--records", "25", "--batch-size", "10"];
    let line = [&line[..], &["--connections", "1", "--in-flight", "1"]].concat();
    let report = run(&format!("{}/base", server.url()), &line).await;
    assert_eq!(report["records_acknowledged"], 25);
    assert_eq!((&report["requests"], &report["retries"]), (&json!(3), &json!(1)));
    let seen = server.seen();
    let sizes: Vec<usize> = seen.iter().map(|(_, body)| records(body).len()).collect();
    assert_eq!(sizes, [10, 10, 10, 5]);
    let (head, _) = &seen[0];
    assert_eq!(head.uri.path(), "/base/v1/logs");
    assert_eq!(head.headers["content-type"], "application/x-protobuf");
    assert_eq!(head.headers["host"], server.url().trim_start_matches("http://"));
}

#[tokio::test]
async fn compressed_and_json_bodies_say_what_they_are() {
    let server = TestServer::start(|_| grpc(0, b"")).await;
    let line = ["--requests", "1", "--compression", "gzip", "--header", "x-tenant=blue"];
    let report = run(&server.url(), &line).await;
    let (head, body) = server.seen().remove(0);
    assert_eq!(head.headers["grpc-encoding"], "gzip");
    assert_eq!(head.headers["x-tenant"], "blue");
    assert_eq!(report["bytes_acknowledged"], body.len());
    let length = u32::try_from(body.len() - 5).unwrap().to_be_bytes();
    assert_eq!(body[..5], [&[1], length.as_slice()].concat());
    let mut inflated = Vec::new();
    let mut gzip = flate2::read::GzDecoder::new(&body[5..]);
    std::io::Read::read_to_end(&mut gzip, &mut inflated).unwrap();
    assert_eq!(records(&inflated).len(), 500);

    let server = TestServer::start(|_| http(200)).await;
    let line = ["--requests", "1", "--protocol", "http-json", "--signal", "traces"];
    run(&server.url(), &line).await;
    let (head, body) = server.seen().remove(0);
    assert_eq!(head.uri.path(), "/v1/traces");
    assert_eq!(head.headers["content-type"], "application/json");
    let parsed: Value = serde_json::from_slice(&body).unwrap();
    let first = &parsed["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(first["traceId"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn lines_are_sent_once_in_order_and_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.log");
    std::fs::write(&path, "one\r\ntwo\n\nfour").unwrap();
    let server = TestServer::start(|_| grpc(0, b"")).await;
    let line = ["--lines", path.to_str().unwrap(), "--ids", "--batch-size", "3"];
    let line = [&line[..], &["--connections", "1", "--in-flight", "1"]].concat();
    let report = run(&server.url(), &line).await;
    assert_eq!(report["records_acknowledged"], 4);
    assert_eq!(report["requests"], 2);
    let sent: Vec<(i64, String)> = server
        .seen()
        .iter()
        .flat_map(|(_, body)| records(&body[5..]))
        .map(|record| (id(&record), text(&record)))
        .collect();
    let wanted = [(1, "one"), (2, "two"), (3, ""), (4, "four")];
    assert_eq!(sent, wanted.map(|(id, text)| (id, text.to_owned())));
}

#[tokio::test]
async fn what_is_not_taken_in_time_has_failed() {
    let server = TestServer::start(|_| grpc(14, b"")).await;
    let line = ["--requests", "4", "--batch-size", "5", "--retry-for", "0s"];
    let report = run(&server.url(), &line).await;
    assert_eq!(report["records_failed"], 20);
    assert_eq!(report["retries"], 0);
    let closing = TestServer::closing().await;
    let report = run(&closing, &line).await;
    assert_eq!(report["records_failed"], 20);
    assert!(report["errors"][0]["message"].as_str().unwrap().starts_with("given up: "));
}

#[tokio::test]
async fn nobody_there_is_told_before_anything_is_sent() {
    let gone = TestServer::gone().await;
    let error = load(&arguments(&["--endpoint", &gone])).await.unwrap_err();
    let address = gone.trim_start_matches("http://");
    assert_eq!(error.to_string(), format!("cannot connect to `{address}`"));
    for wrong in ["localhost", "ftp://localhost:1", "localhost:1/path"] {
        assert!(load(&arguments(&["--endpoint", wrong])).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn agent_is_measured_by_its_process() {
    let server = TestServer::start(|_| grpc(0, b"")).await;
    let pid = std::process::id().to_string();
    let report = run(&server.url(), &["--requests", "40", "--pid", &pid]).await;
    if cfg!(target_os = "linux") {
        assert!(report["agent_rss_bytes"].as_u64().unwrap() > 0);
        assert!(report["agent_peak_rss_bytes"].as_u64() >= report["agent_rss_bytes"].as_u64());
        assert!(report["agent_cpu_seconds_per_million"].is_number());
        assert_eq!(report["agent_is_running"], true);
    }
}

#[test]
fn lines_go_with_logs_only() {
    assert!(arguments(&["--lines", "x", "--signal", "traces"]).check().is_err());
    assert!(arguments(&["--lines", "x", "--signal", "logs"]).check().is_ok());
    assert_eq!(Signal::from(arguments(&[]).signals[0]), Signal::Logs);
}
