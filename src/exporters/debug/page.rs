//! A text of lines, and values, times and names as the Collector prints them.

use std::fmt::{Arguments, Write};

use time::OffsetDateTime;

use crate::data::{Attributes, Time, Value, ValueKind};

/// Text that grows by lines.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// Adds a line.
    pub(super) fn line(&mut self, line: Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    /// Adds a heading and a line for each attribute, if there are any.
    pub(super) fn attributes(&mut self, heading: &str, indent: &str, attributes: Attributes<'_>) {
        if attributes.is_empty() {
            return;
        }
        self.line(format_args!("{heading}"));
        for (key, value) in attributes.iter() {
            self.line(format_args!("{indent}-> {key}: {}", shown(&value)));
        }
    }

    /// The text, without the last line's end.
    pub(super) fn finish(mut self) -> String {
        if self.text.ends_with('\n') {
            self.text.pop();
        }
        self.text
    }
}

/// A value with its kind: `Str(text)`, `Int(1)`, `Map({"a":"b"})`.
pub(super) fn shown(value: &Value<'_>) -> String {
    let kind = match value.kind() {
        ValueKind::Empty => "Empty",
        ValueKind::Str => "Str",
        ValueKind::Bool => "Bool",
        ValueKind::Int => "Int",
        ValueKind::Double => "Double",
        ValueKind::Array => "Slice",
        ValueKind::KvList => "Map",
        ValueKind::Bytes => "Bytes",
    };
    format!("{kind}({})", value.to_text())
}

/// Attributes in one line: `a=b c=d`.
pub(super) fn in_line(attributes: Attributes<'_>) -> String {
    let pairs: Vec<_> =
        attributes.iter().map(|(key, value)| format!("{key}={}", value.to_text())).collect();
    pairs.join(" ")
}

/// A time in UTC: `2020-02-11 20:26:13.000000789 +0000 UTC`.
pub(super) fn moment(time: Time) -> String {
    let nanos = time.as_unix_nanos();
    let Ok(date) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)) else {
        return nanos.to_string();
    };
    let mut text =
        format!("{} {:02}:{:02}:{:02}", date.date(), date.hour(), date.minute(), date.second());
    if date.nanosecond() > 0 {
        let fraction = format!("{:09}", date.nanosecond());
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push_str(" +0000 UTC");
    text
}

/// The name of a severity: `Info`, `Info2`, ….
pub(super) fn severity(number: i32) -> String {
    const NAMES: [&str; 6] = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"];
    let level = usize::try_from(number - 1).unwrap_or(usize::MAX);
    match (NAMES.get(level / 4), level % 4) {
        (Some(name), 0) => (*name).to_owned(),
        (Some(name), step) => format!("{name}{}", step + 1),
        (None, _) if number == 0 => "Unspecified".to_owned(),
        (None, _) => String::new(),
    }
}

/// The name of a span's kind.
pub(super) const fn span_kind(number: i32) -> &'static str {
    match number {
        0 => "Unspecified",
        1 => "Internal",
        2 => "Server",
        3 => "Client",
        4 => "Producer",
        5 => "Consumer",
        _ => "",
    }
}

/// The name of a span's status.
pub(super) const fn status_code(number: i32) -> &'static str {
    match number {
        0 => "Unset",
        1 => "Ok",
        2 => "Error",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_go_prints_them() {
        let shown = |nanos| moment(Time::from_unix_nanos(nanos));
        assert_eq!(shown(0), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(shown(1_581_452_773_000_000_789), "2020-02-11 20:26:13.000000789 +0000 UTC");
        assert_eq!(shown(1_581_452_773_500_000_000), "2020-02-11 20:26:13.5 +0000 UTC");
        assert_eq!(shown(u64::MAX), "2554-07-21 23:34:33.709551615 +0000 UTC");
    }

    #[test]
    fn severities_have_names() {
        let names: Vec<_> = [0, 1, 4, 9, 10, 24, 25, -1].into_iter().map(severity).collect();
        assert_eq!(names, ["Unspecified", "Trace", "Trace4", "Info", "Info2", "Fatal4", "", ""]);
    }
}
