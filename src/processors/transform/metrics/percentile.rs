//! An editor that makes a gauge of a percentile of histograms.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, Gauge, HistogramDataPoint, Metric, NumberDataPoint,
};

use super::{Done, make, metric, text_or};
use crate::ottl::{EditArgs, EvalError, Function, Kind, Scene, Value, maker, needed, optional};

pub(super) const FUNCTIONS: &[Function] = &[maker(
    "extract_percentile_metric",
    &[needed("percentile", Kind::Double), optional("suffix", Kind::Str)],
    extract_percentile_metric,
)];

fn extract_percentile_metric(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let percentile = match args.value(0, scene)? {
        Value::Double(percentile) if percentile > 0.0 && percentile < 100.0 => percentile,
        _ => return Err(EvalError::new("a percentile is above 0 and below 100")),
    };
    let suffix = text_or(args, 1, scene, &format!("_p{percentile}"))?;
    let original = metric(scene)?;
    let data_points: Vec<NumberDataPoint> = match original.data {
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.into_iter();
            points.filter_map(|point| of_histogram(point, percentile / 100.0)).collect()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let points = histogram.data_points.into_iter();
            points.filter_map(|point| of_exponential(point, percentile / 100.0)).collect()
        }
        _ => return Err(EvalError::new("only histograms have percentiles")),
    };
    if data_points.is_empty() {
        return Ok(());
    }
    let made = Metric {
        name: format!("{}{suffix}", original.name),
        description: original.description,
        unit: original.unit,
        data: Some(Data::Gauge(Gauge { data_points })),
        ..Metric::default()
    };
    make(scene, &made)
}

/// The bucket that holds a share of all values, and how much of the bucket lies below it.
#[expect(clippy::cast_precision_loss, reason = "what a double can hold of it")]
fn bucket_at(counts: &[u64], share: f64) -> Option<(usize, f64)> {
    let total: u64 = counts.iter().sum();
    let rank = share * total as f64;
    let mut below = 0_u64;
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        if (below + count) as f64 >= rank {
            return Some((index, (rank - below as f64) / *count as f64));
        }
        below += count;
    }
    None
}

/// Between the bounds of the bucket, as if its values were spread evenly.
fn of_histogram(point: HistogramDataPoint, share: f64) -> Option<NumberDataPoint> {
    let (index, part) = bucket_at(&point.bucket_counts, share)?;
    let bounds = &point.explicit_bounds;
    let upper = bounds.get(index).copied().or(point.max);
    let lower = match index.checked_sub(1) {
        Some(before) => bounds.get(before).copied(),
        None => point.min.or_else(|| upper.filter(|upper| *upper >= 0.0).map(|_| 0.0)),
    };
    let value = match (lower, upper) {
        (Some(lower), Some(upper)) => lower + part * (upper - lower),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => return None,
    };
    Some(NumberDataPoint {
        attributes: point.attributes,
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    })
}

/// Between the bounds of the bucket, on the scale of logarithms.
fn of_exponential(point: ExponentialHistogramDataPoint, share: f64) -> Option<NumberDataPoint> {
    let negative = point.negative.unwrap_or_default();
    let positive = point.positive.unwrap_or_default();
    let num_negative = negative.bucket_counts.len();
    // From the least values up: what is far below 0, what is near 0, what is above.
    let mut counts: Vec<u64> = negative.bucket_counts.iter().rev().copied().collect();
    counts.push(point.zero_count);
    counts.extend(&positive.bucket_counts);
    let (index, part) = bucket_at(&counts, share)?;
    let width = f64::from(-point.scale).exp2();
    let size = |offset: i32, index: usize, part: f64| {
        let index = f64::from(offset) + f64::from(u32::try_from(index).unwrap_or(u32::MAX));
        ((index + part) * width).exp2()
    };
    let value = if index < num_negative {
        -size(negative.offset, num_negative - 1 - index, 1.0 - part)
    } else if index == num_negative {
        0.0
    } else {
        size(positive.offset, index - num_negative - 1, part)
    };
    Some(NumberDataPoint {
        attributes: point.attributes,
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

    use super::*;

    fn value(point: Option<NumberDataPoint>) -> f64 {
        match point.and_then(|point| point.value) {
            Some(Number::AsDouble(value)) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn percentiles_lie_between_the_bounds_of_their_bucket() {
        let point = |min, max| HistogramDataPoint {
            bucket_counts: vec![10, 10, 20, 10],
            explicit_bounds: vec![1.0, 2.0, 4.0],
            min,
            max,
            ..HistogramDataPoint::default()
        };
        for (share, min, max, expected) in [
            (0.5, None, None, 2.5),
            (0.1, None, None, 0.5),
            (0.1, Some(0.5), None, 0.75),
            (0.9, None, None, 4.0),
            (0.9, None, Some(6.0), 5.0),
        ] {
            let found = value(of_histogram(point(min, max), share));
            assert!((found - expected).abs() < 1e-9, "{share}: {found}");
        }
        assert_eq!(of_histogram(HistogramDataPoint::default(), 0.5), None);
    }

    #[test]
    fn percentiles_of_exponential_histograms_are_interpolated_by_logarithm() {
        let buckets = |offset| Some(Buckets { offset, bucket_counts: vec![4, 4] });
        let point = || ExponentialHistogramDataPoint {
            scale: 0,
            zero_count: 4,
            positive: buckets(1),
            negative: buckets(1),
            ..ExponentialHistogramDataPoint::default()
        };
        // Each of the five buckets holds a fifth; 32 to the power of a half lies between 4 and 8.
        let between = 32.0_f64.sqrt();
        for (share, expected) in
            [(0.1, -between), (0.2, -4.0), (0.5, 0.0), (0.8, 4.0), (0.9, between)]
        {
            let found = value(of_exponential(point(), share));
            assert!((found - expected).abs() < 1e-9, "{share}: {found}");
        }
    }
}
