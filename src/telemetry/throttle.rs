//! Keeps repeating trouble from filling the log.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::data::Time;

/// How often one and the same trouble is logged, at most.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets one line through in ten seconds and counts those that it held back.
///
/// Ask one throttle either with [`Throttle::allow`] or with [`Throttle::allow_now`], not both: the
/// two count time from different origins.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Nanoseconds from which on the next line may pass.
    next: AtomicU64,
    num_suppressed: AtomicU64,
}

impl Throttle {
    /// Whether a line may be written at `now`; if so, how many were held back before it.
    pub fn allow(&self, now: Time) -> Option<u64> {
        self.allow_at(now.as_unix_nanos())
    }

    /// Whether a line may be written now; if so, how many were held back before it.
    pub fn allow_now(&self) -> Option<u64> {
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        self.allow_at(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    fn allow_at(&self, now: u64) -> Option<u64> {
        let interval = u64::try_from(INTERVAL.as_nanos()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(interval);
        let is_taken = now >= next
            && self
                .next
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_taken {
            return Some(self.num_suppressed.swap(0, Ordering::Relaxed));
        }
        self.num_suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_in_ten_seconds_and_tells_of_the_others() {
        let throttle = Throttle::default();
        let start = Time::from_unix_nanos(1_000);
        assert_eq!(throttle.allow(start), Some(0));
        assert_eq!(throttle.allow(start), None);
        assert_eq!(throttle.allow(start.saturating_add(Duration::from_secs(9))), None);
        assert_eq!(throttle.allow(start.saturating_add(INTERVAL)), Some(2));
        assert_eq!(throttle.allow(start.saturating_add(INTERVAL)), None);
    }

    #[test]
    fn first_line_passes_now() {
        let throttle = Throttle::default();
        assert_eq!(throttle.allow_now(), Some(0));
        assert_eq!(throttle.allow_now(), None);
    }
}
