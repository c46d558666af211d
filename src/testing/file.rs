//! A file of tests: read, and its configuration found.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use super::forms::FileForm;
use super::prepare::Preparer;
use super::run::{self, Outcome};
use crate::config::{Diagnostic, Node, read};
use crate::data::Time;
use crate::topology::Plan;

/// The largest file of tests, and of records.
const MAX_BYTES: u64 = 16 << 20;

/// Where the clock stands when a test begins: 2026-01-01T00:00:00Z.
const START: Time = Time::from_unix_nanos(1_767_225_600_000_000_000);

/// A file of tests that was read.
pub struct TestFile {
    pub(super) path: PathBuf,
    pub(super) form: FileForm,
    node: Node,
}

/// The configuration that a file of tests is about, as on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// As after `--config`.
    pub files: Vec<String>,
    /// As after `--set`.
    pub sets: Vec<String>,
}

impl TestFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Fails with everything that is wrong with it, each with its place.
    pub fn read(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let text = read_text(path).map_err(|problem| vec![problem])?;
        let node = Node::parse(&path.display().to_string(), &text)?;
        let read = read::<FileForm>(&node, "")?;
        // Nothing doubtful is tested.
        let (form, mut problems) = (read.value, read.warnings);
        if form.config.is_empty() {
            let problem = Diagnostic::error("`config` must name what is tested");
            problems.push(problem.at(node.place()).hint("for example `config: ../default.yaml`"));
        }
        if form.tests.is_empty() {
            problems.push(Diagnostic::error("there are no `tests`").at(node.place()));
        }
        if problems.is_empty() {
            Ok(Self { path: path.to_owned(), form, node })
        } else {
            Err(problems)
        }
    }

    /// The configuration that it is about.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let files = self.form.config.iter().map(|config| match config.split_once(':') {
            Some((scheme, _)) if scheme.len() > 1 => config.clone(),
            _ => joined(folder, config).display().to_string(),
        });
        Configuration { files: files.collect(), sets: self.form.set.clone() }
    }

    /// A variable as its configuration sees it.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.form.env.get(name).cloned()
    }

    /// Runs the tests of it that are `chosen` by their names, in the order of the file.
    ///
    /// # Errors
    ///
    /// Fails when a test cannot be run on `plan`, chosen or not, with everything that is wrong.
    pub fn run(
        &self,
        plan: &Plan,
        chosen: impl Fn(&str) -> bool,
    ) -> Result<Vec<Outcome>, Vec<Diagnostic>> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let start = self.form.start.map_or(START, |start| start.0);
        let mut preparer = Preparer::new(plan, folder, start);
        let nodes = self.node.get("tests").and_then(Node::as_list).unwrap_or_default();
        let tests = self.form.tests.iter().zip(nodes).enumerate();
        let prepared: Vec<_> = tests
            .filter_map(|(index, (form, node))| {
                preparer.test(form, node, &format!("tests[{index}]"))
            })
            .collect();
        let problems = preparer.finish();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(prepared.into_iter().filter(|test| chosen(&test.name)).map(run::run).collect())
    }
}

/// A path that was written in a file of a folder.
pub(super) fn joined(folder: &Path, path: impl AsRef<Path>) -> PathBuf {
    let mut joined = PathBuf::new();
    for component in folder.join(path).components() {
        let last = joined.components().next_back();
        match (component, last) {
            (Component::ParentDir, Some(Component::Normal(_))) => drop(joined.pop()),
            _ => joined.push(component),
        }
    }
    joined
}

/// The text of a file that is not too large.
pub(super) fn read_text(path: &Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    let cannot = |error| Diagnostic::error(format!("the file `{shown}` cannot be read: {error}"));
    let mut text = String::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Diagnostic::error(format!(
            "the file `{shown}` has more than {MAX_BYTES} bytes"
        )));
    }
    Ok(text)
}
