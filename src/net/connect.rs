//! Connecting to servers, with errors that say what is in the way.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tls::ClientTlsConfig;

/// Silence after which the system asks whether the server is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// Why there is no connection. All but a malformed address may go away by itself.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address has no host, or its scheme is neither `http` nor `https`.
    #[error("`{uri}` is not an address to connect to")]
    Malformed {
        /// The address.
        uri: String,
    },
    /// The host is not known.
    #[error("unknown host `{host}`")]
    UnknownHost {
        /// The host.
        host: String,
        /// What the resolver said.
        source: Arc<io::Error>,
    },
    /// Nobody answers there.
    #[error("cannot connect to `{address}`")]
    Refused {
        /// Host and port.
        address: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The server's certificate is not good, or ours is not to it, or it does not speak TLS.
    #[error("cannot agree on TLS with `{address}`")]
    Tls {
        /// Host and port.
        address: String,
        /// What is wrong.
        source: Arc<io::Error>,
    },
    /// It took too long.
    #[error("`{address}` did not answer in time")]
    Timeout {
        /// Host and port.
        address: String,
    },
    /// The address is `https`, but TLS is not set up.
    #[error("`{uri}` asks for TLS, which `insecure: true` turns off")]
    NoTls {
        /// The address.
        uri: String,
    },
}

/// A connection, encrypted or not.
pub type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects to the host of an address; over TLS when its scheme is `https`.
///
/// It serves hyper's and tonic's clients.
#[derive(Clone, Debug)]
pub struct Connector {
    tls: Option<Arc<ClientTlsConfig>>,
    connect_timeout: Duration,
}

impl Connector {
    /// A connector that gives up after `connect_timeout`.
    #[must_use]
    pub const fn new(tls: Option<Arc<ClientTlsConfig>>, connect_timeout: Duration) -> Self {
        Self { tls, connect_timeout }
    }

    /// Connects to the host of `uri`.
    ///
    /// # Errors
    ///
    /// Says what is in the way.
    pub async fn connect(self, uri: Uri) -> Result<Connection, ConnectError> {
        let target = Target::try_new(&uri)?;
        let address = format!("{}:{}", target.host, target.port);
        match timeout(self.connect_timeout, self.open(&uri, &target, &address)).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectError::Timeout { address }),
        }
    }

    async fn open(
        &self,
        uri: &Uri,
        target: &Target<'_>,
        address: &str,
    ) -> Result<Connection, ConnectError> {
        let stream = dial(target, address).await?;
        if !target.is_tls {
            return Ok(MaybeHttpsStream::Http(TokioIo::new(stream)));
        }
        let tls = self.tls.as_ref().ok_or_else(|| ConnectError::NoTls { uri: uri.to_string() })?;
        let server_name = match tls.server_name() {
            Some(name) => name.clone(),
            None => ServerName::try_from(target.host.to_owned())
                .map_err(|_| ConnectError::Malformed { uri: uri.to_string() })?,
        };
        let stream = TlsConnector::from(tls.current())
            .connect(server_name, TokioIo::new(TokioIo::new(stream)))
            .await
            .map_err(|error| ConnectError::Tls {
                address: address.to_owned(),
                source: Arc::new(error),
            })?;
        Ok(MaybeHttpsStream::from(stream))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Connection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Where to connect to.
struct Target<'a> {
    host: &'a str,
    port: u16,
    is_tls: bool,
}

impl<'a> Target<'a> {
    fn try_new(uri: &'a Uri) -> Result<Self, ConnectError> {
        let malformed = || ConnectError::Malformed { uri: uri.to_string() };
        let host = uri.host().ok_or_else(malformed)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(malformed()),
        };
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { host, port, is_tls })
    }
}

/// Tries the addresses of a host one after the other, IPv4 and IPv6 as the resolver orders them.
async fn dial(target: &Target<'_>, address: &str) -> Result<TcpStream, ConnectError> {
    let unknown =
        |error| ConnectError::UnknownHost { host: target.host.to_owned(), source: Arc::new(error) };
    let found: Vec<SocketAddr> =
        lookup_host((target.host, target.port)).await.map_err(unknown)?.collect();
    let mut last = None;
    for candidate in found {
        match TcpStream::connect(candidate).await {
            Ok(stream) => {
                // Both only make things better; a broken connection shows when it is used.
                let _ = stream.set_nodelay(true);
                let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE);
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => {
            Err(ConnectError::Refused { address: address.to_owned(), source: Arc::new(error) })
        }
        None => Err(unknown(io::ErrorKind::NotFound.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failure(uri: &str) -> ConnectError {
        let connector = Connector::new(None, Duration::from_secs(5));
        connector.connect(uri.parse().unwrap()).await.err().unwrap()
    }

    #[tokio::test]
    async fn failures_name_host_or_address() {
        let unknown = failure("http://no-such-host.invalid:1").await;
        assert_eq!(unknown.to_string(), "unknown host `no-such-host.invalid`");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let without_tls = failure(&format!("https://{address}")).await;
        assert!(matches!(without_tls, ConnectError::NoTls { .. }));
        drop(listener);
        let refused = failure(&format!("http://{address}")).await;
        assert_eq!(refused.to_string(), format!("cannot connect to `{address}`"));
        assert!(matches!(failure("/path").await, ConnectError::Malformed { .. }));
        assert!(matches!(failure("ftp://localhost").await, ConnectError::Malformed { .. }));
    }
}
