//! Goes through the envelopes of a chunk down to what is edited, and mends their lengths.

use super::super::metrics::DataKind;
use super::super::view::bytes;
use super::super::wire::Search;
use super::super::{Item, Metric, Resource, Scope};
use super::patch::Patches;

/// The fields that hold what is one level further down, by level: request, resource's group,
/// scope's group, metric, metric's data.
const CHILDREN: [u32; 5] = [1 << 1, 1 << 2, 1 << 2, METRIC_DATA, 1 << 1];
/// The fields of a metric that hold its data.
const METRIC_DATA: u32 = 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11;

/// What is edited, by its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Resources' groups.
    Resources = 1,
    /// Scopes' groups.
    Scopes = 2,
    /// Log records, spans or metrics.
    Elements = 3,
    /// Data points.
    Points = 5,
}

/// What becomes of envelopes in which nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// They are left out.
    Prune,
    /// They stay.
    Keep,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) resource: Resource<'a>,
    pub(super) scope: Scope<'a>,
    pub(super) metric: Metric<'a>,
    pub(super) kind: DataKind,
}

impl<'a> Place<'a> {
    /// A record of this place.
    pub(super) const fn item<R>(&self, record: R) -> Item<'a, R> {
        Item { resource: self.resource, scope: self.scope, record }
    }
}

impl Default for Place<'_> {
    fn default() -> Self {
        Self {
            resource: Resource::default(),
            scope: Scope::default(),
            metric: Metric::default(),
            kind: DataKind::Gauge,
        }
    }
}

/// The fields that lead down from `level`, as bits.
#[inline]
pub(super) fn children(level: usize) -> u32 {
    CHILDREN.get(level).copied().unwrap_or_default()
}

/// Whether the field called `number` at `level` leads down.
#[inline]
pub(super) fn is_child(level: usize, number: u32) -> bool {
    number < u32::BITS && children(level) & (1 << number) != 0
}

/// What was found in a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// By how many bytes it grew.
    pub(super) growth: isize,
    /// Records that are left in it.
    pub(super) num_kept: usize,
}

/// Calls `visit` with each message at a depth: its place, its bytes and where they begin in the
/// chunk; it returns how many records are left.
pub(super) struct Walk<'p, F> {
    pub(super) depth: Depth,
    pub(super) empty: Empty,
    pub(super) patches: &'p mut Patches,
    pub(super) visit: F,
}

impl<F> Walk<'_, F> {
    /// Goes through a chunk.
    pub(super) fn chunk<'a>(&mut self, chunk: &'a [u8]) -> Outcome
    where
        F: FnMut(&Place<'a>, &'a [u8], usize, &mut Patches) -> usize,
    {
        self.message(0, chunk, 0, Place::default())
    }

    fn message<'a>(
        &mut self,
        level: usize,
        message: &'a [u8],
        at: usize,
        mut place: Place<'a>,
    ) -> Outcome
    where
        F: FnMut(&Place<'a>, &'a [u8], usize, &mut Patches) -> usize,
    {
        match level {
            1 => place.resource = Resource::of_encoded(bytes(message, 1)),
            2 => place.scope = Scope::of_encoded(bytes(message, 1)),
            3 => place.metric = Metric::of_encoded(message),
            _ => {}
        }
        let mut total = Outcome::default();
        let mask = children(level);
        let mut search = Search::new(message);
        while let Some(field) = search.hit(|tag| tag < 256 && mask >> (tag >> 3) & 1 != 0) {
            if level == 3 {
                place.kind = DataKind::of_field(field.number).unwrap_or(DataKind::Gauge);
            }
            let (payload, payload_at) = (field.payload, at + field.payload_start);
            let pending = self.patches.begin(at + field.tag_end, payload_at);
            let outcome = if level + 1 == self.depth as usize {
                let first = self.patches.len();
                let num_kept = (self.visit)(&place, payload, payload_at, self.patches);
                Outcome { growth: self.patches.seal(first), num_kept }
            } else {
                self.message(level + 1, payload, payload_at, place)
            };
            total.num_kept += outcome.num_kept;
            total.growth += if outcome.num_kept == 0 && self.empty == Empty::Prune {
                self.patches.remove(pending, at + field.start, at + field.end)
            } else {
                self.patches.end(pending, payload.len(), outcome.growth)
            };
        }
        total
    }
}

/// The encoded resource of a resource's group.
pub(super) fn resource_of(group: &[u8]) -> &[u8] {
    bytes(group, 1)
}
