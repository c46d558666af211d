//! The part of an exporter's queue that is on disk.
//!
//! ```text
//! enqueue ──> inbox ──> spool ──> memory queue ──> consumers
//!    └───────────────────────────────^ with `Extent::Overflow`, while there is room
//! ```
//!
//! A batch is in the spool from before its client is answered until the exporter is done with it.
//! Batches leave in the order in which they came: as long as any waits on disk, new ones go behind
//! it. Those that are in memory only go to disk when the driver ends before it got rid of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::sync::Notify;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::Shared;
use super::queue::{Item, Overflow, PushError, Queue};
use crate::component::{
    self, Ack, Answer, Cause, EntryPromise, EntryWatch, Extent, JournalEntry, Outcome, Outstanding,
    Stored,
};
use crate::config::Sizer;
use crate::data::{Batch, EntryId, Signal, Time};
use crate::telemetry::{Gauge, Live};

/// Requests that wait to be written; further ones are refused, or wait.
const MAX_SUBMITTED: usize = 1024;

/// Requests that are being written at a time, and share a sync.
const MAX_STORING: usize = 256;

/// Requests that are read ahead of those that are sent.
const READ_AHEAD: usize = 8;

/// The queue's share of the memory budget: one part in so many.
const SHARE: usize = 8;

/// The account of what was read.
const ACCOUNT: &str = "spool";

/// The numbers of those that are in memory only have this bit.
const IN_MEMORY: u64 = 1 << 63;

/// How long reading waits for memory before it looks again, and a metric for room on disk.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the age of the oldest is shown.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);

/// An exporter's queue on disk.
pub(super) struct Spool {
    log: Arc<dyn component::Spool>,
    /// Whether everything goes to disk first.
    stores_all: bool,
    /// Whether what finds no room on disk waits for it.
    waits_for_room: bool,
    /// The exporter, as entries name it.
    name: Arc<str>,
    /// What waits to be written.
    inbox: Queue,
    state: Mutex<State>,
    /// Something waits on disk; for the one who reads.
    waiting: Notify,
    /// The driver ends: nothing is read or given up any more.
    leave: CancellationToken,
    oldest: Gauge,
}

#[derive(Default)]
struct State {
    /// Those on disk; those before `next` are in memory, too, or being read.
    entries: BTreeMap<u64, Entry>,
    next: u64,
    num_reading: usize,
    num_submitted: usize,
    /// Those in memory only, by numbers of their own.
    unstored: BTreeMap<u64, Unstored>,
    num_unstored: u64,
}

/// A batch on disk.
struct Entry {
    arrived: Time,
    /// Its records while they are on disk only, and later those that were given up when the driver
    /// ended. Nothing for what was found at the start and not counted yet.
    live: Option<Live>,
}

/// A batch in memory only, for the case that the driver ends before it is sent.
struct Unstored {
    batch: Batch,
    client: Ack,
    live: Live,
}

impl State {
    /// Whether something must be sent before what comes now, and is not in the memory queue yet.
    fn is_behind(&self) -> bool {
        self.num_submitted > 0 || self.is_waiting()
    }

    fn is_waiting(&self) -> bool {
        self.num_reading > 0 || self.entries.range(self.next..).next().is_some()
    }
}

impl Spool {
    pub(super) fn new(
        (log, extent): super::OpenSpool,
        name: &str,
        overflow: Overflow,
        leave: &CancellationToken,
        oldest: Gauge,
    ) -> Self {
        let found = log.take_found().into_iter();
        let entries = found.map(|(number, arrived)| (number, Entry { arrived, live: None }));
        let state = State { entries: entries.collect(), ..State::default() };
        Self {
            log,
            stores_all: extent == Extent::All,
            waits_for_room: overflow == Overflow::Wait,
            name: name.into(),
            inbox: Queue::new(MAX_SUBMITTED, Sizer::Requests, overflow, Gauge::default()),
            state: Mutex::new(state),
            waiting: Notify::new(),
            leave: leave.clone(),
            oldest,
        }
    }

    /// The bytes that may wait in memory.
    pub(super) const fn share_bytes(limit_bytes: usize) -> usize {
        limit_bytes / SHARE
    }

    /// Takes a batch whose records are `live`: into memory if that is allowed and there is room,
    /// else to disk. Says whether it was taken; the client is answered when it is safe.
    pub(super) fn enqueue(
        self: &Arc<Self>,
        shared: &Shared,
        batch: Batch,
        client: Ack,
        live: Live,
    ) -> bool {
        let mut state = self.lock();
        let may_wait_in_memory = !self.stores_all
            && !state.is_behind()
            && !shared.budget.is_tight()
            && shared.queue.has_room(&batch);
        if may_wait_in_memory {
            return self.enqueue_in_memory(shared, state, (batch, client, live));
        }
        state.num_submitted += 1;
        drop(state);
        let ack = client.share(live);
        let (item, reason, why) = match self.inbox.push(Item { batch, ack }) {
            Ok(()) => {
                client.answer(Outcome::Delivered);
                return true;
            }
            Err(PushError::Full(item)) => (item, "queue_full", super::QUEUE_FULL),
            Err(PushError::Closed(item)) => (item, "shutdown", super::STOPPING),
        };
        self.lock().num_submitted -= 1;
        shared.refuse(item, client, reason, why);
        false
    }

    /// Only here and where entries are loaded something is pushed, and not at the same time.
    fn enqueue_in_memory(
        self: &Arc<Self>,
        shared: &Shared,
        mut state: MutexGuard<'_, State>,
        (batch, client, live): (Batch, Ack, Live),
    ) -> bool {
        state.num_unstored += 1;
        let number = IN_MEMORY | state.num_unstored;
        let waits = !shared.answers_early;
        let share = if waits { client.share(Live::none()) } else { Ack::detached(Live::none()) };
        let unstored = Unstored { batch: batch.clone(), client: share, live: Live::none() };
        state.unstored.insert(number, unstored);
        let pushed = shared.queue.push(Item { batch, ack: self.ack(number, live) });
        drop(state);
        match pushed {
            Ok(()) => {
                client.answer(Outcome::Delivered);
                true
            }
            Err(PushError::Full(item) | PushError::Closed(item)) => {
                shared.refuse(item, client, "shutdown", super::STOPPING);
                false
            }
        }
    }

    /// The share of a batch in what becomes of it here.
    fn ack(self: &Arc<Self>, number: u64, live: Live) -> Ack {
        let watch: Arc<dyn EntryWatch> = Arc::<Self>::clone(self);
        EntryPromise::new(EntryId { journal: 0, number }, watch).share(&self.name, live)
    }

    /// Writes a batch. Metrics of a journal wait for room, so that newer ones do not overtake them;
    /// others, too, where a full queue makes its pipeline wait.
    async fn store(&self, item: Item) -> (Item, Result<u64, Answer>) {
        let keeps_order = item.batch.signal() == Signal::Metrics && !item.ack.entries().is_empty();
        loop {
            let answer = match self.log.append(&self.name, &item.batch, None).await {
                Ok(Stored::New(number)) => return (item, Ok(number)),
                Ok(Stored::Repeated) => Answer::new(Outcome::Retry, "it was stored before"),
                Err(answer) => answer,
            };
            let may_wait = self.waits_for_room || keeps_order;
            if !may_wait || answer.outcome != Outcome::Retry || self.leave.is_cancelled() {
                return (item, Err(answer));
            }
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = self.leave.cancelled() => {}
            }
        }
    }

    /// A batch was written, or not.
    fn settle(self: &Arc<Self>, shared: &Shared, item: Item, stored: Result<u64, Answer>) {
        let Item { batch, mut ack } = item;
        let live = ack.take_live();
        match stored {
            Ok(number) => {
                self.add(shared, number, batch, live);
                ack.answer(Outcome::Delivered);
            }
            Err(answer) => {
                self.lock().num_submitted -= 1;
                ack.set_live(live);
                shared.refuse_stored(ack, &answer);
            }
        }
        for number in self.log.take_dropped() {
            self.forget(shared, number, "spool_full");
        }
    }

    /// An entry of which the batch is at hand: it need not be read where memory has room for it.
    fn add(self: &Arc<Self>, shared: &Shared, number: u64, batch: Batch, live: Live) {
        let mut state = self.lock();
        state.num_submitted -= 1;
        let arrived = batch.context().arrived;
        let may_wait_in_memory = !state.is_waiting()
            && !self.leave.is_cancelled()
            && !shared.budget.is_tight()
            && shared.queue.has_room(&batch);
        if !may_wait_in_memory {
            state.entries.insert(number, Entry { arrived, live: Some(live) });
            drop(state);
            self.waiting.notify_one();
            return;
        }
        state.entries.insert(number, Entry { arrived, live: Some(Live::none()) });
        state.next = number + 1;
        let pushed = shared.queue.push(Item { batch, ack: self.ack(number, live) });
        drop(state);
        if let Err(PushError::Full(item) | PushError::Closed(item)) = pushed {
            self.keep(item.ack, &shared.stopping());
        }
    }

    /// The next entry to read, if there is one and there is room for it in memory.
    fn next_to_read(&self, shared: &Shared) -> Option<u64> {
        let num_consumers = shared.settings.queue.num_consumers.get();
        let mut state = self.lock();
        let num_ahead = shared.queue.len() + state.num_reading;
        let has_room = num_ahead < num_consumers + READ_AHEAD && shared.budget.has_ample_room(0);
        if num_ahead > 0 && !has_room {
            return None;
        }
        let number = *state.entries.range(state.next..).next()?.0;
        state.next = number + 1;
        state.num_reading += 1;
        Some(number)
    }

    /// An entry was read, or cannot be; the order is that in which they were asked for.
    fn load(self: &Arc<Self>, shared: &Shared, number: u64, read: Result<JournalEntry, Cause>) {
        let mut state = self.lock();
        state.num_reading -= 1;
        let batch = match read {
            Ok(JournalEntry { batch, .. }) => batch,
            Err(cause) => {
                drop(state);
                if self.forget(shared, number, "unreadable") {
                    error!(exporter = shared.name, number, error = %cause, "an entry of a spool cannot be read, it stays there");
                }
                return;
            }
        };
        // It may have gone meanwhile.
        let Some(entry) = state.entries.get_mut(&number) else { return };
        let num_records = batch.num_records();
        let live = entry.live.replace(Live::none()).unwrap_or_else(|| {
            shared.account.received().add(num_records as u64);
            shared.account.live(num_records)
        });
        let batch = batch.tied(|chunk| shared.budget.charge(ACCOUNT, chunk.len()).attach(chunk));
        shared.queue.adopt(Item { batch, ack: self.ack(number, live) });
    }

    /// An entry will not be sent; false if it is not known any more. One that is in memory is sent
    /// all the same.
    fn forget(&self, shared: &Shared, number: u64, reason: &'static str) -> bool {
        let mut state = self.lock();
        let is_in_memory = |entry: &Entry| {
            number < state.next && entry.live.as_ref().is_some_and(|live| live.num_records() == 0)
        };
        if state.entries.get(&number).is_none_or(is_in_memory) {
            return false;
        }
        let live = state.entries.remove(&number).and_then(|entry| entry.live).unwrap_or_default();
        drop(state);
        let records = live.num_records() as u64;
        shared.account.dropped(reason).add(records);
        shared.counters.send_failed.add(records);
        if let Some(suppressed) = shared.log_throttle.allow(shared.clock.now()) {
            error!(exporter = shared.name, reason, records, suppressed, "data dropped");
        }
        true
    }

    /// Keeps what was not sent when the driver ends.
    pub(super) fn keep(&self, mut ack: Ack, why: &Answer) {
        let mut live = ack.take_live();
        let mut state = self.lock();
        for number in ack.entries() {
            if let Some(unstored) = state.unstored.get_mut(&number) {
                unstored.live.merge(live.take());
            } else if let Some(entry) = state.entries.get_mut(&number) {
                entry.live.get_or_insert_default().merge(live.take());
            }
        }
        drop(state);
        // None, unless it went for want of room.
        live.lose();
        ack.answer_with(why);
    }

    /// Waits until everything that is to be kept is on disk, and gives the folder free; `storing`
    /// is [`store`].
    pub(super) async fn end(&self, shared: &Shared, storing: tokio::task::JoinHandle<()>) {
        self.inbox.close();
        // If it panicked, the panic hook told so.
        let _ = storing.await;
        let entries = std::mem::take(&mut self.lock().entries);
        if !entries.is_empty() {
            info!(
                exporter = shared.name,
                entries = entries.len(),
                "the spool keeps what was not sent"
            );
        }
        let lives = entries.into_values().filter_map(|entry| entry.live);
        lives.for_each(|live| shared.account.kept().add(live.num_records() as u64));
        self.log.end().await;
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.inbox.close();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.entries.is_empty() && state.num_submitted == 0
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    fn show(&self, now: Time) {
        let state = self.lock();
        let oldest = state.entries.values().next().map_or(now, |entry| entry.arrived);
        let age = now.as_unix_nanos().saturating_sub(oldest.as_unix_nanos());
        self.oldest.set((age / 1_000_000) as f64 / 1e3);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EntryWatch for Spool {
    fn done(&self, _number: u64, _route: &Arc<str>) {}

    fn finished(&self, number: u64, outstanding: Outstanding) {
        let is_leaving = self.leave.is_cancelled();
        let mut state = self.lock();
        if let Some(Unstored { batch, mut client, live }) = state.unstored.remove(&number) {
            let Outstanding { reason, rejected, .. } = &outstanding;
            let (outcome, reason) = match (outstanding.is_empty(), rejected) {
                (true, None) => (Outcome::Delivered, None),
                (true, Some(_)) => (Outcome::Rejected, rejected.clone()),
                (false, _) if is_leaving => {
                    state.num_submitted += 1;
                    drop(state);
                    client.set_live(live);
                    self.inbox.adopt(Item { batch, ack: client });
                    return;
                }
                (false, _) => (Outcome::Retry, reason.clone()),
            };
            drop(state);
            client.answer_with(&Answer { outcome, reason, retry_after: None });
            return;
        }
        // What nobody answered for stays for the next start, what was given up for good does not.
        let is_given_up = outstanding.reason.is_some() && !is_leaving;
        if outstanding.is_empty() || is_given_up {
            state.entries.remove(&number);
            drop(state);
            self.log.close(number);
        }
    }
}

/// Writes what comes until the spool is closed.
pub(super) async fn store(shared: Arc<Shared>, spool: Arc<Spool>) {
    // Metrics go one after the other: of two at a time the second alone may find room.
    let is_ordered = shared.signal == Signal::Metrics;
    let max_storing = if is_ordered { 1 } else { MAX_STORING };
    let mut storing = FuturesOrdered::new();
    let mut is_open = true;
    let mut due = interval(SHOW_INTERVAL);
    while is_open || !storing.is_empty() {
        tokio::select! {
            item = spool.inbox.pop(), if is_open && storing.len() < max_storing => match item {
                Some(item) => storing.push_back(spool.store(item)),
                None => is_open = false,
            },
            Some((item, stored)) = storing.next(), if !storing.is_empty() => {
                spool.settle(&shared, item, stored);
            }
            _ = due.tick() => spool.show(shared.clock.now()),
        }
    }
}

/// Brings what is on disk into the memory queue, until the driver ends.
pub(super) async fn load(shared: Arc<Shared>, spool: Arc<Spool>) {
    let mut reading = FuturesOrdered::new();
    loop {
        while !spool.leave.is_cancelled()
            && let Some(number) = spool.next_to_read(&shared)
        {
            let log = Arc::clone(&spool.log);
            reading.push_back(async move { (number, log.read(number).await) });
        }
        let is_short = !shared.budget.has_ample_room(0);
        tokio::select! {
            () = spool.leave.cancelled() => break,
            Some((number, read)) = reading.next(), if !reading.is_empty() => {
                spool.load(&shared, number, read);
            }
            () = spool.waiting.notified() => {}
            () = shared.queue.left() => {}
            () = sleep(PAUSE), if is_short => {}
        }
    }
}
