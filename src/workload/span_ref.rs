//! Which spans there are, for log records that belong to them.

use crate::data::{Batch, SpanId, Time, TraceId};

/// A span that log records can belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRef {
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// When it began.
    pub start: Time,
    /// When it ended.
    pub end: Time,
}

impl SpanRef {
    /// The spans of a batch by resource; those without ids are left out.
    #[must_use]
    pub fn by_resource(traces: &Batch) -> Vec<Vec<Self>> {
        let resources = traces.spans().resources();
        let spans = resources.map(|group| group.scopes().flat_map(|group| group.spans()));
        spans
            .map(|spans| {
                let spans = spans.filter_map(|span| {
                    let (trace_id, span_id) = (span.trace_id()?, span.span_id()?);
                    let (start, end) = (span.start_time(), span.end_time());
                    Some(Self { trace_id, span_id, start, end })
                });
                spans.collect()
            })
            .collect()
    }
}
