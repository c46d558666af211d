//! The columns of data points: a row each.

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};

use super::attributes::AttributeColumns;
use super::columns::{Arrays, Bools, Ids, Lists, NumberLists, Numbers, Texts, Times};
use super::columns_of::{EXEMPLAR, QUANTILE};
use super::logs::{end_unknown, push_field};
use super::schema::{Kind, element, row_fields};
use crate::data::wire::Fields;
use crate::data::{
    Buckets, DataPoint, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData,
    NumberValue, SummaryPoint, Time, ValueAtQuantile,
};

/// Data points, row by row.
#[derive(Debug, Default)]
pub(super) struct PointColumns {
    metric: MetricColumns,
    time: Times,
    start_time: Times,
    value: ValueColumns,
    flags: Numbers<Int64Type>,
    count: Numbers<Int64Type>,
    sum: Numbers<Float64Type>,
    min: Numbers<Float64Type>,
    max: Numbers<Float64Type>,
    bucket_counts: NumberLists<Int64Type>,
    explicit_bounds: NumberLists<Float64Type>,
    exponential: ExponentialColumns,
    quantiles: QuantileColumns,
    exemplars: ExemplarColumns,
    attributes: AttributeColumns,
    unknown: Texts,
}

impl PointColumns {
    /// Adds a point of a metric; answers when it was taken.
    pub(super) fn push(&mut self, metric: &Metric<'_>, point: DataPoint<'_>) -> Time {
        self.metric.push(metric);
        let time = point.time();
        self.time.push(time);
        self.start_time.push(point.start_time());
        self.flags.push(i64::from(point.flags()));
        self.attributes.row(point.attributes().raw());
        let value = match point {
            DataPoint::Number(number) => number.value(),
            _ => NumberValue::Empty,
        };
        self.value.push(value);
        self.push_summed(&point);
        let (histogram, exponential) = match point {
            DataPoint::Histogram(histogram) => (histogram, None),
            DataPoint::ExponentialHistogram(point) => (HistogramPoint::default(), Some(point)),
            _ => (HistogramPoint::default(), None),
        };
        self.bucket_counts.push(histogram.bucket_counts().map(u64::cast_signed));
        self.explicit_bounds.push(histogram.explicit_bounds());
        self.exponential.push(exponential);
        let summary = match point {
            DataPoint::Summary(summary) => summary,
            _ => SummaryPoint::default(),
        };
        summary.quantile_values().for_each(|quantile| self.quantiles.push(&quantile));
        self.quantiles.end();
        match point {
            DataPoint::Number(point) => point.exemplars().for_each(|one| self.exemplars.push(&one)),
            DataPoint::Histogram(point) => {
                point.exemplars().for_each(|one| self.exemplars.push(&one));
            }
            DataPoint::ExponentialHistogram(point) => {
                point.exemplars().for_each(|one| self.exemplars.push(&one));
            }
            DataPoint::Summary(_) => {}
        }
        self.exemplars.end();
        self.push_unknown(&point);
        time
    }

    /// Adds count, sum, least and greatest value.
    fn push_summed(&mut self, point: &DataPoint<'_>) {
        let (count, sum, min, max) = match point {
            DataPoint::Number(_) => (None, None, None, None),
            DataPoint::Histogram(point) => {
                (Some(point.count()), point.sum(), point.min(), point.max())
            }
            DataPoint::ExponentialHistogram(point) => {
                (Some(point.count()), point.sum(), point.min(), point.max())
            }
            DataPoint::Summary(point) => (Some(point.count()), Some(point.sum()), None, None),
        };
        self.count.push_maybe(count.map(u64::cast_signed));
        self.sum.push_maybe(sum);
        self.min.push_maybe(min);
        self.max.push_maybe(max);
    }

    fn push_unknown(&mut self, point: &DataPoint<'_>) {
        let is_known: fn(u32) -> bool = match point {
            DataPoint::Number(_) => |number| matches!(number, 2..=8),
            DataPoint::Histogram(_) => |number| matches!(number, 2..=12),
            DataPoint::ExponentialHistogram(_) => |number| matches!(number, 1..=14),
            DataPoint::Summary(_) => |number| matches!(number, 2..=8),
        };
        let message = point.bytes();
        let mut num_unknown = 0;
        for field in Fields::new(message).filter(|field| !is_known(field.number)) {
            num_unknown += push_field(message, &field, &mut self.unknown);
        }
        end_unknown(num_unknown, &mut self.unknown);
    }

    pub(super) fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        self.metric.finish(arrays);
        arrays.extend(self.time.finish());
        arrays.extend(self.start_time.finish());
        arrays.extend(self.value.finish());
        arrays.extend([
            self.flags.finish(),
            self.count.finish(),
            self.sum.finish(),
            self.min.finish(),
            self.max.finish(),
            self.bucket_counts.finish(element(&Kind::Int64)),
            self.explicit_bounds.finish(element(&Kind::Double)),
        ]);
        self.exponential.finish(arrays);
        arrays.extend([self.quantiles.finish(), self.exemplars.finish()]);
        arrays.extend(self.attributes.finish());
        arrays.push(self.unknown.finish());
    }
}

/// What the points of a metric share.
#[derive(Debug, Default)]
struct MetricColumns {
    name: Texts,
    description: Texts,
    unit: Texts,
    data_kind: Texts,
    temporality: Numbers<Int32Type>,
    is_monotonic: Bools,
    metadata: AttributeColumns,
}

impl MetricColumns {
    fn push(&mut self, metric: &Metric<'_>) {
        self.name.push_unless_empty(metric.name().as_bytes());
        self.description.push_unless_empty(metric.description().as_bytes());
        self.unit.push_unless_empty(metric.unit().as_bytes());
        let data = metric.data();
        let kind = metric.kind().map(|kind| kind.as_str()).unwrap_or_default();
        self.data_kind.push_unless_empty(kind.as_bytes());
        self.temporality.push(match data {
            MetricData::Sum(data) => data.temporality_number(),
            MetricData::Histogram(data) => data.temporality_number(),
            MetricData::ExponentialHistogram(data) => data.temporality_number(),
            MetricData::Empty | MetricData::Gauge(_) | MetricData::Summary(_) => 0,
        });
        self.is_monotonic.push(matches!(data, MetricData::Sum(sum) if sum.is_monotonic()));
        self.metadata.row(metric.metadata().raw());
    }

    fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.extend([
            self.name.finish(),
            self.description.finish(),
            self.unit.finish(),
            self.data_kind.finish(),
            self.temporality.finish(),
            self.is_monotonic.finish(),
        ]);
        arrays.extend(self.metadata.finish());
    }
}

/// Numbers of points and exemplars.
#[derive(Debug, Default)]
struct ValueColumns {
    int: Numbers<Int64Type>,
    double: Numbers<Float64Type>,
}

impl ValueColumns {
    fn push(&mut self, value: NumberValue) {
        let (int, double) = match value {
            NumberValue::Empty => (None, None),
            NumberValue::Int(value) => (Some(value), None),
            NumberValue::Double(value) => (None, Some(value)),
        };
        self.int.push_maybe(int);
        self.double.push_maybe(double);
    }

    fn finish(&mut self) -> [ArrayRef; 2] {
        [self.int.finish(), self.double.finish()]
    }
}

/// What only exponential histograms have.
#[derive(Debug, Default)]
struct ExponentialColumns {
    scale: Numbers<Int32Type>,
    zero_count: Numbers<Int64Type>,
    zero_threshold: Numbers<Float64Type>,
    positive: BucketColumns,
    negative: BucketColumns,
}

impl ExponentialColumns {
    fn push(&mut self, point: Option<ExponentialHistogramPoint<'_>>) {
        self.scale.push_maybe(point.map(|point| point.scale()));
        self.zero_count.push_maybe(point.map(|point| point.zero_count().cast_signed()));
        self.zero_threshold.push_maybe(point.map(|point| point.zero_threshold()));
        self.positive.push(point.and_then(|point| point.positive()));
        self.negative.push(point.and_then(|point| point.negative()));
    }

    fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.extend([
            self.scale.finish(),
            self.zero_count.finish(),
            self.zero_threshold.finish(),
        ]);
        arrays.extend(self.positive.finish());
        arrays.extend(self.negative.finish());
    }
}

/// Buckets on one side of 0; without an offset there are none.
#[derive(Debug, Default)]
struct BucketColumns {
    offset: Numbers<Int32Type>,
    counts: NumberLists<Int64Type>,
}

impl BucketColumns {
    fn push(&mut self, buckets: Option<Buckets<'_>>) {
        self.offset.push_maybe(buckets.map(|buckets| buckets.offset()));
        let buckets = buckets.unwrap_or_default();
        self.counts.push(buckets.bucket_counts().map(u64::cast_signed));
    }

    fn finish(&mut self) -> [ArrayRef; 2] {
        [self.offset.finish(), self.counts.finish(element(&Kind::Int64))]
    }
}

/// Quantiles of summaries.
#[derive(Debug, Default)]
struct QuantileColumns {
    lists: Lists,
    quantile: Numbers<Float64Type>,
    value: Numbers<Float64Type>,
}

impl QuantileColumns {
    fn push(&mut self, quantile: &ValueAtQuantile<'_>) {
        self.quantile.push(quantile.quantile());
        self.value.push(quantile.value());
    }

    fn end(&mut self) {
        self.lists.end(self.quantile.len());
    }

    fn finish(&mut self) -> ArrayRef {
        let columns = vec![self.quantile.finish(), self.value.finish()];
        self.lists.finish_rows(row_fields(QUANTILE), columns)
    }
}

/// Exemplars of points.
#[derive(Debug, Default)]
struct ExemplarColumns {
    lists: Lists,
    time: Times,
    value: ValueColumns,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    attributes: AttributeColumns,
}

impl ExemplarColumns {
    fn push(&mut self, exemplar: &Exemplar<'_>) {
        self.time.push(exemplar.time());
        self.value.push(exemplar.value());
        let trace_id = exemplar.trace_id();
        self.trace_id.push(trace_id.as_ref().map_or(&[], |id| id.as_bytes().as_slice()));
        let span_id = exemplar.span_id();
        self.span_id.push(span_id.as_ref().map_or(&[], |id| id.as_bytes().as_slice()));
        self.attributes.row(exemplar.filtered_attributes().raw());
    }

    fn end(&mut self) {
        self.lists.end(self.value.int.len());
    }

    fn finish(&mut self) -> ArrayRef {
        let mut columns: Arrays = self.time.finish();
        columns.extend(self.value.finish());
        columns.extend([self.trace_id.finish(), self.span_id.finish()]);
        columns.extend(self.attributes.finish());
        self.lists.finish_rows(row_fields(EXEMPLAR), columns)
    }
}
