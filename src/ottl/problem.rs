//! What is wrong with a statement or a condition.

use super::ast::Span;
use crate::config::{TextProblem, closest};

/// What is wrong, and where in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The bytes that are meant.
    pub span: Span,
    /// Lower case, no full stop.
    pub message: String,
    /// A line of advice.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at these bytes.
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    /// Adds a line of advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Advises the nearest of the names that are known, or lists them if they are few.
    #[must_use]
    pub(super) fn nearest<'a>(
        mut self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        const MAX_LISTED: usize = 24;
        let known: Vec<&str> = known.into_iter().collect();
        self.hint = closest(name, known.iter().copied())
            .map(|nearest| format!("did you mean `{nearest}`?"))
            .or_else(|| {
                let listed = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
                let is_short = (1..=MAX_LISTED).contains(&known.len());
                is_short.then(|| format!("known here: {}", listed.join(", ")))
            });
        self
    }

    /// The problem in the file: `text` is the whole statement or condition.
    #[must_use]
    pub fn in_text(self, text: &str) -> TextProblem {
        let Self { span, message, hint } = self;
        TextProblem { text: text.to_owned(), span, message, hint }
    }
}
