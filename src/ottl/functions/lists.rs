//! Converters of lists and maps.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Answer, Args, Function, Kind, needed, optional, pure};
use crate::ottl::ast::CompareOp;
use crate::ottl::error::EvalError;
use crate::ottl::go::number;
use crate::ottl::value::{List, Map, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    pure("Coalesce", &[needed("values", Kind::List)], coalesce),
    pure("ContainsValue", &[needed("target", Kind::List), needed("item", Kind::Any)], contains),
    pure("Index", &[needed("target", Kind::Any), needed("value", Kind::Any)], index),
    pure("Keys", &[needed("target", Kind::Map)], keys),
    pure("Values", &[needed("target", Kind::Map)], values),
    pure("Len", &[needed("target", Kind::Any)], len),
    pure("Log", &[needed("value", Kind::DoubleLike)], log),
    pure(
        "SliceToMap",
        &[
            needed("target", Kind::List),
            optional("keyPath", Kind::List),
            optional("valuePath", Kind::List),
        ],
        slice_to_map,
    ),
    pure(
        "Sort",
        &[needed("target", Kind::List), optional("order", Kind::Word(&["asc", "desc"]))],
        sort,
    ),
];

fn coalesce(mut args: Args<'_>) -> Answer<'_> {
    let values = args.list(0).into_values();
    Ok(values.into_iter().find(|value| !matches!(value, Value::Nil)).unwrap_or_default())
}

fn contains(mut args: Args<'_>) -> Answer<'_> {
    let item = args.take(1);
    Ok(Value::Bool(args.list(0).iter().any(|value| value.compares(CompareOp::Equal, &item))))
}

fn count(length: usize) -> Value<'static> {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

/// Of a text, in bytes; -1 if the value is not there.
fn index(mut args: Args<'_>) -> Answer<'_> {
    let value = args.take(1);
    let at = match (args.take(0), value) {
        (Value::Str(text), Value::Str(part)) => text.find(&*part),
        (Value::Str(_), other) => return Err(EvalError::expected("a string", &other)),
        (Value::List(list), value) => {
            list.iter().position(|item| item.compares(CompareOp::Equal, &value))
        }
        (other, _) => return Err(EvalError::expected("a string or a list", &other)),
    };
    Ok(at.map_or(Value::Int(-1), count))
}

fn keys(mut args: Args<'_>) -> Answer<'_> {
    let pairs = args.map(0).into_pairs();
    Ok(Value::List(List::Owned(pairs.into_iter().map(|(key, _)| Value::from(key)).collect())))
}

fn values(mut args: Args<'_>) -> Answer<'_> {
    let pairs = args.map(0).into_pairs();
    Ok(Value::List(List::Owned(pairs.into_iter().map(|(_, value)| value).collect())))
}

/// Of a text, in bytes.
fn len(mut args: Args<'_>) -> Answer<'_> {
    Ok(count(match args.take(0) {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        Value::Messages(messages) => messages.len(),
        other => return Err(EvalError::expected("a string, a list or a map", &other)),
    }))
}

fn log(mut args: Args<'_>) -> Answer<'_> {
    let number = args.double(0).ok_or_else(|| EvalError::new("there is no number"))?;
    if number <= 0.0 {
        return Err(EvalError::new(format!("there is no logarithm of {number}")));
    }
    Ok(Value::Double(number.ln()))
}

fn slice_to_map(mut args: Args<'_>) -> Answer<'_> {
    let key_path = path(&args.list(1))?;
    let value_path = path(&args.list(2))?;
    let mut pairs: Vec<(Cow<'_, str>, Value<'_>)> = Vec::new();
    for (index, item) in args.list(0).into_values().into_iter().enumerate() {
        let key = if key_path.is_empty() {
            Cow::Owned(index.to_string())
        } else {
            match at_path(item.clone(), &key_path, index)? {
                Value::Str(key) => key,
                other => return Err(EvalError::expected("a string as the key", &other)),
            }
        };
        let value = if value_path.is_empty() { item } else { at_path(item, &value_path, index)? };
        match pairs.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => *old = value,
            None => pairs.push((key, value)),
        }
    }
    Ok(Value::Map(Map::Owned(pairs)))
}

fn path(list: &List<'_>) -> Result<Vec<String>, EvalError> {
    let text = |value: Value<'_>| match value {
        Value::Str(text) => Ok(text.into_owned()),
        other => Err(EvalError::expected("names as strings", &other)),
    };
    list.iter().map(text).collect()
}

fn at_path<'v>(item: Value<'v>, path: &[String], index: usize) -> Result<Value<'v>, EvalError> {
    let mut value = item;
    for name in path {
        let Value::Map(map) = value else {
            return Err(EvalError::expected("a map in the list", &value));
        };
        value = map.into_value(name).ok_or_else(|| {
            EvalError::new(format!("element {index} of the list has no `{}`", path.join(".")))
        })?;
    }
    Ok(value)
}

/// Numbers by size; others, and numbers among others, as texts.
fn sort(mut args: Args<'_>) -> Answer<'_> {
    let is_descending = args.str(1) == "desc";
    let mut values = args.list(0).into_values();
    let is_number = |value: &Value<'_>| matches!(value, Value::Int(_) | Value::Double(_));
    if values.iter().all(is_number) {
        values.sort_by(compare_numbers);
    } else if values.len() > 1 {
        let mut keyed = Vec::with_capacity(values.len());
        for value in values {
            keyed.push((sort_text(&value)?, value));
        }
        keyed.sort_by(|left, right| left.0.cmp(&right.0));
        values = keyed.into_iter().map(|(_, value)| value).collect();
    }
    if is_descending {
        values.reverse();
    }
    Ok(Value::List(List::Owned(values)))
}

fn compare_numbers(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        _ if left.compares(CompareOp::Less, right) => Ordering::Less,
        _ if right.compares(CompareOp::Less, left) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

fn sort_text(value: &Value<'_>) -> Result<String, EvalError> {
    Ok(match value {
        Value::Nil => String::new(),
        Value::Str(text) => text.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number::json_float(*number),
        other => {
            return Err(EvalError::expected("numbers, strings and booleans to sort", other));
        }
    })
}
