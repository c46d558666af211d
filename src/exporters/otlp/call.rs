//! One gRPC call: the message in frames out, status and answer in.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use smallvec::SmallVec;

use super::status::Status;
use crate::codec::otlp_answer::PartialSuccess;
use crate::component::{ClientAuth, Durability, ExportError, Sent};
use crate::net::{ConnectError, Connection, Connector};

/// Largest answer that is read (OTLP specification, "OTLP/gRPC Response").
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Length of the prefix of a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
const AGENT: &str = concat!("catchment/", env!("CARGO_PKG_VERSION"));

/// Why a call has no status from the server.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke off before the status was there.
    #[error("the connection broke off before the answer")]
    Broken {
        /// What happened.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer ended without a status.
    #[error("the answer has no gRPC status")]
    NoStatus,
    /// The answer is larger than is read.
    #[error("the answer is larger than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
    /// The message is larger than gRPC can say.
    #[error("the request is larger than 4 GiB")]
    RequestTooLarge,
    /// The credentials cannot be had.
    #[error("cannot add credentials")]
    Auth(#[from] crate::component::AuthError),
}

impl CallError {
    fn into_error(self) -> ExportError {
        let is_retryable = match &self {
            Self::Connect(error) => {
                !matches!(error, ConnectError::Malformed { .. } | ConnectError::NoTls { .. })
            }
            Self::Broken { .. } | Self::NoStatus | Self::Auth(_) => true,
            Self::TooLarge | Self::RequestTooLarge => false,
        };
        if is_retryable {
            return ExportError::Retry { after: None, source: self.into() };
        }
        ExportError::Rejected { source: self.into() }
    }
}

/// A gRPC message in pieces: its prefix, then what it consists of, nothing copied.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pieces: SmallVec<[Bytes; 2]>,
    next: usize,
    left: u64,
}

impl Message {
    /// A message that consists of `pieces`, laid end to end.
    pub(super) fn try_new(pieces: &[Bytes], is_compressed: bool) -> Result<Self, CallError> {
        let size_bytes: usize = pieces.iter().map(Bytes::len).sum();
        let length = u32::try_from(size_bytes).map_err(|_| CallError::RequestTooLarge)?;
        let mut prefix = BytesMut::with_capacity(PREFIX_BYTES);
        prefix.put_u8(u8::from(is_compressed));
        prefix.put_u32(length);
        let mut all = SmallVec::with_capacity(pieces.len() + 1);
        all.push(prefix.freeze());
        all.extend(pieces.iter().filter(|piece| !piece.is_empty()).cloned());
        Ok(Self { pieces: all, next: 0, left: (PREFIX_BYTES + size_bytes) as u64 })
    }
}

impl Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.pieces.get(self.next).cloned() else { return Poll::Ready(None) };
        self.next += 1;
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.pieces.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Connects to the server, whatever it is called in `:authority`.
#[derive(Clone, Debug)]
pub(super) struct ToServer {
    /// Makes connections.
    pub(super) connector: Connector,
    /// The server: scheme, host, port.
    pub(super) server: Uri,
}

impl tower_service::Service<Uri> for ToServer {
    type Response = Connection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        Box::pin(self.connector.clone().connect(self.server.clone()))
    }
}

/// Calls one method of one server.
pub(super) struct Caller {
    /// Keeps the connection.
    pub(super) client: legacy::Client<ToServer, Message>,
    /// Server and method.
    pub(super) uri: Uri,
    /// Headers that are the same for every call.
    pub(super) headers: HeaderMap,
    /// Adds credentials.
    pub(super) auth: Option<Arc<dyn ClientAuth>>,
    /// Whether `RESOURCE_EXHAUSTED` is always tried again.
    pub(super) retries_exhausted: bool,
}

impl Caller {
    /// The headers of every call: those of gRPC, and the user's, which cannot replace them.
    pub(super) fn headers(user: HeaderMap, encoding: Option<&'static str>) -> HeaderMap {
        let mut headers = user;
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let name = HeaderName::from_static("grpc-encoding");
        headers.remove(&name);
        if let Some(encoding) = encoding {
            headers.insert(name, HeaderValue::from_static(encoding));
        }
        headers
    }

    /// Sends one export request.
    ///
    /// # Errors
    ///
    /// By what the driver shall do.
    pub(super) async fn export(&self, message: Message) -> Result<Sent, ExportError> {
        match self.call(message).await {
            Ok(response) => outcome(response, self.retries_exhausted).await,
            Err(error) => Err(error.into_error()),
        }
    }

    async fn call(&self, message: Message) -> Result<Response<Incoming>, CallError> {
        let mut request = Request::new(message);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(auth) = &self.auth {
            auth.authorize(request.headers_mut())?;
        }
        self.client.request(request).await.map_err(classify)
    }
}

/// Reads the server's answer to an export request.
///
/// # Errors
///
/// By what the sender shall do.
pub(crate) async fn outcome(
    response: Response<Incoming>,
    retries_exhausted: bool,
) -> Result<Sent, ExportError> {
    match read(response).await {
        Ok((status, _)) if !status.is_ok() => Err(status.into_error(retries_exhausted)),
        Ok((_, answer)) => Ok(sent(&answer)),
        Err(error) => Err(error.into_error()),
    }
}

/// What a successful answer says.
fn sent(answer: &[u8]) -> Sent {
    match PartialSuccess::from_protobuf(answer) {
        Some(partial) => Sent {
            durability: Durability::Durable,
            num_rejected: partial.num_rejected,
            reason: Some(partial.message),
        },
        None => Sent::DURABLE,
    }
}

async fn read(response: Response<Incoming>) -> Result<(Status, Bytes), CallError> {
    let (head, mut body) = response.into_parts();
    if let Some(status) = Status::read(&head.headers) {
        return Ok((status, Bytes::new()));
    }
    if head.status != StatusCode::OK {
        return Ok((Status::of_http(head.status), Bytes::new()));
    }
    let mut answer = BytesMut::new();
    let mut status = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CallError::Broken { source: error.into() })?;
        match frame.into_data() {
            Ok(data) if answer.len() + data.len() > MAX_ANSWER_BYTES => {
                return Err(CallError::TooLarge);
            }
            Ok(data) => answer.extend_from_slice(&data),
            Err(frame) => status = frame.trailers_ref().and_then(Status::read),
        }
    }
    let status = status.ok_or(CallError::NoStatus)?;
    // Compressed answers are not asked for; one that comes all the same tells nothing more.
    let is_plain = answer.first() == Some(&0) && answer.len() >= PREFIX_BYTES;
    let answer = if is_plain { answer.split_off(PREFIX_BYTES).freeze() } else { Bytes::new() };
    Ok((status, answer))
}

fn classify(error: legacy::Error) -> CallError {
    let mut cause = error.source();
    while let Some(source) = cause {
        if let Some(found) = source.downcast_ref::<ConnectError>() {
            return CallError::Connect(found.clone());
        }
        cause = source.source();
    }
    CallError::Broken { source: error.into() }
}
