//! Compiled expressions, and their evaluation.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::ast::{CompareOp, MathOp};
use super::error::EvalError;
use super::functions::{Args, Body, Convert, Function, Kind, Prepared};
use super::path::PathSpec;
use super::scene::{Scene, look_up};
use super::value::{List, Map, Moment, Value};

/// A compiled expression.
#[derive(Clone, Debug)]
pub enum Node {
    /// A value that is known.
    Const(Value<'static>),
    /// A part of the record.
    Path(PathNode),
    /// A converter.
    Call(Call),
    /// A converter's name as an argument.
    Function(&'static Function),
    /// A value in another one.
    Keyed(Box<Node>, Vec<Node>),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Vec<(String, Node)>),
    /// A calculation.
    Math(MathOp, Box<Node>, Box<Node>),
    /// A comparison.
    Compare(CompareOp, Box<Node>, Box<Node>),
    /// What does not hold.
    Not(Box<Node>),
    /// What holds together.
    And(Box<Node>, Box<Node>),
    /// Of which one holds.
    Or(Box<Node>, Box<Node>),
}

/// A converter with its arguments.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) body: Convert,
    pub(super) arguments: Box<[Argument]>,
}

/// An argument.
#[derive(Clone, Debug)]
pub struct Argument {
    pub(super) node: Node,
    pub(super) kind: Kind,
    /// What was made of a literal.
    pub(super) prepared: Option<Prepared>,
}

impl Argument {
    /// The value, of the kind that the parameter asks for.
    #[inline]
    pub(super) fn eval<'s>(&'s self, scene: &'s Scene<'_>) -> Result<Value<'s>, EvalError> {
        if self.prepared.is_some() || self.is_left_out() {
            return Ok(Value::Nil);
        }
        super::functions::coerce(self.kind, self.node.eval(scene)?)
    }

    /// Whether it is nil, as what was not given is.
    pub(super) const fn is_left_out(&self) -> bool {
        matches!(self.node, Node::Const(Value::Nil))
    }
}

/// A path with its keys.
#[derive(Clone, Debug)]
pub struct PathNode {
    pub(super) spec: &'static PathSpec,
    pub(super) keys: Box<[Node]>,
}

impl PathNode {
    /// The value at the path.
    ///
    /// # Errors
    ///
    /// Fails where a key does not fit what it is looked up in.
    #[inline]
    pub fn get<'s>(&'s self, scene: &'s Scene<'_>) -> Result<Value<'s>, EvalError> {
        let Some((first, rest)) = self.keys.split_first() else {
            return Ok(scene.read(self.spec));
        };
        let named = match first {
            Node::Const(Value::Str(key)) => scene.attribute(self.spec, key),
            _ => None,
        };
        let found = named.map_or_else(|| self.look_up_first(first, scene), Ok)?;
        rest.iter().try_fold(found, |found, key| look_up(found, &key.eval(scene)?))
    }

    fn look_up_first<'s>(
        &'s self,
        key: &'s Node,
        scene: &'s Scene<'_>,
    ) -> Result<Value<'s>, EvalError> {
        let key = key.eval(scene)?;
        match (scene.read(self.spec), &key) {
            (Value::Str(state), Value::Str(key)) if self.spec.is_trace_state() => {
                let found = super::write::trace_state_entry(&state, key);
                Ok(Value::Str(Cow::Owned(found.unwrap_or_default().to_owned())))
            }
            (value, key) => look_up(value, key),
        }
    }
}

impl Node {
    /// The value.
    ///
    /// # Errors
    ///
    /// Fails where a value is of a kind that does not do.
    #[inline]
    pub fn eval<'s>(&'s self, scene: &'s Scene<'_>) -> Result<Value<'s>, EvalError> {
        match self {
            Self::Const(value) => Ok(value.borrowed()),
            Self::Path(path) => path.get(scene),
            Self::Call(call) => call.eval(scene),
            _ => self.eval_other(scene),
        }
    }

    fn eval_other<'s>(&'s self, scene: &'s Scene<'_>) -> Result<Value<'s>, EvalError> {
        match self {
            Self::Keyed(inner, keys) => {
                let value = inner.eval(scene)?;
                keys.iter().try_fold(value, |value, key| look_up(value, &key.eval(scene)?))
            }
            Self::List(items) => {
                let values: Result<_, _> = items.iter().map(|item| item.eval(scene)).collect();
                Ok(Value::List(List::Owned(values?)))
            }
            Self::Map(entries) => {
                let pair = |(key, value): &'s (String, Self)| {
                    Ok((Cow::Borrowed(key.as_str()), value.eval(scene)?))
                };
                let pairs: Result<_, EvalError> = entries.iter().map(pair).collect();
                Ok(Value::Map(Map::Owned(pairs?)))
            }
            Self::Math(op, left, right) => calculate(*op, &left.eval(scene)?, &right.eval(scene)?),
            _ => self.holds(scene).map(Value::Bool),
        }
    }

    /// Whether it holds.
    ///
    /// # Errors
    ///
    /// Fails where something is no truth value or cannot be evaluated.
    #[inline]
    pub fn holds(&self, scene: &Scene<'_>) -> Result<bool, EvalError> {
        match self {
            Self::Compare(op, left, right) => {
                Ok(left.eval(scene)?.compares(*op, &right.eval(scene)?))
            }
            Self::Not(inner) => Ok(!inner.holds(scene)?),
            Self::And(left, right) => Ok(left.holds(scene)? && right.holds(scene)?),
            Self::Or(left, right) => Ok(left.holds(scene)? || right.holds(scene)?),
            _ => match self.eval(scene)? {
                Value::Bool(flag) => Ok(flag),
                value => Err(EvalError::expected("a boolean", &value)),
            },
        }
    }
}

impl Call {
    #[inline]
    fn eval<'s>(&'s self, scene: &'s Scene<'_>) -> Result<Value<'s>, EvalError> {
        let mut values = SmallVec::new();
        for argument in &self.arguments {
            values.push(argument.eval(scene)?);
        }
        (self.body)(Args { values, arguments: &self.arguments, scene })
    }
}

/// Calls a converter with one value, as `replace_pattern` does with a capture.
pub(super) fn call_with<'s>(
    function: &'static Function,
    value: &Value<'s>,
    scene: &'s Scene<'_>,
) -> Result<Value<'s>, EvalError> {
    let (Body::Pure(body) | Body::Impure(body)) = function.body else {
        return Err(EvalError::new(format!("`{}` is no converter", function.name)));
    };
    let mut values = SmallVec::new();
    for (index, param) in function.params.iter().enumerate() {
        let value = if index == 0 { value.clone() } else { Value::Nil };
        let is_nil = matches!(value, Value::Nil);
        values.push(if is_nil { value } else { super::functions::coerce(param.kind, value)? });
    }
    body(Args { values, arguments: &[], scene })
}

/// Whole numbers are numbers beside one, as in the Collector.
#[expect(clippy::cast_precision_loss, reason = "as Go's float64()")]
fn calculate(op: MathOp, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'static>, EvalError> {
    let nanos = |left: i64, right: i64| match op {
        MathOp::Add => Some(left.wrapping_add(right)),
        MathOp::Subtract => Some(left.wrapping_sub(right)),
        _ => None,
    };
    let result = match (left, right) {
        (Value::Int(left), Value::Int(right)) => {
            return Ok(Value::Int(match op {
                MathOp::Add => left.wrapping_add(*right),
                MathOp::Subtract => left.wrapping_sub(*right),
                MathOp::Multiply => left.wrapping_mul(*right),
                MathOp::Divide if *right == 0 => return Err(EvalError::new("division by zero")),
                MathOp::Divide => left.wrapping_div(*right),
            }));
        }
        (Value::Double(left), Value::Double(right)) => {
            return Ok(Value::Double(match op {
                MathOp::Add => left + right,
                MathOp::Subtract => left - right,
                MathOp::Multiply => left * right,
                MathOp::Divide if *right == 0.0 => return Err(EvalError::new("division by zero")),
                MathOp::Divide => left / right,
            }));
        }
        (Value::Int(left), Value::Double(_)) => {
            return calculate(op, &Value::Double(*left as f64), right);
        }
        (Value::Double(_), Value::Int(right)) => {
            return calculate(op, left, &Value::Double(*right as f64));
        }
        (Value::Duration(left), Value::Duration(right)) => {
            nanos(*left, *right).map(Value::Duration)
        }
        (Value::Time(left), Value::Duration(right)) => nanos(left.unix_nanos, *right)
            .map(|unix_nanos| Value::Time(Moment { unix_nanos, ..*left })),
        (Value::Duration(left), Value::Time(right)) if op == MathOp::Add => {
            let unix_nanos = right.unix_nanos.wrapping_add(*left);
            Some(Value::Time(Moment { unix_nanos, ..*right }))
        }
        (Value::Time(left), Value::Time(right)) if op == MathOp::Subtract => {
            Some(Value::Duration(left.unix_nanos.wrapping_sub(right.unix_nanos)))
        }
        _ => None,
    };
    result.ok_or_else(|| {
        let (left, right) = (left.kind(), right.kind());
        EvalError::new(format!("`{}` does not go with {left} and {right}", op.as_str()))
    })
}
