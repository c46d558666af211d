//! Editors.

mod lists;
mod maps;
mod replace;

use std::borrow::Cow;

use super::{EditArgs, Function, Kind, editor, needed};
use crate::ottl::error::EvalError;
use crate::ottl::node::PathNode;
use crate::ottl::path::{Form, PathSpec};
use crate::ottl::scene::Scene;
use crate::ottl::value::{Map, Value};

pub(super) use lists::FUNCTIONS as LISTS;
pub(super) use maps::FUNCTIONS as MAPS;
pub(super) use replace::FUNCTIONS as REPLACE;

pub(super) const FUNCTIONS: &[Function] = &[
    editor("set", &[needed("target", Kind::Target), needed("value", Kind::Any)], set),
    editor("delete_key", &[needed("target", Kind::Target), needed("key", Kind::Str)], delete_key),
];

fn set(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    args.target(0)?.assign(args.source(1)?, scene)
}

fn delete_key(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let target = args.target(0)?;
    let key = owned_text(args, 1, scene)?;
    match top_map(target) {
        Some(spec) => {
            if let Some(number) = scene.attributes_number(spec) {
                scene.slot_mut(spec.context).remove_attribute(number, &key);
            }
            Ok(())
        }
        None => edit_map(target, scene, |mut pairs| {
            pairs.retain(|(name, _)| *name != *key);
            pairs
        }),
    }
}

/// The text of an argument, borrowed from the statement or owned.
fn owned_text<'p>(
    args: EditArgs<'p>,
    index: usize,
    scene: &Scene<'_>,
) -> Result<Cow<'p, str>, EvalError> {
    if let Some(literal) = args.literal(index) {
        return Ok(Cow::Borrowed(literal));
    }
    Ok(Cow::Owned(args.text(index, scene)?.unwrap_or_default().into_owned()))
}

/// The path, if it is a whole map of attributes.
fn top_map(target: &PathNode) -> Option<&'static PathSpec> {
    (target.keys.is_empty() && target.spec.form == Form::Attributes).then_some(target.spec)
}

type Pairs<'v> = Vec<(Cow<'v, str>, Value<'v>)>;

/// Puts what `edit` makes of a map in its place.
fn edit_map(
    target: &PathNode,
    scene: &mut Scene<'_>,
    edit: impl for<'v> FnOnce(Pairs<'v>) -> Pairs<'v>,
) -> Result<(), EvalError> {
    target.write(scene, |scene, target, writer| {
        let pairs = match target.get(scene)? {
            Value::Map(map) => map.into_pairs(),
            other => return Err(EvalError::expected("a map", &other)),
        };
        target.stage(&Value::Map(Map::Owned(edit(pairs))), scene, writer)
    })
}
