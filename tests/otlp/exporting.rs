//! The other side of the checklist: the exporters behind the receiver, against servers that
//! answer each status.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::agent::{Agent, SOON, eventually};
use super::client::{Reply, post};
use super::downstream::{Downstream, QUICK_RETRY, accepted, grpc_status, status, status_with};
use super::records::{PROTOBUF, logs};
use super::security::Certificates;

async fn send(agent: &Agent) -> Reply {
    timeout(SOON, post(agent.http(), "/v1/logs", &[PROTOBUF], logs(5))).await.unwrap()
}

fn dropped(agent: &Agent) -> u64 {
    let balance = agent.host.ledger.balance();
    balance.exporters.values().flat_map(|account| account.dropped.values()).sum()
}

#[tokio::test]
async fn partial_success_is_never_sent_again() {
    let partial = ExportLogsPartialSuccess {
        rejected_log_records: 2,
        error_message: "two are too old".to_owned(),
    };
    let told = ExportLogsServiceResponse { partial_success: Some(partial) };
    let downstream = Downstream::start(move |_| accepted(&told)).await;
    let agent = Agent::start(&downstream.over_http(QUICK_RETRY)).await;
    assert_eq!(send(&agent).await.status, StatusCode::OK, "as in the Collector");
    assert_eq!((downstream.num_seen(), dropped(&agent)), (1, 2));
    agent.stop().await;
}

#[tokio::test]
async fn warning_is_success() {
    let warning = ExportLogsPartialSuccess { error_message: "old".into(), ..Default::default() };
    let told = ExportLogsServiceResponse { partial_success: Some(warning) };
    let downstream = Downstream::start(move |_| accepted(&told)).await;
    let agent = Agent::start(&downstream.over_http(QUICK_RETRY)).await;
    assert_eq!(send(&agent).await.status, StatusCode::OK);
    assert_eq!((downstream.num_seen(), dropped(&agent)), (1, 0));
    agent.stop().await;
}

#[tokio::test]
async fn only_temporary_statuses_are_sent_again() {
    for code in [429, 502, 503, 504] {
        let downstream =
            Downstream::start(move |position| status(if position < 2 { code } else { 200 })).await;
        let agent = Agent::start(&downstream.over_http(QUICK_RETRY)).await;
        assert_eq!(send(&agent).await.status, StatusCode::OK, "{code}");
        assert_eq!(downstream.num_seen(), 3, "{code}");
        agent.stop().await;
    }
    for code in [400, 401, 403, 404, 500, 501] {
        let downstream = Downstream::start(move |_| status(code)).await;
        let agent = Agent::start(&downstream.over_http(QUICK_RETRY)).await;
        let reply = send(&agent).await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{code}");
        assert_eq!((downstream.num_seen(), dropped(&agent)), (1, 5), "{code}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_in_seconds_and_as_a_date() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    for (wish, at_least) in [("1", 1000), (date.as_str(), 500), ("when the moon is full", 0)] {
        let wish = wish.to_owned();
        let answer = move |position| match position {
            0 => status_with(503, "retry-after", &wish),
            _ => status(200),
        };
        let downstream = Downstream::start(answer).await;
        let agent = Agent::start(&downstream.over_http(QUICK_RETRY)).await;
        let started = Instant::now();
        assert_eq!(send(&agent).await.status, StatusCode::OK);
        assert!(started.elapsed() >= Duration::from_millis(at_least), "{:?}", started.elapsed());
        assert_eq!(downstream.num_seen(), 2);
        agent.stop().await;
    }
}

#[tokio::test]
async fn statuses_of_grpc_are_sent_again_as_the_specification_says() {
    let delay = Some(Duration::from_millis(10));
    for (code, delay, is_retried) in [
        (1, None, true),
        (2, None, false),
        (3, None, false),
        (4, None, true),
        (7, None, false),
        (8, None, false),
        (8, delay, true),
        (10, None, true),
        (12, None, false),
        (13, None, false),
        (14, None, true),
        (14, delay, true),
        (16, None, false),
    ] {
        let answer = move |position| match position {
            0 => grpc_status(code, delay),
            _ => grpc_status(0, None),
        };
        let downstream = Downstream::start(answer).await;
        let agent = Agent::start(&downstream.over_grpc(QUICK_RETRY)).await;
        let expected = if is_retried { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
        assert_eq!(send(&agent).await.status, expected, "{code} {delay:?}");
        assert_eq!(downstream.num_seen(), 1 + usize::from(is_retried), "{code} {delay:?}");
        agent.stop().await;
    }
}

/// A server of one connection over TLS which offers `protocols`; gives the version that was spoken.
async fn version_spoken_with(protocols: &[&[u8]]) -> http::Version {
    let certificates = Certificates::new();
    let (certificate, key) = &certificates.server;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut versions) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let service = hyper::service::service_fn(move |request: http::Request<_>| {
            let _: &hyper::body::Incoming = request.body();
            sender.try_send(request.version()).unwrap();
            async { Ok::<_, hyper::Error>(status(200)) }
        });
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    });
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, &certificates.authority).unwrap();
    let file = format!(
        "
exporters:
  otlphttp:
    endpoint: https://localhost:{port}
    tls: {{ca_file: '{}'}}
    sending_queue: {{enabled: false}}
service: {{pipelines: {{logs: {{exporters: [otlphttp]}}}}}}
",
        authority.display()
    );
    let agent = Agent::start(&file).await;
    assert_eq!(send(&agent).await.status, StatusCode::OK);
    agent.stop().await;
    versions.recv().await.unwrap()
}

#[tokio::test]
async fn client_of_http2_falls_back() {
    assert_eq!(version_spoken_with(&[b"h2", b"http/1.1"]).await, http::Version::HTTP_2);
    assert_eq!(version_spoken_with(&[b"http/1.1"]).await, http::Version::HTTP_11);
    assert_eq!(version_spoken_with(&[]).await, http::Version::HTTP_11);
}

#[tokio::test]
async fn destination_that_hangs_up_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let file = "
exporters:
  otlphttp:
    endpoint: http://ADDRESS
    sending_queue: {enabled: false}
    retry_on_failure: {initial_interval: 1ms, max_interval: 1ms}
service: {pipelines: {logs: {exporters: [otlphttp]}}}
";
    let agent = Agent::start(&file.replace("ADDRESS", &address.to_string())).await;
    let http = agent.http();
    let request = tokio::spawn(async move { post(http, "/v1/logs", &[PROTOBUF], logs(5)).await });
    for _ in 0..2 {
        drop(timeout(SOON, listener.accept()).await.unwrap().unwrap());
    }
    let (stream, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    let service = hyper::service::service_fn(|_| async {
        Ok::<_, hyper::Error>(http::Response::new(catchment::net::Body::empty()))
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::spawn(connection);
    assert_eq!(timeout(SOON, request).await.unwrap().unwrap().status, StatusCode::OK);
    agent.stop().await;
}

#[tokio::test]
async fn destination_that_is_down_holds_back_nobody_else() {
    let (up, down) =
        (Downstream::start(|_| status(200)).await, Downstream::held(|_| status(503)).await);
    let file = format!(
        "
exporters:
  otlphttp/up: {{endpoint: 'http://{}'}}
  otlphttp/down: {{endpoint: 'http://{}', sending_queue: {{num_consumers: 1}}}}
service:
  shutdown_timeout: 100ms
  pipelines:
    logs: {{exporters: [otlphttp/up, otlphttp/down]}}
",
        up.address, down.address
    );
    let agent = Agent::start(&file).await;
    for _ in 0..20 {
        assert_eq!(send(&agent).await.status, StatusCode::OK);
    }
    up.until_seen(20).await;
    down.until_seen(1).await;
    assert_eq!(down.num_seen(), 1);
    let up_delivered = || {
        let balance = agent.host.ledger.balance();
        balance.exporters.iter().any(|(id, account)| id.contains("/up") && account.delivered == 100)
    };
    eventually("all is delivered where it can be", up_delivered).await;
    let down = Arc::clone(&down);
    agent.stop().await;
    assert_eq!(down.num_seen(), 1);
}
