//! What stands around an exporter: `retry_on_failure` and `sending_queue`.

use std::num::NonZeroUsize;

use serde::Deserialize;

use super::super::{ComponentId, Duration, Optional, Ratio};

/// How many requests are sent at one time where the file says nothing.
const DEFAULT_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9);

/// `retry_on_failure`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "RetryForm")]
pub struct Retry {
    /// Whether requests that failed are sent again; default true.
    pub enabled: bool,
    /// The first pause; default 5s.
    pub initial_interval: Duration,
    /// By how much of itself a pause is made longer or shorter by chance; default 0.5.
    pub randomization_factor: f64,
    /// How many times as long each pause is as the one before, at least 1; default 1.5.
    pub multiplier: f64,
    /// The longest pause; default 30s.
    pub max_interval: Duration,
    /// After this time the records are dropped; default 5m, 0: never.
    pub max_elapsed_time: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            randomization_factor: 0.5,
            multiplier: 1.5,
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
        }
    }
}

/// `retry_on_failure` as it is written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RetryForm {
    enabled: bool,
    initial_interval: Duration,
    randomization_factor: Ratio,
    multiplier: f64,
    max_interval: Duration,
    max_elapsed_time: Duration,
}

impl Default for RetryForm {
    fn default() -> Self {
        let retry = Retry::default();
        Self {
            enabled: retry.enabled,
            initial_interval: retry.initial_interval,
            randomization_factor: Ratio::clamped(retry.randomization_factor),
            multiplier: retry.multiplier,
            max_interval: retry.max_interval,
            max_elapsed_time: retry.max_elapsed_time,
        }
    }
}

impl TryFrom<RetryForm> for Retry {
    type Error = String;

    fn try_from(form: RetryForm) -> Result<Self, String> {
        if !form.multiplier.is_finite() || form.multiplier < 1.0 {
            return Err(format!("`multiplier` is {}, it must be at least 1", form.multiplier));
        }
        Ok(Self {
            enabled: form.enabled,
            initial_interval: form.initial_interval,
            randomization_factor: form.randomization_factor.get(),
            multiplier: form.multiplier,
            max_interval: form.max_interval,
            max_elapsed_time: form.max_elapsed_time,
        })
    }
}

/// In what a queue is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// Requests.
    #[default]
    Requests,
    /// Log records, spans, data points.
    Items,
    /// Bytes.
    Bytes,
}

/// `sending_queue`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "QueueForm")]
pub struct Queue {
    /// Whether there is one; default true. Without, clients wait for the exporter.
    pub enabled: bool,
    /// How many requests are sent at one time; default 10.
    pub num_consumers: NonZeroUsize,
    /// How much may wait, in units of `sizer`; default 1000.
    pub queue_size: usize,
    /// In what `queue_size` is measured; default requests.
    pub sizer: Sizer,
    /// Whether clients wait for the exporter; default false.
    pub wait_for_result: bool,
    /// Whether a full queue makes its pipeline wait, instead of refusing; default false.
    pub block_on_overflow: bool,
    /// The extension that keeps what waits on disk.
    pub storage: Option<ComponentId>,
    /// Joins what waits into larger requests; absent: not.
    pub batch: Option<QueueBatch>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            enabled: true,
            num_consumers: DEFAULT_CONSUMERS,
            queue_size: 1000,
            sizer: Sizer::Requests,
            wait_for_result: false,
            block_on_overflow: false,
            storage: None,
            batch: None,
        }
    }
}

/// `sending_queue` as it is written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct QueueForm {
    enabled: bool,
    num_consumers: NonZeroUsize,
    queue_size: NonZeroUsize,
    sizer: Sizer,
    wait_for_result: bool,
    block_on_overflow: bool,
    storage: Option<ComponentId>,
    batch: Optional<QueueBatch>,
}

impl Default for QueueForm {
    fn default() -> Self {
        let queue = Queue::default();
        Self {
            enabled: queue.enabled,
            num_consumers: queue.num_consumers,
            queue_size: NonZeroUsize::new(queue.queue_size).unwrap_or(NonZeroUsize::MIN),
            sizer: queue.sizer,
            wait_for_result: queue.wait_for_result,
            block_on_overflow: queue.block_on_overflow,
            storage: None,
            batch: Optional::off(),
        }
    }
}

impl TryFrom<QueueForm> for Queue {
    type Error = String;

    fn try_from(form: QueueForm) -> Result<Self, String> {
        let queue_size = form.queue_size.get();
        if form.wait_for_result && form.storage.is_some() {
            return Err("`wait_for_result` cannot be combined with `storage`".to_owned());
        }
        let batch = form.batch.into_inner();
        if let Some(batch) = &batch {
            let measured = batch.sizer.unwrap_or(match form.sizer {
                Sizer::Requests => Sizer::Items,
                sizer => sizer,
            });
            if batch.max_size != 0 && batch.max_size < batch.min_size {
                return Err(format!(
                    "`batch::max_size` is {}, it must be 0 or at least `min_size`, which is {}",
                    batch.max_size, batch.min_size
                ));
            }
            if measured == form.sizer && batch.min_size > queue_size {
                return Err(format!(
                    "`batch::min_size` is {}, it must be at most `queue_size`, which is {queue_size}",
                    batch.min_size
                ));
            }
        }
        Ok(Self {
            enabled: form.enabled,
            num_consumers: form.num_consumers,
            queue_size,
            sizer: form.sizer,
            wait_for_result: form.wait_for_result,
            block_on_overflow: form.block_on_overflow,
            storage: form.storage,
            batch,
        })
    }
}

/// `sending_queue::batch`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueBatch {
    /// Longest time that something waits for more; default 200ms.
    pub flush_timeout: Duration,
    /// A request is sent when it is this large; default 8192.
    pub min_size: usize,
    /// A larger one is split; default 0: not.
    pub max_size: usize,
    /// In what sizes are measured; absent: as the queue is, or in items.
    pub sizer: Option<Sizer>,
}

impl Default for QueueBatch {
    fn default() -> Self {
        Self { flush_timeout: Duration::from_millis(200), min_size: 8192, max_size: 0, sizer: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Node, from_node};

    fn queue(text: &str) -> Result<Queue, String> {
        let node = Node::parse("x.yaml", text).unwrap();
        from_node(&node, "sending_queue").map_err(|found| format!("{found:?}"))
    }

    #[test]
    fn defaults_are_the_collectors() {
        let queue = queue("{}").unwrap();
        assert!(queue.enabled && queue.batch.is_none());
        assert_eq!((queue.num_consumers.get(), queue.queue_size), (10, 1000));
        let node = Node::parse("x.yaml", "{max_elapsed_time: 0}").unwrap();
        let retry: Retry = from_node(&node, "retry_on_failure").unwrap();
        assert!(retry.enabled && retry.max_elapsed_time.is_zero());
        assert_eq!(retry.initial_interval, Duration::from_secs(5));
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(queue("{num_consumers: 0}").is_err());
        assert!(queue("{wait_for_result: true, storage: file_storage}").is_err());
        assert!(queue("{sizer: items, batch: {min_size: 2000}}").is_err());
        assert!(queue("{batch: {min_size: 10, max_size: 5}}").is_err());
        let batch = queue("{sizer: items, queue_size: 9000, batch: }").unwrap().batch.unwrap();
        assert_eq!(batch.min_size, 8192);
    }
}
