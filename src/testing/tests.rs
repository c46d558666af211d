//! Tests of the parts that the command's own tests do not look at one by one.

use std::collections::BTreeSet;
use std::fs;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::compare::{self, Side};
use super::records::Records;
use super::{Outcome, TestFile, flat};
use crate::app::{self, Loaded};
use crate::component::{
    BuildContext, BuildError, Outbox, ProcessError, Processor, ProcessorConfig, Sharding,
};
use crate::components;
use crate::config::{Diagnostic, Source, outline, render};
use crate::data::{Batch, Signal, Time};
use crate::topology::Plan;

fn load(file: &TestFile) -> Result<Loaded, Vec<Diagnostic>> {
    let env = |name: &str| file.variable(name);
    let configuration = file.configuration();
    app::load(&app::sources(&configuration.files, &env)?, &configuration.sets, &env)
}

fn run(file: &TestFile) -> Result<Vec<Outcome>, Vec<Diagnostic>> {
    file.run(&load(file)?.plan, |_| true)
}

/// The outcomes of tests of a configuration with these processors, of logs and metrics.
fn outcomes(processors: &str, pipeline: &str, tests: &str) -> Vec<Outcome> {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: }}}}}}\n\
         processors: {{{processors}}}\n\
         connectors: {{forward: , routing: {{table: [{{context: log, condition: 'body == \"a\"', \
         pipelines: [logs/a]}}], default_pipelines: [logs/b]}}}}\n\
         exporters: {{nop/a: , nop/b: , nop/m: }}\n\
         service: {{pipelines: {{logs: {{receivers: [otlp], processors: [{pipeline}], exporters: \
         [routing, forward]}}, logs/a: {{receivers: [routing], exporters: [nop/a]}}, logs/b: \
         {{receivers: [routing], exporters: [nop/b]}}, logs/all: {{receivers: [forward], exporters: \
         [nop/m]}}}}}}\n"
    );
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    let path = folder.path().join("tests.yaml");
    fs::write(&path, format!("config: config.yaml\ntests:\n{tests}")).unwrap();
    let file = TestFile::read(&path).unwrap_or_else(|problems| panic!("{}", render(&problems)));
    run(&file).unwrap_or_else(|problems| panic!("{}", render(&problems)))
}

fn assert_passed(outcomes: &[Outcome]) {
    for outcome in outcomes {
        assert!(outcome.failures.is_empty(), "{outcome:#?}");
    }
}

#[test]
fn connectors_pass_on_to_the_pipelines_behind_them() {
    let tests = "
  - name: each goes its way
    pipeline: logs
    input: [{logs: [{body: a}, {body: b}, {body: c}]}]
    expect:
      - {exporter: nop/a, exact: [{log: {body: a}}]}
      - {exporter: nop/b, exact: [{logs: [{body: c}, {body: b}]}]}
      - {exporter: nop/m, count: 3}
  - name: one may begin behind them
    pipeline: logs/b
    input: [{log: {body: a}}]
    expect: [{exporter: nop/b, count: 1}]
";
    assert_passed(&outcomes("", "", tests));
}

#[test]
fn stages_are_called_when_their_time_has_come() {
    let tests = "
  - name: a batch waits for its time, and a full one does not
    processor: batch
    input:
      - log: {body: a}
      - advance: 9s
      - expect: [{count: 0}]
      - advance: 1s
      - expect: [{count: 1}]
      - logs: [{body: b}, {body: c}, {body: d}]
      - expect: [{count: 4}]
    expect: [{count: 4}]
  - name: a series that was silent begins anew
    processor: deltatocumulative
    input:
      - point: &p {name: a, type: sum, temporality: delta, monotonic: true, value: 2, start_time: 1, time: 2}
      - advance: 59s
      - point: {<<: *p, start_time: 2, time: 3}
      - expect: [{ottl_any: [value_int == 4]}]
      - advance: 2m
      - point: {<<: *p, start_time: 3, time: 4}
    expect:
      - count: 3
        contains: [{point: {value: 2, time: 4, temporality: cumulative}}]
";
    let processors =
        "batch: {timeout: 10s, send_batch_size: 3}, deltatocumulative: {max_stale: 1m}";
    assert_passed(&outcomes(processors, "", tests));
}

#[test]
fn processors_work_together_in_the_order_that_is_written() {
    let tests = "
  - name: first the one, then the other
    processor: [transform/one, transform/two]
    input: [{log: {body: a}}]
    expect: [{exact: [{log: {body: aone}}]}]
  - name: first the other
    processor: [transform/two, transform/one]
    input: [{log: {body: a}}]
    expect: [{exact: [{log: {body: two}}]}]
";
    let processors = "transform/one: {log_statements: ['set(log.body, Concat([log.body, \"one\"], \"\"))']}, \
         transform/two: {log_statements: ['set(log.body, \"two\") where log.body == \"a\"']}";
    let outcomes = outcomes(processors, "", tests);
    assert_passed(&outcomes[..1]);
    // In the other order `two` comes first, and `one` goes behind it.
    assert_eq!(outcomes[1].failures.len(), 1);
    let lines = &outcomes[1].failures[0].lines;
    assert!(lines.iter().any(|line| line.side == Side::Actual && line.text == "  body: twoone"));
}

#[test]
fn requests_of_files_and_in_json_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"},"severityNumber":"SEVERITY_NUMBER_WARN"}]}]}]}"#;
    fs::write(folder.path().join("in.json"), format!("{line}\n{line}\n")).unwrap();
    let config = "receivers: {otlp: {protocols: {grpc: }}}\nprocessors: {batch: }\n\
                  exporters: {nop: }\nservice: {pipelines: {logs: {receivers: [otlp], exporters: [nop]}}}\n";
    fs::write(folder.path().join("c.yaml"), config).unwrap();
    let tests = format!(
        "config: c.yaml\ntests:\n- name: a\n  processor: batch\n  input: [{{file: in.json}}, {{otlp: {line}}}]\n  \
         expect:\n  - exact: [{{file: in.json}}, {{log: {{body: a, severity_number: 13}}}}]\n  \
         - contains: [{{otlp: {line}}}]\n"
    );
    fs::write(folder.path().join("t.yaml"), tests).unwrap();
    let file = TestFile::read(&folder.path().join("t.yaml")).unwrap();
    let outcomes = run(&file).unwrap_or_else(|problems| panic!("{}", render(&problems)));
    assert_passed(&outcomes);
}

#[derive(Clone, Deserialize)]
struct Panicky {}

impl ProcessorConfig for Panicky {
    const TYPE: &'static str = "panicky";
    const EXAMPLE: &'static str = "{}";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        Ok(Box::new(self.clone()))
    }
}

impl Processor for Panicky {
    fn process(&mut self, _: Batch, _: &mut Outbox) -> Result<(), ProcessError> {
        panic!("as it must")
    }
}

#[test]
fn what_a_stage_panics_on_fails_a_test_unless_it_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tests.yaml");
    let tests = "\
config: x
tests:
  - {name: a, processor: panicky, input: [{log: {body: a}}], expect: [{count: 0}]}
  - name: b
    processor: panicky
    input: [{log: {body: a}}]
    expect: [{dropped: [{by: panicky, reason: panic, count: 1}]}]
";
    fs::write(&path, tests).unwrap();
    let config = "yaml:{receivers: {otlp: {protocols: {grpc: }}}, processors: {panicky: {}}, \
                  exporters: {nop: }, service: {pipelines: {logs: {receivers: [otlp], exporters: [nop]}}}}";
    let mut document = outline(&[Source::parse(config)], &[], &|_| None).unwrap();
    let registry = components::builtin().processor::<Panicky>();
    let plan = Plan::try_new(&mut document, &registry).unwrap();
    let outcomes = TestFile::read(&path).unwrap().run(&plan, |_| true).unwrap();
    assert_passed(&outcomes[1..]);
    let [failure] = outcomes[0].failures.as_slice() else { panic!("{outcomes:#?}") };
    assert_eq!(failure.message, "records were dropped, `panicky: panic`: 1");
}

#[test]
fn only_a_complete_list_of_what_was_dropped_passes() {
    let tests = "
  - {name: a, processor: filter, input: [{log: {body: a}}], expect: [{dropped: [{by: filter, count: 1}]}]}
  - {name: b, processor: filter, input: [{log: {body: a}}], expect: [{dropped: []}]}
  - {name: c, processor: filter, input: [{log: {body: a}}], expect: [{dropped: [{by: filter, reason: x, count: 1}]}]}
";
    let outcomes = outcomes("filter: {logs: {log_record: ['body == \"a\"']}}", "", tests);
    let passed: Vec<_> = outcomes.iter().map(|outcome| outcome.failures.is_empty()).collect();
    assert_eq!(passed, [true, false, false]);
}

#[test]
fn each_pattern_needs_a_record_of_its_own_and_gets_it_if_that_can_be() {
    let records = [json!({"log": {"a": 1, "b": 1}}), json!({"log": {"a": 1}})];
    let (wide, narrow) = (json!({"log": {"a": 1}}), json!({"log": {"a": 1, "b": 1}}));
    let missing = |patterns: &[Json]| compare::contains(patterns, &records);
    // The wide one must leave the first record to the narrow one.
    assert_eq!(missing(&[wide.clone(), narrow.clone()]), []);
    assert_eq!(missing(&[wide.clone(), wide.clone()]), []);
    assert!(!missing(&[narrow.clone(), narrow]).is_empty());
    assert!(!missing(&[wide.clone(), wide.clone(), wide]).is_empty());
}

#[test]
fn records_are_equal_whatever_their_order_and_grouping() {
    let flat = |text: &str| {
        let records = Records::of_lines(text).unwrap();
        let batches = records.batches(Time::default()).unwrap();
        batches.iter().flat_map(flat::of_batch).collect::<Vec<_>>()
    };
    let resource = r#""resource":{"attributes":[{"key":"a","value":{"intValue":"1"}}]}"#;
    let one = format!(
        r#"{{"resourceLogs":[{{{resource},"scopeLogs":[{{"logRecords":[{{"severityText":"x"}},{{"severityText":"y"}}]}}]}}]}}"#
    );
    let two = format!(
        r#"{{"resource_logs":[{{{resource},"scopeLogs":[{{"logRecords":[{{"severity_text":"y"}}]}}]}},{{{resource},"scopeLogs":[{{"logRecords":[{{"severityText":"x","severityNumber":0}}]}}]}}]}}"#
    );
    assert_eq!(compare::exact(&flat(&one), &flat(&two)), []);
    let other = one.replace(r#"{"intValue":"1"}"#, r#"{"doubleValue":1}"#);
    assert!(!compare::exact(&flat(&one), &flat(&other)).is_empty());
    assert_eq!(flat(&one)[0], json!({"log": {"severity_text": "x", "resource": {"a": 1}}}));
}

#[test]
fn everything_that_a_metric_has_is_compared() {
    let request = json!({"resourceMetrics": [{"schemaUrl": "r", "scopeMetrics": [{
        "scope": {"name": "s"}, "schemaUrl": "t",
        "metrics": [{"name": "m", "metadata": [{"key": "k", "value": {"boolValue": true}}],
        "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [
            {"timeUnixNano": "1767225600000000000", "count": "2", "sum": 1.5, "scale": -1,
             "positive": {"offset": 3, "bucketCounts": ["1", "1"]},
             "exemplars": [{"asInt": "5", "timeUnixNano": "1"}]}]}}]}]}]});
    let expected = json!({"point": {
        "name": "m", "metadata": {"k": true}, "type": "exponential_histogram",
        "temporality": "delta", "time": "2026-01-01T00:00:00Z", "count": 2, "sum": 1.5, "scale": -1,
        "positive": {"offset": 3, "bucket_counts": [1, 1]},
        "exemplars": [{"value": 5, "time": "1970-01-01T00:00:00.000000001Z"}],
        "scope": {"name": "s"}, "scope_schema_url": "t", "resource_schema_url": "r"}});
    assert_eq!(flat::flatten(Signal::Metrics, &request), [expected]);
}

/// Files in `pipelines/tests`.
fn files_of_pipelines() -> Vec<TestFile> {
    let entries = fs::read_dir("pipelines/tests").unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = entries.map(|path| TestFile::read(&path).unwrap()).collect();
    assert!(files.len() >= 7);
    files
}

/// The names of the tests that fail, or of all if they cannot be run.
fn failed(file: &TestFile) -> BTreeSet<String> {
    let names = || file.form.tests.iter().map(|test| test.name.clone());
    let Ok(outcomes) = run(file) else { return names().collect() };
    let failed = outcomes.into_iter().filter(|outcome| !outcome.failures.is_empty());
    failed.map(|outcome| outcome.name).collect()
}

#[test]
fn tests_of_pipelines_fail_when_nothing_comes_in() {
    for mut file in files_of_pipelines() {
        let names: BTreeSet<_> = file.form.tests.iter().map(|test| test.name.clone()).collect();
        file.form.tests.iter_mut().for_each(|test| test.input.clear());
        assert_eq!(failed(&file), names, "{}", file.path.display());
    }
}

#[test]
fn tests_of_pipelines_fail_when_a_processor_is_missing() {
    for mut file in files_of_pipelines() {
        let plan = load(&file).unwrap().plan;
        let sets = plan.pipelines().map(|id| format!("service.pipelines.{id}.processors=[]"));
        file.form.set = sets.collect();
        assert!(!failed(&file).is_empty(), "{}", file.path.display());
    }
}
