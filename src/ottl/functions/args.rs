//! Arguments as functions take them.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Function, Kind, Prepare, Prepared};
use crate::ottl::error::EvalError;
use crate::ottl::go::number;
use crate::ottl::node::{Argument, Node, PathNode};
use crate::ottl::scene::Scene;
use crate::ottl::value::{List, Map, Moment, Value};

/// The arguments of a converter, of the kinds that its parameters ask for.
#[derive(Debug)]
pub struct Args<'s> {
    pub(in crate::ottl) values: SmallVec<[Value<'s>; 4]>,
    pub(in crate::ottl) arguments: &'s [Argument],
    pub(in crate::ottl) scene: &'s Scene<'s>,
}

impl<'s> Args<'s> {
    /// What the statement sees.
    #[must_use]
    pub const fn scene(&self) -> &'s Scene<'s> {
        self.scene
    }

    /// An argument; nil if it was left out.
    pub fn take(&mut self, index: usize) -> Value<'s> {
        self.values.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    /// An argument of [`Kind::Str`], [`Kind::StrLike`] or [`Kind::Word`]; nothing for nil.
    pub fn text(&mut self, index: usize) -> Option<Cow<'s, str>> {
        match self.take(index) {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// An argument that must be text; empty for nil.
    pub fn str(&mut self, index: usize) -> Cow<'s, str> {
        self.text(index).unwrap_or_default()
    }

    /// An argument of [`Kind::Int`] or [`Kind::IntLike`]; nothing for nil.
    pub fn int(&mut self, index: usize) -> Option<i64> {
        match self.take(index) {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// An argument of [`Kind::Double`] or [`Kind::DoubleLike`]; nothing for nil.
    pub fn double(&mut self, index: usize) -> Option<f64> {
        match self.take(index) {
            Value::Double(number) => Some(number),
            _ => None,
        }
    }

    /// An argument of [`Kind::Bool`]; nothing for nil.
    pub fn bool(&mut self, index: usize) -> Option<bool> {
        match self.take(index) {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// An argument of [`Kind::Time`]; nothing for nil.
    pub fn time(&mut self, index: usize) -> Option<Moment> {
        match self.take(index) {
            Value::Time(time) => Some(time),
            _ => None,
        }
    }

    /// An argument of [`Kind::Duration`], in nanoseconds; nothing for nil.
    pub fn duration(&mut self, index: usize) -> Option<i64> {
        match self.take(index) {
            Value::Duration(nanos) => Some(nanos),
            _ => None,
        }
    }

    /// An argument of [`Kind::Bytes`]; nothing for nil.
    pub fn bytes(&mut self, index: usize) -> Option<Cow<'s, [u8]>> {
        match self.take(index) {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An argument of [`Kind::Map`]; an empty one for nil.
    pub fn map(&mut self, index: usize) -> Map<'s> {
        match self.take(index) {
            Value::Map(map) => map,
            _ => Map::Borrowed(&[]),
        }
    }

    /// An argument of [`Kind::List`]; an empty one for nil.
    pub fn list(&mut self, index: usize) -> List<'s> {
        match self.take(index) {
            Value::List(list) => list,
            _ => List::Borrowed(&[]),
        }
    }

    /// What was made of an argument of [`Kind::Prepared`], which must be given.
    ///
    /// # Errors
    ///
    /// Fails if it is made of a text of the record, and that does not do.
    pub fn prepared<T: Send + Sync + 'static>(
        &mut self,
        index: usize,
    ) -> Result<Arc<T>, EvalError> {
        let ready = self.arguments.get(index).and_then(|argument| argument.prepared.clone());
        let prepared = match ready {
            Some(prepared) => prepared,
            None => {
                let text = self.str(index);
                let kind = self.arguments.get(index).map(|argument| argument.kind);
                match kind {
                    Some(Kind::Prepared(prepare)) => prepare(&text).map_err(EvalError::new)?,
                    _ => return Err(EvalError::new("an argument is missing")),
                }
            }
        };
        prepared.downcast().map_err(|_| EvalError::new("an argument is of another kind"))
    }
}

/// The arguments of an editor: not yet evaluated, for it changes what they are made of.
#[derive(Clone, Copy, Debug)]
pub struct EditArgs<'p> {
    pub(in crate::ottl) arguments: &'p [Argument],
}

impl<'p> EditArgs<'p> {
    /// The path that is written: an argument of [`Kind::Target`].
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn target(&self, index: usize) -> Result<&'p PathNode, EvalError> {
        match self.arguments.get(index).map(|argument| &argument.node) {
            Some(Node::Path(path)) => Ok(path),
            _ => Err(EvalError::new("there is no path to write")),
        }
    }

    /// The expression of an argument.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn source(&self, index: usize) -> Result<&'p Node, EvalError> {
        let argument = self.arguments.get(index);
        argument
            .map(|argument| &argument.node)
            .ok_or_else(|| EvalError::new("an argument is missing"))
    }

    /// The text of an argument, if it is written out.
    #[must_use]
    pub fn literal(&self, index: usize) -> Option<&'p str> {
        match self.arguments.get(index).map(|argument| &argument.node) {
            Some(Node::Const(Value::Str(text))) => Some(text),
            _ => None,
        }
    }

    /// Whether an argument was given.
    #[must_use]
    pub fn is_given(&self, index: usize) -> bool {
        self.arguments.get(index).is_some_and(|argument| !argument.is_left_out())
    }

    /// An argument's value.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be evaluated or is of another kind.
    pub fn value<'s>(&self, index: usize, scene: &'s Scene<'_>) -> Result<Value<'s>, EvalError>
    where
        'p: 's,
    {
        self.arguments.get(index).map_or(Ok(Value::Nil), |argument| argument.eval(scene))
    }

    /// An argument's text; nothing if it was left out.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be evaluated or is no text.
    pub fn text<'s>(
        &self,
        index: usize,
        scene: &'s Scene<'_>,
    ) -> Result<Option<Cow<'s, str>>, EvalError>
    where
        'p: 's,
    {
        match self.value(index, scene)? {
            Value::Str(text) => Ok(Some(text)),
            _ => Ok(None),
        }
    }

    /// What was made of an argument of [`Kind::Prepared`].
    ///
    /// # Errors
    ///
    /// Fails if it is made of a text of the record, and that does not do.
    pub fn prepared<T: Send + Sync + 'static>(
        &self,
        index: usize,
        scene: &Scene<'_>,
    ) -> Result<Arc<T>, EvalError> {
        let argument = self.arguments.get(index);
        let ready = argument.and_then(|argument| argument.prepared.clone());
        let prepared = match (ready, argument.map(|argument| argument.kind)) {
            (Some(prepared), _) => prepared,
            (None, Some(Kind::Prepared(prepare))) => {
                let text = self.text(index, scene)?.unwrap_or_default();
                prepare(&text).map_err(EvalError::new)?
            }
            _ => return Err(EvalError::new("an argument is missing")),
        };
        prepared.downcast().map_err(|_| EvalError::new("an argument is of another kind"))
    }

    /// The converter that an argument of [`Kind::Function`] names.
    #[must_use]
    pub fn function(&self, index: usize) -> Option<&'static Function> {
        match self.arguments.get(index).map(|argument| &argument.node) {
            Some(Node::Function(function)) => Some(function),
            _ => None,
        }
    }
}

/// Makes `text` what a parameter needs.
pub(in crate::ottl) fn prepare(kind: Kind, text: &str) -> Option<Result<Prepared, String>> {
    match kind {
        Kind::Prepared(make) => {
            let make: Prepare = make;
            Some(make(text))
        }
        _ => None,
    }
}

/// The value as a parameter of this kind takes it.
pub(in crate::ottl) fn coerce<'s>(kind: Kind, value: Value<'s>) -> Result<Value<'s>, EvalError> {
    match (kind, value) {
        (Kind::Any | Kind::Target | Kind::Function, value) => Ok(value),
        (Kind::StrLike, value) => Ok(value.into_text()?.map_or(Value::Nil, Value::Str)),
        (Kind::Str | Kind::Word(_) | Kind::Prepared(_), value @ Value::Str(_))
        | (Kind::Int, value @ Value::Int(_))
        | (Kind::Double, value @ Value::Double(_))
        | (Kind::Bool, value @ Value::Bool(_))
        | (Kind::Time, value @ Value::Time(_))
        | (Kind::Duration, value @ Value::Duration(_))
        | (Kind::Map, value @ Value::Map(_))
        | (Kind::List, value @ Value::List(_))
        | (Kind::Bytes, value @ Value::Bytes(_)) => Ok(value),
        (Kind::Bytes, Value::TraceId(id)) => Ok(Value::Bytes(Cow::Owned(id.as_bytes().to_vec()))),
        (Kind::Bytes, Value::SpanId(id)) => Ok(Value::Bytes(Cow::Owned(id.as_bytes().to_vec()))),
        (Kind::Bytes, Value::Str(Cow::Borrowed(text))) => {
            Ok(Value::Bytes(Cow::Borrowed(text.as_bytes())))
        }
        (Kind::Bytes, Value::Str(Cow::Owned(text))) => {
            Ok(Value::Bytes(Cow::Owned(text.into_bytes())))
        }
        (Kind::IntLike, value) => Ok(int_like(&value).map_or(Value::Nil, Value::Int)),
        (Kind::DoubleLike, value) => Ok(double_like(&value).map_or(Value::Nil, Value::Double)),
        #[expect(clippy::cast_precision_loss, reason = "what a double can hold of it")]
        (Kind::Double, Value::Int(number)) => Ok(Value::Double(number as f64)),
        (kind, value) => Err(EvalError::expected(kind.name(), &value)),
    }
}

fn int_like(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "the language truncates")]
        Value::Double(number) => Some(*number as i64),
        Value::Str(text) => text.parse().ok(),
        Value::Bool(flag) => Some(i64::from(*flag)),
        _ => None,
    }
}

fn double_like(value: &Value<'_>) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "what a double can hold of it")]
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        Value::Str(text) => number::parse_float(text),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        _ => None,
    }
}
