//! Attributes that say what was done.

use super::settings::Summary;
use crate::data::{AttributesMut, Value};

/// What was done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Removed,
    Masked,
    /// Its value is one of `allowed_values`.
    Allowed,
    /// Its name is one of those that are not looked at.
    Ignored,
}

/// Names of the attributes with the keys, if there is one, and with their number; by [`Done`].
pub(super) type Names = [(Option<&'static str>, &'static str); 4];

/// Of attributes.
pub(super) const OF_ATTRIBUTES: Names = [
    (Some("redaction.redacted.keys"), "redaction.redacted.count"),
    (Some("redaction.masked.keys"), "redaction.masked.count"),
    (Some("redaction.allowed.keys"), "redaction.allowed.count"),
    (None, "redaction.ignored.count"),
];

/// Of the body of a log record.
pub(super) const OF_BODY: Names = [
    (Some("redaction.body.redacted.keys"), "redaction.body.redacted.count"),
    (Some("redaction.body.masked.keys"), "redaction.body.masked.count"),
    (Some("redaction.body.allowed.keys"), "redaction.body.allowed.count"),
    (None, "redaction.body.ignored.count"),
];

const SEPARATOR: char = ',';

/// Notes of what is done to one set of attributes, or one body.
#[derive(Debug)]
pub(super) struct Notes {
    summary: Summary,
    counts: [i64; 4],
    keys: [Vec<String>; 4],
}

impl Notes {
    pub(super) fn new(summary: Summary) -> Self {
        Self { summary, counts: [0; 4], keys: Default::default() }
    }

    pub(super) fn note(&mut self, done: Done, key: &str) {
        if self.summary == Summary::Silent {
            return;
        }
        if let Some(count) = self.counts.get_mut(done as usize) {
            *count += 1;
        }
        if self.summary == Summary::Debug
            && let Some(keys) = self.keys.get_mut(done as usize)
        {
            keys.push(key.to_owned());
        }
    }

    /// Writes the attributes, adding to those that are there, and forgets all.
    pub(super) fn write(&mut self, names: &Names, attributes: &mut AttributesMut<'_, '_, '_>) {
        if self.counts == [0; 4] {
            return;
        }
        let noted = self.counts.iter_mut().zip(&mut self.keys);
        for ((keys_name, count_name), (count, keys)) in names.iter().zip(noted) {
            if *count == 0 {
                continue;
            }
            if let Some(name) = keys_name.filter(|_| self.summary == Summary::Debug) {
                if let Some(Value::Str(text)) = attributes.get(name)
                    && !text.is_empty()
                {
                    keys.extend(text.split(SEPARATOR).map(str::to_owned));
                }
                keys.sort_unstable();
                attributes.set(name, Value::Str(&keys.join(",")));
            }
            let before = attributes.get(count_name).and_then(|value| value.as_int());
            attributes.set(count_name, Value::Int(before.unwrap_or(0).saturating_add(*count)));
            *count = 0;
            keys.clear();
        }
    }
}
