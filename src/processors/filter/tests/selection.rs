use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message as _;

use super::super::*;
use crate::data::tests::admit;
use crate::data::tests::arbitrary::noisy_request;
use crate::data::tests::flatten::flatten;
use crate::data::{
    About, DataKind, LogsBuilder, MetricsBuilder, NumberValue, Temporality, Time, TracesBuilder,
    Value, encode_resource, encode_scope,
};
use crate::processors::test_stage::Stage;

fn stage(signal: Signal, yaml: &str) -> Stage {
    Stage::try_new::<FilterConfig>(signal, yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

fn refusal(yaml: &str) -> String {
    Stage::try_new::<FilterConfig>(Signal::Logs, yaml).map(drop).unwrap_err()
}

/// One record of each severity number in `numbers`, with the number as its body.
fn logs(numbers: &[u8]) -> Batch {
    let mut builder = LogsBuilder::new();
    builder.resource(&encode_resource([("host.name", Value::Str("node-1"))]), "");
    for number in numbers {
        builder.record(|record| {
            record.severity(*number, if *number < 9 { "low" } else { "high" });
            record.body(Value::Str(&format!("line {number}")));
            record.attribute("number", Value::Int(i64::from(*number)));
        });
    }
    builder.finish(Arc::default())
}

/// The severity numbers of the records that stay.
fn kept(yaml: &str, batch: &Batch) -> Vec<i32> {
    let (kept, _) = stage(Signal::Logs, yaml).run(batch);
    let kept = kept.unwrap_or_else(|| Batch::empty(Signal::Logs, Arc::default()));
    kept.logs().items().map(|item| item.record.severity_number()).collect()
}

/// "If this is WARN, all log records with WARN severity and above match"; "`match_undefined`: by
/// default false" (the Collector's documentation).
#[test]
fn severities_are_compared_as_the_collector_does() {
    let batch = logs(&[0, 1, 9, 12, 13, 16, 17, 24]);
    for (yaml, expected) in [
        ("logs: {include: {severity_number: {min: WARN}}}", &[13, 16, 17, 24][..]),
        ("logs: {include: {severity_number: {min: info4}}}", &[12, 13, 16, 17, 24]),
        ("logs: {include: {severity_number: {min: 17}}}", &[17, 24]),
        (
            "logs: {include: {severity_number: {min: WARN, match_undefined: true}}}",
            &[0, 13, 16, 17, 24],
        ),
        ("logs: {exclude: {severity_number: {min: WARN}}}", &[0, 1, 9, 12]),
        ("logs: {include: {severity_number: {min: ''}}}", &[1, 9, 12, 13, 16, 17, 24]),
        ("logs: {include: {match_type: strict, severity_texts: [low]}}", &[0, 1]),
    ] {
        assert_eq!(kept(yaml, &batch), expected, "{yaml}");
    }
}

#[test]
fn logs_are_matched_by_text_and_attributes() {
    let batch = logs(&[5, 9, 17]);
    for (yaml, expected) in [
        ("logs: {include: {match_type: strict, bodies: [line 9, line 17]}}", &[9, 17][..]),
        ("logs: {include: {match_type: regexp, bodies: ['^line', 'x']}}", &[5, 9, 17]),
        ("logs: {exclude: {match_type: regexp, bodies: ['7$']}}", &[5, 9]),
        (
            "logs: {include: {match_type: strict, record_attributes: [{key: number, value: 9}]}}",
            &[9],
        ),
        (
            "logs: {include: {match_type: regexp, record_attributes: [{key: number, value: '[57]'}]}}",
            &[5, 17],
        ),
        (
            "logs: {include: {match_type: strict, resource_attributes: [{key: host.name, value: node-2}]}}",
            &[],
        ),
        (
            "logs: {exclude: {match_type: regexp, resource_attributes: [{key: host.name, value: node-2}]}}",
            &[5, 9, 17],
        ),
        (
            "logs: {include: {match_type: regexp, bodies: ['line']}, exclude: {match_type: strict, severity_texts: [low]}}",
            &[9, 17],
        ),
        // Nothing to match is no condition.
        ("logs: {include: {match_type: strict}}", &[5, 9, 17]),
        (
            "{error_mode: ignore, metrics: {exclude: {match_type: strict, metric_names: [a]}}}",
            &[5, 9, 17],
        ),
    ] {
        assert_eq!(kept(yaml, &batch), expected, "{yaml}");
    }
}

#[test]
fn nothing_is_emitted_when_nothing_is_left_and_drops_are_counted() {
    let batch = logs(&[1, 2, 17]);
    let yaml = "logs: {include: {severity_number: {min: WARN}}}";
    let (kept, num_dropped) = stage(Signal::Logs, yaml).run(&batch);
    assert_eq!((kept.map(|kept| kept.num_records()), num_dropped), (Some(1), 2));
    let (kept, num_dropped) = stage(Signal::Logs, yaml).run(&logs(&[1, 2]));
    assert!(kept.is_none());
    assert_eq!(num_dropped, 2);
}

#[test]
fn spans_are_matched_by_all_conditions_that_are_written() {
    let mut builder = TracesBuilder::new();
    for service in ["app_1", "app_3"] {
        builder.resource(&encode_resource([("service.name", Value::Str(service))]), "");
        builder.scope(&encode_scope("opentelemetry", "0.0-beta"), "");
        for (name, kind) in [("hello_world", 2), ("other", 3)] {
            builder.span(|span| span.name(name, kind));
        }
    }
    let batch = builder.finish(Arc::default());
    let kept = |yaml: &str| -> Vec<(String, String)> {
        let (kept, _) = stage(Signal::Traces, yaml).run(&batch);
        let kept = kept.unwrap_or_else(|| Batch::empty(Signal::Traces, Arc::default()));
        let names = |item: crate::data::Item<'_, crate::data::Span<'_>>| {
            (item.resource.service_name().unwrap().to_owned(), item.record.name().to_owned())
        };
        kept.spans().items().map(names).collect()
    };
    let all = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(left, right)| ((*left).to_owned(), (*right).to_owned())).collect()
    };
    assert_eq!(
        kept("spans: {include: {match_type: strict, services: [app_3]}}"),
        all(&[("app_3", "hello_world"), ("app_3", "other")])
    );
    assert_eq!(
        kept(
            "spans: {exclude: {match_type: regexp, services: [app_1, app_2], span_names: [hello.world], libraries: [{name: opentelemetry, version: 0.0-beta}]}}"
        ),
        all(&[("app_1", "other"), ("app_3", "hello_world"), ("app_3", "other")])
    );
    assert_eq!(
        kept("spans: {include: {match_type: strict, span_kinds: [SPAN_KIND_CLIENT]}}"),
        all(&[("app_1", "other"), ("app_3", "other")])
    );
}

#[test]
fn metrics_go_whole() {
    let mut builder = MetricsBuilder::new();
    let times = (Time::default(), Time::default());
    for container in ["app_1", "app_2"] {
        builder.resource(&encode_resource([("container.name", Value::Str(container))]), "");
        for name in ["hello_world", "prefix/a"] {
            let about = About {
                name,
                description: "",
                unit: "",
                kind: DataKind::Sum,
                temporality: Temporality::Delta,
                is_monotonic: true,
            };
            builder.metric(&about, |points| {
                points.number(times, NumberValue::Int(1), []);
                points.number(times, NumberValue::Int(2), []);
            });
        }
    }
    let batch = builder.finish(Arc::default());
    let kept = |yaml: &str| -> Vec<String> {
        let (kept, num_dropped) = stage(Signal::Metrics, yaml).run(&batch);
        assert_eq!(num_dropped % 2, 0, "both points of a metric");
        let kept = kept.unwrap_or_else(|| Batch::empty(Signal::Metrics, Arc::default()));
        let metrics = kept.metrics().items();
        metrics
            .map(|item| {
                let container = item.resource.attributes().get("container.name").unwrap();
                format!("{} {}", container.to_text(), item.record.name())
            })
            .collect()
    };
    assert_eq!(
        kept("metrics: {include: {match_type: regexp, metric_names: [prefix/.*, prefix_.*]}}"),
        ["app_1 prefix/a", "app_2 prefix/a"]
    );
    assert_eq!(
        kept(
            "metrics: {include: {match_type: strict, metric_names: [hello_world], resource_attributes: [{key: container.name, value: app_1}]}}"
        ),
        ["app_1 hello_world"]
    );
    // One of the two is enough to exclude, as the Collector has it.
    assert_eq!(
        kept(
            "metrics: {exclude: {match_type: strict, metric_names: [hello_world], resource_attributes: [{key: container.name, value: app_1}]}}"
        ),
        ["app_2 prefix/a"]
    );
}

#[test]
fn what_is_not_supported_is_named() {
    for (yaml, expected) in [
        ("metrics: {exclude: {match_type: expr, metric_names: [a]}}", "`expr` is not supported"),
        ("metrics: {exclude: {match_type: strict, expressions: [a]}}", "`expr` expressions"),
        ("profiles: {profile: ['true']}", "`profiles` is not supported"),
        ("logs: {include: {severity_number: {min: LOUD}}}", "`LOUD` is no severity"),
        ("logs: {include: {match_type: regexp, bodies: ['(']}}", "unclosed group"),
        ("logs: {include: {bodies: [a]}}", "`bodies` needs `match_type`"),
        ("spans: {include: {match_type: strict}}", "no condition for traces"),
        ("spans: {include: {match_type: strict, log_bodies: [a]}}", "no condition for traces"),
        ("logs: {includes: {}}", "unknown key `includes`"),
        ("error_mode: panic", "error_mode"),
    ] {
        let error = refusal(yaml);
        assert!(error.contains(expected) && error.contains("test.yaml:1:"), "{yaml}: {error}");
    }
}

/// Conditions for one signal, as text for the file and on prost structs.
#[derive(Clone, Debug)]
struct Conditions {
    min: i32,
    match_undefined: bool,
    text: &'static str,
    attribute: (&'static str, Option<&'static str>),
    resource: Option<&'static str>,
    is_exclude: bool,
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let text = prop_oneof![Just("a"), Just("^[ab]"), Just("")];
    let attribute = prop_oneof![Just(("a", None)), Just(("b", Some("^."))), Just(("a", Some("b")))];
    let resource =
        prop_oneof![2 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("service.name"))];
    (0..20, any::<bool>(), text, attribute, resource, any::<bool>()).prop_map(
        |(min, match_undefined, text, attribute, resource, is_exclude)| Conditions {
            min,
            match_undefined,
            text,
            attribute,
            resource,
            is_exclude,
        },
    )
}

impl Conditions {
    fn yaml(&self) -> String {
        let block = if self.is_exclude { "exclude" } else { "include" };
        let attribute = match self.attribute {
            (key, None) => serde_json::json!([{ "key": key }]),
            (key, Some(value)) => serde_json::json!([{ "key": key, "value": value }]),
        };
        let resource = match self.resource {
            None => serde_json::json!([]),
            Some(key) => serde_json::json!([{ "key": key }]),
        };
        let texts = [self.text];
        serde_json::json!({
            "logs": { block: {
                "match_type": "regexp",
                "severity_number": { "min": self.min.max(1), "match_undefined": self.match_undefined },
                "bodies": texts,
                "record_attributes": attribute,
                "resource_attributes": resource,
            }},
            "spans": { block: {
                "match_type": "regexp",
                "span_names": texts,
                "attributes": attribute,
                "resources": resource,
            }},
            "metrics": { block: {
                "match_type": "regexp",
                "metric_names": texts,
                "resource_attributes": resource,
            }},
        })
        .to_string()
    }

    fn is_text(&self, text: &str) -> bool {
        match self.text {
            "a" => text.contains('a'),
            "" => true,
            _ => text.starts_with(['a', 'b']),
        }
    }

    fn is_attribute(&self, attributes: &[KeyValue]) -> bool {
        let (key, value) = self.attribute;
        let Some(pair) = attributes.iter().rfind(|pair| pair.key == key) else { return false };
        let text = match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(ProtoValue::StringValue(text)) => text.clone(),
            Some(ProtoValue::BoolValue(flag)) => flag.to_string(),
            Some(ProtoValue::IntValue(number)) => number.to_string(),
            Some(ProtoValue::DoubleValue(number)) => number.to_string(),
            _ => return value.is_none(),
        };
        match value {
            None => true,
            Some("b") => text.contains('b'),
            Some(_) => text.chars().next().is_some_and(|char| char != '\n'),
        }
    }

    fn is_resource(&self, resource: Option<&Resource>) -> bool {
        let pairs = resource.map(|resource| &resource.attributes[..]).unwrap_or_default();
        self.resource.is_none_or(|key| pairs.iter().any(|pair| pair.key == key))
    }

    fn selects(&self, is_match: bool) -> bool {
        is_match != self.is_exclude
    }

    /// The request as it is filtered on prost structs.
    fn filtered(&self, batch: &Batch) -> Vec<u8> {
        let bytes = batch.merged_bytes();
        match batch.signal() {
            Signal::Logs => {
                let mut request = ExportLogsServiceRequest::decode(bytes).unwrap();
                for group in &mut request.resource_logs {
                    let is_resource = self.is_resource(group.resource.as_ref());
                    for scope in &mut group.scope_logs {
                        scope.log_records.retain(|record| {
                            let is_severe = match record.severity_number {
                                0 => self.match_undefined,
                                number => number >= self.min.max(1),
                            };
                            self.selects(
                                is_resource
                                    && is_severe
                                    && self.is_text(&body(record.body.as_ref()))
                                    && self.is_attribute(&record.attributes),
                            )
                        });
                    }
                }
                request.encode_to_vec()
            }
            Signal::Traces => {
                let mut request = ExportTraceServiceRequest::decode(bytes).unwrap();
                for group in &mut request.resource_spans {
                    let is_resource = self.is_resource(group.resource.as_ref());
                    for scope in &mut group.scope_spans {
                        scope.spans.retain(|span| {
                            self.selects(
                                is_resource
                                    && self.is_text(&span.name)
                                    && self.is_attribute(&span.attributes),
                            )
                        });
                    }
                }
                request.encode_to_vec()
            }
            Signal::Metrics => {
                let mut request = ExportMetricsServiceRequest::decode(bytes).unwrap();
                for group in &mut request.resource_metrics {
                    let is_resource = self.is_resource(group.resource.as_ref());
                    for scope in &mut group.scope_metrics {
                        scope.metrics.retain(|metric| {
                            let is_name = self.is_text(&metric.name);
                            match (self.is_exclude, self.resource) {
                                (false, _) => is_resource && is_name,
                                (true, None) => !is_name,
                                (true, Some(_)) => !is_resource && !is_name,
                            }
                        });
                    }
                }
                request.encode_to_vec()
            }
        }
    }
}

fn body(value: Option<&AnyValue>) -> String {
    let encoded = value.map(AnyValue::encode_to_vec).unwrap_or_default();
    Value::read(&encoded).to_text().into_owned()
}

proptest! {
    #[test]
    fn what_is_kept_is_what_is_kept_of_prost_structs(
        (signal, bytes) in noisy_request(),
        conditions in conditions(),
        size in 1_usize..4,
    ) {
        let batch = admit(signal, bytes);
        let mut stage = stage(signal, &conditions.yaml());
        let (kept, _) = stage.run(&batch);
        let kept = kept.map(|kept| flatten(&kept)).unwrap_or_default();
        let expected = flatten(&admit(signal, conditions.filtered(&batch)));
        prop_assert_eq!(&kept, &expected);
        let pieces = batch.split(size, 0);
        let cut: Vec<_> = pieces
            .iter()
            .filter_map(|piece| stage.run(piece).0)
            .flat_map(|kept| flatten(&kept))
            .collect();
        prop_assert_eq!(cut, expected);
    }
}
