//! The settings as users write them.

use serde::Deserialize;

use super::route::{Action, Route, Takes};
use super::{RoutingConfig, Row};
use crate::config::{PipelineId, TextProblem, TextProblems};
use crate::ottl::ast::{CompareOp, Expr, ExprKind, Literal};
use crate::ottl::{
    AnyOf, Compiler, Context, ErrorMode, Functions, Problem, parse_condition, parse_statement,
};

/// The settings of `routing`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// Where records go that no route takes.
    default_pipelines: Vec<PipelineId>,
    /// What becomes of the error of a condition.
    error_mode: ErrorMode,
    /// The routes, in their order.
    table: Vec<RowForm>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RowForm {
    context: RouteContext,
    condition: String,
    statement: String,
    action: ActionForm,
    pipelines: Vec<PipelineId>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RouteContext {
    #[default]
    Resource,
    Span,
    Metric,
    DataPoint,
    Log,
    Request,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActionForm {
    #[default]
    Move,
    Copy,
}

impl RouteContext {
    const fn context(self) -> Option<Context> {
        match self {
            Self::Resource => Some(Context::Resource),
            Self::Span => Some(Context::Span),
            Self::Metric => Some(Context::Metric),
            Self::DataPoint => Some(Context::DataPoint),
            Self::Log => Some(Context::Log),
            Self::Request => None,
        }
    }
}

impl TryFrom<Settings> for RoutingConfig {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        let Settings { default_pipelines, error_mode, table } = settings;
        if table.is_empty() {
            return Err("`table` needs a route".to_owned());
        }
        let mut rows = Vec::new();
        let mut problems = Vec::new();
        for form in table {
            if form.pipelines.is_empty() {
                return Err("`table` has a route without `pipelines`".to_owned());
            }
            if form.condition.is_empty() == form.statement.is_empty() {
                return Err("`table` has a route without one of `condition` and `statement`".into());
            }
            let action = match form.action {
                ActionForm::Move => Action::Move,
                ActionForm::Copy => Action::Copy,
            };
            match takes(&form, error_mode) {
                Ok(takes) => {
                    rows.push(Row { route: Route::new(takes, action), pipelines: form.pipelines });
                }
                Err(wrong) => problems.extend(wrong),
            }
        }
        if problems.is_empty() {
            return Ok(Self { table: rows, default_pipelines });
        }
        Err(TextProblems(problems).to_string())
    }
}

/// What a route takes: by its condition, or by that of its statement `route() where …`.
fn takes(form: &RowForm, mode: ErrorMode) -> Result<Takes, Vec<TextProblem>> {
    let RowForm { condition, statement, context, .. } = form;
    let text = if condition.is_empty() { statement } else { condition };
    let wrong = |problem: Problem| vec![problem.in_text(text)];
    let expr = if condition.is_empty() {
        routed(statement).map_err(wrong)?
    } else {
        parse_condition(condition).map_err(wrong)?
    };
    let Some(context) = context.context() else {
        return of_request(&expr).map_err(wrong);
    };
    let compiler = Compiler {
        explicit: Some(context),
        contexts: &[context],
        usual: context,
        functions: Functions::default(),
    };
    AnyOf::of_parsed(text, &expr, compiler, mode).map(Takes::Records).map_err(wrong)
}

/// The condition of `route() where …`.
fn routed(statement: &str) -> Result<Expr, Problem> {
    let parsed = parse_statement(statement)?;
    let name = &parsed.editor.name;
    if name.text != "route" || !parsed.editor.arguments.is_empty() {
        let problem = Problem::new(parsed.editor.span, "expected `route()`");
        return Err(problem.hint("records are changed by the processor `transform`"));
    }
    let always = ExprKind::Literal(Literal::Bool(true));
    Ok(parsed.condition.unwrap_or(Expr { kind: always, span: name.span.clone() }))
}

/// `request["X-Tenant"] == "acme"`, or `!=`.
fn of_request(expr: &Expr) -> Result<Takes, Problem> {
    if let ExprKind::Compare(op @ (CompareOp::Equal | CompareOp::NotEqual), left, right) =
        &expr.kind
        && let (ExprKind::Path(path), ExprKind::Literal(Literal::Str(value))) =
            (&left.kind, &right.kind)
        && path.dotted() == "request"
        && let [Expr { kind: ExprKind::Literal(Literal::Str(header)), .. }] = path.keys.as_slice()
    {
        let (header, value) = (header.to_ascii_lowercase(), value.clone());
        return Ok(Takes::Request { header, value, is_equal: *op == CompareOp::Equal });
    }
    let problem =
        Problem::new(expr.span.clone(), "expected a comparison of a header with a string");
    Err(problem.hint("write `request[\"X-Tenant\"] == \"acme\"`"))
}
