use super::super::*;
use crate::codec::otlp_json;
use crate::component::{Outbox, Processor};
use crate::data::Time;
use crate::data::tests::admit;
use crate::processors::test_stage::Stage;

fn batch(signal: Signal, json: &str) -> Batch {
    let bytes = otlp_json::decode(signal, json.as_bytes()).expect("the test's JSON");
    admit(signal, bytes.to_vec())
}

fn stage(signal: Signal, yaml: &str) -> Stage {
    Stage::try_new::<FilterConfig>(signal, yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

/// What stays, as JSON.
fn kept(signal: Signal, yaml: &str, json: &str) -> String {
    let batch = batch(signal, json);
    let (kept, _) = stage(signal, yaml).run(&batch);
    kept.map_or_else(String::new, |kept| {
        String::from_utf8(otlp_json::encode(&kept).to_vec()).expect("JSON is UTF-8")
    })
}

fn refusal(signal: Signal, yaml: &str) -> String {
    Stage::try_new::<FilterConfig>(signal, yaml).map(drop).unwrap_err()
}

const LOGS: &str = r#"{"resourceLogs": [
    {"resource": {"attributes": [{"key": "env", "value": {"stringValue": "dev"}}]}, "scopeLogs": [
        {"scope": {"name": "x"}, "logRecords": [{"severityNumber": 5, "body": {"stringValue": "one"}}]}]},
    {"resource": {"attributes": [{"key": "env", "value": {"stringValue": "prod"}}]}, "scopeLogs": [
        {"scope": {"name": "x"}, "logRecords": [
            {"severityNumber": 9, "body": {"stringValue": "two"}},
            {"severityNumber": 5, "body": {"stringValue": "three"}}]},
        {"scope": {"name": "y"}, "logRecords": [{"severityNumber": 9, "body": {"stringValue": "four"}}]}]}]}"#;

#[test]
fn logs_for_which_a_condition_holds_are_dropped() {
    for (yaml, expected) in [
        ("logs: {log_record: ['severity_number < SEVERITY_NUMBER_INFO']}", &["two", "four"][..]),
        (
            "logs: {log_record: ['severity_number < 9 and resource.attributes[\"env\"] == \"prod\"']}",
            &["one", "two", "four"],
        ),
        ("logs: {log_record: ['IsMatch(body, \"^t\")', 'body == \"one\"']}", &["four"]),
        ("logs: {resource: ['attributes[\"env\"] == \"dev\"']}", &["two", "three", "four"]),
        ("log_conditions: ['log.severity_number < 9', 'scope.name == \"y\"']", &["two"]),
        ("log_conditions: ['resource.attributes[\"env\"] == \"prod\"']", &["one"]),
        (
            "log_conditions: [{context: log, conditions: ['body == \"one\"']}]",
            &["two", "three", "four"],
        ),
        ("log_conditions: ['true']", &[]),
    ] {
        let json = kept(Signal::Logs, yaml, LOGS);
        let stays = ["one", "two", "three", "four"].into_iter().filter(|body| json.contains(body));
        assert_eq!(stays.collect::<Vec<_>>(), expected, "{yaml}");
    }
}

#[test]
fn spans_and_their_events_are_dropped() {
    let json = r#"{"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "root", "kind": 2,
         "events": [{"name": "grpc.timeout"}, {"name": "retry"}]},
        {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b175", "name": "child", "kind": 3,
         "parentSpanId": "eee19b7ec3c1b174", "status": {"code": 2, "message": "bad"}}]}]}]}"#;
    let yaml = "traces: {span: ['kind == SPAN_KIND_CLIENT and status.code == STATUS_CODE_ERROR']}";
    let after = kept(Signal::Traces, yaml, json);
    assert!(after.contains("root") && !after.contains("child"), "{after}");
    let yaml = "trace_conditions: ['spanevent.name == \"grpc.timeout\" and IsRootSpan()', 'not IsRootSpan()']";
    let after = kept(Signal::Traces, yaml, json);
    assert!(after.contains("retry") && !after.contains("grpc.timeout"), "{after}");
    assert!(after.contains("root") && !after.contains("child"), "{after}");
    let after = kept(Signal::Traces, "traces: {spanevent: ['event_index == 1']}", json);
    assert!(after.contains("grpc.timeout") && !after.contains("retry"), "{after}");
}

const METRICS: &str = r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [
    {"name": "requests", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
        {"asInt": "1", "attributes": [{"key": "path", "value": {"stringValue": "/a"}}]},
        {"asInt": "2", "attributes": [{"key": "path", "value": {"stringValue": "/b"}}]}]}},
    {"name": "sizes", "histogram": {"aggregationTemporality": 1, "dataPoints": [
        {"count": "5", "sum": 2.5, "bucketCounts": ["2", "3"], "explicitBounds": [1.0],
         "attributes": [{"key": "host", "value": {"stringValue": "h"}}]}]}}]}]}]}"#;

#[test]
fn metrics_and_their_points_are_dropped() {
    for (yaml, expected) in [
        (
            "metrics: {metric: ['type == METRIC_DATA_TYPE_HISTOGRAM']}",
            &["requests", "/a", "/b"][..],
        ),
        (
            "metrics: {metric: ['is_monotonic == true and aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE']}",
            &["sizes"],
        ),
        ("metrics: {metric: ['HasAttrKeyOnDatapoint(\"path\")']}", &["sizes"]),
        (
            "metrics: {metric: ['HasAttrOnDatapoint(\"path\", \"/b\") and name == \"none\"']}",
            &["requests", "sizes", "/a", "/b"],
        ),
        ("metrics: {datapoint: ['attributes[\"path\"] == \"/a\"']}", &["requests", "sizes", "/b"]),
        ("metrics: {datapoint: ['value_int > 1']}", &["requests", "sizes", "/a"]),
        ("metrics: {datapoint: ['metric.name == \"requests\"']}", &["sizes"]),
        (
            "metric_conditions: ['datapoint.count == 5 and datapoint.sum == 2.5']",
            &["requests", "/a", "/b"],
        ),
        (
            "metric_conditions: ['datapoint.bucket_counts == [2, 3] and datapoint.explicit_bounds == [1.0]']",
            &["requests", "/a", "/b"],
        ),
        (
            "metric_conditions: ['datapoint.attributes[\"host\"] == \"h\"', 'metric.name == \"requests\"']",
            &[],
        ),
    ] {
        let json = kept(Signal::Metrics, yaml, METRICS);
        let stays =
            ["requests", "sizes", "/a", "/b"].into_iter().filter(|text| json.contains(text));
        assert_eq!(stays.collect::<Vec<_>>(), expected, "{yaml}");
    }
}

/// Of a condition that fails, the record stays; with `propagate`, nothing of the batch does.
#[test]
fn errors_are_ignored_or_drop_the_batch() {
    let yaml = "logs: {log_record: ['body / 2 == 1', 'body == \"two\"']}";
    for mode in ["ignore", "silent"] {
        let json = kept(Signal::Logs, &format!("{{{yaml}, error_mode: {mode}}}"), LOGS);
        assert!(json.contains("one") && !json.contains("two"), "{mode}: {json}");
    }
    let node = crate::config::Node::parse("test.yaml", yaml).unwrap();
    let config: FilterConfig = crate::config::from_node(&node, "processors::filter").unwrap();
    let mut filter =
        Filter { selection: config.logs.clone(), conditions: config.log_conditions.clone() };
    let mut out = Outbox::new(Time::default(), None, false);
    let error = filter.process(batch(Signal::Logs, LOGS), &mut out).unwrap_err();
    assert_eq!(error.reason, "condition_failed");
    assert_eq!(error.source.unwrap().to_string(), "`body / 2 == 1` failed");
}

#[test]
fn wrong_conditions_are_named() {
    for (yaml, expected) in [
        ("logs: {log_record: ['severity_nmber < 9']}", "did you mean `severity_number`?"),
        (
            "logs: {log_record: ['severity_number < 9']}\nlog_conditions: ['body == \"a\"']",
            "write `log.body`",
        ),
        ("trace_conditions: ['log.body == nil']", "there is no `log` here"),
        ("trace_conditions: [{context: log, conditions: ['true']}]", "there is no `log` here"),
        ("trace_conditions: [{context: spans, conditions: ['true']}]", "`spans` is no context"),
        ("traces: {span: ['HasAttrKeyOnDatapoint(\"a\")']}", "unknown converter"),
        ("log_conditions: [1]", "expected a statement, a condition, or a map"),
    ] {
        let error = refusal(Signal::Logs, yaml);
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    let error = refusal(Signal::Logs, "logs:\n  log_record:\n    - body ==\n");
    assert!(error.contains("test.yaml:3:14: expected a value"), "{error}");
    assert!(error.contains("processors::filter::logs::log_record[0]"), "{error}");
}
