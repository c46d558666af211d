//! Editors that change the kind of a metric, copy it or scale it.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, HistogramDataPoint, NumberDataPoint, Sum, SummaryDataPoint, exemplar,
};

use super::{Done, edit_data, flag, make, metric, put, temporality};
use crate::ottl::{EditArgs, Function, Kind, Scene, Value, editor, maker, needed, optional};

pub(super) const FUNCTIONS: &[Function] = &[
    editor("convert_sum_to_gauge", &[], convert_sum_to_gauge),
    editor(
        "convert_gauge_to_sum",
        &[
            needed("aggregation_temporality", Kind::Word(&["cumulative", "delta"])),
            needed("is_monotonic", Kind::Bool),
        ],
        convert_gauge_to_sum,
    ),
    maker(
        "copy_metric",
        &[
            optional("name", Kind::Str),
            optional("description", Kind::Str),
            optional("unit", Kind::Str),
        ],
        copy_metric,
    ),
    editor(
        "scale_metric",
        &[needed("factor", Kind::Double), optional("unit", Kind::Str)],
        scale_metric,
    ),
];

fn convert_sum_to_gauge(_: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    edit_data(scene, |data| match data {
        Data::Sum(sum) => Some(Data::Gauge(Gauge { data_points: sum.data_points })),
        _ => None,
    })
}

fn convert_gauge_to_sum(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let aggregation_temporality = temporality(args, 0, scene)?;
    let is_monotonic = flag(args, 1, scene)?;
    edit_data(scene, |data| match data {
        Data::Gauge(gauge) => {
            let data_points = gauge.data_points;
            Some(Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }))
        }
        _ => None,
    })
}

fn copy_metric(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let mut copy = metric(scene)?;
    let fields = [&mut copy.name, &mut copy.description, &mut copy.unit];
    for (index, field) in fields.into_iter().enumerate() {
        if let Some(text) = args.text(index, scene)? {
            *field = text.into_owned();
        }
    }
    make(scene, &copy)
}

fn scale_metric(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Done {
    let Value::Double(factor) = args.value(0, scene)? else { return Ok(()) };
    let mut scaled = metric(scene)?;
    if let Some(unit) = args.text(1, scene)? {
        scaled.unit = unit.into_owned();
    }
    match &mut scaled.data {
        Some(Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. })) => {
            data_points.iter_mut().for_each(|point| scale_number(point, factor));
        }
        Some(Data::Histogram(histogram)) => {
            histogram.data_points.iter_mut().for_each(|point| scale_histogram(point, factor));
        }
        Some(Data::Summary(summary)) => {
            summary.data_points.iter_mut().for_each(|point| scale_summary(point, factor));
        }
        Some(Data::ExponentialHistogram(_)) | None => {
            return Err(crate::ottl::EvalError::new(
                "only gauges, sums, histograms and summaries can be scaled",
            ));
        }
    }
    put(scene, &scaled);
    Ok(())
}

/// Whole numbers stay whole, cut towards 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "as the Collector scales whole numbers"
)]
fn scale_number(point: &mut NumberDataPoint, factor: f64) {
    match &mut point.value {
        Some(Number::AsDouble(number)) => *number *= factor,
        Some(Number::AsInt(number)) => *number = (*number as f64 * factor) as i64,
        None => {}
    }
}

fn scale_histogram(point: &mut HistogramDataPoint, factor: f64) {
    for number in [&mut point.sum, &mut point.min, &mut point.max].into_iter().flatten() {
        *number *= factor;
    }
    point.explicit_bounds.iter_mut().for_each(|bound| *bound *= factor);
    point.exemplars.iter_mut().for_each(|exemplar| scale_exemplar(exemplar, factor));
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "as the Collector scales whole numbers"
)]
fn scale_exemplar(exemplar: &mut Exemplar, factor: f64) {
    match &mut exemplar.value {
        Some(exemplar::Value::AsDouble(number)) => *number *= factor,
        Some(exemplar::Value::AsInt(number)) => *number = (*number as f64 * factor) as i64,
        None => {}
    }
}

fn scale_summary(point: &mut SummaryDataPoint, factor: f64) {
    point.sum *= factor;
    point.quantile_values.iter_mut().for_each(|quantile| quantile.value *= factor);
}
