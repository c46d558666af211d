//! Sets of texts or expressions, of which one must match.

use regex::RegexSet;

use super::MatchError;
use super::settings::MatchType;
use crate::config::Pattern;

/// Texts to be equal to, or expressions to match.
#[derive(Clone, Debug)]
pub(super) enum Texts {
    /// One of these is equal.
    Strict(Vec<String>),
    /// This expression matches.
    One(Pattern),
    /// One of these expressions matches.
    Several(RegexSet),
}

impl Texts {
    /// Nothing if there are no texts.
    pub(super) fn try_new(
        field: &'static str,
        match_type: Option<MatchType>,
        texts: &[String],
    ) -> Result<Option<Self>, MatchError> {
        if texts.is_empty() {
            return Ok(None);
        }
        match match_type {
            None => Err(MatchError::NoMatchType { field }),
            Some(MatchType::Strict) => Ok(Some(Self::Strict(texts.to_vec()))),
            Some(MatchType::Regexp) => Self::expressions(field, texts).map(Some),
        }
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Strict(texts) => texts.iter().any(|wanted| wanted == text),
            Self::One(pattern) => pattern.is_match(text),
            Self::Several(set) => set.is_match(text),
        }
    }

    fn expressions(field: &'static str, texts: &[String]) -> Result<Self, MatchError> {
        // Each alone, for its message says which one is wrong.
        let mut patterns = Vec::new();
        for text in texts {
            let pattern = Pattern::try_from(text.clone())
                .map_err(|reason| MatchError::Expression { field, reason })?;
            patterns.push(pattern);
        }
        if patterns.len() == 1
            && let Some(only) = patterns.pop()
        {
            return Ok(Self::One(only));
        }
        RegexSet::new(texts)
            .map(Self::Several)
            .map_err(|error| MatchError::Expression { field, reason: error.to_string() })
    }
}
