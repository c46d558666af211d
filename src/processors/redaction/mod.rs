//! Processor `redaction`: removes attributes that are not allowed, and masks sensitive values.
//!
//! Its keys and what they do are those of the OpenTelemetry Collector's processor of this name
//! (contrib 0.161); `detectors` is ours.

pub mod detectors;
mod keys;
mod masker;
mod redactor;
mod settings;
mod summary;
mod walk;

use serde::Deserialize;

use self::redactor::Redactor;
use self::settings::Settings;
use crate::component::{
    BuildContext, BuildError, Outbox, ProcessError, Processor, ProcessorConfig, Sharding, Stability,
};
use crate::data::{Batch, Signal};
use crate::telemetry::Counter;

/// Settings of `redaction`.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct RedactionConfig {
    settings: Settings,
}

impl ProcessorConfig for RedactionConfig {
    const TYPE: &'static str = "redaction";
    const EXAMPLE: &'static str = "\
allow_all_keys: true
ignored_keys: [service.instance.id]
blocked_key_patterns: ['(?i)password', '(?i)authorization']
blocked_values: ['session=[0-9a-f]{32}']
allowed_values: ['@example\\.com$']
detectors: [credit_card, email, jwt, private_key]
summary: info
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let id = context.id.to_string();
        let detectors = &self.settings.detectors;
        let counters = detectors.iter().map(|detector| {
            let labels = [("processor", &*id), ("detector", detector.name())];
            context.host.metrics.counter("catchment_processor_redaction_detected_values", &labels)
        });
        Ok(Box::new(Redaction {
            counters: counters.collect(),
            redactor: Redactor::new(self.settings.clone()),
        }))
    }
}

/// Redacts batches, and counts what detectors find.
struct Redaction {
    redactor: Redactor,
    /// One for each detector of the settings, in their order.
    counters: Vec<Counter>,
}

impl Processor for Redaction {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        out.emit(self.redacted(&batch));
        for (counter, count) in self.counters.iter().zip(self.redactor.take_counts()) {
            if count > 0 {
                counter.add(count);
            }
        }
        Ok(())
    }
}

impl Redaction {
    fn redacted(&mut self, batch: &Batch) -> Batch {
        let redactor = &mut self.redactor;
        let batch = batch.rewrite_resources(|_, resource| {
            redactor.attributes(&mut resource.attributes_mut());
        });
        let batch = batch.rewrite_scopes(|_, scope| {
            redactor.attributes(&mut scope.attributes_mut());
        });
        match batch.signal() {
            Signal::Logs => batch.rewrite_logs(|item, record| redactor.log(&item.record, record)),
            Signal::Traces => batch.rewrite_spans(|item, span| redactor.span(&item.record, span)),
            Signal::Metrics => batch.rewrite_points(|_, point| {
                redactor.attributes(&mut point.attributes_mut());
            }),
        }
    }
}

#[cfg(test)]
mod tests;
