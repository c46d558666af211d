//! Series of one batch by their labels, and the requests that carry them.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::encoded::{Parts, SeriesLabels, Span, Store};
use super::message::{
    TAG_EXEMPLAR, TAG_FIRST, TAG_HISTOGRAM, field_len, put_bytes, put_sample, put_varint,
    sample_len,
};

/// Where a series is in its table.
pub(super) type SeriesId = u32;

const NONE: u32 = u32::MAX;

/// About what a sample takes in a request.
const SAMPLE_BYTES: usize = 24;

/// A `WriteRequest` for one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Write {
    /// The lane: all series of a data point are in one, and always in the same one.
    pub lane: u64,
    /// The encoded message, not compressed.
    pub body: Vec<u8>,
    /// Where each series ends in the body, and how many data points go with it.
    pub series: Vec<SeriesEnd>,
}

impl Write {
    /// Data points in the request.
    #[must_use]
    pub fn num_records(&self) -> usize {
        self.series.iter().map(|series| series.num_records as usize).sum()
    }
}

/// The end of a series in a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesEnd {
    /// The offset after its last byte.
    pub end: u32,
    /// Data points that are counted with it.
    pub num_records: u32,
}

/// What a series has at one time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point {
    /// A float: its bits.
    Value(u64),
    /// An encoded `Histogram`.
    Histogram(Span),
    /// An encoded `Exemplar`.
    Exemplar(Span),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    series: SeriesId,
    is_record: bool,
    time_ms: i64,
    point: Point,
}

#[derive(Clone, Copy, Debug)]
struct Series {
    labels: Parts,
    lane: u64,
    /// The next series whose labels have the same hash.
    next: u32,
    num_entries: u32,
}

/// All series of a batch, found by their encoded labels.
#[derive(Debug, Default)]
pub(super) struct SeriesTable {
    /// Where labels, and what points refer to, are kept.
    pub(super) store: Store,
    /// The size of all labels of all series.
    labels_bytes: usize,
    series: Vec<Series>,
    index: HashMap<u64, u32, FixedState>,
    entries: Vec<Entry>,
}

/// What became of a table.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// The requests; of one lane in order of time per series.
    pub(super) writes: Vec<Write>,
    /// Data points left out because a later one has the same series and time.
    pub(super) num_duplicates: usize,
}

impl SeriesTable {
    /// The series with these labels, which are in the store; made if there is none. `lane` counts
    /// when it is made.
    pub(super) fn series(&mut self, labels: &SeriesLabels, lane: u64) -> SeriesId {
        let made = u32::try_from(self.series.len()).unwrap_or(NONE);
        let newest = self.index.entry(labels.hash).or_insert(made);
        let first = if *newest == made { NONE } else { *newest };
        let mut at = first;
        while let Some(held) = self.series.get(at as usize) {
            if self.store.are_equal(&held.labels, &labels.parts) {
                return at;
            }
            at = held.next;
        }
        *newest = made;
        self.labels_bytes += labels.parts.iter().map(|part| part.len()).sum::<usize>();
        self.series.push(Series { labels: labels.parts, lane, next: first, num_entries: 0 });
        made
    }

    /// Adds a point to a series. `is_record`: it is the one of its data point that is counted.
    pub(super) fn push(&mut self, series: SeriesId, time_ms: i64, point: Point, is_record: bool) {
        if let Some(held) = self.series.get_mut(series as usize) {
            held.num_entries += 1;
            self.entries.push(Entry { series, is_record, time_ms, point });
        }
    }

    /// Whether so much is held that spans could no longer tell where it is.
    pub(super) fn is_full(&self) -> bool {
        self.store.len() + self.labels_bytes > (u32::MAX / 2) as usize
    }

    /// Lays the series into requests of at most about `max_bytes`, by `num_lanes` lanes.
    pub(super) fn pack(&mut self, num_lanes: u64, max_bytes: usize) -> Packed {
        let (entries, starts) = self.by_series();
        let lanes = self.series.iter().map(|series| series.lane % num_lanes.max(1));
        let mut order: Vec<(u64, u32)> = lanes.zip(0..).collect();
        // Stable, and quick where there are few lanes.
        order.sort_by_key(|(lane, _)| *lane);
        let mut packed = Packed::default();
        let mut write = Write::default();
        let mut kept: Vec<Entry> = Vec::new();
        let mut rest_bytes = self.labels_bytes + self.entries.len() * SAMPLE_BYTES;
        for (lane, id) in order {
            let [Some(start), Some(end)] =
                [id as usize, id as usize + 1].map(|at| starts.get(at).copied())
            else {
                continue;
            };
            kept.clear();
            kept.extend_from_slice(entries.get(start as usize..end as usize).unwrap_or_default());
            packed.num_duplicates += put_in_order(&mut kept);
            if !write.body.is_empty() && (write.lane != lane || write.body.len() >= max_bytes) {
                packed.writes.push(std::mem::take(&mut write));
            }
            if write.body.is_empty() {
                // The last series may go over the limit.
                write.body.reserve(max_bytes.saturating_add(max_bytes / 64).min(rest_bytes));
            }
            write.lane = lane;
            let start = write.body.len();
            self.put_series(&mut write, id, &kept);
            rest_bytes = rest_bytes.saturating_sub(write.body.len() - start);
        }
        if !write.body.is_empty() {
            packed.writes.push(write);
        }
        packed
    }

    /// The entries grouped by series, in the order in which they came, and where each group
    /// starts.
    fn by_series(&self) -> (Vec<Entry>, Vec<u32>) {
        let mut starts = Vec::with_capacity(self.series.len() + 1);
        let mut total = 0;
        for series in &self.series {
            starts.push(total);
            total += series.num_entries;
        }
        starts.push(total);
        let mut next = starts.clone();
        let mut grouped = self.entries.clone();
        for entry in &self.entries {
            let Some(place) = next.get_mut(entry.series as usize) else { continue };
            if let Some(slot) = grouped.get_mut(*place as usize) {
                *slot = *entry;
            }
            *place += 1;
        }
        (grouped, starts)
    }

    fn put_series(&self, write: &mut Write, id: SeriesId, entries: &[Entry]) {
        let Some(series) = self.series.get(id as usize) else { return };
        let mut len = series.labels.iter().map(|part| part.len()).sum::<usize>();
        for entry in entries {
            len += match entry.point {
                Point::Value(_) => field_len(sample_len(entry.time_ms)),
                Point::Histogram(span) | Point::Exemplar(span) => field_len(span.len()),
            };
        }
        write.body.push(TAG_FIRST);
        put_varint(&mut write.body, len as u64);
        for part in series.labels {
            write.body.extend_from_slice(self.store.bytes(part));
        }
        let mut num_records = 0;
        for entry in entries {
            num_records += u32::from(entry.is_record);
            match entry.point {
                Point::Value(bits) => put_sample(&mut write.body, bits, entry.time_ms),
                Point::Exemplar(span) => {
                    put_bytes(&mut write.body, TAG_EXEMPLAR, self.store.bytes(span));
                }
                Point::Histogram(span) => {
                    put_bytes(&mut write.body, TAG_HISTOGRAM, self.store.bytes(span));
                }
            }
        }
        write.series.push(SeriesEnd { end: offset(write.body.len()), num_records });
    }
}

/// Sorts the entries of a series by time; of several at one time the last that came stays.
/// Returns how many data points went.
fn put_in_order(entries: &mut Vec<Entry>) -> usize {
    let is_in_order = entries.windows(2).all(|pair| match pair {
        [first, second] => first.time_ms < second.time_ms,
        _ => true,
    });
    if is_in_order {
        return 0;
    }
    // Stable: equal times stay in the order in which they came.
    entries.sort_by_key(|entry| (matches!(entry.point, Point::Exemplar(_)), entry.time_ms));
    let mut num_gone = 0;
    entries.dedup_by(|later, first| {
        let is_exemplar = matches!(later.point, Point::Exemplar(_));
        if is_exemplar || later.time_ms != first.time_ms {
            return false;
        }
        num_gone += usize::from(first.is_record);
        *first = *later;
        true
    });
    num_gone
}

/// An offset into a request, which is far below 4 GiB.
fn offset(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(table: &mut SeriesTable, name: &str) -> SeriesLabels {
        table.store.label("__name__", name).whole()
    }

    fn value(number: f64) -> Point {
        Point::Value(number.to_bits())
    }

    #[test]
    fn series_is_found_again_by_its_labels() {
        let mut table = SeriesTable::default();
        let [a, b] = ["a", "b"].map(|name| labels(&mut table, name));
        // As if two had one hash.
        let b = SeriesLabels { hash: a.hash, ..b };
        let first = table.series(&a, 0);
        let second = table.series(&b, 0);
        assert_ne!(first, second);
        let again = labels(&mut table, "a");
        assert_eq!(table.series(&again, 9), first);
        assert_eq!(table.series(&b, 9), second);
    }

    #[test]
    fn samples_are_sorted_and_the_last_of_equal_times_stays() {
        let mut table = SeriesTable::default();
        let labels = labels(&mut table, "a");
        let series = table.series(&labels, 0);
        for (time_ms, number) in [(2, 1.0), (1, 2.0), (2, 3.0)] {
            table.push(series, time_ms, value(number), true);
        }
        let packed = table.pack(1, 1 << 20);
        assert_eq!(packed.num_duplicates, 1);
        let [write] = packed.writes.as_slice() else { panic!("one request") };
        assert_eq!(write.num_records(), 2);
        let mut wanted = labels.parts.map(|part| table.store.bytes(part)).concat();
        put_sample(&mut wanted, 2.0_f64.to_bits(), 1);
        put_sample(&mut wanted, 3.0_f64.to_bits(), 2);
        let mut body = Vec::new();
        put_bytes(&mut body, TAG_FIRST, &wanted);
        assert_eq!(write.body, body);
    }

    #[test]
    fn requests_end_at_the_size_limit_and_lanes_do_not_mix() {
        let mut table = SeriesTable::default();
        for number in 0_u64..10 {
            let labels = labels(&mut table, &format!("s{number}"));
            let series = table.series(&labels, number);
            table.push(series, 1, value(1.0), true);
        }
        let packed = table.pack(2, 40);
        assert_eq!(packed.writes.iter().map(Write::num_records).sum::<usize>(), 10);
        assert!(packed.writes.len() > 2);
        assert!(packed.writes.is_sorted_by_key(|write| write.lane));
        for write in &packed.writes {
            assert_eq!(write.series.last().unwrap().end as usize, write.body.len());
        }
    }
}
