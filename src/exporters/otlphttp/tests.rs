use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;

use super::super::test_server::TestServer;
use super::exporter::{Encoding, HttpExporter};
use crate::codec::compress::Compression;
use crate::component::{ExportError, Exporter, Sent};
use crate::data::{Batch, Context, DoorLimits, Signal};
use crate::net::{Body, Client, ClientOptions};
use crate::telemetry::Clock;

fn batch(num_records: usize) -> Batch {
    let log_records = vec![LogRecord { severity_number: 9, ..LogRecord::default() }; num_records];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let bytes = Bytes::from(ExportLogsServiceRequest { resource_logs }.encode_to_vec());
    let (context, limits) = (Arc::new(Context::default()), DoorLimits::default());
    Batch::try_new(Signal::Logs, bytes, context, &limits).unwrap().batch
}

fn exporter(url: &str, encoding: Encoding, compression: Compression) -> HttpExporter {
    let user = HeaderMap::from_iter([
        (HeaderName::from_static("x-tenant"), HeaderValue::from_static("blue")),
        (CONTENT_TYPE, HeaderValue::from_static("text/html")),
    ]);
    HttpExporter {
        client: Client::new(ClientOptions::default()),
        uri: format!("{url}/v1/logs").parse().unwrap(),
        headers: HttpExporter::headers(user, encoding, compression),
        auth: None,
        compression: (compression, None),
        encoding,
        clock: Clock::default(),
    }
}

async fn export(url: &str) -> Result<Sent, ExportError> {
    let exporter = exporter(url, Encoding::Proto, Compression::Gzip);
    exporter.send(&exporter.prepare(batch(1)).requests[0]).await
}

fn answer(status: u16, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

#[tokio::test]
async fn request_says_what_the_body_is() {
    let server = TestServer::start(|_| answer(200, "")).await;
    assert_eq!(export(&server.url()).await.unwrap(), Sent::DURABLE);
    let seen = server.seen();
    let [(head, body)] = seen.as_slice() else { panic!("one request") };
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri.path(), "/v1/logs");
    assert_eq!(head.headers[CONTENT_TYPE], "application/x-protobuf");
    assert_eq!(head.headers["content-encoding"], "gzip");
    assert_eq!(head.headers["x-tenant"], "blue");
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut inflated).unwrap();
    assert_eq!(inflated, batch(1).chunks()[0]);
}

#[tokio::test]
async fn json_is_sent_as_json() {
    let server = TestServer::start(|_| answer(200, "")).await;
    let exporter = exporter(&server.url(), Encoding::Json, Compression::None);
    let prepared = exporter.prepare(batch(1));
    assert_eq!(exporter.send(&prepared.requests[0]).await.unwrap(), Sent::DURABLE);
    let (head, body) = &server.seen()[0];
    assert_eq!(head.headers[CONTENT_TYPE], "application/json");
    assert!(!head.headers.contains_key("content-encoding"));
    let json: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!(json["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["severityNumber"], 9);
}

#[tokio::test]
async fn too_large_request_is_halved_down_to_a_record() {
    let server = TestServer::start(|_| answer(413, "")).await;
    let exporter = exporter(&server.url(), Encoding::Proto, Compression::Gzip);
    let request = exporter.prepare(batch(3)).requests.pop().unwrap();
    let error = exporter.send(&request).await.unwrap_err();
    assert!(matches!(error, ExportError::Divide { .. }), "{error:?}");
    let [first, second] = exporter.halve(request).unwrap();
    assert_eq!((first.num_records, second.num_records), (2, 1));
    assert!(exporter.halve(second).is_err());
}

#[tokio::test]
async fn only_four_statuses_are_retried() {
    for status in [400, 401, 403, 404, 408, 413, 429, 500, 501, 502, 503, 504] {
        let server = TestServer::start(move |_| answer(status, "no")).await;
        let error = export(&server.url()).await.unwrap_err();
        let is_retry = matches!(error, ExportError::Retry { after: None, .. });
        assert_eq!(is_retry, [429, 502, 503, 504].contains(&status), "{status}: {error:?}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn retry_after_is_honoured_and_garbage_is_not() {
    for (text, wanted) in [("3", Some(Duration::from_secs(3))), ("soon", None)] {
        let server = TestServer::start(move |_| {
            let mut response = answer(503, "");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(text));
            response
        })
        .await;
        let error = export(&server.url()).await.unwrap_err();
        let ExportError::Retry { after, .. } = error else { panic!("{error:?}") };
        assert_eq!(after, wanted);
    }
}

#[tokio::test]
async fn partial_success_is_told_and_never_retried() {
    let partial = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records: 2,
            error_message: "too old".into(),
        }),
    };
    let encoded = Bytes::from(partial.encode_to_vec());
    let server = TestServer::start(move |_| {
        let mut response = answer(200, encoded.clone());
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        response.headers_mut().insert(CONTENT_TYPE, protobuf);
        response
    })
    .await;
    let sent = export(&server.url()).await.unwrap();
    assert_eq!((sent.num_rejected, sent.reason.as_deref()), (2, Some("too old")));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn servers_that_are_not_there_or_close_are_retried() {
    let error = export(&TestServer::gone().await).await.unwrap_err();
    let ExportError::Retry { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().starts_with("cannot connect to `127.0.0.1:"), "{source}");
    let error = export(&TestServer::closing().await).await.unwrap_err();
    assert!(matches!(error, ExportError::Retry { .. }), "{error:?}");
    let error = export("http://no-such-host.invalid").await.unwrap_err();
    let ExportError::Retry { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "unknown host `no-such-host.invalid`");
}

#[tokio::test]
async fn oversized_answer_is_not_tried_again() {
    let server = TestServer::start(|_| answer(200, Bytes::from(vec![0; 5 << 20]))).await;
    let error = export(&server.url()).await.unwrap_err();
    assert!(matches!(error, ExportError::Rejected { .. }), "{error:?}");
}
