use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::component::Outbox;
use crate::config::{Node, from_node, render};
use crate::data::{
    About, Batch, DataKind, LogsBuilder, MetricsBuilder, NumberValue, SpanId, Temporality, Time,
    TraceId, TracesBuilder, Value, encode_resource,
};

fn read(text: &str) -> Result<CountConfig, String> {
    from_node(&Node::parse("x.yaml", text).unwrap(), "").map_err(|errors| render(&errors))
}

fn at(seconds: u64) -> Time {
    Time::from_unix_nanos(seconds * 1_000_000_000)
}

/// The counts as `resource/metric{attributes}@start-end=count`, in order.
fn count(config: &str, batch: Batch) -> Vec<String> {
    counted(&mut counter(config, batch.signal()), batch)
}

fn counter(config: &str, signal: Signal) -> Count {
    let config = read(config).unwrap();
    Count::new(config.stage_of(signal), config.timestamps, vec![3])
}

/// The same of one batch of several.
fn counted(count: &mut Count, batch: Batch) -> Vec<String> {
    let num_records = batch.num_records();
    let mut out = Outbox::new(at(99), None, false);
    count.process(batch, &mut out).unwrap();
    assert_eq!(out.num_absorbed(), num_records);
    let created: usize = out.emissions().iter().map(|emission| emission.batch.num_records()).sum();
    assert_eq!(out.num_created(), created);
    let mut lines = Vec::new();
    for emission in out.emissions() {
        assert_eq!(emission.output, 3);
        for item in emission.batch.points() {
            let metric = item.record.metric;
            assert!(metric.is_monotonic() && metric.temporality() == Temporality::Delta);
            let crate::data::DataPoint::Number(point) = item.record.data else { panic!("a sum") };
            let NumberValue::Int(number) = point.value() else { panic!("whole") };
            let attributes: Vec<_> =
                point.attributes().iter().map(|(key, value)| format!("{key}={value:?}")).collect();
            let seconds = |time: Time| time.as_unix_nanos() / 1_000_000_000;
            lines.push(format!(
                "{}/{}{{{}}}@{}-{}={number}",
                item.resource.service_name().unwrap_or("-"),
                metric.name(),
                attributes.join(","),
                seconds(point.start_time()),
                seconds(point.time()),
            ));
        }
    }
    lines
}

fn logs() -> Batch {
    let mut builder = LogsBuilder::new();
    for (service, severities) in
        [("a", ["INFO", "WARN"]), ("b", ["INFO", ""]), ("a", ["INFO", "x"])]
    {
        builder.resource(&encode_resource([("service.name", Value::Str(service))]), "");
        for (index, severity) in severities.into_iter().enumerate() {
            builder.record(|record| {
                record.time(at(5 + index as u64));
                record.severity(9, severity);
                record.attribute("code", Value::Int(index as i64));
                if severity == "x" {
                    record.attribute("severity_text", Value::Bool(true));
                }
            });
        }
    }
    builder.finish(Arc::default())
}

#[test]
fn everything_is_counted_without_settings() {
    let expected = ["a/log.record.count{}@5-6=4", "b/log.record.count{}@5-6=2"];
    assert_eq!(count("{}", logs()), expected);

    let mut builder = TracesBuilder::new();
    for _ in 0..2 {
        builder.span(|span| {
            span.ids(TraceId::new([1; 16]), SpanId::new([1; 8]), None);
            span.times(at(3), at(8));
            span.event(at(4), "one", []);
            span.event(at(5), "two", []);
        });
    }
    let traces = builder.finish(Arc::default());
    let expected = ["-/trace.span.count{}@3-8=2", "-/trace.span.event.count{}@4-5=4"];
    assert_eq!(count("{}", traces.clone()), expected);
    assert_eq!(count("{spans: {}, spanevents: {}}", traces), [""; 0]);

    let mut builder = MetricsBuilder::new();
    let about = About {
        name: "m",
        description: "",
        unit: "",
        kind: DataKind::Gauge,
        temporality: Temporality::Unspecified,
        is_monotonic: false,
    };
    builder.metric(&about, |points| {
        for time in [7, 6] {
            points.number((at(0), at(time)), NumberValue::Int(1), []);
        }
    });
    let expected = ["-/metric.datapoint.count{}@6-7=2", "-/metric.count{}@99-99=1"];
    assert_eq!(count("{}", builder.finish(Arc::default())), expected);
}

#[test]
fn attributes_are_looked_for_in_record_field_scope_and_resource() {
    let config = "{logs: {n: {attributes: [{key: severity_text, default_value: none}]}}}";
    let expected = [
        "a/n{severity_text=Str(\"INFO\")}@5-6=2",
        "a/n{severity_text=Str(\"WARN\")}@5-6=1",
        "a/n{severity_text=Str(\"true\")}@5-6=1",
        "b/n{severity_text=Str(\"INFO\")}@5-6=1",
        "b/n{severity_text=Str(\"none\")}@5-6=1",
    ];
    assert_eq!(count(config, logs()), expected);
    let config = "{logs: {n: {attributes: [{key: service.name}, {key: code}]}}}";
    let expected = [
        "a/n{service.name=Str(\"a\"),code=Int(0)}@5-6=2",
        "a/n{service.name=Str(\"a\"),code=Int(1)}@5-6=2",
        "b/n{service.name=Str(\"b\"),code=Int(0)}@5-6=1",
        "b/n{service.name=Str(\"b\"),code=Int(1)}@5-6=1",
    ];
    assert_eq!(count(config, logs()), expected);
    let config = "{logs: {n: {attributes: [{key: gone, default_value: 7}, {key: 'off', default_value: 1.5}]}}}";
    let expected =
        ["a/n{gone=Int(7),off=Double(1.5)}@5-6=4", "b/n{gone=Int(7),off=Double(1.5)}@5-6=2"];
    assert_eq!(count(config, logs()), expected);
    for missing in ["''", "0", "0.0"] {
        let config =
            format!("{{logs: {{n: {{attributes: [{{key: g, default_value: {missing}}}]}}}}}}");
        assert_eq!(count(&config, logs()), [""; 0], "{missing} is no default");
    }
}

#[test]
fn wrong_settings_are_named() {
    for (text, message) in [
        ("{logs: {n: {conditions: ['tru == 1']}}}", "logs::n::conditions[0]"),
        (
            "{spans: {n: {attributes: [{default_value: 1}]}}}",
            "`spans::n` has an attribute without `key`",
        ),
        ("{spans: {n: {attributes: [{key: a}, {key: a}]}}}", "the attribute `a` twice"),
        ("{metrics: {n: {attributes: [{key: a}]}}}", "`metrics::n` has `attributes`"),
        ("{profiles: {n: {}}}", "profiles"),
        ("{logs: {n: {attributes: [{key: a, default_value: [1]}]}}}", "text or a number"),
        ("{events: {}}", "events"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
}

proptest! {
    /// Counts add up the same however the records are divided over batches.
    #[test]
    fn result_does_not_depend_on_how_input_is_cut(
        records in prop::collection::vec((0_u8..3, 0_i64..4), 1..40),
        cuts in prop::collection::vec(1_usize..10, 40),
    ) {
        let batch = |records: &[(u8, i64)]| {
            let mut builder = LogsBuilder::new();
            for (service, code) in records {
                let service = service.to_string();
                builder.resource(&encode_resource([("service.name", Value::Str(&service))]), "");
                builder.record(|record| record.attribute("code", Value::Int(*code)));
            }
            builder.finish(Arc::default())
        };
        let config = "{logs: {n: {attributes: [{key: code}]}}}";
        let sums = |batches: Vec<Batch>| {
            let mut sums: BTreeMap<String, u64> = BTreeMap::new();
            for line in batches.into_iter().flat_map(|batch| count(config, batch)) {
                let (name, number) = line.rsplit_once('=').unwrap();
                *sums.entry(name.to_owned()).or_default() += number.parse::<u64>().unwrap();
            }
            sums
        };
        let mut rest = records.as_slice();
        let mut pieces = Vec::new();
        for cut in cuts {
            let (piece, others) = rest.split_at(cut.min(rest.len()));
            pieces.push(batch(piece));
            rest = others;
        }
        let whole = sums(vec![batch(&records)]);
        prop_assert_eq!(whole.values().sum::<u64>(), records.len() as u64);
        prop_assert_eq!(sums(pieces), whole);
    }
}

#[test]
fn times_of_arrival_never_repeat() {
    let config = "{timestamps: arrival, logs: {n: {}}}";
    let mut count = counter(config, Signal::Logs);
    let mut ends = Vec::new();
    for _ in 0..3 {
        let mut out = Outbox::new(at(99), None, false);
        count.process(logs(), &mut out).unwrap();
        let batch = &out.emissions()[0].batch;
        for item in batch.points() {
            let crate::data::DataPoint::Number(point) = item.record.data else { panic!("a sum") };
            ends.push((point.start_time().as_unix_nanos(), point.time().as_unix_nanos()));
        }
    }
    ends.dedup();
    let from = at(99).as_unix_nanos();
    let millis = |count: u64| from + count * 1_000_000;
    assert_eq!(ends, [(from, from), (from, millis(1)), (millis(1), millis(2))]);
    assert_eq!(read(config).unwrap().sharding(), Sharding::Single);
}

#[test]
fn only_what_a_condition_holds_for_is_counted() {
    let mut builder = LogsBuilder::new();
    for number in [9, 17, 18] {
        builder.record(|record| {
            record.time(at(5));
            record.severity(number, "");
        });
    }
    let config = "{logs: {n: {conditions: ['severity_number == 17', 'severity_number > 17', 'body / 1 == 2']}}}";
    assert_eq!(count(config, builder.finish(Arc::default())), ["-/n{}@5-5=2"]);
    let mut builder = TracesBuilder::new();
    builder.span(|span| {
        span.name("s", 2);
        span.times(at(1), at(2));
        span.event(at(3), "kept", []);
        span.event(at(3), "left", []);
    });
    let config =
        "{spans: {}, spanevents: {n: {conditions: ['name == \"kept\" and span.name == \"s\"']}}}";
    assert_eq!(count(config, builder.finish(Arc::default())), ["-/n{}@3-3=1"]);
}
