//! A file of tests as users write it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::records::Records;
use super::short::{LogForm, PointForm, SpanForm, Timestamp};
use crate::config::{ComponentId, Duration, PipelineId};
use crate::data::Signal;

/// The outermost map.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FileForm {
    /// The configuration, merged from left to right; paths are relative to the file of tests.
    pub(super) config: Vec<String>,
    /// Values over it, `processors.batch.timeout=2s`.
    pub(super) set: Vec<String>,
    /// The variables that the configuration sees, and no others.
    pub(super) env: BTreeMap<String, String>,
    /// Where the clock stands when a test begins.
    pub(super) start: Option<Timestamp>,
    pub(super) tests: Vec<TestForm>,
}

/// A test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestForm {
    pub(super) name: String,
    /// The processors under test, in order.
    #[serde(default)]
    pub(super) processor: Vec<ComponentId>,
    /// Or the pipeline, with all that is behind it.
    #[serde(default)]
    pub(super) pipeline: Option<PipelineId>,
    #[serde(default)]
    pub(super) input: Vec<Step>,
    /// What holds at the end, when the stages have let go of what they held.
    #[serde(default)]
    pub(super) expect: Vec<Check>,
}

/// What is done, one after the other.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "StepForm")]
pub(super) enum Step {
    /// Requests come in.
    Records(Records),
    /// Time goes by.
    Advance(std::time::Duration),
    /// What has come out so far.
    Expect(Vec<Check>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StepForm {
    Log(LogForm),
    Logs(Vec<LogForm>),
    Span(SpanForm),
    Spans(Vec<SpanForm>),
    Point(PointForm),
    Points(Vec<PointForm>),
    Otlp(serde_json::Value),
    File(String),
    Advance(Duration),
    Expect(Vec<Check>),
}

impl TryFrom<StepForm> for Step {
    type Error = String;

    fn try_from(form: StepForm) -> Result<Self, String> {
        Ok(match form {
            StepForm::Log(log) => Self::Records(Records::logs(&[log])),
            StepForm::Logs(logs) => Self::Records(Records::logs(&logs)),
            StepForm::Span(span) => Self::Records(Records::spans(&[span])),
            StepForm::Spans(spans) => Self::Records(Records::spans(&spans)),
            StepForm::Point(point) => Self::Records(Records::points(&[point])),
            StepForm::Points(points) => Self::Records(Records::points(&points)),
            StepForm::Otlp(request) => Self::Records(Records::of_otlp(request)?),
            StepForm::File(path) => Self::Records(Records::File(path.into())),
            StepForm::Advance(duration) => Self::Advance(duration.get()),
            StepForm::Expect(checks) => Self::Expect(checks),
        })
    }
}

/// Records that shall be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "StepForm")]
pub(super) struct Expected(pub(super) Records);

impl TryFrom<StepForm> for Expected {
    type Error = String;

    fn try_from(form: StepForm) -> Result<Self, String> {
        match Step::try_from(form)? {
            Step::Records(records) => Ok(Self(records)),
            Step::Advance(_) | Step::Expect(_) => Err("here stand only records".to_owned()),
        }
    }
}

/// What shall have come out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Check {
    /// Whose output it is about; of processors there is only one.
    pub(super) exporter: Option<ComponentId>,
    /// Only these records of it.
    pub(super) signal: Option<SignalName>,
    /// So many log records, spans or data points.
    pub(super) count: Option<usize>,
    /// These and no others, in any order.
    pub(super) exact: Option<Vec<Expected>>,
    /// At least these, of which only some fields are written.
    pub(super) contains: Vec<Expected>,
    /// Conditions that all hold for every record.
    pub(super) ottl: Vec<String>,
    /// Conditions of which each holds for one record or more.
    pub(super) ottl_any: Vec<String>,
    /// All that was dropped on the way.
    pub(super) dropped: Option<Vec<Dropped>>,
}

impl Check {
    /// Whether it says something about what came out.
    pub(super) const fn is_about_output(&self) -> bool {
        self.count.is_some()
            || self.exact.is_some()
            || !self.contains.is_empty()
            || !self.ottl.is_empty()
            || !self.ottl_any.is_empty()
    }
}

/// Records that were dropped.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dropped {
    /// The processor or connector.
    pub(super) by: ComponentId,
    /// As in the agent's own metrics; without it, any.
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// How many.
    pub(super) count: u64,
}

/// A signal by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SignalName {
    Logs,
    Traces,
    Metrics,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Self {
        match name {
            SignalName::Logs => Self::Logs,
            SignalName::Traces => Self::Traces,
            SignalName::Metrics => Self::Metrics,
        }
    }
}
