//! Lists of statements and conditions as components have them: compiled, and run on a scene.

use std::sync::Arc;

use super::any_of::{Errors, Failed};
use super::ast::{Expr, Span, Statement};
use super::check::{Checker, each_path, each_path_of_call, lower};
use super::context::Context;
use super::error::EvalError;
use super::functions::{EditArgs, Functions};
use super::node::{Argument, Node};
use super::parser::{parse_condition, parse_statement};
use super::problem::Problem;
use super::scene::Scene;
use crate::config::TextProblem;

/// A statement, compiled.
#[derive(Clone, Debug)]
pub struct CompiledStatement {
    edit: Edit,
    condition: Option<Node>,
    text: Arc<str>,
}

/// An editor with its arguments.
#[derive(Clone)]
pub(super) struct Edit {
    pub(super) body: super::functions::Edit,
    /// Whether it changes how many records there are.
    pub(super) makes: bool,
    pub(super) arguments: Box<[Argument]>,
}

impl std::fmt::Debug for Edit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Edit").field("arguments", &self.arguments).finish_non_exhaustive()
    }
}

impl CompiledStatement {
    /// Applies the editor where the condition holds; returns whether it held.
    ///
    /// # Errors
    ///
    /// Fails where the condition or an argument cannot be evaluated.
    #[inline]
    pub fn run(&self, scene: &mut Scene<'_>) -> Result<bool, EvalError> {
        if let Some(condition) = &self.condition
            && !condition.holds(scene)?
        {
            return Ok(false);
        }
        (self.edit.body)(EditArgs { arguments: &self.edit.arguments }, scene)?;
        Ok(true)
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A condition, compiled.
#[derive(Clone, Debug)]
pub struct CompiledCondition {
    node: Node,
    text: Arc<str>,
}

impl CompiledCondition {
    /// Whether it holds.
    ///
    /// # Errors
    ///
    /// Fails where something in it cannot be evaluated.
    #[inline]
    pub fn holds(&self, scene: &Scene<'_>) -> Result<bool, EvalError> {
        self.node.holds(scene)
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What texts may be about, and how they are read.
#[derive(Clone, Copy, Debug)]
pub struct Compiler<'c> {
    /// What is named by paths without a context; none if each names its own.
    pub explicit: Option<Context>,
    /// What can be looked at.
    pub contexts: &'c [Context],
    /// What texts without a path are about.
    pub usual: Context,
    /// What can be called.
    pub functions: Functions,
}

/// Statements about one context, and when they are run.
#[derive(Clone, Debug)]
pub struct Program {
    /// What they are about.
    pub context: Context,
    /// They are run where one of these holds; always if there are none.
    pub conditions: Vec<CompiledCondition>,
    /// In their order.
    pub statements: Vec<CompiledStatement>,
    /// The highest context that they write.
    pub writes: Context,
    /// Whether they change how many records there are.
    pub makes_metrics: bool,
}

impl Compiler<'_> {
    /// Compiles conditions about one context, which comes with them.
    ///
    /// # Errors
    ///
    /// Fails with all that is wrong.
    pub fn conditions(
        &self,
        texts: &[String],
    ) -> Result<(Context, Vec<CompiledCondition>), Vec<TextProblem>> {
        let program = self.program(texts, &[])?;
        Ok((program.context, program.conditions))
    }

    /// Compiles a condition that is parsed already.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong.
    pub(super) fn condition(
        &self,
        text: &str,
        condition: &Expr,
    ) -> Result<(Context, CompiledCondition), Problem> {
        let context = self.explicit.unwrap_or(self.usual);
        let is_explicit = self.explicit.is_some();
        let checker = Checker { context, is_explicit, functions: self.functions };
        let node = checker.condition(condition)?;
        Ok((context, CompiledCondition { node, text: text.into() }))
    }

    /// Compiles statements and the conditions of their group.
    ///
    /// # Errors
    ///
    /// Fails with all that is wrong.
    pub fn program(
        &self,
        conditions: &[String],
        statements: &[String],
    ) -> Result<Program, Vec<TextProblem>> {
        let mut problems = Vec::new();
        let mut parsed_conditions: Vec<(&String, Expr)> = Vec::new();
        for text in conditions {
            match parse_condition(text) {
                Ok(condition) => parsed_conditions.push((text, condition)),
                Err(problem) => problems.push(problem.in_text(text)),
            }
        }
        let mut parsed_statements: Vec<(&String, Statement)> = Vec::new();
        for text in statements {
            match parse_statement(text) {
                Ok(statement) => parsed_statements.push((text, statement)),
                Err(problem) => problems.push(problem.in_text(text)),
            }
        }
        let context = self.context(&parsed_conditions, &parsed_statements, &mut problems);
        let checker =
            Checker { context, is_explicit: self.explicit.is_some(), functions: self.functions };
        let mut program = Program {
            context,
            conditions: Vec::new(),
            statements: Vec::new(),
            writes: context,
            makes_metrics: false,
        };
        let is_wrong = |text: &str, problems: &[TextProblem]| {
            problems.iter().any(|problem| problem.text == text)
        };
        for (text, condition) in parsed_conditions {
            if is_wrong(text, &problems) {
                continue;
            }
            match checker.condition(&condition) {
                Ok(node) => {
                    program.conditions.push(CompiledCondition { node, text: text.as_str().into() });
                }
                Err(problem) => problems.push(problem.in_text(text)),
            }
        }
        for (text, statement) in parsed_statements {
            if is_wrong(text, &problems) {
                continue;
            }
            match compiled(&checker, &statement, text) {
                Ok(statement) => {
                    program.note_writes(&statement);
                    program.statements.push(statement);
                }
                Err(problem) => problems.push(problem.in_text(text)),
            }
        }
        if problems.is_empty() { Ok(program) } else { Err(problems) }
    }

    /// What the texts are about: the lowest context that they name.
    fn context(
        &self,
        conditions: &[(&String, Expr)],
        statements: &[(&String, Statement)],
        problems: &mut Vec<TextProblem>,
    ) -> Context {
        if let Some(context) = self.explicit {
            if !self.contexts.contains(&context) {
                let texts = conditions.iter().map(|(text, _)| *text);
                let texts = texts.chain(statements.iter().map(|(text, _)| *text));
                problems
                    .extend(texts.map(|text| self.unknown(context, 0..text.len()).in_text(text)));
            }
            return context;
        }
        let mut found: Option<Context> = None;
        let mut note = |path: &super::ast::Path, span: &Span, text: &str| {
            let next = lower(found, path, span).and_then(|next| match next {
                Some(context) if !self.contexts.contains(&context) => {
                    Err(self.unknown(context, span.clone()))
                }
                next => Ok(next),
            });
            match next {
                Ok(next) => found = next,
                Err(problem) => problems.push(problem.in_text(text)),
            }
        };
        for (text, condition) in conditions {
            each_path(condition, &mut |path, span| note(path, span, text));
        }
        for (text, Statement { editor, condition }) in statements {
            each_path_of_call(editor, &mut |path, span| note(path, span, text));
            if let Some(condition) = condition {
                each_path(condition, &mut |path, span| note(path, span, text));
            }
        }
        found.unwrap_or(self.usual)
    }
}

impl Compiler<'_> {
    /// A context that this signal does not have.
    fn unknown(&self, context: Context, span: Span) -> Problem {
        let known: Vec<String> =
            self.contexts.iter().map(|context| format!("`{}`", context.name())).collect();
        let problem = Problem::new(span, format!("there is no `{}` here", context.name()));
        problem.hint(format!("known here: {}", known.join(", ")))
    }
}

impl Program {
    /// Whether its statements are run on what the scene shows.
    ///
    /// # Errors
    ///
    /// Fails if a condition fails, and that is to be propagated.
    pub(super) fn applies(&self, scene: &Scene<'_>, errors: &Errors) -> Result<bool, Failed> {
        for condition in &self.conditions {
            match condition.holds(scene) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => errors.take(condition.text(), error)?,
            }
        }
        Ok(self.conditions.is_empty())
    }

    /// Takes over the statements of another program, if that makes no difference: both are run
    /// always, are about the same and write nothing that others of it read.
    ///
    /// # Errors
    ///
    /// Fails with the other program if it must be run by itself.
    pub fn merge(&mut self, other: Self) -> Result<(), Self> {
        let is_own = |program: &Self| {
            program.writes == program.context
                && program.conditions.is_empty()
                && !program.makes_metrics
        };
        if self.context != other.context || !is_own(self) || !is_own(&other) {
            return Err(other);
        }
        self.statements.extend(other.statements);
        Ok(())
    }

    fn note_writes(&mut self, statement: &CompiledStatement) {
        self.makes_metrics |= statement.edit.makes;
        for argument in &statement.edit.arguments {
            if let (super::functions::Kind::Target, Node::Path(path)) =
                (argument.kind, &argument.node)
                && path.spec.context.depth() < self.writes.depth()
                && path.spec.context != Context::Cache
            {
                self.writes = path.spec.context;
            }
        }
    }
}

fn compiled(
    checker: &Checker,
    statement: &Statement,
    text: &str,
) -> Result<CompiledStatement, Problem> {
    let edit = checker.statement(&statement.editor)?;
    let condition = statement.condition.as_ref().map(|condition| checker.condition(condition));
    Ok(CompiledStatement { edit, condition: condition.transpose()?, text: text.into() })
}
