//! Going through values that have values in them.

use super::keys::Fate;
use super::redactor::Rules;
use super::summary::{Done, Notes};
use crate::data::wire::Writer;
use crate::data::{Array, Attributes, Value, write_encoded};

/// Lists and maps hold what they hold in fields of this number.
const ELEMENT: u32 = 1;
/// What a body that is a single value is called in summaries.
const BODY: &str = "body";

/// An `AnyValue`.
pub(super) fn encoded(value: Value<'_>) -> Vec<u8> {
    let mut writer = Writer::with_capacity(value.encoded_len());
    value.write(&mut writer);
    writer.into_vec()
}

/// The body of a log record on its way through the rules.
pub(super) struct Body<'r> {
    rules: &'r mut Rules,
    notes: &'r mut Notes,
    /// Where in the body we are: `user.emails.[0]`.
    path: String,
}

impl<'r> Body<'r> {
    pub(super) const fn new(rules: &'r mut Rules, notes: &'r mut Notes) -> Self {
        Self { rules, notes, path: String::new() }
    }

    /// The body as it shall be, encoded; nothing if it stays as it is.
    pub(super) fn redacted(mut self, body: Value<'_>) -> Option<Vec<u8>> {
        if matches!(body, Value::KvList(_) | Value::Array(_)) {
            return self.value(body);
        }
        let text = body.to_text();
        // As in the Collector, the summary does not count such a body where its value is allowed.
        if self.rules.is_allowed(&text) {
            return None;
        }
        let changed = self.rules.changed(&text)?;
        self.notes.note(Done::Masked, BODY);
        Some(encoded(Value::Str(&changed)))
    }

    fn value(&mut self, value: Value<'_>) -> Option<Vec<u8>> {
        match value {
            Value::KvList(list) => self.map(list),
            Value::Array(array) => self.list(array),
            _ => self.leaf(&value.to_text()),
        }
    }

    fn leaf(&mut self, text: &str) -> Option<Vec<u8>> {
        if self.rules.is_allowed(text) {
            self.notes.note(Done::Allowed, &self.path);
            return None;
        }
        let changed = self.rules.changed(text)?;
        self.notes.note(Done::Masked, &self.path);
        Some(encoded(Value::Str(&changed)))
    }

    fn map(&mut self, list: Attributes<'_>) -> Option<Vec<u8>> {
        let mut written = Writer::default();
        let mut is_changed = false;
        for (pair, (key, value)) in list.raw().zip(list.iter()) {
            let length = self.enter(key);
            let new = match self.rules.keys.fate(key) {
                Fate::Ignore => {
                    self.notes.note(Done::Ignored, &self.path);
                    None
                }
                Fate::Remove => {
                    self.notes.note(Done::Removed, &self.path);
                    self.path.truncate(length);
                    is_changed = true;
                    continue;
                }
                Fate::Mask => {
                    self.notes.note(Done::Masked, &self.path);
                    let masked = self.rules.masker.whole(value.as_str().unwrap_or_default());
                    Some(encoded(Value::Str(&masked)))
                }
                Fate::Look => self.value(value),
            };
            self.path.truncate(length);
            is_changed |= new.is_some();
            match new {
                Some(value) => write_encoded(ELEMENT, key, &value, &mut written),
                None => written.bytes_field(ELEMENT, pair),
            }
        }
        let list = Attributes::of_kvlist(written.as_slice());
        is_changed.then(|| encoded(Value::KvList(list)))
    }

    fn list(&mut self, array: Array<'_>) -> Option<Vec<u8>> {
        let mut written = Writer::default();
        let mut is_changed = false;
        for (index, value) in array.iter().enumerate() {
            let length = self.enter(&format!("[{index}]"));
            let new = self.value(value);
            self.path.truncate(length);
            is_changed |= new.is_some();
            write_element(value, new, &mut written);
        }
        is_changed.then(|| encoded(Value::Array(Array::of_encoded(written.as_slice()))))
    }

    /// Goes one step down; answers how long the path was.
    fn enter(&mut self, step: &str) -> usize {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(step);
        length
    }
}

/// A value with what detectors find in its texts masked, encoded; nothing if it stays as it is.
pub(super) fn detected(rules: &mut Rules, value: Value<'_>) -> Option<Vec<u8>> {
    let mut written = Writer::default();
    let mut is_changed = false;
    match value {
        Value::Str(text) => {
            let masked = rules.detected(text)?;
            Some(encoded(Value::Str(&masked)))
        }
        Value::Array(array) => {
            for value in array.iter() {
                let new = detected(rules, value);
                is_changed |= new.is_some();
                write_element(value, new, &mut written);
            }
            let array = Array::of_encoded(written.as_slice());
            is_changed.then(|| encoded(Value::Array(array)))
        }
        Value::KvList(list) => {
            for (pair, (key, value)) in list.raw().zip(list.iter()) {
                match detected(rules, value) {
                    Some(value) => {
                        is_changed = true;
                        write_encoded(ELEMENT, key, &value, &mut written);
                    }
                    None => written.bytes_field(ELEMENT, pair),
                }
            }
            let list = Attributes::of_kvlist(written.as_slice());
            is_changed.then(|| encoded(Value::KvList(list)))
        }
        _ => None,
    }
}

fn write_element(value: Value<'_>, new: Option<Vec<u8>>, writer: &mut Writer) {
    match new {
        Some(value) => writer.bytes_field(ELEMENT, &value),
        None => value.write_field(ELEMENT, writer),
    }
}
