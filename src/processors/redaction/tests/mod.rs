use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::super::test_stage::Stage;
use super::*;
use crate::codec::otlp_json;
use crate::data::tests::admit;
use crate::data::tests::arbitrary::noisy_request;
use crate::data::{
    About, Array, Attributes, DataKind, LogsBuilder, MetricsBuilder, NumberValue, SpanId,
    Temporality, Time, TraceId, TracesBuilder, Value, encode_resource, wire::Writer,
    write_attribute,
};

/// Nothing but the detectors; a Visa number for tests is `4111111111111111`.
const DETECTORS: &str = "{allow_all_keys: true, detectors: [credit_card, email], summary: debug}";

fn stage(signal: Signal, yaml: &str) -> Stage {
    Stage::try_new::<RedactionConfig>(signal, yaml).unwrap()
}

fn redacted(yaml: &str, batch: &Batch) -> Batch {
    stage(batch.signal(), yaml).run(batch).0.expect("nothing is dropped")
}

fn refusal(yaml: &str) -> String {
    Stage::try_new::<RedactionConfig>(Signal::Logs, yaml).map(drop).unwrap_err()
}

/// A log record with this body and these attributes.
fn log<'v>(body: Value<'_>, attributes: impl IntoIterator<Item = (&'v str, Value<'v>)>) -> Batch {
    let mut builder = LogsBuilder::new();
    builder.resource(&encode_resource([("service.name", Value::Str("shop"))]), "");
    builder.record(|record| {
        record.body(body);
        for (key, value) in attributes {
            record.attribute(key, value);
        }
    });
    builder.finish(Arc::default())
}

/// Body and attributes of all records.
fn shown(batch: &Batch) -> String {
    let mut text = String::new();
    for item in batch.logs().items() {
        text.push_str(&item.record.body().to_text());
        text.push(' ');
        item.record.attributes().push_json(&mut text);
    }
    text
}

/// The request as JSON, attributes in the order of their names, as theirs means nothing; what is
/// empty is left out.
fn normal(batch: &Batch) -> Json {
    fn sort(json: &mut Json) {
        match json {
            Json::Array(list) => {
                list.iter_mut().for_each(sort);
                if list.iter().all(|item| item.get("key").is_some()) {
                    list.sort_by_key(|item| item["key"].as_str().map(str::to_owned));
                }
            }
            Json::Object(map) => {
                map.values_mut().for_each(sort);
                map.retain(|key, value| {
                    let is_empty_list = value.as_array().is_some_and(Vec::is_empty);
                    let is_empty_map = value.as_object().is_some_and(|map| map.is_empty());
                    !is_empty_list && (!is_empty_map || key == "value")
                });
            }
            _ => {}
        }
    }
    let mut json = serde_json::from_slice(&otlp_json::encode(batch)).expect("JSON");
    sort(&mut json);
    json
}

fn read(signal: Signal, json: &str) -> Batch {
    admit(signal, otlp_json::decode(signal, json.as_bytes()).expect("OTLP").to_vec())
}

/// `tests/collector/SIGNAL.NAME.json` is what the redactionprocessor 0.161.0 of the Collector's
/// contrib repository made of `SIGNAL.json` with `NAME.yaml`.
macro_rules! collector {
    ($($name:literal),+) => {
        [$((
            $name,
            include_str!(concat!("collector/", $name, ".yaml")),
            include_str!(concat!("collector/logs.", $name, ".json")),
            include_str!(concat!("collector/traces.", $name, ".json")),
        )),+]
    };
}

#[test]
fn results_are_the_collectors() {
    let logs = read(Signal::Logs, include_str!("collector/logs.json"));
    let traces = read(Signal::Traces, include_str!("collector/traces.json"));
    let all =
        collector!("debug", "info", "empty_match", "hmac", "hmac512", "nothing", "md5", "sha1");
    for (name, yaml, expected_logs, expected_traces) in all {
        for (batch, expected) in [(&logs, expected_logs), (&traces, expected_traces)] {
            let ours = normal(&redacted(yaml, batch));
            let theirs = normal(&read(batch.signal(), expected));
            assert_eq!(ours, theirs, "{name}: {ours:#} instead of {theirs:#}");
        }
    }
}

/// "Audit Trail", "Example" of the Collector's documentation of this processor; but for
/// `redaction.allowed`, which it shows and the Collector writes for `allowed_values` only.
#[test]
fn example_of_the_documentation() {
    let yaml = r#"
allowed_keys:
  - description
  - email
blocked_values:
  - "4[0-9]{12}(?:[0-9]{3})?"  ## Visa credit card number
summary: debug
"#;
    let batch = log(
        Value::Empty,
        [
            ("description", Value::Str("payment processed")),
            ("email", Value::Str("user@example.com")),
            ("credit_card", Value::Str("4111111111111111")),
            ("internal_id", Value::Str("abc-123")),
        ],
    );
    assert_eq!(
        shown(&redacted(yaml, &batch)),
        r#" {"description":"payment processed","email":"user@example.com","redaction.redacted.keys":"credit_card,internal_id","redaction.redacted.count":2}"#
    );
}

#[test]
fn data_points_of_all_kinds_are_redacted() {
    let mut builder = MetricsBuilder::new();
    let times = (Time::from_unix_nanos(1), Time::from_unix_nanos(2));
    let about = About {
        name: "paid",
        description: "",
        unit: "1",
        kind: DataKind::Gauge,
        temporality: Temporality::Delta,
        is_monotonic: true,
    };
    let attributes = || [("card", Value::Str("4111111111111111")), ("gone", Value::Int(1))];
    builder.metric(&about, |points| points.number(times, NumberValue::Int(3), attributes()));
    let about = About { kind: DataKind::Histogram, ..about };
    builder.metric(&about, |points| {
        points.histogram(times, Some(4.0), (&[1.0, 2.0], &[1, 0, 2]), attributes());
    });
    let batch = builder.finish(Arc::default());
    let redacted = redacted("{allowed_keys: [card], detectors: [credit_card]}", &batch);
    let mut text = String::new();
    redacted.for_each(|item| item.record.attributes().push_json(&mut text));
    assert_eq!(text, r#"{"card":"****"}{"card":"****"}"#);
}

#[test]
fn every_value_of_a_repeated_name_is_redacted() {
    let twice = [("card", Value::Str("4111111111111111")), ("card", Value::Int(1))];
    let batch = log(Value::Empty, twice);
    let all = |batch: &Batch, key: &str| {
        let record = batch.logs().items().next().expect("one").record;
        record.attributes().all(key).map(|value| value.to_text().into_owned()).collect::<Vec<_>>()
    };
    let masked = redacted("{allow_all_keys: true, detectors: [credit_card]}", &batch);
    assert_eq!(all(&masked, "card"), ["****", "1"]);
    assert!(all(&redacted("{}", &batch), "card").is_empty());
}

#[test]
fn detectors_look_into_texts_lists_and_maps() {
    let mut list = Writer::default();
    Value::Str("to a@example.com").write_field(1, &mut list);
    Value::Int(4).write_field(1, &mut list);
    let mut map = Writer::default();
    write_attribute(1, "at", Value::Str("x"), &mut map);
    write_attribute(1, "to", Value::Array(Array::of_encoded(list.as_slice())), &mut map);
    let map = || Value::KvList(Attributes::of_kvlist(map.as_slice()));
    let attributes =
        [("deep", map()), ("text", Value::Str("4111 1111 1111 1111")), ("plain", Value::Int(1))];
    assert_eq!(
        shown(&redacted(DETECTORS, &log(map(), attributes))),
        concat!(
            r#"{"at":"x","to":["to ****",4]} "#,
            r#"{"deep":{"at":"x","to":["to ****",4]},"text":"****","plain":1,"#,
            r#""redaction.masked.keys":"deep,text","redaction.masked.count":2,"#,
            r#""redaction.body.masked.keys":"to.[0]","redaction.body.masked.count":1}"#
        )
    );
    // A number is looked at in bodies, and in attributes where all types are.
    let number =
        || log(Value::Int(4_111_111_111_111_111), [("card", Value::Int(4_111_111_111_111_111))]);
    let yaml = "{allow_all_keys: true, detectors: [credit_card]}";
    assert_eq!(shown(&redacted(yaml, &number())), r#"**** {"card":4111111111111111}"#);
    let yaml = "{allow_all_keys: true, redact_all_types: true, detectors: [credit_card]}";
    assert_eq!(shown(&redacted(yaml, &number())), r#"**** {"card":"****"}"#);
}

#[test]
fn allowed_values_and_ignored_keys_go_before_detectors() {
    let yaml = "{allow_all_keys: true, detectors: [email], ignored_keys: [from], allowed_values: ['@example\\.com$']}";
    let attributes = [
        ("from", Value::Str("x@example.org")),
        ("to", Value::Str("y@example.com")),
        ("cc", Value::Str("z@example.org")),
    ];
    assert_eq!(
        shown(&redacted(yaml, &log(Value::Str("of y@example.com"), attributes))),
        r#"of y@example.com {"from":"x@example.org","to":"y@example.com","cc":"****"}"#
    );
}

#[test]
fn detectors_look_at_names_messages_and_events_of_spans() {
    let mut builder = TracesBuilder::new();
    builder.span(|span| {
        span.ids(TraceId::new([1; 16]), SpanId::new([2; 8]), None);
        span.name("mail to a@example.com", 2);
        span.attribute("to", Value::Str("a@example.com"));
        span.event(Time::from_unix_nanos(6), "sent", [("to", Value::Str("a@example.com"))]);
        span.status(2, "a@example.com is not there");
    });
    let batch = redacted(DETECTORS, &builder.finish(Arc::default()));
    let span = batch.spans().items().next().expect("a span").record;
    assert_eq!(span.name(), "mail to ****");
    let status = span.status().expect("a status");
    assert_eq!((status.code(), status.message()), (2, "**** is not there"));
    assert_eq!(span.attributes().get("to"), Some(Value::Str("****")));
    let event = span.events().next().expect("an event");
    assert_eq!(event.attributes().get("redaction.masked.keys"), Some(Value::Str("to")));
    // Expressions do not look at names, as in the Collector.
    let yaml = "{allow_all_keys: true, blocked_values: [mail]}";
    let mut builder = TracesBuilder::new();
    builder.span(|span| span.name("mail", 2));
    let batch = redacted(yaml, &builder.finish(Arc::default()));
    assert_eq!(batch.spans().items().next().expect("a span").record.name(), "mail");
}

#[test]
fn findings_are_hashed_and_counted() {
    let yaml = "{allow_all_keys: true, detectors: [email, credit_card, email], hash_function: md5}";
    let mut stage = stage(Signal::Logs, yaml);
    let text = "a@example.com, b@example.com: 4111111111111111";
    let (batch, _) = stage.run(&log(Value::Str(text), []));
    // RFC 1321's MD5 of `a@example.com`, `b@example.com` and `4111111111111111`, by md5sum.
    assert_eq!(
        shown(&batch.expect("a batch")),
        concat!(
            "b418773a2c51fb9777a1648346fa7394, d3d7ebb9768eb6f1d6cee6d0cefd341b: ",
            "5910f4ea0062a0e29afd3dccc741e3ce {}"
        ),
    );
    let page = stage.metrics().to_prometheus();
    for line in [
        r#"catchment_processor_redaction_detected_values{detector="email",processor="redaction"} 2"#,
        r#"catchment_processor_redaction_detected_values{detector="credit_card",processor="redaction"} 1"#,
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
}

#[test]
fn wrong_settings_are_explained() {
    for (yaml, expected) in [
        ("blocked_values: ['a(']", "`a(` is not a regular expression"),
        ("blocked_key_patterns: ['(?=x)']", "looks ahead, which RE2 does not have"),
        ("ignored_key_patterns: ['*']", "there is nothing before `*` to repeat"),
        ("allowed_values: ['[']", "`[` does not close"),
        ("hash_function: sha256", "unknown hash function `sha256`"),
        ("summary: verbose", "unknown summary `verbose`: it is `debug`, `info` or `silent`"),
        ("hash_function: hmac-sha256", "`hmac_key` must have at least 32 bytes"),
        (
            "{hash_function: HMAC-SHA512, hmac_key: short}",
            "at least 64 bytes for this `hash_function`, and has 5",
        ),
        ("url_sanitizer: {enabled: true}", "url_sanitizer"),
        ("db_sanitizer: {sql: {enabled: true}}", "in processors::redaction::db_sanitizer::sql"),
        ("db_sanitizer: {oracle: {enabled: true}}", "unknown key `oracle`"),
        ("detectors: [credit_cards]", "did you mean `credit_card`?"),
        ("blocked_keys: [a]", "unknown key `blocked_keys`"),
    ] {
        let error = refusal(yaml);
        assert!(error.contains(expected), "{yaml}: {error}");
        assert!(error.contains("test.yaml:1:"), "{yaml}: {error}");
    }
    assert!(refusal("{hash_function: hmac-sha256, hmac_key: 0123}").contains("has 4"));
}

#[test]
fn sanitizers_that_are_off_are_read() {
    let yaml = "
url_sanitizer: {enabled: false, attributes: [http.url], sanitize_span_name: true}
db_sanitizer: {sanitize_span_name: false, sql: {enabled: false, attributes: [db.statement]}}
";
    stage(Signal::Traces, yaml);
}

proptest! {
    #[test]
    fn what_is_not_matched_is_not_touched((signal, bytes) in noisy_request()) {
        let yaml = "{allow_all_keys: true, blocked_key_patterns: ['^never\\z'], \
            blocked_values: ['^never\\z'], allowed_values: ['^ever\\z'], summary: debug, \
            detectors: [aws_key, github_token, iban, jwt, private_key, slack_token, stripe_key]}";
        let batch = admit(signal, bytes);
        let redacted = redacted(yaml, &batch);
        for (ours, theirs) in redacted.chunks().iter().zip(batch.chunks()) {
            prop_assert_eq!(ours.as_ptr(), theirs.as_ptr());
        }
        prop_assert_eq!(redacted.merged_bytes(), batch.merged_bytes());
    }

    #[test]
    fn records_beside_a_match_stay_byte_for_byte(
        texts in proptest::collection::vec("[a-z@. ]{0,40}", 1..20),
        secret in any::<prop::sample::Index>(),
    ) {
        let secret = secret.index(texts.len());
        let mut builder = LogsBuilder::new();
        builder.resource(&encode_resource([("service.name", Value::Str("shop"))]), "");
        for (index, text) in texts.iter().enumerate() {
            let body = if index == secret { format!("{text} 4111111111111111") } else { text.clone() };
            builder.record(|record| {
                record.body(Value::Str(&body));
                record.attribute("text", Value::Str(text));
            });
        }
        let batch = builder.finish(Arc::default());
        let redacted = redacted("{allow_all_keys: true, detectors: [credit_card]}", &batch);
        let pairs = batch.logs().items().zip(redacted.logs().items());
        for (index, (before, after)) in pairs.enumerate() {
            if index == secret {
                let body = format!("{} ****", texts[index]);
                prop_assert_eq!(after.record.body(), Value::Str(&body));
            } else {
                prop_assert_eq!(after.record.bytes(), before.record.bytes());
            }
        }
    }
}
