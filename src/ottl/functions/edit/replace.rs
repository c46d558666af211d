//! Editors that replace parts of texts.

use std::borrow::Cow;
use std::sync::Arc;

use regex::{Captures, Regex};

use super::{EditArgs, Function, Kind, editor, needed};
use crate::ottl::error::EvalError;
use crate::ottl::functions::{Prepared, optional, regex};
use crate::ottl::go::glob::compile;
use crate::ottl::go::re2;
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
    editor(
        "replace_match",
        &[
            needed("target", Kind::Target),
            needed("pattern", Kind::Prepared(glob)),
            needed("replacement", Kind::Str),
            optional("function", Kind::Function),
            optional("replacementFormat", Kind::Str),
        ],
        replace_match,
    ),
    editor(
        "replace_all_matches",
        &[
            needed("target", Kind::Target),
            needed("pattern", Kind::Prepared(glob)),
            needed("replacement", Kind::Str),
            optional("function", Kind::Function),
            optional("replacementFormat", Kind::Str),
        ],
        replace_all_matches,
    ),
];

fn glob(pattern: &str) -> Result<Prepared, String> {
    Ok(Arc::new(compile(pattern).map_err(|refusal| refusal.to_string())?))
}

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
            return Ok(Some(re2::replace_all(pattern, text, &template)));
        };
        let format = self.args.text(self.first + 2, scene)?;
        let mut error = None;
        let replaced = pattern.replace_all(text, |captures: &Captures<'_>| {
            let mut expanded = String::new();
            re2::expand(&template, captures, &mut expanded);
            called(function, expanded, format.as_deref(), scene).unwrap_or_else(|reason| {
                error = Some(reason);
                String::new()
            })
        });
        error.map_or(Ok(Some(replaced.into_owned())), Err)
    }

    /// What a whole text is replaced by.
    fn whole(&self, scene: &Scene<'_>) -> Result<String, EvalError> {
        let text = self.args.text(self.first, scene)?.unwrap_or_default().into_owned();
        let Some(function) = self.args.function(self.first + 1) else { return Ok(text) };
        let format = self.args.text(self.first + 2, scene)?;
        called(function, text, format.as_deref(), scene)
    }
}

/// What a converter makes of a text, in a format with `%s` if there is one.
fn called(
    function: &'static Function,
    text: String,
    format: Option<&str>,
    scene: &Scene<'_>,
) -> Result<String, EvalError> {
    let value = Value::from(text);
    let result = call_with(function, &value, scene)?.into_text()?.unwrap_or_default();
    Ok(match format {
        Some(format) => format.replacen("%s", &result, 1),
        None => result.into_owned(),
    })
}

fn replace_match(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let pattern = args.prepared::<Regex>(1, scene)?;
    let replacement = Replacement { args, first: 2 };
    args.target(0)?.write(scene, |scene, target, writer| match target.get(scene)? {
        Value::Str(text) if pattern.is_match(&text) => {
            target.stage(&Value::from(replacement.whole(scene)?), scene, writer)
        }
        _ => Ok(false),
    })
}

fn replace_all_matches(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let pattern = args.prepared::<Regex>(1, scene)?;
    let replacement = Replacement { args, first: 2 };
    args.target(0)?.write(scene, |scene, target, writer| {
        let Value::Map(map) = target.get(scene)? else { return Ok(false) };
        let mut pairs = map.into_pairs();
        let mut is_changed = false;
        for (_, value) in &mut pairs {
            if matches!(value, Value::Str(text) if pattern.is_match(text)) {
                *value = Value::from(replacement.whole(scene)?);
                is_changed = true;
            }
        }
        if !is_changed {
            return Ok(false);
        }
        target.stage(&Value::Map(Map::Owned(pairs)), scene, writer)
    })
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
