//! Servers and clients against each other, and against clients that mean harm.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;

const SOON: Duration = Duration::from_secs(10);

/// A server that echoes, and waits for `gate` at `/wait`.
struct Echo {
    addr: SocketAddr,
    stop: CancellationToken,
    gate: Arc<Semaphore>,
    entered: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Echo {
    fn start(options: ServerOptions) -> Self {
        let listener = bind_tcp("127.0.0.1:0").unwrap().listener;
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let gate = Arc::new(Semaphore::new(0));
        let entered = Arc::new(AtomicUsize::new(0));
        let state = (Arc::clone(&gate), Arc::clone(&entered));
        let handler = move |request: Request<Incoming>, _peer| {
            let (gate, entered) = state.clone();
            async move {
                entered.fetch_add(1, Ordering::SeqCst);
                if request.uri().path() == "/wait" {
                    gate.acquire().await.unwrap().forget();
                }
                answer(request).await
            }
        };
        let socket = Socket::try_from(listener).unwrap();
        let task = tokio::spawn(serve(socket, options, handler, stop.clone()));
        Self { addr, stop, gate, entered, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    async fn until_entered(&self, count: usize) {
        let entered = async {
            while self.entered.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SOON, entered).await.unwrap();
    }

    async fn stopped(self) {
        self.stop.cancel();
        timeout(SOON, self.task).await.unwrap().unwrap();
    }
}

async fn answer(request: Request<Incoming>) -> Response<Body> {
    let limits = BodyLimits { max_bytes: 1 << 20, ..BodyLimits::default() };
    match read_body(request.into_body(), &limits, |_| Ok::<_, ()>(())).await {
        Ok(body) => Response::new(Body::from(body)),
        Err(BodyError::TooLarge { .. }) => text(StatusCode::PAYLOAD_TOO_LARGE, "too large"),
        Err(error) => text(StatusCode::BAD_REQUEST, format!("{error:?}")),
    }
}

fn post(url: &str, body: &'static [u8]) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .body(Full::new(Bytes::from_static(body)))
        .unwrap()
}

fn client() -> Client {
    Client::new(ClientOptions { timeout: Some(SOON), ..ClientOptions::default() })
}

/// What the server sends until it closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    match timeout(SOON, stream.read_to_end(&mut read)).await.unwrap() {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn client_and_server_exchange_over_http1() {
    let server = Echo::start(ServerOptions::default());
    let client = client();
    for body in [&b""[..], b"hello", &[7; 300_000]] {
        let response = client.send(post(&server.url("/"), body)).await.unwrap();
        assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_11));
        assert_eq!(&response.body()[..], body);
    }
    drop(client);
    server.stopped().await;
}

#[tokio::test]
async fn requests_under_way_are_finished_at_stop() {
    let server = Echo::start(ServerOptions::default());
    let url = server.url("/wait");
    let request = tokio::spawn(async move { client().send(post(&url, b"late")).await });
    server.until_entered(1).await;
    server.stop.cancel();
    server.gate.add_permits(1);
    let response = timeout(SOON, request).await.unwrap().unwrap().unwrap();
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(&response.body()[..], b"late");
    server.stopped().await;
}

#[tokio::test]
async fn requests_that_never_end_do_not_hold_up_a_stop() {
    let drain = Duration::from_millis(50);
    let server = Echo::start(ServerOptions { drain, ..ServerOptions::default() });
    let url = server.url("/wait");
    let request = tokio::spawn(async move { client().send(post(&url, b"never")).await });
    server.until_entered(1).await;
    server.stopped().await;
    let error = timeout(SOON, request).await.unwrap().unwrap().unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn answer_to_an_oversized_body_is_read_by_a_client_that_still_sends() {
    let server = Echo::start(ServerOptions::default());
    let mut stream = server.connect().await;
    let head = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8000000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    for _ in 0..80 {
        stream.write_all(&[0; 100_000]).await.unwrap();
    }
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413"));
    server.stopped().await;
}

#[tokio::test]
async fn too_many_header_bytes_are_answered_431() {
    let server = Echo::start(ServerOptions::default());
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-long: ").await.unwrap();
    // The server may close before all of it is sent.
    let _ = stream.write_all(&[b'a'; 200_000]).await;
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 431"));
    server.stopped().await;
}

#[tokio::test]
async fn silent_and_slow_clients_are_closed() {
    let header_timeout = Duration::from_millis(50);
    let server = Echo::start(ServerOptions { header_timeout, ..ServerOptions::default() });
    for sent in [&b""[..], b"PRI * HT", b"GET / HT", b"GET / HTTP/1.1\r\nhost: loc"] {
        let mut stream = server.connect().await;
        stream.write_all(sent).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let idle_timeout = Some(Duration::from_millis(50));
    let server = Echo::start(ServerOptions { idle_timeout, ..ServerOptions::default() });
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"));
    server.stopped().await;
}

#[tokio::test]
async fn old_connections_are_closed_after_the_request_they_have() {
    let server = Echo::start(ServerOptions {
        max_connection_age: Some(Duration::from_millis(50)),
        ..ServerOptions::default()
    });
    let mut stream = server.connect().await;
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    server.until_entered(1).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    server.gate.add_permits(1);
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    server.stopped().await;
}

#[tokio::test]
async fn full_server_closes_idle_connections_and_serves_on() {
    let server = Echo::start(ServerOptions { max_connections: 8, ..ServerOptions::default() });
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(server.connect().await);
    }
    let response = client().send(post(&server.url("/"), b"still")).await.unwrap();
    assert_eq!(&response.body()[..], b"still");
    drop(idle);
    server.stopped().await;
}

#[tokio::test]
async fn http1_is_refused_where_only_http2_is_spoken() {
    let server =
        Echo::start(ServerOptions { protocol: Protocol::Http2, ..ServerOptions::default() });
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    server.stopped().await;
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn flood_of_reset_streams_ends_the_connection_only() {
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    // `:method: POST`, `:scheme: http`, `:path: /wait`, `:authority: a` (RFC 7541).
    let fields = [0x83, 0x86, 0x04, 5, b'/', b'w', b'a', b'i', b't', 0x41, 1, b'a'];
    let server = Echo::start(ServerOptions::default());
    let mut stream = server.connect().await;
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    for id in (1..200_000).step_by(2) {
        sent.extend(frame(HEADERS, 4, id, &fields));
        sent.extend(frame(RESET, 0, id, &8u32.to_be_bytes()));
    }
    // The server may close before all of it is sent.
    let _ = timeout(SOON, stream.write_all(&sent)).await.unwrap();
    rest(&mut stream).await;
    let response = client().send(post(&server.url("/"), b"still")).await.unwrap();
    assert_eq!(&response.body()[..], b"still");
    server.stopped().await;
}

#[tokio::test]
async fn client_names_what_is_in_the_way() {
    let unknown = client().send(post("http://no-such-host.invalid/", b"")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "unknown host `no-such-host.invalid`");
    assert!(unknown.is_retryable());
    let server = Echo::start(ServerOptions::default());
    let impatient = ClientOptions {
        timeout: Some(Duration::from_millis(20)),
        max_response_bytes: 10,
        ..ClientOptions::default()
    };
    let impatient = Client::new(impatient);
    let late = impatient.send(post(&server.url("/wait"), b"")).await.unwrap_err();
    assert!(matches!(late, ClientError::Timeout { .. }), "{late:?}");
    let large = impatient.send(post(&server.url("/"), b"eleven byte")).await.unwrap_err();
    assert!(matches!(large, ClientError::TooLarge { max_bytes: 10 }), "{large:?}");
    assert!(!large.is_retryable());
    server.stopped().await;
}
