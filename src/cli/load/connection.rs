//! A connection to the server, opened again when it is lost.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::target::Target;
use crate::component::{ExportError, Sent};
use crate::data::{Signal, Time};
use crate::exporters::{otlp, otlphttp};
use crate::net::{BodyLimits, ConnectError, read_body};

type Body = Full<Bytes>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum LostError {
    /// The server does not speak the protocol, or closed the connection at once.
    #[error("the connection cannot be used")]
    Handshake(#[source] hyper::Error),
    /// The connection broke off.
    #[error("the connection broke off")]
    Broken(#[source] hyper::Error),
    /// The answer did not end.
    #[error("the answer broke off")]
    Body(#[source] crate::net::BodyError<std::convert::Infallible>),
    /// It took too long.
    #[error("no answer in {} s", .0.as_secs_f64())]
    Timeout(std::time::Duration),
}

impl LostError {
    fn into_error(self) -> ExportError {
        ExportError::Retry { after: None, source: self.into() }
    }
}

/// A connection, of gRPC for many requests at a time, of HTTP/1.1 for one.
pub(super) struct Connection {
    target: Arc<Target>,
    http1: Mutex<Option<http1::SendRequest<Body>>>,
    http2: Mutex<Option<http2::SendRequest<Body>>>,
}

impl Connection {
    /// A connection that is not open yet.
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, http1: Mutex::new(None), http2: Mutex::new(None) }
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// Says what is in the way.
    pub(super) async fn open(&self) -> anyhow::Result<()> {
        if self.target.protocol.is_http() {
            *self.http1.lock().await = Some(self.open_http1().await?);
        } else {
            *self.http2.lock().await = Some(self.open_http2().await?);
        }
        Ok(())
    }

    /// Sends a request and waits for its answer; `now` is for dates in it.
    ///
    /// # Errors
    ///
    /// By what the sender shall do.
    pub(super) async fn send(
        &self,
        signal: Signal,
        body: Bytes,
        now: Time,
    ) -> Result<Sent, ExportError> {
        let limit = self.target.timeout;
        match timeout(limit, self.exchange(signal, body, now)).await {
            Ok(result) => result,
            Err(_) => Err(LostError::Timeout(limit).into_error()),
        }
    }

    async fn exchange(&self, signal: Signal, body: Bytes, now: Time) -> Result<Sent, ExportError> {
        let request = self.target.request(signal, body);
        if self.target.protocol.is_http() {
            let response = self.post(request).await?;
            return otlphttp::outcome(&response, now);
        }
        let mut sender = self.sender().await?;
        let response = sender.send_request(request).await;
        otlp::outcome(response.map_err(|error| LostError::Broken(error).into_error())?, false).await
    }

    /// The open connection, which is opened if it is not.
    async fn sender(&self) -> Result<http2::SendRequest<Body>, ExportError> {
        let mut kept = self.http2.lock().await;
        if let Some(sender) = kept.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let sender = self.open_http2().await.map_err(OpenError::into_error)?;
        *kept = Some(sender.clone());
        Ok(sender)
    }

    async fn post(&self, request: http::Request<Body>) -> Result<Response<Bytes>, ExportError> {
        // Nobody else waits for the lock: over HTTP each worker has a connection of its own.
        let mut kept = self.http1.lock().await;
        let mut open = kept.take();
        if let Some(sender) = &mut open
            && sender.ready().await.is_err()
        {
            open = None;
        }
        let mut sender = match open {
            Some(sender) => sender,
            None => self.open_http1().await.map_err(OpenError::into_error)?,
        };
        let broken = |error| LostError::Broken(error).into_error();
        let response: Response<Incoming> = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let body = read_body(body, &BodyLimits::default(), |_| Ok(()))
            .await
            .map_err(|error| LostError::Body(error).into_error())?;
        *kept = Some(sender);
        Ok(Response::from_parts(head, body))
    }

    async fn open_http1(&self) -> Result<http1::SendRequest<Body>, OpenError> {
        let stream = self.target.connector.clone().connect(self.target.server.clone()).await?;
        let (sender, driver) = http1::handshake(stream).await.map_err(LostError::Handshake)?;
        // It ends with the connection; what goes wrong shows in the requests.
        tokio::spawn(driver);
        Ok(sender)
    }

    async fn open_http2(&self) -> Result<http2::SendRequest<Body>, OpenError> {
        let stream = self.target.connector.clone().connect(self.target.server.clone()).await?;
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .handshake(stream)
            .await
            .map_err(LostError::Handshake)?;
        // As above.
        tokio::spawn(driver);
        Ok(sender)
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Lost(#[from] LostError),
}

impl OpenError {
    fn into_error(self) -> ExportError {
        ExportError::Retry { after: None, source: self.into() }
    }
}
