//! HTTP servers: accepting connections, their limits, and their end.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::connection::{Accepted, Server};
use super::reply::Body;
use super::tls::ServerTlsConfig;
use super::watch::Activity;

/// How long a server that cannot accept (no file handles) waits before it tries again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a full server waits for a connection to end before it looks for an idle one again.
const FULL_PAUSE: Duration = Duration::from_millis(100);
/// Silence after which the system asks whether a client is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 or HTTP/2, as the client begins.
    Auto,
    /// HTTP/2 only, for gRPC.
    Http2,
}

/// The limits of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// What it speaks.
    pub protocol: Protocol,
    /// TLS, if any.
    pub tls: Option<Arc<ServerTlsConfig>>,
    /// Connections at one time; beyond that the one that is idle longest is closed.
    pub max_connections: usize,
    /// Largest size of all headers of a request.
    pub max_header_bytes: usize,
    /// Longest time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Longest time for the headers of a request, and from the start to the first request.
    pub header_timeout: Duration,
    /// Longest time that a write may wait for the client.
    pub write_timeout: Option<Duration>,
    /// Longest time without a request.
    pub idle_timeout: Option<Duration>,
    /// Whether HTTP/1.1 connections serve more than one request.
    pub keep_alive: bool,
    /// Silence after which an HTTP/2 client is pinged.
    pub ping_interval: Option<Duration>,
    /// How long an HTTP/2 client has to answer a ping.
    pub ping_timeout: Duration,
    /// Longest life of a connection.
    pub max_connection_age: Option<Duration>,
    /// How long requests may go on after that.
    pub max_connection_age_grace: Duration,
    /// HTTP/2 requests at one time on a connection.
    pub max_concurrent_streams: u32,
    /// Largest HTTP/2 frame that clients may send.
    pub max_frame_bytes: u32,
    /// What an HTTP/2 client may send ahead on a stream.
    pub stream_window_bytes: u32,
    /// What an HTTP/2 client may send ahead on a connection.
    pub connection_window_bytes: u32,
    /// How long requests may go on after the server was told to stop.
    pub drain: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        const MIB: u32 = 1024 * 1024;
        Self {
            protocol: Protocol::Auto,
            tls: None,
            max_connections: 4096,
            max_header_bytes: 64 * 1024,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(60),
            write_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(60)),
            keep_alive: true,
            ping_interval: None,
            ping_timeout: Duration::from_secs(20),
            max_connection_age: None,
            max_connection_age_grace: Duration::from_secs(60),
            max_concurrent_streams: 256,
            max_frame_bytes: MIB,
            stream_window_bytes: 8 * MIB,
            connection_window_bytes: 32 * MIB,
            drain: Duration::from_secs(5),
        }
    }
}

/// The other end of a connection.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Its address; none on a Unix domain socket.
    pub addr: Option<SocketAddr>,
    /// The certificate that it proved to own (mTLS).
    pub certificate: Option<CertificateDer<'static>>,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
}

/// A listening socket within the runtime.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix domain socket.
    Unix(UnixListener),
}

impl TryFrom<StdTcpListener> for Socket {
    type Error = io::Error;

    fn try_from(listener: StdTcpListener) -> io::Result<Self> {
        TcpListener::from_std(listener).map(Self::Tcp)
    }
}

impl TryFrom<StdUnixListener> for Socket {
    type Error = io::Error;

    fn try_from(listener: StdUnixListener) -> io::Result<Self> {
        UnixListener::from_std(listener).map(Self::Unix)
    }
}

/// A client that was accepted.
enum Client {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Socket {
    async fn accept(&self) -> io::Result<Client> {
        match self {
            Self::Tcp(listener) => {
                let (stream, addr) = listener.accept().await?;
                Ok(Client::Tcp(stream, addr))
            }
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Client::Unix(stream)),
        }
    }
}

/// Serves `socket` with `handler` until `stop` is cancelled; then finishes the requests under way,
/// for no longer than `options.drain`.
pub async fn serve<H, F>(
    socket: Socket,
    options: ServerOptions,
    handler: H,
    stop: CancellationToken,
) where
    H: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let connections = Arc::new(Connections::default());
    let tasks = TaskTracker::new();
    let max_connections = options.max_connections.max(1);
    let server = Arc::new(Server { options, handler, stop: stop.clone(), tasks: tasks.clone() });
    loop {
        let accepted = tokio::select! {
            // Whoever takes this server's place takes what comes after the stop.
            biased;
            () = stop.cancelled() => break,
            accepted = connections.accept(&socket, max_connections) => accepted,
        };
        match accepted {
            Ok(client) => {
                let entry = connections.enter();
                tasks.spawn(serve_client(Arc::clone(&server), client, entry));
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                warn!(%error, "cannot accept connections, will retry");
                connections.evict_idlest(1);
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(socket);
    tasks.close();
    tasks.wait().await;
}

async fn serve_client<H, F>(server: Arc<Server<H>>, client: Client, entry: Entry)
where
    H: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    match client {
        Client::Tcp(stream, addr) => {
            set_options(&stream);
            serve_stream(&server, stream, Some(addr), &entry).await;
        }
        Client::Unix(stream) => serve_stream(&server, stream, None, &entry).await,
    }
}

async fn serve_stream<H, F, S>(
    server: &Server<H>,
    stream: S,
    addr: Option<SocketAddr>,
    entry: &Entry,
) where
    H: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::clone(&entry.activity);
    let Some(tls) = &server.options.tls else {
        let peer = Arc::new(Peer { addr, ..Peer::default() });
        return server.serve(Accepted { stream, peer, activity }).await;
    };
    let handshake = TlsAcceptor::from(tls.current()).accept(stream);
    let shaken = tokio::select! {
        shaken = timeout(server.options.handshake_timeout, handshake) => shaken,
        () = server.stopped(&activity) => return,
        () = activity.evict.notified() => return,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(|chain| chain.first()).cloned();
            let peer = Arc::new(Peer {
                addr,
                certificate: certificate.map(CertificateDer::into_owned),
                is_tls: true,
            });
            server.serve(Accepted { stream, peer, activity }).await;
        }
        Ok(Err(error)) => debug!(?addr, %error, "TLS handshake failed"),
        Err(_) => debug!(?addr, "TLS handshake did not end in time"),
    }
}

fn set_options(stream: &TcpStream) {
    // Both only make things better; a connection that is gone already shows when it is read.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Errors of `accept` that only mean that this one client is gone again.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// The connections of a server.
#[derive(Debug, Default)]
struct Connections {
    open: Mutex<Open>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    activities: HashMap<u64, Arc<Activity>>,
}

impl Connections {
    /// Accepts when there is room, and makes room when there is none.
    async fn accept(&self, socket: &Socket, max_connections: usize) -> io::Result<Client> {
        while self.len() >= max_connections {
            self.evict_idlest((max_connections / 64).max(1));
            // Woken when a connection ends, or else to look for an idle one again.
            let _ = timeout(FULL_PAUSE, self.left.notified()).await;
        }
        socket.accept().await
    }

    fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).activities.len()
    }

    fn enter(self: &Arc<Self>) -> Entry {
        let activity = Arc::new(Activity::new());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let id = open.next;
        open.next += 1;
        open.activities.insert(id, Arc::clone(&activity));
        Entry { id, activity, connections: Arc::clone(self) }
    }

    /// Asks `count` connections that are without a request for the longest time to close.
    fn evict_idlest(&self, count: usize) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle: Vec<_> = open
            .activities
            .values()
            .filter_map(|activity| activity.idle_since().map(|since| (since, activity)))
            .collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        for (_, activity) in idle.into_iter().take(count) {
            activity.evict.notify_one();
        }
    }
}

/// A connection's place among the others; left when dropped.
#[derive(Debug)]
struct Entry {
    id: u64,
    activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.activities.remove(&self.id);
        drop(open);
        self.connections.left.notify_one();
    }
}
