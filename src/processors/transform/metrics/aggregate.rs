//! Editors that join points.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{self as common, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint,
};
use prost::Message as _;

use super::{Done, metric, put};
use crate::ottl::{EditArgs, EvalError, Function, Kind, Scene, Value, maker, needed, optional};

const HOW: Kind = Kind::Word(&["sum", "max", "min", "mean", "median", "count"]);

pub(super) const FUNCTIONS: &[Function] = &[
    maker(
        "aggregate_on_attributes",
        &[needed("function", HOW), optional("attributes", Kind::List)],
        aggregate_on_attributes,
    ),
    maker(
        "aggregate_on_attribute_value",
        &[
            needed("function", HOW),
            needed("attribute", Kind::Str),
            needed("values", Kind::List),
            needed("newValue", Kind::Str),
        ],
        aggregate_on_attribute_value,
    ),
];

const DELTA: i32 = 1;

fn aggregate_on_attributes(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let kept = if args.is_given(1) { Some(texts(args, 1, scene)?) } else { None };
    aggregate(args, scene, |attributes| {
        if let Some(kept) = &kept {
            attributes.retain(|pair| kept.contains(&pair.key));
        }
    })
}

fn aggregate_on_attribute_value(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let attribute = super::text_or(args, 1, scene, "")?;
    let values = texts(args, 2, scene)?;
    let new = super::text_or(args, 3, scene, "")?;
    aggregate(args, scene, |attributes| {
        for pair in attributes.iter_mut().filter(|pair| pair.key == attribute) {
            let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
            if matches!(value, Some(AnyValue::StringValue(text)) if values.contains(text)) {
                let value = Some(AnyValue::StringValue(new.clone()));
                pair.value = Some(common::AnyValue { value });
            }
        }
    })
}

fn texts(args: EditArgs<'_>, index: usize, scene: &Scene<'_>) -> Result<Vec<String>, EvalError> {
    let Value::List(list) = args.value(index, scene)? else { return Ok(Vec::new()) };
    let text = |value: Value<'_>| match value {
        Value::Str(text) => Ok(text.into_owned()),
        other => Err(EvalError::expected("a string", &other)),
    };
    list.into_values().into_iter().map(text).collect()
}

/// Edits the attributes of each point, and joins those that are of one series and time then:
/// histograms are added up whatever the function is, as in the Collector.
fn aggregate(args: EditArgs<'_>, scene: &mut Scene<'_>, edit: impl Fn(&mut Vec<KeyValue>)) -> Done {
    let how = super::text_or(args, 0, scene, "sum")?;
    let mut aggregated = metric(scene)?;
    match &mut aggregated.data {
        Some(Data::Gauge(gauge)) => numbers(&mut gauge.data_points, false, &how, &edit),
        Some(Data::Sum(sum)) => {
            let by_start = sum.aggregation_temporality == DELTA;
            numbers(&mut sum.data_points, by_start, &how, &edit);
        }
        Some(Data::Histogram(histogram)) => {
            let by_start = histogram.aggregation_temporality == DELTA;
            histograms(&mut histogram.data_points, by_start, &edit);
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let by_start = histogram.aggregation_temporality == DELTA;
            exponential_histograms(&mut histogram.data_points, by_start, &edit);
        }
        _ => return Err(EvalError::new("summaries cannot be aggregated")),
    }
    put(scene, &aggregated);
    Ok(())
}

/// What tells series apart: attributes in the order of their names, and times.
fn key(attributes: &[KeyValue], times: [u64; 2]) -> Vec<u8> {
    let mut sorted: Vec<&KeyValue> = attributes.iter().collect();
    sorted.sort_by(|left, right| left.key.cmp(&right.key));
    let mut key: Vec<u8> = times.iter().flat_map(|time| time.to_le_bytes()).collect();
    for pair in sorted {
        key.extend(pair.encode_length_delimited_to_vec());
    }
    key
}

/// The indices of points by group, in the order in which groups come first.
fn grouped(keys: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<usize>> {
    let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, key) in keys.enumerate() {
        let group = *index.entry(key).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        if let Some(group) = groups.get_mut(group) {
            group.push(at);
        }
    }
    groups
}

fn numbers(
    points: &mut Vec<NumberDataPoint>,
    by_start: bool,
    how: &str,
    edit: &impl Fn(&mut Vec<KeyValue>),
) {
    points.iter_mut().for_each(|point| edit(&mut point.attributes));
    let keys = points.iter().map(|point| {
        let start = if by_start { point.start_time_unix_nano } else { 0 };
        key(&point.attributes, [point.time_unix_nano, start])
    });
    let groups = grouped(keys);
    let joined = groups.into_iter().filter_map(|group| {
        let members: Vec<&NumberDataPoint> =
            group.iter().filter_map(|at| points.get(*at)).collect();
        let mut first = (*members.first()?).clone();
        let starts = members.iter().map(|point| point.start_time_unix_nano);
        first.start_time_unix_nano = starts.min().unwrap_or_default();
        first.value = value(how, &members);
        first.exemplars = members.iter().flat_map(|point| point.exemplars.clone()).collect();
        Some(first)
    });
    *points = joined.collect();
}

/// The value of points together; whole numbers if all of them are.
#[expect(clippy::cast_precision_loss, reason = "what a double can hold of it")]
fn value(how: &str, points: &[&NumberDataPoint]) -> Option<Number> {
    if how == "count" {
        return i64::try_from(points.len()).ok().map(Number::AsInt);
    }
    let whole: Option<Vec<i64>> = points
        .iter()
        .map(|point| match point.value {
            Some(Number::AsInt(number)) => Some(number),
            _ => None,
        })
        .collect();
    if let Some(mut numbers) = whole {
        numbers.sort_unstable();
        let length = i64::try_from(numbers.len()).ok()?;
        let sum = numbers.iter().fold(0_i64, |sum, number| sum.wrapping_add(*number));
        return Some(Number::AsInt(match how {
            "max" => *numbers.last()?,
            "min" => *numbers.first()?,
            "mean" => sum.wrapping_div(length),
            "median" => {
                let [low, high] = middle(&numbers)?;
                low.wrapping_add(high).wrapping_div(2)
            }
            _ => sum,
        }));
    }
    let mut numbers: Vec<f64> = points
        .iter()
        .map(|point| match point.value {
            Some(Number::AsDouble(number)) => number,
            Some(Number::AsInt(number)) => number as f64,
            None => 0.0,
        })
        .collect();
    numbers.sort_by(f64::total_cmp);
    let sum: f64 = numbers.iter().sum();
    Some(Number::AsDouble(match how {
        "max" => *numbers.last()?,
        "min" => *numbers.first()?,
        "mean" => sum / numbers.len() as f64,
        "median" => {
            let [low, high] = middle(&numbers)?;
            f64::midpoint(low, high)
        }
        _ => sum,
    }))
}

/// The two values in the middle of sorted ones; the same twice if there is one.
fn middle<T: Copy>(sorted: &[T]) -> Option<[T; 2]> {
    let high = *sorted.get(sorted.len() / 2)?;
    let low = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some([low, high])
}

fn histograms(
    points: &mut Vec<HistogramDataPoint>,
    by_start: bool,
    edit: &impl Fn(&mut Vec<KeyValue>),
) {
    points.iter_mut().for_each(|point| edit(&mut point.attributes));
    let keys = points.iter().map(|point| {
        let start = if by_start { point.start_time_unix_nano } else { 0 };
        let mut key = key(&point.attributes, [point.time_unix_nano, start]);
        key.extend(point.explicit_bounds.iter().flat_map(|bound| bound.to_le_bytes()));
        key
    });
    let groups = grouped(keys);
    let joined = groups.into_iter().filter_map(|group| {
        let mut members = group.iter().filter_map(|at| points.get(*at));
        let mut sum = members.next()?.clone();
        members.for_each(|point| add(&mut sum, point));
        Some(sum)
    });
    *points = joined.collect();
}

fn add(sum: &mut HistogramDataPoint, point: &HistogramDataPoint) {
    sum.start_time_unix_nano = sum.start_time_unix_nano.min(point.start_time_unix_nano);
    sum.count += point.count;
    sum.sum = sum.sum.zip(point.sum).map(|(left, right)| left + right);
    sum.min = sum.min.zip(point.min).map(|(left, right)| left.min(right));
    sum.max = sum.max.zip(point.max).map(|(left, right)| left.max(right));
    for (count, more) in sum.bucket_counts.iter_mut().zip(&point.bucket_counts) {
        *count += more;
    }
    sum.exemplars.extend(point.exemplars.iter().cloned());
}

/// Joins points of one scale; others stay apart, as in the Collector.
fn exponential_histograms(
    points: &mut Vec<ExponentialHistogramDataPoint>,
    by_start: bool,
    edit: &impl Fn(&mut Vec<KeyValue>),
) {
    points.iter_mut().for_each(|point| edit(&mut point.attributes));
    let keys = points.iter().map(|point| {
        let start = if by_start { point.start_time_unix_nano } else { 0 };
        let mut key = key(&point.attributes, [point.time_unix_nano, start]);
        key.extend(point.scale.to_le_bytes());
        key.extend(point.flags.to_le_bytes());
        key.extend([u8::from(point.min.is_some()), u8::from(point.max.is_some())]);
        key
    });
    let groups = grouped(keys);
    let joined = groups.into_iter().filter_map(|group| {
        let mut members = group.iter().filter_map(|at| points.get(*at));
        let mut sum = members.next()?.clone();
        // What counted nothing adds nothing, not its times either.
        members.filter(|point| point.count > 0).for_each(|point| add_exponential(&mut sum, point));
        Some(sum)
    });
    *points = joined.collect();
}

fn add_exponential(sum: &mut ExponentialHistogramDataPoint, point: &ExponentialHistogramDataPoint) {
    sum.start_time_unix_nano = sum.start_time_unix_nano.min(point.start_time_unix_nano);
    sum.count += point.count;
    sum.sum = Some(sum.sum.unwrap_or_default() + point.sum.unwrap_or_default());
    sum.zero_count += point.zero_count;
    sum.min = sum.min.zip(point.min).map(|(left, right)| left.min(right));
    sum.max = sum.max.zip(point.max).map(|(left, right)| left.max(right));
    add_buckets(&mut sum.positive, point.positive.as_ref());
    add_buckets(&mut sum.negative, point.negative.as_ref());
    sum.exemplars.extend(point.exemplars.iter().cloned());
}

/// How many buckets there may be on one side of 0 after adding: points that are further apart are of
/// nobody who measures.
const MAX_BUCKETS: usize = 1 << 16;

fn add_buckets(sum: &mut Option<Buckets>, more: Option<&Buckets>) {
    let Some(more) = more.filter(|more| !more.bucket_counts.is_empty()) else { return };
    let sum = sum.get_or_insert_default();
    if sum.bucket_counts.is_empty() {
        *sum = more.clone();
        return;
    }
    let low = sum.offset.min(more.offset);
    let distance = |offset: i32| usize::try_from(offset.abs_diff(low)).unwrap_or(usize::MAX);
    let (own, others) = (distance(sum.offset), distance(more.offset));
    if own.max(others) > MAX_BUCKETS {
        return;
    }
    sum.bucket_counts.splice(0..0, std::iter::repeat_n(0, own));
    sum.offset = low;
    let end = others + more.bucket_counts.len();
    sum.bucket_counts.resize(end.max(sum.bucket_counts.len()), 0);
    for (count, more) in sum.bucket_counts.iter_mut().skip(others).zip(&more.bucket_counts) {
        *count += more;
    }
}
