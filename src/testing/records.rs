//! Records as users write them, as batches and one by one.

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::flat;
use super::short::{self, LogForm, PointForm, SpanForm};
use crate::codec::otlp_json;
use crate::data::{Batch, Context, DoorLimits, Signal, Time};
use crate::telemetry::with_causes;

/// Records that are written in a file of tests.
#[derive(Clone, Debug)]
pub(super) enum Records {
    /// Requests in OTLP's JSON form.
    Requests(Vec<(Signal, Json)>),
    /// The file that they stand in.
    File(PathBuf),
}

impl Records {
    pub(super) fn logs(logs: &[LogForm]) -> Self {
        Self::Requests(vec![(Signal::Logs, short::logs(logs))])
    }

    pub(super) fn spans(spans: &[SpanForm]) -> Self {
        Self::Requests(vec![(Signal::Traces, short::spans(spans))])
    }

    pub(super) fn points(points: &[PointForm]) -> Self {
        Self::Requests(vec![(Signal::Metrics, short::points(points))])
    }

    /// A request, or several, by what its keys say that it holds.
    ///
    /// # Errors
    ///
    /// Fails when it is no request.
    pub(super) fn of_otlp(request: Json) -> Result<Self, String> {
        let Json::Object(map) = request else {
            return Err("expected a request in OTLP's JSON form, a map".to_owned());
        };
        let mut requests = Vec::new();
        for (key, groups) in map {
            let signal = match key.as_str() {
                "resourceLogs" | "resource_logs" => Signal::Logs,
                "resourceSpans" | "resource_spans" => Signal::Traces,
                "resourceMetrics" | "resource_metrics" => Signal::Metrics,
                _ => {
                    let keys = "`resourceLogs`, `resourceSpans` or `resourceMetrics`";
                    return Err(format!("expected {keys} of OTLP's JSON form, here is `{key}`"));
                }
            };
            let request = json!({ key: groups });
            if let Some(unknown) = otlp_json::unknown_key(signal, &request) {
                return Err(format!("OTLP has no `{unknown}`"));
            }
            // Enumerations may be names, and numbers texts: afterwards they are not.
            let batch = batch(signal, &request, Time::default())?;
            let request = serde_json::from_slice(&otlp_json::encode(&batch));
            requests.push((signal, request.map_err(|error| error.to_string())?));
        }
        Ok(Self::Requests(requests))
    }

    /// What a file has: one request, or one on each line, as the Collector's file exporter writes.
    ///
    /// # Errors
    ///
    /// Fails when it is not JSON, or no request.
    pub(super) fn of_lines(text: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        for request in serde_json::Deserializer::from_str(text).into_iter::<Json>() {
            let request = request.map_err(|error| format!("this is not valid JSON: {error}"))?;
            if let Self::Requests(requests) = Self::of_otlp(request)? {
                all.extend(requests);
            }
        }
        Ok(Self::Requests(all))
    }

    /// As batches that arrive at `now`.
    ///
    /// # Errors
    ///
    /// Fails when it is not OTLP.
    pub(super) fn batches(&self, now: Time) -> Result<Vec<Batch>, String> {
        let Self::Requests(requests) = self else { return Ok(Vec::new()) };
        requests.iter().map(|(signal, request)| batch(*signal, request, now)).collect()
    }

    /// One by one, with no more than is written.
    pub(super) fn flat(&self) -> Vec<Json> {
        let Self::Requests(requests) = self else { return Vec::new() };
        requests.iter().flat_map(|(signal, request)| flat::flatten(*signal, request)).collect()
    }

    /// Whether something is not written that a record must have: the type of a metric.
    pub(super) fn is_partial(&self) -> bool {
        let Self::Requests(requests) = self else { return false };
        requests.iter().any(|(signal, request)| otlp_json::unknown_key(*signal, request).is_some())
    }

    /// The signals of the requests.
    pub(super) fn signals(&self) -> impl Iterator<Item = Signal> {
        let requests = match self {
            Self::Requests(requests) => requests.as_slice(),
            Self::File(_) => &[],
        };
        requests.iter().map(|(signal, _)| *signal)
    }
}

fn batch(signal: Signal, request: &Json, now: Time) -> Result<Batch, String> {
    let text = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    let bytes = otlp_json::decode(signal, &text).map_err(|error| {
        // The place is one of a text that nobody has seen.
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        cause.split(" at line ").next().unwrap_or_default().to_owned()
    })?;
    let context = Arc::new(Context { arrived: now, ..Context::default() });
    let admitted = Batch::try_new(signal, bytes, context, &DoorLimits::default());
    let admitted = admitted.map_err(|error| with_causes(&error))?;
    match admitted.reason {
        Some(reason) => Err(reason),
        None => Ok(admitted.batch),
    }
}
