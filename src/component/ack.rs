//! Answers: how a sender learns what became of its records.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;

use crate::data::{EntryId, Part, Parts};
use crate::telemetry::Live;

/// Why records were not taken that a stage held when it panicked.
pub const PANICKED: &str = "a stage panicked";

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

/// A journal entry that is about to go into pipelines.
#[derive(Debug)]
pub struct EntryPromise {
    entry: Arc<Entry>,
}

/// A way from a pipeline to an exporter, as the journal knows it.
#[derive(Clone, Debug)]
pub struct Way {
    /// The pipeline.
    pub pipeline: Arc<str>,
    /// Pipeline and exporter.
    pub route: Arc<str>,
}

impl EntryPromise {
    /// `watch` is told what becomes of the entry `id`.
    #[must_use]
    pub fn new(id: EntryId, watch: Arc<dyn EntryWatch>) -> Self {
        Self { entry: Arc::new(Entry { id, outstanding: Mutex::default(), watch }) }
    }

    /// The share for what goes into a pipeline.
    pub fn share(&self, pipeline: &Arc<str>, live: Live) -> Ack {
        let (entry, pipeline) = (Arc::clone(&self.entry), Arc::clone(pipeline));
        let to = To::Entry { entry, pipeline, route: None, routes: Mutex::default() };
        let promise = Arc::new(Promise { worst: Mutex::new(Answer::DELIVERED), to });
        Ack { promises: smallvec![promise], live }
    }
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
    /// Why some of it was rejected on the way to them, which is final.
    pub rejected: Option<Arc<str>>,
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

    /// Takes away the records that are counted in flight with this share.
    pub fn take_live(&mut self) -> Live {
        self.live.take()
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

    /// Another share, in what becomes of journal entries on a way, with records of its own; and the
    /// parts for which all goes with this share: nothing of their entries went there before, and
    /// nothing is left to follow.
    pub fn share_on(&self, way: &Way, live: Live) -> (Self, Parts) {
        let mut parts = Parts::new();
        let on_way = |promise: &Arc<Promise>| promise.on(way, &mut parts);
        let promises = self.promises.iter().map(on_way).collect();
        (Self { promises, live }, parts)
    }

    /// The numbers of the journal entries that it stands for.
    #[must_use]
    pub fn entries(&self) -> SmallVec<[u64; 4]> {
        let number = |promise: &Arc<Promise>| match &promise.to {
            To::Client(_) => None,
            To::Entry { entry, .. } => Some(entry.id.number),
        };
        self.promises.iter().filter_map(number).collect()
    }

    /// The numbers of the entries of one journal that it stands for.
    #[must_use]
    pub fn entries_of(&self, journal: u128) -> SmallVec<[u64; 4]> {
        let number = |promise: &Arc<Promise>| match &promise.to {
            To::Entry { entry, .. } if entry.id.journal == journal => Some(entry.id.number),
            _ => None,
        };
        self.promises.iter().filter_map(number).collect()
    }

    /// Whether all journal entries are among those that are `done` with on a way.
    #[must_use]
    pub fn is_done_on(&self, way: &Way, done: &[Arc<str>]) -> bool {
        let is_done = |promise: &Arc<Promise>| {
            promise.route_of(way).is_some_and(|route| done.contains(&route))
        };
        !done.is_empty() && self.promises.iter().all(is_done)
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
        if self.promises.is_empty() {
            return;
        }
        let reason = thread::panicking().then(|| PANICKED.into());
        let answer = Answer { outcome: Outcome::Retry, reason, retry_after: None };
        for promise in self.promises.drain(..) {
            promise.note(&answer);
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
        /// The one that it went into first.
        pipeline: Arc<str>,
        /// `None`: all that happens before the routes part.
        route: Option<Arc<str>>,
        /// The promises for the routes, so that none is given before all of the entry is on its way.
        routes: Mutex<Vec<Arc<Promise>>>,
    },
}

/// A journal entry on its way; told when the last of its promises is given.
struct Entry {
    id: EntryId,
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

    /// The route of an entry on a way: pipelines before that, through connectors, are named too.
    fn route_of(&self, way: &Way) -> Option<Arc<str>> {
        let To::Entry { pipeline, route: None, .. } = &self.to else { return None };
        if *pipeline == way.pipeline {
            return Some(Arc::clone(&way.route));
        }
        Some(format!("{pipeline} > {}", way.route).into())
    }

    /// The promise for a route of an entry; of a client there is only one.
    fn on(self: &Arc<Self>, way: &Way, parts: &mut Parts) -> Arc<Self> {
        let (To::Entry { entry, pipeline, routes, .. }, Some(on)) = (&self.to, self.route_of(way))
        else {
            return Arc::clone(self);
        };
        let mut routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |promise: &&Arc<Self>| match &promise.to {
            To::Entry { route: Some(route), .. } => *route == on,
            _ => false,
        };
        if let Some(promise) = routes.iter().find(is_it) {
            return Arc::clone(promise);
        }
        // Whoever makes another share has one already, so a single one stays alone.
        if Arc::strong_count(self) == 1 {
            parts.push(Part { entry: entry.id, route: Arc::clone(&on) });
        }
        let to = To::Entry {
            entry: Arc::clone(entry),
            pipeline: Arc::clone(pipeline),
            route: Some(on),
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
            match route {
                Some(route) => self.watch.done(self.id.number, route),
                None => self.outstanding().rejected = answer.reason,
            }
            return;
        }
        let mut outstanding = self.outstanding();
        match route {
            Some(route) => outstanding.routes.push(Arc::clone(route)),
            None => outstanding.before = true,
        }
        outstanding.reason = outstanding.reason.take().or(answer.reason);
    }

    fn outstanding(&self) -> MutexGuard<'_, Outstanding> {
        self.outstanding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let outstanding = self.outstanding.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.watch.finished(self.id.number, mem::take(outstanding));
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Entry").field("id", &self.id).finish_non_exhaustive()
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

    fn way(pipeline: &str, exporter: &str) -> Way {
        let route = format!("{pipeline} > {exporter}").into();
        Way { pipeline: pipeline.into(), route }
    }

    fn entry() -> (Ack, Arc<Told>) {
        let told = Arc::new(Told::default());
        let id = EntryId { journal: 1, number: 7 };
        let promise = EntryPromise::new(id, Arc::<Told>::clone(&told));
        (promise.share(&"logs".into(), Live::none()), told)
    }

    fn share_on(ack: &Ack, way: &Way) -> (Ack, Vec<String>) {
        let (share, parts) = ack.share_on(way, Live::none());
        (share, parts.iter().map(|part| format!("{} {}", part.entry.number, part.route)).collect())
    }

    #[test]
    fn route_is_done_when_nothing_more_can_come_on_it() {
        let (mut ack, told) = entry();
        let later = ack.split(0);
        let way = way("logs", "a");
        let (share, parts) = share_on(&ack, &way);
        assert!(parts.is_empty(), "there is more to come");
        share.answer(Outcome::Delivered);
        ack.answer(Outcome::Delivered);
        assert!(told.done().is_empty());
        let (share, parts) = share_on(&later, &way);
        assert!(parts.is_empty(), "there was something before");
        share.answer(Outcome::Rejected);
        later.answer(Outcome::Delivered);
        assert_eq!(told.done(), ["7 logs > a"]);
        assert!(told.outstanding().unwrap().is_empty());
    }

    #[test]
    fn part_is_an_entry_that_goes_as_a_whole() {
        let (ack, _) = entry();
        let (other, _) = entry();
        let joined = Ack::join([ack, other].into_iter().collect(), Live::none());
        let (first, parts) = share_on(&joined, &way("logs", "a"));
        assert_eq!(parts, ["7 logs > a", "7 logs > a"]);
        let (second, parts) = share_on(&joined, &way("metrics", "b"));
        assert_eq!(parts, ["7 logs > metrics > b", "7 logs > metrics > b"]);
        for ack in [first, second, joined] {
            ack.answer(Outcome::Delivered);
        }
    }

    #[test]
    fn what_is_done_on_a_way_is_known_by_its_route() {
        let (ack, _) = entry();
        let done: [Arc<str>; 2] = ["logs > a".into(), "logs > metrics > b".into()];
        assert!(ack.is_done_on(&way("logs", "a"), &done));
        assert!(ack.is_done_on(&way("metrics", "b"), &done));
        assert!(!ack.is_done_on(&way("metrics", "a"), &done));
        assert!(!ack.is_done_on(&way("logs", "a"), &[]));
        let (client, _answer) = promise(Live::none());
        assert!(!client.is_done_on(&way("logs", "a"), &done));
        [ack, client].into_iter().for_each(|ack| ack.answer(Outcome::Delivered));
    }

    #[test]
    fn only_routes_that_were_not_taken_are_outstanding() {
        let (ack, told) = entry();
        let full = Answer::new(Outcome::Retry, "full");
        let (share, _) = share_on(&ack, &way("logs", "a"));
        share_on(&ack, &way("logs", "b")).0.answer_with(&full);
        ack.answer(Outcome::Delivered);
        assert_eq!(told.outstanding(), None);
        share.answer(Outcome::Delivered);
        assert_eq!(told.done(), ["7 logs > a"]);
        let routes = vec!["logs > b".into()];
        let expected = Outstanding { routes, reason: full.reason, ..Outstanding::default() };
        assert_eq!(told.outstanding(), Some(expected));
    }

    #[test]
    fn entry_that_is_lost_on_the_way_is_outstanding() {
        let (ack, told) = entry();
        drop(ack);
        assert!(told.outstanding().unwrap().before);
    }
}
