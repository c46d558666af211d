//! Connector `count`: counts spans, span events, metrics, data points and log records.

mod counter;
mod stage;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Deserialize, Deserializer, de};

use counter::{Attribute, Default as DefaultValue, Definition};
pub use stage::Count;

use crate::component::{BuildContext, BuildError, ConnectorConfig, Processor, Sharding, Stability};
use crate::config::{Refused, TextProblems};
use crate::data::Signal;
use crate::ottl::{AnyOf, Compiler, Context, ErrorMode, Functions};

/// Settings of `count`: for each thing that is counted, the metrics that count it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "CountForm")]
pub struct CountConfig {
    timestamps: Timestamps,
    spans: Vec<Definition>,
    span_events: Vec<Definition>,
    metrics: Vec<Definition>,
    data_points: Vec<Definition>,
    logs: Vec<Definition>,
}

/// Which time the counts are for; our addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timestamps {
    /// From the earliest to the latest of the records that were counted, as in the Collector.
    #[default]
    Records,
    /// From the last batch to this one: late records are counted like others by what expects
    /// points in order.
    Arrival,
}

type MetricForms = BTreeMap<String, MetricForm>;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CountForm {
    timestamps: Timestamps,
    spans: Option<MetricForms>,
    spanevents: Option<MetricForms>,
    metrics: Option<MetricForms>,
    datapoints: Option<MetricForms>,
    logs: Option<MetricForms>,
    profiles: Refused,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MetricForm {
    description: String,
    /// One of these must hold for what is counted.
    conditions: Vec<String>,
    attributes: Vec<AttributeForm>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AttributeForm {
    key: String,
    default_value: Option<DefaultValue>,
}

impl TryFrom<CountForm> for CountConfig {
    type Error = String;

    fn try_from(form: CountForm) -> Result<Self, String> {
        let CountForm {
            timestamps,
            spans,
            spanevents,
            metrics,
            datapoints,
            logs,
            profiles: Refused,
        } = form;
        let metrics = definitions(
            ("metrics", Context::Metric),
            metrics,
            "metric.count",
            "The number of metrics observed.",
        )?;
        if let Some(with) = metrics.iter().find(|metric| !metric.attributes.is_empty()) {
            let name = &with.name;
            return Err(format!("`metrics::{name}` has `attributes`, but metrics have none"));
        }
        Ok(Self {
            timestamps,
            metrics,
            spans: definitions(
                ("spans", Context::Span),
                spans,
                "trace.span.count",
                "The number of spans observed.",
            )?,
            span_events: definitions(
                ("spanevents", Context::SpanEvent),
                spanevents,
                "trace.span.event.count",
                "The number of span events observed.",
            )?,
            data_points: definitions(
                ("datapoints", Context::DataPoint),
                datapoints,
                "metric.datapoint.count",
                "The number of data points observed.",
            )?,
            logs: definitions(
                ("logs", Context::Log),
                logs,
                "log.record.count",
                "The number of log records observed.",
            )?,
        })
    }
}

/// The metrics of one section, or the one that counts all if the section is not there.
fn definitions(
    (section, context): (&str, Context),
    forms: Option<MetricForms>,
    name: &str,
    description: &str,
) -> Result<Vec<Definition>, String> {
    let Some(forms) = forms else {
        let (name, description) = (name.to_owned(), description.to_owned());
        let attributes = Vec::new();
        return Ok(vec![Definition { name, description, attributes, conditions: None }]);
    };
    forms
        .into_iter()
        .map(|(name, form)| {
            let MetricForm { description, conditions, attributes } = form;
            let conditions = compiled(&conditions, context).map_err(|wrong| wrong.to_string())?;
            let mut seen = HashSet::new();
            for attribute in &attributes {
                let key = &attribute.key;
                if key.is_empty() {
                    return Err(format!("`{section}::{name}` has an attribute without `key`"));
                }
                if !seen.insert(key.clone()) {
                    return Err(format!("`{section}::{name}` has the attribute `{key}` twice"));
                }
            }
            let attributes = attributes.into_iter().map(|AttributeForm { key, default_value }| {
                Attribute { key, default: default_value.filter(DefaultValue::is_set) }
            });
            Ok(Definition { name, description, attributes: attributes.collect(), conditions })
        })
        .collect()
}

/// Conditions about one context; an error counts as not held.
fn compiled(texts: &[String], context: Context) -> Result<Option<AnyOf>, TextProblems> {
    if texts.is_empty() {
        return Ok(None);
    }
    let compiler = Compiler {
        explicit: Some(context),
        contexts: &[context],
        usual: context,
        functions: Functions::default(),
    };
    AnyOf::compile(texts, compiler, ErrorMode::Ignore).map(Some).map_err(TextProblems)
}

impl<'de> Deserialize<'de> for DefaultValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DefaultVisitor)
    }
}

struct DefaultVisitor;

impl de::Visitor<'_> for DefaultVisitor {
    type Value = DefaultValue;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("text or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DefaultValue, E> {
        Ok(DefaultValue::Str(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<DefaultValue, E> {
        Ok(DefaultValue::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<DefaultValue, E> {
        i64::try_from(number).map(DefaultValue::Int).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<DefaultValue, E> {
        Ok(DefaultValue::Double(number))
    }
}

impl ConnectorConfig for CountConfig {
    const TYPE: &'static str = "count";
    const EXAMPLE: &'static str = "\
logs:
  log.severity.count:
    description: Log records by severity.
    attributes:
      - key: severity_text
        default_value: unknown
";
    const PAIRS: &'static [(Signal, Signal)] = &[
        (Signal::Logs, Signal::Metrics),
        (Signal::Traces, Signal::Metrics),
        (Signal::Metrics, Signal::Metrics),
    ];
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        match self.timestamps {
            Timestamps::Records => Sharding::Stateless,
            Timestamps::Arrival => Sharding::Single,
        }
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let outputs = context.outputs().iter().enumerate();
        let outputs = outputs.filter(|(_, output)| output.signal == Signal::Metrics);
        let outputs = outputs.map(|(index, _)| index).collect();
        Ok(Box::new(Count::new(self.stage_of(context.signal), self.timestamps, outputs)))
    }
}

impl CountConfig {
    /// What counts the records of a signal, and what is inside of them or around them.
    fn stage_of(&self, signal: Signal) -> [Vec<Definition>; 2] {
        match signal {
            Signal::Logs => [self.logs.clone(), Vec::new()],
            Signal::Traces => [self.spans.clone(), self.span_events.clone()],
            Signal::Metrics => [self.data_points.clone(), self.metrics.clone()],
        }
    }
}
