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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tempfile::TempDir;

    use super::*;

    const SHOP: &str = "\
receivers: {otlp: {protocols: {grpc: }}}
processors:
  filter: {logs: {log_record: [severity_number < SEVERITY_NUMBER_INFO]}}
  resource: {attributes: [{action: upsert, key: site, value: '${env:SITE}'}]}
  batch: {timeout: 1s}
exporters: {otlp: {endpoint: 'b:1'}}
service:
  pipelines:
    logs: {receivers: [otlp], processors: [filter, resource, batch], exporters: [otlp]}
";

    const FAILING: &str = "\
config: shop.yaml
env: {SITE: north}
tests:
  - name: what differs is shown
    pipeline: logs
    input:
      - logs:
          - {body: a, severity: INFO, attributes: {status: 200, 'http.route': /a}}
          - {body: b, severity: DEBUG}
          - {body: c <&> \"d\"}
    expect:
      - exporter: otlp
        count: 3
        exact:
          - log: {body: a, severity: INFO, attributes: {status: '200'}, resource: {site: north}}
          - log: {body: b, severity: DEBUG, resource: {site: north}}
        contains:
          - log: {body: a, attributes: {status: 404}}
          - log: {body: a}
        ottl: [body == \"a\"]
        ottl_any: [body == \"z\"]
      - dropped: [{by: filter, reason: filtered, count: 2}]
  - name: what is right passes
    pipeline: logs
    input: [{log: {body: a, severity: INFO}}]
    expect: [{exporter: otlp, count: 1}]
";

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        test: Test,
    }

    /// A folder with these files.
    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    /// What is said of tests in the folder, whose path is left out, and the exit status.
    fn run_in(folder: &TempDir, line: &str) -> (String, u8) {
        let path = format!("{}/", folder.path().display());
        let line = line.split(' ').map(|word| match word.ends_with(".yaml") {
            true => format!("{path}{word}"),
            false => word.to_owned(),
        });
        let test = Line::try_parse_from(std::iter::once("test".to_owned()).chain(line));
        let (text, code) = test.unwrap().test.report(false).unwrap();
        (text.replace(&path, ""), code)
    }

    #[test]
    fn failures_show_what_differs() {
        let folder = folder(&[("shop.yaml", SHOP), ("t.yaml", FAILING)]);
        let (text, code) = run_in(&folder, "t.yaml");
        assert_eq!(code, 1);
        insta::assert_snapshot!(text);
        let test = Test {
            files: vec![folder.path().join("t.yaml")],
            filters: Vec::new(),
            junit: None,
            color: Color::Always,
        };
        let (text, _) = test.report(true).unwrap();
        for line in ["\x1b[32mok    \x1b[0m what is right", "\x1b[31m-   body: b\x1b[0m\n"] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn only_tests_of_a_name_are_run() {
        let folder = folder(&[("shop.yaml", SHOP), ("t.yaml", FAILING)]);
        let (text, code) = run_in(&folder, "--filter right t.yaml");
        assert_eq!((text.lines().last(), code), (Some("1 passed"), 0));
        let (text, code) = run_in(&folder, "--filter neither t.yaml");
        assert_eq!((text.as_str(), code), ("no test has such a name\n", CANNOT_RUN));
    }

    #[test]
    fn everything_wrong_with_a_file_is_told_with_its_place() {
        const FORM: &str = "\
config: shop.yaml
tests:
  - name: a
    processor: filter
    input:
      - log: {bdy: x, severity: LOUD, time: yesterday}
      - wait: 10s
      - otlp: {resourceLogs: [{scopeLogs: [{logRecords: [{bod: x}]}]}]}
    expect:
      - {count: many, exakt: []}
      - exact: [{advance: 1s}]
  - processor: filter
";
        const MEANING: &str = "\
config: shop.yaml
env: {SITE: north}
tests:
  - name: a
    pipeline: logs
    input:
      - span: {name: x}
      - log: {trace_id: xy}
      - file: nowhere.json
    expect:
      - count: 1
      - {exporter: otlb, count: 1}
      - {exporter: otlp, ottl: [severity_numbr > 1]}
      - {exporter: otlp}
  - name: a
    processor: filter
    pipeline: logs
  - {name: b, processor: batch, input: [{log: {body: x}}]}
  - name: c
    processor: [filter, bach]
    expect: [{count: 1}]
  - name: d
    processor: batch
    input: [{point: {name: a, value: 1}}, {log: {body: x}}]
    expect: [{ottl: ['body == \"x\"']}]
  - {name: e, pipeline: traces, expect: [{count: 1}]}
";
        let folder = folder(&[("shop.yaml", SHOP), ("form.yaml", FORM), ("meaning.yaml", MEANING)]);
        let (text, code) = run_in(&folder, "form.yaml meaning.yaml missing.yaml");
        let text = text.replace(&format!("{}/", folder.path().display()), "");
        assert_eq!(code, CANNOT_RUN);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn wrong_configuration_is_told_at_its_place() {
        let wrong = SHOP.replace("timeout: 1s", "timeut: 1s");
        let folder = folder(&[("shop.yaml", &wrong), ("t.yaml", FAILING)]);
        let (text, code) = run_in(&folder, "t.yaml");
        assert_eq!(code, CANNOT_RUN);
        assert!(text.contains("error: shop.yaml:5:11: unknown key `timeut`"), "{text}");
    }

    #[test]
    fn outcome_is_written_for_ci_systems() {
        let folder = folder(&[("shop.yaml", SHOP), ("t.yaml", FAILING), ("w.yaml", "config: x")]);
        let path = folder.path().join("junit.xml");
        let (_, code) = run_in(&folder, &format!("--junit {} t.yaml w.yaml", path.display()));
        assert_eq!(code, CANNOT_RUN);
        let xml = fs::read_to_string(path).unwrap();
        let xml = xml.replace(&format!("{}/", folder.path().display()), "");
        let times = regex::Regex::new(r#"time="[0-9.]+""#).unwrap();
        insta::assert_snapshot!(times.replace_all(&xml, "time=\"…\""));
    }

    #[test]
    fn examples_of_the_documentation_say_what_they_do() {
        let text = include_str!("../docs/testing.md");
        let blocks = |start: &str| {
            let blocks = text.split(start).skip(1);
            let blocks: Vec<&str> =
                blocks.map(|block| block.split("```").next().unwrap()).collect();
            blocks
        };
        let files = blocks("```yaml\n# ");
        let files: Vec<_> = files.iter().map(|file| file.split_once('\n').unwrap()).collect();
        assert_eq!(
            files.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["shop.yaml", "tests/shop.yaml"]
        );
        // The first line, which is the name, counts.
        let texts: Vec<_> = files.iter().map(|(name, text)| format!("# {name}\n{text}")).collect();
        let right = folder(&[(files[0].0, &texts[0]), (files[1].0, &texts[1])]);
        let broken = texts[0].replace("[0-9]{16}", "[0-9]{15}");
        let broken = folder(&[(files[0].0, &broken), (files[1].0, &texts[1])]);
        let told = blocks("```console\n$ catchment test ");
        assert_eq!(told.len(), 2);
        for ((folder, told), code) in [right, broken].iter().zip(told).zip([0, 1]) {
            let (line, told) = told.split_once('\n').unwrap();
            assert_eq!(run_in(folder, line), (told.to_owned(), code));
        }
    }

    #[test]
    fn every_pipeline_has_tests_and_they_pass() {
        let names = |folder: &str| -> BTreeSet<_> {
            let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let files = entries.filter(|path| is_yaml(path));
            files.map(|path| path.file_name().unwrap().to_owned()).collect()
        };
        assert_eq!(names("pipelines"), names("pipelines/tests"));
        let line = ["test", "pipelines/tests"];
        let (text, code) = Line::try_parse_from(line).unwrap().test.report(false).unwrap();
        assert_eq!(code, 0, "{text}");
    }
}
