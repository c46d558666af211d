//! Totals of exponential histograms.
//!
//! Bounds and indexes: <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>.

use std::f64::consts::{LN_2, LOG2_E};

use super::histogram::both;
use crate::data::wire::Writer;
use crate::data::{self, ExponentialHistogramPoint};

/// The most buckets on one side of 0 after adding, as in the Collector.
const MAX_BUCKETS: i64 = 160;

/// What the points of an exponential histogram's series add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialTotal {
    /// Values counted.
    pub count: u64,
    /// Their sum, if all points had one.
    pub sum: Option<f64>,
    /// The least value, if all points had one.
    pub min: Option<f64>,
    /// The greatest value, if all points had one.
    pub max: Option<f64>,
    /// The resolution: bounds are powers of 2^(2^-scale).
    pub scale: i32,
    /// Values no farther from 0 than the threshold.
    pub zero_count: u64,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Buckets above 0.
    pub positive: Buckets,
    /// Buckets below 0.
    pub negative: Buckets,
}

/// Buckets on one side of 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// The index of the first.
    pub offset: i32,
    /// Values counted in each.
    pub counts: Vec<u64>,
}

impl ExponentialTotal {
    /// A total of one point.
    #[must_use]
    pub fn of(point: &ExponentialHistogramPoint<'_>) -> Self {
        Self {
            count: point.count(),
            sum: point.sum(),
            min: point.min(),
            max: point.max(),
            scale: point.scale(),
            zero_count: point.zero_count(),
            zero_threshold: point.zero_threshold(),
            positive: Buckets::of(point.positive()),
            negative: Buckets::of(point.negative()),
        }
    }

    /// Adds another total: at the lower scale of both, or lower still if there would be too many
    /// buckets, and with the wider zero bucket.
    pub fn add(&mut self, mut other: Self) {
        let scale = self.scale.min(other.scale);
        self.downscale(self.scale.abs_diff(scale));
        other.downscale(other.scale.abs_diff(scale));
        let by =
            excess(&self.positive, &other.positive).max(excess(&self.negative, &other.negative));
        self.downscale(by);
        other.downscale(by);
        let (mine, others) = (self.zero_threshold, other.zero_threshold);
        self.widen_zero(others);
        other.widen_zero(mine);
        self.positive.add(&other.positive);
        self.negative.add(&other.negative);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        self.count = self.count.saturating_add(other.count);
        self.sum = both(self.sum, other.sum, |left, right| left + right);
        self.min = both(self.min, other.min, f64::min);
        self.max = both(self.max, other.max, f64::max);
    }

    /// Writes the fields of a point that it has, which are those that [`Self::owns`] names.
    pub fn write(&self, writer: &mut Writer) {
        writer.fixed64_field(4, self.count);
        for (number, value) in [(5, self.sum), (12, self.min), (13, self.max)] {
            if let Some(value) = value {
                writer.double_field(number, value);
            }
        }
        writer.sint_field(6, self.scale);
        writer.fixed64_field(7, self.zero_count);
        writer.message(8, |buckets| self.positive.write(buckets));
        writer.message(9, |buckets| self.negative.write(buckets));
        writer.double_field(14, self.zero_threshold);
    }

    /// Whether a field of a point is one of those that are added up.
    #[must_use]
    pub const fn owns(number: u32) -> bool {
        matches!(number, 4..=9 | 12..=14)
    }

    /// Joins 2^`by` buckets to one each, also where the scale itself cannot fall so far.
    fn downscale(&mut self, by: u32) {
        if by > 0 {
            self.positive.downscale(by);
            self.negative.downscale(by);
            self.scale = self.scale.saturating_sub_unsigned(by);
        }
    }

    /// Widens the zero bucket to at least `threshold`, up to the bound of the bucket that it is in.
    #[expect(clippy::cast_precision_loss, reason = "indexes have 32 bits")]
    fn widen_zero(&mut self, threshold: f64) {
        if threshold.is_nan() || threshold <= self.zero_threshold {
            return;
        }
        let last = index_of(threshold, self.scale);
        for buckets in [&mut self.positive, &mut self.negative] {
            self.zero_count = self.zero_count.saturating_add(buckets.take_through(last));
        }
        let width = LN_2 * (-f64::from(self.scale)).exp2();
        self.zero_threshold = ((last as f64 + 1.0) * width).exp().max(threshold);
    }
}

impl Buckets {
    fn of(buckets: Option<data::Buckets<'_>>) -> Self {
        buckets.map_or_else(Self::default, |buckets| Self {
            offset: buckets.offset(),
            counts: buckets.bucket_counts().collect(),
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.sint_field(1, self.offset);
        writer.message(2, |packed| self.counts.iter().for_each(|count| packed.varint(*count)));
    }

    /// The first and the last index that has a count.
    fn range(&self) -> Option<(i64, i64)> {
        let first = self.counts.iter().position(|count| *count > 0)?;
        let last = self.counts.iter().rposition(|count| *count > 0)?;
        Some((self.index(first), self.index(last)))
    }

    fn index(&self, at: usize) -> i64 {
        i64::from(self.offset).saturating_add_unsigned(at as u64)
    }

    /// The buckets with counts as (index, count).
    fn counted(&self) -> impl Iterator<Item = (i64, u64)> {
        let counts = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(at, count)| (self.index(at), *count))
    }

    /// Buckets of these counts, by index, from `first` to `last`.
    fn collect(counted: impl Iterator<Item = (i64, u64)>, (first, last): (i64, i64)) -> Self {
        let length = usize::try_from(last - first + 1).unwrap_or_default();
        let mut counts = vec![0_u64; length];
        for (index, count) in counted {
            if let Some(total) =
                usize::try_from(index - first).ok().and_then(|at| counts.get_mut(at))
            {
                *total = total.saturating_add(count);
            }
        }
        Self { offset: i32::try_from(first).unwrap_or_default(), counts }
    }

    /// Joins 2^`by` buckets to one each.
    pub(super) fn downscale(&mut self, by: u32) {
        let by = by.min(i64::BITS - 1);
        *self = match self.range() {
            Some((first, last)) => {
                let counted = self.counted().map(|(index, count)| (index >> by, count));
                Self::collect(counted, (first >> by, last >> by))
            }
            None => Self::default(),
        };
    }

    /// Adds buckets of the same scale, which together are not too many.
    fn add(&mut self, other: &Self) {
        let Some((first, last)) = union(self.range(), other.range()) else {
            return *self = Self::default();
        };
        *self = Self::collect(self.counted().chain(other.counted()), (first, last));
    }

    /// Takes out the counts up to and with an index.
    fn take_through(&mut self, last: i64) -> u64 {
        let offset = i64::from(self.offset);
        let num_taken = last.saturating_sub(offset).saturating_add(1);
        let num_taken = usize::try_from(num_taken.max(0)).unwrap_or(usize::MAX);
        let taken: Vec<u64> = self.counts.drain(..num_taken.min(self.counts.len())).collect();
        self.offset = i32::try_from(offset + taken.len() as i64).unwrap_or(i32::MAX);
        taken.into_iter().fold(0, u64::saturating_add)
    }
}

/// The range that holds both.
fn union(left: Option<(i64, i64)>, right: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (left, right) {
        (Some(left), Some(right)) => Some((left.0.min(right.0), left.1.max(right.1))),
        (left, right) => left.or(right),
    }
}

/// By how much the scale must fall for both to have few enough buckets together.
fn excess(left: &Buckets, right: &Buckets) -> u32 {
    let Some((first, last)) = union(left.range(), right.range()) else { return 0 };
    (0..i64::BITS).find(|by| (last >> by) - (first >> by) < MAX_BUCKETS).unwrap_or_default()
}

/// The index of the bucket that a value above 0 is in; bounds belong to the bucket below them.
#[expect(clippy::cast_possible_truncation, reason = "saturating is right: all buckets or none")]
pub(super) fn index_of(value: f64, scale: i32) -> i64 {
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i64 - 1023;
    let is_power_of_two = value.to_bits() & ((1 << 52) - 1) == 0;
    if scale <= 0 {
        return (exponent - i64::from(is_power_of_two)) >> scale.unsigned_abs().min(63);
    }
    if is_power_of_two && scale < 52 {
        return (exponent << scale) - 1;
    }
    (value.ln() * LOG2_E * f64::from(scale).exp2()).floor() as i64
}
