//! Changing records in place: what is written becomes a splice, the rest is copied as it is.

use bytes::Bytes;

use super::super::batch::{Allocation, Chunks};
use super::super::wire::{Fields, Raw};
use super::super::{Batch, Item, LogRecord, Metric, Point, Record, Resource, Scope, Signal, Span};
use super::message_mut::MessageMut;
use super::patch::{Patch, Patches};
use super::records_mut::{LogRecordMut, MetricMut, PointMut, ResourceMut, ScopeMut, SpanMut};
use super::walk::{Depth, Empty, Place, Walk};

/// The number of the field that holds the resource or scope in its group.
const OWNER: u32 = 1;

impl Batch {
    /// Calls `edit` with each log record, as it was and to be written.
    ///
    /// A batch in which nothing is written shares its memory; a batch of another signal stays as
    /// it is.
    #[must_use]
    pub fn rewrite_logs<'a>(
        &'a self,
        mut edit: impl FnMut(&Item<'a, LogRecord<'a>>, &mut LogRecordMut<'a, '_>),
    ) -> Self {
        self.rewrite_at(Signal::Logs, Depth::Elements, |place, message, at, patches| {
            let mut record = LogRecordMut::new(message, at, patches);
            edit(&place.item(LogRecord::of_encoded(message)), &mut record);
        })
    }

    /// Calls `edit` with each span; as [`Batch::rewrite_logs`].
    #[must_use]
    pub fn rewrite_spans<'a>(
        &'a self,
        mut edit: impl FnMut(&Item<'a, Span<'a>>, &mut SpanMut<'a, '_>),
    ) -> Self {
        self.rewrite_at(Signal::Traces, Depth::Elements, |place, message, at, patches| {
            let mut span = SpanMut::new(message, at, patches);
            edit(&place.item(Span::of_encoded(message)), &mut span);
        })
    }

    /// Calls `edit` with each metric, for its name, description, unit and metadata; as
    /// [`Batch::rewrite_logs`].
    #[must_use]
    pub fn rewrite_metrics<'a>(
        &'a self,
        mut edit: impl FnMut(&Item<'a, Metric<'a>>, &mut MetricMut<'a, '_>),
    ) -> Self {
        self.rewrite_at(Signal::Metrics, Depth::Elements, |place, message, at, patches| {
            let mut metric = MetricMut::new(message, at, patches);
            edit(&place.item(Metric::of_encoded(message)), &mut metric);
        })
    }

    /// Calls `edit` with each data point; as [`Batch::rewrite_logs`].
    #[must_use]
    pub fn rewrite_points<'a>(
        &'a self,
        mut edit: impl FnMut(&Item<'a, Point<'a>>, &mut PointMut<'a, '_>),
    ) -> Self {
        self.rewrite_at(Signal::Metrics, Depth::Points, |place, message, at, patches| {
            let point = Point { metric: place.metric, data: place.kind.point(message) };
            edit(&place.item(point), &mut PointMut::new(point.data, at, patches));
        })
    }

    /// Calls `edit` with each record of any signal, for its attributes; as
    /// [`Batch::rewrite_logs`].
    #[must_use]
    pub fn rewrite<'a>(
        &'a self,
        mut edit: impl FnMut(&Item<'a, Record<'a>>, &mut MessageMut<'a, '_>),
    ) -> Self {
        match self.signal() {
            Signal::Logs => {
                self.rewrite_logs(|item, record| edit(&item.map(Record::Log), &mut *record))
            }
            Signal::Traces => {
                self.rewrite_spans(|item, span| edit(&item.map(Record::Span), &mut *span))
            }
            Signal::Metrics => {
                self.rewrite_points(|item, point| edit(&item.map(Record::Point), &mut *point))
            }
        }
    }

    /// Calls `edit` with each resource, also where the field is not there yet; as
    /// [`Batch::rewrite_logs`], for all signals.
    #[must_use]
    pub fn rewrite_resources<'a>(
        &'a self,
        mut edit: impl FnMut(Resource<'a>, &mut ResourceMut<'a, '_>),
    ) -> Self {
        self.rewrite_at(self.signal(), Depth::Resources, |_, group, at, patches| {
            rewrite_owner(group, at, patches, |message, at, patches| {
                let resource = Resource::of_encoded(message);
                edit(resource, &mut ResourceMut::new(message, at, patches));
            });
        })
    }

    /// Calls `edit` with each scope, also where the field is not there yet; as
    /// [`Batch::rewrite_logs`], for all signals.
    #[must_use]
    pub fn rewrite_scopes<'a>(
        &'a self,
        mut edit: impl FnMut(&Item<'a, ()>, &mut ScopeMut<'a, '_>),
    ) -> Self {
        self.rewrite_at(self.signal(), Depth::Scopes, |place, group, at, patches| {
            rewrite_owner(group, at, patches, |message, at, patches| {
                let item = Item {
                    resource: place.resource,
                    scope: Scope::of_encoded(message),
                    record: (),
                };
                edit(&item, &mut ScopeMut::new(message, at, patches));
            });
        })
    }

    fn rewrite_at<'a>(
        &'a self,
        signal: Signal,
        depth: Depth,
        mut edit: impl FnMut(&Place<'a>, &'a [u8], usize, &mut Patches),
    ) -> Self {
        if self.signal() != signal {
            return self.clone();
        }
        let mut patches = Patches::default();
        let mut chunks = Chunks::new();
        for (chunk, allocation) in self.chunks_with_allocations() {
            patches.clear();
            let outcome = Walk {
                depth,
                empty: Empty::Keep,
                patches: &mut patches,
                visit: |place: &Place<'a>, message: &'a [u8], at: usize, patches: &mut Patches| {
                    edit(place, message, at, patches);
                    1
                },
            }
            .chunk(chunk);
            if patches.is_empty() {
                chunks.push((chunk.clone(), allocation));
                continue;
            }
            let edited = Bytes::from(patches.apply(chunk, outcome.growth));
            let allocation = Allocation::new(edited.len());
            chunks.push((edited, allocation));
        }
        self.with_chunks(chunks, self.num_records())
    }
}

/// Edits the resource or scope of a group; makes one if there is none and something is written.
fn rewrite_owner<'a>(
    group: &'a [u8],
    at: usize,
    patches: &mut Patches,
    mut edit: impl FnMut(&'a [u8], usize, &mut Patches),
) {
    if let Some(field) = Fields::new(group).first(OWNER)
        && let Raw::Bytes(message) = field.value
    {
        let message_at = at + field.payload_start();
        let pending = patches.begin(at + field.tag_end, message_at);
        let first = patches.len();
        edit(message, message_at, patches);
        let growth = patches.seal(first);
        patches.end(pending, message.len(), growth);
        return;
    }
    let mut inner = Patches::default();
    edit(&[], 0, &mut inner);
    let growth = inner.seal(0);
    let message = inner.apply(&[], growth);
    if !message.is_empty() {
        let new = patches.write(|writer| writer.bytes_field(OWNER, &message));
        patches.push(Patch { start: at, end: at, number: OWNER, new });
    }
}
