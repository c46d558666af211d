//! What the pages show, as JSON.

use serde_json::{Map, Value, json};

use crate::component::Host;
use crate::data::Time;

/// Sizes and capacities of queues in the agent's own metrics.
const QUEUE_METRICS: &str = "otelcol_exporter_queue_";

/// The agent as the pages see it.
pub(super) struct View {
    host: Host,
    started: Time,
}

impl View {
    /// A view of what `host` tells; the agent was started now.
    pub(super) fn new(host: Host) -> Self {
        let started = host.clock.now();
        Self { host, started }
    }

    /// Version, age, readiness and memory.
    pub(super) fn service(&self) -> Value {
        let uptime = self.host.clock.now().saturating_since(self.started);
        let budget = &self.host.budget;
        let accounts = budget.accounts().into_iter();
        let accounts: Map<_, _> =
            accounts.map(|(name, used)| (name.to_owned(), Value::from(used))).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": uptime.as_secs(),
            "phase": format!("{:?}", self.host.status.phase()).to_lowercase(),
            "memory": {
                "used_bytes": budget.used_bytes(),
                "door_bytes": budget.door_bytes(),
                "limit_bytes": budget.limit_bytes(),
                "refused": budget.num_refused(),
                "accounts": accounts,
            },
        })
    }

    /// The health of exporters, their queues, and where records are.
    pub(super) fn pipelines(&self) -> Value {
        let text = self.host.metrics.to_prometheus();
        let queues: Map<_, _> = text
            .lines()
            .filter(|line| line.starts_with(QUEUE_METRICS))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(series, value)| (series.to_owned(), number(value)))
            .collect();
        json!({
            "components": self.components(),
            "queues": queues,
            "ledger": self.ledger(),
        })
    }

    /// The extensions that were started before this one.
    pub(super) fn extensions(&self) -> Value {
        let ids = self.host.extensions.ids();
        json!({ "running": ids.iter().map(ToString::to_string).collect::<Vec<_>>() })
    }

    /// Where records went, by pipeline and exporter.
    pub(super) fn ledger(&self) -> Value {
        serde_json::from_str(&self.host.ledger.to_json()).unwrap_or_default()
    }

    /// What went wrong lately, newest first.
    pub(super) fn errors(&self) -> Value {
        let mut errors = self.host.status.recent_errors();
        errors.reverse();
        errors
            .iter()
            .map(|error| {
                let time = error.time.as_unix_millis();
                json!({
                    "time_unix_ms": time,
                    "component": error.component,
                    "error": error.message,
                })
            })
            .collect()
    }

    fn components(&self) -> Value {
        let components = self.host.status.components();
        components
            .iter()
            .map(|status| {
                json!({
                    "component": status.component,
                    "failing_since_unix_ms": status.failing_since.map(Time::as_unix_millis),
                    "last_error": status.why,
                })
            })
            .collect()
    }
}

fn number(text: &str) -> Value {
    text.parse::<f64>().map_or_else(|_| Value::from(text), Value::from)
}
