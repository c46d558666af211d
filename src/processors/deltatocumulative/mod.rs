//! Processor `deltatocumulative`: makes cumulative series of delta points.

mod accumulator;
#[cfg(test)]
mod tests;

use std::time;

use serde::Deserialize;

pub use accumulator::Accumulator;
use accumulator::{Counters, Settings};

use crate::component::{BuildContext, BuildError, Processor, ProcessorConfig, Sharding, Stability};
use crate::config::{Duration, Refused};
use crate::data::Signal;

/// Settings of `deltatocumulative`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "DeltaToCumulativeForm")]
pub struct DeltaToCumulativeConfig {
    /// After how long without a point a series is forgotten; default 5m.
    pub max_stale: time::Duration,
    /// How many series there may be; 0, the default: any number. Points of more are dropped.
    pub max_streams: usize,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeltaToCumulativeForm {
    max_stale: Duration,
    max_streams: usize,
    storage: Refused,
}

impl Default for DeltaToCumulativeForm {
    fn default() -> Self {
        Self { max_stale: Duration::from_secs(300), max_streams: 0, storage: Refused }
    }
}

impl TryFrom<DeltaToCumulativeForm> for DeltaToCumulativeConfig {
    type Error = String;

    fn try_from(form: DeltaToCumulativeForm) -> Result<Self, String> {
        let DeltaToCumulativeForm { max_stale, max_streams, storage: Refused } = form;
        let max_stale = max_stale.non_zero().ok_or("`max_stale` must be longer than 0")?;
        Ok(Self { max_stale, max_streams })
    }
}

impl ProcessorConfig for DeltaToCumulativeConfig {
    const TYPE: &'static str = "deltatocumulative";
    const EXAMPLE: &'static str = "\
max_stale: 5m
max_streams: 1000000
";
    const SIGNALS: &'static [Signal] = &[Signal::Metrics];
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::BySeries
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let id = context.id.to_string();
        let counter = |error: &'static str| {
            let mut labels = vec![("processor", id.as_str())];
            labels.extend(Some(("error", error)).filter(|_| !error.is_empty()));
            context.host.metrics.counter("otelcol_deltatocumulative_datapoints", &labels)
        };
        let counters = Counters {
            taken: counter(""),
            older_start: counter("delta.ErrOlderStart"),
            out_of_order: counter("delta.ErrOutOfOrder"),
            limit: counter("limit"),
            streams: context
                .host
                .metrics
                .gauge("otelcol_deltatocumulative_streams_tracked", &[("processor", &id)]),
        };
        let settings = Settings { max_stale: self.max_stale, max_streams: self.max_streams };
        let charge = context.host.budget.charge("deltatocumulative", 0);
        Ok(Box::new(Accumulator::new(settings, counters, charge)))
    }
}
