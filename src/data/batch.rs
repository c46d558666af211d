//! A batch: validated OTLP export requests of one signal.

use std::mem;
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
    /// The allocation of each chunk.
    allocations: SmallVec<[Allocation; 1]>,
    context: Arc<Context>,
    parts: Parts,
}

/// Chunks, each with its allocation.
pub(super) type Chunks = SmallVec<[(Bytes, Allocation); 1]>;

/// The memory that a chunk is a part of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allocation {
    /// Its size, as far as known.
    pub(super) size_bytes: usize,
    /// Whether something is tied to it.
    is_tied: bool,
}

impl Allocation {
    /// Memory that was taken just now.
    pub(super) const fn new(size_bytes: usize) -> Self {
        Self { size_bytes, is_tied: false }
    }
}

impl Batch {
    /// A batch without records.
    #[must_use]
    pub fn empty(signal: Signal, context: Arc<Context>) -> Self {
        Self::from_parts(signal, SmallVec::new(), 0).with_context(context)
    }

    /// A batch of whole requests that were checked, or made here.
    pub(super) fn from_parts(
        signal: Signal,
        chunks: SmallVec<[Bytes; 1]>,
        num_records: usize,
    ) -> Self {
        let allocations = chunks.iter().map(|chunk| Allocation::new(chunk.len())).collect();
        let context = Arc::default();
        Self { signal, chunks, num_records, allocations, context, parts: Parts::new() }
    }

    /// Other records of the same signal, context and parts; each chunk with its allocation.
    pub(super) fn with_chunks(&self, chunks: Chunks, num_records: usize) -> Self {
        let (chunks, allocations): (SmallVec<[Bytes; 1]>, SmallVec<[Allocation; 1]>) =
            chunks.into_iter().unzip();
        let (context, parts) = (Arc::clone(&self.context), self.parts.clone());
        Self { signal: self.signal, chunks, num_records, allocations, context, parts }
    }

    /// The chunks, each with its allocation.
    pub(super) fn chunks_with_allocations(&self) -> impl Iterator<Item = (&Bytes, Allocation)> {
        self.chunks.iter().zip(self.allocations.iter().copied())
    }

    /// The same records with another context.
    #[must_use]
    pub fn with_context(self, context: Arc<Context>) -> Self {
        Self { context, ..self }
    }

    /// The same records as parts of other journal entries.
    #[must_use]
    pub fn with_parts(self, parts: Parts) -> Self {
        Self { parts, ..self }
    }

    /// The same records with each chunk tied to what lives as long as its memory, such as a charge:
    /// `tie` gives back the bytes that it is given. Chunks that are, or share memory with one that
    /// is, stay as they are.
    #[must_use]
    pub fn tied(mut self, mut tie: impl FnMut(Bytes) -> Bytes) -> Self {
        for (chunk, allocation) in self.chunks.iter_mut().zip(&mut self.allocations) {
            if !allocation.is_tied {
                *chunk = tie(mem::take(chunk));
                allocation.is_tied = true;
            }
        }
        self
    }

    /// Whether there are no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.num_records == 0
    }

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

    /// The whole as one request; copies only if there are several chunks.
    #[must_use]
    pub fn merged_bytes(&self) -> Bytes {
        match self.chunks.as_slice() {
            [] => Bytes::new(),
            [chunk] => chunk.clone(),
            chunks => Bytes::from(chunks.concat()),
        }
    }

    /// A handle to a message inside of this batch, such as a record's bytes; shares the memory.
    ///
    /// What is not inside is copied.
    #[must_use]
    pub fn share(&self, message: &[u8]) -> Bytes {
        let range = message.as_ptr_range();
        self.chunks
            .iter()
            .find(|chunk| {
                let outer = chunk.as_ptr_range();
                outer.start <= range.start && range.end <= outer.end
            })
            .map_or_else(|| Bytes::copy_from_slice(message), |chunk| chunk.slice_ref(message))
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
