//! The short form of a log record, a span or a data point, and what it is in OTLP's JSON form.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Number, Value as Json, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::flat;
use crate::config::Literal;
use crate::data::{Time, Value};

type Attributes = BTreeMap<String, Literal>;

/// A request of log records.
pub(super) fn logs(logs: &[LogForm]) -> Json {
    let groups = logs.iter().map(|log| {
        let scope = json!({ "scope": log.scope.to_otlp(), "logRecords": [log.to_otlp()] });
        json!({ "resource": resource(&log.resource), "scopeLogs": [scope] })
    });
    let groups: Vec<_> = groups.collect();
    json!({ "resourceLogs": groups })
}

/// A request of spans.
pub(super) fn spans(spans: &[SpanForm]) -> Json {
    let groups = spans.iter().map(|span| {
        let scope = json!({ "scope": span.scope.to_otlp(), "spans": [span.to_otlp()] });
        json!({ "resource": resource(&span.resource), "scopeSpans": [scope] })
    });
    let groups: Vec<_> = groups.collect();
    json!({ "resourceSpans": groups })
}

/// A request of data points.
pub(super) fn points(points: &[PointForm]) -> Json {
    let groups = points.iter().map(|point| {
        let scope = json!({ "scope": point.scope.to_otlp(), "metrics": [point.to_otlp()] });
        json!({ "resource": resource(&point.resource), "scopeMetrics": [scope] })
    });
    let groups: Vec<_> = groups.collect();
    json!({ "resourceMetrics": groups })
}

/// A log record.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogForm {
    time: Option<Timestamp>,
    observed_time: Option<Timestamp>,
    /// Its number and its text.
    severity: Option<Severity>,
    severity_number: Option<u8>,
    severity_text: Option<String>,
    body: Option<Literal>,
    attributes: Option<Attributes>,
    dropped_attributes_count: Option<u32>,
    flags: Option<u32>,
    trace_id: Option<String>,
    span_id: Option<String>,
    event_name: Option<String>,
    resource: Option<Attributes>,
    scope: ScopeForm,
}

impl LogForm {
    fn to_otlp(&self) -> Json {
        let severity = self.severity.as_ref();
        let number = self.severity_number.or(severity.map(|severity| severity.number));
        let text = self.severity_text.as_ref().or(severity.map(|severity| &severity.text));
        written(json!({
            "timeUnixNano": nanos(self.time),
            "observedTimeUnixNano": nanos(self.observed_time),
            "severityNumber": number,
            "severityText": text,
            "body": self.body.as_ref().map(|body| any(&body.value())),
            "attributes": self.attributes.as_ref().map(attributes),
            "droppedAttributesCount": self.dropped_attributes_count,
            "flags": self.flags,
            "traceId": self.trace_id,
            "spanId": self.span_id,
            "eventName": self.event_name,
        }))
    }
}

/// A span.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SpanForm {
    trace_id: Option<String>,
    span_id: Option<String>,
    parent_span_id: Option<String>,
    trace_state: Option<String>,
    flags: Option<u32>,
    name: Option<String>,
    kind: Option<SpanKind>,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    attributes: Option<Attributes>,
    events: Option<Vec<EventForm>>,
    links: Option<Vec<LinkForm>>,
    status: Option<StatusForm>,
    resource: Option<Attributes>,
    scope: ScopeForm,
}

/// What is called as in [`flat::SPAN_KINDS`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SpanKind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// What is called as in [`flat::STATUS_CODES`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StatusCode {
    Unset,
    Ok,
    Error,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventForm {
    time: Option<Timestamp>,
    name: Option<String>,
    attributes: Option<Attributes>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LinkForm {
    trace_id: Option<String>,
    span_id: Option<String>,
    trace_state: Option<String>,
    attributes: Option<Attributes>,
    flags: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StatusForm {
    code: Option<StatusCode>,
    message: Option<String>,
}

impl SpanForm {
    fn to_otlp(&self) -> Json {
        let events = self.events.as_ref().map(|events| {
            let events = events.iter().map(|event| {
                written(json!({
                    "timeUnixNano": nanos(event.time),
                    "name": event.name,
                    "attributes": event.attributes.as_ref().map(attributes),
                }))
            });
            events.collect::<Json>()
        });
        let links = self.links.as_ref().map(|links| {
            let links = links.iter().map(|link| {
                written(json!({
                    "traceId": link.trace_id,
                    "spanId": link.span_id,
                    "traceState": link.trace_state,
                    "attributes": link.attributes.as_ref().map(attributes),
                    "flags": link.flags,
                }))
            });
            links.collect::<Json>()
        });
        let status = self.status.as_ref().map(|status| {
            let code = status.code.map(|code| code as u8);
            written(json!({ "code": code, "message": status.message }))
        });
        written(json!({
            "traceId": self.trace_id,
            "spanId": self.span_id,
            "parentSpanId": self.parent_span_id,
            "traceState": self.trace_state,
            "flags": self.flags,
            "name": self.name,
            "kind": self.kind.map(|kind| kind as u8),
            "startTimeUnixNano": nanos(self.start_time),
            "endTimeUnixNano": nanos(self.end_time),
            "attributes": self.attributes.as_ref().map(attributes),
            "events": events,
            "links": links,
            "status": status,
        }))
    }
}

/// A data point of a gauge, sum or histogram.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PointForm {
    name: Option<String>,
    description: Option<String>,
    unit: Option<String>,
    r#type: Option<PointType>,
    temporality: Option<Temporality>,
    monotonic: Option<bool>,
    start_time: Option<Timestamp>,
    time: Option<Timestamp>,
    attributes: Option<Attributes>,
    value: Option<PointValue>,
    count: Option<u64>,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    bucket_counts: Option<Vec<u64>>,
    explicit_bounds: Option<Vec<f64>>,
    flags: Option<u32>,
    resource: Option<Attributes>,
    scope: ScopeForm,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PointType {
    Gauge,
    Sum,
    Histogram,
}

/// What is called as in [`flat::TEMPORALITIES`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Temporality {
    Delta = 1,
    Cumulative = 2,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Literal")]
enum PointValue {
    Int(i64),
    Double(f64),
}

impl TryFrom<Literal> for PointValue {
    type Error = String;

    fn try_from(literal: Literal) -> Result<Self, String> {
        match literal.value() {
            Value::Int(number) => Ok(Self::Int(number)),
            Value::Double(number) => Ok(Self::Double(number)),
            _ => Err("expected a number".to_owned()),
        }
    }
}

impl PointForm {
    fn to_otlp(&self) -> Json {
        let (int, double) = match self.value {
            None => (None, None),
            Some(PointValue::Int(number)) => (Some(number.to_string()), None),
            Some(PointValue::Double(number)) => (None, Some(number)),
        };
        let point = written(json!({
            "attributes": self.attributes.as_ref().map(attributes),
            "startTimeUnixNano": nanos(self.start_time),
            "timeUnixNano": nanos(self.time),
            "asInt": int,
            "asDouble": double.map(float),
            "count": self.count,
            "sum": self.sum.map(float),
            "min": self.min.map(float),
            "max": self.max.map(float),
            "bucketCounts": self.bucket_counts,
            "explicitBounds": self.explicit_bounds,
            "flags": self.flags,
        }));
        let data = written(json!({
            "dataPoints": [point],
            "aggregationTemporality": self.temporality.map(|temporality| temporality as u8),
            "isMonotonic": self.monotonic,
        }));
        let key = match self.r#type {
            None => flat::ANY_TYPE,
            Some(PointType::Gauge) => "gauge",
            Some(PointType::Sum) => "sum",
            Some(PointType::Histogram) => "histogram",
        };
        written(json!({
            "name": self.name,
            "description": self.description,
            "unit": self.unit,
            key: data,
        }))
    }
}

/// Who made a record.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ScopeForm {
    name: Option<String>,
    version: Option<String>,
    attributes: Option<Attributes>,
}

impl ScopeForm {
    fn to_otlp(&self) -> Json {
        written(json!({
            "name": self.name,
            "version": self.version,
            "attributes": self.attributes.as_ref().map(attributes),
        }))
    }
}

/// A time, as RFC 3339 or in Unix nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Timestamp(pub(super) Time);

impl TryFrom<String> for Timestamp {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = OffsetDateTime::parse(&text, &Rfc3339);
        let nanos = time.ok().map(|time| time.unix_timestamp_nanos());
        let nanos = nanos.and_then(|nanos| u64::try_from(nanos).ok());
        let nanos = nanos.or_else(|| text.parse().ok()).ok_or_else(|| {
            format!("`{text}` is no time such as `2026-01-01T00:00:00Z`, nor Unix nanoseconds")
        })?;
        Ok(Self(Time::from_unix_nanos(nanos)))
    }
}

/// A severity by its short name, `INFO` or `WARN2`; the name is its text.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Severity {
    number: u8,
    text: String,
}

impl TryFrom<String> for Severity {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const NAMES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        let names = NAMES.iter().flat_map(|name| ["", "2", "3", "4"].map(|step| (name, step)));
        for (number, (name, step)) in (1..).zip(names) {
            if text.to_uppercase() == format!("{name}{step}") {
                return Ok(Self { number, text });
            }
        }
        Err(format!("`{text}` is no severity such as `INFO`, `WARN2` or `error`"))
    }
}

/// A map without what is not written.
fn written(map: Json) -> Json {
    match map {
        Json::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        other => other,
    }
}

fn nanos(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.0.as_unix_nanos().to_string())
}

fn resource(resource: &Option<Attributes>) -> Json {
    written(json!({ "attributes": resource.as_ref().map(attributes) }))
}

fn attributes(attributes: &Attributes) -> Json {
    let attributes = attributes.iter();
    attributes.map(|(key, value)| json!({ "key": key, "value": any(&value.value()) })).collect()
}

/// A fraction; those that JSON has no numbers for are texts.
fn float(number: f64) -> Json {
    let text = || match number {
        _ if number.is_nan() => "NaN",
        _ if number > 0.0 => "Infinity",
        _ => "-Infinity",
    };
    Number::from_f64(number).map_or_else(|| Json::from(text()), Json::Number)
}

/// An `AnyValue`.
fn any(value: &Value<'_>) -> Json {
    match value {
        Value::Str(text) => json!({ "stringValue": text }),
        Value::Bool(flag) => json!({ "boolValue": flag }),
        Value::Int(number) => json!({ "intValue": number.to_string() }),
        Value::Double(number) => json!({ "doubleValue": float(*number) }),
        Value::Array(array) => {
            let values: Vec<_> = array.iter().map(|value| any(&value)).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::KvList(list) => {
            let pairs = list.iter();
            let pairs: Vec<_> =
                pairs.map(|(key, value)| json!({ "key": key, "value": any(&value) })).collect();
            json!({ "kvlistValue": { "values": pairs } })
        }
        _ => Json::Object(Map::new()),
    }
}
