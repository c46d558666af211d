//! Actions as users write them, and checked.

use regex::{CaptureLocations, Regex};
use serde::Deserialize;

use crate::config::{Literal, Pattern};

/// An action as users write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActionSettings {
    /// The attribute that is acted upon.
    pub key: String,
    /// `insert`, `update`, `upsert`, `delete`, `hash`, `extract` or `convert`, in any case.
    pub action: String,
    /// `insert`, `update`, `upsert`: the value.
    pub value: Option<Literal>,
    /// `insert`, `update`, `upsert`: the attribute whose value is taken.
    pub from_attribute: String,
    /// `insert`, `update`, `upsert`: what is taken of what is known of the client.
    pub from_context: String,
    /// `insert`, `update`, `upsert`: the value where the attribute or the context has none.
    pub default_value: Option<Literal>,
    /// `delete`, `hash`: an expression for names; `extract`: one for the value, with named groups.
    pub pattern: String,
    /// `convert`: `string`, `int` or `double`.
    pub converted_type: String,
}

/// Why an action cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// No or an unknown action.
    #[error(
        "unknown action `{action}`: it is `insert`, `update`, `upsert`, `delete`, `hash`, \
         `extract` or `convert`"
    )]
    Unknown {
        /// What is written.
        action: String,
    },
    /// Something is missing.
    #[error("`{action}` needs {what}")]
    Missing {
        /// The action.
        action: &'static str,
        /// What it needs.
        what: &'static str,
    },
    /// Something is there that the action has no use for.
    #[error("`{action}` does not use `{field}`")]
    Unused {
        /// The action.
        action: &'static str,
        /// The key in the file.
        field: &'static str,
    },
    /// Values from several places.
    #[error("only one of `value`, `from_attribute` and `from_context` can be set")]
    SeveralValues,
    /// The expression is wrong.
    #[error("`pattern`: {reason}")]
    Pattern {
        /// What is wrong.
        reason: String,
    },
    /// An expression for `extract` without groups that have a name, or with one that has none.
    #[error("`pattern`: every group needs a name, such as `(?P<user>.*)`, and there must be one")]
    Groups,
    /// No known type.
    #[error("unknown `converted_type` `{name}`: it is `string`, `int` or `double`")]
    ConvertedType {
        /// What is written.
        name: String,
    },
    /// Something of the client that is not known here.
    #[error(
        "`from_context`: `{name}` is not supported: of `auth.` there are `auth.username` and \
         `auth.subject`"
    )]
    AuthAttribute {
        /// What is written.
        name: String,
    },
}

/// An action on the attributes of a record or resource.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "ActionSettings")]
pub struct Action {
    pub(super) key: String,
    pub(super) effect: Effect,
}

/// What an action does to the attribute of its name.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// Gives it a value.
    Write { when: When, source: Source, default: Option<Literal> },
    /// Takes it out, and all whose names match.
    Delete(Option<Regex>),
    /// Puts a hash in its place, and in that of all whose names match.
    Hash(Option<Regex>),
    /// Gives attributes the values of groups.
    Extract(Box<Extract>),
    /// Changes its type.
    Convert(Target),
}

/// Whether the attribute must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// It must not.
    Insert,
    /// It must.
    Update,
    /// It does not matter.
    Upsert,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Only the default.
    Nowhere,
    /// The file.
    Literal(Literal),
    /// Another attribute.
    Attribute(String),
    /// What is known of the client; for the batch at hand the value, if there is one.
    Context(ContextKey, Option<Literal>),
}

/// What is taken of what is known of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ContextKey {
    /// Its address.
    Address,
    /// The name that it is authenticated by.
    Identity,
    /// A header, by its lower-case name.
    Metadata(String),
}

/// An expression whose groups are the names of attributes.
#[derive(Clone, Debug)]
pub(super) struct Extract {
    pub(super) regex: Regex,
    /// The groups' names, from group 1 on.
    pub(super) names: Vec<String>,
    /// Where the groups are in the value at hand.
    pub(super) places: CaptureLocations,
}

/// The type that a value is changed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    String,
    Int,
    Double,
}

impl TryFrom<ActionSettings> for Action {
    type Error = ActionError;

    fn try_from(settings: ActionSettings) -> Result<Self, ActionError> {
        let effect = match settings.action.to_ascii_lowercase().as_str() {
            "insert" => settings.write("insert", When::Insert)?,
            "update" => settings.write("update", When::Update)?,
            "upsert" => settings.write("upsert", When::Upsert)?,
            "delete" => Effect::Delete(settings.names("delete")?),
            "hash" => Effect::Hash(settings.names("hash")?),
            "extract" => settings.extract()?,
            "convert" => settings.convert()?,
            _ => return Err(ActionError::Unknown { action: settings.action }),
        };
        Ok(Self { key: settings.key, effect })
    }
}

impl ActionSettings {
    fn write(&self, action: &'static str, when: When) -> Result<Effect, ActionError> {
        self.require_key(action)?;
        self.refuse(action, &["pattern", "converted_type"])?;
        let default = self.default_value.clone();
        let sources =
            [self.value.clone().map(Source::Literal), self.other_attribute(), self.of_client()?];
        let mut sources = sources.into_iter().flatten();
        let source = sources.next();
        if sources.next().is_some() {
            return Err(ActionError::SeveralValues);
        }
        if source.is_none() && default.is_none() {
            let what = "one of `value`, `from_attribute`, `from_context` or `default_value`";
            return Err(ActionError::Missing { action, what });
        }
        Ok(Effect::Write { when, source: source.unwrap_or(Source::Nowhere), default })
    }

    fn other_attribute(&self) -> Option<Source> {
        let name = self.from_attribute.clone();
        (!name.is_empty()).then_some(Source::Attribute(name))
    }

    fn of_client(&self) -> Result<Option<Source>, ActionError> {
        let name = self.from_context.as_str();
        let key = match (name, name.strip_prefix("auth."), name.strip_prefix("metadata.")) {
            ("", ..) => return Ok(None),
            ("client.address", ..) => ContextKey::Address,
            (_, Some("username" | "subject"), _) => ContextKey::Identity,
            (_, Some(_), _) => return Err(ActionError::AuthAttribute { name: name.to_owned() }),
            (.., Some(header)) => ContextKey::Metadata(header.to_ascii_lowercase()),
            // As in the Collector, for files from before there was a prefix.
            _ => ContextKey::Metadata(name.to_ascii_lowercase()),
        };
        Ok(Some(Source::Context(key, None)))
    }

    /// The expression for names of `delete` and `hash`.
    fn names(&self, action: &'static str) -> Result<Option<Regex>, ActionError> {
        if self.key.is_empty() && self.pattern.is_empty() {
            return Err(ActionError::Missing { action, what: "`key` or `pattern`" });
        }
        self.refuse(
            action,
            &["value", "from_attribute", "from_context", "default_value", "converted_type"],
        )?;
        if self.pattern.is_empty() { Ok(None) } else { self.regex().map(Some) }
    }

    fn extract(&self) -> Result<Effect, ActionError> {
        let action = "extract";
        self.require_key(action)?;
        self.refuse(
            action,
            &["value", "from_attribute", "from_context", "default_value", "converted_type"],
        )?;
        if self.pattern.is_empty() {
            return Err(ActionError::Missing { action, what: "`pattern`" });
        }
        let regex = self.regex()?;
        let names: Option<Vec<String>> =
            regex.capture_names().skip(1).map(|name| name.map(str::to_owned)).collect();
        let names = names.filter(|names| !names.is_empty()).ok_or(ActionError::Groups)?;
        let places = regex.capture_locations();
        Ok(Effect::Extract(Box::new(Extract { regex, names, places })))
    }

    fn convert(&self) -> Result<Effect, ActionError> {
        let action = "convert";
        self.require_key(action)?;
        self.refuse(
            action,
            &["value", "from_attribute", "from_context", "default_value", "pattern"],
        )?;
        match self.converted_type.as_str() {
            "string" => Ok(Effect::Convert(Target::String)),
            "int" => Ok(Effect::Convert(Target::Int)),
            "double" => Ok(Effect::Convert(Target::Double)),
            "" => Err(ActionError::Missing { action, what: "`converted_type`" }),
            other => Err(ActionError::ConvertedType { name: other.to_owned() }),
        }
    }

    fn require_key(&self, action: &'static str) -> Result<(), ActionError> {
        if self.key.is_empty() {
            return Err(ActionError::Missing { action, what: "`key`" });
        }
        Ok(())
    }

    /// Refuses fields that are set.
    fn refuse(&self, action: &'static str, fields: &[&'static str]) -> Result<(), ActionError> {
        let is_set = |field: &str| match field {
            "value" => self.value.is_some(),
            "from_attribute" => !self.from_attribute.is_empty(),
            "from_context" => !self.from_context.is_empty(),
            "default_value" => self.default_value.is_some(),
            "pattern" => !self.pattern.is_empty(),
            _ => !self.converted_type.is_empty(),
        };
        match fields.iter().find(|field| is_set(field)) {
            Some(field) => Err(ActionError::Unused { action, field }),
            None => Ok(()),
        }
    }

    fn regex(&self) -> Result<Regex, ActionError> {
        Pattern::try_from(self.pattern.clone())
            .map(|pattern| pattern.regex().clone())
            .map_err(|reason| ActionError::Pattern { reason })
    }
}
