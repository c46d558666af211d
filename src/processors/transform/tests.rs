mod metrics;

use super::*;
use crate::codec::otlp_json;
use crate::data::Time;
use crate::data::tests::admit;
use crate::processors::test_stage::Stage;

fn batch(signal: Signal, json: &str) -> Batch {
    let bytes = otlp_json::decode(signal, json.as_bytes()).expect("the test's JSON");
    admit(signal, bytes.to_vec())
}

fn stage(signal: Signal, yaml: &str) -> Stage {
    Stage::try_new::<TransformConfig>(signal, yaml)
        .unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

/// What comes out, as JSON; it is valid, as the door would check.
fn after(signal: Signal, yaml: &str, json: &str) -> String {
    let batch = batch(signal, json);
    let (edited, _) = stage(signal, yaml).run(&batch);
    let edited = edited.expect("a batch");
    for chunk in edited.chunks() {
        admit(signal, chunk.to_vec());
    }
    String::from_utf8(otlp_json::encode(&edited).to_vec()).expect("JSON is UTF-8")
}

/// `json` after the statements is what `expected` is without any.
fn check(signal: Signal, yaml: &str, json: &str, expected: &str) {
    let expected = batch(signal, expected);
    let expected = String::from_utf8(otlp_json::encode(&expected).to_vec()).unwrap();
    assert_eq!(after(signal, yaml, json), expected, "{yaml}");
}

fn logs(resource: &str, first: &str, second: &str) -> String {
    let attribute = |value: &str| {
        if value.is_empty() {
            return String::new();
        }
        format!(r#"{{"key": "k", "value": {{"stringValue": "{value}"}}}}"#)
    };
    let [resource, first, second] = [resource, first, second].map(attribute);
    format!(
        r#"{{"resourceLogs": [{{"resource": {{"attributes": [{resource}]}}, "scopeLogs": [{{"logRecords": [
            {{"body": {{"stringValue": "one"}}, "attributes": [{first}]}},
            {{"body": {{"stringValue": "two"}}, "attributes": [{second}]}}]}}]}}]}}"#
    )
}

#[test]
fn logs_are_changed() {
    let start = logs("r", "a", "b");
    for (yaml, expected) in [
        (
            "log_statements: ['set(log.attributes[\"k\"], \"x\") where log.body == \"two\"']",
            logs("r", "a", "x"),
        ),
        (
            "log_statements: [{context: log, statements: ['set(attributes[\"k\"], resource.attributes[\"k\"])']}]",
            logs("r", "r", "r"),
        ),
        ("log_statements: ['set(resource.attributes[\"k\"], \"x\")']", logs("x", "a", "b")),
        (
            "log_statements: ['set(resource.attributes[\"k\"], log.attributes[\"k\"])']",
            logs("b", "a", "b"),
        ),
        // The second record sees what the first one wrote.
        (
            "log_statements: [{context: log, statements: ['set(attributes[\"k\"], resource.attributes[\"k\"])', 'set(resource.attributes[\"k\"], body)']}]",
            logs("two", "r", "one"),
        ),
        (
            "log_statements: [{conditions: ['log.body == \"one\"', 'log.body == \"no\"'], statements: ['delete_key(log.attributes, \"k\")']}]",
            logs("r", "", "b"),
        ),
        (
            "log_statements: ['set(log.cache[\"a\"], log.body)', 'set(log.attributes[\"k\"], log.cache[\"a\"])']",
            logs("r", "one", "two"),
        ),
        (
            "log_statements: [{context: resource, statements: ['delete_key(attributes, \"k\")']}]",
            logs("", "a", "b"),
        ),
        ("trace_statements: ['set(span.name, \"x\")']", logs("r", "a", "b")),
    ] {
        check(Signal::Logs, yaml, &start, &expected);
    }
}

const TRACES: &str = r#"{"resourceSpans": [{"scopeSpans": [{"scope": {"name": "lib"}, "spans": [
    {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "GET /a", "kind": 2,
     "events": [{"name": "e1"}, {"name": "e2", "attributes": [{"key": "k", "value": {"intValue": "1"}}]}],
     "links": [{"traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b175"}]}]}]}]}"#;

#[test]
fn spans_events_and_links_are_changed() {
    for (statement, old, new) in [
        ("set(span.name, \"x\")", "GET /a", "x"),
        ("set(spanevent.name, \"x\") where spanevent.event_index == 0", "\"e1\"", "\"x\""),
        (
            "set(spanevent.attributes[\"k\"], 2)  where spanevent.name == \"e2\"",
            r#""intValue": "1""#,
            r#""intValue": "2""#,
        ),
        (
            "set(spanlink.span_id, SpanID(0x0000000000000001))",
            "eee19b7ec3c1b175",
            "0000000000000001",
        ),
        ("set(scope.name, span.name)", "\"lib\"", "\"GET /a\""),
        ("set(span.kind, SPAN_KIND_CLIENT)", "\"kind\": 2", "\"kind\": 3"),
        ("set(span.kind.string, \"Producer\")", "\"kind\": 2", "\"kind\": 4"),
        ("set(span.name, spanevent.name) where spanevent.name == \"e2\"", "GET /a", "e2"),
        (
            "set(span.status.message, \"m\")",
            "\"kind\": 2",
            "\"kind\": 2, \"status\": {\"message\": \"m\"}",
        ),
        (
            "set(span.trace_state[\"a\"], \"1\")",
            "\"kind\": 2",
            "\"kind\": 2, \"traceState\": \"a=1\"",
        ),
    ] {
        let yaml = format!("trace_statements: ['{statement}']");
        check(Signal::Traces, &yaml, TRACES, &TRACES.replace(old, new));
    }
}

/// Names that the semantic conventions give as examples, and what the Collector falls back to.
#[test]
fn spans_are_named_by_the_semantic_conventions() {
    for (kind, attributes, expected) in [
        (2, "http.request.method=GET http.route=/users/:id", "GET /users/:id"),
        (3, "http.request.method=GET http.route=/users/:id", "GET"),
        (3, "http.method=POST url.template=/u/{id}", "POST /u/{id}"),
        (
            2,
            "rpc.system=grpc rpc.service=grpc.test.EchoService rpc.method=Echo",
            "grpc.test.EchoService/Echo",
        ),
        (3, "rpc.system.name=grpc rpc.service=EchoService", "EchoService/*"),
        (3, "rpc.system=grpc", "grpc"),
        (3, "db.system.name=mysql db.query.summary=SELECT_users db.namespace=shop", "SELECT_users"),
        (
            3,
            "db.system=mysql db.operation=SELECT db.name=shop db.collection.name=users",
            "SELECT shop.users",
        ),
        (3, "db.system.name=redis server.address=10.1.2.3 server.port=6379", "10.1.2.3:6379"),
        (3, "db.system.name=redis", "redis"),
        (
            4,
            "messaging.system=kafka messaging.operation.name=publish messaging.destination.name=shop.orders",
            "publish shop.orders",
        ),
        (
            5,
            "messaging.system=kafka messaging.operation.name=poll messaging.destination.template=/customers/{id} messaging.destination.name=/customers/5",
            "poll /customers/{id}",
        ),
        (1, "http.request.method=GET http.route=/a", "before"),
        (2, "http.route=/a", "before"),
        (5, "http.request.method=GET", "before"),
    ] {
        let pairs = attributes.split(' ').map(|pair| pair.split_once('=').unwrap());
        let attribute = |(key, value): (&str, &str)| {
            format!(r#"{{"key": "{key}", "value": {{"stringValue": "{value}"}}}}"#)
        };
        let mut attributes: Vec<String> = pairs.map(attribute).collect();
        let span = |name: &str, attributes: &[String]| {
            let attributes = attributes.join(", ");
            format!(
                r#"{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{{"name": "{name}", "kind": {kind},
                "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "attributes": [{attributes}]}}]}}]}}]}}"#
            )
        };
        let before = span("before", &attributes);
        let yaml = r#"trace_statements: ['set_semconv_span_name("1.37.0")']"#;
        check(Signal::Traces, yaml, &before, &span(expected, &attributes));
        if expected != "before" {
            attributes.push(attribute(("was", "before")));
        }
        let yaml = r#"trace_statements: ['set_semconv_span_name("1.43.0", "was")']"#;
        check(Signal::Traces, yaml, &before, &span(expected, &attributes));
    }
}

#[test]
fn wrong_versions_of_the_conventions_are_refused() {
    for (arguments, expected) in [
        (r#""1.36.0""#, "1.37.0 to 1.43.0"),
        (r#""2.0.0""#, "1.37.0 to 1.43.0"),
        (r#""new""#, "`new` is no version"),
        (r#""1.37.0", """#, "the attribute for the name before has no name"),
    ] {
        let yaml = format!("trace_statements: ['set_semconv_span_name({arguments})']");
        let refused = Stage::try_new::<TransformConfig>(Signal::Traces, &yaml);
        let message = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains(expected), "{arguments}: {message}");
    }
}

const METRICS: &str = r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [
    {"name": "requests", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
        {"asInt": "1", "timeUnixNano": "5", "exemplars": [{"asInt": "4", "timeUnixNano": "6"}]}, {"asInt": "2"}]}},
    {"name": "sizes", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [
        {"count": "5", "scale": 3, "positive": {"offset": 2, "bucketCounts": ["2", "3"]}}]}}]}]}]}"#;

#[test]
fn metrics_points_and_exemplars_are_changed() {
    for (statement, old, new) in [
        ("set(metric.name, \"x\") where metric.name == \"sizes\"", "sizes", "x"),
        (
            "set(metric.unit, \"s\") where metric.is_monotonic == true",
            "\"requests\"",
            "\"requests\", \"unit\": \"s\"",
        ),
        (
            "set(metric.aggregation_temporality, AGGREGATION_TEMPORALITY_DELTA)",
            "ty\": 2",
            "ty\": 1",
        ),
        ("set(metric.is_monotonic, false)", "\"isMonotonic\": true", "\"isMonotonic\": false"),
        (
            "set(datapoint.value_int, 7) where datapoint.value_int == 2",
            r#"{"asInt": "2"}"#,
            r#"{"asInt": "7"}"#,
        ),
        (
            "set(datapoint.value_double, 7.5) where datapoint.value_int == 2",
            r#"{"asInt": "2"}"#,
            r#"{"asDouble": 7.5}"#,
        ),
        ("set(exemplar.int_value, 9)", r#""asInt": "4""#, r#""asInt": "9""#),
        ("set(datapoint.positive.offset, -4)", "\"offset\": 2", "\"offset\": -4"),
        ("set(datapoint.positive.bucket_counts, [1, 300])", r#"["2", "3"]"#, r#"["1", "300"]"#),
        ("set(datapoint.scale, 4) where metric.name == \"sizes\"", "\"scale\": 3", "\"scale\": 4"),
        ("set(metric.name, \"x\") where datapoint.count == 5", "sizes", "x"),
    ] {
        let yaml = format!("metric_statements: ['{statement}']");
        check(Signal::Metrics, &yaml, METRICS, &METRICS.replace(old, new));
    }
}

#[test]
fn errors_are_ignored_unless_they_are_propagated() {
    let statements = "['set(log.attributes[\"k\"], log.body / 2)', 'set(log.body, \"done\")']";
    let start = logs("r", "a", "b");
    let expected = start.replace("one", "done").replace("two", "done");
    check(Signal::Logs, &format!("log_statements: {statements}"), &start, &expected);
    let yaml = format!("log_statements: [{{error_mode: propagate, statements: {statements}}}]");
    let node = crate::config::Node::parse("test.yaml", &yaml).unwrap();
    let config: TransformConfig = crate::config::from_node(&node, "processors::transform").unwrap();
    let mut transform = Transform { steps: config.logs };
    let mut out = Outbox::new(Time::default(), None, false);
    let error = transform.process(batch(Signal::Logs, &start), &mut out).unwrap_err();
    assert_eq!(error.reason, "statement_failed");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let yaml = "\
log_statements:
  - set(log.body, \"a\"
  - context: log
    conditions: [body = 1]
    statements:
      - set(attributes.k, 1)
      - st(body, \"a\")
metric_statements:
  - set(span.name, \"a\")
";
    let error = Stage::try_new::<TransformConfig>(Signal::Logs, yaml).map(drop).unwrap_err();
    insta::assert_snapshot!(error);
}
