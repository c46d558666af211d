use super::*;

/// A gauge, a delta histogram and a summary.
const KINDS: &str = r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [
    {"name": "g", "unit": "By", "gauge": {"dataPoints": [{"asInt": "3"}]}},
    {"name": "h", "unit": "s", "histogram": {"aggregationTemporality": 1, "dataPoints": [
        {"count": "17", "sum": 9.5, "bucketCounts": ["5", "8", "3", "1"], "explicitBounds": [0.1, 0.5, 1.0]}]}},
    {"name": "q", "unit": "s", "summary": {"dataPoints": [
        {"count": "4", "sum": 2.5, "quantileValues": [{"quantile": 0.5, "value": 1.0}]}]}}]}]}]}"#;

fn edited(yaml: &str, json: &str) -> Batch {
    let mut out = Outbox::new(Time::default(), None, false);
    let node = crate::config::Node::parse("test.yaml", yaml).unwrap();
    let config: TransformConfig = crate::config::from_node(&node, "processors::transform")
        .unwrap_or_else(|problems| panic!("{}", crate::config::render(&problems)));
    let before = batch(Signal::Metrics, json);
    Transform { steps: config.metrics }.process(before.clone(), &mut out).unwrap();
    let dropped: usize = out.dropped().iter().map(|dropped| dropped.num_records).sum();
    let edited = out.emissions()[0].batch.clone();
    assert_eq!(before.num_records() + out.num_created(), edited.num_records() + dropped, "{yaml}");
    assert_eq!(edited.points().count(), edited.num_records(), "{yaml}");
    edited
}

/// `json` after the statements is what `expected` is.
fn check_made(yaml: &str, json: &str, expected: &str) {
    let text = |batch: &Batch| String::from_utf8(otlp_json::encode(batch).to_vec()).unwrap();
    assert_eq!(text(&edited(yaml, json)), text(&batch(Signal::Metrics, expected)), "{yaml}");
}

/// The documentation of the Collector's processor says what each does; the histogram's buckets and
/// what is left of them after merging are its example.
#[test]
fn metrics_are_converted_and_made() {
    let after_gauge = r#"[{"asInt": "3"}]}}"#;
    let after_histogram = "[0.1, 0.5, 1.0]}]}}";
    let after_summary = r#""value": 1.0}]}]}}"#;
    for (statement, old, new) in [
        (
            r#"convert_gauge_to_sum("delta", true)"#,
            r#""gauge": {"#,
            r#""sum": {"aggregationTemporality": 1, "isMonotonic": true, "#.to_owned(),
        ),
        (
            r#"scale_metric(10.0, "kWh") where metric.name == "g""#,
            r#""By", "gauge": {"dataPoints": [{"asInt": "3"}]}"#,
            r#""kWh", "gauge": {"dataPoints": [{"asInt": "30"}]}"#.to_owned(),
        ),
        (
            "merge_histogram_buckets(0.5)",
            r#"["5", "8", "3", "1"], "explicitBounds": [0.1, 0.5, 1.0]"#,
            r#"["5", "11", "1"], "explicitBounds": [0.1, 1.0]"#.to_owned(),
        ),
        (
            r#"merge_histogram_buckets(2, method="limit_buckets")"#,
            r#"["5", "8", "3", "1"], "explicitBounds": [0.1, 0.5, 1.0]"#,
            r#"["13", "4"], "explicitBounds": [0.5]"#.to_owned(),
        ),
        (
            r#"copy_metric(name="c", unit="1") where metric.name == "g""#,
            after_gauge,
            format!(
                r#"{after_gauge}, {{"name": "c", "unit": "1", "gauge": {{"dataPoints": [{{"asInt": "3"}}]}}}}"#
            ),
        ),
        (
            r#"extract_count_metric(true) where metric.name == "h""#,
            after_histogram,
            format!(
                r#"{after_histogram}, {{"name": "h_count", "unit": "1", "sum": {{"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [{{"asInt": "17"}}]}}}}"#
            ),
        ),
        (
            r#"extract_sum_metric(false, ".sum") where metric.name == "h""#,
            after_histogram,
            format!(
                r#"{after_histogram}, {{"name": "h.sum", "unit": "s", "sum": {{"aggregationTemporality": 1, "dataPoints": [{{"asDouble": 9.5}}]}}}}"#
            ),
        ),
        (
            r#"convert_summary_count_val_to_sum("cumulative", true, ".count")"#,
            after_summary,
            format!(
                r#"{after_summary}, {{"name": "q.count", "sum": {{"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [{{"asInt": "4"}}]}}}}"#
            ),
        ),
        (
            r#"convert_summary_sum_val_to_sum("delta", false)"#,
            after_summary,
            format!(
                r#"{after_summary}, {{"name": "q_sum", "unit": "s", "sum": {{"aggregationTemporality": 1, "dataPoints": [{{"asDouble": 2.5}}]}}}}"#
            ),
        ),
        (
            "convert_summary_quantile_val_to_gauge()",
            after_summary,
            format!(
                r#"{after_summary}, {{"name": "q.quantiles", "unit": "s", "gauge": {{"dataPoints": [{{"asDouble": 1.0, "attributes": [{{"key": "quantile", "value": {{"doubleValue": 0.5}}}}]}}]}}}}"#
            ),
        ),
    ] {
        let yaml = format!("metric_statements: ['{statement}']");
        check_made(&yaml, KINDS, &KINDS.replace(old, &new));
    }
    let sum = KINDS.replace(r#""gauge": {"#, r#""sum": {"aggregationTemporality": 1, "#);
    check_made("metric_statements: [convert_sum_to_gauge()]", &sum, KINDS);
}

#[test]
fn metrics_that_are_made_are_run_through_the_statements() {
    let yaml = r#"metric_statements: [{statements: ['copy_metric(name="c") where metric.name == "g"', 'set(metric.unit, "x") where metric.name == "c"']}]"#;
    let copy = r#"[{"asInt": "3"}]}}, {"name": "c", "unit": "x", "gauge": {"dataPoints": [{"asInt": "3"}]}}"#;
    check_made(yaml, KINDS, &KINDS.replace(r#"[{"asInt": "3"}]}}"#, copy));
    // Without a condition it would never end: what is made stays within bounds.
    let batch = edited("metric_statements: ['copy_metric() where metric.name == \"g\"']", KINDS);
    assert_eq!(batch.num_records(), 1_003);
}

fn aggregated(statement: &str, kind: &str) -> String {
    let point = |host: &str, cpu: &str, value: u32| {
        format!(
            r#"{{"timeUnixNano": "9", {kind}, "attributes": [{{"key": "host", "value": {{"stringValue": "{host}"}}}},
                {{"key": "cpu", "value": {{"stringValue": "{cpu}"}}}}]}}"#
        )
        .replace("VALUE", &value.to_string())
    };
    let points = [point("a", "0", 1), point("a", "1", 6), point("b", "0", 3)].join(", ");
    let json = format!(
        r#"{{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": [{{"name": "m", "sum": {{"aggregationTemporality": 2,
            "dataPoints": [{points}]}}}}]}}]}}]}}"#
    );
    let edited = edited(&format!("metric_statements: ['{statement}']"), &json);
    let points = edited.points().map(|item| {
        let crate::data::DataPoint::Number(point) = item.record.data else { panic!("a number") };
        let mut text = format!("{:?} ", point.value());
        point.attributes().push_json(&mut text);
        text
    });
    points.collect::<Vec<_>>().join("; ")
}

#[test]
fn points_are_aggregated() {
    let int = r#""asInt": "VALUE""#;
    for (statement, expected) in [
        (
            r#"aggregate_on_attributes("sum", ["host"])"#,
            r#"Int(7) {"host":"a"}; Int(3) {"host":"b"}"#,
        ),
        (r#"aggregate_on_attributes("max", [])"#, "Int(6) {}"),
        (r#"aggregate_on_attributes("min", [])"#, "Int(1) {}"),
        (r#"aggregate_on_attributes("mean", [])"#, "Int(3) {}"),
        (r#"aggregate_on_attributes("median", [])"#, "Int(3) {}"),
        (
            r#"aggregate_on_attributes("count", ["cpu"])"#,
            r#"Int(2) {"cpu":"0"}; Int(1) {"cpu":"1"}"#,
        ),
        (
            r#"aggregate_on_attribute_value("sum", "cpu", ["0", "1"], "all")"#,
            r#"Int(7) {"host":"a","cpu":"all"}; Int(3) {"host":"b","cpu":"all"}"#,
        ),
    ] {
        assert_eq!(aggregated(statement, int), expected, "{statement}");
    }
    let double = r#""asDouble": VALUE.5"#;
    assert_eq!(aggregated(r#"aggregate_on_attributes("median", [])"#, double), "Double(3.5) {}");
}

/// A bucket from 8 to 16, by the rules in the documentation of the Collector's processor.
#[test]
fn exponential_histograms_become_explicit_ones() {
    let json = r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "e", "exponentialHistogram": {
        "aggregationTemporality": 1, "dataPoints": [{"count": "12", "zeroCount": "2", "scale": 0,
        "positive": {"offset": 3, "bucketCounts": ["10"]}}]}}]}]}]}"#;
    for (distribution, counts) in [
        ("upper", r#"["2", "0", "0", "0", "10", "0"]"#),
        ("midpoint", r#"["2", "0", "10", "0", "0", "0"]"#),
        ("uniform", r#"["2", "0", "5", "5", "0", "0"]"#),
    ] {
        let yaml = format!(
            r#"metric_statements: ['convert_exponential_histogram_to_histogram("{distribution}", [0.0, 7.0, 12.0, 15.9, 25.0])']"#
        );
        let expected = format!(
            r#"{{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": [{{"name": "e", "histogram": {{
            "aggregationTemporality": 1, "dataPoints": [{{"count": "12", "bucketCounts": {counts},
            "explicitBounds": [0.0, 7.0, 12.0, 15.9, 25.0]}}]}}}}]}}]}}]}}"#
        );
        check_made(&yaml, json, &expected);
    }
}

/// The sum has each value in the bucket that it was in; what has another scale stays apart.
#[test]
fn exponential_histograms_are_aggregated() {
    let point = |host: &str, rest: &str| {
        format!(
            r#"{{"attributes": [{{"key": "host", "value": {{"stringValue": "{host}"}}}}], "timeUnixNano": "9", {rest}}}"#
        )
    };
    let metric = |points: &[&str]| {
        let points = points.join(", ");
        format!(
            r#"{{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": [{{"name": "e", "exponentialHistogram": {{
            "aggregationTemporality": 2, "dataPoints": [{points}]}}}}]}}]}}]}}"#
        )
    };
    let before = metric(&[
        &point(
            "a",
            r#""startTimeUnixNano": "5", "count": "6", "sum": 8.0, "zeroCount": "1", "scale": 1, "min": 0.0, "max": 4.0,
            "positive": {"offset": 2, "bucketCounts": ["2", "3"]}"#,
        ),
        &point(
            "b",
            r#""startTimeUnixNano": "3", "count": "7", "sum": 1.5, "zeroCount": "2", "scale": 1, "min": -1.0, "max": 3.0,
            "positive": {"offset": -1, "bucketCounts": ["1", "0", "0", "1"]}, "negative": {"offset": 0, "bucketCounts": ["3"]}"#,
        ),
        &point(
            "c",
            r#""startTimeUnixNano": "4", "count": "1", "sum": 1.0, "scale": 2, "min": 1.0, "max": 1.0,
            "positive": {"offset": 0, "bucketCounts": ["1"]}"#,
        ),
    ]);
    let bare = |rest: &str| format!(r#"{{"timeUnixNano": "9", {rest}}}"#);
    let expected = metric(&[
        &bare(
            r#""startTimeUnixNano": "3", "count": "13", "sum": 9.5, "zeroCount": "3", "scale": 1, "min": -1.0, "max": 4.0,
            "positive": {"offset": -1, "bucketCounts": ["1", "0", "0", "3", "3"]}, "negative": {"offset": 0, "bucketCounts": ["3"]}"#,
        ),
        &bare(
            r#""startTimeUnixNano": "4", "count": "1", "sum": 1.0, "scale": 2, "min": 1.0, "max": 1.0,
            "positive": {"offset": 0, "bucketCounts": ["1"]}"#,
        ),
    ]);
    let yaml = r#"metric_statements: ['aggregate_on_attributes("sum", [])']"#;
    let text = |batch: &Batch| String::from_utf8(otlp_json::encode(batch).to_vec()).unwrap();
    assert_eq!(text(&edited(yaml, &before)), text(&batch(Signal::Metrics, &expected)));
}
