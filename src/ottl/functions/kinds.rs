//! Converters that tell what a value is.

use super::{Answer, Args, Function, Kind, impure, needed, pure, regex};
use crate::data::Span;
use crate::ottl::context::Context;
use crate::ottl::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    pure("IsBool", &[needed("value", Kind::Any)], is_bool),
    pure("IsDouble", &[needed("value", Kind::Any)], is_double),
    pure("IsEmpty", &[needed("value", Kind::Any)], is_empty),
    pure("IsInt", &[needed("value", Kind::Any)], is_int),
    pure("IsList", &[needed("value", Kind::Any)], is_list),
    pure("IsMap", &[needed("value", Kind::Any)], is_map),
    pure("IsString", &[needed("value", Kind::Any)], is_string),
    pure(
        "IsMatch",
        &[needed("target", Kind::StrLike), needed("pattern", Kind::Prepared(regex))],
        is_match,
    ),
    impure("IsRootSpan", &[], is_root_span),
];

fn is_bool(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Bool(matches!(args.take(0), Value::Bool(_))))
}

fn is_double(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Bool(matches!(args.take(0), Value::Double(_))))
}

fn is_int(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Bool(matches!(args.take(0), Value::Int(_))))
}

fn is_list(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Bool(matches!(args.take(0), Value::List(_))))
}

fn is_map(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Bool(matches!(args.take(0), Value::Map(_))))
}

fn is_string(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Bool(matches!(args.take(0), Value::Str(_))))
}

fn is_empty(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Bool(match args.take(0) {
        Value::Nil => true,
        Value::Str(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Messages(messages) => messages.is_empty(),
        Value::TraceId(id) => id.is_zero(),
        Value::SpanId(id) => id.is_zero(),
        Value::Bool(flag) => !flag,
        Value::Int(number) | Value::Duration(number) => number == 0,
        Value::Double(number) => number == 0.0,
        Value::Time(_) => false,
    }))
}

fn is_match(mut args: Args<'_>) -> Answer<'_> {
    let Some(text) = args.text(0) else { return Ok(Value::Bool(false)) };
    Ok(Value::Bool(args.prepared::<regex::Regex>(1)?.is_match(&text)))
}

#[expect(clippy::needless_pass_by_value, reason = "the form of a converter")]
fn is_root_span(args: Args<'_>) -> Answer<'_> {
    let span = Span::of_encoded(args.scene().slot(Context::Span).bytes());
    Ok(Value::Bool(span.parent_span_id().is_none_or(|id| id.is_zero())))
}
