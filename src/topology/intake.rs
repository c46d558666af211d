//! Behind a receiver: its pipelines for each signal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::chain::Entrance;
use super::durable::Durable;
use crate::component::{Answer, Intake, Outcome, promise};
use crate::config::ComponentId;
use crate::data::{Batch, Packed, Signal};
use crate::telemetry::{Counter, Live, Metrics};

/// The pipelines of a receiver.
pub(super) struct Pipelines {
    receiver: Arc<str>,
    /// By signal, in the order of [`Signal::ALL`].
    signals: [OfSignal; 3],
    ways: watch::Sender<Ways>,
    durable: Option<Arc<Durable>>,
}

struct OfSignal {
    /// Whether a pipeline takes it.
    is_taken: AtomicBool,
    accepted: Counter,
    refused: Counter,
}

/// The ways into pipelines.
enum Ways {
    /// By signal, in the order of [`Signal::ALL`].
    Open([Arc<[Entrance]>; 3]),
    /// They are being replaced: what comes waits.
    Paused,
    /// None any more.
    Closed,
}

impl Ways {
    /// The ways for a signal; nothing while they are being replaced.
    fn of(&self, signal: Signal) -> Option<Arc<[Entrance]>> {
        match self {
            Self::Open(ways) => Some(Arc::clone(of(ways, signal))),
            Self::Paused => None,
            Self::Closed => Some(Arc::new([])),
        }
    }
}

impl Pipelines {
    /// An intake for the receiver called `id`, whose ways are not there yet; with a journal, through
    /// that.
    pub(super) fn new(id: &ComponentId, durable: Option<Arc<Durable>>, metrics: &Metrics) -> Self {
        let id = id.to_string();
        let labels = [("receiver", id.as_str())];
        let signals = Signal::ALL.map(|signal| {
            let counter = |what: &str| {
                let family = format!("otelcol_receiver_{what}_{}", signal.records());
                metrics.counter(&family, &labels)
            };
            let (accepted, refused) = (counter("accepted"), counter("refused"));
            OfSignal { is_taken: AtomicBool::new(false), accepted, refused }
        });
        Self { receiver: id.into(), signals, ways: watch::Sender::new(Ways::Paused), durable }
    }

    /// Opens the ways into the pipelines for each signal.
    pub(super) fn open(&self, ways: impl Fn(Signal) -> Vec<Entrance>) {
        let ways = Signal::ALL.map(|signal| Arc::<[Entrance]>::from(ways(signal)));
        for signal in Signal::ALL {
            let is_taken = !of(&ways, signal).is_empty();
            of(&self.signals, signal).is_taken.store(is_taken, Ordering::Relaxed);
        }
        self.ways.send_replace(Ways::Open(ways));
    }

    /// Lets what comes wait until the ways are open again.
    pub(super) fn pause(&self) {
        self.ways.send_replace(Ways::Paused);
    }

    /// Takes nothing more; chains end when everything that was taken is through.
    pub(super) fn close(&self) {
        self.ways.send_replace(Ways::Closed);
    }

    /// The ways into the pipelines for a signal, as soon as they are there; none once it is closed.
    pub(super) async fn entrances(&self, signal: Signal) -> Arc<[Entrance]> {
        let open = self.ways.borrow().of(signal);
        if let Some(open) = open {
            return open;
        }
        let mut ways = self.ways.subscribe();
        let open = ways.wait_for(|ways| !matches!(ways, Ways::Paused)).await;
        open.ok().and_then(|ways| ways.of(signal)).unwrap_or_default()
    }

    /// Hands a batch to chains, and waits for what becomes of its records.
    async fn pass(batch: Batch, entrances: Arc<[Entrance]>) -> Answer {
        let (ack, answer) = promise(Live::none());
        for entrance in &*entrances {
            entrance.pass_async(batch.clone(), ack.share(Live::none())).await;
        }
        drop((batch, entrances));
        ack.answer(Outcome::Delivered);
        // Shares answer when they are dropped, so there is an answer.
        answer.await.unwrap_or_else(|_| Answer::new(Outcome::Retry, "lost"))
    }
}

/// The intakes of all receivers, by their ids. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Intakes {
    by_receiver: Arc<Mutex<BTreeMap<Arc<str>, Arc<Pipelines>>>>,
}

impl Intakes {
    pub(super) fn get(&self, receiver: &str) -> Option<Arc<Pipelines>> {
        self.lock().get(receiver).cloned()
    }

    pub(super) fn insert(&self, intake: &Arc<Pipelines>) {
        self.lock().insert(Arc::clone(&intake.receiver), Arc::clone(intake));
    }

    /// Closes and forgets one.
    pub(super) fn remove(&self, receiver: &str) {
        if let Some(intake) = self.lock().remove(receiver) {
            intake.close();
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Pipelines>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Pipelines>>> {
        self.by_receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What belongs to a signal.
const fn of<T>(signals: &[T; 3], signal: Signal) -> &T {
    let [logs, traces, metrics] = signals;
    match signal {
        Signal::Logs => logs,
        Signal::Traces => traces,
        Signal::Metrics => metrics,
    }
}

#[async_trait]
impl Intake for Pipelines {
    fn accepts(&self, signal: Signal) -> bool {
        of(&self.signals, signal).is_taken.load(Ordering::Relaxed)
    }

    async fn deliver(&self, batch: Batch, packed: Option<Packed>) -> Answer {
        let signal = of(&self.signals, batch.signal());
        let mut counted = Counted { signal, num_records: batch.num_records() as u64, taken: false };
        let entrances = self.entrances(batch.signal()).await;
        if entrances.is_empty() {
            return Answer::new(Outcome::Retry, "the agent stops");
        }
        let answer = match &self.durable {
            Some(durable) => durable.take_in(&self.receiver, (batch, packed), entrances).await,
            None => Self::pass(batch, entrances).await,
        };
        counted.taken = answer.outcome == Outcome::Delivered;
        answer
    }

    fn count_refused(&self, signal: Signal, num_records: usize) {
        of(&self.signals, signal).refused.add(num_records as u64);
    }
}

/// Counts records as accepted or refused when it goes, also when nobody waits for the answer.
struct Counted<'a> {
    signal: &'a OfSignal,
    num_records: u64,
    taken: bool,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let counter = if self.taken { &self.signal.accepted } else { &self.signal.refused };
        counter.add(self.num_records);
    }
}
