//! From sources to a document: read, merge, override, interpolate, check the outline.

use std::{fs, io::Read as _, path::PathBuf, sync::Arc};

use super::{
    Diagnostic, Document, Node, Place, SourceText, interpolate::Interpolation, merge, parse,
};

/// The largest configuration file.
const MAX_SOURCE_BYTES: u64 = 16 << 20;

/// The environment: what a variable holds, if it is set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a piece of configuration comes from: one `--config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file: `file:/etc/catchment.yaml`, or just its path.
    File(PathBuf),
    /// A variable that holds YAML: `env:CONFIG`.
    Env(String),
    /// YAML itself: `yaml:processors::batch::timeout: 2s`.
    Yaml(String),
    /// YAML that comes with the program, and what users know it as.
    Embedded {
        /// Shown in messages.
        name: String,
        /// The YAML.
        text: String,
    },
    /// A scheme that is not supported, refused when it is loaded.
    Unsupported(String),
}

impl Source {
    /// Reads what `--config` was given: a path, or a URI with `file:`, `env:` or `yaml:`.
    #[must_use]
    pub fn parse(argument: &str) -> Self {
        let Some((scheme, rest)) = argument.split_once(':') else {
            return Self::File(argument.into());
        };
        match scheme {
            "file" => Self::File(rest.into()),
            "env" => Self::Env(rest.to_owned()),
            "yaml" => Self::Yaml(rest.to_owned()),
            _ if is_scheme(scheme) => Self::Unsupported(argument.to_owned()),
            _ => Self::File(argument.into()),
        }
    }

    fn read(&self, index: usize, env: Env<'_>) -> Result<Arc<SourceText>, Diagnostic> {
        let (name, text) = match self {
            Self::File(path) => (path.display().to_string(), read_file(path)?),
            Self::Env(name) => {
                let text = env(name).ok_or_else(|| {
                    let message = format!("the configuration variable `{name}` is not set");
                    Diagnostic::error(message)
                })?;
                (format!("env:{name}"), text)
            }
            Self::Yaml(text) => ("yaml:".to_owned(), text.clone()),
            Self::Embedded { name, text } => (name.clone(), text.clone()),
            Self::Unsupported(uri) => {
                let scheme = uri.split(':').next().unwrap_or_default();
                let message = format!(
                    "configuration cannot be read from `{uri}`: `{scheme}:` is not supported"
                );
                let hint = "use a path, or `file:`, `env:`, `yaml:` or `embedded:`";
                return Err(Diagnostic::error(message).hint(hint));
            }
        };
        Ok(SourceText::new(name, text, index))
    }
}

/// Reads all `sources`, merges them from left to right, applies `sets` (`a.b=c`), expands `${…}`, and
/// checks the outline: sections, ids, pipelines and `service`.
///
/// `env` answers what a variable holds; the process's own environment is not looked at. What components
/// mean by their nodes, and whether references lead anywhere, is checked later: see
/// [`Document::check_references`].
///
/// # Errors
///
/// Fails with everything that was found wrong, warnings included.
pub fn load(
    sources: &[Source],
    sets: &[String],
    env: Env<'_>,
) -> Result<Document, Vec<Diagnostic>> {
    let document = outline(sources, sets, env)?;
    if document.problems().iter().any(Diagnostic::is_error) {
        return Err(document.problems().to_vec());
    }
    Ok(document)
}

/// As [`load`], but what is wrong with the outline or an insertion stays in
/// [`Document::problems`], so that the rest can be checked in the same run.
///
/// # Errors
///
/// Fails where there is nothing to check: a source cannot be read, is not YAML, or is empty.
pub fn outline(
    sources: &[Source],
    sets: &[String],
    env: Env<'_>,
) -> Result<Document, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut nodes = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        match source.read(index, env).map_err(|problem| vec![problem]) {
            Ok(text) => collect(parse::parse(&text), &mut nodes, &mut problems),
            Err(found) => problems.extend(found),
        }
    }
    for (index, set) in sets.iter().enumerate() {
        collect(parse_set(set, sources.len() + index), &mut nodes, &mut problems);
    }
    for node in &nodes {
        if !node.is_null() && node.as_map().is_none() {
            let message = format!("a configuration must be a map, here is {}", node.value().kind());
            problems.push(Diagnostic::error(message).at(node.place()));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let Some(mut root) = merge_all(nodes) else {
        return Err(vec![Diagnostic::error("there is no configuration")]);
    };
    let mut interpolation = Interpolation::new(env);
    interpolation.expand(&mut root);
    Document::from_root(root, interpolation.into_problems())
}

/// Merges from left to right; an empty source changes nothing.
fn merge_all(nodes: Vec<Node>) -> Option<Node> {
    let mut merged: Option<Node> = None;
    for node in nodes {
        let node = merge::spread_keys(node);
        match &mut merged {
            Some(base) if !node.is_null() => merge::merge(base, node),
            Some(_) => {}
            None => merged = Some(node),
        }
    }
    merged
}

fn collect(
    parsed: Result<Node, Vec<Diagnostic>>,
    nodes: &mut Vec<Node>,
    problems: &mut Vec<Diagnostic>,
) {
    match parsed {
        Ok(node) => nodes.push(node),
        Err(found) => problems.extend(found),
    }
}

/// Reads `a.b=c` as `a: {b: c}`.
fn parse_set(set: &str, index: usize) -> Result<Node, Vec<Diagnostic>> {
    let source = SourceText::new("--set", set, index);
    let start = Place::start(Arc::clone(&source));
    let Some((path, value)) = set.split_once('=') else {
        let problem = Diagnostic::error("`--set` needs `key=value`").at(&start);
        return Err(vec![problem.hint("for example `--set processors.batch.timeout=2s`")]);
    };
    let path = path.trim().replace('.', "::");
    if path.split("::").any(|part| part.trim().is_empty()) {
        return Err(vec![Diagnostic::error("a key of `--set` is empty").at(&start)]);
    }
    let value = SourceText::new("--set", value.trim(), index);
    let column = set
        .find('=')
        .map_or(1, |bytes| set.char_indices().take_while(|(at, _)| *at <= bytes).count() + 1);
    let width = value.text().chars().count();
    let place = Place::new(Arc::clone(&source), 1, column, width);
    let mut node = parse::parse(&value)?;
    node.move_to(&place);
    let key_place = Place::new(source, 1, 1, column.saturating_sub(2));
    Ok(merge::nest(&path, &key_place, node))
}

fn read_file(path: &std::path::Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    let cannot = |error: std::io::Error| {
        Diagnostic::error(format!("the configuration file `{shown}` cannot be read: {error}"))
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(cannot)?;
    file.take(MAX_SOURCE_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX_SOURCE_BYTES {
        let message =
            format!("the configuration file `{shown}` is larger than {MAX_SOURCE_BYTES} bytes");
        return Err(Diagnostic::error(message));
    }
    Ok(text)
}

/// As in the Collector: a letter, then at least one of letters, digits, `+`, `.`, `-`.
pub(super) fn is_scheme(text: &str) -> bool {
    let rest = |char: char| char.is_ascii_alphanumeric() || "+.-".contains(char);
    text.len() > 1
        && text.starts_with(|char: char| char.is_ascii_alphabetic())
        && text.chars().all(rest)
}
