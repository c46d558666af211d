//! Editors of maps.

use std::borrow::Cow;

use regex::Regex;

use super::{EditArgs, Function, Kind, Pairs, edit_map, editor, needed};
use crate::ottl::error::EvalError;
use crate::ottl::functions::{optional, regex};
use crate::ottl::scene::Scene;
use crate::ottl::value::{Map, Value};

pub(in crate::ottl::functions) const FUNCTIONS: &[Function] = &[
    editor(
        "delete_matching_keys",
        &[needed("target", Kind::Target), needed("pattern", Kind::Prepared(regex))],
        delete_matching_keys,
    ),
    editor(
        "keep_matching_keys",
        &[needed("target", Kind::Target), needed("pattern", Kind::Prepared(regex))],
        keep_matching_keys,
    ),
    editor("keep_keys", &[needed("target", Kind::Target), needed("keys", Kind::List)], keep_keys),
    editor(
        "limit",
        &[
            needed("target", Kind::Target),
            needed("limit", Kind::Int),
            needed("priority_keys", Kind::List),
        ],
        limit,
    ),
    editor(
        "merge_maps",
        &[
            needed("target", Kind::Target),
            needed("source", Kind::Map),
            needed("strategy", Kind::Word(&["insert", "update", "upsert"])),
        ],
        merge_maps,
    ),
    editor(
        "flatten",
        &[
            needed("target", Kind::Target),
            optional("prefix", Kind::Str),
            optional("depth", Kind::Int),
            optional("resolveConflicts", Kind::Bool),
        ],
        flatten,
    ),
    editor("stringify_all", &[needed("target", Kind::Target)], stringify_all),
    editor(
        "truncate_all",
        &[
            needed("target", Kind::Target),
            needed("limit", Kind::Int),
            optional("utf8_safe", Kind::Bool),
            optional("truncation_marker", Kind::Str),
        ],
        truncate_all,
    ),
];

fn delete_matching_keys(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let pattern = args.prepared::<Regex>(1, scene)?;
    retain(args, scene, |key| !pattern.is_match(key))
}

fn keep_matching_keys(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let pattern = args.prepared::<Regex>(1, scene)?;
    retain(args, scene, |key| pattern.is_match(key))
}

fn keep_keys(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let keys = texts(args, 1, scene)?;
    retain(args, scene, |key| keys.iter().any(|kept| kept == key))
}

/// Keeps the pairs whose names do; writes nothing if all do.
fn retain(
    args: EditArgs<'_>,
    scene: &mut Scene<'_>,
    is_kept: impl Fn(&str) -> bool,
) -> Result<(), EvalError> {
    let target = args.target(0)?;
    if let Value::Map(map) = target.get(scene)?
        && map.iter().all(|(key, _)| is_kept(key))
    {
        return Ok(());
    }
    edit_map(target, scene, |mut pairs| {
        pairs.retain(|(key, _)| is_kept(key));
        pairs
    })
}

/// The elements of a list of text.
fn texts(args: EditArgs<'_>, index: usize, scene: &Scene<'_>) -> Result<Vec<String>, EvalError> {
    let Value::List(list) = args.value(index, scene)? else { return Ok(Vec::new()) };
    let text = |value: Value<'_>| match value {
        Value::Str(text) => Ok(text.into_owned()),
        other => Err(EvalError::expected("a string", &other)),
    };
    list.into_values().into_iter().map(text).collect()
}

/// Keeps those with priority, then the first ones.
fn limit(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let Value::Int(limit) = args.value(1, scene)? else { return Ok(()) };
    let limit = usize::try_from(limit).map_err(|_| EvalError::new("the limit is negative"))?;
    let priority = texts(args, 2, scene)?;
    let target = args.target(0)?;
    if let Value::Map(map) = target.get(scene)?
        && map.len() <= limit
    {
        return Ok(());
    }
    edit_map(target, scene, |mut pairs| {
        let is_prior = |key: &str| priority.iter().any(|prior| prior == key);
        let num_prior = pairs.iter().filter(|(key, _)| is_prior(key)).count().min(limit);
        let (mut prior_left, mut others_left) = (num_prior, limit - num_prior);
        pairs.retain(|(key, _)| {
            let left = if is_prior(key) { &mut prior_left } else { &mut others_left };
            let is_kept = *left > 0;
            *left -= usize::from(is_kept);
            is_kept
        });
        pairs
    })
}

fn merge_maps(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    args.target(0)?.write(scene, |scene, target, writer| {
        let mut pairs = match target.get(scene)? {
            Value::Map(map) => map.into_pairs(),
            Value::Nil => Vec::new(),
            other => return Err(EvalError::expected("a map", &other)),
        };
        let Value::Map(source) = args.value(1, scene)? else { return Ok(false) };
        let strategy = args.text(2, scene)?.unwrap_or_default();
        for (key, value) in source.into_pairs() {
            let place = pairs.iter_mut().find(|(name, _)| *name == key);
            match (place, &*strategy) {
                (Some((_, old)), "update" | "upsert") => *old = value,
                (None, "insert" | "upsert") => pairs.push((key, value)),
                (Some(_), "insert") | (None, "update") => {}
                (_, other) => {
                    let message = format!("`{other}` is not `insert`, `update` or `upsert`");
                    return Err(EvalError::new(message));
                }
            }
        }
        target.stage(&Value::Map(Map::Owned(pairs)), scene, writer)
    })
}

fn flatten(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let prefix = args.text(1, scene)?.unwrap_or_default().into_owned();
    let depth = match args.value(2, scene)? {
        Value::Int(depth) if depth < 0 => return Err(EvalError::new("the depth is negative")),
        Value::Int(depth) => depth,
        _ => i64::MAX,
    };
    let resolves = matches!(args.value(3, scene)?, Value::Bool(true));
    edit_map(args.target(0)?, scene, |pairs| {
        let mut flat = Flat { pairs: Vec::new(), resolves };
        for (key, value) in pairs {
            let name = if prefix.is_empty() { key } else { Cow::Owned(format!("{prefix}.{key}")) };
            flat.add(name, value, depth);
        }
        flat.pairs
    })
}

/// A map that is being flattened.
struct Flat<'v> {
    pairs: Pairs<'v>,
    /// Whether a name that is there already gets a number.
    resolves: bool,
}

impl<'v> Flat<'v> {
    fn add(&mut self, name: Cow<'v, str>, value: Value<'v>, depth: i64) {
        match value {
            Value::Map(map) if depth > 0 => {
                for (key, value) in map.into_pairs() {
                    self.add(Cow::Owned(format!("{name}.{key}")), value, depth - 1);
                }
            }
            Value::List(list) if depth > 0 => {
                for (index, value) in list.into_values().into_iter().enumerate() {
                    let is_plain = !matches!(value, Value::Map(_) | Value::List(_));
                    let name = match self.resolves && is_plain {
                        true => name.clone(),
                        false => Cow::Owned(format!("{name}.{index}")),
                    };
                    self.add(name, value, depth - 1);
                }
            }
            value => self.put(name, value),
        }
    }

    fn put(&mut self, name: Cow<'v, str>, value: Value<'v>) {
        let is_there = |name: &str, pairs: &Pairs<'v>| pairs.iter().any(|(other, _)| other == name);
        if !is_there(&name, &self.pairs) {
            self.pairs.push((name, value));
        } else if self.resolves {
            let numbered = (0_u64..).map(|index| format!("{name}.{index}"));
            let mut free = numbered.filter(|numbered| !is_there(numbered, &self.pairs));
            let name = free.next().unwrap_or_default();
            self.pairs.push((Cow::Owned(name), value));
        } else if let Some((_, old)) = self.pairs.iter_mut().find(|(other, _)| *other == name) {
            *old = value;
        }
    }
}

fn stringify_all(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let target = args.target(0)?;
    if let Value::Map(map) = target.get(scene)?
        && map.iter().all(|(_, value)| matches!(value, Value::Str(_)))
    {
        return Ok(());
    }
    edit_map(target, scene, |mut pairs| {
        for (_, value) in &mut pairs {
            let text = std::mem::take(value).into_text().ok().flatten();
            *value = Value::Str(text.unwrap_or_default());
        }
        pairs
    })
}

fn truncate_all(args: EditArgs<'_>, scene: &mut Scene<'_>) -> Result<(), EvalError> {
    let Value::Int(limit) = args.value(1, scene)? else { return Ok(()) };
    let limit = usize::try_from(limit).map_err(|_| EvalError::new("the limit is negative"))?;
    let is_safe = !matches!(args.value(2, scene)?, Value::Bool(false));
    let marker = args.text(3, scene)?.unwrap_or_default().into_owned();
    let target = args.target(0)?;
    let is_long = |value: &Value<'_>| matches!(value, Value::Str(text) if text.len() > limit);
    if let Value::Map(map) = target.get(scene)?
        && !map.iter().any(|(_, value)| is_long(&value))
    {
        return Ok(());
    }
    edit_map(target, scene, |mut pairs| {
        for (_, value) in &mut pairs {
            if let Value::Str(text) = value
                && text.len() > limit
            {
                *value = Value::from(truncated(text, limit, is_safe, &marker));
            }
        }
        pairs
    })
}

/// The first `limit` bytes, the marker among them if it finds room. Text stays valid: without
/// `is_safe` what is cut inside a character becomes U+FFFD.
fn truncated(text: &str, limit: usize, is_safe: bool, marker: &str) -> String {
    let kept = if marker.len() < limit { limit - marker.len() } else { limit };
    let end = if is_safe { text.floor_char_boundary(kept) } else { kept };
    let bytes = text.as_bytes().get(..end).unwrap_or_default();
    let mut short = String::from_utf8_lossy(bytes).into_owned();
    if marker.len() < limit {
        short.push_str(marker);
    }
    short
}
