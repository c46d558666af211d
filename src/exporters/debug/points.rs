//! Data points in full.

use super::normal::number;
use super::page::{Page, moment};
use crate::data::{
    Buckets, DataPoint, Exemplar, ExponentialHistogramPoint, HistogramPoint, SummaryPoint,
};

const INDENT: &str = "     ";

/// Adds a data point.
pub(super) fn data_point(page: &mut Page, index: usize, point: &DataPoint<'_>) {
    let name = match point {
        DataPoint::Number(_) => "NumberDataPoints",
        DataPoint::Histogram(_) => "HistogramDataPoints",
        DataPoint::ExponentialHistogram(_) => "ExponentialHistogramDataPoints",
        DataPoint::Summary(_) => "SummaryDataPoints",
    };
    page.line(format_args!("{name} #{index}"));
    page.attributes("Data point attributes:", INDENT, point.attributes());
    page.line(format_args!("StartTimestamp: {}", moment(point.start_time())));
    page.line(format_args!("Timestamp: {}", moment(point.time())));
    if point.has_no_recorded_value() {
        page.line(format_args!("Flags: NoRecordedValue"));
    }
    match point {
        DataPoint::Number(point) => {
            page.line(format_args!("Value: {}", number(point.value())));
            exemplars(page, point.exemplars());
        }
        DataPoint::Histogram(point) => histogram(page, point),
        DataPoint::ExponentialHistogram(point) => exponential(page, point),
        DataPoint::Summary(point) => summary(page, point),
    }
}

fn totals(page: &mut Page, count: u64, totals: [Option<f64>; 3]) {
    page.line(format_args!("Count: {count}"));
    for (name, total) in ["Sum", "Min", "Max"].iter().zip(totals) {
        if let Some(total) = total {
            page.line(format_args!("{name}: {total:.6}"));
        }
    }
}

fn histogram(page: &mut Page, point: &HistogramPoint<'_>) {
    totals(page, point.count(), [point.sum(), point.min(), point.max()]);
    for (index, bound) in point.explicit_bounds().enumerate() {
        page.line(format_args!("ExplicitBounds #{index}: {bound:.6}"));
    }
    for (index, count) in point.bucket_counts().enumerate() {
        page.line(format_args!("Buckets #{index}, Count: {count}"));
    }
    exemplars(page, point.exemplars());
}

fn exponential(page: &mut Page, point: &ExponentialHistogramPoint<'_>) {
    totals(page, point.count(), [point.sum(), point.min(), point.max()]);
    let base = (-f64::from(point.scale())).exp2().exp2();
    if let Some(buckets) = point.negative() {
        let mut lines: Vec<_> = rising(&buckets, base)
            .map(|(low, high, count)| format!("Bucket [{:.6}, {:.6}), Count: {count}", -high, -low))
            .collect();
        lines.reverse();
        for line in lines {
            page.line(format_args!("{line}"));
        }
    }
    if point.zero_count() > 0 {
        page.line(format_args!("Bucket [0, 0], Count: {}", point.zero_count()));
    }
    if let Some(buckets) = point.positive() {
        for (low, high, count) in rising(&buckets, base) {
            page.line(format_args!("Bucket ({low:.6}, {high:.6}], Count: {count}"));
        }
    }
    exemplars(page, point.exemplars());
}

/// Lower bound, upper bound and count of buckets, by the base of their widths.
fn rising<'a>(buckets: &Buckets<'a>, base: f64) -> impl Iterator<Item = (f64, f64, u64)> + use<'a> {
    let offset = f64::from(buckets.offset());
    let counts = buckets.bucket_counts().zip(0_u32..);
    counts.filter(|(count, _)| *count > 0).map(move |(count, position)| {
        let index = offset + f64::from(position);
        (base.powf(index), base.powf(index + 1.0), count)
    })
}

fn summary(page: &mut Page, point: &SummaryPoint<'_>) {
    totals(page, point.count(), [Some(point.sum()), None, None]);
    for (index, value) in point.quantile_values().enumerate() {
        page.line(format_args!(
            "QuantileValue #{index}: Quantile {:.6}, Value {:.6}",
            value.quantile(),
            value.value()
        ));
    }
}

fn exemplars<'a>(page: &mut Page, exemplars: impl Iterator<Item = Exemplar<'a>>) {
    for (index, exemplar) in exemplars.enumerate() {
        if index == 0 {
            page.line(format_args!("Exemplars:"));
        }
        page.line(format_args!("Exemplar #{index}"));
        if let Some(id) = exemplar.trace_id() {
            page.line(format_args!("{INDENT}-> Trace ID: {id}"));
        }
        if let Some(id) = exemplar.span_id() {
            page.line(format_args!("{INDENT}-> Span ID: {id}"));
        }
        page.line(format_args!("{INDENT}-> Timestamp: {}", moment(exemplar.time())));
        page.line(format_args!("{INDENT}-> Value: {}", number(exemplar.value())));
        let attributes = exemplar.filtered_attributes();
        page.attributes("     -> FilteredAttributes:", "          ", attributes);
    }
}
