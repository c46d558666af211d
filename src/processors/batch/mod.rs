//! Processor `batch`: joins small batches and divides large ones.

mod batcher;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time;

use serde::Deserialize;

pub use batcher::Batcher;
use batcher::{Sent, Settings};

use crate::component::{BuildContext, BuildError, Processor, ProcessorConfig, Sharding, Stability};
use crate::config::Duration;
use crate::data::Signal;

/// The buckets of the Collector's histogram of batch sizes.
const SIZE_BOUNDS: &[u64] = &[
    10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000,
    10_000, 20_000, 30_000, 50_000, 100_000,
];

/// Settings of `batch`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "BatchForm")]
pub struct BatchConfig {
    /// How many log records, spans or data points make a batch; 0: each batch goes on at once.
    /// Default 8192.
    pub send_batch_size: usize,
    /// How long records wait for others; 0: not at all. Default 200ms.
    pub timeout: Duration,
    /// The most records in a batch; 0, the default: no limit.
    pub send_batch_max_size: usize,
    /// The names of request headers that keep batches apart, in lower case; by default none.
    pub metadata_keys: Vec<String>,
    /// How many combinations of their values there may be; 0: no limit. Default 1000.
    pub metadata_cardinality_limit: usize,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BatchForm {
    send_batch_size: u32,
    timeout: Duration,
    send_batch_max_size: u32,
    metadata_keys: Vec<String>,
    metadata_cardinality_limit: u32,
}

impl Default for BatchForm {
    fn default() -> Self {
        Self {
            send_batch_size: 8192,
            timeout: Duration::from_millis(200),
            send_batch_max_size: 0,
            metadata_keys: Vec::new(),
            metadata_cardinality_limit: 1000,
        }
    }
}

impl TryFrom<BatchForm> for BatchConfig {
    type Error = String;

    fn try_from(form: BatchForm) -> Result<Self, String> {
        let (size, max_size) = (form.send_batch_size, form.send_batch_max_size);
        if max_size > 0 && max_size < size {
            return Err(format!(
                "`send_batch_max_size` is {max_size}, it must be 0 or at least `send_batch_size`, \
                 which is {size}"
            ));
        }
        let metadata_keys: Vec<String> =
            form.metadata_keys.iter().map(|key| key.to_lowercase()).collect();
        let mut seen = HashSet::new();
        if let Some(twice) = metadata_keys.iter().find(|key| !seen.insert(*key)) {
            return Err(format!("`metadata_keys` has `{twice}` twice; case does not count"));
        }
        Ok(Self {
            send_batch_size: size as usize,
            timeout: form.timeout,
            send_batch_max_size: max_size as usize,
            metadata_keys,
            metadata_cardinality_limit: form.metadata_cardinality_limit as usize,
        })
    }
}

impl ProcessorConfig for BatchConfig {
    const TYPE: &'static str = "batch";
    const EXAMPLE: &'static str = "\
send_batch_size: 8192
timeout: 200ms
send_batch_max_size: 16384
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::PerWorker
    }

    fn max_hold(&self) -> Option<time::Duration> {
        self.timeout.non_zero().filter(|_| self.send_batch_size > 0)
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let id = context.id.to_string();
        let counter = |family| context.host.metrics.counter(family, &[("processor", &id)]);
        let sent = Sent {
            size: counter("otelcol_processor_batch_batch_size_trigger_send"),
            timeout: counter("otelcol_processor_batch_timeout_trigger_send"),
            sizes: context.host.metrics.sizes(
                "otelcol_processor_batch_batch_send_size",
                &[("processor", &id)],
                SIZE_BOUNDS,
            ),
        };
        let settings = Settings {
            size: self.send_batch_size,
            max_size: self.send_batch_max_size,
            timeout: self.max_hold(),
            metadata_keys: self.metadata_keys.clone(),
            max_combinations: self.metadata_cardinality_limit,
        };
        Ok(Box::new(Batcher::new(settings, sent)))
    }
}
