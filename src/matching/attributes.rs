//! Attributes that must be there.

use std::fmt::{self, Write as _};

use smallvec::SmallVec;

use super::MatchError;
use super::settings::{AttributeMatch, MatchType};
use super::texts::Texts;
use crate::config::Literal;
use crate::data::{Attributes, Value};

/// An attribute that must be there.
#[derive(Clone, Debug)]
pub(super) struct AttributeMatcher {
    key: String,
    value: Wanted,
}

#[derive(Clone, Debug)]
enum Wanted {
    Any,
    Equal(Literal),
    Text(Texts),
}

impl AttributeMatcher {
    pub(super) fn try_new(
        field: &'static str,
        match_type: Option<MatchType>,
        settings: &AttributeMatch,
    ) -> Result<Self, MatchError> {
        let key = settings.key.clone();
        if key.is_empty() {
            return Err(MatchError::EmptyKey { field });
        }
        let Some(value) = &settings.value else { return Ok(Self { key, value: Wanted::Any }) };
        let value = match match_type {
            None => return Err(MatchError::NoMatchType { field }),
            Some(MatchType::Strict) => Wanted::Equal(value.clone()),
            Some(MatchType::Regexp) => {
                let Some(expression) = value.value().as_str() else {
                    return Err(MatchError::NotText { field, key });
                };
                match Texts::try_new(field, match_type, &[expression.to_owned()])? {
                    Some(texts) => Wanted::Text(texts),
                    None => Wanted::Any,
                }
            }
        };
        Ok(Self { key, value })
    }

    pub(super) fn is_match(&self, attributes: Attributes<'_>) -> bool {
        let Some(value) = attributes.get(&self.key) else { return false };
        match &self.value {
            Wanted::Any => true,
            Wanted::Equal(wanted) => is_same(wanted.value(), value),
            Wanted::Text(texts) => is_text_match(texts, value),
        }
    }
}

/// Equal kinds with equal contents; the order of a map does not count.
fn is_same(left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::KvList(left), Value::KvList(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| is_same(value, other)))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.iter().count() == right.iter().count()
                && left.iter().zip(right.iter()).all(|(left, right)| is_same(left, right))
        }
        _ => left == right,
    }
}

/// Whether a single value matches as text; maps, lists, bytes and no value never do.
fn is_text_match(texts: &Texts, value: Value<'_>) -> bool {
    let mut digits = Digits::default();
    match value {
        Value::Str(text) => return texts.is_match(text),
        Value::Bool(true) => return texts.is_match("true"),
        Value::Bool(false) => return texts.is_match("false"),
        Value::Double(number) if number.is_infinite() => {
            return texts.is_match(if number > 0.0 { "+Inf" } else { "-Inf" });
        }
        // Writing there does not fail.
        Value::Int(number) => drop(write!(digits, "{number}")),
        Value::Double(number) => drop(write!(digits, "{number}")),
        Value::Empty | Value::Array(_) | Value::KvList(_) | Value::Bytes(_) => return false,
    }
    texts.is_match(std::str::from_utf8(&digits.0).unwrap_or_default())
}

/// A number as text, without an allocation unless it is very long.
#[derive(Default)]
struct Digits(SmallVec<[u8; 32]>);

impl fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
