//! What statements are about: contexts, and which of them reach which.

use crate::data::Signal;

/// What a statement is applied to, and what a path begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// What produced the telemetry.
    Resource,
    /// The instrumentation that produced it.
    Scope,
    /// A span.
    Span,
    /// An event of a span.
    SpanEvent,
    /// A link of a span.
    SpanLink,
    /// A metric.
    Metric,
    /// A point of a metric.
    DataPoint,
    /// An exemplar of a point.
    Exemplar,
    /// A log record.
    Log,
    /// The request that brought it.
    Otelcol,
    /// The scratch map of a record.
    Cache,
}

impl Context {
    /// Those that paths begin with.
    pub const ALL: [Self; 10] = [
        Self::Resource,
        Self::Scope,
        Self::Span,
        Self::SpanEvent,
        Self::SpanLink,
        Self::Metric,
        Self::DataPoint,
        Self::Exemplar,
        Self::Log,
        Self::Otelcol,
    ];

    /// As paths begin.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Span => "span",
            Self::SpanEvent => "spanevent",
            Self::SpanLink => "spanlink",
            Self::Metric => "metric",
            Self::DataPoint => "datapoint",
            Self::Exemplar => "exemplar",
            Self::Log => "log",
            Self::Otelcol => "otelcol",
            Self::Cache => "cache",
        }
    }

    /// The context called `name`, also by an older name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "instrumentation_scope" => Some(Self::Scope),
            "context" => Some(Self::Otelcol),
            _ => Self::ALL.into_iter().find(|context| context.name() == name),
        }
    }

    /// The one above, which this one's records share.
    #[must_use]
    pub const fn above(self) -> Option<Self> {
        match self {
            Self::Resource | Self::Otelcol | Self::Cache => None,
            Self::Scope => Some(Self::Resource),
            Self::Span | Self::Metric | Self::Log => Some(Self::Scope),
            Self::SpanEvent | Self::SpanLink => Some(Self::Span),
            Self::DataPoint => Some(Self::Metric),
            Self::Exemplar => Some(Self::DataPoint),
        }
    }

    /// Whether statements about this context can name `other`.
    #[must_use]
    pub fn reaches(self, other: Self) -> bool {
        let mut context = Some(self);
        while let Some(here) = context {
            if here == other {
                return true;
            }
            context = here.above();
        }
        matches!(other, Self::Otelcol | Self::Cache)
    }

    /// How far down it stands.
    pub(super) fn depth(self) -> usize {
        std::iter::successors(self.above(), |context| context.above()).count()
    }

    /// What records of this signal can be looked at as.
    #[must_use]
    pub const fn of_signal(signal: Signal) -> &'static [Self] {
        match signal {
            Signal::Logs => &[Self::Resource, Self::Scope, Self::Log],
            Signal::Traces => {
                &[Self::Resource, Self::Scope, Self::Span, Self::SpanEvent, Self::SpanLink]
            }
            Signal::Metrics => {
                &[Self::Resource, Self::Scope, Self::Metric, Self::DataPoint, Self::Exemplar]
            }
        }
    }

    /// What a statement that names nothing is about.
    #[must_use]
    pub const fn usual(signal: Signal) -> Self {
        match signal {
            Signal::Logs => Self::Log,
            Signal::Traces => Self::Span,
            Signal::Metrics => Self::Metric,
        }
    }
}
