//! Converters between kinds of values.

use std::borrow::Cow;

use super::{Answer, Args, Function, Kind, needed, pure};
use crate::data::{SpanId, TraceId, parse_hex};
use crate::ottl::error::EvalError;
use crate::ottl::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    pure("Bool", &[needed("value", Kind::Any)], bool),
    pure("Double", &[needed("value", Kind::DoubleLike)], same),
    pure("Int", &[needed("value", Kind::IntLike)], same),
    pure("String", &[needed("value", Kind::StrLike)], same),
    pure("TraceID", &[needed("bytes", Kind::Any)], trace_id),
    pure("SpanID", &[needed("bytes", Kind::Any)], span_id),
];

fn same(mut args: Args<'_>) -> Answer<'_> {
    Ok(args.take(0))
}

/// Text as Go's `ParseBool` reads it; other text is nil.
fn bool(mut args: Args<'_>) -> Answer<'_> {
    Ok(match args.take(0) {
        Value::Bool(flag) => Value::Bool(flag),
        Value::Int(number) => Value::Bool(number != 0),
        Value::Double(number) => Value::Bool(number != 0.0),
        Value::Str(text) => match &*text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Value::Bool(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Value::Bool(false),
            _ => Value::Nil,
        },
        _ => Value::Nil,
    })
}

/// The bytes of an id: as they are, or as hexadecimal digits.
fn id<const N: usize>(value: &Value<'_>, name: &str) -> Result<[u8; N], EvalError> {
    let bytes = match value {
        Value::Bytes(bytes) => <[u8; N]>::try_from(&**bytes).ok(),
        Value::Str(text) => parse_hex(text),
        Value::TraceId(id) => <[u8; N]>::try_from(id.as_bytes().as_slice()).ok(),
        Value::SpanId(id) => <[u8; N]>::try_from(id.as_bytes().as_slice()).ok(),
        _ => None,
    };
    bytes.ok_or_else(|| {
        let message = format!("{name} needs {N} bytes, or {} hexadecimal digits", 2 * N);
        EvalError::new(Cow::Owned(message))
    })
}

fn trace_id(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::TraceId(TraceId::new(id(&args.take(0), "TraceID")?)))
}

fn span_id(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::SpanId(SpanId::new(id(&args.take(0), "SpanID")?)))
}
