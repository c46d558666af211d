//! A server for tests of what sends: answers what it is told, and keeps what it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::net::Body;

/// Requests that came, in order.
type Seen = Arc<Mutex<Vec<(Parts, Bytes)>>>;

/// A server of HTTP/1.1 and HTTP/2 on a port of its own, until the test's runtime ends.
pub(crate) struct TestServer {
    address: SocketAddr,
    seen: Seen,
}

impl TestServer {
    /// A server that answers the first request with `answer(0)`, the next with `answer(1)`, ….
    pub(crate) async fn start(
        answer: impl Fn(usize) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), seen: Seen::default() };
        let seen = Arc::clone(&server.seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, answer) = (Arc::clone(&seen), answer.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        let position = {
                            let mut seen = seen.lock().unwrap();
                            seen.push((head, body));
                            seen.len() - 1
                        };
                        Ok::<_, hyper::Error>(answer(position))
                    }
                });
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        server
    }

    /// The address of a server that takes connections and closes them after the first bytes.
    pub(crate) async fn closing() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 24]).await;
                let _ = stream.shutdown().await;
            }
        });
        format!("http://{address}")
    }

    /// The address of nobody.
    pub(crate) async fn gone() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that came.
    pub(crate) fn seen(&self) -> Vec<(Parts, Bytes)> {
        self.seen.lock().unwrap().clone()
    }
}
