//! Log records as JSON.

use crate::data::{Attributes, Time, Value, push_hex, push_json_str};
use crate::storage::logindex::{Hit, severity};

use super::times::show;

/// The short names of severities, four numbers each (OpenTelemetry logs data model).
pub(super) const SEVERITIES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/// Appends a record that was found as a JSON object.
pub(super) fn push(hit: &Hit, to: &mut String) {
    let record = hit.found.record();
    let resource = hit.found.envelope.resource();
    let mut object = Object::new(to);
    object.text("time", &show(hit.time));
    object.time("time_unix_nano", record.time());
    object.time("observed_time_unix_nano", record.observed_time());
    let number = severity(record.severity_number(), record.severity_text());
    if let Some(name) = number.checked_sub(1).and_then(|n| SEVERITIES.get(usize::from(n / 4))) {
        object.text("severity", name);
        object.raw("severity_number", &number.to_string());
    }
    object.text("severity_text", record.severity_text());
    object.text("service", resource.service_name().unwrap_or_default());
    if !matches!(record.body(), Value::Empty) {
        object.name("body");
        record.body().push_json(object.to);
    }
    object.text("event_name", record.event_name());
    object.text("trace_id", &hex(record.trace_id().as_ref().map(|id| &id.as_bytes()[..])));
    object.text("span_id", &hex(record.span_id().as_ref().map(|id| &id.as_bytes()[..])));
    if record.flags() != 0 {
        object.raw("flags", &record.flags().to_string());
    }
    object.attributes("attributes", record.attributes());
    object.attributes("resource", resource.attributes());
    let scope = hit.found.envelope.scope();
    if !scope.bytes().is_empty() {
        object.name("scope");
        let mut inner = Object::new(object.to);
        inner.text("name", scope.name());
        inner.text("version", scope.version());
        if !scope.attributes().is_empty() {
            inner.attributes("attributes", scope.attributes());
        }
        inner.end();
    }
    object.end();
}

/// Calls `each` with the name of every field that the record can be found by, each once.
pub(super) fn each_name(hit: &Hit, mut each: impl FnMut(&str)) {
    let record = hit.found.record();
    let envelope = &hit.found.envelope;
    let (resource, scope) = (envelope.resource(), envelope.scope());
    let attributes = record.attributes().iter();
    let attributes = attributes.chain(scope.attributes().iter());
    let mut names: Vec<&str> =
        attributes.chain(resource.attributes().iter()).map(|(name, _)| name).collect();
    let has = |text: &str| !text.is_empty();
    let own = [
        ("severity", severity(record.severity_number(), record.severity_text()) > 0),
        ("severity_text", has(record.severity_text())),
        ("service", resource.service_name().is_some()),
        ("scope", has(scope.name())),
        ("event_name", has(record.event_name())),
        ("trace_id", record.trace_id().is_some()),
        ("span_id", record.span_id().is_some()),
    ];
    names.extend(own.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name));
    names.sort_unstable();
    names.dedup();
    names.into_iter().for_each(&mut each);
}

/// The value of a field as text, as a query would name it; the record's own attribute first.
pub(super) fn value_of(hit: &Hit, name: &str) -> Option<String> {
    let record = hit.found.record();
    let envelope = &hit.found.envelope;
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    match name {
        "severity" => {
            let number = severity(record.severity_number(), record.severity_text());
            let name = SEVERITIES.get(usize::from(number.checked_sub(1)? / 4))?;
            text(name)
        }
        "severity_text" => text(record.severity_text()),
        "scope" => text(envelope.scope().name()),
        "trace_id" => record.trace_id().map(|id| id.to_string()),
        "span_id" => record.span_id().map(|id| id.to_string()),
        "event_name" if !record.event_name().is_empty() => text(record.event_name()),
        _ => {
            let name = if name == "service" { "service.name" } else { name };
            let own = record.attributes().get(name);
            let of_scope = || envelope.scope().attributes().get(name);
            let found =
                own.or_else(of_scope).or_else(|| envelope.resource().attributes().get(name));
            found.map(|value| value.to_text().into_owned())
        }
    }
}

/// Writes a JSON object; empty texts are left out.
struct Object<'a> {
    to: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn new(to: &'a mut String) -> Self {
        to.push('{');
        Self { to, is_empty: true }
    }

    fn name(&mut self, name: &str) {
        if !self.is_empty {
            self.to.push(',');
        }
        self.is_empty = false;
        push_json_str(name, self.to);
        self.to.push(':');
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.to.push_str(value);
    }

    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.name(name);
            push_json_str(value, self.to);
        }
    }

    /// As text, for a JSON number need not hold 64 bits.
    fn time(&mut self, name: &str, time: Time) {
        if time != Time::default() {
            self.text(name, &time.as_unix_nanos().to_string());
        }
    }

    fn attributes(&mut self, name: &str, attributes: Attributes<'_>) {
        self.name(name);
        attributes.push_json(self.to);
    }

    fn end(self) {
        self.to.push('}');
    }
}

fn hex(bytes: Option<&[u8]>) -> String {
    let mut text = String::new();
    push_hex(bytes.unwrap_or_default(), &mut text);
    text
}
