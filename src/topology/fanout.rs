//! From the end of a pipeline to its exporters and connectors.

use std::sync::Arc;

use super::chain::Entrance;
use super::driver::DriverInlet;
use super::durable::Durable;
use crate::component::{Ack, Outcome, Way};
use crate::data::Batch;
use crate::telemetry::{Live, PipelineLedger};

/// All ends of a pipeline: each gets every batch, which costs a clone of handles.
#[derive(Clone)]
pub(super) struct FanOut {
    account: Arc<PipelineLedger>,
    exporters: Arc<[(Way, DriverInlet)]>,
    connectors: Arc<[Entrance]>,
    /// Where entries of the journal stay in order.
    order: Option<Arc<Durable>>,
}

impl FanOut {
    pub(super) fn new(
        account: Arc<PipelineLedger>,
        exporters: Vec<(Way, DriverInlet)>,
        connectors: Vec<Entrance>,
        order: Option<Arc<Durable>>,
    ) -> Self {
        Self { account, exporters: exporters.into(), connectors: connectors.into(), order }
    }

    /// Passes a batch on; its records leave the pipeline's account. What runs again goes only to
    /// exporters that are not done with it.
    ///
    /// Blocks where an end asks its pipeline to wait.
    pub(super) fn pass(&self, batch: &Batch, ack: Ack) {
        if batch.is_empty() {
            ack.answer(Outcome::Delivered);
            return;
        }
        self.account.forwarded().add(batch.num_records() as u64);
        // First the exporters: which entries are whole is known as long as this is the only share.
        for (way, exporter) in &*self.exporters {
            if !ack.is_done_on(way, &batch.context().done) {
                let (share, parts) = ack.share_on(way, Live::none());
                let batch = batch.clone().with_parts(parts);
                match &self.order {
                    Some(durable) => {
                        durable.in_order(way, share, |share| exporter.enqueue(batch, share));
                    }
                    None => {
                        exporter.enqueue(batch, share);
                    }
                }
            }
        }
        match self.connectors.split_last() {
            Some((last, others)) => {
                for connector in others {
                    connector.pass(batch.clone(), ack.share(Live::none()));
                }
                last.pass(batch.clone(), ack);
            }
            None => ack.answer(Outcome::Delivered),
        }
    }
}
