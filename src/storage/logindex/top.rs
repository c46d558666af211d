//! Which records are wanted first, and the best of many.

use std::ops::Range;

/// Which records are wanted first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest.
    #[default]
    NewestFirst,
    /// The oldest.
    OldestFirst,
}

impl Order {
    /// The higher, the sooner a record of this time is wanted.
    #[must_use]
    pub const fn rank(self, time: i64) -> i64 {
        match self {
            Self::NewestFirst => time,
            // The complement turns the order around and cannot overflow.
            Self::OldestFirst => !time,
        }
    }

    /// The highest rank of times from `min` to `max`.
    #[must_use]
    pub const fn highest(self, min: i64, max: i64) -> i64 {
        match self {
            Self::NewestFirst => self.rank(max),
            Self::OldestFirst => self.rank(min),
        }
    }
}

/// Keeps the items that rank highest, as many as are wanted.
pub(crate) struct Top<T> {
    order: Order,
    limit: usize,
    /// What does not rank higher than this is of no use.
    floor: Option<i64>,
    /// Whether of items of one rank the greatest are kept, in whatever order they come, or those
    /// that came first.
    is_by_item: bool,
    /// Each with its rank.
    items: Vec<(i64, T)>,
}

impl<T: Ord> Top<T> {
    /// Keeps `limit` items that rank higher than `floor`, if one is given.
    pub(crate) const fn new(order: Order, limit: usize, floor: Option<i64>) -> Self {
        Self { order, limit, floor, is_by_item: false, items: Vec::new() }
    }

    /// For a part of what this one is offered, in whatever order that comes.
    pub(crate) const fn for_part<U>(&self) -> Top<U> {
        let Self { order, limit, floor, .. } = *self;
        Top { order, limit, floor, is_by_item: true, items: Vec::new() }
    }

    /// Whether an item of this time would be kept.
    pub(crate) fn is_wanted(&self, time: i64) -> bool {
        self.is_rank_wanted(self.order.rank(time))
    }

    /// Whether an item of this rank would be kept.
    pub(crate) fn is_rank_wanted(&self, rank: i64) -> bool {
        self.floor.is_none_or(|floor| rank > floor)
    }

    /// The times within `range` of which an item would be kept.
    pub(crate) fn wanted_within(&self, range: &Range<i64>) -> Range<i64> {
        let Some(floor) = self.floor else {
            return range.clone();
        };
        match self.order {
            Order::NewestFirst => range.start.max(floor.saturating_add(1))..range.end,
            Order::OldestFirst => range.start..range.end.min(self.order.rank(floor)),
        }
    }

    /// Keeps an item if it is wanted.
    pub(crate) fn push(&mut self, time: i64, item: T) {
        let rank = self.order.rank(time);
        if !self.is_rank_wanted(rank) || self.limit == 0 {
            return;
        }
        self.items.push((rank, item));
        if self.items.len() >= self.limit.saturating_mul(2).max(1024) {
            self.cut();
        }
    }

    /// Lets go of all but the highest.
    pub(crate) fn cut(&mut self) {
        if self.items.len() < self.limit || self.limit == 0 {
            return;
        }
        if self.items.len() > self.limit {
            let highest_first = |a: &(i64, T), b: &(i64, T)| b.cmp(a);
            self.items.select_nth_unstable_by(self.limit - 1, highest_first);
            self.items.truncate(self.limit);
        }
        let lowest = self.items.iter().map(|(rank, _)| *rank).min();
        let floor = lowest.map(|rank| rank.saturating_sub(i64::from(self.is_by_item)));
        self.floor = self.floor.max(floor);
    }

    /// The items with their times, in order.
    pub(crate) fn finish(mut self) -> Vec<(i64, T)> {
        self.cut();
        self.items.sort_unstable_by(|a, b| b.cmp(a));
        // A rank turned around once more is the time.
        let Self { order, items, .. } = self;
        items.into_iter().map(|(rank, item)| (order.rank(rank), item)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highest_are_kept_in_order() {
        for (order, expected) in
            [(Order::NewestFirst, [9_999, 9_998, 9_997]), (Order::OldestFirst, [0, 1, 2])]
        {
            let mut top = Top::new(order, 3, None);
            for time in 0..10_000 {
                top.push(time * 7 % 10_000, time);
            }
            let times: Vec<i64> = top.finish().into_iter().map(|(time, _)| time).collect();
            assert_eq!(times, expected);
        }
    }

    #[test]
    fn greatest_of_one_rank_are_kept_whatever_comes_first() {
        let whole: Top<()> = Top::new(Order::NewestFirst, 2, Some(1));
        for items in [[(3, 5), (3, 9), (2, 8), (3, 7)], [(3, 7), (2, 8), (3, 9), (3, 5)]] {
            let mut part = whole.for_part();
            for (time, item) in items {
                part.push(time, item);
                part.cut();
            }
            assert!(part.is_wanted(3) && !part.is_wanted(2));
            assert_eq!(part.finish(), [(3, 9), (3, 7)]);
        }
    }

    #[test]
    fn what_does_not_rank_higher_than_the_floor_is_not_kept() {
        let mut top = Top::new(Order::NewestFirst, 3, Some(5));
        for time in 4..8 {
            top.push(time, ());
        }
        assert_eq!(top.finish(), [(7, ()), (6, ())]);
        assert!(Top::<()>::new(Order::NewestFirst, 0, None).finish().is_empty());
    }
}
