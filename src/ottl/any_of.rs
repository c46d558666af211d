//! Conditions of which one is enough, with what becomes of their errors.

use std::sync::Arc;

use tracing::warn;

use super::ast::Expr;
use super::context::Context;
use super::error::{ErrorMode, EvalError};
use super::problem::Problem;
use super::program::{CompiledCondition, Compiler};
use super::scene::Scene;
use crate::config::TextProblem;
use crate::telemetry::Throttle;

/// A statement or a condition that failed, where that is not to be ignored.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{text}` failed")]
pub struct Failed {
    /// As it is written.
    pub text: Arc<str>,
    /// Why.
    pub source: EvalError,
}

/// What becomes of errors.
#[derive(Clone, Debug)]
pub struct Errors {
    mode: ErrorMode,
    throttle: Arc<Throttle>,
}

impl Errors {
    /// Errors with this mode.
    #[must_use]
    pub fn new(mode: ErrorMode) -> Self {
        Self { mode, throttle: Arc::default() }
    }

    /// Takes an error.
    ///
    /// # Errors
    ///
    /// Fails with it if it is to be propagated.
    #[cold]
    pub fn take(&self, text: &str, source: EvalError) -> Result<(), Failed> {
        match self.mode {
            ErrorMode::Propagate => return Err(Failed { text: text.into(), source }),
            ErrorMode::Ignore => {
                if let Some(suppressed) = self.throttle.allow_now() {
                    warn!(error = %source, %text, suppressed, "statement failed, going on");
                }
            }
            ErrorMode::Silent => {}
        }
        Ok(())
    }
}

/// Conditions about one context.
#[derive(Clone, Debug)]
pub struct AnyOf {
    context: Context,
    conditions: Vec<CompiledCondition>,
    errors: Errors,
}

impl AnyOf {
    /// Compiles conditions.
    ///
    /// # Errors
    ///
    /// Fails with all that is wrong.
    pub fn compile(
        texts: &[String],
        compiler: Compiler<'_>,
        mode: ErrorMode,
    ) -> Result<Self, Vec<TextProblem>> {
        let (context, conditions) = compiler.conditions(texts)?;
        Ok(Self { context, conditions, errors: Errors::new(mode) })
    }

    /// Compiles a condition that is parsed already; `text` is what it stands in.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong.
    pub fn of_parsed(
        text: &str,
        condition: &Expr,
        compiler: Compiler<'_>,
        mode: ErrorMode,
    ) -> Result<Self, Problem> {
        let (context, condition) = compiler.condition(text, condition)?;
        Ok(Self { context, conditions: vec![condition], errors: Errors::new(mode) })
    }

    /// What they are about.
    #[must_use]
    pub const fn context(&self) -> Context {
        self.context
    }

    /// Whether one of them holds; one that fails does not.
    ///
    /// # Errors
    ///
    /// Fails if one fails, and that is to be propagated.
    #[inline]
    pub fn holds(&self, scene: &Scene<'_>) -> Result<bool, Failed> {
        for condition in &self.conditions {
            match condition.holds(scene) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => self.errors.take(condition.text(), error)?,
            }
        }
        Ok(false)
    }
}
