//! Encoded labels: what series share is encoded once, and a series is made of such parts.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use super::message::put_label;

/// Bytes in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Divides it behind so many bytes, of which there are at least as many.
    const fn split(self, length: u32) -> [Self; 2] {
        let middle = self.start + length;
        [Self { start: self.start, end: middle }, Self { start: middle, end: self.end }]
    }
}

/// Labels in a store, in the order of their names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Labels {
    span: Span,
    /// The sum of the labels' hashes, so that it is the same however they are divided.
    hash: u64,
}

impl Labels {
    /// Where a label stands that is put behind these.
    pub(super) const fn place(&self) -> u32 {
        self.span.end - self.span.start
    }

    /// These as all labels of a series.
    pub(super) fn whole(self) -> SeriesLabels {
        self.with([0; 2], Default::default())
    }

    /// The labels of a series: these with `extra` at two places, the first of which is not behind
    /// the other.
    pub(super) fn with(self, places: [u32; 2], extra: [Self; 2]) -> SeriesLabels {
        let [first, second] = places;
        let [one, other] = extra;
        let [start, rest] = self.span.split(first);
        let [middle, end] = rest.split(second - first);
        let hash = self.hash.wrapping_add(one.hash).wrapping_add(other.hash);
        SeriesLabels { parts: [start, one.span, middle, other.span, end], hash }
    }
}

/// The labels of a series, one part after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesLabels {
    pub(super) parts: Parts,
    /// Equal for equal labels. That of a point's first series decides its lane.
    pub(super) hash: u64,
}

/// Where the parts of a series' labels are.
pub(super) type Parts = [Span; 5];

/// Labels and whatever else is encoded; offsets are of 32 bits.
#[derive(Debug, Default)]
pub(super) struct Store {
    bytes: Vec<u8>,
}

impl Store {
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Keeps bytes.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.position();
        self.bytes.extend_from_slice(bytes);
        Span { start, end: self.position() }
    }

    /// Begins with labels, of which there are none yet; only labels come before the last of them.
    pub(super) fn begin(&self) -> Labels {
        let (start, end) = (self.position(), self.position());
        Labels { span: Span { start, end }, hash: 0 }
    }

    /// Adds to the labels that were begun last.
    pub(super) fn push(&mut self, labels: &mut Labels, name: &str, value: &str) {
        let start = self.bytes.len();
        put_label(&mut self.bytes, name, value);
        // The seed is fixed: a series keeps its lane from batch to batch.
        let mut hasher = FixedState::with_seed(0x6361_7463).build_hasher();
        hasher.write(self.bytes.get(start..).unwrap_or_default());
        labels.hash = labels.hash.wrapping_add(hasher.finish());
        labels.span.end = self.position();
    }

    /// A single label.
    pub(super) fn label(&mut self, name: &str, value: &str) -> Labels {
        let mut labels = self.begin();
        self.push(&mut labels, name, value);
        labels
    }

    /// Whether two series have the same labels.
    pub(super) fn are_equal(&self, one: &Parts, other: &Parts) -> bool {
        let mut pairs = one.iter().zip(other);
        if pairs.clone().all(|(one, other)| one.len() == other.len()) {
            return pairs.all(|(one, other)| self.bytes(*one) == self.bytes(*other));
        }
        let all = |parts: &Parts| parts.map(|part| self.bytes(part)).into_iter().flatten();
        all(one).eq(all(other))
    }

    /// The position of what comes next; see [`super::series::SeriesTable::is_full`].
    fn position(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_same_however_they_are_put_together() {
        let mut store = Store::default();
        let labels = [("__name__", "m"), ("a", "1"), ("le", "5"), ("z", "2")];
        let mut whole = store.begin();
        labels.iter().for_each(|(name, value)| store.push(&mut whole, name, value));
        let mut base = store.begin();
        store.push(&mut base, "a", "1");
        let place = base.place();
        store.push(&mut base, "z", "2");
        let (name, bucket) = (store.label("__name__", "m"), store.label("le", "5"));
        let joined = base.with([0, place], [name, bucket]);
        assert_eq!(joined.hash, whole.whole().hash);
        assert!(store.are_equal(&joined.parts, &whole.whole().parts));
        assert_eq!(joined.parts.map(|part| store.bytes(part)).concat(), store.bytes(whole.span));
        let other = base.with([0, place], [name, store.label("le", "6")]);
        assert!(!store.are_equal(&joined.parts, &other.parts));
        assert!(!store.are_equal(&whole.whole().parts, &other.parts));
        assert!(!store.are_equal(&whole.whole().parts, &base.whole().parts));
    }
}
