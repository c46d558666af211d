//! What becomes of attributes, bodies and texts.

use std::borrow::Cow;

use regex::Regex;

use super::detectors::{Detector, Scanner};
use super::keys::{Fate, Keys};
use super::masker::Masker;
use super::settings::Settings;
use super::summary::{Done, Notes, OF_ATTRIBUTES, OF_BODY};
use super::walk::{Body, encoded};
use crate::data::{AttributeEdit, AttributesMut, LogRecord, LogRecordMut, Span, SpanMut, Value};

/// The field of a log record's body.
const BODY: u32 = 5;

/// Redacts records.
pub(super) struct Redactor {
    rules: Rules,
    notes: Notes,
}

/// The rules for names and values.
pub(super) struct Rules {
    pub(super) keys: Keys,
    pub(super) masker: Masker,
    blocked_values: Vec<Regex>,
    allowed_values: Vec<Regex>,
    redact_all_types: bool,
    scanner: Option<Scanner>,
    /// What was found, by detector.
    counts: Vec<(Detector, u64)>,
}

impl Redactor {
    pub(super) fn new(settings: Settings) -> Self {
        let allowed = (!settings.allow_all_keys).then_some(settings.allowed_keys);
        let patterns = [settings.ignored_key_patterns, settings.blocked_key_patterns];
        let detectors = settings.detectors;
        Self {
            rules: Rules {
                keys: Keys::new(allowed, settings.ignored_keys, patterns),
                masker: Masker::new(settings.hash, &settings.hmac_key),
                blocked_values: settings.blocked_values,
                allowed_values: settings.allowed_values,
                redact_all_types: settings.redact_all_types,
                scanner: (!detectors.is_empty()).then(|| Scanner::new(&detectors)),
                counts: detectors.into_iter().map(|detector| (detector, 0)).collect(),
            },
            notes: Notes::new(settings.summary),
        }
    }

    /// How much each detector of the settings found since the last call.
    pub(super) fn take_counts(&mut self) -> impl Iterator<Item = u64> {
        self.rules.counts.iter_mut().map(|(_, count)| std::mem::take(count))
    }

    /// Redacts the attributes of anything.
    pub(super) fn attributes(&mut self, attributes: &mut AttributesMut<'_, '_, '_>) {
        let Self { rules, notes } = self;
        attributes.edit_each(|key, value| rules.attribute(key, value, notes));
        notes.write(&OF_ATTRIBUTES, attributes);
    }

    /// Redacts a log record: its attributes and its body.
    pub(super) fn log(&mut self, record: &LogRecord<'_>, edited: &mut LogRecordMut<'_, '_>) {
        self.attributes(&mut edited.attributes_mut());
        let Self { rules, notes } = self;
        if let Some(body) = Body::new(rules, notes).redacted(record.body()) {
            edited.set_bytes(BODY, &body);
        }
        notes.write(&OF_BODY, &mut edited.attributes_mut());
    }

    /// Redacts a span: its attributes and those of its events; detectors look at its name and at
    /// the message of its status too.
    pub(super) fn span(&mut self, span: &Span<'_>, edited: &mut SpanMut<'_, '_>) {
        self.attributes(&mut edited.attributes_mut());
        if span.events().next().is_some() {
            edited.edit_events(|event| {
                self.attributes(&mut event.attributes_mut());
                true
            });
        }
        if let Some(name) = self.rules.detected(span.name()) {
            edited.set_name(&name);
        }
        let message = span.status().and_then(|status| self.rules.detected(status.message()));
        if let Some(message) = message {
            edited.set_status_message(&message);
        }
    }
}

impl Rules {
    /// What becomes of an attribute.
    fn attribute(&mut self, key: &str, value: Value<'_>, notes: &mut Notes) -> AttributeEdit {
        let fate = self.keys.fate(key);
        match fate {
            Fate::Ignore => {
                notes.note(Done::Ignored, key);
                return AttributeEdit::Keep;
            }
            Fate::Remove => {
                notes.note(Done::Removed, key);
                return AttributeEdit::Remove;
            }
            Fate::Mask | Fate::Look => {}
        }
        let text = match value {
            Value::Str(text) => Cow::Borrowed(text),
            _ if self.redact_all_types => value.to_text(),
            // As in the Collector, other values are looked at as empty texts.
            _ => Cow::Borrowed(""),
        };
        if self.is_allowed(&text) {
            notes.note(Done::Allowed, key);
            return AttributeEdit::Keep;
        }
        let new = match fate {
            Fate::Mask => Some(encoded(Value::Str(&self.masker.whole(&text)))),
            _ => match self.changed(&text) {
                Some(text) => Some(encoded(Value::Str(&text))),
                None => self.nested(value),
            },
        };
        match new {
            Some(value) => {
                notes.note(Done::Masked, key);
                AttributeEdit::Replace(value)
            }
            None => AttributeEdit::Keep,
        }
    }

    /// Whether nothing is masked in a value.
    pub(super) fn is_allowed(&self, text: &str) -> bool {
        self.allowed_values.iter().any(|regex| regex.is_match(text))
    }

    /// A value that is not allowed with all masked in it that is blocked or detected; nothing if
    /// it stays as it is.
    pub(super) fn changed(&mut self, text: &str) -> Option<String> {
        let mut current = Cow::Borrowed(text);
        for regex in &self.blocked_values {
            if let Some(masked) = self.masker.matches(regex, &current) {
                current = Cow::Owned(masked);
            }
        }
        if let Some(masked) = self.scanned(&current) {
            current = Cow::Owned(masked);
        }
        match current {
            Cow::Owned(changed) if changed != text => Some(changed),
            _ => None,
        }
    }

    /// A text with what detectors find in it masked; nothing if it stays as it is.
    pub(super) fn detected(&mut self, text: &str) -> Option<String> {
        if self.scanner.is_none() || self.is_allowed(text) {
            return None;
        }
        self.scanned(text)
    }

    fn scanned(&mut self, text: &str) -> Option<String> {
        let Self { scanner, masker, counts, .. } = self;
        scanner.as_ref()?.replaced(text, |detector, secret, masked| {
            if let Some((_, count)) = counts.iter_mut().find(|(other, _)| *other == detector) {
                *count += 1;
            }
            masker.push(secret, masked);
        })
    }

    /// A list or map with what detectors find in its texts masked, encoded.
    fn nested(&mut self, value: Value<'_>) -> Option<Vec<u8>> {
        let is_tree = matches!(value, Value::Array(_) | Value::KvList(_));
        (is_tree && self.scanner.is_some() && !self.redact_all_types)
            .then(|| super::walk::detected(self, value))?
    }
}
