use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::component::Outbox;
use crate::config::{Node, from_node, render};
use crate::data::{Batch, LogsBuilder, SpanId, Time, TraceId, TracesBuilder, Value};
use crate::sampling::Randomness;

fn read(text: &str) -> Result<SamplerConfig, String> {
    from_node(&Node::parse("x.yaml", text).unwrap(), "").map_err(|errors| render(&errors))
}

fn process(config: &str, batch: Batch) -> (Option<Batch>, usize) {
    let mut sampler = read(config).unwrap().sampler(Tally::default()).unwrap();
    let mut out = Outbox::new(Time::default(), None, false);
    sampler.process(batch, &mut out).unwrap();
    let num_dropped = out.dropped().iter().map(|dropped| dropped.num_records).sum();
    (out.finish().0.pop().map(|emission| emission.batch), num_dropped)
}

/// What becomes of a span; `None`: it is dropped.
fn span_state(config: &str, id: &str, trace_state: &str, priority: Value<'_>) -> Option<String> {
    let mut builder = TracesBuilder::new();
    builder.span(|span| {
        let id = TraceId::from_hex(id).unwrap();
        span.ids(id, SpanId::new([1; 8]), None);
        span.trace_state(trace_state);
        span.attribute("other", Value::Int(1));
        if !matches!(priority, Value::Empty) {
            span.attribute("sampling.priority", priority);
        }
    });
    let (kept, num_dropped) = process(config, builder.finish(Arc::default()));
    assert_eq!(num_dropped, usize::from(kept.is_none()));
    Some(kept?.spans().items().next().unwrap().record.trace_state().to_owned())
}

/// What becomes of a log record: its attributes; `None`: it is dropped.
fn log_attributes(config: &str, id: &str, attributes: &[(&str, Value<'_>)]) -> Option<String> {
    let mut builder = LogsBuilder::new();
    builder.record(|record| {
        record.ids(TraceId::from_hex(id).unwrap(), SpanId::new([1; 8]));
        attributes.iter().for_each(|(key, value)| record.attribute(key, *value));
    });
    let kept = process(config, builder.finish(Arc::default())).0?;
    let attributes = kept.logs().items().next().unwrap().record.attributes();
    let texts: Vec<_> =
        attributes.iter().map(|(key, value)| format!("{key}={}", value.to_text())).collect();
    Some(texts.join(" "))
}

const ZERO: &str = "00000000000000000000000000000000";
const ID: &str = "5b8efff798038103d269b633813fc60c";
const HALF: &str = "sampling_percentage: 50";
const SEEDED: &str = "{sampling_percentage: 15.3, hash_seed: 22}";

/// Computed apart from this code, from the recipe in the Collector's sampler: hash, bucket, limit
/// and the text of randomness and threshold.
#[test]
fn hashes_decide_as_in_the_collector() {
    for (config, id, expected) in [
        (HALF, ID, Some("ot=rv:a480091545d6df;th:8")),
        (HALF, "00000000000000000000000000000001", None),
        (HALF, "0af7651916cd43dd8448eb211c80319c", Some("ot=rv:886c204b10dde4;th:8")),
        (HALF, "ffffffffffffffffffffffffffffffff", Some("ot=rv:aae80a44919545;th:8")),
        (HALF, "4bf92f3577b34da6a3ce929d0e0e4736", Some("ot=rv:fdc80d0b42008d;th:8")),
        (SEEDED, ID, None),
        (SEEDED, "0af7651916cd43dd8448eb211c80319c", Some("ot=rv:f984040d03019e;th:d8d8")),
        (SEEDED, "80f198ee56343ba864fe8b2a57d3eff7", None),
        (
            "sampling_percentage: 1",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            Some("ot=rv:fdc80d0b42008d;th:fd74"),
        ),
        ("sampling_percentage: 0", ID, None),
        ("sampling_percentage: 0.006", ID, None),
        ("sampling_percentage: 1000", ID, Some("ot=rv:a480091545d6df;th:0")),
    ] {
        assert_eq!(span_state(config, id, "", Value::Empty).as_deref(), expected, "{config} {id}");
    }
}

#[test]
fn priority_of_a_span_overrides() {
    for (priority, expected) in [
        (Value::Int(0), None),
        (Value::Double(0.0), None),
        (Value::Str("0"), None),
        (Value::Int(-1), Some("ot=rv:a480091545d6df;th:8")),
        (Value::Str("high"), Some("ot=rv:a480091545d6df;th:8")),
        (Value::Bool(false), Some("ot=rv:a480091545d6df;th:8")),
    ] {
        assert_eq!(span_state(HALF, ID, "", priority).as_deref(), expected, "{priority:?}");
    }
    for priority in [Value::Int(2), Value::Double(0.1), Value::Str("1.5")] {
        let kept = span_state(SEEDED, ID, "", priority);
        assert_eq!(kept.as_deref(), Some("ot=rv:ccd828a32a4cc9;th:0"), "{priority:?}");
    }
}

#[test]
fn items_that_say_too_little_are_dropped_or_let_pass() {
    let open = "{sampling_percentage: 50, fail_closed: false}";
    for (id, state, passed) in [
        (ZERO, "", "ot=rv:ffffffffffffff;th:0"),
        (ID, "ot=rv:00000000000001,a=1", "ot=rv:00000000000001,a=1"),
        (ID, "ot=th:c", "ot=th:c"),
        (ID, "no trace state", "no trace state"),
    ] {
        assert_eq!(span_state(HALF, id, state, Value::Empty), None, "{id} {state}");
        assert_eq!(span_state(open, id, state, Value::Empty).as_deref(), Some(passed));
    }
    let proportional = "{sampling_percentage: 50, mode: proportional, fail_closed: false}";
    let passed = span_state(proportional, ID, "ot=th:f;x:1", Value::Empty);
    assert_eq!(passed.as_deref(), Some("ot=th:0;x:1"), "the threshold contradicts the trace id");
}

/// Trace ids of which R is 0x69b633813fc60c: kept from thresholds up to that.
#[test]
fn consistent_modes_raise_thresholds() {
    for (config, state, expected) in [
        ("mode: equalizing, sampling_percentage: 100", "", Some("ot=th:0")),
        ("mode: equalizing, sampling_percentage: 75", "", Some("ot=th:4")),
        ("mode: equalizing, sampling_percentage: 75", "a=1,ot=th:5;x:y", Some("ot=th:5;x:y,a=1")),
        ("mode: equalizing, sampling_percentage: 75", "ot=th:2", Some("ot=th:4")),
        ("mode: equalizing, sampling_percentage: 50", "", None),
        (
            "mode: equalizing, sampling_percentage: 50",
            "ot=rv:80000000000000",
            Some("ot=rv:80000000000000;th:8"),
        ),
        ("mode: equalizing, sampling_percentage: 66.6666", "", Some("ot=th:5555")),
        ("mode: proportional, sampling_percentage: 75", "", Some("ot=th:4")),
        ("mode: proportional, sampling_percentage: 75", "ot=th:4", None),
        (
            "mode: proportional, sampling_percentage: 75",
            "ot=rv:80000000000000;th:4",
            Some("ot=rv:80000000000000;th:7"),
        ),
        (
            "mode: proportional, sampling_percentage: 1e-12",
            "ot=rv:ffffffffffffff;th:fffffffff",
            None,
        ),
    ] {
        let config = format!("{{{config}}}");
        let kept = span_state(&config, ID, state, Value::Empty);
        assert_eq!(kept.as_deref(), expected, "{config} {state}");
    }
    let mode = "{mode: equalizing, sampling_percentage: 75}";
    assert_eq!(span_state(mode, ZERO, "", Value::Empty), None);
}

#[test]
fn logs_are_hashed_by_trace_id_or_attribute() {
    let kept = log_attributes(HALF, ID, &[("a", Value::Int(1))]);
    let expected = "a=1 sampling.randomness=a480091545d6df sampling.threshold=8";
    assert_eq!(kept.as_deref(), Some(expected));
    let by_record = "{sampling_percentage: 50, attribute_source: record, from_attribute: key}";
    assert_eq!(log_attributes(by_record, ID, &[]), None);
    assert_eq!(log_attributes(by_record, ID, &[("key", Value::Str(""))]), None);
    let fallback = "{sampling_percentage: 99.99, hash_seed: 22, from_attribute: key}";
    for (value, expected) in [
        (Value::Str("a"), "key=a sampling.randomness=b6e41389e35246"),
        (Value::Int(42), "key=42 sampling.randomness=bc6805aa6ad0e5"),
        (Value::Bool(true), "key=true sampling.randomness=a4c010fa3f96cf"),
    ] {
        let kept = log_attributes(fallback, ZERO, &[("key", value)]);
        assert_eq!(kept, Some(format!("{expected} sampling.threshold=0008")));
    }
    let bytes = log_attributes(fallback, ZERO, &[("key", Value::Bytes(b"request-7"))]).unwrap();
    assert!(bytes.contains("sampling.randomness=048c1c6c1afedc"), "{bytes}");
    assert_eq!(log_attributes(HALF, ID, &[("sampling.threshold", Value::Str("8"))]), None);
    let open = "{sampling_percentage: 50, fail_closed: false}";
    let passed = log_attributes(open, ZERO, &[]);
    assert_eq!(passed.as_deref(), Some("sampling.threshold=0"));
}

#[test]
fn consistent_modes_read_and_write_attributes_of_logs() {
    let half = "{mode: proportional, sampling_percentage: 50}";
    let attributes = [
        ("sampling.threshold", Value::Str("8")),
        ("sampling.randomness", Value::Str("d0000000000000")),
    ];
    let kept = log_attributes(half, ZERO, &attributes);
    let expected = "sampling.threshold=c sampling.randomness=d0000000000000";
    assert_eq!(kept.as_deref(), Some(expected));
    assert_eq!(log_attributes(half, ID, &[]), None);
    assert_eq!(log_attributes(half, ID, &[("sampling.threshold", Value::Str("x"))]), None);
}

#[test]
fn priority_of_a_log_is_a_percentage() {
    let config = "{sampling_percentage: 50, hash_seed: 22, sampling_priority: share}";
    for (share, is_kept) in [
        (Value::Int(100), true),
        (Value::Int(1), false),
        (Value::Double(20.0), true),
        (Value::Double(19.9), false),
        (Value::Int(0), true),
        (Value::Int(101), true),
        (Value::Str("1"), true),
    ] {
        // Its hash is in bucket 3273 of 16384: kept from 19.98 percent on.
        let kept = log_attributes(config, ID, &[("share", share)]);
        assert_eq!(kept.is_some(), is_kept, "{share:?}");
    }
}

#[test]
fn wrong_settings_are_named() {
    for (text, message) in [
        ("sampling_percentage: -1", "it must be at least 0"),
        ("sampling_percentage: .inf", "it must be at least 0"),
        ("sampling_percentage: 1e-16", "it must be 0 or at least 1.387"),
        ("sampling_precision: 0", "it must be from 1 to 14"),
        ("sampling_precision: 15", "it must be from 1 to 14"),
        ("mode: fair", "fair"),
        ("attribute_source: traceid", "traceid"),
        ("hash_seed: 4294967296", "4294967296"),
        ("percentage: 5", "percentage"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
}

proptest! {
    /// Spans and logs of one trace are kept together, and whoever is kept at a percentage is
    /// kept at a higher one; the values that are written are true.
    #[test]
    fn a_trace_is_kept_as_a_whole_and_at_every_higher_percentage(
        id in any::<[u8; 16]>().prop_filter("valid", |id| *id != [0; 16]),
        low in 0.01_f32..100.0,
        more in 0.0_f32..50.0,
        mode in prop::sample::select(vec!["hash_seed", "equalizing", "proportional"]),
    ) {
        let id = TraceId::new(id).to_string();
        let config = |percentage: f32| {
            format!("{{mode: {mode}, sampling_percentage: {percentage}, sampling_precision: 14}}")
        };
        let span = |percentage| span_state(&config(percentage), &id, "", Value::Empty);
        let log = |percentage| log_attributes(&config(percentage), &id, &[]);
        prop_assert_eq!(span(low).is_some(), log(low).is_some());
        prop_assert!(span(low).is_none() || span(low + more).is_some());
        if let Some(state) = span(low) {
            let sampling = crate::sampling::TraceState::parse(&state).unwrap().sampling;
            let of_id = Randomness::of_trace_id(TraceId::from_hex(&id).unwrap());
            let randomness = sampling.randomness.unwrap_or(of_id);
            prop_assert!(sampling.threshold.unwrap().keeps(randomness));
        }
    }
}
