//! Values as plain trees, and back.

use std::borrow::Cow;

use crate::ottl::error::EvalError;
use crate::ottl::go::{Refusal, Tree, layout};
use crate::ottl::value::{List, Map, Value, hex};

/// How Go writes a time of its own accord.
const TIME_LAYOUT: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

impl From<Refusal> for EvalError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.0)
    }
}

impl From<Tree> for Value<'_> {
    fn from(tree: Tree) -> Self {
        match tree {
            Tree::Nil => Self::Nil,
            Tree::Bool(flag) => Self::Bool(flag),
            Tree::Int(number) => Self::Int(number),
            Tree::Double(number) => Self::Double(number),
            Tree::Duration(nanos) => Self::Duration(nanos),
            Tree::Str(text) => Self::Str(Cow::Owned(text)),
            Tree::Bytes(bytes) => Self::Bytes(Cow::Owned(bytes)),
            Tree::List(items) => {
                Self::List(List::Owned(items.into_iter().map(Self::from).collect()))
            }
            Tree::Map(pairs) => {
                let pair = |(key, value)| (Cow::Owned(key), Self::from(value));
                Self::Map(Map::Owned(pairs.into_iter().map(pair).collect()))
            }
        }
    }
}

/// The value as a tree: ids as digits, times as Go writes them.
pub(super) fn tree(value: &Value<'_>) -> Tree {
    match value {
        Value::Nil | Value::Messages(_) => Tree::Nil,
        Value::Bool(flag) => Tree::Bool(*flag),
        Value::Int(number) => Tree::Int(*number),
        Value::Double(number) => Tree::Double(*number),
        Value::Str(text) => Tree::str(&**text),
        Value::Bytes(bytes) => Tree::Bytes(bytes.to_vec()),
        Value::TraceId(id) => Tree::Str(hex(id.as_bytes())),
        Value::SpanId(id) => Tree::Str(hex(id.as_bytes())),
        Value::Time(time) => {
            let text = layout::format(time.unix_nanos, time.offset_seconds, TIME_LAYOUT);
            text.map_or(Tree::Nil, Tree::Str)
        }
        Value::Duration(nanos) => Tree::Duration(*nanos),
        Value::List(list) => Tree::List(list.iter().map(|item| tree(&item)).collect()),
        Value::Map(map) => {
            Tree::Map(map.iter().map(|(key, value)| (key.to_owned(), tree(&value))).collect())
        }
    }
}
