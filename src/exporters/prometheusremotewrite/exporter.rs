//! The exporter itself: series over lanes, one POST each.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Response, Uri};
use http_body_util::Full;

use super::super::http_answer::{Refusal, no_answer, retry_after};
use super::request::{Block, halve};
use crate::codec::otlp_answer::shortened;
use crate::codec::remote_write::{Settings, Targets, encode};
use crate::component::{
    ClientAuth, ExportError, Exporter, Lane, Prepared, Rejection, Request, Sent,
};
use crate::data::Batch;
use crate::net::Client;
use crate::telemetry::Clock;

const AGENT: &str = concat!("catchment/", env!("CARGO_PKG_VERSION"));
const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");

/// Sends metrics to a remote-write 1.0 receiver.
pub(super) struct RemoteWriteExporter {
    /// Keeps connections.
    pub(super) client: Client,
    /// Where to.
    pub(super) uri: Uri,
    /// Headers that are the same for every request.
    pub(super) headers: HeaderMap,
    /// Adds credentials.
    pub(super) auth: Option<Arc<dyn ClientAuth>>,
    /// How metrics become series.
    pub(super) settings: Settings,
    /// Up to when `target_info` was sent.
    pub(super) targets: Targets,
    /// Against which dates in answers are read.
    pub(super) clock: Clock,
}

impl RemoteWriteExporter {
    /// The headers of every request; the user's cannot replace those that the protocol asks for.
    pub(super) fn headers(user: HeaderMap) -> HeaderMap {
        let mut headers = user;
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        headers.insert(VERSION, HeaderValue::from_static("0.1.0"));
        headers
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

    /// What the driver shall do (remote-write 1.0, "Retries & Backoff").
    fn classify(&self, block: &Block, response: &Response<Bytes>) -> Result<Sent, ExportError> {
        let status = response.status();
        if status.is_success() {
            return Ok(Sent::DURABLE);
        }
        let refusal = Refusal::read(response);
        if status.is_server_error() || status.as_u16() == 429 {
            let after = retry_after(response.headers(), self.clock.now());
            return Err(ExportError::Retry { after, source: refusal.into() });
        }
        // A receiver refuses a request for one bad sample, and also one that is too large.
        if matches!(status.as_u16(), 400 | 413) {
            let source = match block.only_series() {
                Some(series) => RefusedSeries { series: shortened(&series), refusal }.into(),
                None => refusal.into(),
            };
            return Err(ExportError::Divide { source });
        }
        Err(ExportError::Rejected { source: refusal.into() })
    }
}

/// A series that is refused by itself.
#[derive(Debug, thiserror::Error)]
#[error("the series {series} is refused")]
struct RefusedSeries {
    series: String,
    #[source]
    refusal: Refusal,
}

#[async_trait]
impl Exporter for RemoteWriteExporter {
    fn is_ordered(&self) -> bool {
        true
    }

    fn prepares_apart(&self) -> bool {
        true
    }

    fn prepare(&self, batch: Batch) -> Prepared {
        let encoded = encode(&batch, &self.settings, &self.targets);
        let mut prepared = Prepared::default();
        for (num_records, reason) in encoded.rejected {
            prepared.rejected.push(Rejection { num_records, reason: reason.to_string() });
        }
        for write in encoded.writes {
            let (lane, num_records) = (Lane::Key(write.lane), write.num_records());
            match Block::try_new(write) {
                Ok(block) => {
                    prepared.requests.push(block.into_request(lane, batch.parts().clone()));
                }
                Err(error) => {
                    prepared.rejected.push(Rejection { num_records, reason: error.to_string() });
                }
            }
        }
        prepared
    }

    async fn send(&self, request: &Request) -> Result<Sent, ExportError> {
        let Some(block) = Block::of(request) else { return Ok(Sent::DURABLE) };
        let response = self.post(block.body.clone()).await?;
        self.classify(block, &response)
    }

    fn halve(&self, request: Request) -> Result<[Request; 2], Request> {
        halve(request)
    }
}
