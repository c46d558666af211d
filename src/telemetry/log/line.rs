//! The two forms of a line of the log.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde_json::{Number, Value};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::data::Time;

/// RFC 3339 in UTC with microseconds.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// The field that holds the message.
const MESSAGE: &str = "message";

/// A line for people.
pub(super) fn console(event: &Event<'_>, now: Time, initial: &BTreeMap<String, String>) -> String {
    let fields = Fields::of(event);
    let mut line = rfc3339(now);
    // Writing to a String cannot fail, here and below.
    let _ = write!(line, " {:<5} {}", event.metadata().level(), indented(&fields.message));
    for (name, value) in &fields.fields {
        push_field(&mut line, name, value);
    }
    for (name, value) in initial {
        push_field(&mut line, name, &Value::from(value.as_str()));
    }
    line.push('\n');
    line
}

/// A line for programs, with the keys that the Collector uses.
pub(super) fn json(event: &Event<'_>, now: Time, initial: &BTreeMap<String, String>) -> String {
    let fields = Fields::of(event);
    let mut line = String::from("{\"level\":");
    let _ = write!(line, "\"{}\"", level_name(*event.metadata().level()));
    let _ = write!(line, ",\"ts\":\"{}\",\"msg\":{}", rfc3339(now), Value::from(fields.message));
    for (name, value) in fields.fields {
        let _ = write!(line, ",{}:{value}", Value::from(name));
    }
    for (name, value) in initial {
        let _ = write!(line, ",{}:{}", Value::from(name.as_str()), Value::from(value.as_str()));
    }
    line.push_str("}\n");
    line
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Fields {
    fn of(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }

    fn push(&mut self, field: &Field, value: Value) {
        self.fields.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        let number = Number::from_f64(value).map(Value::Number);
        self.push(field, number.unwrap_or_else(|| Value::from(value.to_string())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            value.clone_into(&mut self.message);
            return;
        }
        self.push(field, Value::from(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn push_field(line: &mut String, name: &str, value: &Value) {
    let is_bare = match value {
        Value::String(text) => !text.is_empty() && text.chars().all(is_plain),
        _ => true,
    };
    let _ = match value {
        Value::String(text) if is_bare => write!(line, " {name}={text}"),
        value => write!(line, " {name}={value}"),
    };
}

/// Whether a character can stand in a value without quotes.
fn is_plain(character: char) -> bool {
    !character.is_whitespace() && !character.is_control() && !matches!(character, '"' | '\\' | '=')
}

/// The text with its further lines indented, so that nobody can forge a line of the log.
fn indented(text: &str) -> String {
    text.trim_end_matches('\n').replace('\r', "\\r").replace('\n', "\n    ")
}

fn rfc3339(time: Time) -> String {
    let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.as_unix_nanos())).ok();
    date.and_then(|date| date.format(TIME).ok()).unwrap_or_default()
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}
