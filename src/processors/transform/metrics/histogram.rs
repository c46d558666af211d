//! Editors of histograms' buckets.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, Histogram, HistogramDataPoint,
};

use super::{Done, edit_data};
use crate::ottl::{EditArgs, EvalError, Function, Kind, Scene, Value, editor, needed, optional};

pub(super) const FUNCTIONS: &[Function] = &[
    editor(
        "merge_histogram_buckets",
        &[
            needed("target_value", Kind::Double),
            optional("method", Kind::Word(&["remove_explicit_bound", "limit_buckets"])),
        ],
        merge_histogram_buckets,
    ),
    editor(
        "convert_exponential_histogram_to_histogram",
        &[
            needed("distribution", Kind::Word(&["upper", "midpoint", "uniform"])),
            needed("explicit_bounds", Kind::List),
        ],
        convert_exponential_histogram_to_histogram,
    ),
];

/// How near a bound is to the one that is meant.
const EPSILON: f64 = 1e-12;

fn merge_histogram_buckets(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let Value::Double(target) = args.value(0, scene)? else { return Ok(()) };
    let is_limit = args.text(1, scene)?.as_deref() == Some("limit_buckets");
    let limit = if is_limit { Some(whole(target)?) } else { None };
    edit_data(scene, |data| match data {
        Data::Histogram(mut histogram) => {
            for point in &mut histogram.data_points {
                let is_valid = !point.bucket_counts.is_empty()
                    && point.bucket_counts.len() == point.explicit_bounds.len() + 1;
                match limit {
                    _ if !is_valid => {}
                    Some(limit) => limit_buckets(point, limit),
                    None => remove_bound(point, target),
                }
            }
            Some(Data::Histogram(histogram))
        }
        _ => None,
    })
}

/// A number of buckets.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole, above 0 and small"
)]
fn whole(number: f64) -> Result<usize, EvalError> {
    if number.fract() == 0.0 && (1.0..=1e9).contains(&number) {
        return Ok(number as usize);
    }
    Err(EvalError::new("the number of buckets is a whole number above 0"))
}

fn remove_bound(point: &mut HistogramDataPoint, target: f64) {
    let found = point.explicit_bounds.iter().position(|bound| (bound - target).abs() < EPSILON);
    let Some(index) = found else { return };
    point.explicit_bounds.remove(index);
    let merged = point.bucket_counts.remove(index);
    if let Some(next) = point.bucket_counts.get_mut(index) {
        *next += merged;
    }
}

/// Joins neighbours in groups of one size, the least that leaves few enough.
fn limit_buckets(point: &mut HistogramDataPoint, limit: usize) {
    let num_buckets = point.bucket_counts.len();
    if num_buckets <= limit || !point.explicit_bounds.is_sorted() {
        return;
    }
    let size = num_buckets.div_ceil(limit);
    let counts = point.bucket_counts.chunks(size).map(|group| group.iter().sum());
    point.bucket_counts = counts.collect();
    // A bound stays where a group ends, but for the last group, which has none.
    let bounds = point.explicit_bounds.iter().skip(size - 1).step_by(size);
    point.explicit_bounds = bounds.take(point.bucket_counts.len() - 1).copied().collect();
}

/// Into which bound's bucket the values of an exponential bucket go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Distribution {
    Upper,
    Midpoint,
    Uniform,
}

fn convert_exponential_histogram_to_histogram(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let distribution = match args.text(0, scene)?.as_deref() {
        Some("upper") => Distribution::Upper,
        Some("midpoint") => Distribution::Midpoint,
        _ => Distribution::Uniform,
    };
    let Value::List(list) = args.value(1, scene)? else { return Ok(()) };
    let bound = |value: Value<'_>| match value {
        Value::Double(number) => Ok(number),
        other => Err(EvalError::expected("a number", &other)),
    };
    let bounds: Vec<f64> = list.into_values().into_iter().map(bound).collect::<Result<_, _>>()?;
    if bounds.is_empty() {
        return Err(EvalError::new("at least one bound is needed"));
    }
    edit_data(scene, |data| match data {
        Data::ExponentialHistogram(histogram) => {
            let points = histogram.data_points.into_iter();
            let points = points.map(|point| explicit(point, &bounds, distribution));
            Some(Data::Histogram(Histogram {
                data_points: points.collect(),
                aggregation_temporality: histogram.aggregation_temporality,
            }))
        }
        _ => None,
    })
}

fn explicit(
    point: ExponentialHistogramDataPoint,
    bounds: &[f64],
    distribution: Distribution,
) -> HistogramDataPoint {
    let mut counts = vec![0; bounds.len()];
    if bounds.first() == Some(&0.0)
        && let Some(first) = counts.first_mut()
    {
        *first += point.zero_count;
    }
    let factor = f64::from(-point.scale).exp2() * std::f64::consts::LN_2;
    let buckets = point.positive.unwrap_or_default();
    for (index, count) in (buckets.offset..).zip(&buckets.bucket_counts) {
        let lower = (f64::from(index) * factor).exp();
        let upper = (f64::from(index.saturating_add(1)) * factor).exp();
        if *count > 0 {
            distribute(distribution, (lower, upper, *count), bounds, &mut counts);
        }
    }
    // What is above the last bound was counted there; above it nothing is left.
    counts.push(0);
    HistogramDataPoint {
        attributes: point.attributes,
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        bucket_counts: counts,
        explicit_bounds: bounds.to_vec(),
        exemplars: point.exemplars,
        flags: point.flags,
        min: point.min,
        max: point.max,
    }
}

/// Counts the values of one bucket.
fn distribute(
    distribution: Distribution,
    (lower, upper, count): (f64, f64, u64),
    bounds: &[f64],
    counts: &mut [u64],
) {
    let last = bounds.len() - 1;
    let value = match distribution {
        Distribution::Upper => upper,
        Distribution::Midpoint => f64::midpoint(lower, upper),
        Distribution::Uniform => {
            let met: Vec<usize> = (0..bounds.len())
                .filter(|at| bounds.get(*at).is_some_and(|bound| (lower..=upper).contains(bound)))
                .collect();
            if !met.is_empty() {
                let (each, left) = (count / met.len() as u64, count % met.len() as u64);
                for (turn, at) in (0..).zip(met) {
                    if let Some(counted) = counts.get_mut(at) {
                        *counted += each + u64::from(turn < left);
                    }
                }
                return;
            }
            lower
        }
    };
    let at = bounds.iter().position(|bound| value <= *bound).unwrap_or(last);
    if let Some(counted) = counts.get_mut(at) {
        *counted += count;
    }
}
