//! Sets of entry numbers, kept as runs.

use std::collections::BTreeMap;

/// A set of numbers; small when they are close together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    /// From the first number of a run to its last; runs do not touch.
    runs: BTreeMap<u64, u64>,
}

impl Runs {
    pub(super) fn insert(&mut self, number: u64) {
        self.insert_run(number, number);
    }

    /// Adds all numbers from `first` to `last`.
    pub(super) fn insert_run(&mut self, first: u64, last: u64) {
        let (mut start, mut end) = (first, last);
        // Those that overlap or touch become one with it.
        while let Some((other_start, other_end)) =
            self.runs.range(..=end.saturating_add(1)).next_back().map(|(start, end)| (*start, *end))
            && other_end.saturating_add(1) >= start
        {
            self.runs.remove(&other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.runs.insert(start, end);
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().map(|(first, last)| (*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_hold_what_a_set_holds(added in prop::collection::vec((0_u64..60, 0_u64..5), 0..40)) {
            let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
            for (first, more) in added {
                runs.insert_run(first, first + more);
                set.extend(first..=first + more);
            }
            prop_assert_eq!(runs.iter().flat_map(|(first, last)| first..=last).collect::<BTreeSet<_>>(), set.clone());
            let touching = runs.iter().zip(runs.iter().skip(1)).any(|((_, last), (first, _))| last + 1 >= first);
            prop_assert!(!touching);
            for number in 0..60 {
                prop_assert_eq!(runs.contains(number), set.contains(&number));
            }
        }
    }
}
