//! The layers of ARCHITECTURE and lib.rs, checked in the source: imports point down only.
//!
//! Tests inside `src/` are left out: they may use what stands above them.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// From the bottom up; a module imports modules of lower rows only.
const LAYERS: [&[&str]; 7] = [
    &["data"],
    &["config", "telemetry"],
    &[
        "actions",
        "codec",
        "matching",
        "component",
        "net",
        "ottl",
        "sampling",
        "series",
        "storage",
        "workload",
    ],
    &["connectors", "exporters", "extensions", "processors", "query", "receivers", "topology"],
    &["api", "components", "testing"],
    &["app"],
    &["cli"],
];

/// Modules of components, which cannot name one another.
const COMPONENTS: [&str; 5] = ["connectors", "exporters", "extensions", "processors", "receivers"];

/// Dependencies that serve one module.
const DEPENDENCIES: [(&str, &str); 9] = [
    ("arrow", "storage"),
    ("bcrypt", "extensions::basicauth"),
    ("encoding_rs", "ottl"),
    ("jiff", "ottl"),
    ("md5", "ottl"),
    ("object_store", "storage"),
    ("parquet", "storage"),
    ("saphyr_parser", "config"),
    ("tantivy", "storage::logindex"),
];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 5] = ["common", "helpers", "prelude", "util", "utils"];

const MAX_LINES: usize = 500;

/// A file of `src/` without its tests.
struct Source {
    /// `storage::logindex::search`; empty for lib.rs and main.rs.
    module: String,
    text: String,
}

impl Source {
    /// `path` is relative to `src/`; nothing if all of the file is tests.
    fn new(path: &str, text: &str) -> Option<Self> {
        let module = path.strip_suffix(".rs")?;
        let module = module.strip_suffix("/mod").unwrap_or(module);
        let is_test = |name: &str| name == "tests" || name.starts_with("test_");
        if module.split('/').any(is_test) {
            return None;
        }
        let module = if matches!(module, "lib" | "main") { "" } else { module };
        let text = match text.find("\n#[cfg(test)]\nmod tests {") {
            Some(at) => &text[..=at],
            None => text,
        };
        Some(Self { module: module.replace('/', "::"), text: text.to_owned() })
    }

    /// What is wrong with it; `components` are the modules of components.
    fn violations(&self, components: &BTreeSet<String>) -> Vec<String> {
        let mut found = Vec::new();
        let num_lines = self.text.lines().count();
        if num_lines > MAX_LINES {
            found.push(format!("`{}` has {num_lines} lines before its tests", self.module));
        }
        let last = self.module.rsplit("::").next().unwrap_or_default();
        if EMPTY_NAMES.contains(&last) {
            found.push(format!("`{}` has a name that says nothing", self.module));
        }
        let paths = Scan::new(&self.text).paths(&self.module);
        for path in &paths.own {
            found.extend(self.import_violation(path, components));
        }
        for (name, home) in DEPENDENCIES {
            let is_used = paths.outside.contains(name) && !paths.imports(name);
            if is_used && !is_within(&self.module, home) {
                found.push(format!("`{}` uses `{name}`, which is `{home}`'s", self.module));
            }
        }
        found
    }

    fn import_violation(&self, path: &[String], components: &BTreeSet<String>) -> Option<String> {
        let (own, other) = (top(&self.module), path.first()?.as_str());
        let imported = path.join("::");
        if own.is_empty() {
            return None;
        }
        if own != other {
            let (Some(from), Some(to)) = (layer(own), layer(other)) else {
                return Some(format!("`{}` or `{imported}` is in no layer", self.module));
            };
            let direction = if to > from { "up" } else { "sideways" };
            return (to >= from)
                .then(|| format!("`{}` imports {direction}: `{imported}`", self.module));
        }
        let named = path.get(..2).map(|path| path.join("::"))?;
        let is_other =
            components.contains(&named) && !is_within(&self.module, &named) && self.module != own;
        is_other.then(|| format!("`{}` names another component: `{imported}`", self.module))
    }
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn is_within(module: &str, home: &str) -> bool {
    module == home || module.strip_prefix(home).is_some_and(|rest| rest.starts_with("::"))
}

/// What a file names.
#[derive(Default)]
struct Paths {
    /// From the root of the crate on.
    own: Vec<Vec<String>>,
    /// First names of other paths.
    outside: BTreeSet<String>,
}

impl Paths {
    /// Whether `name` is a module of ours that the file imports.
    fn imports(&self, name: &str) -> bool {
        self.own.iter().any(|path| {
            let mut names = path.iter().rev().filter(|name| *name != "self");
            names.next().is_some_and(|last| last == name)
        })
    }
}

/// Words and signs of a file, without comments and literals.
struct Scan {
    tokens: Vec<String>,
}

impl Scan {
    fn new(text: &str) -> Self {
        let mut tokens: Vec<String> = Vec::new();
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            let length = match char {
                '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
                'r' if rest.starts_with("r\"") || rest.starts_with("r#") => raw_string(rest),
                '"' => string(rest),
                '\'' => character(rest),
                _ if is_word(char) => {
                    let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
                    tokens.push(rest[..end].to_owned());
                    end
                }
                ':' if rest.starts_with("::") => {
                    tokens.push("::".to_owned());
                    2
                }
                _ => {
                    if !char.is_whitespace() {
                        tokens.push(char.to_string());
                    }
                    char.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        Self { tokens }
    }

    fn token(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", String::as_str)
    }

    /// The paths in a file of this module; those that start with `self` or a child are its own.
    fn paths(&self, module: &str) -> Paths {
        let mut paths = Paths::default();
        let mut here: Vec<String> =
            module.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        // Depths of braces at which inline modules began.
        let (mut depth, mut inline) = (0, Vec::new());
        for at in 0..self.tokens.len() {
            match self.token(at) {
                "{" => {
                    depth += 1;
                    if at > 1 && self.token(at - 2) == "mod" {
                        inline.push(depth);
                        here.push(self.token(at - 1).to_owned());
                    }
                }
                "}" => {
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        here.pop();
                    }
                    depth -= 1;
                }
                word if self.token(at + 1) == "::" && (at == 0 || self.token(at - 1) != "::") => {
                    let base = match word {
                        "crate" => Vec::new(),
                        "super" => here[..here.len().saturating_sub(1)].to_vec(),
                        _ => {
                            paths.outside.insert(word.to_owned());
                            continue;
                        }
                    };
                    self.tree(at + 2, base, &mut paths.own);
                }
                _ => {}
            }
        }
        paths
    }

    /// Reads `a::{b, c::*}` from `at` on; returns where it ends.
    fn tree(&self, mut at: usize, mut base: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
        loop {
            match self.token(at) {
                "super" => {
                    base.pop();
                }
                "{" => {
                    at += 1;
                    while !matches!(self.token(at), "}" | "") {
                        at = match self.token(at) {
                            "," => at + 1,
                            _ => self.tree(at, base.clone(), found),
                        };
                    }
                    return at + 1;
                }
                word if word.starts_with(is_word) => base.push(word.to_owned()),
                _ => {
                    // `*`, or the `<` of type arguments.
                    found.push(base);
                    return at + 1;
                }
            }
            at += 1;
            if self.token(at) != "::" {
                found.push(base);
                return if self.token(at) == "as" { at + 2 } else { at };
            }
            at += 1;
        }
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn string(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        match char {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
    if !rest[1 + hashes..].starts_with('"') {
        // A raw identifier.
        return 1;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = 2 + hashes;
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

/// A character, or the sign of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(rest.len(), |at| at + 4),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// The modules of components that `text`, the registry, lists: `exporters::debug`.
fn listed(text: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for kind in COMPONENTS {
        for (at, _) in text.match_indices(&format!("{kind}::")) {
            let path = &text[at..];
            let end =
                path[kind.len() + 2..].find("::").map_or(path.len(), |at| kind.len() + 2 + at);
            modules.insert(path[..end].to_owned());
        }
    }
    modules
}

/// All files, as paths relative to `src/` with their text.
fn files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
            continue;
        }
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix("src").unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn violations(files: &[(String, String)]) -> Vec<String> {
    let registry = files.iter().find(|(path, _)| path == "components.rs");
    let components = registry.map(|(_, text)| listed(text)).unwrap_or_default();
    let sources = files.iter().filter_map(|(path, text)| Source::new(path, text));
    sources.flat_map(|source| source.violations(&components)).collect()
}

#[test]
fn source_keeps_to_the_architecture() {
    let mut found = Vec::new();
    files(Path::new("src"), &mut found);
    assert!(found.len() > 100, "only {} files were found", found.len());
    let violations: BTreeSet<String> = violations(&found).into_iter().collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn every_module_has_a_layer() {
    let library = fs::read_to_string("src/lib.rs").unwrap();
    let modules = library.lines().filter_map(|line| line.strip_prefix("pub mod "));
    for module in modules.map(|module| module.trim_end_matches(';')) {
        assert!(layer(module).is_some(), "`{module}` is in no layer");
    }
}

/// The violations of one file beside two components.
fn violations_of(path: &str, text: &str) -> Vec<String> {
    let files = [
        (
            "components.rs",
            ".exporter::<exporters::debug::Config>().exporter::<exporters::nop::Config>()",
        ),
        (path, text),
    ];
    violations(&files.map(|(path, text)| (path.to_owned(), text.to_owned())))
}

fn assert_bad(path: &str, text: &str, expected: &str) {
    let found = violations_of(path, text);
    assert!(found.len() == 1 && found[0].contains(expected), "{path}: {text}\n{found:?}");
}

#[test]
fn imports_upward_are_found_in_every_form() {
    for text in [
        "use crate::exporters::nop;",
        "use crate::{data::Batch, exporters};",
        "use crate::{\n    data::{Batch, Time as Now},\n    exporters::{self, nop::*},\n};",
        "fn call() { crate::exporters::nop::build::<u8>(); }",
        "use super::exporters::nop;",
        "mod inner {\n    use super::super::exporters;\n}",
        "const A: char = '\"'; use crate::exporters; const B: char = '\"';",
        "fn a<'a>() -> &'a str { \"\\\"\" } use crate::exporters;",
    ] {
        let found = violations_of("config/mod.rs", text);
        assert!(!found.is_empty(), "{text}");
        assert!(found[0].contains("`config` imports up: `exporters"), "{text}\n{found:?}");
    }
    assert_bad("codec/inflate.rs", "use super::super::api::Servers;", "imports up");
    assert_bad("app.rs", "use crate::cli::Cli;", "imports up");
}

#[test]
fn imports_sideways_are_found() {
    assert_bad("config/load.rs", "use crate::telemetry::Clock;", "imports sideways");
    assert_bad("exporters/nop.rs", "use crate::topology::Engine;", "imports sideways");
    assert_bad("exporters/nop.rs", "use super::debug::Sampler;", "names another component");
    assert_bad("exporters/nop/a.rs", "use crate::exporters::debug;", "names another component");
}

#[test]
fn imports_downward_and_within_are_fine() {
    for (path, text) in [
        ("exporters/nop.rs", "use crate::component::Exporter;\nuse super::client::Client;"),
        ("exporters/nop/a.rs", "use super::{Config, super::client};"),
        ("exporters/debug.rs", "use crate::exporters::debug::Config;"),
        ("exporters/mod.rs", "pub mod debug;\npub use self::debug::Config;"),
        ("config/a.rs", "// use crate::exporters;\n/* crate::api::x */ r#\"crate::app::x\"#"),
        (
            "config/b.rs",
            "pub(super) fn a() {}\n\n#[cfg(test)]\nmod tests {\n    use crate::app::run;\n}",
        ),
        ("config/tests.rs", "use crate::app::run;"),
        ("main.rs", "use catchment::cli::Cli;"),
    ] {
        assert_eq!(violations_of(path, text), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn modules_outside_all_layers_are_found() {
    assert_bad("config/a.rs", "use crate::misc::x;", "is in no layer");
}

#[test]
fn long_files_are_found() {
    let line = "const A: u8 = 1;\n";
    assert_bad("data/a.rs", &line.repeat(501), "has 501 lines before its tests");
    let tested = format!("{}\n#[cfg(test)]\nmod tests {{\n{}}}", line.repeat(499), line.repeat(9));
    assert!(violations_of("data/a.rs", &tested).is_empty());
}

#[test]
fn names_that_say_nothing_are_found() {
    for name in EMPTY_NAMES {
        assert_bad(&format!("data/{name}.rs"), "", "name that says nothing");
        assert_bad(&format!("data/{name}/mod.rs"), "", "name that says nothing");
    }
}

#[test]
fn dependencies_outside_of_their_module_are_found() {
    assert_bad("api/search.rs", "use tantivy::Index;", "uses `tantivy`");
    assert_bad("exporters/nop.rs", "fn a() -> parquet::b::C {}", "uses `parquet`");
    assert!(violations_of("storage/logindex/index.rs", "use tantivy::Index;").is_empty());
    assert!(violations_of("app.rs", "fn a() { exporters::parquet::b() }").is_empty());
    let ours = "use crate::storage::parquet::{self, A};\nfn a() { parquet::b() }";
    assert!(violations_of("exporters/nop.rs", ours).is_empty());
}
