//! What was stored of late, so that it is known when it comes again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::data::Time;

/// What was stored of late, by hash.
#[derive(Debug, Default)]
pub(super) struct Recent {
    numbers: HashMap<u128, u64>,
    order: VecDeque<(Time, u128, u64)>,
}

impl Recent {
    /// Knows an entry from now on.
    pub(super) fn insert(&mut self, hash: u128, number: u64, arrived: Time) {
        self.numbers.insert(hash, number);
        self.order.push_back((arrived, hash, number));
    }

    /// The number of what has this hash.
    pub(super) fn number(&self, hash: u128) -> Option<u64> {
        self.numbers.get(&hash).copied()
    }

    /// Forgets what came more than `window` before `now`.
    pub(super) fn expire(&mut self, now: Time, window: Duration) {
        while let Some((arrived, hash, number)) = self.order.front().copied()
            && arrived.saturating_add(window) < now
        {
            self.order.pop_front();
            // The same may have been stored again since.
            if self.numbers.get(&hash) == Some(&number) {
                self.numbers.remove(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_again_is_known_as_long_as_the_later_one() {
        let at = |seconds: u64| Time::from_unix_nanos(seconds * 1_000_000_000);
        let mut recent = Recent::default();
        recent.insert(5, 1, at(1));
        recent.insert(5, 2, at(8));
        recent.expire(at(12), Duration::from_secs(10));
        assert_eq!(recent.number(5), Some(2));
        recent.expire(at(19), Duration::from_secs(10));
        assert_eq!(recent.number(5), None);
    }
}
