//! An HTTP client: pooled connections, a time limit, capped responses, errors by situation.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::body::{self, BodyError, BodyLimits};
use super::connect::{ConnectError, Connector};
use super::tls::ClientTlsConfig;

/// Largest response that is read (OTLP specification, "OTLP/HTTP Response").
const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// TLS for `https` addresses; without it they are refused.
    pub tls: Option<Arc<ClientTlsConfig>>,
    /// Longest time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Longest time from sending to the end of the response; none: the caller has its own.
    pub timeout: Option<Duration>,
    /// Connections to a host that are kept without use.
    pub max_idle_per_host: usize,
    /// How long they are kept; none: until the server closes them.
    pub idle_timeout: Option<Duration>,
    /// Silence after which an HTTP/2 server is pinged.
    pub ping_interval: Option<Duration>,
    /// How long an HTTP/2 server has to answer a ping.
    pub ping_timeout: Duration,
    /// Largest response that is read.
    pub max_response_bytes: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            tls: None,
            connect_timeout: Duration::from_secs(10),
            timeout: None,
            max_idle_per_host: 100,
            idle_timeout: Some(Duration::from_secs(90)),
            ping_interval: None,
            ping_timeout: Duration::from_secs(15),
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

/// Why there is no response. All may go away by themselves but where the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no connection.
    #[error(transparent)]
    Connect(ConnectError),
    /// It took longer than the client waits.
    #[error("no response in {} s", timeout.as_secs_f64())]
    Timeout {
        /// The limit.
        timeout: Duration,
    },
    /// The connection broke off before the response was there.
    #[error("the connection broke off")]
    Broken {
        /// What happened.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The response is larger than is read; sending again does not help.
    #[error("the response is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// The request cannot be sent as it is; sending again does not help.
    #[error("the request cannot be sent")]
    Invalid {
        /// What is wrong.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ClientError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(error) => {
                !matches!(error, ConnectError::Malformed { .. } | ConnectError::NoTls { .. })
            }
            Self::Timeout { .. } | Self::Broken { .. } => true,
            Self::TooLarge { .. } | Self::Invalid { .. } => false,
        }
    }
}

/// An HTTP client. Over TLS it speaks HTTP/2 where the server does, else HTTP/1.1. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<Connector, Full<Bytes>>,
    timeout: Option<Duration>,
    limits: BodyLimits,
}

impl Client {
    /// A client without connections.
    #[must_use]
    pub fn new(options: ClientOptions) -> Self {
        let connector = Connector::new(options.tls, options.connect_timeout);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(options.max_idle_per_host)
            .pool_idle_timeout(options.idle_timeout)
            .http2_keep_alive_interval(options.ping_interval)
            .http2_keep_alive_timeout(options.ping_timeout)
            .build(connector);
        let limits = BodyLimits { max_bytes: options.max_response_bytes, ..BodyLimits::default() };
        Self { inner, timeout: options.timeout, limits }
    }

    /// Sends `request` and reads the response whole. Redirects are not followed.
    ///
    /// # Errors
    ///
    /// Fails when there is no whole response; a response of any status is none of these errors.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, ClientError> {
        let Some(limit) = self.timeout else {
            return self.exchange(request).await;
        };
        match timeout(limit, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::Timeout { timeout: limit }),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, ClientError> {
        let response = self.inner.request(request).await.map_err(classify)?;
        let (head, body) = response.into_parts();
        match body::read(body, &self.limits, |_| Ok::<_, Infallible>(())).await {
            Ok(body) => Ok(Response::from_parts(head, body)),
            Err(BodyError::TooLarge { max_bytes }) => Err(ClientError::TooLarge { max_bytes }),
            Err(BodyError::Timeout) => Err(ClientError::Timeout { timeout: self.limits.total }),
            Err(BodyError::Broken { source }) => Err(ClientError::Broken { source }),
            Err(BodyError::Refused(never)) => match never {},
        }
    }
}

fn classify(error: legacy::Error) -> ClientError {
    if error.is_connect() {
        let mut cause = error.source();
        while let Some(source) = cause {
            if let Some(found) = source.downcast_ref::<ConnectError>() {
                return ClientError::Connect(found.clone());
            }
            cause = source.source();
        }
    }
    let is_of_the_request = error
        .source()
        .and_then(|source| source.downcast_ref::<hyper::Error>())
        .is_some_and(hyper::Error::is_user);
    let source = error.into();
    if is_of_the_request { ClientError::Invalid { source } } else { ClientError::Broken { source } }
}
