//! Native histograms of remote-write from exponential histograms of OTLP, and exemplars.

use super::STALE_NAN_BITS;
use super::message::{put_bytes, put_label, put_varint};

/// The highest resolution that Prometheus has.
const MAX_SCHEMA: i32 = 8;
/// The lowest resolution that Prometheus has.
const MIN_SCHEMA: i32 = -4;
/// The width of the zero bucket where the point does not say it.
const DEFAULT_ZERO_THRESHOLD: f64 = 1e-128;
/// A new span is cheaper than this many empty buckets and more.
const MAX_GAP: i64 = 2;

/// A point of an exponential histogram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exponential<'a> {
    /// Values in all buckets.
    pub(super) count: u64,
    /// Their sum, if it is known.
    pub(super) sum: Option<f64>,
    /// The resolution: a bucket is `2^(2^-scale)` wide.
    pub(super) scale: i32,
    /// Values in the zero bucket.
    pub(super) zero_count: u64,
    /// The width of the zero bucket, 0 where it is not said.
    pub(super) zero_threshold: f64,
    /// Buckets above zero.
    pub(super) positive: Buckets<'a>,
    /// Buckets below zero.
    pub(super) negative: Buckets<'a>,
    /// Whether the series has ended.
    pub(super) is_stale: bool,
}

/// Adjacent buckets of an exponential histogram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buckets<'a> {
    /// The index of the first bucket, by its lower bound.
    pub(super) offset: i32,
    /// Values in each.
    pub(super) counts: &'a [u64],
}

/// Appends an encoded `Histogram` to `out`; `false`, and nothing, when the scale is too low for
/// Prometheus.
#[must_use]
pub(super) fn put_histogram(out: &mut Vec<u8>, point: &Exponential<'_>, time_ms: i64) -> bool {
    if point.scale < MIN_SCHEMA {
        return false;
    }
    let schema = point.scale.min(MAX_SCHEMA);
    let (count, sum_bits) = if point.is_stale {
        (STALE_NAN_BITS, STALE_NAN_BITS)
    } else {
        (point.count, point.sum.unwrap_or(0.0).to_bits())
    };
    put_uint(out, 0x08, count);
    put_double(out, 0x19, sum_bits);
    put_uint(out, 0x20, zigzag(i64::from(schema)));
    let threshold =
        if point.zero_threshold > 0.0 { point.zero_threshold } else { DEFAULT_ZERO_THRESHOLD };
    put_double(out, 0x29, threshold.to_bits());
    put_uint(out, 0x30, point.zero_count);
    if !point.is_stale {
        // A shift by more than 31 leaves the sign alone, as 31 does.
        let down = u32::try_from(point.scale - schema).unwrap_or(0).min(31);
        Layout::of(point.negative, down).put(out, 0x42, 0x4a);
        Layout::of(point.positive, down).put(out, 0x5a, 0x62);
    }
    put_uint(out, 0x78, time_ms.cast_unsigned());
    true
}

/// Appends an encoded `Exemplar` to `out`.
pub(super) fn put_exemplar<'l>(
    out: &mut Vec<u8>,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
    value: f64,
    time_ms: i64,
) {
    for (name, value) in labels {
        put_label(out, name, value);
    }
    put_double(out, 0x11, value.to_bits());
    put_uint(out, 0x18, time_ms.cast_unsigned());
}

/// Buckets as Prometheus lays them out: spans of adjacent ones, and counts as differences.
#[derive(Debug, Default, PartialEq, Eq)]
struct Layout {
    spans: Vec<(i64, u64)>,
    deltas: Vec<i64>,
}

impl Layout {
    fn of(buckets: Buckets<'_>, down: u32) -> Self {
        let mut layout = Self::default();
        let mut filling: Option<(i64, u64)> = None;
        let mut cursor = Cursor::default();
        for (position, count) in (0i64..).zip(buckets.counts) {
            // OTLP counts buckets by their lower bound, Prometheus by their upper.
            let index = ((i64::from(buckets.offset) + position) >> down) + 1;
            match &mut filling {
                Some((at, sum)) if *at == index => *sum = sum.saturating_add(*count),
                _ => {
                    layout.add(&mut cursor, filling.replace((index, *count)));
                }
            }
        }
        layout.add(&mut cursor, filling);
        layout
    }

    fn add(&mut self, cursor: &mut Cursor, bucket: Option<(i64, u64)>) {
        let Some((index, count)) = bucket.filter(|(_, count)| *count > 0) else { return };
        let gap = index - cursor.next_index;
        match self.spans.last_mut() {
            Some((_, len)) if gap <= MAX_GAP => {
                for _ in 0..gap {
                    self.deltas.push(-cursor.last_count);
                    cursor.last_count = 0;
                }
                *len += gap.cast_unsigned() + 1;
            }
            _ => self.spans.push((gap, 1)),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.deltas.push(count - cursor.last_count);
        cursor.last_count = count;
        cursor.next_index = index + 1;
    }

    fn put(&self, out: &mut Vec<u8>, spans_tag: u8, deltas_tag: u8) {
        let mut body = Vec::new();
        for (offset, len) in &self.spans {
            body.clear();
            put_uint(&mut body, 0x08, zigzag(*offset));
            put_uint(&mut body, 0x10, *len);
            put_bytes(out, spans_tag, &body);
        }
        if self.deltas.is_empty() {
            return;
        }
        body.clear();
        for delta in &self.deltas {
            put_varint(&mut body, zigzag(*delta));
        }
        put_bytes(out, deltas_tag, &body);
    }
}

#[derive(Debug, Default)]
struct Cursor {
    next_index: i64,
    last_count: i64,
}

fn put_uint(out: &mut Vec<u8>, tag: u8, value: u64) {
    out.push(tag);
    put_varint(out, value);
}

fn put_double(out: &mut Vec<u8>, tag: u8, bits: u64) {
    out.push(tag);
    out.extend_from_slice(&bits.to_le_bytes());
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(offset: i32, counts: &[u64], down: u32) -> (Vec<(i64, u64)>, Vec<i64>) {
        let layout = Layout::of(Buckets { offset, counts }, down);
        (layout.spans, layout.deltas)
    }

    #[test]
    fn index_is_that_of_the_upper_bound() {
        assert_eq!(layout(0, &[3, 2, 5], 0), (vec![(1, 3)], vec![3, -1, 3]));
        assert_eq!(layout(-4, &[1], 0), (vec![(-3, 1)], vec![1]));
    }

    #[test]
    fn gaps_over_two_start_a_span() {
        assert_eq!(layout(0, &[1, 0, 0, 2], 0), (vec![(1, 4)], vec![1, -1, 0, 2]));
        assert_eq!(layout(0, &[1, 0, 0, 0, 2], 0), (vec![(1, 1), (3, 1)], vec![1, 1]));
        assert_eq!(layout(0, &[0, 0, 0, 0, 2], 0), (vec![(5, 1)], vec![2]));
        assert_eq!(layout(7, &[0, 0], 0), (vec![], vec![]));
    }

    #[test]
    fn finer_scales_are_merged_down() {
        assert_eq!(layout(0, &[1, 1, 1, 1], 1), (vec![(1, 2)], vec![2, 0]));
        assert_eq!(layout(-1, &[1, 1, 1], 1), (vec![(0, 2)], vec![1, 1]));
        let mut out = Vec::new();
        let point = Exponential { scale: 20, ..Exponential::default() };
        assert!(put_histogram(&mut out, &point, 1));
        assert_eq!(out[out.iter().position(|byte| *byte == 0x20).unwrap() + 1], 16);
    }

    #[test]
    fn coarser_scale_than_prometheus_has_is_refused() {
        let mut out = Vec::new();
        let point = Exponential { scale: -5, ..Exponential::default() };
        assert!(!put_histogram(&mut out, &point, 1));
        assert!(out.is_empty());
    }

    #[test]
    fn stale_histogram_has_the_stale_bits_in_sum_and_count() {
        let mut out = Vec::new();
        let point = Exponential { is_stale: true, ..Exponential::default() };
        assert!(put_histogram(&mut out, &point, 1));
        let mut wanted = vec![0x08];
        put_varint(&mut wanted, STALE_NAN_BITS);
        wanted.push(0x19);
        wanted.extend_from_slice(&STALE_NAN_BITS.to_le_bytes());
        assert!(out.starts_with(&wanted));
    }
}
