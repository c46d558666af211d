//! From the end of a pipeline to its exporters and connectors.

use std::sync::Arc;

use super::chain::Entrance;
use super::driver::DriverInlet;
use crate::component::{Ack, Outcome};
use crate::data::Batch;
use crate::telemetry::{Live, PipelineLedger};

/// One of the ends of a pipeline.
#[derive(Clone)]
pub(super) enum Target {
    /// An exporter's queue, and the name of the way there in the journal.
    Driver(DriverInlet, Arc<str>),
    /// A connector.
    Connector(Entrance),
}

/// All ends of a pipeline: each gets every batch, which costs a clone of handles.
#[derive(Clone)]
pub(super) struct FanOut {
    account: Arc<PipelineLedger>,
    targets: Arc<[Target]>,
}

impl FanOut {
    pub(super) fn new(account: Arc<PipelineLedger>, targets: Vec<Target>) -> Self {
        Self { account, targets: targets.into() }
    }

    /// Passes a batch on; its records leave the pipeline's account. What runs again goes only where
    /// it is not done with.
    ///
    /// Blocks where an end asks its pipeline to wait.
    pub(super) fn pass(&self, batch: &Batch, ack: Ack) {
        if batch.is_empty() {
            ack.answer(Outcome::Delivered);
            return;
        }
        self.account.forwarded().add(batch.num_records() as u64);
        for target in &*self.targets {
            match target {
                Target::Driver(driver, route) => {
                    if batch.context().done.contains(route) {
                        continue;
                    }
                    let share = ack.share_on(route, Live::none());
                    driver.enqueue(batch.clone(), &share);
                    share.answer(Outcome::Delivered);
                }
                Target::Connector(entrance) => entrance.pass(batch.clone(), &ack),
            }
        }
        ack.answer(Outcome::Delivered);
    }
}
