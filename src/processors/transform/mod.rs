//! Processor `transform`: changes telemetry by statements in OTTL.

mod metrics;
mod settings;
mod traces;

use serde::Deserialize;

use self::settings::Settings;
use crate::component::{
    BuildContext, BuildError, Outbox, ProcessError, Processor, ProcessorConfig, Sharding, Stability,
};
use crate::data::{Batch, Signal};
use crate::ottl::{Errors, Program};

/// Settings of `transform`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub struct TransformConfig {
    logs: Vec<Step>,
    traces: Vec<Step>,
    metrics: Vec<Step>,
}

/// Statements that are run together.
#[derive(Clone, Debug)]
struct Step {
    program: Program,
    errors: Errors,
}

impl ProcessorConfig for TransformConfig {
    const TYPE: &'static str = "transform";
    const EXAMPLE: &'static str = "\
error_mode: ignore
log_statements:
  - set(resource.attributes[\"deployment.environment.name\"], \"production\")
  - context: log
    conditions:
      - IsMatch(body, \"password=\")
    statements:
      - replace_pattern(body, \"password=[^ ]*\", \"password=***\")
      - set(attributes[\"masked\"], true)
trace_statements:
  - set(span.status.code, STATUS_CODE_ERROR) where span.attributes[\"http.response.status_code\"] >= 500
metric_statements:
  - delete_matching_keys(datapoint.attributes, \"^net\\\\.peer\\\\.\")
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let steps = match context.signal {
            Signal::Logs => &self.logs,
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
        };
        Ok(Box::new(Transform { steps: steps.clone() }))
    }
}

/// Runs the statements of one signal.
struct Transform {
    steps: Vec<Step>,
}

impl Processor for Transform {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        let mut edited = batch;
        let num_records = edited.num_records();
        for Step { program, errors } in &self.steps {
            edited = program.run_on(&edited, out.now(), errors).map_err(|failed| ProcessError {
                reason: "statement_failed",
                source: Some(failed.into()),
            })?;
        }
        out.count_created(edited.num_records().saturating_sub(num_records));
        out.count_dropped(num_records.saturating_sub(edited.num_records()), "transformed");
        if !edited.is_empty() {
            out.emit(edited);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
