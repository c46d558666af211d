//! Totals of histograms with bounds.

use crate::data::HistogramPoint;
use crate::data::wire::Writer;

/// What the points of a histogram's series add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramTotal {
    /// Values counted.
    pub count: u64,
    /// Their sum, if all points had one.
    pub sum: Option<f64>,
    /// The least value, if all points had one.
    pub min: Option<f64>,
    /// The greatest value, if all points had one.
    pub max: Option<f64>,
    /// Values counted in each bucket.
    pub counts: Vec<u64>,
    /// Upper bounds.
    pub bounds: Vec<f64>,
}

impl HistogramTotal {
    /// A total of one point.
    #[must_use]
    pub fn of(point: &HistogramPoint<'_>) -> Self {
        Self {
            count: point.count(),
            sum: point.sum(),
            min: point.min(),
            max: point.max(),
            counts: point.bucket_counts().collect(),
            bounds: point.explicit_bounds().collect(),
        }
    }

    /// Adds a point; false, and nothing is added, if it has other bounds.
    #[must_use]
    pub fn add(&mut self, point: &HistogramPoint<'_>) -> bool {
        let is_same = |(left, right): (f64, f64)| left.to_bits() == right.to_bits();
        let num_bounds = point.explicit_bounds().count();
        let mut pairs = self.bounds.iter().copied().zip(point.explicit_bounds());
        if num_bounds != self.bounds.len() || !pairs.all(is_same) {
            return false;
        }
        for (total, count) in self.counts.iter_mut().zip(point.bucket_counts()) {
            *total = total.saturating_add(count);
        }
        self.count = self.count.saturating_add(point.count());
        self.sum = both(self.sum, point.sum(), |left, right| left + right);
        self.min = both(self.min, point.min(), f64::min);
        self.max = both(self.max, point.max(), f64::max);
        true
    }

    /// Writes the fields of a point that it has, which are those that [`Self::owns`] names.
    pub fn write(&self, writer: &mut Writer) {
        writer.fixed64_field(4, self.count);
        for (number, value) in [(5, self.sum), (11, self.min), (12, self.max)] {
            if let Some(value) = value {
                writer.double_field(number, value);
            }
        }
        writer.length_prefix(6, self.counts.len() * 8);
        self.counts.iter().for_each(|count| writer.raw(&count.to_le_bytes()));
        writer.length_prefix(7, self.bounds.len() * 8);
        self.bounds.iter().for_each(|bound| writer.raw(&bound.to_le_bytes()));
    }

    /// Whether a field of a point is one of those that are added up.
    #[must_use]
    pub const fn owns(number: u32) -> bool {
        matches!(number, 4..=7 | 11 | 12)
    }
}

/// Of two values that are both there.
pub(super) fn both(
    left: Option<f64>,
    right: Option<f64>,
    of: impl Fn(f64, f64) -> f64,
) -> Option<f64> {
    Some(of(left?, right?))
}
