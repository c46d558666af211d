//! A stored record, and whether a filter is true of a record.

use std::sync::Arc;

use bytes::Bytes;

use super::filter::{FieldName, Filter, Operand, Test};
use super::words::contains_row;
use crate::data::wire::{Fields, Writer};
use crate::data::{Attributes, LogRecord, Resource, Scope, Value};

/// What records of one resource and scope share: their messages without the records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// The fields of `ResourceLogs` but for `scope_logs`.
    pub(crate) resource: Bytes,
    /// The fields of `ScopeLogs` but for `log_records`.
    pub(crate) scope: Bytes,
}

/// A record that was found, whole.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it shares with others.
    pub envelope: Arc<Envelope>,
    /// The encoded `LogRecord`.
    pub encoded: Bytes,
}

impl Envelope {
    /// What produced the records.
    #[must_use]
    pub fn resource(&self) -> Resource<'_> {
        Resource::of_encoded(submessage(&self.resource))
    }

    /// The instrumentation that produced the records.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope::of_encoded(submessage(&self.scope))
    }

    /// Whether an attribute of the resource or scope passes.
    pub(crate) fn passes(&self, name: &str, test: &Test) -> bool {
        any_passes(self.resource().attributes(), name, test)
            || any_passes(self.scope().attributes(), name, test)
    }

    /// Whether the name of the scope passes.
    pub(crate) fn scope_passes(&self, test: &Test) -> bool {
        text_passes(self.scope().name(), test)
    }
}

impl Found {
    /// The record.
    #[must_use]
    pub fn record(&self) -> LogRecord<'_> {
        LogRecord::of_encoded(&self.encoded)
    }

    /// The record with its resource and scope as an OTLP `ExportLogsServiceRequest`.
    #[must_use]
    pub fn to_request(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.message(1, |resource_logs| {
            resource_logs.raw(&self.envelope.resource);
            resource_logs.message(2, |scope_logs| {
                scope_logs.raw(&self.envelope.scope);
                scope_logs.bytes_field(2, &self.encoded);
            });
        });
        writer.into_bytes()
    }
}

impl Filter {
    /// What is left to be true of records themselves, given what they share.
    pub(crate) fn within(&self, envelope: &Envelope) -> Self {
        let known = |is_true| if is_true { Self::All } else { Self::Not(Box::new(Self::All)) };
        let each = |of: &[Self]| of.iter().map(|filter| filter.within(envelope)).collect();
        match self {
            Self::And(of) => Self::And(each(of)),
            Self::Or(of) => Self::Or(each(of)),
            Self::Not(of) => Self::Not(Box::new(of.within(envelope))),
            Self::Field(FieldName::Scope, test) => known(envelope.scope_passes(test)),
            Self::Field(FieldName::Attribute(name), test) if envelope.passes(name, test) => {
                Self::All
            }
            other => other.clone(),
        }
    }
}

/// Whether `filter` is true of a record.
#[must_use]
pub fn is_match(record: LogRecord<'_>, envelope: &Envelope, filter: &Filter) -> bool {
    is_own_match(record, &filter.within(envelope))
}

/// Whether a filter is true of a record that speaks of nothing else, as [`Filter::within`] makes it.
pub(crate) fn is_own_match(record: LogRecord<'_>, filter: &Filter) -> bool {
    match filter {
        Filter::All => true,
        Filter::And(of) => of.iter().all(|filter| is_own_match(record, filter)),
        Filter::Or(of) => of.iter().any(|filter| is_own_match(record, filter)),
        Filter::Not(of) => !is_own_match(record, of),
        Filter::Row(row) => contains_row(&record.body().to_text(), row),
        Filter::Severity(range) => {
            range.contains(&severity(record.severity_number(), record.severity_text()))
        }
        Filter::TraceId(id) => record.trace_id() == Some(*id),
        Filter::SpanId(id) => record.span_id() == Some(*id),
        Filter::Field(name, test) => field_passes(record, name, test),
    }
}

/// The number of the severity, 0 to 24: the record's, or else what its text begins with.
#[must_use]
pub fn severity(number: i32, text: &str) -> u8 {
    const NAMES: [(&str, u8); 10] = [
        ("trace", 1),
        ("debug", 5),
        ("info", 9),
        ("notice", 10),
        ("warn", 13),
        ("err", 17),
        ("fatal", 21),
        ("crit", 21),
        ("alert", 21),
        ("emerg", 21),
    ];
    if let Ok(number @ 1..=24) = u8::try_from(number) {
        return number;
    }
    let begins = |name: &str| {
        let start = text.as_bytes().get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    NAMES.iter().find(|(name, _)| begins(name)).map_or(0, |(_, number)| *number)
}

fn field_passes(record: LogRecord<'_>, name: &FieldName, test: &Test) -> bool {
    match name {
        FieldName::Body => match record.body() {
            Value::Empty => false,
            body => value_passes(body, test),
        },
        FieldName::SeverityText => text_passes(record.severity_text(), test),
        // It is shared.
        FieldName::Scope => false,
        FieldName::TraceId => {
            record.trace_id().is_some_and(|id| text_passes(&id.to_string(), test))
        }
        FieldName::SpanId => record.span_id().is_some_and(|id| text_passes(&id.to_string(), test)),
        FieldName::Attribute(name) => {
            any_passes(record.attributes(), name, test)
                || (name == "event_name" && text_passes(record.event_name(), test))
        }
    }
}

/// An empty text is one that is not there.
fn text_passes(text: &str, test: &Test) -> bool {
    !text.is_empty() && test.passes(Operand::Text(text))
}

fn any_passes(attributes: Attributes<'_>, name: &str, test: &Test) -> bool {
    attributes.all(name).any(|value| value_passes(value, test))
}

fn value_passes(value: Value<'_>, test: &Test) -> bool {
    match value {
        Value::Int(int) => test.passes(Operand::Int(int)),
        Value::Double(double) => test.passes(Operand::Double(double)),
        _ => test.passes(Operand::Text(&value.to_text())),
    }
}

/// `Resource` and `InstrumentationScope` are both field 1.
fn submessage(message: &[u8]) -> &[u8] {
    Fields::new(message).first(1).map_or(&[], |field| field.bytes())
}
