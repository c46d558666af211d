//! Behind a receiver: its pipelines for each signal.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::chain::Entrance;
use crate::component::{Answer, Intake, Outcome, promise};
use crate::config::ComponentId;
use crate::data::{Batch, Signal};
use crate::telemetry::{Counter, Live, Metrics};

/// The pipelines of a receiver.
pub(super) struct Pipelines {
    /// By signal, in the order of [`Signal::ALL`].
    signals: [OfSignal; 3],
}

struct OfSignal {
    is_taken: bool,
    /// None any more once the intake is closed.
    entrances: RwLock<Arc<[Entrance]>>,
    accepted: Counter,
    refused: Counter,
}

impl Pipelines {
    /// The ways into the pipelines that take signals from the receiver called `id`.
    pub(super) fn new(
        id: &ComponentId,
        entrances: impl Fn(Signal) -> Vec<Entrance>,
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
        Self { signals }
    }

    /// Takes nothing more; chains end when everything that was taken is through.
    pub(super) fn close(&self) {
        for signal in &self.signals {
            *signal.entrances.write().unwrap_or_else(PoisonError::into_inner) = Arc::new([]);
        }
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

    async fn deliver(&self, batch: Batch) -> Answer {
        let signal = self.of(batch.signal());
        let mut counted = Counted { signal, num_records: batch.num_records() as u64, taken: false };
        let (ack, answer) = promise(Live::none());
        let entrances =
            Arc::clone(&signal.entrances.read().unwrap_or_else(PoisonError::into_inner));
        if entrances.is_empty() {
            return Answer::new(Outcome::Retry, "the agent stops");
        }
        for entrance in &*entrances {
            entrance.pass_async(batch.clone(), &ack).await;
        }
        drop((batch, entrances));
        ack.answer(Outcome::Delivered);
        // Shares answer when they are dropped, so there is an answer.
        let answer = answer.await.unwrap_or_else(|_| Answer::new(Outcome::Retry, "lost"));
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
