//! The exporter itself: a batch's own bytes as the message, compressed once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::call::{Caller, Message, ToServer};
use crate::codec::compress::{Compression, Framing, compress};
use crate::codec::inflate::{Encoding, inflate};
use crate::component::{
    ClientAuth, ExportError, Exporter, Lane, Payload, Prepared, Rejection, Request, Sent,
};
use crate::data::{Batch, Context, DoorLimits, Signal};
use crate::net::Connector;

/// Small enough for a server with default windows, large enough for few frames.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// What a gRPC exporter is made of.
pub(super) struct Parts {
    /// Makes connections.
    pub(super) connector: Connector,
    /// The server: scheme, host, port.
    pub(super) server: Uri,
    /// What to call it, if not by host and port.
    pub(super) authority: Option<Authority>,
    /// The user's headers.
    pub(super) headers: HeaderMap,
    /// Adds credentials.
    pub(super) auth: Option<Arc<dyn ClientAuth>>,
    /// How messages are compressed.
    pub(super) compression: Compression,
    /// Silence after which the server is pinged, how long it has to answer, and whether that is
    /// done without calls under way.
    pub(super) keepalive: Option<(Duration, Duration, bool)>,
    /// Whether `RESOURCE_EXHAUSTED` is always tried again.
    pub(super) retries_exhausted: bool,
}

/// Sends batches to an OTLP/gRPC server.
pub(super) struct GrpcExporter {
    caller: Caller,
    compression: Compression,
}

impl GrpcExporter {
    /// An exporter for one signal; connects when there is something to send.
    pub(super) fn try_new(parts: Parts, signal: Signal) -> Result<Self, http::Error> {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .http2_only(true)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(None)
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES);
        if let Some((time, timeout, while_idle)) = parts.keepalive {
            builder
                .http2_keep_alive_interval(time)
                .http2_keep_alive_timeout(timeout)
                .http2_keep_alive_while_idle(while_idle);
        }
        let mut uri = parts.server.clone().into_parts();
        uri.path_and_query = Some(PathAndQuery::from_static(method(signal)));
        uri.authority = parts.authority.or(uri.authority);
        let caller = Caller {
            client: builder.build(ToServer { connector: parts.connector, server: parts.server }),
            uri: Uri::from_parts(uri)?,
            headers: Caller::headers(parts.headers, parts.compression.header()),
            auth: parts.auth,
            retries_exhausted: parts.retries_exhausted,
        };
        Ok(Self { caller, compression: parts.compression })
    }
}

#[async_trait]
impl Exporter for GrpcExporter {
    fn prepares_apart(&self) -> bool {
        self.compression != Compression::None
    }

    fn prepare(&self, batch: Batch) -> Prepared {
        if self.compression == Compression::None {
            return Prepared::whole(batch);
        }
        let (num_records, signal) = (batch.num_records(), batch.signal());
        let context = Arc::clone(batch.context());
        match compress(batch.chunks(), self.compression, Framing::Framed, None) {
            Ok(body) => Prepared {
                requests: vec![Request {
                    lane: Lane::Any,
                    num_records,
                    size_bytes: body.len(),
                    parts: batch.parts().clone(),
                    payload: Payload::Native(Box::new(Packed { body, signal, context })),
                }],
                rejected: Vec::new(),
            },
            Err(error) => Prepared {
                requests: Vec::new(),
                rejected: vec![Rejection { num_records, reason: error.to_string() }],
            },
        }
    }

    async fn send(&self, request: &Request) -> Result<Sent, ExportError> {
        let message = match &request.payload {
            Payload::Batch(batch) => Message::try_new(batch.chunks(), false),
            Payload::Native(native) => match native.downcast_ref::<Packed>() {
                Some(packed) => Message::try_new(&[Bytes::clone(&packed.body)], true),
                None => Message::try_new(&[], false),
            },
            Payload::Bytes(body) => Message::try_new(&[Bytes::clone(body)], true),
        };
        match message {
            Ok(message) => self.caller.export(message).await,
            Err(error) => Err(ExportError::Rejected { source: error.into() }),
        }
    }

    fn records(&self, request: &Request) -> Option<Batch> {
        match &request.payload {
            Payload::Batch(batch) => Some(batch.clone()),
            Payload::Native(native) => native.downcast_ref::<Packed>()?.plain(self.compression),
            Payload::Bytes(_) => None,
        }
    }
}

/// A message that is compressed, and what else is known of its batch.
struct Packed {
    body: Bytes,
    signal: Signal,
    context: Arc<Context>,
}

impl Packed {
    /// The batch that it was made of.
    fn plain(&self, compression: Compression) -> Option<Batch> {
        let encoding = Encoding::from_name(compression.header()?)?;
        let all = &mut |_| Ok::<_, Infallible>(());
        let body = inflate(encoding, &self.body, usize::MAX, all).ok()?;
        let context = Arc::clone(&self.context);
        Some(Batch::try_new(self.signal, body, context, &DoorLimits::NONE).ok()?.batch)
    }
}

const fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}
