//! With a journal behind the receivers: its entries on their way, from the client's OK until every
//! exporter has them.
//!
//! A request is answered when it is stored and in its chains. What is not taken somewhere, because
//! a queue is full or the agent stopped, runs again: in this process after a pause, or at the next
//! start; on the routes only that are not done with it.

mod again;
mod noting;
mod poison;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use self::again::{Again, BEHIND, Next};
pub(super) use self::noting::Noting;
use self::poison::{Poison, TRIALS};
use super::chain::Entrance;
use super::intake::Intakes;
use crate::component::{
    Ack, Answer, Budget, EntryPromise, EntryWatch, Held, Host, Intake as _, Journal, JournalEntry,
    Outcome, Outstanding, PANICKED, Stored, Way,
};
use crate::data::{Batch, EntryId, Packed, Signal};
use crate::telemetry::{Counter, Live};

/// The account of entries that run again.
const ACCOUNT: &str = "journal";

/// How long an entry that runs again waits for memory before it looks again.
const MEMORY_PAUSE: Duration = Duration::from_millis(50);

/// How long an entry that runs again waits for memory at the most: clients that ask for ever more
/// must not hold it back for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The journal and the entries that are under way.
pub(super) struct Durable {
    journal: Arc<dyn Journal>,
    again: Again,
    poison: Poison,
    budget: Budget,
    num_run_again: Counter,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Durable {
    /// Of a journal that was opened.
    pub(super) fn new(journal: Arc<dyn Journal>, host: &Host) -> Self {
        let poison = Poison::new(Arc::clone(&journal), host);
        Self {
            journal,
            again: Again::default(),
            poison,
            budget: host.budget.clone(),
            num_run_again: host.metrics.counter("catchment_journal_replayed_entries", &[]),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Stores what the receiver called `receiver` took in, and sends it on its way.
    ///
    /// # Cancel safety
    ///
    /// Goes on when the future is dropped.
    pub(super) async fn take_in(
        self: &Arc<Self>,
        receiver: &Arc<str>,
        request: (Batch, Option<Packed>),
        entrances: Arc<[Entrance]>,
    ) -> Answer {
        let (taken, answer) = oneshot::channel();
        let (durable, receiver) = (Arc::clone(self), Arc::clone(receiver));
        self.tasks.spawn(async move {
            let answer = durable.store(&receiver, request, &entrances).await;
            // The client may be gone.
            let _ = taken.send(answer);
        });
        answer.await.unwrap_or_else(|_| Answer::new(Outcome::Retry, "lost"))
    }

    async fn store(
        self: &Arc<Self>,
        receiver: &Arc<str>,
        (batch, packed): (Batch, Option<Packed>),
        entrances: &[Entrance],
    ) -> Answer {
        match self.journal.append(receiver, &batch, packed).await {
            Ok(Stored::New(number)) => self.pass_new(number, batch, entrances).await,
            Ok(Stored::Repeated) => {}
            Err(answer) => return answer,
        }
        Answer::DELIVERED
    }

    /// Sends a new entry on its way. Metrics wait behind those that were found at the start.
    async fn pass_new(self: &Arc<Self>, number: u64, batch: Batch, entrances: &[Entrance]) {
        if batch.signal() != Signal::Metrics || !self.again.defer(number) {
            self.pass(number, batch, entrances).await;
        }
    }

    /// Sends an entry on its way; waits while the workers have enough to do.
    async fn pass(self: &Arc<Self>, number: u64, batch: Batch, entrances: &[Entrance]) {
        let watch: Arc<dyn EntryWatch> = Arc::<Self>::clone(self);
        let id = EntryId { journal: self.journal.id(), number };
        let promise = EntryPromise::new(id, watch);
        for entrance in entrances {
            let ack = promise.share(entrance.name(), Live::none());
            entrance.pass_async(batch.clone(), ack).await;
        }
    }

    /// What an exporter holds from before the start does not go there again.
    pub(super) fn take_held(&self, held: &Held) {
        let id = self.journal.id();
        held.parts
            .iter()
            .filter(|run| run.journal == id)
            .for_each(|run| self.journal.mark_held(run));
    }

    /// A place for a thread to note what it executes.
    pub(super) fn noting(&self) -> Noting {
        self.poison.noting()
    }

    /// Takes over what was found in the journal; before anything new comes. Entries that kill the
    /// process are set aside, those that may do so run alone now.
    pub(super) async fn recover(self: &Arc<Self>, receivers: &Intakes) {
        let recovered = self.journal.take_recovered();
        if !recovered.is_empty() {
            info!(entries = recovered.len(), "entries of the journal run again");
        }
        let (killers, suspects) = self.poison.accused();
        let mut accused: BTreeSet<u64> = killers.iter().map(|(number, _)| *number).collect();
        accused.extend(&suspects);
        for (number, component) in killers {
            self.poison.set_aside(number, &component, "it kills the agent").await;
        }
        let (started, mut suspects) = (Instant::now(), suspects.into_iter());
        while started.elapsed() < TRIALS
            && let Some(number) = suspects.next()
        {
            let run = async { self.rerun(number, receivers, &mut BTreeMap::new()).await };
            self.poison.try_alone(number, run).await;
        }
        let others = recovered.into_iter().filter(|number| !accused.contains(number));
        self.again.recover(suspects.chain(others).collect());
    }

    /// Runs entries again until it is stopped: those found at the start, and those that were not
    /// taken since.
    pub(super) async fn run_again(self: Arc<Self>, receivers: Intakes) {
        let mut lost = BTreeMap::new();
        loop {
            let woken = self.again.woken();
            let pause = match self.again.next(Instant::now()) {
                Next::Run(number) => {
                    tokio::select! {
                        () = self.rerun(number, &receivers, &mut lost) => continue,
                        () = self.stop.cancelled() => return,
                    }
                }
                Next::SetAside(number) => {
                    self.poison.set_aside(number, "stages", PANICKED).await;
                    continue;
                }
                Next::At(due) => Some(due),
                Next::Idle => None,
            };
            let due = async {
                match pause {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = woken => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Runs one entry again; `lost` are receivers that there are not any more.
    ///
    /// # Cancel safety
    ///
    /// An entry that did not run stays open.
    async fn rerun(
        self: &Arc<Self>,
        number: u64,
        receivers: &Intakes,
        lost: &mut BTreeMap<Arc<str>, u64>,
    ) {
        let JournalEntry { receiver, batch } = match self.journal.read(number).await {
            Ok(entry) => entry,
            Err(error) => {
                self.again.forget(number);
                error!(number, %error, "an entry of the journal cannot be read, it stays there");
                return;
            }
        };
        let signal = batch.signal();
        let pipelines = receivers.get(&receiver);
        let Some(pipelines) = pipelines.filter(|pipelines| pipelines.accepts(signal)) else {
            self.again.forget(number);
            let signal = signal.as_str();
            let count = lost.entry(Arc::clone(&receiver)).or_default();
            *count += 1;
            if count.is_power_of_two() {
                warn!(%receiver, signal, entries = *count, "no pipeline takes entries of the journal, they stay there");
            }
            return;
        };
        let (size_bytes, started) = (batch.size_bytes(), Instant::now());
        while !self.budget.has_ample_room(size_bytes) && started.elapsed() < LONGEST_WAIT {
            sleep(MEMORY_PAUSE).await;
        }
        let batch = batch.tied(|chunk| self.budget.charge(ACCOUNT, chunk.len()).attach(chunk));
        let entrances = pipelines.entrances(signal).await;
        if entrances.is_empty() {
            // The agent stops; it stays open.
            return;
        }
        self.num_run_again.add(1);
        self.pass(number, batch, &entrances).await;
    }

    /// Hands a batch to an exporter by `enqueue`, which says whether it was taken; not before older
    /// entries that it did not take.
    pub(super) fn in_order(&self, way: &Way, share: Ack, enqueue: impl FnOnce(Ack) -> bool) {
        let numbers = share.entries();
        if self.again.may_go(&way.route, &numbers) {
            let is_taken = enqueue(share);
            self.again.went(&way.route, &numbers, is_taken);
        } else {
            share.answer_with(&Answer::new(Outcome::Retry, BEHIND));
        }
    }

    /// Runs nothing again any more, and waits for requests that are being stored.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl EntryWatch for Durable {
    fn done(&self, number: u64, route: &Arc<str>) {
        self.journal.mark_done(number, route);
    }

    fn finished(&self, number: u64, outstanding: Outstanding) {
        self.poison.finished(number);
        if self.again.finished(number, &outstanding, Instant::now()) {
            self.journal.close(number);
        }
    }
}
