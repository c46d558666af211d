//! Answers: how a sender learns what became of its records.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;

use crate::telemetry::Live;

/// What became of records; ordered from best to worst.
///
/// The worst part of a request decides its answer: while anything can be retried, nothing is
/// called refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Taken, or dropped on purpose by a stage that was told to.
    Delivered,
    /// Refused for good; sending the same again is of no use.
    Rejected,
    /// Not taken now; the same may be sent again.
    Retry,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of the records.
    pub outcome: Outcome,
    /// Why, when it is not [`Outcome::Delivered`].
    pub reason: Option<Arc<str>>,
    /// When to try again, at the earliest.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// Everything was taken.
    pub const DELIVERED: Self =
        Self { outcome: Outcome::Delivered, reason: None, retry_after: None };

    /// An answer that says why.
    #[must_use]
    pub fn new(outcome: Outcome, reason: &str) -> Self {
        Self { outcome, reason: Some(reason.into()), retry_after: None }
    }
}

/// A share in the answer to a request, and the records that are on their way with it.
///
/// Shares are made by [`Ack::share`] and [`Ack::split`]; the request is answered with the worst
/// outcome once all are gone. Dropped unanswered, a share says [`Outcome::Retry`], and its records
/// are counted as dropped for want of an answer. After [`Ack::join`] it stands for several
/// requests.
#[must_use = "a share that is dropped unanswered asks for a retry"]
#[derive(Debug)]
pub struct Ack {
    promises: SmallVec<[Arc<Promise>; 1]>,
    live: Live,
}

/// The shares that stand behind one batch: several where batches were merged.
pub type Acks = SmallVec<[Ack; 1]>;

/// Makes a share in a new answer and the receiver of that answer.
pub fn promise(live: Live) -> (Ack, oneshot::Receiver<Answer>) {
    let (sender, receiver) = oneshot::channel();
    let state = State { worst: Answer::DELIVERED, sender: Some(sender) };
    let promise = Arc::new(Promise { state: Mutex::new(state) });
    (Ack { promises: smallvec![promise], live }, receiver)
}

impl Ack {
    /// A share that nobody waits for: it only counts `live` as in flight.
    pub fn detached(live: Live) -> Self {
        Self { promises: SmallVec::new(), live }
    }

    /// Another share in the same answer, with records of its own.
    pub fn share(&self, live: Live) -> Self {
        Self { promises: self.promises.clone(), live }
    }

    /// Splits off a share for `num_records` of this one's records, at most all of them.
    pub fn split(&mut self, num_records: usize) -> Self {
        Self { promises: self.promises.clone(), live: self.live.split(num_records) }
    }

    /// Makes one share of several; its records are counted anew, by `live`.
    pub fn join(acks: Acks, live: Live) -> Self {
        let mut promises = SmallVec::new();
        for mut ack in acks {
            drop(ack.live.take());
            for promise in ack.promises.drain(..) {
                if !promises.iter().any(|other| Arc::ptr_eq(other, &promise)) {
                    promises.push(promise);
                }
            }
        }
        Self { promises, live }
    }

    /// The number of records that are counted in flight with this share.
    #[must_use]
    pub fn num_records(&self) -> usize {
        self.live.num_records()
    }

    /// Replaces the records that are counted in flight with this share.
    pub fn set_live(&mut self, live: Live) {
        self.live = live;
    }

    /// Answers with `outcome` and no reason.
    pub fn answer(self, outcome: Outcome) {
        self.answer_with(&Answer { outcome, reason: None, retry_after: None });
    }

    /// Answers for these records; ends their being in flight.
    pub fn answer_with(mut self, answer: &Answer) {
        drop(self.live.take());
        for promise in self.promises.drain(..) {
            promise.note(answer);
        }
    }

    /// Answers the clients at once, as taken; the records stay counted in flight.
    pub fn detach(mut self) -> Self {
        let live = self.live.take();
        for promise in self.promises.drain(..) {
            promise.note(&Answer::DELIVERED);
        }
        Self { promises: SmallVec::new(), live }
    }

    /// Whether a client waits for the answer.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.promises.is_empty()
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        self.live.take().lose();
        for promise in self.promises.drain(..) {
            promise.note(&Answer { outcome: Outcome::Retry, reason: None, retry_after: None });
        }
    }
}

/// An answer in the making; given when the last share is gone.
#[derive(Debug)]
struct Promise {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    worst: Answer,
    sender: Option<oneshot::Sender<Answer>>,
}

impl Promise {
    fn note(&self, answer: &Answer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.outcome > state.worst.outcome {
            state.worst = answer.clone();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = state.sender.take() {
            // The client may be gone; then nobody needs the answer.
            let _ = sender.send(mem::replace(&mut state.worst, Answer::DELIVERED));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_ack_asks_for_a_retry() {
        let (ack, mut answer) = promise(Live::none());
        drop(ack);
        assert_eq!(answer.try_recv().unwrap().outcome, Outcome::Retry);
    }

    #[test]
    fn worst_share_decides_when_all_are_gone() {
        let (mut ack, mut answer) = promise(Live::none());
        let second = ack.split(0);
        ack.answer_with(&Answer::new(Outcome::Rejected, "bad"));
        assert!(answer.try_recv().is_err());
        second.answer(Outcome::Delivered);
        let answer = answer.try_recv().unwrap();
        assert_eq!(answer.outcome, Outcome::Rejected);
        assert_eq!(answer.reason.as_deref(), Some("bad"));
    }

    #[test]
    fn retry_is_worse_than_rejected() {
        let (mut ack, mut answer) = promise(Live::none());
        let second = ack.split(0);
        ack.answer(Outcome::Rejected);
        second.answer(Outcome::Retry);
        assert_eq!(answer.try_recv().unwrap().outcome, Outcome::Retry);
    }

    #[test]
    fn detached_ack_has_answered_already() {
        let (ack, mut answer) = promise(Live::none());
        let held = ack.detach();
        assert_eq!(answer.try_recv().unwrap().outcome, Outcome::Delivered);
        assert!(!held.is_awaited());
    }
}
