use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::test_server::TestServer;
use super::exporter::{GrpcExporter, Parts};
use crate::codec::compress::Compression;
use crate::component::{ExportError, Exporter, Lane, Payload, Request, Sent};
use crate::config::{ClientTls, Secret, ServerTls};
use crate::data::{Parts as NoParts, Signal};
use crate::net::{
    Alpn, Body, ClientTlsConfig, Connector, Protocol, ServerOptions, ServerTlsConfig, Socket, serve,
};

async fn export(server: &TestServer) -> Result<Sent, ExportError> {
    export_to(&server.url(), Compression::None).await
}

fn exporter(server: &str, compression: Compression) -> GrpcExporter {
    exporter_with(Connector::new(None, Duration::from_secs(5)), server, compression)
}

fn exporter_with(connector: Connector, server: &str, compression: Compression) -> GrpcExporter {
    let parts = Parts {
        connector,
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

fn request() -> Request {
    Request {
        lane: Lane::Any,
        num_records: 1,
        size_bytes: 3,
        parts: NoParts::new(),
        payload: Payload::Bytes(Bytes::from_static(b"abc")),
    }
}

async fn export_to(server: &str, compression: Compression) -> Result<Sent, ExportError> {
    exporter(server, compression).send(&request()).await
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

/// An authority's certificate, and one that it gave to `localhost` with its key, in PEM.
fn certificates() -> (String, String, String) {
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    (authority.pem(), certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn tls_is_spoken_and_servers_are_checked() {
    let (authority, certificate, key) = certificates();
    let settings = ServerTls {
        cert_pem: Some(Secret::new(certificate)),
        key_pem: Some(Secret::new(key)),
        ..ServerTls::default()
    };
    let tls = ServerTlsConfig::try_new(&settings, Alpn::Http2).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = ServerOptions {
        protocol: Protocol::Http2,
        tls: Some(Arc::new(tls)),
        ..ServerOptions::default()
    };
    let handler = |_, _| async { answer(b"", trailers(0, None)) };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(Socket::Tcp(listener), options, handler, stop.clone()));
    for (ca_pem, is_trusted) in [(Some(Secret::new(authority)), true), (None, false)] {
        let settings = ClientTls { ca_pem, ..ClientTls::default() };
        // Without authorities of its own a machine trusts nobody, which is refused earlier.
        let Ok(tls) = ClientTlsConfig::try_new(&settings, &["h2"]) else { continue };
        let connector = Connector::new(Some(Arc::new(tls)), Duration::from_secs(5));
        let server = format!("https://localhost:{port}");
        let exporter = exporter_with(connector, &server, Compression::None);
        let sent = exporter.send(&request()).await;
        if is_trusted {
            assert_eq!(sent.unwrap(), Sent::DURABLE);
        } else {
            let Err(ExportError::Retry { source, .. }) = sent else { panic!("{sent:?}") };
            assert_eq!(source.to_string(), format!("cannot agree on TLS with `localhost:{port}`"));
        }
    }
    stop.cancel();
    serving.await.unwrap();
}
