//! Exporter `debug`: prints what passes.

mod detailed;
mod normal;
mod page;
mod points;
mod sampler;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tracing::info;

use crate::component::{
    BuildContext, BuildError, DriverSettings, ExportError, Exporter, ExporterConfig, Payload,
    Request, Sent,
};
use crate::config::ComponentId;
use crate::data::{Batch, Signal};
use crate::telemetry::Clock;
use sampler::Sampler;

/// How much is printed of each batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// One line with counts.
    #[default]
    Basic,
    /// About one line for each record.
    Normal,
    /// Every field.
    Detailed,
}

/// Settings of `debug`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DebugConfig {
    /// How much is printed of each batch.
    pub verbosity: Verbosity,
    /// Batches printed in each second before sampling sets in.
    pub sampling_initial: u64,
    /// Of the further ones every how manieth is printed; 0: none.
    pub sampling_thereafter: u64,
    /// Whether to print through the agent's own log; else to standard output, without time and
    /// level.
    pub use_internal_logger: bool,
}

impl Default for DebugConfig {
    fn default() -> Self {
        Self {
            verbosity: Verbosity::Basic,
            sampling_initial: 2,
            sampling_thereafter: 1,
            use_internal_logger: true,
        }
    }
}

impl ExporterConfig for DebugConfig {
    const TYPE: &'static str = "debug";
    const EXAMPLE: &'static str = "verbosity: normal\n";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const DRIVER_KEYS: &'static [&'static str] = &["sending_queue"];

    fn driver_defaults() -> DriverSettings {
        let mut settings = DriverSettings { timeout: Duration::ZERO, ..DriverSettings::default() };
        settings.retry.enabled = false;
        settings.queue.enabled = false;
        settings
    }

    fn build(&self, context: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        Ok(Arc::new(DebugExporter {
            id: context.id.clone(),
            verbosity: self.verbosity,
            sampler: Sampler::new(self.sampling_initial, self.sampling_thereafter),
            use_internal_logger: self.use_internal_logger,
            clock: context.host.clock.clone(),
        }))
    }
}

struct DebugExporter {
    id: ComponentId,
    verbosity: Verbosity,
    sampler: Sampler,
    use_internal_logger: bool,
    clock: Clock,
}

#[async_trait]
impl Exporter for DebugExporter {
    async fn send(&self, request: &Request) -> Result<Sent, ExportError> {
        if let Payload::Batch(batch) = &request.payload
            && self.sampler.takes(self.clock.now())
        {
            self.print(batch).map_err(|error| ExportError::Rejected { source: error.into() })?;
        }
        Ok(Sent::DURABLE)
    }
}

impl DebugExporter {
    fn print(&self, batch: &Batch) -> io::Result<()> {
        let detail = match self.verbosity {
            Verbosity::Basic => None,
            Verbosity::Normal => Some(normal::normal(batch)),
            Verbosity::Detailed => Some(detailed::detailed(batch)),
        };
        let summary = summary(batch);
        if self.use_internal_logger {
            info!(exporter = %self.id, "{summary}");
            if let Some(detail) = detail {
                info!(exporter = %self.id, "\n{detail}");
            }
            return Ok(());
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{summary}")?;
        if let Some(detail) = detail {
            writeln!(out, "{detail}")?;
        }
        out.flush()
    }
}

/// One line with counts.
fn summary(batch: &Batch) -> String {
    let num_records = batch.num_records();
    match batch.signal() {
        Signal::Logs => {
            let resources = batch.logs().resources().count();
            format!("Logs: {resources} resource logs, {num_records} log records")
        }
        Signal::Traces => {
            let resources = batch.spans().resources().count();
            format!("Traces: {resources} resource spans, {num_records} spans")
        }
        Signal::Metrics => {
            let resources = batch.metrics().resources().count();
            let metrics = batch.metrics().items().count();
            format!(
                "Metrics: {resources} resource metrics, {metrics} metrics, {num_records} data points"
            )
        }
    }
}
