//! Exporter `nop`: takes everything and does nothing with it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use crate::component::{
    BuildContext, BuildError, DriverSettings, ExportError, Exporter, ExporterConfig, Request, Sent,
    Stability,
};
use crate::data::Signal;

/// Settings of `nop`: there are none.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NopConfig {}

impl ExporterConfig for NopConfig {
    const TYPE: &'static str = "nop";
    const EXAMPLE: &'static str = "{}\n";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Stable;
    const DRIVER_KEYS: &'static [&'static str] = &[];

    fn driver_defaults() -> DriverSettings {
        let mut settings = DriverSettings { timeout: Duration::ZERO, ..DriverSettings::default() };
        settings.retry.enabled = false;
        settings.queue.enabled = false;
        settings
    }

    fn build(&self, _context: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        Ok(Arc::new(Nop))
    }
}

struct Nop;

#[async_trait]
impl Exporter for Nop {
    async fn send(&self, _request: &Request) -> Result<Sent, ExportError> {
        Ok(Sent::DURABLE)
    }
}
