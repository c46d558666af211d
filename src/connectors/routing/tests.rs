use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::codec::otlp_json;
use crate::config::{Node, from_node, render};
use crate::data::tests::admit;
use crate::data::{Context, LogsBuilder, Time, Value, encode_resource};

fn read(yaml: &str) -> Result<RoutingConfig, String> {
    let node = Node::parse("test.yaml", yaml).map_err(|problems| render(&problems))?;
    from_node(&node, "connectors::routing").map_err(|problems| render(&problems))
}

/// Where records went, by their bodies, and how many were created and dropped.
fn routed(yaml: &str, outputs: &[&str], batch: &Batch) -> (Vec<String>, usize, usize) {
    let config = read(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    let outputs: Vec<Output> = outputs
        .iter()
        .map(|id| Output { pipeline: id.parse().unwrap(), signal: batch.signal() })
        .collect();
    let table = config.table.iter().map(|row| {
        (row.route.clone(), outputs_of(&row.pipelines, batch.signal(), &outputs).unwrap())
    });
    let mut stage = Routing {
        table: table.collect(),
        default: outputs_of(&config.default_pipelines, batch.signal(), &outputs).unwrap(),
    };
    let mut out = Outbox::new(Time::default(), None, false);
    stage.process(batch.clone(), &mut out).unwrap();
    let dropped: usize = out.dropped().iter().map(|dropped| dropped.num_records).sum();
    let mut lines = Vec::new();
    let mut num_emitted = 0;
    for emission in out.emissions() {
        num_emitted += emission.batch.num_records();
        let bodies: Vec<_> = emission
            .batch
            .logs()
            .items()
            .map(|item| item.record.body().to_text().into_owned())
            .collect();
        lines.push(format!("{}: {}", outputs[emission.output].pipeline, bodies.join(" ")));
    }
    assert_eq!(batch.num_records() + out.num_created(), num_emitted + dropped, "{yaml}");
    (lines, out.num_created(), dropped)
}

fn logs(context: Context) -> Batch {
    let mut builder = LogsBuilder::new();
    for (env, bodies) in [("dev", &["a", "b"][..]), ("prod", &["c", "d"])] {
        builder.resource(&encode_resource([("env", Value::Str(env))]), "");
        for (index, body) in bodies.iter().enumerate() {
            builder.record(|record| {
                record.severity(if index == 0 { 9 } else { 17 }, "");
                record.body(Value::Str(body));
            });
        }
    }
    builder.finish(Arc::new(context))
}

#[test]
fn records_go_where_conditions_send_them() {
    let prod = "{condition: 'attributes[\"env\"] == \"prod\"', pipelines: [logs/p]}";
    let errors = "{context: log, condition: 'severity_number >= 17', pipelines: [logs/e]}";
    let copied = errors.replace("pipelines", "action: copy, pipelines");
    for (yaml, expected, created, dropped) in [
        (format!("table: [{prod}]\ndefault_pipelines: [logs/d]"), &["logs/p: c d", "logs/d: a b"][..], 0, 0),
        (format!("table: [{prod}]"), &["logs/p: c d"], 0, 2),
        (format!("table: [{prod}, {errors}]\ndefault_pipelines: [logs/d]"), &["logs/p: c d", "logs/e: b", "logs/d: a"], 0, 0),
        (format!("table: [{copied}, {prod}]\ndefault_pipelines: [logs/d]"), &["logs/e: b d", "logs/p: c d", "logs/d: a b"], 2, 0),
        ("table: [{statement: 'route() where attributes[\"env\"] == \"dev\"', pipelines: [logs/p, logs/e]}]".to_owned(),
            &["logs/p: a b", "logs/e: a b"], 2, 2),
        ("table: [{statement: route(), pipelines: [logs/p]}]".to_owned(), &["logs/p: a b c d"], 0, 0),
    ] {
        let batch = logs(Context::default());
        let (lines, num_created, num_dropped) = routed(&yaml, &["logs/d", "logs/e", "logs/p"], &batch);
        assert_eq!((lines.as_slice(), num_created, num_dropped),
            (expected.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(), created, dropped), "{yaml}");
    }
}

#[test]
fn requests_are_told_apart_by_their_headers() {
    let metadata = BTreeMap::from([("x-tenant".to_owned(), vec!["acme".to_owned()])]);
    let batch = logs(Context { metadata, ..Context::default() });
    let yaml = "table: [{context: request, condition: 'request[\"X-Tenant\"] == \"acme\"', pipelines: [logs/p]}]";
    assert_eq!(routed(yaml, &["logs/p"], &batch).0, ["logs/p: a b c d"]);
    let yaml = yaml.replace("==", "!=");
    assert_eq!(routed(&yaml, &["logs/p"], &batch).2, 4);
}

#[test]
fn points_go_by_their_metric_or_by_themselves() {
    let json = r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "a", "gauge": {"dataPoints": [{"asInt": "1"}, {"asInt": "2"}]}},
        {"name": "b", "gauge": {"dataPoints": [{"asInt": "3"}]}}]}]}]}"#;
    let batch = admit(
        Signal::Metrics,
        otlp_json::decode(Signal::Metrics, json.as_bytes()).unwrap().to_vec(),
    );
    for (condition, taken) in [
        ("context: metric, condition: 'name == \"a\"'", 2),
        ("context: datapoint, condition: 'value_int >= 2 and metric.name == \"a\"'", 1),
    ] {
        let yaml = format!("table: [{{{condition}, pipelines: [metrics/p]}}]");
        assert_eq!(routed(&yaml, &["metrics/p"], &batch).2, 3 - taken, "{condition}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (yaml, expected) in [
        ("default_pipelines: [logs]", "`table` needs a route"),
        ("table: [{condition: 'true'}]", "a route without `pipelines`"),
        ("table: [{pipelines: [logs]}]", "one of `condition` and `statement`"),
        (
            "table: [{condition: 'attribute[\"a\"] == 1', pipelines: [logs]}]",
            "did you mean `attributes`?",
        ),
        (
            "table: [{statement: 'set(attributes[\"a\"], 1)', pipelines: [logs]}]",
            "expected `route()`",
        ),
        (
            "table: [{context: request, condition: 'true', pipelines: [logs]}]",
            "comparison of a header",
        ),
        ("table: [{context: spans, condition: 'true', pipelines: [logs]}]", "did you mean `span`?"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
}
