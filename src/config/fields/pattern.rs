//! Regular expressions.

use regex::Regex;
use serde::Deserialize;

/// A regular expression that compiles; what is written is also what is matched anywhere in a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// The compiled expression.
    #[must_use]
    pub const fn regex(&self) -> &Regex {
        &self.0
    }

    /// Whether the expression matches anywhere in `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shown = super::super::read_error::shortened(&text);
        Regex::new(&text).map(Self).map_err(|error| {
            // The last line of the library's message says what is wrong, those before draw it.
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("`{shown}` is not a regular expression: {reason}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_expression_is_explained() {
        assert!(Pattern::try_from("^a+$".to_owned()).unwrap().is_match("aaa"));
        let error = Pattern::try_from("a(".to_owned()).unwrap_err();
        assert_eq!(error, "`a(` is not a regular expression: unclosed group");
    }
}
