//! What goes wrong while a statement runs, and what becomes of it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

/// Why a statement or a condition failed on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    message: Cow<'static, str>,
}

impl EvalError {
    /// Lower case, no full stop.
    #[must_use]
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into() }
    }

    /// A value of another kind than the one that is needed.
    #[must_use]
    pub fn expected(what: &str, found: &super::Value<'_>) -> Self {
        Self::new(format!("expected {what}, here is {}", found.kind()))
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for EvalError {}

/// `error_mode`: what becomes of the error of a statement or a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorMode {
    /// The batch is dropped.
    #[default]
    Propagate,
    /// It is counted and logged, and the next statement goes on.
    Ignore,
    /// It is counted, and the next statement goes on.
    Silent,
}
