//! `catchment test`: tests of pipelines.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::values::Color;
use crate::testing::{Failure, Line, Outcome, Side, Suite, TestFile, to_xml};
use crate::{app, config};

/// The status when tests cannot be run, as that of wrong arguments.
const CANNOT_RUN: u8 = 2;

/// Runs tests of pipelines: what goes into one, and what shall come out
///
/// A test puts records into processors or a whole pipeline of a configuration, on a clock of its
/// own and with nothing received or sent, and says what the exporters shall get. The exit status is
/// 0 if all tests pass, 1 if some fail, 2 if a file is wrong.
#[derive(Args, Debug)]
pub(super) struct Test {
    /// Files of tests, or folders with such files (`*.yaml`)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run only tests that have this in their name; may be given several times
    #[arg(long = "filter", value_name = "NAME")]
    filters: Vec<String>,
    /// Write the outcome here, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Colours: when the output is a terminal and NO_COLOR is not set, always, or never
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    color: Color,
}

impl Test {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let (text, code) = self.report(self.color.is_on(super::environment))?;
        super::print(&text)?;
        Ok(ExitCode::from(code))
    }

    /// What is said of the tests, and the exit status.
    fn report(&self, is_colored: bool) -> anyhow::Result<(String, u8)> {
        let mut suites = Vec::new();
        for path in self.paths()? {
            let outcomes = self.outcomes(&path).map_err(|problems| config::render(&problems));
            suites.push(Suite { name: path.display().to_string(), outcomes });
        }
        if let Some(path) = &self.junit {
            let cannot = || format!("cannot write `{}`", path.display());
            fs::write(path, to_xml(&suites)).with_context(cannot)?;
        }
        let mut report = Report { text: String::new(), is_colored };
        suites.iter().for_each(|suite| report.suite(suite));
        let outcomes = || suites.iter().flat_map(|suite| suite.outcomes.iter().flatten());
        let num_failed = outcomes().filter(|outcome| !outcome.failures.is_empty()).count();
        let num_wrong = suites.iter().filter(|suite| suite.outcomes.is_err()).count();
        let num_passed = outcomes().count() - num_failed;
        report.end([num_passed, num_failed, num_wrong]);
        let has_none = num_passed + num_failed == 0;
        let code = match (num_failed, num_wrong) {
            (_, 1..) => CANNOT_RUN,
            (0, 0) if has_none => CANNOT_RUN,
            (0, 0) => 0,
            (1.., 0) => 1,
        };
        Ok((report.text, code))
    }

    /// The files, those of folders in the order of their names.
    fn paths(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for path in &self.files {
            if !path.is_dir() {
                paths.push(path.clone());
                continue;
            }
            let cannot = || format!("cannot read the folder `{}`", path.display());
            let mut found = BTreeSet::new();
            for entry in fs::read_dir(path).with_context(cannot)? {
                found.insert(entry.with_context(cannot)?.path());
            }
            found.retain(|path| is_yaml(path));
            if found.is_empty() {
                bail!("the folder `{}` has no `*.yaml`", path.display());
            }
            paths.extend(found);
        }
        Ok(paths)
    }

    fn outcomes(&self, path: &Path) -> Result<Vec<Outcome>, Vec<config::Diagnostic>> {
        let file = TestFile::read(path)?;
        let env = |name: &str| file.variable(name);
        let configuration = file.configuration();
        let sources = app::sources(&configuration.files, &env)?;
        let loaded = app::load(&sources, &configuration.sets, &env)?;
        let is_chosen = |name: &str| {
            self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
        };
        file.run(&loaded.plan, is_chosen)
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// What is said, with colours or without.
struct Report {
    text: String,
    is_colored: bool,
}

impl Report {
    fn suite(&mut self, suite: &Suite) {
        match &suite.outcomes {
            Ok(outcomes) if outcomes.is_empty() => {}
            Ok(outcomes) => {
                let _ = writeln!(self.text, "{}", suite.name);
                outcomes.iter().for_each(|outcome| self.outcome(outcome));
                self.text.push('\n');
            }
            Err(told) => {
                let _ =
                    writeln!(self.text, "{}: {}\n\n{told}", suite.name, self.red("cannot be run"));
            }
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        let name = &outcome.name;
        if outcome.failures.is_empty() {
            let _ = writeln!(self.text, "  {} {name}", self.painted("32", "ok    "));
            return;
        }
        let _ = writeln!(self.text, "  {} {name}", self.red("FAILED"));
        for Failure { place, message, lines } in &outcome.failures {
            let _ = writeln!(self.text, "    {place}: {message}");
            if !lines.is_empty() {
                let (expected, actual) = (self.red("- expected"), self.painted("32", "+ came out"));
                let _ = writeln!(self.text, "      {expected}  {actual}");
            }
            for Line { side, text } in lines {
                let line = format!("{} {text}", side.sign());
                let line = match side {
                    Side::Both => line,
                    Side::Note => self.painted("1", text),
                    Side::Expected => self.red(&line),
                    Side::Actual => self.painted("32", &line),
                };
                let _ = writeln!(self.text, "      {line}");
            }
        }
    }

    fn end(&mut self, [passed, failed, wrong]: [usize; 3]) {
        if passed + failed + wrong == 0 {
            self.text.push_str("no test has such a name\n");
            return;
        }
        let mut parts = vec![format!("{passed} passed")];
        parts.extend((failed > 0).then(|| self.red(&format!("{failed} failed"))));
        let files = if wrong == 1 { "file" } else { "files" };
        parts.extend((wrong > 0).then(|| self.red(&format!("{wrong} {files} cannot be run"))));
        let _ = writeln!(self.text, "{}", parts.join(", "));
    }

    fn red(&self, text: &str) -> String {
        self.painted("31", text)
    }

    /// A text in a colour, by its number in ECMA-48's `SGR`.
    fn painted(&self, color: &str, text: &str) -> String {
        if self.is_colored { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
