//! Columns of attributes: a map of text, and the kinds of its values.

use arrow::array::ArrayRef;

use super::columns::{Lists, Texts};
use super::text::{kind, push_text, split};

/// Attributes, row by row.
#[derive(Debug, Default)]
pub(super) struct AttributeColumns {
    maps: Lists,
    keys: Texts,
    values: Texts,
    kinds: Texts,
}

impl AttributeColumns {
    /// Adds an encoded `KeyValue` to the row that is being written.
    #[inline]
    pub(super) fn push(&mut self, pair: &[u8]) {
        let (key, value) = split(pair);
        self.keys.push(key);
        let value_kind = push_text(value, self.values.open());
        match value_kind {
            kind::ABSENT | kind::EMPTY => self.values.push_none(),
            _ => self.values.end(),
        }
        self.kinds.open().push(value_kind);
    }

    /// Ends the row.
    pub(super) fn end(&mut self) {
        self.maps.end(self.keys.len());
        self.kinds.end();
    }

    /// Adds a row with these encoded `KeyValue`s.
    pub(super) fn row<'a>(&mut self, pairs: impl Iterator<Item = &'a [u8]>) {
        pairs.for_each(|pair| self.push(pair));
        self.end();
    }

    /// Adds the last row again, so many times.
    pub(super) fn repeat(&mut self, times: usize) {
        let count = self.maps.repeat(times);
        self.keys.repeat(count, times);
        self.values.repeat(count, times);
        self.kinds.repeat(1, times);
    }

    pub(super) const fn size_bytes(&self) -> usize {
        self.keys.size_bytes() + self.values.size_bytes() + self.kinds.size_bytes()
    }

    pub(super) fn finish(&mut self) -> [ArrayRef; 2] {
        let (keys, values) = (self.keys.finish(), self.values.finish());
        [self.maps.finish_map(keys, values), self.kinds.finish()]
    }
}
