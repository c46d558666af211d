//! Repeating trouble is logged at most once in ten seconds.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use crate::data::Time;

/// The shortest time between two lines.
const INTERVAL_NANOS: u64 = 10_000_000_000;

/// Says when a line of the log may be written again.
#[derive(Debug, Default)]
pub struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last line was written.
    last: Option<u64>,
    /// Lines that were not written since.
    suppressed: u64,
}

impl Throttle {
    /// Whether to write a line, by the engine's time; then how many were not written before it.
    pub fn allow(&self, now: Time) -> Option<u64> {
        self.allow_at(now.as_unix_nanos())
    }

    /// Whether to write a line; then how many were not written before it.
    pub fn allow_now(&self) -> Option<u64> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        self.allow_at(u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn allow_at(&self, now: u64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_sub(last) < INTERVAL_NANOS) {
            state.suppressed += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_allowed_every_ten_seconds() {
        let throttle = Throttle::default();
        let at = |seconds: u64| throttle.allow(Time::from_unix_nanos(seconds * 1_000_000_000));
        assert_eq!(at(100), Some(0));
        assert_eq!(at(101), None);
        assert_eq!(at(109), None);
        assert_eq!(at(110), Some(2));
        assert_eq!(at(120), Some(0));
    }
}
