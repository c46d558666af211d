//! The settings as users write them.

use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::FilterConfig;
use crate::config::Refused;
use crate::data::Signal;
use crate::matching::{
    AttributeMatch, MatchError, MatchSettings, MatchType, Matcher, RegexpSettings, Selection,
    SeverityMatch,
};

/// Short names of severities: each stands for four numbers, `INFO`, `INFO2` and so on.
const SEVERITIES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/// What conditions are called in the blocks of logs and metrics.
const NAMES: [(&str, &str); 4] = [
    ("attributes", "record_attributes"),
    ("log_bodies", "bodies"),
    ("log_severity_texts", "severity_texts"),
    ("resources", "resource_attributes"),
];

/// The settings of `filter`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// What becomes of a batch when a condition in OTTL fails: without effect until there are any.
    error_mode: ErrorMode,
    logs: LogFilters,
    spans: SpanFilters,
    metrics: MetricFilters,
    traces: TraceConditions,
    profiles: Refused,
    log_conditions: NoConditions,
    trace_conditions: NoConditions,
    metric_conditions: NoConditions,
    profile_conditions: NoConditions,
}

impl From<Settings> for FilterConfig {
    fn from(settings: Settings) -> Self {
        let [log_include, log_exclude] = [settings.logs.include, settings.logs.exclude]
            .map(|block| block.and_then(|block| block.0));
        let [span_include, span_exclude] = [settings.spans.include, settings.spans.exclude]
            .map(|block| block.map(|block| block.0));
        let metric_include = settings.metrics.include.and_then(|block| block.all);
        let metric_exclude = settings.metrics.exclude.map(|block| block.each).unwrap_or_default();
        Self {
            logs: Selection::new(log_include, [log_exclude, None]),
            spans: Selection::new(span_include, [span_exclude, None]),
            metrics: Selection::new(metric_include, metric_exclude),
        }
    }
}

/// `error_mode`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ErrorMode {
    #[default]
    Propagate,
    Ignore,
    Silent,
}

/// `logs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogFilters {
    include: Option<LogMatcher>,
    exclude: Option<LogMatcher>,
    resource: NoConditions,
    log_record: NoConditions,
}

/// Conditions on log records.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogMatch {
    match_type: Option<MatchType>,
    resource_attributes: Vec<AttributeMatch>,
    record_attributes: Vec<AttributeMatch>,
    severity_texts: Vec<String>,
    severity_number: Option<LogSeverity>,
    bodies: Vec<String>,
}

/// Conditions on log records, compiled; nothing if there are none, as in the Collector.
#[derive(Debug, Deserialize)]
#[serde(try_from = "LogMatch")]
struct LogMatcher(Option<Matcher>);

impl TryFrom<LogMatch> for LogMatcher {
    type Error = MatchError;

    fn try_from(block: LogMatch) -> Result<Self, MatchError> {
        let nothing = MatchSettings { match_type: block.match_type, ..MatchSettings::default() };
        let settings = MatchSettings {
            resources: block.resource_attributes,
            attributes: block.record_attributes,
            log_severity_texts: block.severity_texts,
            log_severity_number: block.severity_number.map(|severity| SeverityMatch {
                min: severity.min.0,
                match_undefined: severity.match_undefined,
            }),
            log_bodies: block.bodies,
            ..nothing.clone()
        };
        if settings == nothing {
            return Ok(Self(None));
        }
        let matcher = Matcher::try_from(settings).map_err(|error| error.with_names(&NAMES))?;
        Ok(Self(Some(matcher)))
    }
}

/// `severity_number`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogSeverity {
    min: SeverityName,
    match_undefined: bool,
}

/// A severity's number, written as that or as its short name in any case; 0 if it is left empty.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "String")]
struct SeverityName(i32);

impl TryFrom<String> for SeverityName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(0));
        }
        let capitals = text.to_ascii_uppercase();
        let names = SEVERITIES.iter().flat_map(|name| ["", "2", "3", "4"].map(|step| (name, step)));
        for (number, (name, step)) in (1..).zip(names) {
            let is_name = capitals.strip_prefix(name) == Some(step);
            if is_name || capitals == number.to_string() {
                return Ok(Self(number));
            }
        }
        Err(format!("`{text}` is no severity: it is 1 to 24, or a name such as `INFO` or `WARN2`"))
    }
}

/// `spans`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SpanFilters {
    include: Option<SpanMatcher>,
    exclude: Option<SpanMatcher>,
}

/// Conditions on spans, compiled.
#[derive(Debug, Deserialize)]
#[serde(try_from = "MatchSettings")]
struct SpanMatcher(Matcher);

impl TryFrom<MatchSettings> for SpanMatcher {
    type Error = MatchError;

    fn try_from(settings: MatchSettings) -> Result<Self, MatchError> {
        let matcher = Matcher::try_from(settings)?;
        matcher.check(Signal::Traces)?;
        Ok(Self(matcher))
    }
}

/// `metrics`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MetricFilters {
    include: Option<MetricMatchers>,
    exclude: Option<MetricMatchers>,
    /// Without effect, see [`RegexpSettings`].
    regexp: RegexpSettings,
    resource: NoConditions,
    metric: NoConditions,
    datapoint: NoConditions,
}

/// Conditions on metrics.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MetricMatch {
    match_type: Option<MatchType>,
    regexp: RegexpSettings,
    metric_names: Vec<String>,
    expressions: NoExpressions,
    resource_attributes: Vec<AttributeMatch>,
}

/// Conditions on metrics, compiled.
#[derive(Debug, Deserialize)]
#[serde(try_from = "MetricMatch")]
struct MetricMatchers {
    /// All of them, as `include` asks.
    all: Option<Matcher>,
    /// That on names and that on resources: as in the Collector one is enough to exclude.
    each: [Option<Matcher>; 2],
}

impl TryFrom<MetricMatch> for MetricMatchers {
    type Error = MatchError;

    fn try_from(block: MetricMatch) -> Result<Self, MatchError> {
        let nothing = MatchSettings { match_type: block.match_type, ..MatchSettings::default() };
        let matcher = |settings: MatchSettings| {
            if settings == nothing {
                return Ok(None);
            }
            Matcher::try_from(settings).map(Some).map_err(|error| error.with_names(&NAMES))
        };
        let names = MatchSettings { metric_names: block.metric_names, ..nothing.clone() };
        let resources = MatchSettings { resources: block.resource_attributes, ..nothing.clone() };
        let all = MatchSettings {
            metric_names: names.metric_names.clone(),
            resources: resources.resources.clone(),
            ..nothing.clone()
        };
        Ok(Self { all: matcher(all)?, each: [matcher(names)?, matcher(resources)?] })
    }
}

/// `traces`: conditions in OTTL only.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TraceConditions {
    resource: NoConditions,
    span: NoConditions,
    spanevent: NoConditions,
}

/// Conditions in OTTL, of which there can be none.
#[derive(Debug, Default)]
struct NoConditions;

impl<'de> Deserialize<'de> for NoConditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        refuse_list(
            deserializer,
            "conditions in OTTL are not supported: use `include` and `exclude`",
        )?;
        Ok(Self)
    }
}

/// Expressions of `match_type: expr`, of which there can be none.
#[derive(Debug, Default)]
struct NoExpressions;

impl<'de> Deserialize<'de> for NoExpressions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        refuse_list(deserializer, "`expr` expressions are not supported: use `metric_names`")?;
        Ok(Self)
    }
}

/// Takes only a list without elements.
fn refuse_list<'de, D: Deserializer<'de>>(
    deserializer: D,
    message: &'static str,
) -> Result<(), D::Error> {
    let list = Vec::<IgnoredAny>::deserialize(deserializer)?;
    if list.is_empty() { Ok(()) } else { Err(de::Error::custom(message)) }
}
