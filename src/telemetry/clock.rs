//! The agent's clock: the system's, or one that a test moves by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::data::Time;

/// Tells the time; it never runs back, whatever is done to the system's clock.
///
/// Clones tell the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// The latest time that was told; of a manual clock, the time.
    latest: Arc<AtomicU64>,
    is_manual: bool,
}

/// Moves a manual clock forward.
#[derive(Clone, Debug)]
pub struct ManualClock {
    latest: Arc<AtomicU64>,
}

impl Clock {
    /// The system's clock. While that is set back, this one stands still.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `start`, and the hand that moves it.
    #[must_use]
    pub fn manual(start: Time) -> (Self, ManualClock) {
        let latest = Arc::new(AtomicU64::new(start.as_unix_nanos()));
        (Self { latest: Arc::clone(&latest), is_manual: true }, ManualClock { latest })
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        if self.is_manual {
            return Time::from_unix_nanos(self.latest.load(Ordering::Acquire));
        }
        self.at_least(system_nanos())
    }

    fn at_least(&self, nanos: u64) -> Time {
        let latest = self.latest.fetch_max(nanos, Ordering::AcqRel);
        Time::from_unix_nanos(latest.max(nanos))
    }
}

impl ManualClock {
    /// Moves the clock forward by `duration`.
    pub fn advance(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // The closure always gives a value, so the update always takes place.
        let _ = self.latest.fetch_update(Ordering::AcqRel, Ordering::Acquire, |latest| {
            Some(latest.saturating_add(nanos))
        });
    }

    /// Moves the clock forward to `time`; if it is later already, it stays.
    pub fn set(&self, time: Time) {
        self.latest.fetch_max(time.as_unix_nanos(), Ordering::AcqRel);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
fn system_nanos() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_forward_and_only_by_hand() {
        let (clock, hand) = Clock::manual(Time::from_unix_nanos(50));
        let other = clock.clone();
        assert_eq!(clock.now(), Time::from_unix_nanos(50));
        hand.advance(Duration::from_nanos(7));
        assert_eq!(other.now(), Time::from_unix_nanos(57));
        hand.set(Time::from_unix_nanos(10));
        assert_eq!(clock.now(), Time::from_unix_nanos(57));
        hand.advance(Duration::MAX);
        assert_eq!(clock.now(), Time::MAX);
    }

    #[test]
    fn system_clock_never_runs_back() {
        let clock = Clock::system();
        let before = clock.now();
        assert!(before > Time::from_unix_nanos(1_600_000_000_000_000_000));
        assert_eq!(clock.at_least(5), clock.at_least(4));
        let ahead = clock.at_least(u64::MAX - 1);
        assert_eq!(clock.now(), ahead);
        assert_eq!(clock.clone().now(), ahead);
    }
}
