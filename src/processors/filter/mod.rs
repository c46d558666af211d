//! Processor `filter`: drops records by conditions in OTTL, or by `include` and `exclude`.

mod conditions;
mod functions;
mod settings;

use serde::Deserialize;

use self::conditions::Conditions;
use self::settings::Settings;
use crate::component::{
    BuildContext, BuildError, Outbox, ProcessError, Processor, ProcessorConfig, Sharding, Stability,
};
use crate::data::{Batch, Signal};
use crate::matching::Selection;

/// Why records were dropped, in the agent's own metrics.
const REASON: &str = "filtered";

/// Settings of `filter`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub struct FilterConfig {
    logs: Selection,
    spans: Selection,
    metrics: Selection,
    log_conditions: Conditions,
    trace_conditions: Conditions,
    metric_conditions: Conditions,
}

impl ProcessorConfig for FilterConfig {
    const TYPE: &'static str = "filter";
    const EXAMPLE: &'static str = "\
logs:
  include:
    severity_number:
      min: INFO
      match_undefined: true
  exclude:
    match_type: regexp
    bodies: ['GET /healthz']
spans:
  exclude:
    match_type: strict
    span_names: [GET /healthz]
metrics:
  exclude:
    match_type: regexp
    metric_names: ['^go_', '^process_']
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let (selection, conditions) = match context.signal {
            Signal::Logs => (&self.logs, &self.log_conditions),
            Signal::Traces => (&self.spans, &self.trace_conditions),
            Signal::Metrics => (&self.metrics, &self.metric_conditions),
        };
        Ok(Box::new(Filter { selection: selection.clone(), conditions: conditions.clone() }))
    }
}

/// Passes on what is selected.
struct Filter {
    selection: Selection,
    conditions: Conditions,
}

impl Processor for Filter {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        if self.selection.is_all() && self.conditions.is_empty() {
            out.emit(batch);
            return Ok(());
        }
        let mut kept = self.selected(&batch);
        if !self.conditions.is_empty() {
            kept = self.conditions.remaining(&kept, out.now()).map_err(|failed| ProcessError {
                reason: "condition_failed",
                source: Some(failed.into()),
            })?;
        }
        out.count_dropped(batch.num_records() - kept.num_records(), REASON);
        if !kept.is_empty() {
            out.emit(kept);
        }
        Ok(())
    }
}

impl Filter {
    fn selected(&self, batch: &Batch) -> Batch {
        if self.selection.is_all() {
            return batch.clone();
        }
        let mut selector = self.selection.selector();
        match batch.signal() {
            Signal::Logs => batch.retain_logs(|item| selector.selects_log(item)),
            Signal::Traces => batch.retain_spans(|item| selector.selects_span(item)),
            Signal::Metrics => batch.retain_metrics(|item| selector.selects_metric(item)),
        }
    }
}

#[cfg(test)]
mod tests {
    mod conditions;
    mod selection;
}
