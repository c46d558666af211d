//! What stands around an exporter, as the file has it.

use serde::Deserialize;

use crate::component::DriverSettings;
use crate::config::{self, ComponentId, Node, Queue, Retry};

/// The driver's keys of an exporter's body, as they are written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DriverForm {
    timeout: Option<config::Duration>,
    retry_on_failure: Option<Retry>,
    sending_queue: Option<Queue>,
    dead_letter: Option<ComponentId>,
}

impl DriverForm {
    /// What is written over what the exporter has by default; `node` says what is written.
    pub(super) fn over(self, defaults: DriverSettings, node: &Node) -> DriverSettings {
        let mut settings = DriverSettings { dead_letter: self.dead_letter, ..defaults };
        if let Some(timeout) = self.timeout {
            settings.timeout = timeout.get();
        }
        if let (Some(retry), Some(node)) = (self.retry_on_failure, node.get("retry_on_failure")) {
            settings.retry = retry_over(retry, settings.retry, node);
        }
        if let (Some(queue), Some(node)) = (self.sending_queue, node.get("sending_queue")) {
            settings.queue = queue_over(queue, &settings.queue, node);
        }
        settings
    }
}

/// `written` where its key is in `node`, else `default`.
fn choose<T>(node: &Node, key: &str, written: T, default: T) -> T {
    if node.get(key).is_some_and(|value| !value.is_null()) { written } else { default }
}

fn retry_over(retry: Retry, default: Retry, node: &Node) -> Retry {
    Retry {
        enabled: choose(node, "enabled", retry.enabled, default.enabled),
        initial_interval: choose(
            node,
            "initial_interval",
            retry.initial_interval,
            default.initial_interval,
        ),
        randomization_factor: choose(
            node,
            "randomization_factor",
            retry.randomization_factor,
            default.randomization_factor,
        ),
        multiplier: choose(node, "multiplier", retry.multiplier, default.multiplier),
        max_interval: choose(node, "max_interval", retry.max_interval, default.max_interval),
        max_elapsed_time: choose(
            node,
            "max_elapsed_time",
            retry.max_elapsed_time,
            default.max_elapsed_time,
        ),
    }
}

fn queue_over(queue: Queue, default: &Queue, node: &Node) -> Queue {
    Queue {
        enabled: choose(node, "enabled", queue.enabled, default.enabled),
        num_consumers: choose(node, "num_consumers", queue.num_consumers, default.num_consumers),
        queue_size: choose(node, "queue_size", queue.queue_size, default.queue_size),
        sizer: choose(node, "sizer", queue.sizer, default.sizer),
        ..queue
    }
}
