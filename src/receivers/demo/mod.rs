//! The `demo` receiver: the made-up telemetry of a shop, for those who have none at hand.
//!
//! Each signal has a source of its own, so that one that is held back holds back no other. Log
//! records belong to spans that the source of traces has made.

mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::source::{Made, Source};
use crate::component::{
    BuildContext, BuildError, Inlet, Receiver, ReceiverConfig, RunError, Stability,
};
use crate::data::Signal;

/// The most records per second of a signal.
const MAX_RATE: u32 = 100_000;

/// Settings of `demo`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemoConfig {
    /// How much it makes.
    pub rate: Rates,
    /// Runs with the same seed and rates make the same spans and points, but for their times; by
    /// default another each time.
    pub seed: Option<u64>,
}

/// Records per second by signal.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Log records; default 100.
    pub logs: Rate,
    /// Spans; default 60.
    pub traces: Rate,
    /// Data points; default 60.
    pub metrics: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self { logs: Rate(100), traces: Rate(60), metrics: Rate(60) }
    }
}

impl Rates {
    const fn of(&self, signal: Signal) -> Rate {
        match signal {
            Signal::Logs => self.logs,
            Signal::Traces => self.traces,
            Signal::Metrics => self.metrics,
        }
    }
}

/// Records per second, at most 100,000; 0: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Rate(u32);

impl TryFrom<u32> for Rate {
    type Error = String;

    fn try_from(rate: u32) -> Result<Self, String> {
        if rate > MAX_RATE {
            let advice = "`catchment load` makes more";
            return Err(format!("a rate is at most {MAX_RATE} records per second; {advice}"));
        }
        Ok(Self(rate))
    }
}

impl ReceiverConfig for DemoConfig {
    const TYPE: &'static str = "demo";
    const EXAMPLE: &'static str = "\
rate:
  logs: 100
  traces: 60
  metrics: 60
seed: 7
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, _context: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(Demo { rates: self.rate.clone(), seed: self.seed }))
    }
}

/// Makes telemetry up.
struct Demo {
    rates: Rates,
    seed: Option<u64>,
}

impl Demo {
    /// The sources of all signals that are wanted: when all are due, traces go before the log
    /// records that belong to them.
    fn sources(&self, inlet: &Inlet) -> Vec<Source> {
        let seed = self.seed.unwrap_or_else(rand::random);
        info!(seed, "making telemetry up");
        let made = Arc::new(Made::default());
        let mut sources = Vec::new();
        for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
            let rate = self.rates.of(signal).0;
            if inlet.accepts(signal) && rate > 0 {
                sources.push(Source::new(inlet.clone(), signal, (rate, seed), Arc::clone(&made)));
            }
        }
        sources
    }
}

#[async_trait]
impl Receiver for Demo {
    async fn run(self: Box<Self>, inlet: Inlet, stop: CancellationToken) -> Result<(), RunError> {
        let all = try_join_all(self.sources(&inlet).into_iter().map(Source::run));
        stop.run_until_cancelled(all).await.map_or(Ok(()), |ended| ended.map(drop))
    }
}
