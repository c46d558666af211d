//! Converters of texts.

use std::borrow::Cow;

use super::trees::tree;
use super::{Answer, Args, Function, Kind, needed, optional, pure};
use crate::ottl::error::EvalError;
use crate::ottl::go::{Tree, number, pairs, sprintf, text};
use crate::ottl::value::{List, Value};

const CASES: Kind = Kind::Word(&["lower", "upper", "snake", "camel"]);

pub(super) const FUNCTIONS: &[Function] = &[
    pure("Concat", &[needed("values", Kind::List), needed("delimiter", Kind::Str)], concat),
    pure("ConvertCase", &[needed("target", Kind::Str), needed("toCase", CASES)], convert_case),
    pure(
        "Format",
        &[needed("formatString", Kind::Str), needed("formatArguments", Kind::List)],
        format,
    ),
    pure("HasPrefix", &[needed("value", Kind::Str), needed("prefix", Kind::Str)], has_prefix),
    pure("HasSuffix", &[needed("value", Kind::Str), needed("suffix", Kind::Str)], has_suffix),
    pure("ParseInt", &[needed("target", Kind::Str), needed("base", Kind::Int)], parse_int),
    pure("Split", &[needed("target", Kind::Str), needed("delimiter", Kind::Str)], split),
    pure(
        "Substring",
        &[
            needed("target", Kind::Str),
            needed("start", Kind::Int),
            needed("length", Kind::Int),
            optional("utf8_safe", Kind::Bool),
        ],
        substring,
    ),
    pure("ToCamelCase", &[needed("target", Kind::Str)], to_camel),
    pure("ToLowerCase", &[needed("target", Kind::Str)], to_lower),
    pure("ToSnakeCase", &[needed("target", Kind::Str)], to_snake),
    pure("ToUpperCase", &[needed("target", Kind::Str)], to_upper),
    pure("Trim", &[needed("target", Kind::Str), optional("replacement", Kind::Str)], trim),
    pure("TrimPrefix", &[needed("value", Kind::Str), needed("prefix", Kind::Str)], trim_prefix),
    pure("TrimSuffix", &[needed("value", Kind::Str), needed("suffix", Kind::Str)], trim_suffix),
    pure(
        "ToKeyValueString",
        &[
            needed("target", Kind::Map),
            optional("delimiter", Kind::Str),
            optional("pair_delimiter", Kind::Str),
            optional("sort_output", Kind::Bool),
        ],
        to_key_value,
    ),
];

/// Nil becomes `<nil>`, lists and maps JSON, bytes hexadecimal digits.
fn concat(mut args: Args<'_>) -> Answer<'_> {
    let delimiter = args.str(1).into_owned();
    let mut texts = Vec::new();
    for value in args.list(0).iter() {
        texts.push(match value {
            Value::Nil => "<nil>".to_owned(),
            Value::Double(number) => number::format_float(number, 'g', None),
            other => as_text(other)?,
        });
    }
    Ok(Value::from(texts.join(&delimiter)))
}

/// The text of a value; empty for nil.
fn as_text(value: Value<'_>) -> Result<String, EvalError> {
    Ok(value.into_text()?.map(Cow::into_owned).unwrap_or_default())
}

fn convert_case(mut args: Args<'_>) -> Answer<'_> {
    let target = args.str(0);
    Ok(Value::from(match &*args.str(1) {
        "lower" => text::to_lower(&target),
        "upper" => text::to_upper(&target),
        "snake" => text::to_snake(&target),
        _ => text::to_camel(&target),
    }))
}

fn format(mut args: Args<'_>) -> Answer<'_> {
    let format = args.str(0);
    let values: Vec<Tree> = args.list(1).iter().map(|value| tree(&value)).collect();
    Ok(Value::from(sprintf::sprintf(&format, &values)))
}

fn has_prefix(mut args: Args<'_>) -> Answer<'_> {
    let value = args.str(0);
    Ok(Value::Bool(value.starts_with(&*args.str(1))))
}

fn has_suffix(mut args: Args<'_>) -> Answer<'_> {
    let value = args.str(0);
    Ok(Value::Bool(value.ends_with(&*args.str(1))))
}

fn parse_int(mut args: Args<'_>) -> Answer<'_> {
    let target = args.str(0);
    Ok(Value::Int(number::parse_int(&target, args.int(1).unwrap_or(10))?))
}

fn split(mut args: Args<'_>) -> Answer<'_> {
    let (target, delimiter) = (args.str(0), args.str(1));
    let parts = text::split(&target, &delimiter);
    let parts = parts.into_iter().map(|part| Value::from(part.to_owned())).collect();
    Ok(Value::List(List::Owned(parts)))
}

fn substring(mut args: Args<'_>) -> Answer<'_> {
    let target = args.str(0);
    let (start, length) = (args.int(1).unwrap_or_default(), args.int(2).unwrap_or_default());
    Ok(Value::from(text::substring(&target, start, length, args.bool(3).unwrap_or_default())?))
}

fn to_camel(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(text::to_camel(&args.str(0))))
}

fn to_lower(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(text::to_lower(&args.str(0))))
}

fn to_snake(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(text::to_snake(&args.str(0))))
}

fn to_upper(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(text::to_upper(&args.str(0))))
}

fn trim(mut args: Args<'_>) -> Answer<'_> {
    let target = args.str(0);
    let set = args.text(1).unwrap_or(Cow::Borrowed(" "));
    Ok(Value::from(text::trim(&target, &set).to_owned()))
}

fn trim_prefix(mut args: Args<'_>) -> Answer<'_> {
    let value = args.str(0);
    let prefix = args.str(1);
    Ok(Value::from(value.strip_prefix(&*prefix).unwrap_or(&value).to_owned()))
}

fn trim_suffix(mut args: Args<'_>) -> Answer<'_> {
    let value = args.str(0);
    let suffix = args.str(1);
    Ok(Value::from(value.strip_suffix(&*suffix).unwrap_or(&value).to_owned()))
}

fn to_key_value(mut args: Args<'_>) -> Answer<'_> {
    let values = args.text(1).unwrap_or(Cow::Borrowed("="));
    let separator = args.text(2).unwrap_or(Cow::Borrowed(" "));
    let is_sorted = args.bool(3).unwrap_or_default();
    let mut map = Vec::new();
    for (key, value) in args.map(0).iter() {
        map.push((key.to_owned(), as_text(value)?));
    }
    Ok(Value::from(pairs::to_key_value(map, &values, &separator, is_sorted)?))
}
