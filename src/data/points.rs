//! Views of data points.

use super::view::message_view;
use super::wire::{Fields, Raw};
use super::{Attributes, Time};

/// The point flag that says: there is no value (the series went stale).
const NO_RECORDED_VALUE: u32 = 1;

/// A number of a point or an exemplar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum NumberValue {
    /// None is set.
    #[default]
    Empty,
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
}

impl NumberValue {
    /// The number as a double; 0 if none is set.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "what a double can hold of it")]
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Empty => 0.0,
            Self::Int(number) => number as f64,
            Self::Double(number) => number,
        }
    }

    fn read(message: &[u8], double: u32, int: u32) -> Self {
        for field in Fields::new(message) {
            if let Raw::Fixed64(bits) = field.value {
                if field.number == double {
                    return Self::Double(f64::from_bits(bits));
                }
                if field.number == int {
                    return Self::Int(bits.cast_signed());
                }
            }
        }
        Self::Empty
    }
}

message_view! {
    /// A point of a gauge or a sum.
    NumberPoint {
        /// When counting began.
        2 start_time: time,
        /// When it was taken.
        3 time: time,
        /// Measurements that it stands for.
        5 exemplars: many(Exemplar),
        /// What tells its series apart.
        7 attributes: attributes,
        /// Bit 0: no recorded value.
        8 flags: u32,
    }
}

impl NumberPoint<'_> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> NumberValue {
        NumberValue::read(self.message, 4, 6)
    }
}

message_view! {
    /// A point of a histogram.
    HistogramPoint {
        /// When counting began.
        2 start_time: time,
        /// When it was taken.
        3 time: time,
        /// Values counted.
        4 count: u64,
        /// Their sum.
        5 sum: maybe_f64,
        /// Values counted in each bucket; one more than bounds, or none.
        6 bucket_counts: u64s,
        /// Upper bounds, inclusive, rising.
        7 explicit_bounds: f64s,
        /// Measurements that it stands for.
        8 exemplars: many(Exemplar),
        /// What tells its series apart.
        9 attributes: attributes,
        /// Bit 0: no recorded value.
        10 flags: u32,
        /// The least value.
        11 min: maybe_f64,
        /// The greatest value.
        12 max: maybe_f64,
    }
}

message_view! {
    /// A point of an exponential histogram.
    ExponentialHistogramPoint {
        /// What tells its series apart.
        1 attributes: attributes,
        /// When counting began.
        2 start_time: time,
        /// When it was taken.
        3 time: time,
        /// Values counted.
        4 count: u64,
        /// Their sum.
        5 sum: maybe_f64,
        /// The resolution: bounds are powers of 2^(2^-scale).
        6 scale: sint,
        /// Values that are 0 or nearer to it than the threshold.
        7 zero_count: u64,
        /// Buckets above 0.
        8 positive: maybe(Buckets),
        /// Buckets below 0.
        9 negative: maybe(Buckets),
        /// Bit 0: no recorded value.
        10 flags: u32,
        /// Measurements that it stands for.
        11 exemplars: many(Exemplar),
        /// The least value.
        12 min: maybe_f64,
        /// The greatest value.
        13 max: maybe_f64,
        /// Half the width of the zero bucket.
        14 zero_threshold: f64,
    }
}

message_view! {
    /// Buckets of an exponential histogram on one side of 0.
    Buckets {
        /// The index of the first bucket.
        1 offset: sint,
        /// Values counted in each bucket.
        2 bucket_counts: varints,
    }
}

message_view! {
    /// A point of a summary.
    SummaryPoint {
        /// When counting began.
        2 start_time: time,
        /// When it was taken.
        3 time: time,
        /// Values counted.
        4 count: u64,
        /// Their sum.
        5 sum: f64,
        /// Quantiles, rising.
        6 quantile_values: many(ValueAtQuantile),
        /// What tells its series apart.
        7 attributes: attributes,
        /// Bit 0: no recorded value.
        8 flags: u32,
    }
}

message_view! {
    /// A quantile of a summary.
    ValueAtQuantile {
        /// Which one, from 0 to 1.
        1 quantile: f64,
        /// Its value.
        2 value: f64,
    }
}

message_view! {
    /// One of the measurements that a point stands for.
    Exemplar {
        /// When it was taken.
        2 time: time,
        /// The span that was active.
        4 span_id: span_id,
        /// The trace that was active.
        5 trace_id: trace_id,
        /// Attributes that its point does not have.
        7 filtered_attributes: attributes,
    }
}

impl Exemplar<'_> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> NumberValue {
        NumberValue::read(self.message, 3, 6)
    }
}

/// A data point of any kind.
#[derive(Clone, Copy, Debug)]
pub enum DataPoint<'a> {
    /// Of a gauge or a sum.
    Number(NumberPoint<'a>),
    /// Of a histogram.
    Histogram(HistogramPoint<'a>),
    /// Of an exponential histogram.
    ExponentialHistogram(ExponentialHistogramPoint<'a>),
    /// Of a summary.
    Summary(SummaryPoint<'a>),
}

impl<'a> DataPoint<'a> {
    /// The encoded message, without a tag or length before it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Number(point) => point.bytes(),
            Self::Histogram(point) => point.bytes(),
            Self::ExponentialHistogram(point) => point.bytes(),
            Self::Summary(point) => point.bytes(),
        }
    }

    /// What tells its series apart.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        match self {
            Self::Number(point) => point.attributes(),
            Self::Histogram(point) => point.attributes(),
            Self::ExponentialHistogram(point) => point.attributes(),
            Self::Summary(point) => point.attributes(),
        }
    }

    /// When counting began.
    #[must_use]
    pub fn start_time(&self) -> Time {
        // All kinds have it in the same field.
        NumberPoint::of_encoded(self.bytes()).start_time()
    }

    /// When it was taken.
    #[must_use]
    pub fn time(&self) -> Time {
        // All kinds have it in the same field.
        NumberPoint::of_encoded(self.bytes()).time()
    }

    /// Bit 0: no recorded value.
    #[must_use]
    pub fn flags(&self) -> u32 {
        match self {
            Self::Number(point) => point.flags(),
            Self::Histogram(point) => point.flags(),
            Self::ExponentialHistogram(point) => point.flags(),
            Self::Summary(point) => point.flags(),
        }
    }

    /// Whether it says that there is no value: its series went stale.
    #[must_use]
    pub fn has_no_recorded_value(&self) -> bool {
        self.flags() & NO_RECORDED_VALUE != 0
    }
}
