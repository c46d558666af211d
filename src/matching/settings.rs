//! The conditions as users write them.

use serde::Deserialize;

use crate::config::Literal;

/// How texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MatchType {
    /// They must be equal.
    Strict,
    /// A regular expression must match anywhere in them.
    Regexp,
}

impl TryFrom<String> for MatchType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "strict" => Ok(Self::Strict),
            "regexp" => Ok(Self::Regexp),
            "expr" => {
                Err("match type `expr` is not supported: use `strict` or `regexp`".to_owned())
            }
            _ => Err(format!("unknown match type `{text}`: it is `strict` or `regexp`")),
        }
    }
}

/// Settings of `match_type: regexp`. They change no result: matches are not cached here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegexpSettings {
    /// Taken and without effect.
    pub cacheenabled: bool,
    /// Taken and without effect.
    pub cachemaxnumentries: u64,
}

/// An attribute that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeMatch {
    /// Its name.
    pub key: String,
    /// Its value: equal in kind and content, or with `regexp` an expression. Left out: any value.
    #[serde(default)]
    pub value: Option<Literal>,
}

/// An instrumentation scope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryMatch {
    /// Its name.
    pub name: String,
    /// Its version; left out: any.
    #[serde(default)]
    pub version: Option<String>,
}

/// How severe a log record must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeverityMatch {
    /// The lowest severity number that matches, 1 to 24; default 0: all that are known.
    pub min: i32,
    /// Whether records whose severity is not known match; default false.
    pub match_undefined: bool,
}

/// Conditions of `include` or `exclude`; all that are written must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MatchSettings {
    /// How texts are compared; needed wherever there are any.
    pub match_type: Option<MatchType>,
    /// Settings of `match_type: regexp`.
    pub regexp: RegexpSettings,
    /// Spans: `service.name` of the resource is one of these.
    pub services: Vec<String>,
    /// Spans: the name is one of these.
    pub span_names: Vec<String>,
    /// Spans: the kind is one of these, such as `SPAN_KIND_SERVER`.
    pub span_kinds: Vec<String>,
    /// Log records: the body, as text, is one of these.
    pub log_bodies: Vec<String>,
    /// Log records: the severity as its source calls it is one of these.
    pub log_severity_texts: Vec<String>,
    /// Log records: how severe they are.
    pub log_severity_number: Option<SeverityMatch>,
    /// Metrics: the name is one of these.
    pub metric_names: Vec<String>,
    /// Log records and spans: they have all of these attributes.
    pub attributes: Vec<AttributeMatch>,
    /// The resource has all of these attributes.
    pub resources: Vec<AttributeMatch>,
    /// Log records and spans: the instrumentation scope is all of these.
    pub libraries: Vec<LibraryMatch>,
}
