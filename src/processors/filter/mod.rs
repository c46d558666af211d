//! Processor `filter`: drops log records, spans and metrics by `include` and `exclude`.

mod settings;

use serde::Deserialize;

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
#[serde(from = "Settings")]
pub struct FilterConfig {
    logs: Selection,
    spans: Selection,
    metrics: Selection,
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
        let selection = match context.signal {
            Signal::Logs => &self.logs,
            Signal::Traces => &self.spans,
            Signal::Metrics => &self.metrics,
        };
        Ok(Box::new(Filter { selection: selection.clone() }))
    }
}

/// Passes on what is selected.
struct Filter {
    selection: Selection,
}

impl Processor for Filter {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        if self.selection.is_all() {
            out.emit(batch);
            return Ok(());
        }
        let kept = self.selected(&batch);
        out.count_dropped(batch.num_records() - kept.num_records(), REASON);
        if !kept.is_empty() {
            out.emit(kept);
        }
        Ok(())
    }
}

impl Filter {
    fn selected(&self, batch: &Batch) -> Batch {
        let mut selector = self.selection.selector();
        match batch.signal() {
            Signal::Logs => batch.retain_logs(|item| selector.selects_log(item)),
            Signal::Traces => batch.retain_spans(|item| selector.selects_span(item)),
            Signal::Metrics => batch.retain_metrics(|item| selector.selects_metric(item)),
        }
    }
}

#[cfg(test)]
mod tests;
