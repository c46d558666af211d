//! Statements and conditions as they are written in the file.

use std::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::context::Context;
use super::error::ErrorMode;

/// A text, or a group of texts with settings of its own.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A statement or a condition.
    Text(String),
    /// Several.
    Group(Group),
}

/// Statements or conditions with what they have in common.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// What they are about; if it is not written, their paths say.
    pub context: Option<ContextName>,
    /// What becomes of errors; if it is not written, what the component has.
    pub error_mode: Option<ErrorMode>,
    /// One of these is enough.
    pub conditions: Vec<String>,
    /// In their order.
    pub statements: Vec<String>,
}

/// The name of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ContextName(pub Context);

impl TryFrom<String> for ContextName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Context::of_name(&name).map(Self).ok_or_else(|| {
            let names = Context::ALL.map(|context| format!("`{}`", context.name())).join(", ");
            format!("`{name}` is no context: there are {names}")
        })
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a statement, a condition, or a map with a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Entry, E> {
        Ok(Entry::Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Entry, E> {
        Ok(Entry::Text(flag.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        Group::deserialize(MapAccessDeserializer::new(map)).map(Entry::Group)
    }
}
