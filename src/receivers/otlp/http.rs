//! OTLP over HTTP: protobuf and JSON on one port, told apart by the content type.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tracing::debug;

use super::cors::CrossOrigin;
use super::gate::{Format, Gate, Wire};
use super::response::Taken;
use super::status::{Code, Status};
use crate::codec::inflate::Encoding;
use crate::component::Pressure;
use crate::data::Signal;
use crate::net::{Body, BodyError, Peer, read_body, text, with_type};

/// What is asked for where, and what else is answered.
pub(super) struct Routes {
    /// Where each signal is posted to.
    pub(super) paths: Vec<(String, Signal)>,
    pub(super) encodings: Vec<Encoding>,
    pub(super) cross_origin: Option<CrossOrigin>,
    /// Added to every response.
    pub(super) response_headers: HeaderMap,
}

/// The OTLP/HTTP server.
pub(super) struct Service {
    gate: Arc<Gate>,
    routes: Routes,
}

/// How a request that is not taken is told so.
#[derive(Debug)]
enum Failure {
    /// Before it was clear how the client writes: in plain text.
    Plain(StatusCode, &'static str),
    /// In the request's own format.
    Told(Format, Status),
}

impl Service {
    pub(super) const fn new(gate: Arc<Gate>, routes: Routes) -> Self {
        Self { gate, routes }
    }

    /// Answers one request.
    pub(super) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Arc<Peer>,
    ) -> Response<Body> {
        let origin_headers = self
            .routes
            .cross_origin
            .as_ref()
            .map(|cross_origin| cross_origin.headers(request.method(), request.headers()))
            .unwrap_or_default();
        let mut response = if origin_headers.is_preflight {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        } else {
            match self.post(request, &peer).await {
                Ok(response) => response,
                Err(failure) => {
                    debug!(addr = ?peer.addr, ?failure, "request over HTTP refused");
                    failure.to_response()
                }
            }
        };
        for (name, value) in origin_headers.headers.iter().chain(&self.routes.response_headers) {
            response.headers_mut().append(name, value.clone());
        }
        response
    }

    async fn post(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> Result<Response<Body>, Failure> {
        let (head, body) = request.into_parts();
        let format = format(&head.headers);
        let told = |status| Failure::new(format, status);
        let context = self.gate.admit_client(&head.headers, peer).map_err(told)?;
        let signal = self.route(head.uri.path()).map_err(told)?;
        if head.method != Method::POST {
            let message = "405 method not allowed, supported: [POST]";
            return Err(Failure::Plain(StatusCode::METHOD_NOT_ALLOWED, message));
        }
        let Some(format) = format else {
            let message =
                "415 unsupported media type, supported: [application/json, application/x-protobuf]";
            return Err(Failure::Plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        };
        let encoding = self.encoding(&head.headers).map_err(told)?;
        let mut charge = self.gate.charge().map_err(|pressure| told(pressure.into()))?;
        let bytes = read_body(body, self.gate.limits(), |size| charge.try_grow(size))
            .await
            .map_err(|error| told(unread(error)))?;
        let wire = Wire { signal, format, encoding, bytes, charge };
        let taken = self.gate.take(wire, context).await.map_err(told)?;
        Ok(success(format, signal, &taken))
    }

    fn route(&self, path: &str) -> Result<Signal, Status> {
        let found = self.routes.paths.iter().find(|(known, _)| known == path);
        let (_, signal) = found
            .ok_or_else(|| Status::new(Code::Unimplemented, format!("unknown path `{path}`")))?;
        self.gate.require_pipeline(*signal)?;
        Ok(*signal)
    }

    fn encoding(&self, headers: &HeaderMap) -> Result<Encoding, Status> {
        let Some(value) = headers.get(CONTENT_ENCODING) else {
            return Ok(Encoding::Identity);
        };
        let name = value.to_str().unwrap_or_default().trim();
        Encoding::from_name(name)
            .filter(|encoding| {
                *encoding == Encoding::Identity || self.routes.encodings.contains(encoding)
            })
            .ok_or_else(|| Status::invalid(format!("unsupported Content-Encoding: {name}")))
    }
}

impl Failure {
    fn new(format: Option<Format>, status: Status) -> Self {
        // What cannot be told in the client's own format is told in one that people can read.
        Self::Told(format.unwrap_or(Format::Json), status)
    }

    fn to_response(&self) -> Response<Body> {
        let (format, status) = match self {
            Self::Plain(status, message) => {
                let mut response = text(*status, *message);
                if *status == StatusCode::METHOD_NOT_ALLOWED {
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                }
                return response;
            }
            Self::Told(format, status) => (*format, status),
        };
        let body = match format {
            Format::Protobuf => status.to_protobuf(),
            Format::Json => status.to_json(),
        };
        let mut response = respond(status.http_status(), format, body);
        if let Some(delay) = status.retry_after_header() {
            response.headers_mut().insert(RETRY_AFTER, delay);
        }
        if let Some(challenge) = status.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

fn format(headers: &HeaderMap) -> Option<Format> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-protobuf") {
        return Some(Format::Protobuf);
    }
    media_type.eq_ignore_ascii_case("application/json").then_some(Format::Json)
}

fn unread(error: BodyError<Pressure>) -> Status {
    match error {
        BodyError::TooLarge { max_bytes } => Status::too_large(max_bytes),
        BodyError::Refused(pressure) => pressure.into(),
        error @ BodyError::Timeout => {
            Status::invalid(error.to_string()).with_http(StatusCode::REQUEST_TIMEOUT)
        }
        error => Status::invalid(error.to_string()),
    }
}

fn success(format: Format, signal: Signal, taken: &Taken) -> Response<Body> {
    let body = match format {
        Format::Protobuf => taken.to_protobuf(),
        Format::Json => taken.to_json(signal),
    };
    respond(StatusCode::OK, format, body)
}

fn respond(status: StatusCode, format: Format, body: Bytes) -> Response<Body> {
    let content_type = match format {
        Format::Protobuf => "application/x-protobuf",
        Format::Json => "application/json",
    };
    with_type(status, HeaderValue::from_static(content_type), body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_told_by_the_media_type() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
            format(&headers)
        };
        assert_eq!(of("application/x-protobuf"), Some(Format::Protobuf));
        assert_eq!(of("application/json; charset=utf-8"), Some(Format::Json));
        assert_eq!(of("Application/JSON"), Some(Format::Json));
        assert_eq!(of("text/plain"), None);
        assert_eq!(format(&HeaderMap::new()), None);
    }

    #[test]
    fn pressure_asks_to_come_back() {
        let pressure = Pressure { retry_after: std::time::Duration::from_secs(3) };
        let failure = Failure::new(Some(Format::Protobuf), pressure.into());
        let response = failure.to_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "3");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/x-protobuf");
    }
}
