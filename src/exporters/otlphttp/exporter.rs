//! The exporter itself: a batch as one POST.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Response, Uri};
use http_body_util::Full;

use super::super::http_answer::{AnswerEncoding, Refusal, no_answer, retry_after};
use crate::codec::compress::{Compression, Framing, compress};
use crate::codec::otlp_answer::PartialSuccess;
use crate::codec::otlp_json;
use crate::component::{
    ClientAuth, Durability, ExportError, Exporter, Lane, Payload, Prepared, Rejection, Request,
    Sent,
};
use crate::data::{Batch, Time};
use crate::net::Client;
use crate::telemetry::Clock;

const AGENT: &str = concat!("catchment/", env!("CARGO_PKG_VERSION"));

/// Sends batches to an OTLP/HTTP server.
pub(super) struct HttpExporter {
    /// Keeps connections.
    pub(super) client: Client,
    /// Where to.
    pub(super) uri: Uri,
    /// Headers that are the same for every request.
    pub(super) headers: HeaderMap,
    /// Adds credentials.
    pub(super) auth: Option<Arc<dyn ClientAuth>>,
    /// How bodies are compressed, and how hard.
    pub(super) compression: (Compression, Option<i32>),
    /// How bodies are encoded.
    pub(super) encoding: Encoding,
    /// Against which dates in answers are read.
    pub(super) clock: Clock,
}

/// How requests are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Protobuf.
    #[default]
    Proto,
    /// JSON.
    Json,
}

impl HttpExporter {
    /// The headers of every request: the user's, but for those that say what the body is.
    pub(super) fn headers(
        user: HeaderMap,
        encoding: Encoding,
        compression: Compression,
    ) -> HeaderMap {
        let content_type = match encoding {
            Encoding::Proto => "application/x-protobuf",
            Encoding::Json => "application/json",
        };
        let mut headers = user;
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.remove(CONTENT_ENCODING);
        if let Some(name) = compression.header() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        headers
    }

    fn encoded(&self, batch: Batch) -> Result<Request, Rejection> {
        let (compression, level) = self.compression;
        let compressed = match self.encoding {
            Encoding::Proto => compress(batch.chunks(), compression, Framing::Block, level),
            Encoding::Json => {
                compress(&[otlp_json::encode(&batch)], compression, Framing::Block, level)
            }
        };
        let num_records = batch.num_records();
        match compressed {
            Ok(body) => Ok(Request {
                lane: Lane::Any,
                num_records,
                size_bytes: body.len(),
                parts: batch.parts().clone(),
                payload: Payload::Native(Box::new(Post { batch, body })),
            }),
            Err(error) => Err(Rejection { num_records, reason: error.to_string() }),
        }
    }

    async fn post(&self, body: Bytes) -> Result<Response<Bytes>, ExportError> {
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(auth) = &self.auth {
            auth.authorize(request.headers_mut())
                .map_err(|error| ExportError::Retry { after: None, source: error.into() })?;
        }
        self.client.send(request).await.map_err(no_answer)
    }
}

/// Reads the server's answer to an export request; dates in it are read against `now`.
///
/// # Errors
///
/// By what the sender shall do.
pub(crate) fn outcome(response: &Response<Bytes>, now: Time) -> Result<Sent, ExportError> {
    let status = response.status();
    if status.is_success() {
        return Ok(sent(response));
    }
    let source = Refusal::read(response).into();
    match status.as_u16() {
        429 | 502 | 503 | 504 => {
            Err(ExportError::Retry { after: retry_after(response.headers(), now), source })
        }
        413 => Err(ExportError::Divide { source }),
        _ => Err(ExportError::Rejected { source }),
    }
}

#[async_trait]
impl Exporter for HttpExporter {
    fn prepares_apart(&self) -> bool {
        self.encoding == Encoding::Json || self.compression.0 != Compression::None
    }

    fn prepare(&self, batch: Batch) -> Prepared {
        match self.encoded(batch) {
            Ok(request) => Prepared { requests: vec![request], rejected: Vec::new() },
            Err(rejection) => Prepared { requests: Vec::new(), rejected: vec![rejection] },
        }
    }

    async fn send(&self, request: &Request) -> Result<Sent, ExportError> {
        let Some(post) = Post::of(request) else { return Ok(Sent::DURABLE) };
        let response = self.post(post.body.clone()).await?;
        outcome(&response, self.clock.now())
    }

    fn halve(&self, request: Request) -> Result<[Request; 2], Request> {
        let halves = Post::of(&request).and_then(|post| {
            let pieces = post.batch.split(post.batch.num_records().div_ceil(2), 0);
            let [first, second] = <[Batch; 2]>::try_from(pieces).ok()?;
            Some([self.encoded(first).ok()?, self.encoded(second).ok()?])
        });
        halves.ok_or(request)
    }

    fn records(&self, request: &Request) -> Option<Batch> {
        Some(Post::of(request)?.batch.clone())
    }
}

/// A batch and the body that it makes.
struct Post {
    batch: Batch,
    body: Bytes,
}

impl Post {
    fn of(request: &Request) -> Option<&Self> {
        match &request.payload {
            Payload::Native(native) => native.downcast_ref(),
            Payload::Bytes(_) | Payload::Batch(_) => None,
        }
    }
}

fn sent(response: &Response<Bytes>) -> Sent {
    let partial = match AnswerEncoding::of(response.headers()) {
        AnswerEncoding::Protobuf => PartialSuccess::from_protobuf(response.body()),
        AnswerEncoding::Json => PartialSuccess::from_json(response.body()),
        AnswerEncoding::Text => None,
    };
    match partial {
        Some(partial) => Sent {
            durability: Durability::Durable,
            num_rejected: partial.num_rejected,
            reason: Some(partial.message),
        },
        None => Sent::DURABLE,
    }
}
