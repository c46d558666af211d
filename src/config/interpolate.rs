//! `${…}` and `$$` in values, as the Collector expands them.

use std::{fs, io::Read as _, sync::Arc};

use super::{Diagnostic, Node, Place, SourceText, Value, load::Env, load::is_scheme, parse};

/// The most URIs in one value.
const MAX_URIS: usize = 100;
/// The most expansions of one value of the file, those of inserted text counted.
const MAX_ROUNDS: usize = 1000;
/// The longest value, and the largest file that can be inserted.
const MAX_INSERTED_BYTES: usize = 8 << 20;

/// Expands the values of a tree and keeps what went wrong.
pub(super) struct Interpolation<'a> {
    env: Env<'a>,
    problems: Vec<Diagnostic>,
}

impl<'a> Interpolation<'a> {
    pub(super) const fn new(env: Env<'a>) -> Self {
        Self { env, problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<Diagnostic> {
        self.problems
    }

    /// Expands all values of the tree; keys are left as they are.
    pub(super) fn expand(&mut self, node: &mut Node) {
        match node.value_mut() {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| self.expand(node)),
            Value::Map(map) => {
                map.entries_mut().iter_mut().for_each(|entry| self.expand(&mut entry.node));
            }
            Value::String(text) if text.contains('$') => {
                let text = text.clone();
                let spots = spots_of(&text, node.place());
                let mut value = Expansion { outer: self, spots, rounds: 0, reported: false };
                value.expand_scalar(node, false, 0);
            }
            _ => {}
        }
    }
}

/// The expansion of one scalar of the file, with all that it inserts.
struct Expansion<'a, 'env> {
    outer: &'a mut Interpolation<'env>,
    spots: Spots,
    rounds: usize,
    reported: bool,
}

/// What a URI stands for.
struct Retrieved {
    text: String,
    value: Value,
}

impl Expansion<'_, '_> {
    /// Replaces a string by what it expands to.
    fn expand_scalar(&mut self, node: &mut Node, mut is_inserted: bool, depth: usize) {
        while let Some(text) = node.as_str().map(str::to_owned) {
            let mut num_uris = 0;
            let inserted_at = is_inserted.then(|| node.place().clone());
            let Some(body) = whole_uri(&text) else {
                let num_before = self.outer.problems.len();
                let expanded = self.expand_text(&text, inserted_at.as_ref(), &mut num_uris);
                let found = self.outer.problems.get(num_before..).unwrap_or_default();
                // What is left of a text would only be called wrong once more.
                let is_broken = found.iter().any(Diagnostic::is_error);
                let value = if is_broken { Value::Null } else { Value::String(expanded) };
                *node = Node::new(value, node.place().clone());
                return;
            };
            let place = self.spots.next(inserted_at.as_ref());
            let uri = self.expand_uri(body, (&place, is_inserted), &mut num_uris);
            let Some(retrieved) = uri.and_then(|uri| self.retrieve(&uri, &place)) else {
                *node = Node::new(Value::Null, place);
                return;
            };
            let is_final = !retrieved.text.contains('$');
            let text = is_final.then(|| Arc::from(retrieved.text.as_str()));
            *node = Node::new(retrieved.value, place.clone()).with_text(text);
            is_inserted = true;
            if is_final {
                break;
            }
        }
        self.expand_inserted(node, depth);
    }

    /// Expands the elements of an inserted list or map.
    fn expand_inserted(&mut self, node: &mut Node, depth: usize) {
        if depth > parse::MAX_DEPTH {
            let message = format!("inserted values are nested more than {} deep", parse::MAX_DEPTH);
            self.report(Diagnostic::error(message).at(&node.place().clone()));
            *node = Node::new(Value::Null, node.place().clone());
            return;
        }
        match node.value_mut() {
            Value::List(nodes) => {
                nodes.iter_mut().for_each(|node| self.expand_nested(node, depth + 1));
            }
            Value::Map(map) => {
                let entries = map.entries_mut().iter_mut();
                entries.for_each(|entry| self.expand_nested(&mut entry.node, depth + 1));
            }
            _ => {}
        }
    }

    fn expand_nested(&mut self, node: &mut Node, depth: usize) {
        if node.as_str().is_some_and(|text| text.contains('$')) {
            self.expand_scalar(node, true, depth);
        } else {
            self.expand_inserted(node, depth);
        }
    }

    /// Expands every `${…}` within a longer text, and halves runs of `$`.
    ///
    /// `inserted_at` is the place of all of them if the text was inserted.
    fn expand_text(
        &mut self,
        text: &str,
        inserted_at: Option<&Place>,
        num_uris: &mut usize,
    ) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, run, after)) = split_at_dollars(rest) {
            expanded.push_str(before);
            expanded.extend(std::iter::repeat_n('$', run / 2));
            rest = after;
            if run % 2 == 0 {
                continue;
            }
            let Some((body, after)) = split_body(rest) else {
                expanded.push('$');
                continue;
            };
            rest = after;
            let place = self.spots.next(inserted_at);
            let uri = self.expand_uri(body, (&place, inserted_at.is_some()), num_uris);
            let inserted = uri.and_then(|uri| {
                let retrieved = self.retrieve(&uri, &place)?;
                self.spliced(&uri, retrieved, &place, num_uris)
            });
            expanded.push_str(&inserted.unwrap_or_default());
            if expanded.len() > MAX_INSERTED_BYTES {
                let message = format!("the value is longer than {MAX_INSERTED_BYTES} bytes");
                self.report(Diagnostic::error(message).at(&place));
                return String::new();
            }
        }
        expanded.push_str(rest);
        expanded
    }

    /// The text that is put into a longer one.
    fn spliced(
        &mut self,
        uri: &str,
        retrieved: Retrieved,
        place: &Place,
        num_uris: &mut usize,
    ) -> Option<String> {
        if matches!(retrieved.value, Value::List(_) | Value::Map(_)) {
            let kind = retrieved.value.kind();
            let message = format!("`${{{uri}}}` is {kind}, which cannot be put into a longer text");
            self.report(Diagnostic::error(message).at(place));
            return None;
        }
        if !retrieved.text.contains('$') {
            return Some(retrieved.text);
        }
        Some(self.expand_text(&retrieved.text, Some(place), num_uris))
    }

    /// Expands what is between the braces; nothing once the value has too many URIs.
    fn expand_uri(
        &mut self,
        body: &str,
        (place, is_inserted): (&Place, bool),
        num_uris: &mut usize,
    ) -> Option<String> {
        *num_uris += 1;
        self.rounds += 1;
        if self.reported {
            return None;
        }
        if *num_uris > MAX_URIS || self.rounds > MAX_ROUNDS {
            let message = if *num_uris > MAX_URIS {
                format!("more than {MAX_URIS} `${{…}}` in one value")
            } else {
                format!("the value still holds `${{…}}` after {MAX_ROUNDS} expansions")
            };
            let problem = Diagnostic::error(message).at(place);
            self.report(problem.hint("does it insert itself?"));
            self.reported = true;
            return None;
        }
        if !body.contains('$') {
            return Some(body.to_owned());
        }
        Some(self.expand_text(body, is_inserted.then_some(place), num_uris))
    }

    /// Reads what a URI stands for.
    fn retrieve(&mut self, uri: &str, place: &Place) -> Option<Retrieved> {
        let result = match uri.split_once(':') {
            None => self.retrieve_env(uri, place),
            Some(("env", name)) => self.retrieve_env(name, place),
            Some(("file", path)) => read_file(path).map(Some),
            Some(("yaml", text)) => Ok(Some(text.to_owned())),
            Some((name, default)) if default.starts_with('-') && is_variable(name) => {
                self.retrieve_env(uri, place)
            }
            Some((scheme, _)) => Err(unknown_scheme(uri, scheme)),
        };
        match result {
            Ok(text) => text.map(|text| typed(text, place)),
            Err(problem) => {
                self.report(problem.at(place));
                None
            }
        }
    }

    fn retrieve_env(&mut self, uri: &str, place: &Place) -> Result<Option<String>, Diagnostic> {
        let (name, default) = match uri.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (uri, None),
        };
        if !is_variable(name) {
            let message = format!("`{name}` is not the name of a variable");
            let hint = "a letter or `_`, then letters, digits and `_`; write `$$` for a plain `$`";
            return Err(Diagnostic::error(message).hint(hint));
        }
        if let Some(text) = (self.outer.env)(name) {
            return Ok(Some(text));
        }
        if default.is_none() {
            let message = format!("the variable `{name}` is not set, its value is taken as null");
            let hint = format!("a default can be given: `${{env:{name}:-default}}`");
            self.report(Diagnostic::warning(message).at(place).hint(hint));
        }
        Ok(default.map(str::to_owned))
    }

    fn report(&mut self, problem: Diagnostic) {
        self.outer.problems.push(problem);
    }
}

/// Where the `${` of a scalar stand in the file.
struct Spots {
    whole: Place,
    places: std::vec::IntoIter<Place>,
}

impl Spots {
    /// The next one; what stands in inserted text is at the spot of the insertion.
    fn next(&mut self, inserted_at: Option<&Place>) -> Place {
        if let Some(place) = inserted_at {
            return place.clone();
        }
        self.places.next().unwrap_or_else(|| self.whole.clone())
    }
}

/// Finds the `${…}` of a scalar in its source, as far as they are on its first line.
fn spots_of(text: &str, place: &Place) -> Spots {
    let mut places = Vec::new();
    let line = place.source().line(place.line()).unwrap_or_default();
    let skip = place.column().saturating_sub(1);
    let chars: Vec<char> = line.chars().skip(skip).collect();
    let num_uris = text.matches("${").count();
    let mut at = 0;
    while places.len() < num_uris && at + 1 < chars.len() {
        if chars[at] != '$' {
            at += 1;
            continue;
        }
        let run = chars.iter().skip(at).take_while(|char| **char == '$').count();
        let start = at + run - 1;
        at += run;
        if run % 2 == 0 || chars.get(at) != Some(&'{') {
            continue;
        }
        let width = matching_brace(&chars, at).map_or(2, |end| end + 1 - start);
        let source = Arc::clone(place.source());
        places.push(Place::new(source, place.line(), skip + start + 1, width));
    }
    Spots { whole: place.clone(), places: places.into_iter() }
}

/// The place of the `}` that closes the `{` at `open`.
fn matching_brace(chars: &[char], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, char) in chars.iter().enumerate().skip(open) {
        if *char == '{' && index > 0 && chars[index - 1] == '$' {
            depth += 1;
        }
        if *char == '}' {
            depth -= 1;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// The body, if the text is one `${…}` and nothing else.
fn whole_uri(text: &str) -> Option<&str> {
    let (body, after) = split_body(text.strip_prefix('$')?)?;
    after.is_empty().then_some(body)
}

/// Splits `{body}after` at the brace that closes it; a `${` within the body opens another pair.
fn split_body(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{')?;
    let mut depth = 1_usize;
    let mut was_dollar = false;
    for (index, char) in inner.char_indices() {
        match char {
            '{' if was_dollar => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let (body, after) = inner.split_at(index);
            return Some((body, after.strip_prefix('}').unwrap_or(after)));
        }
        was_dollar = char == '$';
    }
    None
}

/// Splits before and after the first run of `$`, and counts the run.
fn split_at_dollars(text: &str) -> Option<(&str, usize, &str)> {
    let (before, from) = text.split_at(text.find('$')?);
    let after = from.trim_start_matches('$');
    Some((before, from.len() - after.len(), after))
}

/// Reads inserted text as YAML; what is no YAML is a string, and a string is its whole text.
fn typed(text: String, place: &Place) -> Retrieved {
    let parsed = parse::parse(&SourceText::new("", text.as_str(), 0));
    let value = match parsed {
        Ok(mut node) if node.as_str().is_none() => {
            node.move_to(place);
            node.into_value()
        }
        _ => Value::String(text.clone()),
    };
    Retrieved { text, value }
}

/// Reads a file without the line end of its last line.
fn read_file(path: &str) -> Result<String, Diagnostic> {
    let cannot = |error: std::io::Error| {
        Diagnostic::error(format!("the file `{path}` cannot be read: {error}"))
    };
    let mut text = String::new();
    let limit = MAX_INSERTED_BYTES as u64 + 1;
    fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_string(&mut text))
        .map_err(cannot)?;
    if text.len() > MAX_INSERTED_BYTES {
        let message = format!("the file `{path}` is larger than {MAX_INSERTED_BYTES} bytes");
        return Err(Diagnostic::error(message));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

fn unknown_scheme(uri: &str, scheme: &str) -> Diagnostic {
    if !is_scheme(scheme) {
        return Diagnostic::error(format!("`${{{uri}}}` is not a variable or a URI"));
    }
    let message = format!("`{scheme}:` in `${{{uri}}}` is not supported");
    Diagnostic::error(message).hint("use `env:`, `file:` or `yaml:`")
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}
