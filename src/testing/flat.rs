//! Records one by one, each with all that it shares with others, in the terms of the short form:
//! what is compared, and what differences are shown in.

use serde_json::{Map, Value as Json, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::codec::otlp_json;
use crate::data::{Batch, Signal};

/// Names of the numbers that kinds of spans have.
pub(super) const SPAN_KINDS: [&str; 6] =
    ["unspecified", "internal", "server", "client", "producer", "consumer"];

/// Names of the numbers that spans' statuses have.
pub(super) const STATUS_CODES: [&str; 3] = ["unset", "ok", "error"];

/// Names of the numbers that temporalities have.
pub(super) const TEMPORALITIES: [&str; 3] = ["unspecified", "delta", "cumulative"];

/// Stands for a metric's data where any type will do.
pub(super) const ANY_TYPE: &str = "anyType";

/// The data of a metric by its type.
const TYPES: [(&str, &str); 6] = [
    ("gauge", "gauge"),
    ("sum", "sum"),
    ("histogram", "histogram"),
    ("exponentialHistogram", "exponential_histogram"),
    ("summary", "summary"),
    (ANY_TYPE, ""),
];

/// Keys that are called otherwise in the short form.
const NAMES: [(&str, &str); 7] = [
    ("timeUnixNano", "time"),
    ("observedTimeUnixNano", "observed_time"),
    ("startTimeUnixNano", "start_time"),
    ("endTimeUnixNano", "end_time"),
    ("aggregationTemporality", "temporality"),
    ("isMonotonic", "monotonic"),
    ("filteredAttributes", "attributes"),
];

/// The records of a batch.
pub(super) fn of_batch(batch: &Batch) -> Vec<Json> {
    let request = serde_json::from_slice(&otlp_json::encode(batch)).unwrap_or_default();
    flatten(batch.signal(), &request)
}

/// The records of a request in OTLP's JSON form, each as `{log: {…}}`, `{span: {…}}` or
/// `{point: {…}}`.
pub(super) fn flatten(signal: Signal, request: &Json) -> Vec<Json> {
    let (groups, scopes, records) = match signal {
        Signal::Logs => ("resourceLogs", "scopeLogs", "logRecords"),
        Signal::Traces => ("resourceSpans", "scopeSpans", "spans"),
        Signal::Metrics => ("resourceMetrics", "scopeMetrics", "metrics"),
    };
    let mut flat = Vec::new();
    for group in list(request, groups) {
        for scope in list(group, scopes) {
            let mut shared = Map::new();
            owner(group, "resource", &mut shared);
            owner(scope, "scope", &mut shared);
            for record in list(scope, records) {
                match signal {
                    Signal::Logs => flat.push(one("log", record, &shared)),
                    Signal::Traces => flat.push(one("span", record, &shared)),
                    Signal::Metrics => points(record, &shared, &mut flat),
                }
            }
        }
    }
    flat
}

/// The list under a key, which may also be written as in the `.proto` file.
fn list<'j>(map: &'j Json, key: &str) -> impl Iterator<Item = &'j Json> {
    get(map, key).and_then(Json::as_array).into_iter().flatten()
}

fn get<'j>(map: &'j Json, key: &str) -> Option<&'j Json> {
    map.get(key).or_else(|| map.get(snake(key)))
}

/// A record with what it shares.
fn one(kind: &str, record: &Json, shared: &Map<String, Json>) -> Json {
    let mut fields = fields(record);
    fields.extend(shared.clone());
    json!({ kind: fields })
}

/// The points of a metric, each with all that is said of the metric.
fn points(metric: &Json, shared: &Map<String, Json>, flat: &mut Vec<Json>) {
    let mut about = fields(metric);
    for (key, name) in TYPES {
        about.remove(&snake(key));
        let Some(data) = get(metric, key) else { continue };
        let mut of_data = fields(data);
        of_data.remove("data_points");
        for point in list(data, "dataPoints") {
            let Json::Object(mut all) = one("point", point, shared) else { continue };
            if let Some(Json::Object(fields)) = all.get_mut("point") {
                if !name.is_empty() {
                    fields.insert("type".to_owned(), name.into());
                }
                fields.extend(of_data.clone());
                fields.extend(about.clone().into_iter().filter(|(key, _)| key != &snake(ANY_TYPE)));
            }
            flat.push(Json::Object(all));
        }
    }
}

/// A resource's attributes or a scope, if there is anything to say of it.
fn owner(group: &Json, key: &str, shared: &mut Map<String, Json>) {
    let mut said = get(group, key).map(fields).unwrap_or_default();
    if let Some(url) = get(group, "schemaUrl").filter(|url| url.as_str() != Some("")) {
        shared.insert(format!("{key}_schema_url"), url.clone());
    }
    if key == "resource" {
        let attributes = said.remove("attributes");
        shared.extend(said.into_iter().map(|(field, value)| (format!("resource_{field}"), value)));
        shared.extend(attributes.map(|attributes| (key.to_owned(), attributes)));
    } else if !said.is_empty() {
        shared.insert(key.to_owned(), Json::Object(said));
    }
}

/// The fields of a message.
fn fields(message: &Json) -> Map<String, Json> {
    let Some(map) = message.as_object() else { return Map::new() };
    let fields = map.iter().filter(|(_, value)| !value.is_null());
    fields.map(|(key, value)| field(key, value)).filter(|(_, value)| !is_empty(value)).collect()
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A field by its name in the short form.
fn field(key: &str, value: &Json) -> (String, Json) {
    let camel = camel(key);
    let renamed = NAMES.iter().find(|(from, _)| *from == camel);
    let name = renamed.map_or_else(|| snake(&camel), |(_, to)| (*to).to_owned());
    let value = match camel.as_str() {
        "asInt" | "asDouble" => return ("value".to_owned(), number(value)),
        "attributes" | "filteredAttributes" | "metadata" => attributes(value),
        "body" => any(value),
        "kind" => named(value, &SPAN_KINDS),
        "code" => named(value, &STATUS_CODES),
        "aggregationTemporality" => named(value, &TEMPORALITIES),
        _ if camel.ends_with("UnixNano") => time(value),
        "count" | "zeroCount" | "bucketCounts" => number(value),
        _ => nested(value),
    };
    (name, value)
}

/// Messages in a message: events, links, a status, exemplars, quantiles, buckets.
fn nested(value: &Json) -> Json {
    match value {
        Json::Object(_) => Json::Object(fields(value)),
        Json::Array(list) => list.iter().map(nested).collect(),
        other => other.clone(),
    }
}

/// A number of 64 bits, which is a text in OTLP's JSON form.
fn number(value: &Json) -> Json {
    match value {
        Json::String(text) => {
            text.parse::<i64>().map_or_else(|_| value.clone(), |number| number.into())
        }
        Json::Array(list) => list.iter().map(number).collect(),
        other => other.clone(),
    }
}

fn named(value: &Json, names: &[&str]) -> Json {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.and_then(|number| names.get(number)).map_or_else(|| value.clone(), |name| (*name).into())
}

fn time(value: &Json) -> Json {
    let nanos = value.as_str().and_then(|text| text.parse().ok()).or_else(|| value.as_i64());
    let time = nanos.filter(|nanos| *nanos != 0).and_then(|nanos: i64| {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).ok()?.format(&Rfc3339).ok()
    });
    time.map_or_else(|| number(value), Into::into)
}

/// Attributes as a map; as they are where a key comes twice.
fn attributes(list: &Json) -> Json {
    let pairs = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let map: Map<String, Json> = pairs
        .iter()
        .filter_map(|pair| {
            let value = pair.get("value").map_or(Json::Null, any);
            Some((pair.get("key")?.as_str()?.to_owned(), value))
        })
        .collect();
    if map.len() == pairs.len() { Json::Object(map) } else { list.clone() }
}

/// The value that an `AnyValue` stands for.
fn any(value: &Json) -> Json {
    let one = value.as_object().and_then(|map| map.iter().next());
    let Some((kind, inner)) = one else { return Json::Null };
    match camel(kind).as_str() {
        "intValue" => number(inner),
        "arrayValue" => list(inner, "values").map(any).collect(),
        "kvlistValue" => inner.get("values").map_or_else(|| json!({}), attributes),
        "bytesValue" => json!({ "base64": inner }),
        _ => inner.clone(),
    }
}

/// `timeUnixNano` to `time_unix_nano`.
fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for char in camel.chars() {
        if char.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

/// `time_unix_nano` to `timeUnixNano`.
fn camel(snake: &str) -> String {
    let mut is_upper = false;
    let mut camel = String::with_capacity(snake.len());
    for char in snake.chars() {
        match char {
            '_' => is_upper = true,
            _ if std::mem::take(&mut is_upper) => camel.push(char.to_ascii_uppercase()),
            _ => camel.push(char),
        }
    }
    camel
}
