//! Editors that replace parts of texts.

use std::borrow::Cow;

use regex::{Captures, Regex};

use super::{EditArgs, Function, Kind, editor, needed};
use crate::ottl::error::EvalError;
use crate::ottl::functions::{optional, regex};
use crate::ottl::node::call_with;
use crate::ottl::scene::Scene;
use crate::ottl::value::{Map, Value};

pub(in crate::ottl::functions) const FUNCTIONS: &[Function] = &[
    editor(
        "replace_pattern",
        &[
            needed("target", Kind::Target),
            needed("regex", Kind::Prepared(regex)),
            needed("replacement", Kind::Str),
            optional("function", Kind::Function),
            optional("replacementFormat", Kind::Str),
        ],
        replace_pattern,
    ),
    editor(
        "replace_all_patterns",
        &[
            needed("target", Kind::Target),
            needed("mode", Kind::Word(&["key", "value"])),
            needed("regex", Kind::Prepared(regex)),
            needed("replacement", Kind::Str),
            optional("function", Kind::Function),
            optional("replacementFormat", Kind::Str),
        ],
        replace_all_patterns,
    ),
];

/// What matches are replaced by: arguments from `first` on.
struct Replacement<'p> {
    args: EditArgs<'p>,
    first: usize,
}

impl Replacement<'_> {
    /// The text with all matches replaced; nothing if there are none.
    fn apply(
        &self,
        pattern: &Regex,
        text: &str,
        scene: &Scene<'_>,
    ) -> Result<Option<String>, EvalError> {
        if !pattern.is_match(text) {
            return Ok(None);
        }
        let template = self.args.text(self.first, scene)?.unwrap_or_default();
        let Some(function) = self.args.function(self.first + 1) else {
            return Ok(Some(pattern.replace_all(text, &*template).into_owned()));
        };
        let format = self.args.text(self.first + 2, scene)?;
        let mut error = None;
        let replaced = pattern.replace_all(text, |captures: &Captures<'_>| {
            let mut expanded = String::new();
            captures.expand(&template, &mut expanded);
            let result = call_with(function, &Value::from(expanded), scene)
                .and_then(|value| value.into_text().map(Option::unwrap_or_default));
            match (result, &format) {
                (Ok(result), Some(format)) => format.replacen("%s", &result, 1),
                (Ok(result), None) => result.into_owned(),
                (Err(reason), _) => {
                    error = Some(reason);
                    String::new()
                }
            }
        });
        error.map_or(Ok(Some(replaced.into_owned())), Err)
    }
}

fn replace_pattern(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let pattern = args.prepared::<Regex>(1, scene)?;
    let replacement = Replacement { args, first: 2 };
    args.target(0)?.write(scene, |scene, target, writer| {
        let Value::Str(text) = target.get(scene)? else { return Ok(false) };
        match replacement.apply(&pattern, &text, scene)? {
            Some(new) => target.stage(&Value::from(new), scene, writer),
            None => Ok(false),
        }
    })
}

fn replace_all_patterns(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let pattern = args.prepared::<Regex>(2, scene)?;
    let replacement = Replacement { args, first: 3 };
    args.target(0)?.write(scene, |scene, target, writer| {
        let is_value = args.text(1, scene)?.as_deref() == Some("value");
        let Value::Map(map) = target.get(scene)? else { return Ok(false) };
        let mut pairs = map.into_pairs();
        let mut is_changed = false;
        for (key, value) in &mut pairs {
            let new = match value {
                Value::Str(text) if is_value => replacement.apply(&pattern, text, scene)?,
                _ if is_value => None,
                _ => replacement.apply(&pattern, key, scene)?,
            };
            let Some(new) = new else { continue };
            is_changed = true;
            match is_value {
                true => *value = Value::from(new),
                false => *key = Cow::Owned(new),
            }
        }
        if !is_changed {
            return Ok(false);
        }
        target.stage(&Value::Map(Map::Owned(pairs)), scene, writer)
    })
}
