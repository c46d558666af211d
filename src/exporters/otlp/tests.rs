use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use prost::Message as _;
use tokio::net::TcpListener;

use super::super::test_server::TestServer;
use super::exporter::{GrpcExporter, Parts};
use crate::codec::compress::Compression;
use crate::component::{ExportError, Exporter, Lane, Payload, Request, Sent};
use crate::data::{Parts as NoParts, Signal};
use crate::net::{Body, Connector};

async fn export(server: &TestServer) -> Result<Sent, ExportError> {
    export_to(&server.url(), Compression::None).await
}

fn exporter(server: &str, compression: Compression) -> GrpcExporter {
    let parts = Parts {
        connector: Connector::new(None, Duration::from_secs(5)),
        server: server.parse().unwrap(),
        authority: Some("collector.example:1".parse().unwrap()),
        headers: HeaderMap::from_iter([(
            http::HeaderName::from_static("x-tenant"),
            HeaderValue::from_static("blue"),
        )]),
        auth: None,
        compression,
        keepalive: None,
        retries_exhausted: false,
    };
    GrpcExporter::try_new(parts, Signal::Logs).unwrap()
}

async fn export_to(server: &str, compression: Compression) -> Result<Sent, ExportError> {
    let request = Request {
        lane: Lane::Any,
        num_records: 1,
        size_bytes: 3,
        parts: NoParts::new(),
        payload: Payload::Bytes(Bytes::from_static(b"abc")),
    };
    exporter(server, compression).send(&request).await
}

fn trailers(status: u32, details: Option<&str>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    trailers.insert("grpc-message", HeaderValue::from_static("because"));
    if let Some(details) = details {
        trailers.insert("grpc-status-details-bin", details.parse().unwrap());
    }
    trailers
}

fn answer(message: &[u8], trailers: HeaderMap) -> Response<Body> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let mut response = Response::new(Body::with_trailers(Bytes::from(framed), trailers));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

#[tokio::test]
async fn message_has_prefix_headers_and_the_bytes_as_they_are() {
    let server = TestServer::start(|_| answer(b"", trailers(0, None))).await;
    assert_eq!(export_to(&server.url(), Compression::Gzip).await.unwrap(), Sent::DURABLE);
    let seen = server.seen();
    let [(head, body)] = seen.as_slice() else { panic!("one call") };
    let headers = &head.headers;
    assert_eq!(head.uri.path(), "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    assert_eq!(body.as_ref(), b"\x01\0\0\0\x03abc");
    assert_eq!(head.uri.authority().unwrap(), "collector.example:1");
    assert_eq!(headers["content-type"], "application/grpc");
    assert_eq!(headers["grpc-encoding"], "gzip");
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["x-tenant"], "blue");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("catchment/"));
}

#[tokio::test]
async fn every_status_is_classified() {
    let retried = [1, 4, 10, 11, 14, 15];
    for code in 1..=16 {
        let server = TestServer::start(move |_| answer(b"", trailers(code, None))).await;
        let error = export(&server).await.unwrap_err();
        let is_retry = matches!(error, ExportError::Retry { .. });
        assert_eq!(is_retry, retried.contains(&code), "{code}: {error:?}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn retry_info_is_honoured_also_without_a_body() {
    let server = TestServer::start(|_| {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = trailers(8, Some(&exhausted(7)));
        response
    })
    .await;
    let error = export(&server).await.unwrap_err();
    let ExportError::Retry { after, .. } = error else { panic!("{error:?}") };
    assert_eq!(after, Some(Duration::from_secs(7)));
}

/// `google.rpc.Status{details: [RetryInfo{retry_delay: {seconds}}]}` as base64.
fn exhausted(seconds: u8) -> String {
    use base64::Engine;
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let info = [0x0a, 2, 0x08, seconds];
    let mut any = vec![0x0a, u8::try_from(url.len()).unwrap()];
    any.extend(url);
    any.extend([0x12, 4]);
    any.extend(info);
    let mut status = vec![0x08, 8, 0x1a, u8::try_from(any.len()).unwrap()];
    status.extend(any);
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(status)
}

#[tokio::test]
async fn partial_success_is_told_and_not_an_error() {
    let partial = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records: 2,
            error_message: "too old".into(),
        }),
    };
    let encoded = partial.encode_to_vec();
    let server = TestServer::start(move |_| answer(&encoded, trailers(0, None))).await;
    let sent = export(&server).await.unwrap();
    assert_eq!((sent.num_rejected, sent.reason.as_deref()), (2, Some("too old")));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn answer_of_a_proxy_is_mapped() {
    for (status, is_retried) in [(503, true), (429, true), (404, false), (401, false), (500, false)]
    {
        let server = TestServer::start(move |_| {
            let mut response = Response::new(Body::from("no"));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        })
        .await;
        let error = export(&server).await.unwrap_err();
        assert_eq!(matches!(error, ExportError::Retry { .. }), is_retried, "{status}");
    }
}

#[tokio::test]
async fn oversized_answer_is_not_tried_again() {
    let server = TestServer::start(|_| answer(&vec![0; 5 << 20], trailers(0, None))).await;
    let error = export(&server).await.unwrap_err();
    assert!(matches!(error, ExportError::Rejected { .. }), "{error:?}");
}

#[tokio::test]
async fn connection_closed_in_the_middle_is_retried() {
    let error = export_to(&TestServer::closing().await, Compression::None).await.unwrap_err();
    assert!(matches!(error, ExportError::Retry { after: None, .. }), "{error:?}");
}

#[tokio::test]
async fn unknown_host_and_refused_connection_are_named_and_retried() {
    let error = export_to("http://no-such-host.invalid:4317", Compression::None).await.unwrap_err();
    let ExportError::Retry { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "unknown host `no-such-host.invalid`");
    let gone = TestServer::gone().await;
    let error = export_to(&gone, Compression::None).await.unwrap_err();
    let ExportError::Retry { source, .. } = error else { panic!("{error:?}") };
    let address = gone.trim_start_matches("http://");
    assert_eq!(source.to_string(), format!("cannot connect to `{address}`"));
}

#[tokio::test]
async fn hanging_server_is_left_when_the_caller_gives_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let call = export_to(&address, Compression::None);
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());
}
