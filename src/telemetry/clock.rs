//! The engine's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::data::Time;

/// Tells the time; it never runs back, whatever the system's clock does.
#[derive(Clone, Debug)]
pub struct Clock {
    latest: Arc<AtomicU64>,
    is_manual: bool,
}

/// Sets a [`Clock`] that tests drive.
#[derive(Clone, Debug)]
pub struct ManualClock {
    latest: Arc<AtomicU64>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { latest: Arc::default(), is_manual: false }
    }

    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn manual(start: Time) -> (Self, ManualClock) {
        let latest = Arc::new(AtomicU64::new(start.as_unix_nanos()));
        let clock = Self { latest: Arc::clone(&latest), is_manual: true };
        (clock, ManualClock { latest })
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        if self.is_manual {
            return Time::from_unix_nanos(self.latest.load(Ordering::Acquire));
        }
        let now = system_nanos();
        let latest = self.latest.fetch_max(now, Ordering::AcqRel);
        Time::from_unix_nanos(now.max(latest))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.latest.fetch_add(nanos, Ordering::AcqRel);
    }

    /// Moves the clock to `time`, unless it is there or later already.
    pub fn set(&self, time: Time) {
        self.latest.fetch_max(time.as_unix_nanos(), Ordering::AcqRel);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_nanos() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_never_runs_back() {
        let clock = Clock::system();
        let first = clock.now();
        assert!(first.as_unix_nanos() > 1_600_000_000_000_000_000);
        let later = Time::from_unix_nanos(u64::MAX - 1);
        clock.latest.store(later.as_unix_nanos(), Ordering::Release);
        assert_eq!(clock.now(), later);
    }

    #[test]
    fn manual_clock_stands_until_it_is_moved() {
        let (clock, manual) = Clock::manual(Time::from_unix_nanos(5));
        assert_eq!(clock.now(), Time::from_unix_nanos(5));
        manual.advance(Duration::from_nanos(3));
        assert_eq!(clock.now(), Time::from_unix_nanos(8));
        manual.set(Time::from_unix_nanos(7));
        assert_eq!(clock.now(), Time::from_unix_nanos(8));
    }
}
