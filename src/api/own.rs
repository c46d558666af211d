//! What the agent tells of itself: metrics, the ledger, and what can be asked.

use http::{HeaderValue, Response, StatusCode};

use crate::net::{Body, with_type};
use crate::telemetry::{Ledger, Metrics};

/// The content type of Prometheus text.
const PROMETHEUS_TEXT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What can be asked, for programs.
const OPEN_API: &str = include_str!("openapi.json");

/// `GET /api/v1/openapi.json`.
pub(super) fn open_api() -> Response<Body> {
    with_type(StatusCode::OK, HeaderValue::from_static("application/json"), Body::from(OPEN_API))
}

/// `GET /metrics`.
pub(super) fn metrics(metrics: &Metrics) -> Response<Body> {
    with_type(StatusCode::OK, PROMETHEUS_TEXT, Body::from(metrics.to_prometheus()))
}

/// `GET /debug/ledger`.
pub(super) fn ledger(ledger: &Ledger) -> Response<Body> {
    let json = HeaderValue::from_static("application/json");
    with_type(StatusCode::OK, json, Body::from(ledger.to_json()))
}
