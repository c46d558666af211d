//! The way into a chain: bounded channels to its workers.

use std::sync::Arc;

use crate::component::{Ack, Outcome};
use crate::data::{Batch, Record};
use crate::telemetry::PipelineLedger;

/// A batch for a worker, and who waits for it.
pub(in crate::topology) struct Job {
    pub(super) batch: Batch,
    pub(super) ack: Ack,
}

/// How the batches of a segment are divided over its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::topology) enum Division {
    /// Any worker takes any batch.
    Any,
    /// The records of a trace always go to the same worker.
    ByTraceId,
}

/// The way to the workers of a segment.
#[derive(Clone)]
pub(in crate::topology) struct Segment {
    /// One for all workers, or one for each.
    senders: Arc<[flume::Sender<Job>]>,
}

/// The way into a pipeline or connector: counts what comes in.
#[derive(Clone)]
pub(in crate::topology) struct Entrance {
    name: Arc<str>,
    account: Arc<PipelineLedger>,
    first: Segment,
}

impl Segment {
    pub(in crate::topology) fn new(senders: Vec<flume::Sender<Job>>) -> Self {
        Self { senders: senders.into() }
    }

    /// Hands a batch over; waits while the workers have enough to do.
    pub(super) fn pass(&self, batch: Batch, ack: Ack) {
        self.divide(batch, ack, |sender, job| {
            // Workers outlive those who send to them; if one is gone, its records are lost and
            // the ledger says so.
            drop(sender.send(job));
        });
    }

    /// Hands a batch over; waits while the workers have enough to do.
    ///
    /// # Cancel safety
    ///
    /// What was not handed over is answered with a retry.
    async fn pass_async(&self, batch: Batch, ack: Ack) {
        let mut jobs = Vec::with_capacity(1);
        self.divide(batch, ack, |sender, job| jobs.push((sender.clone(), job)));
        for (sender, job) in jobs {
            drop(sender.send_async(job).await);
        }
    }

    fn divide(&self, batch: Batch, mut ack: Ack, mut send: impl FnMut(&flume::Sender<Job>, Job)) {
        if let [sender] = &*self.senders {
            send(sender, Job { batch, ack });
            return;
        }
        let num_shards = self.senders.len();
        let pieces = batch.partition(num_shards, |item| shard_of_trace(&item.record, num_shards));
        for (batch, sender) in pieces.into_iter().zip(&*self.senders) {
            if !batch.is_empty() {
                let ack = ack.split(batch.num_records());
                send(sender, Job { batch, ack });
            }
        }
        ack.answer(Outcome::Delivered);
    }
}

impl Entrance {
    pub(in crate::topology) const fn new(
        name: Arc<str>,
        account: Arc<PipelineLedger>,
        first: Segment,
    ) -> Self {
        Self { name, account, first }
    }

    /// The pipeline's or connector's name.
    pub(in crate::topology) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Takes a batch in; its records are counted here from now on. Blocks while the workers have
    /// enough to do.
    pub(in crate::topology) fn pass(&self, batch: Batch, ack: Ack) {
        let ack = self.received(&batch, ack);
        self.first.pass(batch, ack);
    }

    /// Takes a batch in; its records are counted here from now on.
    ///
    /// # Cancel safety
    ///
    /// What was not taken in is answered with a retry.
    pub(in crate::topology) async fn pass_async(&self, batch: Batch, ack: Ack) {
        let ack = self.received(&batch, ack);
        self.first.pass_async(batch, ack).await;
    }

    fn received(&self, batch: &Batch, mut ack: Ack) -> Ack {
        self.account.received().add(batch.num_records() as u64);
        ack.set_live(self.account.live(batch.num_records()));
        ack
    }
}

/// The worker for a record: by the trace id's last bytes, which are random in every version of the
/// W3C Trace Context specification; records without a trace go to the first.
fn shard_of_trace(record: &Record<'_>, num_shards: usize) -> usize {
    let id = match record {
        Record::Log(log) => log.trace_id(),
        Record::Span(span) => span.trace_id(),
        Record::Point(_) => None,
    };
    let Some(id) = id else { return 0 };
    let bytes = id.as_bytes();
    let last: u64 = bytes.iter().rev().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    usize::try_from(last % num_shards as u64).unwrap_or_default()
}
