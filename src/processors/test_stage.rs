//! A processor as the engine has it: read from a file, built for a signal, called with batches.

use std::path::PathBuf;

use crate::component::{
    Budget, BuildContext, Extensions, Host, Outbox, Processor, ProcessorConfig, Shard,
};
use crate::config::{Node, from_node, render};
use crate::data::{Batch, Signal, Time};
use crate::telemetry::{Clock, Ledger, Metrics, Status};

/// A processor that runs.
pub(super) struct Stage {
    processor: Box<dyn Processor>,
    metrics: Metrics,
}

impl Stage {
    /// Reads and builds a processor; fails with what users would read.
    pub(super) fn try_new<C: ProcessorConfig>(signal: Signal, yaml: &str) -> Result<Self, String> {
        let node = Node::parse("test.yaml", yaml).map_err(|problems| render(&problems))?;
        let path = format!("processors::{}", C::TYPE);
        let config: C = from_node(&node, &path).map_err(|problems| render(&problems))?;
        let (clock, metrics) = (Clock::default(), Metrics::default());
        let context = BuildContext {
            id: C::TYPE.parse().expect("an id"),
            pipeline: None,
            signal,
            outputs: Vec::new(),
            shard: Shard { index: 0, count: 1 },
            host: Host {
                metrics: metrics.clone(),
                status: Status::new(clock.clone()),
                ledger: Ledger::default(),
                clock,
                budget: Budget::new(1 << 30, 1 << 20),
                data_dir: PathBuf::new(),
                extensions: Extensions::default(),
            },
        };
        let processor = config.build(&context).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", source.unwrap_or_default())
        })?;
        Ok(Self { processor, metrics })
    }

    /// The agent's metrics.
    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What comes out of one batch, and how many records were dropped.
    pub(super) fn run(&mut self, batch: &Batch) -> (Option<Batch>, usize) {
        let mut out = Outbox::new(Time::default(), None, false);
        self.processor.process(batch.clone(), &mut out).expect("stages of this kind do not fail");
        let num_dropped = out.dropped().iter().map(|dropped| dropped.num_records).sum();
        let (emissions, _) = out.finish();
        assert!(emissions.len() <= 1, "one batch at the most");
        let emitted = emissions.into_iter().next().map(|emission| emission.batch);
        let num_emitted = emitted.as_ref().map_or(0, Batch::num_records);
        assert_eq!(num_emitted + num_dropped, batch.num_records());
        (emitted, num_dropped)
    }
}
