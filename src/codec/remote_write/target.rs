//! Up to when `target_info` was made for each resource, over all batches.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::FixedState;

/// Series that each of the two halves holds; about 3 MB in both.
const HALF: usize = 65_536;

/// The time of the last sample of each `target_info` series.
///
/// Receivers refuse a sample that is older than the last of its series. The times of points of
/// different series may come in any order, but all points of a resource share one `target_info`.
/// The series that were not seen for longest are forgotten.
#[derive(Debug, Default)]
pub struct Targets {
    halves: Mutex<Halves>,
}

/// What was noted since the last change of halves, and before it.
#[derive(Debug, Default)]
struct Halves {
    young: HashMap<u64, i64, FixedState>,
    old: HashMap<u64, i64, FixedState>,
}

impl Targets {
    /// Unix milliseconds of the last sample of the series with this hash.
    pub(super) fn last_ms(&self, series: u64) -> Option<i64> {
        let halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.young.get(&series).or_else(|| halves.old.get(&series)).copied()
    }

    /// Notes the last samples that a batch has, by the hash of the series.
    pub(super) fn note(&self, samples: &[(u64, i64)]) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        for (series, time_ms) in samples {
            let last = halves.young.get(series).or_else(|| halves.old.get(series)).copied();
            let time_ms = last.map_or(*time_ms, |last| last.max(*time_ms));
            halves.young.insert(*series, time_ms);
            if halves.young.len() >= HALF {
                halves.old = std::mem::take(&mut halves.young);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_time_stays_and_what_is_seen_again_is_not_forgotten() {
        let targets = Targets::default();
        targets.note(&[(0, 7), (0, 5)]);
        for round in 1..4_u64 {
            let others = (1..HALF as u64).map(|number| (round << 32 | number, 1));
            targets.note(&others.collect::<Vec<_>>());
            assert_eq!(targets.last_ms(0), Some(7), "{round}");
            targets.note(&[(0, 6)]);
        }
        assert_eq!(targets.last_ms(1 << 32 | 1), None);
    }
}
