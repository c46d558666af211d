//! What serde reports while a node is read, with the node where it arose.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::{
    Diagnostic, Node, TextProblems, Value, de::Path, did_you_mean, quoted_list, read::NodeId,
};

/// An error on its way to [`read`](super::read).
#[derive(Debug)]
pub(super) struct ReadError {
    pub(super) kind: Kind,
    /// The node and its path, once it is known.
    pub(super) at: Option<(NodeId, String)>,
    message: String,
    hint: Option<String>,
}

/// What has to be told apart.
#[derive(Debug)]
pub(super) enum Kind {
    /// The value is wrong.
    Wrong,
    /// A key is missing.
    Missing(&'static str),
    /// The value is null and so counts as not written.
    Null,
}

impl ReadError {
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self { kind: Kind::Wrong, at: None, message: message.into(), hint: None }
    }

    pub(super) fn null() -> Self {
        Self { kind: Kind::Null, ..Self::wrong("a value is needed here") }
    }

    pub(super) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Says where it arose, unless that was said further in.
    pub(super) fn at(mut self, node: &Node, path: &Path<'_>) -> Self {
        if self.at.is_none() {
            self.at = Some((std::ptr::from_ref(node), path.to_string()));
        }
        self
    }

    /// The problems for users; `node` is where they arose.
    pub(super) fn into_diagnostics(self, node: &Node) -> Vec<Diagnostic> {
        if let Some(problems) = TextProblems::parse(&self.message) {
            let path = self.at.map(|(_, path)| path).unwrap_or_default();
            return problems.into_diagnostics(node, &path);
        }
        vec![self.into_diagnostic(node)]
    }

    fn into_diagnostic(self, node: &Node) -> Diagnostic {
        let (place, path) = match (self.named_key(), self.at) {
            (Some(key), at) => {
                let value = node.at_path(&key).map_or(node.place(), Node::place);
                (value, at.map(|(_, path)| path))
            }
            (None, at) => (node.place(), at.map(|(_, path)| path)),
        };
        let problem = Diagnostic::error(self.message).at(place);
        problem.in_path(path.unwrap_or_default()).maybe_hint(self.hint)
    }

    /// The key in backticks with which the message of a rule across fields starts.
    fn named_key(&self) -> Option<String> {
        let (key, _) = self.message.strip_prefix('`')?.split_once('`')?;
        Some(key.to_owned())
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::wrong(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        Self::wrong(format!("expected {}, here is {}", in_words(&expected), described(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let error = Self::wrong(format!("unknown value `{variant}`"));
        // Other spellings of the same are accepted, but not advertised.
        let is_spelling = |value: &str| {
            let lower = value.to_lowercase();
            lower != value && expected.contains(&lower.as_str())
        };
        let is_plain = |value: &&&str| !value.is_empty() && !is_spelling(value);
        let plain: Vec<_> = expected.iter().filter(is_plain).collect();
        let one_of = || format!("expected one of {}", quoted_list(&plain));
        let hint = did_you_mean(variant, expected.iter().copied()).or_else(|| Some(one_of()));
        error.hint(hint)
    }

    fn missing_field(field: &'static str) -> Self {
        let error = Self::wrong(format!("`{field}` must be set"));
        Self { kind: Kind::Missing(field), ..error }
    }
}

/// What serde expects, in the words of the file.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => "a whole number above 0",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") => "a map",
        other => other,
    }
}

/// What stands there, in the words of the file.
fn described(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Float(value) => format!("`{value}`"),
        Unexpected::Char(value) => format!("`{value}`"),
        Unexpected::Str(value) => format!("the string `{}`", shortened(value)),
        Unexpected::Unit | Unexpected::Option => Value::Null.kind().to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

/// The beginning of a long text.
pub(super) fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    match text.char_indices().nth(MAX_CHARS) {
        Some((at, _)) => format!("{}…", text.split_at(at).0),
        None => text.to_owned(),
    }
}
