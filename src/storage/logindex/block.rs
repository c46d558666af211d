//! A block of a segment's records, as far as its parts are inflated.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use tantivy::DocId;
use tantivy::directory::OwnedBytes;

use super::parts::{Kinds, Taken};
use super::stored::{BlockAt, Inflater, StoredRecords, damaged, number_at};
use crate::data::wire::Writer;

/// Parts of the records of a block; its memory is used again for the next.
pub(crate) struct Block {
    first: DocId,
    num_records: usize,
    kinds: OwnedBytes,
    ids: OwnedBytes,
    /// Where the ids of each record end.
    id_ends: Vec<usize>,
    /// Each with a table of ends before them.
    rests: Vec<u8>,
    bodies: Vec<u8>,
}

impl Block {
    /// No records.
    pub(crate) fn new() -> Self {
        Self {
            first: 0,
            num_records: 0,
            kinds: OwnedBytes::empty(),
            ids: OwnedBytes::empty(),
            id_ends: Vec::new(),
            rests: Vec::new(),
            bodies: Vec::new(),
        }
    }

    /// Goes on to a block, of which nothing is inflated yet.
    pub(crate) fn begin(&mut self, stored: &StoredRecords, at: BlockAt) -> io::Result<()> {
        (self.first, self.num_records) = (at.first, at.listed.num_records);
        (self.kinds, self.ids) = stored.kinds_and_ids(at)?;
        self.rests.clear();
        self.bodies.clear();
        self.id_ends.clear();
        let mut end = 0;
        for kinds in self.kinds.iter() {
            end += Kinds(*kinds).id_bytes();
            self.id_ends.push(end);
        }
        if end == self.ids.len() { Ok(()) } else { Err(damaged("a block of records")) }
    }

    /// Inflates the rests of the block that it stands at.
    pub(crate) fn inflate_rests(
        &mut self,
        stored: &StoredRecords,
        inflater: &mut Inflater,
    ) -> io::Result<()> {
        stored.rests(stored.block_of(self.first)?, inflater, &mut self.rests)
    }

    /// Inflates the bodies of the block that it stands at.
    pub(crate) fn inflate_bodies(
        &mut self,
        stored: &StoredRecords,
        inflater: &mut Inflater,
    ) -> io::Result<()> {
        stored.bodies(stored.block_of(self.first)?, inflater, &mut self.bodies)
    }

    /// Its first record.
    pub(crate) const fn first(&self) -> DocId {
        self.first
    }

    /// All rests, with what stands before them.
    pub(crate) fn rests(&self) -> &[u8] {
        &self.rests
    }

    /// All bodies, with what stands before them.
    pub(crate) fn bodies(&self) -> &[u8] {
        &self.bodies
    }

    /// Where the rest of a record stands among all; nowhere if that is damaged.
    pub(crate) fn rest_place(&self, doc: DocId) -> Range<usize> {
        self.place(&self.rests, doc).unwrap_or_default()
    }

    /// Where the body of a record stands among all; nowhere if that is damaged.
    pub(crate) fn body_place(&self, doc: DocId) -> Range<usize> {
        self.place(&self.bodies, doc).unwrap_or_default()
    }

    /// What is left of a record.
    pub(crate) fn rest(&self, doc: DocId) -> io::Result<&[u8]> {
        let place = self.place(&self.rests, doc);
        let rest = place.and_then(|place| self.rests.get(place));
        rest.ok_or_else(|| damaged("a block of records"))
    }

    /// What was taken out of a record, as far as it is inflated.
    pub(crate) fn taken(&self, doc: DocId) -> io::Result<Taken<'_>> {
        let taken = self.find_taken(doc);
        taken.ok_or_else(|| damaged("a block of records"))
    }

    /// A record as it came; everything has to be inflated.
    pub(crate) fn record(&self, doc: DocId) -> io::Result<Bytes> {
        let (rest, taken) = (self.rest(doc)?, self.taken(doc)?);
        let mut writer = Writer::with_capacity(rest.len() + taken.body.len() + 64);
        taken.put_together(rest, &mut writer);
        Ok(writer.into_bytes())
    }

    fn find_taken(&self, doc: DocId) -> Option<Taken<'_>> {
        let index = self.index(doc)?;
        let start =
            index.checked_sub(1).map_or(Some(0), |index| self.id_ends.get(index).copied())?;
        let ids = self.ids.get(start..*self.id_ends.get(index)?)?;
        let mut kinds = Kinds(*self.kinds.get(index)?);
        let mut body: &[u8] = &[];
        if self.bodies.is_empty() {
            kinds.remove(Kinds::BODY);
        } else {
            body = self.bodies.get(self.place(&self.bodies, doc)?)?;
        }
        Some(Taken { kinds, body, ids })
    }

    fn index(&self, doc: DocId) -> Option<usize> {
        let index = doc.checked_sub(self.first)? as usize;
        (index < self.num_records).then_some(index)
    }

    fn place(&self, parts: &[u8], doc: DocId) -> Option<Range<usize>> {
        let index = self.index(doc)?;
        let end_at = |index: usize| number_at(parts, index * 4);
        let start = index.checked_sub(1).map_or(Some(0), end_at)?;
        let table_bytes = self.num_records * 4;
        let place = table_bytes.checked_add(start)?..table_bytes.checked_add(end_at(index)?)?;
        (place.start <= place.end && place.end <= parts.len()).then_some(place)
    }
}
