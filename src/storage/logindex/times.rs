//! When the records of a segment happened, so that a search reads little else than what it wants.

use std::ops::Range;

use tantivy::DocId;
use tantivy::columnar::Column;

use super::top::Order;

/// Records of which the earliest and the latest time are known.
const BLOCK: usize = 8 * 1024;

/// The next part has so many times as many blocks.
const GROWTH: usize = 8;

/// When the records of a segment happened.
pub(crate) struct SegmentTimes {
    times: Column<i64>,
    /// The earliest and the latest time of each block of records.
    blocks: Vec<(i64, i64)>,
}

/// A part of a segment's records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) docs: Range<DocId>,
    /// The highest rank of a record of this part or a later one.
    pub(crate) highest: i64,
}

impl SegmentTimes {
    pub(crate) fn new(times: Column<i64>) -> Self {
        let num_records = times.num_docs() as usize;
        let mut values = [0; BLOCK];
        let mut blocks = Vec::with_capacity(num_records.div_ceil(BLOCK));
        for start in (0..num_records).step_by(BLOCK) {
            let values = &mut values[..BLOCK.min(num_records - start)];
            times.values.get_range(start as u64, values);
            let least = values.iter().min().copied().unwrap_or_default();
            blocks.push((least, values.iter().max().copied().unwrap_or_default()));
        }
        Self { times, blocks }
    }

    /// When a record happened.
    pub(crate) fn of(&self, doc: DocId) -> i64 {
        self.times.values.get_val(doc)
    }

    /// The earliest time; nothing is earlier than that of no records.
    pub(crate) fn min(&self) -> i64 {
        self.blocks.iter().map(|(min, _)| *min).min().unwrap_or(i64::MAX)
    }

    /// The latest time; nothing is later than that of no records.
    pub(crate) fn max(&self) -> i64 {
        self.blocks.iter().map(|(_, max)| *max).max().unwrap_or(i64::MIN)
    }

    /// Where records within `range` may be.
    pub(crate) fn docs_within(&self, range: &Range<i64>) -> Range<DocId> {
        self.docs_of(0..self.blocks.len(), range)
    }

    /// The records within `range`, in parts: those that are likely to be wanted first, which are
    /// few, then more and more.
    pub(crate) fn parts(&self, range: &Range<i64>, order: Order) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = 0..self.blocks.len();
        let mut num_blocks = 1;
        while !rest.is_empty() {
            let highest = self.blocks_within(rest.clone(), range);
            let highest = highest.map(|(_, (min, max))| order.highest(min, max)).max();
            let blocks = match order {
                Order::NewestFirst => rest.end.saturating_sub(num_blocks).max(rest.start)..rest.end,
                Order::OldestFirst => rest.start..rest.end.min(rest.start + num_blocks),
            };
            rest = match order {
                Order::NewestFirst => rest.start..blocks.start,
                Order::OldestFirst => blocks.end..rest.end,
            };
            let docs = self.docs_of(blocks, range);
            let Some(highest) = highest else {
                break;
            };
            if !docs.is_empty() {
                parts.push(Part { docs, highest });
                num_blocks *= GROWTH;
            }
        }
        parts
    }

    /// The blocks that may have a record within `range`, with their times.
    fn blocks_within(
        &self,
        blocks: Range<usize>,
        range: &Range<i64>,
    ) -> impl DoubleEndedIterator<Item = (usize, (i64, i64))> {
        let found = blocks.filter_map(|block| Some((block, *self.blocks.get(block)?)));
        let range = range.clone();
        found.filter(move |(_, (min, max))| *min < range.end && *max >= range.start)
    }

    fn docs_of(&self, blocks: Range<usize>, range: &Range<i64>) -> Range<DocId> {
        let mut within = self.blocks_within(blocks, range).map(|(block, _)| block);
        let Some(first) = within.next() else {
            return 0..0;
        };
        let last = within.next_back().unwrap_or(first);
        let doc = |block: usize| DocId::try_from(block * BLOCK).unwrap_or(DocId::MAX);
        doc(first)..doc(last + 1).min(self.times.num_docs())
    }
}

#[cfg(test)]
mod tests {
    use tantivy::schema::{FAST, Schema};
    use tantivy::{Index, IndexWriter, doc};

    use super::*;

    fn segment(times: impl Iterator<Item = i64>) -> SegmentTimes {
        let mut schema = Schema::builder();
        let time = schema.add_i64_field("time", FAST);
        let index = Index::create_in_ram(schema.build());
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 20_000_000).unwrap();
        for value in times {
            writer.add_document(doc!(time => value)).unwrap();
        }
        writer.commit().unwrap();
        let searcher = index.reader().unwrap().searcher();
        SegmentTimes::new(searcher.segment_reader(0).fast_fields().i64("time").unwrap())
    }

    #[test]
    fn parts_cover_the_range_and_grow() {
        let count = 100_000;
        let segment = segment(0..count);
        assert_eq!((segment.min(), segment.max()), (0, count - 1));
        for order in [Order::NewestFirst, Order::OldestFirst] {
            for range in [0..count, 20_000..70_000, 99_999..count, -5..1, 50_000..50_001] {
                let parts = segment.parts(&range, order);
                for time in range.clone().filter(|time| (0..count).contains(time)) {
                    let doc = DocId::try_from(time).unwrap();
                    assert_eq!(parts.iter().filter(|part| part.docs.contains(&doc)).count(), 1);
                }
                assert!(parts[0].docs.len() <= BLOCK);
                assert!(parts.is_sorted_by(|one, next| one.highest >= next.highest));
                let within = segment.docs_within(&range);
                assert!(parts.iter().all(|part| part.docs.end <= within.end));
            }
            assert_eq!(segment.parts(&(count..count + 9), order), []);
        }
    }

    #[test]
    fn rank_of_a_part_speaks_for_those_that_follow() {
        // The latest record stands first.
        let times = std::iter::once(1_000_000).chain(0..50_000);
        let segment = segment(times);
        let parts = segment.parts(&(0..i64::MAX), Order::NewestFirst);
        assert!(parts.len() > 1);
        assert!(parts.iter().all(|part| part.highest == 1_000_000));
    }
}
