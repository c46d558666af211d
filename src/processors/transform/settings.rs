//! The settings as users write them.

use serde::Deserialize;

use super::{Step, TransformConfig};
use crate::config::{Refused, TextProblem, TextProblems};
use crate::data::Signal;
use crate::ottl::{Compiler, Context, Entry, ErrorMode, Errors, Functions};

/// The settings of `transform`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// What becomes of the error of a statement; groups can say otherwise.
    error_mode: ErrorMode,
    /// For logs: statements, or groups of them.
    log_statements: Vec<Entry>,
    /// For traces: statements, or groups of them.
    trace_statements: Vec<Entry>,
    /// For metrics: statements, or groups of them.
    metric_statements: Vec<Entry>,
    profile_statements: Refused,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            error_mode: ErrorMode::Ignore,
            log_statements: Vec::new(),
            trace_statements: Vec::new(),
            metric_statements: Vec::new(),
            profile_statements: Refused,
        }
    }
}

impl TryFrom<Settings> for TransformConfig {
    type Error = TextProblems;

    fn try_from(settings: Settings) -> Result<Self, TextProblems> {
        let mut problems = Vec::new();
        let mut steps =
            |signal, entries: &[Entry]| steps(signal, entries, settings.error_mode, &mut problems);
        let logs = steps(Signal::Logs, &settings.log_statements);
        let traces = steps(Signal::Traces, &settings.trace_statements);
        let metrics = steps(Signal::Metrics, &settings.metric_statements);
        if problems.is_empty() {
            return Ok(Self { logs, traces, metrics });
        }
        Err(TextProblems(problems))
    }
}

/// Compiles the statements of one signal; what stands alone joins those before it if it can.
fn steps(
    signal: Signal,
    entries: &[Entry],
    mode: ErrorMode,
    problems: &mut Vec<TextProblem>,
) -> Vec<Step> {
    let compiler = Compiler {
        explicit: None,
        contexts: Context::of_signal(signal),
        usual: Context::usual(signal),
        functions: match signal {
            Signal::Metrics => super::metrics::FUNCTIONS,
            Signal::Traces => super::traces::FUNCTIONS,
            Signal::Logs => Functions::default(),
        },
    };
    let mut steps: Vec<Step> = Vec::new();
    let mut is_joinable = false;
    for entry in entries {
        let (program, mode) = match entry {
            Entry::Text(text) => (compiler.program(&[], std::slice::from_ref(text)), mode),
            Entry::Group(group) => {
                let explicit = group.context.map(|context| context.0);
                let compiler = Compiler { explicit, ..compiler };
                let program = compiler.program(&group.conditions, &group.statements);
                (program, group.error_mode.unwrap_or(mode))
            }
        };
        let mut program = match program {
            Ok(program) => program,
            Err(wrong) => {
                problems.extend(wrong);
                continue;
            }
        };
        let is_single = matches!(entry, Entry::Text(_));
        if let Some(last) = steps.last_mut().filter(|_| is_joinable && is_single) {
            match last.program.merge(program) {
                Ok(()) => continue,
                Err(separate) => program = separate,
            }
        }
        is_joinable = is_single;
        steps.push(Step { program, errors: Errors::new(mode) });
    }
    steps
}
