//! Editors of whole metrics.
//!
//! They decode the metric, for they change all of its points.

mod aggregate;
mod convert;
mod extract;
mod histogram;
mod percentile;

use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;

use crate::ottl::{Context, EditArgs, EvalError, Functions, Scene, Value};

/// What statements about metrics can call.
pub(super) const FUNCTIONS: Functions = Functions::with(&[
    aggregate::FUNCTIONS,
    convert::FUNCTIONS,
    extract::FUNCTIONS,
    histogram::FUNCTIONS,
    percentile::FUNCTIONS,
]);

/// How many metrics may be made of one.
const MAX_MADE: usize = 1_000;

type Done = Result<(), EvalError>;

/// The metric of a scene, decoded.
fn metric(scene: &Scene<'_>) -> Result<Metric, EvalError> {
    Metric::decode(scene.slot(Context::Metric).bytes())
        .map_err(|_| EvalError::new("the metric cannot be decoded"))
}

/// Changes the data of the metric; nothing is written if `edit` returns none.
fn edit_data(scene: &mut Scene<'_>, edit: impl FnOnce(Data) -> Option<Data>) -> Done {
    let mut metric = metric(scene)?;
    let Some(data) = metric.data.take().and_then(edit) else { return Ok(()) };
    metric.data = Some(data);
    put(scene, &metric);
    Ok(())
}

/// Puts a metric in the place of that of the scene.
fn put(scene: &mut Scene<'_>, metric: &Metric) {
    scene.replace_metric(&metric.encode_to_vec());
}

/// Adds a metric to those of the scene.
fn make(scene: &mut Scene<'_>, metric: &Metric) -> Done {
    if scene.made.len() >= MAX_MADE {
        return Err(EvalError::new(format!("more than {MAX_MADE} metrics are made of one")));
    }
    scene.made.push(metric.encode_to_vec());
    Ok(())
}

/// The temporality that an argument names.
fn temporality(args: EditArgs<'_>, index: usize, scene: &Scene<'_>) -> Result<i32, EvalError> {
    match args.text(index, scene)?.as_deref() {
        Some("delta") => Ok(1),
        Some("cumulative") => Ok(2),
        _ => Err(EvalError::new("the temporality is `delta` or `cumulative`")),
    }
}

/// The truth value of an argument.
fn flag(args: EditArgs<'_>, index: usize, scene: &Scene<'_>) -> Result<bool, EvalError> {
    Ok(matches!(args.value(index, scene)?, Value::Bool(true)))
}

/// The text of an argument, or what counts without it.
fn text_or(
    args: EditArgs<'_>,
    index: usize,
    scene: &Scene<'_>,
    default: &str,
) -> Result<String, EvalError> {
    Ok(args.text(index, scene)?.map_or_else(|| default.to_owned(), std::borrow::Cow::into_owned))
}
