//! Clients: HTTP/1.1, gRPC, and bare sockets.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::agent::SOON;
use super::rpc;

pub type Headers<'a> = &'a [(&'a str, &'a str)];

/// An answer over HTTP.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body as a `google.rpc.Status` in protobuf.
    pub fn status_body(&self) -> rpc::Status {
        assert_eq!(self.header("content-type"), "application/x-protobuf", "{self:?}");
        rpc::Status::decode(self.body.clone()).unwrap()
    }

    async fn read(response: http::Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }
}

fn request(method: Method, uri: &str, headers: Headers<'_>, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body)).unwrap()
}

/// One request on a connection of its own.
pub async fn send(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: Headers<'_>,
    body: impl Into<Bytes>,
) -> Reply {
    let stream = TcpStream::connect(address).await.unwrap();
    send_over(stream, method, path, headers, body.into()).await
}

/// One request over HTTP/1.1 on an open stream.
pub async fn send_over<S>(
    stream: S,
    method: Method,
    path: &str,
    headers: Headers<'_>,
    body: Bytes,
) -> Reply
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let headers = [&[("host", "localhost")], headers].concat();
    let request = request(method, path, &headers, body);
    let response = timeout(SOON, sender.send_request(request)).await.unwrap().unwrap();
    let reply = Reply::read(response).await;
    connection.abort();
    reply
}

pub async fn post(
    address: SocketAddr,
    path: &str,
    headers: Headers<'_>,
    body: impl Into<Bytes>,
) -> Reply {
    send(address, Method::POST, path, headers, body).await
}

/// An answer over gRPC.
#[derive(Debug)]
pub struct Called {
    pub http: StatusCode,
    pub headers: HeaderMap,
    /// The code of gRPC; -1 where there is none.
    pub code: i32,
    pub message: String,
    /// The `google.rpc.Status` in the trailers.
    pub details: Option<rpc::Status>,
    /// The message, without its prefix.
    pub answer: Option<Bytes>,
}

/// A connection over HTTP/2.
#[derive(Clone)]
pub struct Grpc {
    sender: http2::SendRequest<Full<Bytes>>,
}

impl Grpc {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// Whether the server takes more calls.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed() && self.sender.is_ready()
    }

    /// Calls `Export` of `service` with an uncompressed message.
    pub async fn export(&self, service: &str, message: &[u8]) -> Called {
        self.call(&format!("/{service}/Export"), &[], framed(0, message)).await
    }

    /// A call with any path, headers and body.
    pub async fn call(&self, path: &str, headers: Headers<'_>, body: impl Into<Bytes>) -> Called {
        self.try_call(path, headers, body).await.unwrap()
    }

    pub async fn try_call(
        &self,
        path: &str,
        headers: Headers<'_>,
        body: impl Into<Bytes>,
    ) -> hyper::Result<Called> {
        self.send(Method::POST, path, headers, body.into()).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: Bytes,
    ) -> hyper::Result<Called> {
        let uri = Uri::builder().scheme("http").authority("localhost").path_and_query(path);
        let uri = uri.build().unwrap().to_string();
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", "application/grpc"));
        }
        headers.push(("te", "trailers"));
        let request = request(method, &uri, &headers, body);
        let response = self.sender.clone().send_request(request);
        let (head, body) = timeout(SOON, response).await.unwrap()?.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_else(|| head.headers.clone());
        let body = body.to_bytes();
        let text = |name| trailers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let details = trailers.get("grpc-status-details-bin");
        Ok(Called {
            http: head.status,
            code: text("grpc-status").map_or(-1, |code| code.parse().unwrap()),
            message: text("grpc-message").unwrap_or_default(),
            details: details.map(|details| {
                let details = STANDARD_NO_PAD.decode(details).unwrap();
                rpc::Status::decode(&details[..]).unwrap()
            }),
            answer: (body.len() >= 5).then(|| body.slice(5..)),
            headers: head.headers,
        })
    }
}

/// A message with the prefix of gRPC.
pub fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut framed = vec![flag];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    framed
}

/// What the server sends until it closes the connection.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut read = Vec::new();
    // Bytes that came before a reset count.
    let _ = timeout(SOON, stream.read_to_end(&mut read)).await.expect("the server closes");
    read
}

/// Reads one answer over HTTP/1.1: up to the end of the body that its `content-length` says.
pub async fn answer(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&read);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length = length.map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    return text.into_owned();
                }
            }
            let mut piece = [0; 1024];
            let size = stream.read(&mut piece).await.unwrap();
            assert!(size > 0, "closed after {text:?}");
            read.extend(&piece[..size]);
        }
    };
    timeout(SOON, reading).await.expect("an answer")
}

/// Whether nothing comes for a while; only for asserting that something does not happen.
pub async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(Duration::from_millis(50), stream.read(&mut [0; 1])).await.is_err()
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(data, 1).unwrap()
}

/// Without the size in its header.
pub fn zstd_stream(data: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(data, 1).unwrap()
}

pub fn snappy(data: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(data).unwrap()
}

pub fn snappy_framed(data: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(data).unwrap();
    encoder.into_inner().unwrap()
}
