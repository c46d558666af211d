//! Behind a receiver: its pipelines for each signal.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

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
    durable: Option<Arc<Durable>>,
}

struct OfSignal {
    is_taken: bool,
    /// None any more once the intake is closed.
    entrances: RwLock<Arc<[Entrance]>>,
    accepted: Counter,
    refused: Counter,
}

impl Pipelines {
    /// The ways into the pipelines that take signals from the receiver called `id`; with a journal,
    /// through that.
    pub(super) fn new(
        id: &ComponentId,
        entrances: impl Fn(Signal) -> Vec<Entrance>,
        durable: Option<Arc<Durable>>,
        metrics: &Metrics,
    ) -> Self {
        let id = id.to_string();
        let labels = [("receiver", id.as_str())];
        let signals = Signal::ALL.map(|signal| {
            let counter = |what: &str| {
                let family = format!("otelcol_receiver_{what}_{}", signal.records());
                metrics.counter(&family, &labels)
            };
            let entrances = entrances(signal);
            OfSignal {
                is_taken: !entrances.is_empty(),
                entrances: RwLock::new(entrances.into()),
                accepted: counter("accepted"),
                refused: counter("refused"),
            }
        });
        Self { receiver: id.into(), signals, durable }
    }

    /// Takes nothing more; chains end when everything that was taken is through.
    pub(super) fn close(&self) {
        for signal in &self.signals {
            *signal.entrances.write().unwrap_or_else(PoisonError::into_inner) = Arc::new([]);
        }
    }

    /// The receiver's id.
    pub(super) const fn receiver(&self) -> &Arc<str> {
        &self.receiver
    }

    /// The ways into the pipelines for a signal; none once it is closed.
    pub(super) fn entrances(&self, signal: Signal) -> Arc<[Entrance]> {
        let entrances = &self.of(signal).entrances;
        Arc::clone(&entrances.read().unwrap_or_else(PoisonError::into_inner))
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

    fn of(&self, signal: Signal) -> &OfSignal {
        let [logs, traces, metrics] = &self.signals;
        match signal {
            Signal::Logs => logs,
            Signal::Traces => traces,
            Signal::Metrics => metrics,
        }
    }
}

#[async_trait]
impl Intake for Pipelines {
    fn accepts(&self, signal: Signal) -> bool {
        self.of(signal).is_taken
    }

    async fn deliver(&self, batch: Batch, packed: Option<Packed>) -> Answer {
        let signal = self.of(batch.signal());
        let mut counted = Counted { signal, num_records: batch.num_records() as u64, taken: false };
        let entrances = self.entrances(batch.signal());
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
        self.of(signal).refused.add(num_records as u64);
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
