//! Converters of conditions on metrics.

use crate::data::Metric;
use crate::ottl::{Args, Context, EvalError, Function, Functions, Kind, Value, impure, needed};

/// What conditions on metrics can call.
pub(super) const METRICS: Functions = Functions::with(&[&[
    impure("HasAttrKeyOnDatapoint", &[needed("key", Kind::Str)], has_key),
    impure(
        "HasAttrOnDatapoint",
        &[needed("key", Kind::Str), needed("expectedVal", Kind::Str)],
        has_value,
    ),
] as &[Function]]);

fn has_key(mut args: Args<'_>) -> Result<Value<'_>, EvalError> {
    let key = args.str(0);
    let metric = Metric::of_encoded(args.scene().slot(Context::Metric).bytes());
    Ok(Value::Bool(metric.points().any(|point| point.attributes().contains(&key))))
}

fn has_value(mut args: Args<'_>) -> Result<Value<'_>, EvalError> {
    let (key, expected) = (args.str(0), args.str(1));
    let metric = Metric::of_encoded(args.scene().slot(Context::Metric).bytes());
    let has = metric.points().any(|point| {
        point.attributes().get(&key).and_then(|value| value.as_str()) == Some(&*expected)
    });
    Ok(Value::Bool(has))
}
