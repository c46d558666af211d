//! Where agents under test send to: a server that answers what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use catchment::net::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::agent::SOON;
use super::rpc;

/// A server of HTTP/1.1 and HTTP/2 until the test's runtime ends.
pub struct Downstream {
    pub address: SocketAddr,
    /// A permit for each request that may be answered.
    pub gate: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<(Parts, Bytes)>>>,
    count: watch::Sender<usize>,
}

impl Downstream {
    /// Answers the first request with `answer(0)`, the next with `answer(1)`, and so on.
    pub async fn start(
        answer: impl Fn(usize) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Arc<Self> {
        let downstream = Self::held(answer).await;
        downstream.gate.add_permits(Semaphore::MAX_PERMITS / 2);
        downstream
    }

    /// The same, but an answer waits for a permit of `gate`.
    pub async fn held(
        answer: impl Fn(usize) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let downstream = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            gate: Arc::new(Semaphore::new(0)),
            seen: Arc::default(),
            count: watch::Sender::new(0),
        });
        let server = Arc::clone(&downstream);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, answer) = (Arc::clone(&server), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (server, answer) = (Arc::clone(&server), answer.clone());
                    async move {
                        let position = server.note(request).await?;
                        server.gate.acquire().await.unwrap().forget();
                        Ok::<_, hyper::Error>(answer(position))
                    }
                });
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        downstream
    }

    async fn note(&self, request: Request<Incoming>) -> hyper::Result<usize> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let mut seen = self.seen.lock().unwrap();
        seen.push((head, body));
        self.count.send_replace(seen.len());
        Ok(seen.len() - 1)
    }

    pub fn num_seen(&self) -> usize {
        *self.count.borrow()
    }

    pub fn seen(&self) -> Vec<(Parts, Bytes)> {
        self.seen_after(0)
    }

    /// What came after the first `count` requests.
    pub fn seen_after(&self, count: usize) -> Vec<(Parts, Bytes)> {
        self.seen.lock().unwrap()[count..].to_vec()
    }

    /// Waits until `count` requests came.
    pub async fn until_seen(&self, count: usize) {
        let mut seen = self.count.subscribe();
        let waiting = seen.wait_for(|seen| *seen >= count);
        timeout(SOON, waiting).await.expect("requests arrive").unwrap();
    }

    /// A file whose pipelines all lead here over HTTP, with clients waiting for the answer.
    pub fn over_http(&self, more: &str) -> String {
        self.file("otlphttp", &format!("http://{}", self.address), more)
    }

    /// The same over gRPC.
    pub fn over_grpc(&self, more: &str) -> String {
        self.file("otlp", &self.address.to_string(), more)
    }

    fn file(&self, exporter: &str, endpoint: &str, more: &str) -> String {
        format!(
            "
exporters:
  {exporter}:
    endpoint: {endpoint}
    compression: none
    tls: {{insecure: true}}
    sending_queue: {{enabled: false}}
    {more}
service:
  pipelines:
    logs: {{receivers: [otlp], exporters: [{exporter}]}}
    traces: {{receivers: [otlp], exporters: [{exporter}]}}
    metrics: {{receivers: [otlp], exporters: [{exporter}]}}
"
        )
    }
}

/// One attempt only.
pub const NO_RETRY: &str = "retry_on_failure: {enabled: false}";
/// Attempts that follow each other quickly.
pub const QUICK_RETRY: &str = "retry_on_failure: {initial_interval: 1ms, max_interval: 1ms}";

pub fn status(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

pub fn status_with(code: u16, name: &'static str, value: &str) -> Response<Body> {
    let mut response = status(code);
    response.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    response
}

/// Success over HTTP, in protobuf.
pub fn accepted(message: &impl Message) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from(message.encode_to_vec())));
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    response.headers_mut().insert("content-type", protobuf);
    response
}

/// A status over gRPC; with `RetryInfo` if there is a delay.
pub fn grpc_status(code: i32, delay: Option<Duration>) -> Response<Body> {
    use base64::Engine as _;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    if let Some(delay) = delay {
        let details = rpc::Status::with_retry(code, delay).encode_to_vec();
        let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(details);
        trailers.insert("grpc-status-details-bin", HeaderValue::try_from(details).unwrap());
    }
    let answer = if code == 0 { Bytes::from_static(&[0; 5]) } else { Bytes::new() };
    let mut response = Response::new(Body::with_trailers(answer, trailers));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
