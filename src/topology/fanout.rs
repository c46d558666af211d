//! From the end of a pipeline to its exporters and connectors.

use std::sync::{Arc, Mutex, PoisonError};

use super::chain::Entrance;
use super::driver::DriverInlet;
use super::durable::Durable;
use crate::component::{Ack, Outcome, Way};
use crate::config::ComponentId;
use crate::data::Batch;
use crate::telemetry::{Live, PipelineLedger};

/// The way into an exporter.
#[derive(Clone)]
pub(super) enum ExporterInlet {
    /// Its driver's queue.
    Driver(DriverInlet),
    /// What stands in its place in a rehearsal.
    Recorder(Recorder),
}

/// Keeps what comes to an exporter. Clones of one share what they keep.
#[derive(Clone)]
pub(super) struct Recorder {
    pub(super) exporter: ComponentId,
    pub(super) kept: Arc<Mutex<Vec<(ComponentId, Batch)>>>,
}

impl ExporterInlet {
    /// Hands a batch over, and says whether there was room; whoever gets it answers.
    fn enqueue(&self, batch: Batch, ack: Ack) -> bool {
        match self {
            Self::Driver(driver) => driver.enqueue(batch, ack),
            Self::Recorder(Recorder { exporter, kept }) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push((exporter.clone(), batch));
                ack.answer(Outcome::Delivered);
                true
            }
        }
    }
}

/// All ends of a pipeline: each gets every batch, which costs a clone of handles.
#[derive(Clone)]
pub(super) struct FanOut {
    account: Arc<PipelineLedger>,
    exporters: Arc<[(Way, ExporterInlet)]>,
    connectors: Arc<[Entrance]>,
    /// Where entries of the journal stay in order.
    order: Option<Arc<Durable>>,
}

impl FanOut {
    pub(super) fn new(
        account: Arc<PipelineLedger>,
        exporters: Vec<(Way, ExporterInlet)>,
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
