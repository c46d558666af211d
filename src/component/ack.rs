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
    let to = To::Client(Some(sender));
    let promise = Arc::new(Promise { worst: Mutex::new(Answer::DELIVERED), to });
    (Ack { promises: smallvec![promise], live }, receiver)
}

/// Makes a share in what becomes of the journal entry `number`; `watch` is told.
pub fn entry_promise(live: Live, number: u64, watch: Arc<dyn EntryWatch>) -> Ack {
    let entry = Arc::new(Entry { number, outstanding: Mutex::default(), watch });
    let to = To::Entry { entry, route: None, routes: Mutex::default() };
    let promise = Arc::new(Promise { worst: Mutex::new(Answer::DELIVERED), to });
    Ack { promises: smallvec![promise], live }
}

/// Is told what becomes of journal entries, on whatever thread that turns out; must not block.
pub trait EntryWatch: Send + Sync {
    /// An entry is done with on a route: everything of it that went there was delivered or
    /// rejected, and no more of it will come.
    fn done(&self, number: u64, route: &Arc<str>);

    /// An entry is on its way nowhere any more.
    fn finished(&self, number: u64, outstanding: Outstanding);
}

/// What of a journal entry must run again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// The routes on which something was not taken.
    pub routes: Vec<Arc<str>>,
    /// Whether something was not taken on the way to them.
    pub before: bool,
    /// Why, of one of them.
    pub reason: Option<Arc<str>>,
}

impl Outstanding {
    /// Whether the entry is done with on all routes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && !self.before
    }
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

    /// Another share, in what becomes of journal entries on `route`, with records of its own.
    pub fn share_on(&self, route: &Arc<str>, live: Live) -> Self {
        Self { promises: self.promises.iter().map(|promise| promise.on(route)).collect(), live }
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
    worst: Mutex<Answer>,
    to: To,
}

/// Who gets an answer.
#[derive(Debug)]
enum To {
    /// A client that waits.
    Client(Option<oneshot::Sender<Answer>>),
    /// A journal entry.
    Entry {
        entry: Arc<Entry>,
        /// `None`: all that happens before the routes part.
        route: Option<Arc<str>>,
        /// The promises for the routes, so that none is given before all of the entry is on its way.
        routes: Mutex<Vec<Arc<Promise>>>,
    },
}

/// A journal entry on its way; told when the last of its promises is given.
struct Entry {
    number: u64,
    outstanding: Mutex<Outstanding>,
    watch: Arc<dyn EntryWatch>,
}

impl Promise {
    fn note(&self, answer: &Answer) {
        let mut worst = self.worst.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.outcome > worst.outcome {
            *worst = answer.clone();
        }
    }

    /// The promise for a route of an entry; of a client there is only one.
    fn on(self: &Arc<Self>, on: &Arc<str>) -> Arc<Self> {
        let To::Entry { entry, route: None, routes } = &self.to else { return Arc::clone(self) };
        let mut routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |promise: &&Arc<Self>| matches!(&promise.to, To::Entry { route: Some(route), .. } if route == on);
        if let Some(promise) = routes.iter().find(is_it) {
            return Arc::clone(promise);
        }
        let to = To::Entry {
            entry: Arc::clone(entry),
            route: Some(Arc::clone(on)),
            routes: Mutex::default(),
        };
        let promise = Arc::new(Self { worst: Mutex::new(Answer::DELIVERED), to });
        routes.push(Arc::clone(&promise));
        promise
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let worst = self.worst.get_mut().unwrap_or_else(PoisonError::into_inner);
        let worst = mem::replace(worst, Answer::DELIVERED);
        match &mut self.to {
            To::Client(sender) => {
                if let Some(sender) = sender.take() {
                    // The client may be gone; then nobody needs the answer.
                    let _ = sender.send(worst);
                }
            }
            To::Entry { entry, route, .. } => entry.note(route.as_ref(), worst),
        }
    }
}

impl Entry {
    fn note(&self, route: Option<&Arc<str>>, answer: Answer) {
        if answer.outcome != Outcome::Retry {
            if let Some(route) = route {
                self.watch.done(self.number, route);
            }
            return;
        }
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        match route {
            Some(route) => outstanding.routes.push(Arc::clone(route)),
            None => outstanding.before = true,
        }
        outstanding.reason = outstanding.reason.take().or(answer.reason);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let outstanding = self.outstanding.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.watch.finished(self.number, mem::take(outstanding));
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Entry").field("number", &self.number).finish_non_exhaustive()
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

    #[derive(Default)]
    struct Told(Mutex<(Vec<String>, Option<Outstanding>)>);

    impl EntryWatch for Told {
        fn done(&self, number: u64, route: &Arc<str>) {
            self.0.lock().unwrap().0.push(format!("{number} {route}"));
        }

        fn finished(&self, _number: u64, outstanding: Outstanding) {
            self.0.lock().unwrap().1 = Some(outstanding);
        }
    }

    impl Told {
        fn done(&self) -> Vec<String> {
            self.0.lock().unwrap().0.clone()
        }

        fn outstanding(&self) -> Option<Outstanding> {
            self.0.lock().unwrap().1.clone()
        }
    }

    fn entry() -> (Ack, Arc<Told>) {
        let told = Arc::new(Told::default());
        (entry_promise(Live::none(), 7, Arc::<Told>::clone(&told)), told)
    }

    #[test]
    fn route_is_done_when_nothing_more_can_come_on_it() {
        let (mut ack, told) = entry();
        let later = ack.split(0);
        let route: Arc<str> = "a".into();
        ack.share_on(&route, Live::none()).answer(Outcome::Delivered);
        ack.answer(Outcome::Delivered);
        assert!(told.done().is_empty());
        later.share_on(&route, Live::none()).answer(Outcome::Rejected);
        later.answer(Outcome::Delivered);
        assert_eq!(told.done(), ["7 a"]);
        assert!(told.outstanding().unwrap().is_empty());
    }

    #[test]
    fn only_routes_that_were_not_taken_are_outstanding() {
        let (ack, told) = entry();
        let [first, second]: [Arc<str>; 2] = ["a".into(), "b".into()];
        let full = Answer::new(Outcome::Retry, "full");
        let share = ack.share_on(&first, Live::none());
        ack.share_on(&second, Live::none()).answer_with(&full);
        ack.answer(Outcome::Delivered);
        assert_eq!(told.outstanding(), None);
        share.answer(Outcome::Delivered);
        assert_eq!(told.done(), ["7 a"]);
        let expected = Outstanding { routes: vec![second], before: false, reason: full.reason };
        assert_eq!(told.outstanding(), Some(expected));
    }

    #[test]
    fn entry_that_is_lost_on_the_way_is_outstanding() {
        let (ack, told) = entry();
        drop(ack);
        assert!(told.outstanding().unwrap().before);
    }
}
