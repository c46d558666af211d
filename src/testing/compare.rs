//! What differs between records that shall be there and records that are.

use serde_json::Value as Json;

/// So many differences are shown of one comparison.
const MAX_SHOWN: usize = 5;

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it is.
    pub side: Side,
    /// Without an end.
    pub text: String,
}

/// Where a line of a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// On both sides.
    Both,
    /// In what is expected only.
    Expected,
    /// In what came out only.
    Actual,
    /// On none: it says what follows.
    Note,
}

impl Side {
    /// What a line begins with.
    #[must_use]
    pub const fn sign(self) -> char {
        match self {
            Self::Both | Self::Note => ' ',
            Self::Expected => '-',
            Self::Actual => '+',
        }
    }
}

/// What is missing and what is too much, whatever the order; nothing where both are the same.
pub(super) fn exact(expected: &[Json], actual: &[Json]) -> Vec<Line> {
    let mut missing: Vec<&Json> = Vec::new();
    let mut surplus: Vec<&Json> = actual.iter().collect();
    for record in expected {
        match surplus.iter().position(|other| *other == record) {
            Some(at) => drop(surplus.remove(at)),
            None => missing.push(record),
        }
    }
    let mut lines = Lines::default();
    for record in missing {
        let nearest = nearest(record, &surplus, Extent::Whole);
        let title = match nearest {
            Some(_) => "a record differs:",
            None => "a record is missing:",
        };
        let nearest = nearest.map(|at| surplus.remove(at));
        lines.add(title, |out| diff(Some(record), nearest, (0, Extent::Whole), out));
    }
    for record in surplus {
        lines.add("a record is too much:", |out| {
            diff(None, Some(record), (0, Extent::Whole), out);
        });
    }
    lines.finish()
}

/// What of `patterns` is not there, each in a record of its own; nothing where all are.
pub(super) fn contains(patterns: &[Json], actual: &[Json]) -> Vec<Line> {
    let mut taken: Vec<Option<usize>> = vec![None; actual.len()];
    let mut missing = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        let mut seen = vec![false; actual.len()];
        if !assign(index, patterns, actual, (&mut taken, &mut seen)) {
            missing.push(pattern);
        }
    }
    let free = actual.iter().zip(&taken).filter(|(_, pattern)| pattern.is_none());
    let mut free: Vec<&Json> = free.map(|(record, _)| record).collect();
    let mut lines = Lines::default();
    for pattern in missing {
        let nearest = nearest(pattern, &free, Extent::Part);
        let title = match nearest {
            Some(_) => "no record is as expected; the nearest differs:",
            None => "no record is left that could be as expected:",
        };
        let nearest = nearest.map(|at| free.remove(at));
        lines.add(title, |out| diff(Some(pattern), nearest, (0, Extent::Part), out));
    }
    lines.finish()
}

/// Gives a pattern a record, if need be that of another pattern, which gets another one then
/// (Kuhn's algorithm for matchings in bipartite graphs).
fn assign(
    pattern: usize,
    patterns: &[Json],
    actual: &[Json],
    (taken, seen): (&mut Vec<Option<usize>>, &mut Vec<bool>),
) -> bool {
    for (at, record) in actual.iter().enumerate() {
        let is_new = seen.get(at) == Some(&false);
        if !is_new || !patterns.get(pattern).is_some_and(|pattern| is_part(pattern, record)) {
            continue;
        }
        seen[at] = true;
        let other = taken[at];
        if other.is_none_or(|other| assign(other, patterns, actual, (taken, seen))) {
            taken[at] = Some(pattern);
            return true;
        }
    }
    false
}

/// Whether a record has all that is written in a pattern.
fn is_part(pattern: &Json, record: &Json) -> bool {
    let mut lines = Vec::new();
    diff(Some(pattern), Some(record), (0, Extent::Part), &mut lines);
    lines.iter().all(|line| line.side == Side::Both)
}

/// How much of a record is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// All.
    Whole,
    /// What is written.
    Part,
}

/// The record with the fewest differences, of those of the same kind.
fn nearest(wanted: &Json, records: &[&Json], extent: Extent) -> Option<usize> {
    let kind = |record: &Json| record.as_object().and_then(|map| map.keys().next().cloned());
    let same = records.iter().enumerate().filter(|(_, record)| kind(record) == kind(wanted));
    let distance = |record: &Json| {
        let mut lines = Vec::new();
        diff(Some(wanted), Some(record), (0, extent), &mut lines);
        lines.iter().filter(|line| line.side != Side::Both).count()
    };
    same.min_by_key(|(_, record)| distance(record)).map(|(at, _)| at)
}

/// Differences under their titles.
#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    num_shown: usize,
    num_hidden: usize,
}

impl Lines {
    fn add(&mut self, title: &str, write: impl FnOnce(&mut Vec<Line>)) {
        if self.num_shown == MAX_SHOWN {
            self.num_hidden += 1;
            return;
        }
        self.num_shown += 1;
        self.lines.push(Line { side: Side::Note, text: title.to_owned() });
        write(&mut self.lines);
    }

    fn finish(mut self) -> Vec<Line> {
        if self.num_hidden > 0 {
            let text = format!("and {} more", self.num_hidden);
            self.lines.push(Line { side: Side::Note, text });
        }
        self.lines
    }
}

/// Writes two maps side by side, key by key; a side that is not there is not compared.
fn diff(
    expected: Option<&Json>,
    actual: Option<&Json>,
    (depth, extent): (usize, Extent),
    out: &mut Vec<Line>,
) {
    let map = |side: Option<&Json>| side.and_then(Json::as_object).cloned().unwrap_or_default();
    let (wanted, found) = (map(expected), map(actual));
    let mut keys: Vec<&String> = wanted.keys().chain(found.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        match (wanted.get(key), found.get(key)) {
            (Some(Json::Object(one)), Some(Json::Object(other))) => {
                push(Side::Both, depth, key, None, out);
                let (one, other) = (Json::Object(one.clone()), Json::Object(other.clone()));
                diff(Some(&one), Some(&other), (depth + 1, extent), out);
            }
            (Some(one), Some(other)) if one == other => {
                push(Side::Both, depth, key, Some(one), out)
            }
            // What has no value is not there in OTLP.
            (Some(one), None) if extent == Extent::Part && is_zero(one) => {
                push(Side::Both, depth, key, Some(one), out);
            }
            (None, Some(_)) if extent == Extent::Part && expected.is_some() => {}
            (one, other) => {
                if let Some(one) = one {
                    push(Side::Expected, depth, key, Some(one), out);
                }
                if let Some(other) = other {
                    push(Side::Actual, depth, key, Some(other), out);
                }
            }
        }
    }
}

fn is_zero(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(flag) => !flag,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty() || text == "unspecified" || text == "unset",
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => map.is_empty(),
    }
}

/// A key with its value, in lines where that is a map.
fn push(side: Side, depth: usize, key: &str, value: Option<&Json>, out: &mut Vec<Line>) {
    let indent = "  ".repeat(depth);
    let key = if is_plain(key) { key.to_owned() } else { Json::from(key).to_string() };
    match value {
        None => out.push(Line { side, text: format!("{indent}{key}:") }),
        Some(Json::Object(map)) if !map.is_empty() => {
            out.push(Line { side, text: format!("{indent}{key}:") });
            for (key, value) in map {
                push(side, depth + 1, key, Some(value), out);
            }
        }
        Some(value) => {
            let value = match value {
                Json::String(text) if is_plain(text) && !is_scalar(text) => text.clone(),
                other => other.to_string(),
            };
            out.push(Line { side, text: format!("{indent}{key}: {value}") });
        }
    }
}

/// Whether a text can stand in YAML without quotes.
fn is_plain(text: &str) -> bool {
    let starts = text.starts_with(|char: char| char.is_alphanumeric() || "/_.".contains(char));
    let is_easy = |char: char| char.is_alphanumeric() || "-_./+ ,()".contains(char);
    starts && text.chars().all(is_easy) && !text.ends_with(' ')
}

/// Whether YAML would take it for something else than a text.
fn is_scalar(text: &str) -> bool {
    text.parse::<f64>().is_ok()
        || text.starts_with(|char: char| char.is_ascii_digit())
        || matches!(
            text.to_lowercase().as_str(),
            "true" | "false" | "null" | "nan" | ".nan" | ".inf"
        )
}
