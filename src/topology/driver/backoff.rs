//! Pauses between attempts: exponential, with jitter, within the time that is left.

use std::time::Duration;

use rand::Rng;

use crate::config::Retry;

/// The pauses of one request.
pub(super) struct Backoff<'a> {
    retry: &'a Retry,
    next: Duration,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(retry: &'a Retry) -> Self {
        Self { retry, next: retry.initial_interval.get() }
    }

    /// The next pause, at least `hint`; `None` when the time for retries would be over.
    ///
    /// `elapsed` is the time since the first attempt.
    pub(super) fn pause(&mut self, hint: Option<Duration>, elapsed: Duration) -> Option<Duration> {
        if !self.retry.enabled {
            return None;
        }
        let pause = hint.unwrap_or_default().max(self.jittered());
        let limit = self.retry.max_elapsed_time.get();
        if !limit.is_zero() && elapsed.saturating_add(pause) > limit {
            return None;
        }
        let longer = self.next.as_secs_f64() * self.retry.multiplier;
        let max = self.retry.max_interval.get();
        self.next = Duration::try_from_secs_f64(longer).unwrap_or(max).min(max);
        Some(pause)
    }

    fn jittered(&self) -> Duration {
        let factor = self.retry.randomization_factor;
        if factor <= 0.0 {
            return self.next;
        }
        let scale = rand::rng().random_range(1.0 - factor..=1.0 + factor);
        Duration::try_from_secs_f64(self.next.as_secs_f64() * scale).unwrap_or(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn retry() -> Retry {
        Retry {
            initial_interval: config::Duration::from_secs(1),
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: config::Duration::from_secs(3),
            max_elapsed_time: config::Duration::from_secs(60),
            ..Retry::default()
        }
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let retry = retry();
        let mut backoff = Backoff::new(&retry);
        let pauses: Vec<_> =
            (0..4).map(|_| backoff.pause(None, Duration::ZERO).unwrap().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 3, 3]);
    }

    #[test]
    fn hint_counts_where_it_is_longer() {
        let retry = retry();
        let mut backoff = Backoff::new(&retry);
        let hint = Some(Duration::from_secs(20));
        assert_eq!(backoff.pause(hint, Duration::ZERO), hint);
        let short = Some(Duration::from_millis(1));
        assert_eq!(backoff.pause(short, Duration::ZERO), Some(Duration::from_secs(2)));
    }

    #[test]
    fn no_pause_reaches_beyond_the_time_for_retries() {
        let retry = retry();
        let mut backoff = Backoff::new(&retry);
        assert_eq!(backoff.pause(None, Duration::from_secs(60)), None);
        let never = Retry { enabled: false, ..retry };
        assert_eq!(Backoff::new(&never).pause(None, Duration::ZERO), None);
        let forever = Retry { max_elapsed_time: config::Duration::ZERO, ..retry };
        assert!(Backoff::new(&forever).pause(None, Duration::from_secs(9999)).is_some());
    }

    #[test]
    fn jitter_stays_within_its_factor() {
        let retry = Retry { randomization_factor: 0.5, multiplier: 1.0, ..retry() };
        let mut backoff = Backoff::new(&retry);
        for _ in 0..100 {
            let pause = backoff.pause(None, Duration::ZERO).unwrap().as_secs_f64();
            assert!((0.5..=1.5).contains(&pause), "{pause}");
        }
    }
}
