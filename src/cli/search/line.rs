//! A record as a line for people, safe for a terminal.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Longer values of attributes are cut.
const MAX_VALUE_CHARS: usize = 120;

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const CYAN: &str = "\x1b[36m";

/// What a line shows of a record.
#[derive(Deserialize)]
struct Record {
    time: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    severity_text: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    event_name: String,
    #[serde(default)]
    trace_id: String,
    #[serde(default)]
    attributes: Map<String, Value>,
}

/// Appends the line of a record, which is given as JSON.
pub(super) fn push(json: &str, is_colored: bool, to: &mut String) {
    let Ok(record) = serde_json::from_str::<Record>(json) else {
        // Such as a body that is nested too deeply to be read.
        push_safe(json, to);
        return;
    };
    let mut line = Line { to, is_colored };
    line.part(DIM, |to| push_time(&record.time, to));
    line.to.push(' ');
    let severity =
        if record.severity.is_empty() { &record.severity_text } else { &record.severity };
    line.part(severity_color(&record.severity), |to| {
        let start = to.len();
        push_safe(if severity.is_empty() { "-" } else { severity }, to);
        let width = to.get(start..).map_or(0, |shown| shown.chars().count());
        to.extend(std::iter::repeat_n(' ', 5_usize.saturating_sub(width)));
    });
    if !record.service.is_empty() {
        line.to.push(' ');
        line.part(CYAN, |to| push_safe(&record.service, to));
    }
    match &record.body {
        Value::Null if record.event_name.is_empty() => {}
        Value::Null => line.text(&record.event_name),
        Value::String(text) => line.text(text),
        other => line.text(&other.to_string()),
    }
    for (name, value) in &record.attributes {
        line.attribute(name, value);
    }
    if !record.trace_id.is_empty() {
        line.attribute("trace_id", &Value::String(record.trace_id));
    }
}

/// Appends a record's JSON, in which characters that act on a terminal are escaped.
pub(super) fn push_json(json: &str, to: &mut String) {
    for char in json.chars() {
        if acts_on_terminal(char) {
            // All of them are within strings, and below U+10000.
            push_unicode_escape(char, to);
        } else {
            to.push(char);
        }
    }
}

/// Appends text in which characters that act on a terminal are shown escaped.
pub(super) fn push_safe(text: &str, to: &mut String) {
    for char in text.chars() {
        match char {
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            _ if acts_on_terminal(char) => push_unicode_escape(char, to),
            _ => to.push(char),
        }
    }
}

fn push_unicode_escape(char: char, to: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(to, "\\u{:04x}", u32::from(char));
}

/// Control characters, and those that turn the direction of what follows or begin a line.
const fn acts_on_terminal(char: char) -> bool {
    matches!(char, '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

struct Line<'a> {
    to: &'a mut String,
    is_colored: bool,
}

impl Line<'_> {
    fn part(&mut self, color: &str, write: impl FnOnce(&mut String)) {
        let is_colored = self.is_colored && !color.is_empty();
        if is_colored {
            self.to.push_str(color);
        }
        write(self.to);
        if is_colored {
            self.to.push_str(RESET);
        }
    }

    fn text(&mut self, text: &str) {
        self.to.push(' ');
        push_safe(text, self.to);
    }

    fn attribute(&mut self, name: &str, value: &Value) {
        self.to.push(' ');
        self.part(DIM, |to| {
            push_safe(name, to);
            to.push('=');
        });
        match value {
            Value::String(text) => push_value(text, self.to),
            other => push_value(&other.to_string(), self.to),
        }
    }
}

/// Quoted where it would not be seen where it ends.
fn push_value(text: &str, to: &mut String) {
    let cut = text.char_indices().nth(MAX_VALUE_CHARS).map_or(text.len(), |(at, _)| at);
    let shown = text.get(..cut).unwrap_or(text);
    let is_json = text.starts_with(['{', '[']);
    let is_plain = is_json || !shown.contains(|char: char| char.is_whitespace() || char == '"');
    if is_plain && !text.is_empty() {
        push_safe(shown, to);
    } else {
        to.push('"');
        push_safe(&shown.replace('"', "\\\""), to);
        to.push('"');
    }
    if cut < text.len() {
        to.push('…');
    }
}

/// Milliseconds are enough for people, and of one width.
fn push_time(time: &str, to: &mut String) {
    let Some(time) = time.strip_suffix('Z') else {
        push_safe(time, to);
        return;
    };
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    push_safe(seconds, to);
    to.push('.');
    to.extend(fraction.chars().chain(std::iter::repeat('0')).take(3));
    to.push('Z');
}

fn severity_color(severity: &str) -> &'static str {
    match severity {
        "FATAL" => "\x1b[1;31m",
        "ERROR" => "\x1b[31m",
        "WARN" => "\x1b[33m",
        "INFO" => "\x1b[32m",
        _ => DIM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: &str, is_colored: bool) -> String {
        let mut text = String::new();
        push(json, is_colored, &mut text);
        text
    }

    #[test]
    fn line_has_what_matters_of_a_record() {
        let json = r#"{"time":"2026-11-24T15:00:01.5Z","severity":"WARN","severity_number":13,
            "service":"checkout","body":"slow","trace_id":"ab","attributes":{"path":"/a b","n":2,
            "empty":"","list":[1,"x"]},"resource":{"service.name":"checkout"}}"#;
        assert_eq!(
            line(json, false),
            "2026-11-24T15:00:01.500Z WARN  checkout slow empty=\"\" list=[1,\"x\"] n=2 \
             path=\"/a b\" trace_id=ab"
        );
        let json = r#"{"time":"2026-11-24T15:00:01Z","attributes":{},"resource":{}}"#;
        assert_eq!(line(json, false), "2026-11-24T15:00:01.000Z -    ");
        let json = r#"{"time":"2026-11-24T15:00:01Z","body":{"a":1},"attributes":{}}"#;
        assert_eq!(line(json, false), "2026-11-24T15:00:01.000Z -     {\"a\":1}");
        let json =
            r#"{"time":"2026-11-24T15:00:01Z","severity":"ERROR","body":"x","attributes":{}}"#;
        assert_eq!(
            line(json, true),
            "\x1b[2m2026-11-24T15:00:01.000Z\x1b[0m \x1b[31mERROR\x1b[0m x"
        );
    }

    #[test]
    fn nothing_in_a_record_acts_on_the_terminal() {
        let evil = "\x1b]0;owned\x07\u{9b}31m\r\n\x7f\u{202e}";
        let value = serde_json::json!({
            "time": evil, "severity_text": evil, "service": evil, "body": evil, "trace_id": evil,
            "attributes": { evil: evil }, "resource": {},
        });
        let text = line(&value.to_string(), false);
        assert!(!text.contains(acts_on_terminal), "{text:?}");
        assert!(text.contains(r"\u001b]0;owned\u0007\u009b31m\r\n\u007f\u202e"), "{text}");
        let mut json = String::new();
        push_json(&value.to_string(), &mut json);
        assert!(!json.contains(acts_on_terminal), "{json:?}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }

    #[test]
    fn long_values_are_cut_and_odd_records_shown_as_they_are() {
        let json = format!(
            r#"{{"time":"","attributes":{{"long":"{}"}}}}"#,
            "ü".repeat(MAX_VALUE_CHARS + 1)
        );
        assert!(line(&json, false).ends_with(&format!("={}…", "ü".repeat(MAX_VALUE_CHARS))));
        assert_eq!(line("{\"x\":1}\n", false), "{\"x\":1}\\n");
    }
}
