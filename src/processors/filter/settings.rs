//! The settings as users write them.

use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::FilterConfig;
use super::conditions::Conditions;
use super::functions::METRICS;
use crate::config::{Refused, TextProblem, TextProblems};
use crate::data::Signal;
use crate::matching::{
    AttributeMatch, MatchError, MatchSettings, MatchType, Matcher, RegexpSettings, Selection,
    SeverityMatch,
};
use crate::ottl::{AnyOf, Compiler, Context, Entry, ErrorMode, Functions};

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
    /// What becomes of the error of a condition in OTTL.
    error_mode: ErrorMode,
    logs: LogFilters,
    spans: SpanFilters,
    metrics: MetricFilters,
    traces: TraceConditions,
    profiles: Refused,
    log_conditions: Vec<Entry>,
    trace_conditions: Vec<Entry>,
    metric_conditions: Vec<Entry>,
    profile_conditions: Refused,
}

impl TryFrom<Settings> for FilterConfig {
    type Error = TextProblems;

    fn try_from(settings: Settings) -> Result<Self, TextProblems> {
        let mut reader = Reader { mode: settings.error_mode, problems: Vec::new() };
        let Settings { logs, traces, metrics, .. } = &settings;
        let log_conditions = reader.conditions(
            Signal::Logs,
            &[(Context::Resource, &logs.resource), (Context::Log, &logs.log_record)],
            &settings.log_conditions,
        );
        let trace_conditions = reader.conditions(
            Signal::Traces,
            &[
                (Context::Resource, &traces.resource),
                (Context::Span, &traces.span),
                (Context::SpanEvent, &traces.spanevent),
            ],
            &settings.trace_conditions,
        );
        let metric_conditions = reader.conditions(
            Signal::Metrics,
            &[
                (Context::Resource, &metrics.resource),
                (Context::Metric, &metrics.metric),
                (Context::DataPoint, &metrics.datapoint),
            ],
            &settings.metric_conditions,
        );
        if !reader.problems.is_empty() {
            return Err(TextProblems(reader.problems));
        }
        let [log_include, log_exclude] = [settings.logs.include, settings.logs.exclude]
            .map(|block| block.and_then(|block| block.0));
        let [span_include, span_exclude] = [settings.spans.include, settings.spans.exclude]
            .map(|block| block.map(|block| block.0));
        let metric_include = settings.metrics.include.and_then(|block| block.all);
        let metric_exclude = settings.metrics.exclude.map(|block| block.each).unwrap_or_default();
        Ok(Self {
            logs: Selection::new(log_include, [log_exclude, None]),
            spans: Selection::new(span_include, [span_exclude, None]),
            metrics: Selection::new(metric_include, metric_exclude),
            log_conditions,
            trace_conditions,
            metric_conditions,
        })
    }
}

/// Compiles conditions and gathers what is wrong with them.
struct Reader {
    mode: ErrorMode,
    problems: Vec<TextProblem>,
}

impl Reader {
    /// The conditions of one signal: those under a context's key, and those that name their own.
    fn conditions(
        &mut self,
        signal: Signal,
        by_context: &[(Context, &Vec<String>)],
        entries: &[Entry],
    ) -> Conditions {
        let all = Context::of_signal(signal);
        let functions = match signal {
            Signal::Metrics => METRICS,
            Signal::Logs | Signal::Traces => Functions::default(),
        };
        let usual = Context::usual(signal);
        let compiler = Compiler { explicit: None, contexts: all, usual, functions };
        let mut list = Vec::new();
        for (context, texts) in by_context {
            let compiler = Compiler { explicit: Some(*context), ..compiler };
            list.extend(self.compiled(texts, compiler, self.mode));
        }
        for entry in entries {
            let compiled = match entry {
                Entry::Text(text) => self.compiled(std::slice::from_ref(text), compiler, self.mode),
                Entry::Group(group) => {
                    let explicit = group.context.map(|context| context.0);
                    let mode = group.error_mode.unwrap_or(self.mode);
                    self.compiled(&group.conditions, Compiler { explicit, ..compiler }, mode)
                }
            };
            list.extend(compiled);
        }
        Conditions::new(list)
    }

    fn compiled(
        &mut self,
        texts: &[String],
        compiler: Compiler<'_>,
        mode: ErrorMode,
    ) -> Option<AnyOf> {
        if texts.is_empty() {
            return None;
        }
        AnyOf::compile(texts, compiler, mode).map_err(|wrong| self.problems.extend(wrong)).ok()
    }
}

/// `logs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogFilters {
    include: Option<LogMatcher>,
    exclude: Option<LogMatcher>,
    resource: Vec<String>,
    log_record: Vec<String>,
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
    resource: Vec<String>,
    metric: Vec<String>,
    datapoint: Vec<String>,
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
    resource: Vec<String>,
    span: Vec<String>,
    spanevent: Vec<String>,
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
