//! Keeping some records.

use bytes::Bytes;

use super::super::batch::{Allocation, Chunks};
use super::super::{Batch, Item, LogRecord, Metric, Point, Record, Resource, Scope, Signal, Span};
use super::patch::Patches;
use super::walk::{Depth, Empty, Place, Walk};

impl Batch {
    /// The log records for which `keep` holds; without envelopes that hold none.
    ///
    /// The bytes of records that stay are copied, once, and only if any go. A batch of another
    /// signal stays as it is.
    #[must_use]
    pub fn retain_logs<'a>(
        &'a self,
        mut keep: impl FnMut(&Item<'a, LogRecord<'a>>) -> bool,
    ) -> Self {
        self.retain_at(Signal::Logs, Depth::Elements, |place, message| {
            usize::from(keep(&place.item(LogRecord::of_encoded(message))))
        })
    }

    /// The spans for which `keep` holds; as [`Batch::retain_logs`].
    #[must_use]
    pub fn retain_spans<'a>(&'a self, mut keep: impl FnMut(&Item<'a, Span<'a>>) -> bool) -> Self {
        self.retain_at(Signal::Traces, Depth::Elements, |place, message| {
            usize::from(keep(&place.item(Span::of_encoded(message))))
        })
    }

    /// The metrics for which `keep` holds, less those without points; as [`Batch::retain_logs`].
    #[must_use]
    pub fn retain_metrics<'a>(
        &'a self,
        mut keep: impl FnMut(&Item<'a, Metric<'a>>) -> bool,
    ) -> Self {
        self.retain_at(Signal::Metrics, Depth::Elements, |place, message| {
            let metric = Metric::of_encoded(message);
            if keep(&place.item(metric)) { metric.points().count() } else { 0 }
        })
    }

    /// The data points for which `keep` holds; as [`Batch::retain_logs`].
    #[must_use]
    pub fn retain_points<'a>(&'a self, mut keep: impl FnMut(&Item<'a, Point<'a>>) -> bool) -> Self {
        self.retain_at(Signal::Metrics, Depth::Points, |place, message| {
            let point = Point { metric: place.metric, data: place.kind.point(message) };
            usize::from(keep(&place.item(point)))
        })
    }

    /// The records of any signal for which `keep` holds; as [`Batch::retain_logs`].
    #[must_use]
    pub fn retain<'a>(&'a self, mut keep: impl FnMut(&Item<'a, Record<'a>>) -> bool) -> Self {
        match self.signal() {
            Signal::Logs => self.retain_logs(|item| keep(&item.map(Record::Log))),
            Signal::Traces => self.retain_spans(|item| keep(&item.map(Record::Span))),
            Signal::Metrics => self.retain_points(|item| keep(&item.map(Record::Point))),
        }
    }

    /// The records whose resource `keep` holds for; as [`Batch::retain_logs`].
    #[must_use]
    pub fn retain_resources<'a>(&'a self, mut keep: impl FnMut(Resource<'a>) -> bool) -> Self {
        let mut last: Option<(&[u8], bool)> = None;
        self.retain(|item| {
            let bytes = item.resource.bytes();
            match last {
                Some((seen, is_kept)) if std::ptr::eq(seen, bytes) => is_kept,
                _ => {
                    let is_kept = keep(item.resource);
                    last = Some((bytes, is_kept));
                    is_kept
                }
            }
        })
    }

    /// The records whose resource and scope `keep` holds for; as [`Batch::retain_logs`].
    #[must_use]
    pub fn retain_scopes<'a>(
        &'a self,
        mut keep: impl FnMut(Resource<'a>, Scope<'a>) -> bool,
    ) -> Self {
        let mut last: Option<(&[u8], &[u8], bool)> = None;
        self.retain(|item| {
            let (resource, scope) = (item.resource.bytes(), item.scope.bytes());
            match last {
                Some((in_resource, seen, is_kept))
                    if std::ptr::eq(in_resource, resource) && std::ptr::eq(seen, scope) =>
                {
                    is_kept
                }
                _ => {
                    let is_kept = keep(item.resource, item.scope);
                    last = Some((resource, scope, is_kept));
                    is_kept
                }
            }
        })
    }

    fn retain_at<'a>(
        &'a self,
        signal: Signal,
        depth: Depth,
        mut num_kept: impl FnMut(&Place<'a>, &'a [u8]) -> usize,
    ) -> Self {
        if self.signal() != signal {
            return self.clone();
        }
        let mut patches = Patches::default();
        let mut chunks = Chunks::new();
        let mut num_records = 0;
        for (chunk, allocation) in self.chunks_with_allocations() {
            patches.clear();
            let outcome = Walk {
                depth,
                empty: Empty::Prune,
                patches: &mut patches,
                visit: |place: &Place<'a>, message: &'a [u8], _: usize, _: &mut Patches| {
                    num_kept(place, message)
                },
            }
            .chunk(chunk);
            num_records += outcome.num_kept;
            if outcome.num_kept == 0 {
                continue;
            }
            if patches.is_empty() {
                chunks.push((chunk.clone(), allocation));
            } else {
                let edited = Bytes::from(patches.apply(chunk, outcome.growth));
                let allocation = Allocation::new(edited.len());
                chunks.push((edited, allocation));
            }
        }
        self.with_chunks(chunks, num_records)
    }
}
