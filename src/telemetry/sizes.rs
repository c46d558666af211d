//! Distributions of sizes in fixed buckets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A distribution of sizes over buckets with fixed upper bounds; clones share it.
#[derive(Clone, Debug)]
pub struct Sizes {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Inclusive upper bounds, rising.
    bounds: &'static [u64],
    /// One for each bound, and one for what is above the last.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

/// A distribution at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SizesSnapshot {
    /// How many sizes were at most the bound, for each bound.
    pub(super) buckets: Vec<(u64, u64)>,
    /// How many there were.
    pub(super) count: u64,
    /// All of them together.
    pub(super) sum: u64,
}

impl Sizes {
    /// An empty distribution over buckets whose inclusive upper `bounds` rise.
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::default()).collect();
        Self { state: Arc::new(State { bounds, counts, sum: AtomicU64::default() }) }
    }

    /// Records one `size`.
    pub fn record(&self, size: usize) {
        let size = size as u64;
        let at = self.state.bounds.partition_point(|bound| *bound < size);
        self.state.counts[at].fetch_add(1, Ordering::Relaxed);
        self.state.sum.fetch_add(size, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> SizesSnapshot {
        let State { bounds, counts, sum } = &*self.state;
        let mut count = 0;
        let mut cumulative = counts.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let buckets = bounds.iter().copied().zip(cumulative.by_ref()).collect();
        cumulative.for_each(drop);
        SizesSnapshot { buckets, count, sum: sum.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_include_their_upper_bounds_and_those_below() {
        let sizes = Sizes::new(&[1, 10]);
        for size in [0, 1, 2, 10, 11] {
            sizes.record(size);
        }
        let expected = SizesSnapshot { buckets: vec![(1, 2), (10, 4)], count: 5, sum: 24 };
        assert_eq!(sizes.snapshot(), expected);
    }
}
