//! Which journal entries run again, and when.
//!
//! Entries that were not taken wait by the first route that did not take them, so that a
//! destination that is down holds back nobody else's. After a failure a route has a pause, which
//! doubles, and then a single entry tries; while they are taken, ever more run at a time.
//!
//! Metrics stay in order: what comes while older entries wait for a route, or were found at the
//! start and did not run yet, waits behind them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::component::{Outstanding, PANICKED};

/// The pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Entries of a route that run again at a time, at most.
const MAX_RUNNING: usize = 64;

/// Entries that a stage held at so many panics are set aside.
const MAX_PANICS: u32 = 3;

/// Why an entry that waits behind others is not taken.
pub(super) const BEHIND: &str = "older entries wait for this destination";

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This entry is to run; it counts as running.
    Run(u64),
    /// This entry is to be set aside: stages panic on it.
    SetAside(u64),
    /// Nothing before that.
    At(Instant),
    /// Nothing.
    Idle,
}

/// Entries that wait to run again.
#[derive(Default)]
pub(super) struct Again {
    state: Mutex<State>,
    woken: Notify,
}

#[derive(Default)]
struct State {
    /// Found at the start, and metrics that came since.
    recovered: VecDeque<u64>,
    /// Whether all of those are on their way.
    has_recovered: bool,
    /// By route, entries that it did not take, and behind which others wait.
    behind: BTreeMap<Arc<str>, BTreeSet<u64>>,
    /// By route; the empty one for what did not get as far as that.
    lanes: BTreeMap<Arc<str>, Lane>,
    /// The lanes of those that run again.
    running: BTreeMap<u64, Arc<str>>,
    /// By entry, how often a stage panicked that held it.
    panics: BTreeMap<u64, u32>,
    /// Those that made it panic too often.
    poison: Vec<u64>,
}

/// The entries that a route did not take.
struct Lane {
    /// The oldest runs first.
    waiting: BTreeSet<u64>,
    num_running: usize,
    max_running: usize,
    pause: Duration,
    due: Instant,
}

impl Lane {
    fn new(now: Instant) -> Self {
        let (waiting, pause) = (BTreeSet::new(), Duration::ZERO);
        Self { waiting, num_running: 0, max_running: 1, pause, due: now }
    }

    /// Something was not taken.
    fn fail(&mut self, now: Instant) {
        // Those that fail together count once.
        if self.due <= now {
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            self.due = now + self.pause;
        }
        self.max_running = 1;
    }

    fn succeed(&mut self) {
        self.pause = Duration::ZERO;
        self.max_running = (self.max_running * 2).min(MAX_RUNNING);
    }

    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.num_running == 0
    }
}

impl State {
    /// A stage panicked that held an entry; whether that was once too often.
    fn has_panicked(&mut self, number: u64) -> bool {
        let panics = self.panics.entry(number).or_default();
        *panics += 1;
        let is_over = *panics >= MAX_PANICS;
        if is_over {
            self.panics.remove(&number);
        }
        is_over
    }

    /// Nobody waits behind an entry any more.
    fn let_go(&mut self, number: u64) {
        self.behind.retain(|_, behind| {
            behind.remove(&number);
            !behind.is_empty()
        });
    }
}

impl Again {
    /// These run as soon as there is memory for them.
    pub(super) fn recover(&self, numbers: Vec<u64>) {
        self.state().recovered.extend(numbers);
        self.woken.notify_one();
    }

    /// Whether a new entry must run behind those that were found at the start; then it will.
    pub(super) fn defer(&self, number: u64) -> bool {
        let mut state = self.state();
        if state.has_recovered {
            return false;
        }
        state.recovered.push_back(number);
        true
    }

    /// Whether entries may go on a route: not before older ones that it did not take. Those that
    /// may not count as not taken, too.
    pub(super) fn may_go(&self, route: &Arc<str>, numbers: &[u64]) -> bool {
        let mut state = self.state();
        let Some(behind) = state.behind.get_mut(route) else { return true };
        let newest = numbers.iter().copied().max().unwrap_or_default();
        let may_go = behind.range(..newest).all(|older| numbers.contains(older));
        if !may_go {
            behind.extend(numbers);
        }
        may_go
    }

    /// A route took these entries, or did not.
    pub(super) fn went(&self, route: &Arc<str>, numbers: &[u64], is_taken: bool) {
        let mut state = self.state();
        if !is_taken {
            state.behind.entry(Arc::clone(route)).or_default().extend(numbers);
        } else if let Some(behind) = state.behind.get_mut(route) {
            behind.retain(|number| !numbers.contains(number));
            if behind.is_empty() {
                state.behind.remove(route);
            }
        }
    }

    /// An entry is on its way nowhere any more; whether it is done with.
    pub(super) fn finished(&self, number: u64, outstanding: &Outstanding, now: Instant) -> bool {
        let mut state = self.state();
        let ran_in = state.running.remove(&number);
        let is_done = outstanding.is_empty();
        if is_done {
            state.let_go(number);
            state.panics.remove(&number);
        }
        if ran_in.is_none() && is_done {
            return true;
        }
        let failed = match outstanding.routes.first() {
            Some(route) => Some(Arc::clone(route)),
            None => outstanding.before.then(|| "".into()),
        };
        if let Some(route) = ran_in
            && let Some(lane) = state.lanes.get_mut(&route)
        {
            lane.num_running -= 1;
            if failed.as_ref() != Some(&route) {
                lane.succeed();
            }
            if lane.is_over() {
                state.lanes.remove(&route);
            }
        }
        if outstanding.reason.as_deref() == Some(PANICKED) && state.has_panicked(number) {
            state.let_go(number);
            state.poison.push(number);
        } else if let Some(route) = failed {
            let lane = state.lanes.entry(route).or_insert_with(|| Lane::new(now));
            // Who only waits behind others says nothing of the destination.
            if outstanding.reason.as_deref() != Some(BEHIND) {
                lane.fail(now);
            }
            lane.waiting.insert(number);
        }
        drop(state);
        self.woken.notify_one();
        is_done
    }

    /// An entry that was to run does not.
    pub(super) fn forget(&self, number: u64) {
        let mut state = self.state();
        if let Some(route) = state.running.remove(&number)
            && let Some(lane) = state.lanes.get_mut(&route)
        {
            lane.num_running -= 1;
        }
        state.let_go(number);
    }

    /// What is to be done next.
    pub(super) fn next(&self, now: Instant) -> Next {
        let mut state = self.state();
        if let Some(number) = state.recovered.pop_front() {
            return Next::Run(number);
        }
        // Whoever asks has sent the last one on its way.
        state.has_recovered = true;
        if let Some(number) = state.poison.pop() {
            return Next::SetAside(number);
        }
        let mut earliest = None;
        let mut found = None;
        for (route, lane) in &mut state.lanes {
            if lane.waiting.is_empty() || lane.num_running >= lane.max_running {
                continue;
            }
            if lane.due > now {
                earliest = Some(earliest.map_or(lane.due, |due: Instant| due.min(lane.due)));
                continue;
            }
            if let Some(number) = lane.waiting.pop_first() {
                lane.num_running += 1;
                found = Some((number, Arc::clone(route)));
                break;
            }
        }
        if let Some((number, route)) = found {
            state.running.insert(number, route);
            return Next::Run(number);
        }
        earliest.map_or(Next::Idle, Next::At)
    }

    /// Comes when there may be something to do that there was not when this was called.
    pub(super) fn woken(&self) -> impl Future<Output = ()> + '_ {
        self.woken.notified()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(route: &str) -> Outstanding {
        Outstanding { routes: vec![route.into()], ..Outstanding::default() }
    }

    fn done() -> Outstanding {
        Outstanding::default()
    }

    #[test]
    fn what_was_found_runs_at_once_and_in_order() {
        let (again, now) = (Again::default(), Instant::now());
        again.recover(vec![3, 5]);
        assert_eq!([again.next(now), again.next(now)], [Next::Run(3), Next::Run(5)]);
        again.finished(3, &done(), now);
        assert_eq!(again.next(now), Next::Idle);
    }

    #[test]
    fn route_that_fails_is_tried_with_one_entry_after_ever_longer_pauses() {
        let (again, mut now) = (Again::default(), Instant::now());
        (1..=9).for_each(|number| assert!(!again.finished(number, &failing("a"), now)));
        for pause in [1, 2, 4] {
            let due = now + Duration::from_secs(pause);
            assert_eq!(again.next(now), Next::At(due));
            now = due;
            assert_eq!([again.next(now), again.next(now)], [Next::Run(1), Next::Idle]);
            again.finished(1, &failing("a"), now);
        }
        now += Duration::from_secs(8);
        assert_eq!(again.next(now), Next::Run(1));
        again.finished(1, &done(), now);
        let running = [again.next(now), again.next(now), again.next(now)];
        assert_eq!(running, [Next::Run(2), Next::Run(3), Next::Idle]);
        again.finished(2, &done(), now);
        let running = [again.next(now), again.next(now), again.next(now), again.next(now)];
        assert_eq!(running, [Next::Run(4), Next::Run(5), Next::Run(6), Next::Idle]);
    }

    #[test]
    fn route_that_fails_holds_back_no_other() {
        let (again, now) = (Again::default(), Instant::now());
        again.finished(1, &failing("a"), now);
        let later = now + Duration::from_secs(1);
        assert_eq!(again.next(later), Next::Run(1));
        again.finished(1, &failing("a"), later);
        again.finished(2, &failing("b"), now);
        assert_eq!(again.next(later), Next::Run(2));
    }

    #[test]
    fn entry_that_moves_on_to_another_route_opens_the_first() {
        let (again, now) = (Again::default(), Instant::now());
        again.finished(1, &failing("a"), now);
        again.finished(2, &failing("a"), now);
        let later = now + Duration::from_secs(1);
        assert_eq!(again.next(later), Next::Run(1));
        again.finished(1, &failing("b"), later);
        assert_eq!(again.next(later), Next::Run(2));
        assert_eq!(again.next(later), Next::At(later + FIRST_PAUSE));
    }

    #[test]
    fn what_must_stay_in_order_runs_behind_what_was_found() {
        let (again, now) = (Again::default(), Instant::now());
        again.recover(vec![3]);
        assert!(again.defer(5));
        assert_eq!([again.next(now), again.next(now)], [Next::Run(3), Next::Run(5)]);
        // The last one may not be on its way yet.
        assert!(again.defer(6));
        assert_eq!([again.next(now), again.next(now)], [Next::Run(6), Next::Idle]);
        assert!(!again.defer(7));
    }

    #[test]
    fn what_must_stay_in_order_does_not_go_before_what_was_not_taken() {
        let (again, now) = (Again::default(), Instant::now());
        let route: Arc<str> = "m > a".into();
        assert!(again.may_go(&route, &[1]));
        again.went(&route, &[1], false);
        assert!(!again.may_go(&route, &[2, 3]));
        assert!(again.may_go(&"m > b".into(), &[2]));
        let behind = Outstanding { reason: Some(BEHIND.into()), ..failing("m > a") };
        for (number, outstanding) in [(1, &failing("m > a")), (2, &behind), (3, &behind)] {
            assert!(!again.finished(number, outstanding, now));
        }
        // Those that wait behind others make no pause longer.
        let later = now + FIRST_PAUSE;
        assert_eq!([again.next(later), again.next(later)], [Next::Run(1), Next::Idle]);
        assert!(again.may_go(&route, &[1]));
        again.went(&route, &[1], true);
        assert!(!again.may_go(&route, &[3]));
        assert!(again.may_go(&route, &[2, 3]));
        again.went(&route, &[2, 3], true);
        assert!(again.may_go(&route, &[4]));
    }

    #[test]
    fn entry_on_which_a_stage_panics_three_times_is_set_aside() {
        let (again, mut now) = (Again::default(), Instant::now());
        let reason = Some(PANICKED.into());
        let panicked = Outstanding { before: true, reason, ..Outstanding::default() };
        assert!(!again.finished(5, &panicked, now));
        for _ in 0..2 {
            now += LONGEST_PAUSE;
            assert_eq!(again.next(now), Next::Run(5));
            assert!(!again.finished(5, &panicked, now));
        }
        now += LONGEST_PAUSE;
        assert_eq!([again.next(now), again.next(now)], [Next::SetAside(5), Next::Idle]);
    }

    #[test]
    fn nobody_waits_behind_what_is_done_with_or_cannot_run() {
        let (again, now) = (Again::default(), Instant::now());
        let route: Arc<str> = "m > a".into();
        again.went(&route, &[1, 2], false);
        assert!(again.finished(1, &done(), now));
        assert!(!again.may_go(&route, &[3]));
        again.forget(2);
        again.forget(3);
        assert!(again.may_go(&route, &[4]));
    }
}
