//! Editors of lists.

use super::{EditArgs, Function, Kind, editor, needed};
use crate::ottl::error::EvalError;
use crate::ottl::functions::optional;
use crate::ottl::scene::Scene;
use crate::ottl::value::{List, Value};

pub(in crate::ottl::functions) const FUNCTIONS: &[Function] = &[
    editor(
        "append",
        &[
            needed("target", Kind::Target),
            optional("value", Kind::Any),
            optional("values", Kind::List),
        ],
        append,
    ),
    editor(
        "delete_index",
        &[
            needed("target", Kind::Target),
            needed("startIndex", Kind::Int),
            optional("endIndex", Kind::Int),
        ],
        delete_index,
    ),
];

/// What is not a list becomes one.
fn append(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    if !args.is_given(1) && !args.is_given(2) {
        return Err(EvalError::new("`append` needs `value` or `values`"));
    }
    args.target(0)?.write(scene, |scene, target, writer| {
        let mut values = match target.get(scene)? {
            Value::List(list) => list.into_values(),
            Value::Nil => Vec::new(),
            value => vec![value],
        };
        if args.is_given(1) {
            values.push(args.value(1, scene)?);
        }
        if let Value::List(more) = args.value(2, scene)? {
            values.extend(more.into_values());
        }
        target.stage(&Value::List(List::Owned(values)), scene, writer)
    })
}

/// Takes out the elements from the start to before the end; one, if no end is given.
fn delete_index(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    args.target(0)?.write(scene, |scene, target, writer| {
        let mut values = match target.get(scene)? {
            Value::List(list) => list.into_values(),
            other => return Err(EvalError::expected("a list", &other)),
        };
        let Value::Int(start) = args.value(1, scene)? else { return Ok(false) };
        let end = match args.value(2, scene)? {
            Value::Int(end) => end,
            _ => start.saturating_add(1),
        };
        let length = values.len();
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let Some((start, end)) = range.filter(|(start, end)| start < end && *end <= length) else {
            let message = format!("{start} to {end} is not within a list of {length}");
            return Err(EvalError::new(message));
        };
        values.drain(start..end);
        target.stage(&Value::List(List::Owned(values)), scene, writer)
    })
}
