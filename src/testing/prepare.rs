//! From what is written to what is run: references are followed, records and conditions read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use super::evaluate::{Check, Condition};
use super::file::{joined, read_text};
use super::flat;
use super::forms::{self, Expected, Step, TestForm};
use super::records::Records;
use crate::config::{ComponentId, Diagnostic, Node, PipelineId, Place, did_you_mean};
use crate::data::{Signal, Time};
use crate::topology::{Plan, Rehearsal};

/// What processors under test pass on, as an exporter.
const OUTPUT: &str = "output";

/// A test that can be run.
pub(super) struct Test {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) rehearsal: Rehearsal,
    pub(super) actions: Vec<Action>,
}

/// A step of a test.
pub(super) enum Action {
    /// Requests come in, each into the pipeline of its signal.
    Take(Records, Vec<PipelineId>),
    /// Time goes by.
    Advance(Duration),
    /// Stages let go of what they hold.
    Flush,
    /// What has come out.
    Expect(Check),
}

/// Gathers what is wrong with tests.
pub(super) struct Preparer<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    start: Time,
    problems: Vec<Diagnostic>,
    names: Vec<(String, Place)>,
}

/// Something in the file: what is there, and its path in messages.
#[derive(Clone, Copy)]
struct Here<'a> {
    node: &'a Node,
    path: &'a str,
}

impl Here<'_> {
    /// The place of a key's value, or of the whole.
    fn place(&self, key: &str) -> &Place {
        self.node.get(key).unwrap_or(self.node).place()
    }
}

/// What is under test.
struct Subject {
    rehearsal: Rehearsal,
    /// The pipelines that take input.
    pipelines: Vec<PipelineId>,
    /// Whose output is meant where no exporter is named.
    output: Option<ComponentId>,
    /// The signals that came in so far.
    input: BTreeSet<Signal>,
}

impl Subject {
    /// The exporters that get something, each with the signals that come to it.
    fn exporters(&self) -> BTreeMap<ComponentId, BTreeSet<Signal>> {
        let reach = self.pipelines.iter().filter_map(|id| self.rehearsal.exporters(id));
        reach.flatten().map(|(id, signals)| (id.clone(), signals.clone())).collect()
    }
}

impl<'a> Preparer<'a> {
    pub(super) const fn new(plan: &'a Plan, folder: &'a Path, start: Time) -> Self {
        Self { plan, folder, start, problems: Vec::new(), names: Vec::new() }
    }

    /// Everything that was wrong.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        self.problems
    }

    /// Makes a test ready, if nothing is wrong with it.
    pub(super) fn test(&mut self, form: &TestForm, node: &Node, path: &str) -> Option<Test> {
        let here = Here { node, path };
        let place = here.place("name").clone();
        if let Some((_, first)) = self.names.iter().find(|(name, _)| *name == form.name) {
            let problem = Diagnostic::error(format!("a test is called `{}` already", form.name));
            self.problems.push(problem.at(&place).in_path(path).see(first, "first here"));
        }
        self.names.push((form.name.clone(), place.clone()));
        let mut subject = self.subject(form, here)?;
        let mut actions = Vec::new();
        let steps = node.get("input").and_then(Node::as_list).unwrap_or_default();
        for (index, (step, node)) in form.input.iter().zip(steps).enumerate() {
            let path = format!("{path}::input[{index}]");
            self.step(step, Here { node, path: &path }, &mut subject, &mut actions);
        }
        actions.push(Action::Flush);
        self.checks(&form.expect, here, &subject, &mut actions);
        let expects = |step: &Step| matches!(step, Step::Expect(checks) if !checks.is_empty());
        if form.expect.is_empty() && !form.input.iter().any(expects) {
            self.wrong("a test must `expect` something", &place, path);
        }
        Some(Test { name: form.name.clone(), place, rehearsal: subject.rehearsal, actions })
    }

    fn wrong(&mut self, message: impl Into<String>, place: &Place, path: &str) {
        self.problems.push(Diagnostic::error(message).at(place).in_path(path));
    }

    /// What is under test, built.
    fn subject(&mut self, form: &TestForm, here: Here<'_>) -> Option<Subject> {
        let start = self.start;
        let num_problems = self.problems.len();
        let (built, pipelines, output) = match (form.processor.as_slice(), &form.pipeline) {
            ([], None) => {
                self.wrong("a test needs `processor` or `pipeline`", here.place("name"), here.path);
                return None;
            }
            ([_, ..], Some(_)) => {
                let message = "a test has `processor` or `pipeline`, not both";
                self.wrong(message, here.place("pipeline"), here.path);
                return None;
            }
            ([], Some(pipeline)) => {
                self.check_pipeline(pipeline, here);
                let built = Rehearsal::of_pipelines(self.plan, start);
                (built, vec![pipeline.clone()], None)
            }
            (processors, None) => {
                self.check_processors(processors, here);
                let output: ComponentId = OUTPUT.parse().ok()?;
                let signals = Signal::ALL.into_iter();
                let ids = signals.filter_map(|signal| PipelineId::try_new(signal, None).ok());
                let built = Rehearsal::of_processors(self.plan, processors, &output, start);
                (built, ids.collect(), Some(output))
            }
        };
        if self.problems.len() > num_problems {
            return None;
        }
        match built {
            Ok(rehearsal) => {
                let input = pipelines.iter().map(PipelineId::signal);
                let input = if output.is_some() { BTreeSet::new() } else { input.collect() };
                Some(Subject { rehearsal, pipelines, output, input })
            }
            Err(problems) => {
                for problem in problems {
                    if !self.problems.contains(&problem) {
                        self.problems.push(problem);
                    }
                }
                None
            }
        }
    }

    fn check_pipeline(&mut self, pipeline: &PipelineId, here: Here<'_>) {
        let known: Vec<String> = self.plan.pipelines().map(ToString::to_string).collect();
        let name = pipeline.to_string();
        if known.contains(&name) {
            return;
        }
        let problem = Diagnostic::error(format!("there is no pipeline `{name}`"));
        let problem = problem.at(here.place("pipeline")).in_path(here.path);
        self.problems.push(problem.hint(hint(&name, &known)));
    }

    fn check_processors(&mut self, processors: &[ComponentId], here: Here<'_>) {
        let known: Vec<String> = self.plan.processors().map(ToString::to_string).collect();
        let written = here.node.get("processor");
        for (index, id) in processors.iter().enumerate() {
            let name = id.to_string();
            if known.contains(&name) {
                continue;
            }
            let node = written.and_then(|node| node.as_list()?.get(index)).or(written);
            let place = node.unwrap_or(here.node).place();
            let problem = Diagnostic::error(format!("there is no processor `{name}`"));
            let problem = problem.at(place).in_path(here.path);
            self.problems.push(problem.hint(hint(&name, &known)));
        }
    }

    fn step(
        &mut self,
        step: &Step,
        here: Here<'_>,
        subject: &mut Subject,
        actions: &mut Vec<Action>,
    ) {
        match step {
            Step::Advance(duration) => actions.push(Action::Advance(*duration)),
            Step::Expect(checks) => self.checks(checks, here, subject, actions),
            Step::Records(records) => {
                let Some(records) = self.records(records, here) else { return };
                for signal in records.signals() {
                    subject.input.insert(signal);
                    let mut pipelines = subject.pipelines.iter();
                    if !pipelines.any(|id| id.signal() == signal && subject.rehearsal.has(id)) {
                        let message = format!("what is tested does not take {}", signal.as_str());
                        self.wrong(message, here.node.place(), here.path);
                    }
                }
                actions.push(Action::Take(records, subject.pipelines.clone()));
            }
        }
    }

    /// Whole records, those of files too.
    fn records(&mut self, records: &Records, here: Here<'_>) -> Option<Records> {
        let read = match records {
            Records::Requests(_) => Ok(records.clone()),
            Records::File(path) => {
                let path = joined(self.folder, path);
                let text = read_text(&path).map_err(|problem| problem.message().to_owned());
                text.and_then(|text| {
                    let read = Records::of_lines(&text);
                    read.map_err(|message| format!("{}: {message}", path.display()))
                })
            }
        };
        let read = read.and_then(|records| match records.is_partial() {
            true => Err("a point's `type` must be set: `gauge`, `sum` or `histogram`".to_owned()),
            false => records.batches(self.start).map(|_| records),
        });
        read.map_err(|message| self.wrong(message, here.node.place(), here.path)).ok()
    }

    fn checks(
        &mut self,
        checks: &[forms::Check],
        outer: Here<'_>,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) {
        let nodes = outer.node.get("expect").and_then(Node::as_list).unwrap_or_default();
        for (index, (form, node)) in checks.iter().zip(nodes).enumerate() {
            let path = format!("{}::expect[{index}]", outer.path);
            let check = self.check(form, Here { node, path: &path }, subject);
            actions.extend(check.map(Action::Expect));
        }
    }

    fn check(&mut self, form: &forms::Check, here: Here<'_>, subject: &Subject) -> Option<Check> {
        if !form.is_about_output() && form.dropped.is_none() {
            let message = "nothing is expected here: `count`, `exact`, `contains`, `ottl` or `dropped` \
                           is needed";
            self.wrong(message, here.node.place(), here.path);
        }
        let exporter = self.exporter(form, here, subject);
        let exact = form.exact.as_ref().map(|exact| self.expected(exact, (here, "exact")));
        let contains = self.expected(&form.contains, (here, "contains"));
        let signal = form.signal.map(Signal::from);
        let signals = match (signal, &exporter) {
            (Some(signal), _) => BTreeSet::from([signal]),
            (None, Some(id)) if subject.output.as_ref() != Some(id) => {
                subject.exporters().get(id).cloned().unwrap_or_default()
            }
            (None, _) => subject.input.clone(),
        };
        let all = self.conditions("ottl", here, &signals);
        let any = self.conditions("ottl_any", here, &signals);
        Some(Check {
            place: here.node.place().clone(),
            exporter: exporter?,
            signal,
            count: form.count,
            exact,
            contains,
            all,
            any,
            dropped: form.dropped.clone(),
        })
    }

    /// Whose output a check is about.
    fn exporter(
        &mut self,
        form: &forms::Check,
        here: Here<'_>,
        subject: &Subject,
    ) -> Option<ComponentId> {
        let known = subject.exporters();
        match (&form.exporter, &subject.output) {
            (None, Some(output)) => return Some(output.clone()),
            (None, None) if !form.is_about_output() => return OUTPUT.parse().ok(),
            (None, None) => {
                let message = "`exporter` must say whose output is meant";
                self.wrong(message, here.node.place(), here.path);
            }
            (Some(_), Some(_)) => {
                let message = "a test of processors has no exporters";
                self.wrong(message, here.place("exporter"), here.path);
            }
            (Some(id), None) if known.contains_key(id) => return Some(id.clone()),
            (Some(id), None) => {
                let known: Vec<String> = known.keys().map(ToString::to_string).collect();
                let problem =
                    Diagnostic::error(format!("nothing of this comes to an exporter `{id}`"));
                let problem = problem.at(here.place("exporter")).in_path(here.path);
                self.problems.push(problem.hint(hint(&id.to_string(), &known)));
            }
        }
        None
    }

    /// Records that shall be there, as they are compared.
    fn expected(&mut self, expected: &[Expected], (here, key): (Here<'_>, &str)) -> Vec<Json> {
        let nodes = here.node.get(key).and_then(Node::as_list).unwrap_or_default();
        let mut flat = Vec::new();
        for (index, (Expected(records), node)) in expected.iter().zip(nodes).enumerate() {
            let path = format!("{}::{key}[{index}]", here.path);
            let here = Here { node, path: &path };
            if key == "contains" && records.is_partial() {
                flat.extend(records.flat());
                continue;
            }
            let Some(records) = self.records(records, here) else { continue };
            match key {
                "contains" => flat.extend(records.flat()),
                _ => {
                    let batches = records.batches(self.start).unwrap_or_default();
                    flat.extend(batches.iter().flat_map(flat::of_batch));
                }
            }
        }
        flat
    }

    fn conditions(
        &mut self,
        key: &str,
        here: Here<'_>,
        signals: &BTreeSet<Signal>,
    ) -> Vec<Condition> {
        let Some(list) = here.node.get(key) else { return Vec::new() };
        let nodes = list.as_list().unwrap_or(std::slice::from_ref(list));
        if nodes.is_empty() {
            return Vec::new();
        }
        let Some(signal) = signals.first().filter(|_| signals.len() == 1) else {
            let message = "`signal` must say which records the conditions are about";
            self.wrong(message, list.place(), here.path);
            return Vec::new();
        };
        let mut conditions = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            match Condition::try_new(node, *signal) {
                Ok(condition) => conditions.push(condition),
                Err(problems) => {
                    let path = format!("{}::{key}[{index}]", here.path);
                    let problems = problems.into_iter();
                    self.problems.extend(problems.map(|problem| problem.in_path(&path)));
                }
            }
        }
        conditions
    }
}

/// What may have been meant, or what there is.
fn hint(name: &str, known: &[String]) -> String {
    let known = || known.iter().map(String::as_str);
    did_you_mean(name, known())
        .unwrap_or_else(|| format!("there are: {}", known().collect::<Vec<_>>().join(", ")))
}
