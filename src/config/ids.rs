//! Ids as they stand in the file: `type/name` of a component, `signal/name` of a pipeline.

use std::{fmt, str::FromStr, sync::LazyLock};

use regex::Regex;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::data::Signal;

/// The most characters a type may have.
const MAX_TYPE_CHARS: usize = 63;
/// The most characters a name may have.
const MAX_NAME_CHARS: usize = 1024;
/// No separators (Z), control and other characters (C) or symbols (S) of Unicode.
#[expect(
    clippy::expect_used,
    reason = "whether a literal pattern compiles does not depend on input"
)]
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[^\pZ\pC\pS]+$").expect("the pattern is valid"));

/// The id of a component: `type` or `type/name`, as in `otlp/backend`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    kind: Box<str>,
    name: Option<Box<str>>,
}

impl ComponentId {
    /// An id of its parts.
    ///
    /// # Errors
    ///
    /// Fails when a part breaks its rule, see [`IdError`].
    pub fn try_new(kind: &str, name: Option<&str>) -> Result<Self, IdError> {
        let kind = checked_type(kind)?;
        let name = name.map(checked_name).transpose()?;
        Ok(Self { kind: kind.into(), name: name.map(Into::into) })
    }

    /// The type: what stands before the slash.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name: what stands after the slash, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The same name with another type, for names in transition.
    #[must_use]
    pub fn with_kind(&self, kind: &str) -> Self {
        Self { kind: kind.into(), name: self.name.clone() }
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.kind)?;
        self.name.iter().try_for_each(|name| write!(out, "/{name}"))
    }
}

impl FromStr for ComponentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (kind, name) = split(text)?;
        Self::try_new(kind, name)
    }
}

impl<'de> Deserialize<'de> for ComponentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for PipelineId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The id of a pipeline: `signal` or `signal/name`, as in `logs/audit`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineId {
    signal: Signal,
    name: Option<Box<str>>,
}

impl PipelineId {
    /// An id of its parts.
    ///
    /// # Errors
    ///
    /// Fails when the name breaks its rule, see [`IdError`].
    pub fn try_new(signal: Signal, name: Option<&str>) -> Result<Self, IdError> {
        let name = name.map(checked_name).transpose()?;
        Ok(Self { signal, name: name.map(Into::into) })
    }

    /// What flows through the pipeline.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// The name: what stands after the slash, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl fmt::Display for PipelineId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.signal.as_str())?;
        self.name.iter().try_for_each(|name| write!(out, "/{name}"))
    }
}

impl FromStr for PipelineId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (kind, name) = split(text)?;
        let kind = kind.trim();
        if kind == "profiles" {
            return Err(IdError::Profiles);
        }
        let signal = Signal::ALL.into_iter().find(|signal| signal.as_str() == kind);
        let signal = signal.ok_or_else(|| IdError::Signal { signal: kind.to_owned() })?;
        Self::try_new(signal, name)
    }
}

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// There is nothing.
    #[error("the id is empty")]
    Empty,
    /// Nothing stands before the slash.
    #[error("no type stands before the `/` of the id")]
    NoType,
    /// Nothing stands after the slash.
    #[error("no name stands after the `/` of the id")]
    NoName,
    /// The type has a character that it may not have.
    #[error("`{kind}` is not a type: a letter, then letters, digits and `_`, up to 63 characters")]
    Type {
        /// What stands there.
        kind: String,
    },
    /// The name has a character that it may not have.
    #[error(
        "`{name}` is not a name: 1 to 1024 characters, no white space, control characters or symbols"
    )]
    Name {
        /// What stands there.
        name: String,
    },
    /// A pipeline's id starts with something else than a signal.
    #[error("`{signal}` is not a signal: `logs`, `traces` or `metrics`")]
    Signal {
        /// What stands there.
        signal: String,
    },
    /// Pipelines of profiles are the Collector's, not ours.
    #[error("pipelines of profiles are not supported")]
    Profiles,
}

/// Cuts at the first slash.
fn split(text: &str) -> Result<(&str, Option<&str>), IdError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    let Some((kind, name)) = text.split_once('/') else { return Ok((text, None)) };
    if kind.trim().is_empty() {
        return Err(IdError::NoType);
    }
    Ok((kind, Some(name)))
}

fn checked_type(text: &str) -> Result<&str, IdError> {
    let kind = text.trim();
    let is_word = kind.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    let has_start = kind.starts_with(|char: char| char.is_ascii_alphabetic());
    if is_word && has_start && kind.len() <= MAX_TYPE_CHARS {
        return Ok(kind);
    }
    Err(IdError::Type { kind: kind.to_owned() })
}

fn checked_name(text: &str) -> Result<&str, IdError> {
    let name = text.trim();
    if name.is_empty() {
        return Err(IdError::NoName);
    }
    if name.chars().count() <= MAX_NAME_CHARS && NAME.is_match(name) {
        return Ok(name);
    }
    Err(IdError::Name { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Result<String, IdError> {
        text.parse::<ComponentId>().map(|id| id.to_string())
    }

    #[test]
    fn ids_are_read_and_written() {
        assert_eq!(id("otlp"), Ok("otlp".into()));
        assert_eq!(id(" otlp / backend "), Ok("otlp/backend".into()));
        assert_eq!(id("otlp/größe.2-a/b"), Ok("otlp/größe.2-a/b".into()));
        let parsed: ComponentId = "otlp_http/x".parse().unwrap();
        assert_eq!((parsed.kind(), parsed.name()), ("otlp_http", Some("x")));
        assert_eq!(parsed.with_kind("otlphttp").to_string(), "otlphttp/x");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert_eq!(id(""), Err(IdError::Empty));
        assert_eq!(id("/x"), Err(IdError::NoType));
        assert_eq!(id("otlp/ "), Err(IdError::NoName));
        assert!(matches!(id("2otlp"), Err(IdError::Type { .. })));
        assert!(matches!(id("ot-lp"), Err(IdError::Type { .. })));
        assert!(matches!(id(&"a".repeat(64)), Err(IdError::Type { .. })));
        assert!(id(&"a".repeat(63)).is_ok());
        assert!(matches!(id("otlp/a b"), Err(IdError::Name { .. })));
        assert!(matches!(id("otlp/a=b"), Err(IdError::Name { .. })));
        assert!(matches!(id("otlp/5€"), Err(IdError::Name { .. })));
        assert!(id(&format!("otlp/{}", "a".repeat(1024))).is_ok());
        assert!(matches!(id(&format!("otlp/{}", "a".repeat(1025))), Err(IdError::Name { .. })));
    }

    #[test]
    fn pipelines_have_a_signal() {
        let parsed: PipelineId = "logs/audit".parse().unwrap();
        assert_eq!((parsed.signal(), parsed.name()), (Signal::Logs, Some("audit")));
        assert_eq!(parsed.to_string(), "logs/audit");
        assert_eq!("profiles".parse::<PipelineId>(), Err(IdError::Profiles));
        assert!(matches!("log".parse::<PipelineId>(), Err(IdError::Signal { .. })));
    }
}
