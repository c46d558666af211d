use std::net::SocketAddr;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use proptest::prelude::*;
use prost::Message as _;
use regex::Regex;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::resource::ResourceConfig;
use super::super::test_stage::Stage;
use super::*;
use crate::data::tests::arbitrary::noisy_request;
use crate::data::tests::edits::edit_with_prost;
use crate::data::tests::flatten::flatten;
use crate::data::tests::{admit, normal_batch};
use crate::data::{
    About, Context, DataKind, LogsBuilder, MetricsBuilder, NumberValue, Temporality, Time,
    TracesBuilder, Value, encode_resource, encode_scope,
};

const HASH_OF_FOO: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

/// A log record with these attributes, of service `shop`.
fn log<'v>(attributes: impl IntoIterator<Item = (&'v str, Value<'v>)>) -> Batch {
    let mut builder = LogsBuilder::new();
    builder.resource(&encode_resource([("service.name", Value::Str("shop"))]), "");
    builder.scope(&encode_scope("lib", "1.0"), "");
    builder.record(|record| {
        record.severity(9, "INFO");
        record.body(Value::Str("hello"));
        for (key, value) in attributes {
            record.attribute(key, value);
        }
    });
    builder.finish(Arc::default())
}

/// The attributes after these actions, as JSON.
fn acted(actions: &str, batch: &Batch) -> String {
    let yaml = format!("actions:\n{actions}");
    let mut stage = Stage::try_new::<AttributesConfig>(batch.signal(), &yaml).unwrap();
    shown(&stage.run(batch).0.expect("nothing is dropped"))
}

fn shown(batch: &Batch) -> String {
    let mut text = String::new();
    batch.for_each(|item| item.record.attributes().push_json(&mut text));
    text
}

fn refusal(signal: Signal, yaml: &str) -> String {
    Stage::try_new::<AttributesConfig>(signal, yaml).map(drop).unwrap_err()
}

/// The example of the Collector's documentation.
#[test]
fn actions_of_the_documentation() {
    let batch = log([
        ("db.table", Value::Str("users")),
        ("redacted_span", Value::Bool(false)),
        ("copy_key", Value::Int(0)),
        ("key_original", Value::Str("original")),
        ("account_password", Value::Str("secret")),
        ("account_email", Value::Str("foo")),
        ("http.status_code", Value::Str("500")),
    ]);
    let actions = "
      - {key: db.table, action: delete}
      - {key: redacted_span, value: true, action: upsert}
      - {key: copy_key, from_attribute: key_original, action: update}
      - {key: account_id, value: 2245, action: insert}
      - {key: account_password, action: delete}
      - {key: account_email, action: hash}
      - {key: http.status_code, action: convert, converted_type: int}
      - {key: region, from_attribute: cloud.region, default_value: us-east-1, action: INSERT}
      - {key: tenant_id, from_context: metadata.tenant, default_value: default-tenant, action: upsert}
";
    let expected = json!({
        "redacted_span": true,
        "copy_key": "original",
        "key_original": "original",
        "account_email": HASH_OF_FOO,
        "http.status_code": 500,
        "account_id": 2245,
        "region": "us-east-1",
        "tenant_id": "default-tenant",
    });
    let found: serde_json::Value = serde_json::from_str(&acted(actions, &batch)).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn groups_of_an_expression_become_attributes() {
    let batch = log([
        ("http.url", Value::Str("http://example.com/path?queryParam1=value1")),
        ("http.path", Value::Int(7)),
    ]);
    let actions = r#"
      - key: http.url
        pattern: ^(?P<http.protocol>.*):\/\/(?P<http.domain>.*)\/(?P<http.path>.*)(\?|\&)(?P<params>.*)
        action: extract
"#;
    let error = refusal(Signal::Logs, &format!("actions:\n{actions}"));
    assert!(error.contains("every group needs a name"), "{error}");
    let actions = actions
        .replace(r"(\?|\&)", r"(?P<sign>\?|\&)")
        .replace("(?P<params>.*)", "(?P<params>.*)(?P<none>#x)?");
    assert_eq!(
        acted(&actions, &batch),
        r#"{"http.url":"http://example.com/path?queryParam1=value1","http.path":"path","http.protocol":"http","http.domain":"example.com","sign":"?","params":"queryParam1=value1","none":""}"#
    );
    let number = log([("http.url", Value::Int(1))]);
    assert_eq!(acted(&actions, &number), r#"{"http.url":1}"#);
}

#[test]
fn names_are_chosen_by_an_expression() {
    let batch = log([
        ("token.a", Value::Str("foo")),
        ("user", Value::Str("u")),
        ("my.token.b", Value::Str("foo")),
        ("token.a", Value::Str("foo")),
    ]);
    assert_eq!(
        acted("  - {pattern: ^token, key: user, action: delete}", &batch),
        r#"{"my.token.b":"foo"}"#
    );
    let hashed = acted(
        "  - {key: added, value: 1, action: insert}\n  - {pattern: token, action: hash}",
        &batch,
    );
    assert_eq!(
        hashed,
        format!(
            r#"{{"user":"u","my.token.b":"{HASH_OF_FOO}","token.a":"{HASH_OF_FOO}","added":1}}"#
        )
    );
}

#[test]
fn what_is_known_of_the_client_becomes_attributes() {
    let context = Context {
        peer: Some("[::ffff:10.0.0.7]:4317".parse::<SocketAddr>().unwrap()),
        identity: Some("alice".into()),
        metadata: [("x-team".to_owned(), vec!["a".to_owned(), "b".to_owned()])].into(),
        ..Context::default()
    };
    let batch = log([]).with_context(Arc::new(context));
    let actions = "
      - {key: address, from_context: client.address, action: insert}
      - {key: user, from_context: auth.username, action: insert}
      - {key: team, from_context: metadata.X-Team, action: insert}
      - {key: old, from_context: X-Team, action: insert}
      - {key: none, from_context: metadata.other, action: insert}
";
    assert_eq!(
        acted(actions, &batch),
        r#"{"address":"10.0.0.7","user":"alice","team":"a;b","old":"a;b"}"#
    );
    // The next batch is another client's.
    let mut stage =
        Stage::try_new::<AttributesConfig>(Signal::Logs, &format!("actions:{actions}")).unwrap();
    let _ = stage.run(&batch);
    assert_eq!(shown(&stage.run(&log([])).0.unwrap()), r#"{"address":""}"#);
}

#[test]
fn only_what_is_selected_is_acted_upon() {
    let touched = |signal: &Batch, selection: &str| {
        let yaml = format!("{selection}\nactions: [{{key: x, value: 1, action: insert}}]");
        let mut stage = Stage::try_new::<AttributesConfig>(signal.signal(), &yaml).unwrap();
        shown(&stage.run(signal).0.unwrap()).contains("\"x\":1")
    };
    let logs = log([("n", Value::Int(12)), ("s", Value::Str("text"))]);
    for (selection, expected) in [
        ("include: {match_type: strict, log_bodies: [bye, hello]}", true),
        ("include: {match_type: strict, log_bodies: [hell]}", false),
        ("include: {match_type: regexp, log_bodies: [hell]}", true),
        ("exclude: {match_type: regexp, log_bodies: [x, hell]}", false),
        ("include: {log_severity_number: {min: 9}}", true),
        ("include: {log_severity_number: {min: 10, match_undefined: true}}", false),
        ("include: {match_type: strict, log_severity_texts: [INFO]}", true),
        ("include: {match_type: strict, attributes: [{key: n, value: 12}]}", true),
        ("include: {match_type: strict, attributes: [{key: n, value: '12'}]}", false),
        ("include: {match_type: regexp, attributes: [{key: n, value: '^12$'}]}", true),
        ("include: {match_type: strict, attributes: [{key: n}, {key: none}]}", false),
        ("include: {match_type: strict, resources: [{key: service.name, value: shop}]}", true),
        ("include: {match_type: strict, libraries: [{name: lib, version: ''}]}", false),
        ("include: {match_type: regexp, libraries: [{name: lib, version: ^1}]}", true),
        // All that is written must hold.
        ("exclude: {match_type: strict, log_bodies: [hello], log_severity_texts: [WARN]}", true),
        (
            "include: {match_type: strict, attributes: [{key: s}]}\nexclude: {match_type: strict, attributes: [{key: n}]}",
            false,
        ),
    ] {
        assert_eq!(touched(&logs, selection), expected, "{selection}");
    }
    let mut spans = TracesBuilder::new();
    spans.resource(&encode_resource([("a", Value::Int(1))]), "");
    spans.span(|span| span.name("GET /", 2));
    let spans = spans.finish(Arc::default());
    for (selection, expected) in [
        ("include: {match_type: strict, span_kinds: [SPAN_KIND_SERVER]}", true),
        ("include: {match_type: regexp, span_kinds: [CLIENT, INTERNAL]}", false),
        ("include: {match_type: regexp, span_names: [^GET]}", true),
        ("include: {match_type: strict, services: [<nil-service-name>]}", true),
        ("include: {match_type: strict, services: [shop]}", false),
    ] {
        assert_eq!(touched(&spans, selection), expected, "{selection}");
    }
    let mut metrics = MetricsBuilder::new();
    metrics.resource(&encode_resource([("a", Value::Int(1))]), "");
    let about = About {
        name: "requests",
        description: "",
        unit: "",
        kind: DataKind::Gauge,
        temporality: Temporality::Unspecified,
        is_monotonic: false,
    };
    let now = (Time::default(), Time::default());
    metrics.metric(&about, |points| points.number(now, NumberValue::Int(1), []));
    let metrics = metrics.finish(Arc::default());
    for (selection, expected) in [
        ("include: {match_type: strict, metric_names: [requests]}", true),
        (
            "exclude: {match_type: regexp, metric_names: [^req], regexp: {cacheenabled: true}}",
            false,
        ),
        ("include: {match_type: strict, resources: [{key: a, value: 2}]}", false),
    ] {
        assert_eq!(touched(&metrics, selection), expected, "{selection}");
    }
}

#[test]
fn wrong_settings_are_explained() {
    let action = |action: &str| refusal(Signal::Logs, &format!("actions: [{action}]"));
    for (text, expected) in [
        ("{key: a, action: replace}", "unknown action `replace`"),
        ("{key: a, action: insert}", "`insert` needs one of `value`"),
        ("{value: a, action: upsert}", "`upsert` needs `key`"),
        ("{action: delete}", "`delete` needs `key` or `pattern`"),
        ("{key: a, action: hash, value: 1}", "`hash` does not use `value`"),
        ("{key: a, action: update, value: 1, from_attribute: b}", "only one of `value`"),
        ("{key: a, action: insert, value: 1, pattern: x}", "`insert` does not use `pattern`"),
        ("{key: a, action: extract, pattern: a}", "every group needs a name"),
        ("{key: a, action: extract, pattern: '(?P<x>a'}", "unclosed group"),
        ("{key: a, action: convert, converted_type: bool}", "unknown `converted_type` `bool`"),
        ("{key: a, action: insert, from_context: auth.raw}", "`auth.raw` is not supported"),
        ("{key: a, action: insert, valve: 1}", "unknown key `valve`"),
    ] {
        let error = action(text);
        assert!(error.contains(expected) && error.contains("test.yaml:1:"), "{text}: {error}");
    }
    assert!(refusal(Signal::Logs, "{}").contains("`actions` is needed"));
    let include = |signal, include: &str| {
        let actions = "actions: [{key: x, value: 1, action: insert}]";
        refusal(signal, &format!("include: {include}\n{actions}"))
    };
    for (signal, text, expected) in [
        (
            Signal::Logs,
            "{match_type: strict, services: [a]}",
            "`services` is no condition for logs",
        ),
        (Signal::Traces, "{log_severity_number: {min: 1}}", "no condition for traces"),
        (
            Signal::Metrics,
            "{match_type: strict, attributes: [{key: a}]}",
            "no condition for metrics",
        ),
        (Signal::Traces, "{match_type: strict}", "no condition for traces: one of `services`"),
        (Signal::Logs, "{log_bodies: [a]}", "`log_bodies` needs `match_type`"),
        (Signal::Logs, "{match_type: regex, log_bodies: [a]}", "unknown match type `regex`"),
        (Signal::Logs, "{match_type: regexp, attributes: [{key: a, value: 1}]}", "must be text"),
        (Signal::Logs, "{match_type: regexp, log_bodies: [b, 'a(']}", "unclosed group"),
        (Signal::Traces, "{match_type: strict, span_kinds: [SERVER]}", "`SERVER` is none of"),
    ] {
        let error = include(signal, text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

/// An action, as JSON for the file and as the model has it.
#[derive(Clone, Debug)]
enum Action {
    Write { action: &'static str, key: String, from: Option<String>, value: Option<i64> },
    Delete { key: Option<String>, pattern: Option<&'static str> },
    Hash { key: Option<String>, pattern: Option<&'static str> },
    Extract { key: String },
    Convert { key: String, target: &'static str },
}

const EXTRACT: &str = "(?P<a>[a-c]+)(?P<x>d)?";

fn action() -> impl Strategy<Value = Action> {
    let key = || "[a-d]";
    let pattern = || prop_oneof![Just("^[ab]"), Just("service"), Just("")];
    let names = || {
        prop_oneof![
            key().prop_map(|key| (Some(key), None)),
            pattern().prop_map(|pattern| (None, Some(pattern).filter(|text| !text.is_empty()))),
            (key(), pattern()).prop_map(|(key, pattern)| (Some(key), Some(pattern))),
        ]
        .prop_filter("something is named", |(key, pattern)| key.is_some() || pattern.is_some())
    };
    let source = prop_oneof![
        any::<i64>().prop_map(|value| (None, Some(value))),
        key().prop_map(|from| (Some(from), None)),
        (key(), any::<i64>()).prop_map(|(from, value)| (Some(from), Some(value))),
    ];
    let write = prop_oneof![Just("insert"), Just("update"), Just("upsert")];
    let target = prop_oneof![Just("string"), Just("int"), Just("double")];
    prop_oneof![
        4 => (write, key(), source).prop_map(|(action, key, (from, value))| {
            Action::Write { action, key, from, value }
        }),
        2 => names().prop_map(|(key, pattern)| Action::Delete { key, pattern }),
        2 => names().prop_map(|(key, pattern)| Action::Hash { key, pattern }),
        1 => key().prop_map(|key| Action::Extract { key }),
        2 => (key(), target).prop_map(|(key, target)| Action::Convert { key, target }),
    ]
}

impl Action {
    fn json(&self) -> serde_json::Value {
        match self {
            Self::Write { action, key, from: None, value } => {
                json!({"action": action, "key": key, "value": value})
            }
            Self::Write { action, key, from, value } => {
                json!({"action": action, "key": key, "from_attribute": from, "default_value": value})
            }
            Self::Delete { key, pattern } => {
                json!({"action": "delete", "key": key, "pattern": pattern})
            }
            Self::Hash { key, pattern } => {
                json!({"action": "hash", "key": key, "pattern": pattern})
            }
            Self::Extract { key } => json!({"action": "extract", "key": key, "pattern": EXTRACT}),
            Self::Convert { key, target } => {
                json!({"action": "convert", "key": key, "converted_type": target})
            }
        }
    }

    /// The same on attributes as prost has them.
    fn apply(&self, attributes: &mut Vec<KeyValue>) {
        match self {
            Self::Write { action, key, from, value } => {
                let literal = value.map(|value| Some(ProtoValue::IntValue(value)));
                let value = match from {
                    Some(from) => get(attributes, from).or(literal),
                    None => literal,
                };
                let is_there = get(attributes, key).is_some();
                let is_wanted = match *action {
                    "insert" => !is_there,
                    "update" => is_there,
                    _ => true,
                };
                if let Some(value) = value.filter(|_| is_wanted) {
                    set(attributes, key, value);
                }
            }
            Self::Delete { key, pattern } => {
                let is_named = is_named(key, pattern);
                attributes.retain(|pair| !is_named(&pair.key));
            }
            Self::Hash { key, pattern } => {
                for only in [(key, &None), (&None, pattern)] {
                    let is_named = is_named(only.0, only.1);
                    let mut names: Vec<String> =
                        attributes.iter().map(|pair| pair.key.clone()).collect();
                    names.sort();
                    names.dedup();
                    for name in names.iter().filter(|name| is_named(name)) {
                        let hashed = hash(get(attributes, name).flatten());
                        set(attributes, name, Some(ProtoValue::StringValue(hashed)));
                    }
                }
            }
            Self::Extract { key } => {
                let Some(Some(ProtoValue::StringValue(text))) = get(attributes, key) else {
                    return;
                };
                let regex = Regex::new(EXTRACT).unwrap();
                let Some(captures) = regex.captures(&text) else { return };
                for name in ["a", "x"] {
                    let group = captures.name(name).map_or("", |group| group.as_str());
                    set(attributes, name, Some(ProtoValue::StringValue(group.to_owned())));
                }
            }
            Self::Convert { key, target } => {
                let Some(value) = get(attributes, key) else { return };
                if let Some(value) = convert(value, target) {
                    set(attributes, key, Some(value));
                }
            }
        }
    }
}

fn is_named<'a>(key: &'a Option<String>, pattern: &'a Option<&str>) -> impl Fn(&str) -> bool + 'a {
    let pattern = pattern.filter(|text| !text.is_empty()).map(|text| Regex::new(text).unwrap());
    move |name| {
        key.as_deref() == Some(name) || pattern.as_ref().is_some_and(|regex| regex.is_match(name))
    }
}

/// The last value of a name; what has no value has an empty one.
fn get(attributes: &[KeyValue], key: &str) -> Option<Option<ProtoValue>> {
    let pair = attributes.iter().rfind(|pair| pair.key == key)?;
    Some(pair.value.clone().and_then(|value| value.value))
}

fn set(attributes: &mut Vec<KeyValue>, key: &str, value: Option<ProtoValue>) {
    let pair =
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() };
    match attributes.iter().rposition(|pair| pair.key == key) {
        Some(index) => attributes[index] = pair,
        None => attributes.push(pair),
    }
}

fn hash(value: Option<ProtoValue>) -> String {
    let bytes = match value {
        Some(ProtoValue::StringValue(text)) => text.into_bytes(),
        Some(ProtoValue::BoolValue(flag)) => vec![u8::from(flag)],
        Some(ProtoValue::IntValue(number)) => number.to_le_bytes().to_vec(),
        Some(ProtoValue::DoubleValue(number)) => number.to_le_bytes().to_vec(),
        _ => return String::new(),
    };
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn convert(value: Option<ProtoValue>, target: &str) -> Option<ProtoValue> {
    use ProtoValue::{BoolValue, DoubleValue, IntValue, StringValue};
    match (target, value) {
        ("string", Some(StringValue(_))) => None,
        ("string", value) => {
            let encoded = AnyValue { value }.encode_to_vec();
            Some(StringValue(Value::read(&encoded).to_text().into_owned()))
        }
        ("int", Some(DoubleValue(number))) => Some(IntValue(number as i64)),
        ("int", Some(BoolValue(flag))) => Some(IntValue(i64::from(flag))),
        ("int", Some(StringValue(text))) => text.parse().ok().map(IntValue),
        ("double", Some(IntValue(number))) => Some(DoubleValue(number as f64)),
        ("double", Some(BoolValue(flag))) => Some(DoubleValue(if flag { 1.0 } else { 0.0 })),
        ("double", Some(StringValue(text))) => text.parse().ok().map(DoubleValue),
        _ => None,
    }
}

fn actions_yaml(key: &str, actions: &[Action]) -> String {
    json!({ key: actions.iter().map(Action::json).collect::<Vec<_>>() }).to_string()
}

proptest! {
    #[test]
    fn actions_do_what_they_do_on_prost_structs(
        (signal, bytes) in noisy_request(),
        actions in proptest::collection::vec(action(), 1..5),
    ) {
        let batch = admit(signal, bytes);
        let yaml = actions_yaml("actions", &actions);
        let mut stage = Stage::try_new::<AttributesConfig>(signal, &yaml).unwrap();
        let edited = stage.run(&batch).0.unwrap();
        let expected = edit_with_prost(&batch, |attributes| {
            actions.iter().for_each(|action| action.apply(attributes));
        });
        prop_assert_eq!(normal_batch(&edited), expected);
    }

    #[test]
    fn actions_on_resources_do_what_they_do_on_prost_structs(
        (signal, bytes) in noisy_request(),
        actions in proptest::collection::vec(action(), 1..5),
    ) {
        let batch = admit(signal, bytes);
        let yaml = actions_yaml("attributes", &actions);
        let mut stage = Stage::try_new::<ResourceConfig>(signal, &yaml).unwrap();
        let edited = stage.run(&batch).0.unwrap();
        let pairs = |batch: &Batch, act: bool| {
            let mut all = Vec::new();
            batch.for_each(|item| {
                let raw = item.resource.attributes().raw();
                let mut pairs: Vec<_> = raw.map(|pair| KeyValue::decode(pair).unwrap()).collect();
                if act {
                    actions.iter().for_each(|action| action.apply(&mut pairs));
                }
                all.push(pairs.iter().map(KeyValue::encode_to_vec).collect::<Vec<_>>());
            });
            all
        };
        prop_assert_eq!(pairs(&edited, false), pairs(&batch, true));
        prop_assert_eq!(edited.num_records(), batch.num_records());
    }

    #[test]
    fn result_does_not_depend_on_how_input_is_cut(
        (signal, bytes) in noisy_request(),
        actions in proptest::collection::vec(action(), 1..4),
        size in 1_usize..4,
    ) {
        let batch = admit(signal, bytes);
        let whole = |stage: &mut Stage| flatten(&stage.run(&batch).0.unwrap());
        let cut = |stage: &mut Stage| -> Vec<_> {
            let pieces = batch.split(size, 0);
            pieces.iter().flat_map(|piece| flatten(&stage.run(piece).0.unwrap())).collect()
        };
        let yaml = actions_yaml("actions", &actions);
        let mut stage = Stage::try_new::<AttributesConfig>(signal, &yaml).unwrap();
        prop_assert_eq!(whole(&mut stage), cut(&mut stage));
        let yaml = actions_yaml("attributes", &actions);
        let mut stage = Stage::try_new::<ResourceConfig>(signal, &yaml).unwrap();
        prop_assert_eq!(whole(&mut stage), cut(&mut stage));
    }
}
