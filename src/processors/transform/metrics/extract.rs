//! Editors that make metrics of parts of histograms and summaries.

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{self as common, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, Sum};

use super::{Done, flag, make, metric, temporality, text_or};
use crate::ottl::{EditArgs, EvalError, Function, Kind, Scene, maker, needed, optional};

const TEMPORALITY: Kind = Kind::Word(&["cumulative", "delta"]);

pub(super) const FUNCTIONS: &[Function] = &[
    maker(
        "extract_count_metric",
        &[needed("is_monotonic", Kind::Bool), optional("suffix", Kind::Str)],
        extract_count_metric,
    ),
    maker(
        "extract_sum_metric",
        &[needed("is_monotonic", Kind::Bool), optional("suffix", Kind::Str)],
        extract_sum_metric,
    ),
    maker(
        "convert_summary_count_val_to_sum",
        &[
            needed("aggregation_temporality", TEMPORALITY),
            needed("is_monotonic", Kind::Bool),
            optional("suffix", Kind::Str),
        ],
        convert_summary_count_val_to_sum,
    ),
    maker(
        "convert_summary_sum_val_to_sum",
        &[
            needed("aggregation_temporality", TEMPORALITY),
            needed("is_monotonic", Kind::Bool),
            optional("suffix", Kind::Str),
        ],
        convert_summary_sum_val_to_sum,
    ),
    maker(
        "convert_summary_quantile_val_to_gauge",
        &[optional("attributeKey", Kind::Str), optional("suffix", Kind::Str)],
        convert_summary_quantile_val_to_gauge,
    ),
];

const CUMULATIVE: i32 = 2;

/// What is taken from a point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Count,
    Sum,
}

/// A point of another one's times and attributes.
macro_rules! number_point {
    ($point:expr, $value:expr) => {
        NumberDataPoint {
            attributes: $point.attributes,
            start_time_unix_nano: $point.start_time_unix_nano,
            time_unix_nano: $point.time_unix_nano,
            value: Some($value),
            ..NumberDataPoint::default()
        }
    };
}

fn count(number: u64) -> Number {
    Number::AsInt(number.cast_signed())
}

impl Part {
    /// The points of this part, and the temporality of the data; none for other kinds.
    fn points(self, data: Data) -> Option<(Vec<NumberDataPoint>, i32)> {
        let value = |number: u64, sum: Option<f64>| match self {
            Self::Count => Some(count(number)),
            Self::Sum => sum.map(Number::AsDouble),
        };
        Some(match data {
            Data::Histogram(histogram) => {
                let points = histogram.data_points.into_iter().filter_map(|point| {
                    let value = value(point.count, point.sum)?;
                    Some(number_point!(point, value))
                });
                (points.collect(), histogram.aggregation_temporality)
            }
            Data::ExponentialHistogram(histogram) => {
                let points = histogram.data_points.into_iter().filter_map(|point| {
                    let value = value(point.count, point.sum)?;
                    Some(number_point!(point, value))
                });
                (points.collect(), histogram.aggregation_temporality)
            }
            Data::Summary(summary) => {
                let points = summary.data_points.into_iter().filter_map(|point| {
                    let value = value(point.count, Some(point.sum))?;
                    Some(number_point!(point, value))
                });
                (points.collect(), CUMULATIVE)
            }
            Data::Gauge(_) | Data::Sum(_) => return None,
        })
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Count => "_count",
            Self::Sum => "_sum",
        }
    }
}

fn extract_count_metric(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    extract(Part::Count, args, scene)
}

fn extract_sum_metric(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    extract(Part::Sum, args, scene)
}

fn extract(part: Part, args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let is_monotonic = flag(args, 0, scene)?;
    let suffix = text_or(args, 1, scene, part.suffix())?;
    let original = metric(scene)?;
    let Some((data_points, aggregation_temporality)) =
        original.data.clone().and_then(|data| part.points(data))
    else {
        let message = "only histograms, exponential histograms and summaries have such a part";
        return Err(EvalError::new(message));
    };
    if data_points.is_empty() {
        return Ok(());
    }
    let sum = Sum { data_points, aggregation_temporality, is_monotonic };
    // The unit of the values is not that of their number.
    let unit = if part == Part::Count { "1".to_owned() } else { original.unit.clone() };
    make(scene, &derived(original, &suffix, unit, Data::Sum(sum)))
}

/// A metric with the name and description of another one.
fn derived(original: Metric, suffix: &str, unit: String, data: Data) -> Metric {
    Metric {
        name: format!("{}{suffix}", original.name),
        description: original.description,
        unit,
        data: Some(data),
        ..Metric::default()
    }
}

fn convert_summary_count_val_to_sum(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    of_summary(Part::Count, args, scene)
}

fn convert_summary_sum_val_to_sum(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    of_summary(Part::Sum, args, scene)
}

fn of_summary(part: Part, args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let aggregation_temporality = temporality(args, 0, scene)?;
    let is_monotonic = flag(args, 1, scene)?;
    let suffix = text_or(args, 2, scene, part.suffix())?;
    let original = metric(scene)?;
    let Some(data @ Data::Summary(_)) = original.data.clone() else { return Ok(()) };
    let Some((data_points, _)) = part.points(data) else { return Ok(()) };
    let sum = Sum { data_points, aggregation_temporality, is_monotonic };
    let unit = if part == Part::Count { String::new() } else { original.unit.clone() };
    make(scene, &derived(original, &suffix, unit, Data::Sum(sum)))
}

fn convert_summary_quantile_val_to_gauge(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let key = text_or(args, 0, scene, "quantile")?;
    let suffix = text_or(args, 1, scene, ".quantiles")?;
    let original = metric(scene)?;
    let Some(Data::Summary(summary)) = original.data.clone() else { return Ok(()) };
    let mut data_points = Vec::new();
    for point in summary.data_points {
        for quantile in &point.quantile_values {
            let mut gauge = number_point!(point.clone(), Number::AsDouble(quantile.value));
            gauge.attributes.retain(|pair| pair.key != key);
            let value = Some(AnyValue::DoubleValue(quantile.quantile));
            let value = Some(common::AnyValue { value });
            gauge.attributes.push(KeyValue { key: key.clone(), value, ..KeyValue::default() });
            data_points.push(gauge);
        }
    }
    let unit = original.unit.clone();
    make(scene, &derived(original, &suffix, unit, Data::Gauge(Gauge { data_points })))
}
