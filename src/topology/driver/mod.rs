//! The driver of an exporter: its queue, its lanes, retries, answers and commits.
//!
//! ```text
//! fan-out ──> queue ──> joiner (sending_queue::batch) ──> consumers ──> Exporter::send
//!                                                    └──> dispatcher ──> lanes ──> Exporter::send
//! ```
//!
//! An exporter without order has `num_consumers` consumers that each prepare and send. One with
//! keyed lanes has a dispatcher, which prepares batches one after the other, and `num_consumers`
//! lanes, each with one request in flight. Part of the queue may be on disk: see [`spool`].

mod backoff;
mod commit;
mod consume;
mod dead_letters;
mod join;
mod queue;
mod send;
mod spool;

use std::sync::Arc;

use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use self::commit::Commits;
use self::dead_letters::DeadLetters;
use self::queue::{Item, Overflow, PushError, Queue};
use self::spool::Spool;
use super::durable::Durable;
use crate::component::{
    self, Ack, Answer, Budget, DriverSettings, Exporter, Extent, Host, Outcome,
};
use crate::config::{ComponentId, Sizer};
use crate::data::{Batch, Signal};
use crate::storage::quarantine::Quarantine;
use crate::telemetry::{Clock, Counter, ExporterLedger, Latency, Status, Throttle};

/// Requests that wait before an exporter without a queue; those who sent them wait, too.
const CAPACITY_WITHOUT_QUEUE: usize = 64;

const QUEUE_FULL: &str = "sending queue is full";
const STOPPING: &str = "the agent stops";
const PANIC: &str = "panic";

/// An exporter for one signal, and what stands around it.
pub(super) struct Driver {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    /// Ends the task that commits, after the last send.
    finish: CancellationToken,
    /// The task that writes to the spool.
    storing: Option<JoinHandle<()>>,
}

/// A spool that was opened, and what goes there.
pub(super) type OpenSpool = (Arc<dyn component::Spool>, Extent);

/// What a driver is given of the engine around it.
#[derive(Default)]
pub(super) struct Around {
    /// Whether clients are answered when their records are queued, unless the exporter has no queue or
    /// its queue waits for results; and when they are in the spool.
    pub(super) answers_early: bool,
    /// Its queue on disk, if it has one.
    pub(super) spool: Option<OpenSpool>,
    /// The way to the exporter that gets dead letters.
    pub(super) dead_letters: Option<DriverInlet>,
    /// The journal, if there is one.
    pub(super) durable: Option<Arc<Durable>>,
}

/// What waited in the queue of a driver that ends.
pub(super) struct Waiting(Vec<Item>);

/// The way into a driver; for the threads of chains.
#[derive(Clone)]
pub(super) struct DriverInlet {
    shared: Arc<Shared>,
}

/// What all tasks of a driver share.
struct Shared {
    id: ComponentId,
    signal: Signal,
    /// Id and signal.
    name: String,
    exporter: Arc<dyn Exporter>,
    settings: DriverSettings,
    queue: Queue,
    spool: Option<Arc<Spool>>,
    /// Whether an answer is given as soon as a batch is queued.
    answers_early: bool,
    commits: Commits,
    dead_letters: Option<DeadLetters>,
    quarantine: Quarantine,
    account: Arc<ExporterLedger>,
    counters: Counters,
    status: Status,
    clock: Clock,
    budget: Budget,
    log_throttle: Throttle,
    /// No more attempts and pauses: the time for stopping is over.
    abort: CancellationToken,
    /// No more pauses: what cannot be sent stays in the spool. Comes with `abort`, too.
    leave: CancellationToken,
}

/// The driver's own metrics.
struct Counters {
    sent: Counter,
    send_failed: Counter,
    enqueue_failed: Counter,
    duration: Latency,
}

impl Driver {
    /// Starts the tasks of an exporter that was started itself.
    pub(super) fn start(
        (id, signal): (&ComponentId, Signal),
        exporter: Arc<dyn Exporter>,
        settings: DriverSettings,
        around: Around,
        host: &Host,
    ) -> Self {
        let durable = around.durable.clone();
        let noting = || durable.as_ref().map(|durable| durable.noting()).unwrap_or_default();
        let shared = Arc::new(Shared::new((id, signal), exporter, settings, around, host));
        let mut tasks = JoinSet::new();
        let storing = shared.spool.as_ref().map(|spool| {
            tasks.spawn(spool::load(Arc::clone(&shared), Arc::clone(spool)));
            tokio::spawn(spool::store(Arc::clone(&shared), Arc::clone(spool)))
        });
        let finish = CancellationToken::new();
        consume::spawn(&shared, &noting, &mut tasks);
        let committing = commit::run(Arc::clone(&shared), finish.clone());
        tasks.spawn(committing);
        Self { shared, tasks, finish, storing }
    }

    pub(super) fn inlet(&self) -> DriverInlet {
        DriverInlet { shared: Arc::clone(&self.shared) }
    }

    /// Ends attempts and pauses: what is not sent by now is dropped and counted.
    pub(super) fn abort_token(&self) -> CancellationToken {
        self.shared.abort.clone()
    }

    /// Takes out what waits and was not begun, for the driver that takes this one's place; that
    /// finds it in the spool, if there is one.
    pub(super) fn take_waiting(&self) -> Waiting {
        self.shared.queue.close();
        let goes_over = self.shared.spool.is_none();
        Waiting(if goes_over { self.shared.queue.drain() } else { Vec::new() })
    }

    /// Takes over what waited in another driver's queue.
    pub(super) fn adopt(&self, waiting: Waiting) {
        waiting.0.into_iter().for_each(|item| self.shared.queue.adopt(item));
    }

    /// Whether it passes dead letters on.
    pub(super) fn has_dead_letters(&self) -> bool {
        self.shared.dead_letters.is_some()
    }

    /// Whether the next driver for the same destination must wait for the end of this one: requests
    /// are in order, or files are used by one at a time.
    pub(super) fn must_end_first(&self) -> bool {
        let exporter = &self.shared.exporter;
        exporter.is_ordered() || exporter.handle().is_some() || self.shared.spool.is_some()
    }

    /// Sends what waits, commits, and ends; to be called when nothing comes any more. With a spool,
    /// only until something fails: the rest stays there.
    pub(super) async fn stop(mut self) {
        self.shared.queue.close();
        if self.shared.spool.is_some() {
            self.shared.leave.cancel();
        }
        // All but the one that commits end by themselves when the queue is empty.
        while self.tasks.len() > 1 {
            if self.tasks.join_next().await.is_none() {
                break;
            }
        }
        self.shared.give_up_queue();
        self.finish.cancel();
        while self.tasks.join_next().await.is_some() {}
        if let (Some(spool), Some(storing)) = (&self.shared.spool, self.storing.take()) {
            spool.end(&self.shared, storing).await;
        }
    }
}

impl DriverInlet {
    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.shared.queue.close();
        if let Some(spool) = &self.shared.spool {
            spool.close();
        }
    }

    /// Queues a batch, and says whether there was room; its records are counted here from now on.
    pub(super) fn enqueue(&self, batch: Batch, client: Ack) -> bool {
        let shared = &self.shared;
        let num_records = batch.num_records();
        shared.account.received().add(num_records as u64);
        let live = shared.account.live(num_records);
        if let Some(spool) = &shared.spool {
            return spool.enqueue(shared, batch, client, live);
        }
        let ack = if shared.answers_early { Ack::detached(live) } else { client.share(live) };
        // The client's own share holds the answer back until the batch is in the queue.
        match shared.queue.push(Item { batch, ack }) {
            Ok(()) => {
                client.answer(Outcome::Delivered);
                return true;
            }
            Err(PushError::Full(item)) => shared.refuse(item, client, "queue_full", QUEUE_FULL),
            Err(PushError::Closed(item)) => shared.refuse(item, client, "shutdown", STOPPING),
        }
        false
    }
}

impl Shared {
    fn new(
        (id, signal): (&ComponentId, Signal),
        exporter: Arc<dyn Exporter>,
        settings: DriverSettings,
        around: Around,
        host: &Host,
    ) -> Self {
        let exporter_id = id.to_string();
        let labels = [("exporter", exporter_id.as_str())];
        let queued = [("exporter", exporter_id.as_str()), ("data_type", signal.as_str())];
        let size = host.metrics.gauge("otelcol_exporter_queue_size", &queued);
        let capacity = host.metrics.gauge("otelcol_exporter_queue_capacity", &queued);
        let queue = &settings.queue;
        let (limit, overflow) = match queue.enabled {
            true if queue.block_on_overflow => (queue.queue_size, Overflow::Wait),
            true => (queue.queue_size, Overflow::Refuse),
            false => (CAPACITY_WITHOUT_QUEUE, Overflow::Wait),
        };
        let sizer = if queue.enabled { queue.sizer } else { Sizer::Requests };
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        capacity.set(limit as f64);
        host.status.show_queue(&exporter_id, signal.as_str(), size.clone(), capacity);
        let abort = CancellationToken::new();
        let leave = abort.child_token();
        let queue = Queue::new(limit, sizer, overflow, size);
        let (queue, spool) = match around.spool {
            None => (queue, None),
            Some(open) => {
                let oldest = host.metrics.gauge("catchment_spool_oldest_age_seconds", &queued);
                let spool = Spool::new(open, &exporter_id, overflow, &leave, oldest);
                let share_bytes = Spool::share_bytes(host.budget.limit_bytes());
                (queue.with_max_bytes(share_bytes), Some(Arc::new(spool)))
            }
        };
        Self {
            signal,
            name: format!("{exporter_id} {}", signal.as_str()),
            answers_early: around.answers_early
                && settings.queue.enabled
                && !settings.queue.wait_for_result,
            queue,
            spool,
            commits: Commits::default(),
            dead_letters: around.dead_letters.map(|to| {
                let family = format!("catchment_exporter_dead_letter_{}", signal.records());
                DeadLetters::new(to, host.metrics.counter(&family, &labels))
            }),
            quarantine: Quarantine::new(&host.data_dir, &host.metrics),
            account: host.ledger.exporter(&format!("{exporter_id} {}", signal.as_str())),
            counters: Counters::new(signal, &labels, host),
            status: host.status.clone(),
            clock: host.clock.clone(),
            budget: host.budget.clone(),
            log_throttle: Throttle::default(),
            abort,
            leave,
            id: id.clone(),
            exporter,
            settings,
        }
    }

    /// Answers for a batch that did not get into the queue.
    fn refuse(&self, item: Item, entry: Ack, reason: &'static str, why: &str) {
        let num_records = item.batch.num_records() as u64;
        self.counters.enqueue_failed.add(num_records);
        self.account.dropped(reason).add(num_records);
        let answer = Answer::new(Outcome::Retry, &format!("exporter `{}`: {why}", self.id));
        item.ack.answer_with(&answer);
        entry.answer_with(&answer);
        self.status.record_error(&self.name, why);
        if let Some(suppressed) = self.log_throttle.allow(self.clock.now()) {
            warn!(exporter = self.name, why, records = num_records, suppressed, "data refused");
        }
    }

    /// Answers for a batch that could not be stored.
    fn refuse_stored(&self, ack: Ack, answer: &Answer) {
        let why = answer.reason.as_deref().unwrap_or("not stored");
        let reason = Some(format!("exporter `{}`: {why}", self.id).into());
        let answer = Answer { reason, ..answer.clone() };
        if answer.outcome == Outcome::Rejected {
            self.drop_for_good(ack, "rejected", &answer);
            return;
        }
        let records = ack.num_records() as u64;
        self.counters.enqueue_failed.add(records);
        self.account.dropped("not_stored").add(records);
        ack.answer_with(&answer);
        self.status.record_error(&self.name, why);
        if let Some(suppressed) = self.log_throttle.allow(self.clock.now()) {
            warn!(exporter = self.name, why, records, suppressed, "data refused");
        }
    }

    /// The driver ends before records were sent: they stay in the spool, or are dropped.
    fn give_up(&self, ack: Ack) {
        match &self.spool {
            Some(spool) => spool.keep(ack, &self.stopping()),
            None => self.drop_for_good(ack, "shutdown", &self.stopping()),
        }
    }

    /// The same for everything that waits.
    fn give_up_queue(&self) {
        self.queue.drain().into_iter().for_each(|item| self.give_up(item.ack));
    }

    /// Counts records as dropped for good, and answers for them.
    fn drop_for_good(&self, ack: Ack, reason: &'static str, answer: &Answer) {
        let num_records = ack.num_records() as u64;
        self.counters.send_failed.add(num_records);
        self.account.dropped(reason).add(num_records);
        let why = answer.reason.as_deref().unwrap_or(reason);
        self.status.record_error(&self.name, why);
        if let Some(suppressed) = self.log_throttle.allow(self.clock.now()) {
            let records = num_records;
            error!(exporter = self.name, reason, why, records, suppressed, "data dropped");
        }
        ack.answer_with(answer);
    }

    /// Sets a record aside on which the exporter panicked; nothing where it cannot be told.
    async fn set_aside(&self, record: Option<Batch>, ack: Ack) {
        if let Some(record) = record {
            let (quarantine, id) = (self.quarantine.clone(), self.id.to_string());
            let keep = move || quarantine.keep(&id, "it panicked on them", &record);
            // Whether there is room was told.
            let _ = tokio::task::spawn_blocking(keep).await;
        }
        let why = format!("exporter `{}`: it panicked on the record", self.id);
        self.drop_for_good(ack, PANIC, &Answer::new(Outcome::Rejected, &why));
    }

    /// Counts records as delivered, and answers for them.
    fn deliver(&self, ack: Ack) {
        let num_records = ack.num_records() as u64;
        self.counters.sent.add(num_records);
        self.account.delivered().add(num_records);
        ack.answer(Outcome::Delivered);
    }

    fn stopping(&self) -> Answer {
        Answer::new(Outcome::Retry, &format!("exporter `{}`: {STOPPING}", self.id))
    }
}

impl Counters {
    fn new(signal: Signal, labels: &[(&str, &str)], host: &Host) -> Self {
        let counter = |what: &str| {
            let family = format!("otelcol_exporter_{what}_{}", signal.records());
            host.metrics.counter(&family, labels)
        };
        Self {
            sent: counter("sent"),
            send_failed: counter("send_failed"),
            enqueue_failed: counter("enqueue_failed"),
            duration: host.metrics.latency("catchment_exporter_send_duration_seconds", labels),
        }
    }
}

#[cfg(test)]
mod tests;
