//! Views of metrics.

use super::points::{
    DataPoint, ExponentialHistogramPoint, HistogramPoint, NumberPoint, SummaryPoint,
};
use super::view::{bits, message_view, messages};
use super::wire::Fields;

/// The number of the points' field in every kind of data.
const DATA_POINTS: u32 = 1;

message_view! {
    /// A metric: a name and the points of its series.
    Metric {
        /// Its name.
        1 name: str,
        /// What it measures.
        2 description: str,
        /// The unit, in UCUM.
        3 unit: str,
        /// What else is known of it.
        12 metadata: attributes,
    }
}

impl<'a> Metric<'a> {
    /// Its kind and points.
    #[must_use]
    pub fn data(&self) -> MetricData<'a> {
        let Some((kind, message)) = self.encoded_data() else { return MetricData::Empty };
        match kind {
            DataKind::Gauge => MetricData::Gauge(Gauge::of_encoded(message)),
            DataKind::Sum => MetricData::Sum(Sum::of_encoded(message)),
            DataKind::Histogram => MetricData::Histogram(Histogram::of_encoded(message)),
            DataKind::ExponentialHistogram => {
                MetricData::ExponentialHistogram(ExponentialHistogram::of_encoded(message))
            }
            DataKind::Summary => MetricData::Summary(Summary::of_encoded(message)),
        }
    }

    /// What kind of data it has, if any.
    #[must_use]
    pub fn kind(&self) -> Option<DataKind> {
        self.encoded_data().map(|(kind, _)| kind)
    }

    /// Whether points tell what came since the last one or since the start; of sums and
    /// histograms, else unspecified.
    #[must_use]
    pub fn temporality(&self) -> Temporality {
        match self.encoded_data() {
            Some((DataKind::Sum | DataKind::Histogram | DataKind::ExponentialHistogram, data)) => {
                Temporality::from_bits(bits(data, 2))
            }
            _ => Temporality::Unspecified,
        }
    }

    /// Whether it is a sum that never falls.
    #[must_use]
    pub fn is_monotonic(&self) -> bool {
        matches!(self.data(), MetricData::Sum(sum) if sum.is_monotonic())
    }

    /// Its points of any kind, in order.
    pub fn points(&self) -> impl Iterator<Item = DataPoint<'a>> + use<'a> {
        let (kind, message) = self.encoded_data().unwrap_or((DataKind::Gauge, &[]));
        messages(message, DATA_POINTS).map(move |point| kind.point(point))
    }

    fn encoded_data(&self) -> Option<(DataKind, &'a [u8])> {
        Fields::new(self.bytes())
            .find_map(|field| Some((DataKind::of_field(u64::from(field.number))?, field.bytes())))
    }
}

/// The kind of a metric's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataKind {
    /// Values as they are.
    Gauge,
    /// Values that add up.
    Sum,
    /// Counts in buckets with bounds.
    Histogram,
    /// Counts in buckets of exponential width.
    ExponentialHistogram,
    /// Quantiles.
    Summary,
}

impl DataKind {
    /// The number of its field in a metric.
    #[must_use]
    pub const fn field_number(self) -> u32 {
        match self {
            Self::Gauge => 5,
            Self::Sum => 7,
            Self::Histogram => 9,
            Self::ExponentialHistogram => 10,
            Self::Summary => 11,
        }
    }

    /// The name in configurations: `gauge`, `sum`, `histogram`, `exponential_histogram`,
    /// `summary`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Sum => "sum",
            Self::Histogram => "histogram",
            Self::ExponentialHistogram => "exponential_histogram",
            Self::Summary => "summary",
        }
    }

    /// The kind whose field in a metric is called `number`.
    #[must_use]
    #[inline]
    pub(super) const fn of_field(number: u64) -> Option<Self> {
        match number {
            5 => Some(Self::Gauge),
            7 => Some(Self::Sum),
            9 => Some(Self::Histogram),
            10 => Some(Self::ExponentialHistogram),
            11 => Some(Self::Summary),
            _ => None,
        }
    }

    #[inline]
    pub(super) const fn point(self, message: &[u8]) -> DataPoint<'_> {
        match self {
            Self::Gauge | Self::Sum => DataPoint::Number(NumberPoint::of_encoded(message)),
            Self::Histogram => DataPoint::Histogram(HistogramPoint::of_encoded(message)),
            Self::ExponentialHistogram => {
                DataPoint::ExponentialHistogram(ExponentialHistogramPoint::of_encoded(message))
            }
            Self::Summary => DataPoint::Summary(SummaryPoint::of_encoded(message)),
        }
    }
}

/// A metric's data by kind.
#[derive(Clone, Copy, Debug, Default)]
pub enum MetricData<'a> {
    /// None is set.
    #[default]
    Empty,
    /// Values as they are.
    Gauge(Gauge<'a>),
    /// Values that add up.
    Sum(Sum<'a>),
    /// Counts in buckets with bounds.
    Histogram(Histogram<'a>),
    /// Counts in buckets of exponential width.
    ExponentialHistogram(ExponentialHistogram<'a>),
    /// Quantiles.
    Summary(Summary<'a>),
}

message_view! {
    /// Values as they are.
    Gauge {
        /// The points.
        1 points: many(NumberPoint),
    }
}

message_view! {
    /// Values that add up.
    Sum {
        /// The points.
        1 points: many(NumberPoint),
        /// The temporality as its number.
        2 temporality_number: i32,
        /// Whether it never falls.
        3 is_monotonic: bool,
    }
}

message_view! {
    /// Counts in buckets with bounds.
    Histogram {
        /// The points.
        1 points: many(HistogramPoint),
        /// The temporality as its number.
        2 temporality_number: i32,
    }
}

message_view! {
    /// Counts in buckets of exponential width.
    ExponentialHistogram {
        /// The points.
        1 points: many(ExponentialHistogramPoint),
        /// The temporality as its number.
        2 temporality_number: i32,
    }
}

message_view! {
    /// Quantiles.
    Summary {
        /// The points.
        1 points: many(SummaryPoint),
    }
}

/// Whether points tell what came since the last one or since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Temporality {
    /// Not said, or a number that has no meaning.
    #[default]
    Unspecified,
    /// What came since the last point.
    Delta,
    /// What came since the start.
    Cumulative,
}

impl Temporality {
    /// Its number in the protocol.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Delta => 1,
            Self::Cumulative => 2,
        }
    }

    /// The name in configurations: `unspecified`, `delta`, `cumulative`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Delta => "delta",
            Self::Cumulative => "cumulative",
        }
    }

    const fn from_bits(bits: u64) -> Self {
        match bits {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}
