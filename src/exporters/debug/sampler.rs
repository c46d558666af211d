//! How often a batch is printed.

use std::sync::{Mutex, PoisonError};

use crate::data::Time;

const SECOND_NANOS: u64 = 1_000_000_000;

/// Lets the first batches of each second through, then every n-th.
#[derive(Debug)]
pub(super) struct Sampler {
    initial: u64,
    thereafter: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    second: u64,
    num_seen: u64,
}

impl Sampler {
    /// Lets the first `initial` of a second through, then every `thereafter`-th; 0: none.
    pub(super) fn new(initial: u64, thereafter: u64) -> Self {
        Self { initial, thereafter, state: Mutex::default() }
    }

    /// Whether the next one is let through.
    pub(super) fn takes(&self, now: Time) -> bool {
        let second = now.as_unix_nanos() / SECOND_NANOS;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.second != second {
            *state = State { second, num_seen: 0 };
        }
        state.num_seen += 1;
        if state.num_seen <= self.initial {
            return true;
        }
        self.thereafter > 0 && (state.num_seen - self.initial).is_multiple_of(self.thereafter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_of_a_second_and_then_every_nth_are_taken() {
        let sampler = Sampler::new(2, 3);
        let at = |second: u64| Time::from_unix_nanos(second * SECOND_NANOS);
        let taken: Vec<_> = (0..9).map(|_| sampler.takes(at(1))).collect();
        assert_eq!(taken, [true, true, false, false, true, false, false, true, false]);
        assert!(sampler.takes(at(2)));
        let sampler = Sampler::new(1, 0);
        assert_eq!([sampler.takes(at(1)), sampler.takes(at(1))], [true, false]);
    }
}
