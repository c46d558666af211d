//! What was stored of late, so that it is known when it comes again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::data::Time;

/// What was stored of late, by hash.
#[derive(Debug, Default)]
pub(super) struct Recent {
    numbers: HashMap<u128, u64>,
    order: VecDeque<(Time, u128)>,
}

impl Recent {
    /// Knows an entry from now on.
    pub(super) fn insert(&mut self, hash: u128, number: u64, arrived: Time) {
        self.numbers.insert(hash, number);
        self.order.push_back((arrived, hash));
    }

    /// The number of what has this hash.
    pub(super) fn number(&self, hash: u128) -> Option<u64> {
        self.numbers.get(&hash).copied()
    }

    /// Forgets what came more than `window` before `now`.
    pub(super) fn expire(&mut self, now: Time, window: Duration) {
        while let Some((arrived, hash)) = self.order.front().copied()
            && arrived.saturating_add(window) < now
        {
            self.order.pop_front();
            self.numbers.remove(&hash);
        }
    }
}
