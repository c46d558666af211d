//! OTLP over gRPC: unary calls read from HTTP/2 frames.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::timeout;
use tracing::debug;

use super::frame;
use super::gate::{Format, Gate, Wire};
use super::response::Taken;
use super::status::{Code, Status, ok_trailers};
use crate::codec::inflate::Encoding;
use crate::data::Signal;
use crate::net::{Body, Peer, Pieces, text};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip,zstd,snappy,deflate");
const TIMEOUT: &str = "grpc-timeout";

/// Answers one call.
pub(super) async fn handle(
    gate: Arc<Gate>,
    request: Request<Incoming>,
    peer: Arc<Peer>,
) -> Response<Body> {
    if request.method() != Method::POST {
        let message = "405 method not allowed, supported: [POST]";
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, message);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if !is_grpc(request.headers()) {
        let message = "415 unsupported media type, supported: [application/grpc]";
        return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    let result = match deadline(request.headers()) {
        Err(status) => Err(status),
        Ok(None) => call(gate, request, &peer).await,
        Ok(Some(limit)) => match timeout(limit, call(gate, request, &peer)).await {
            Ok(result) => result,
            Err(_) => Err(Status::new(Code::DeadlineExceeded, "the call took too long")),
        },
    };
    match result {
        Ok(taken) => success(&taken),
        Err(status) => {
            debug!(addr = ?peer.addr, ?status, "request over gRPC refused");
            failure(&status)
        }
    }
}

async fn call(gate: Arc<Gate>, request: Request<Incoming>, peer: &Peer) -> Result<Taken, Status> {
    let (head, body) = request.into_parts();
    let signal = route(head.uri.path(), &gate)?;
    let context = gate.admit_client(&head.headers, peer)?;
    let encoding = encoding(&head.headers)?;
    let mut charge = gate.charge()?;
    let mut pieces = Pieces::new(body, gate.limits());
    let message = frame::read(&mut pieces, gate.limits().max_bytes, &mut charge).await?;
    let encoding = match (message.is_compressed, encoding) {
        (false, _) => Encoding::Identity,
        (true, Encoding::Identity) => {
            let message = "the message is compressed, but grpc-encoding does not say how";
            return Err(Status::new(Code::Internal, message));
        }
        (true, encoding) => encoding,
    };
    let wire = Wire { signal, format: Format::Protobuf, encoding, bytes: message.bytes, charge };
    gate.take(wire, context).await
}

fn route(path: &str, gate: &Gate) -> Result<Signal, Status> {
    const LOGS: &str = "opentelemetry.proto.collector.logs.v1.LogsService";
    const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";
    const METRICS: &str = "opentelemetry.proto.collector.metrics.v1.MetricsService";
    let unimplemented =
        |what, name| Status::new(Code::Unimplemented, format!("unknown {what} `{name}`"));
    let (service, method) = path
        .strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .ok_or_else(|| unimplemented("path", path))?;
    let signal = match service {
        LOGS => Signal::Logs,
        TRACES => Signal::Traces,
        METRICS => Signal::Metrics,
        _ => return Err(unimplemented("service", service)),
    };
    if method != "Export" {
        return Err(unimplemented("method", method));
    }
    gate.require_pipeline(signal)?;
    Ok(signal)
}

/// `application/grpc`, alone or with `+proto` or parameters.
fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/grpc")
        || media_type.eq_ignore_ascii_case("application/grpc+proto")
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Status> {
    let Some(value) = headers.get(ENCODING) else {
        return Ok(Encoding::Identity);
    };
    let name = value.to_str().unwrap_or_default();
    match Encoding::from_name(name) {
        Some(encoding) => Ok(encoding),
        None => {
            Err(Status::new(Code::Unimplemented, format!("compression `{name}` is not supported")))
        }
    }
}

/// How long the client waits: up to eight digits and a unit (gRPC over HTTP2, "Requests").
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let malformed = || Status::new(Code::Internal, "the grpc-timeout is malformed");
    let value = value.to_str().map_err(|_| malformed())?;
    let (index, unit) = value.char_indices().next_back().ok_or_else(malformed)?;
    let (digits, _) = value.split_at(index);
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(malformed());
    }
    let count: u64 = digits.parse().map_err(|_| malformed())?;
    let timeout = match unit {
        'H' => Duration::from_secs(count * 3600),
        'M' => Duration::from_secs(count * 60),
        'S' => Duration::from_secs(count),
        'm' => Duration::from_millis(count),
        'u' => Duration::from_micros(count),
        'n' => Duration::from_nanos(count),
        _ => return Err(malformed()),
    };
    Ok(Some(timeout))
}

fn success(taken: &Taken) -> Response<Body> {
    let message = taken.to_protobuf();
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put(message);
    respond(Body::with_trailers(Bytes::from(framed), ok_trailers()))
}

/// Trailers only: the status stands in the headers and nothing follows.
fn failure(status: &Status) -> Response<Body> {
    let mut response = respond(Body::empty());
    response.headers_mut().extend(status.to_trailers());
    if status.code == Code::Unimplemented {
        response.headers_mut().insert(ACCEPT_ENCODING, ACCEPTED);
    }
    response
}

fn respond(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn timeouts_are_read_in_all_units() {
        for (value, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("10m", Duration::from_millis(10)),
            ("10u", Duration::from_micros(10)),
            ("10n", Duration::from_nanos(10)),
        ] {
            assert_eq!(deadline(&header(TIMEOUT, value)).unwrap(), Some(expected));
        }
        assert_eq!(deadline(&HeaderMap::new()).unwrap(), None);
        for malformed in ["", "S", "1", "1x", "123456789S", "-1S", "1 S"] {
            assert!(deadline(&header(TIMEOUT, malformed)).is_err(), "{malformed}");
        }
    }

    #[test]
    fn content_type_must_be_grpc() {
        for good in ["application/grpc", "application/grpc+proto", "Application/gRPC; a=b"] {
            assert!(is_grpc(&header("content-type", good)), "{good}");
        }
        for bad in ["application/grpc+json", "application/grpc-web", "application/json", ""] {
            assert!(!is_grpc(&header("content-type", bad)), "{bad}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
