//! A batch: validated OTLP export requests of one signal.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Context, Parts};

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Log records.
    Logs,
    /// Spans.
    Traces,
    /// Metric data points.
    Metrics,
}

impl Signal {
    /// All signals.
    pub const ALL: [Self; 3] = [Self::Logs, Self::Traces, Self::Metrics];

    /// The name in a pipeline's id: `logs`, `traces`, `metrics`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    /// What the Collector's own metrics call records: `log_records`, `spans`, `metric_points`.
    #[must_use]
    pub const fn records(self) -> &'static str {
        match self {
            Self::Logs => "log_records",
            Self::Traces => "spans",
            Self::Metrics => "metric_points",
        }
    }
}

/// Validated OTLP export requests of one signal; laid end to end the chunks are one message.
///
/// Cheap to clone. A record is a log record, a span or a metric data point.
#[derive(Clone, Debug)]
pub struct Batch {
    signal: Signal,
    chunks: SmallVec<[Bytes; 1]>,
    num_records: usize,
    context: Arc<Context>,
    parts: Parts,
}

impl Batch {
    /// The signal of all records.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// The number of log records, spans or data points.
    #[must_use]
    pub const fn num_records(&self) -> usize {
        self.num_records
    }

    /// The encoded size in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// The encoded export requests; laid end to end they are one.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// Who sent it and when.
    #[must_use]
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The journal entries that its records come from.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }
}
