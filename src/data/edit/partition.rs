//! Dividing a batch by what its records say.

use std::collections::HashMap;

use smallvec::{SmallVec, smallvec};

use super::super::batch::Chunks;
use super::super::wire::Fields;
use super::super::{Batch, Item, Record};
use super::assemble::{Assembler, Envelope, Sink, for_each_record};
use super::walk::resource_of;

/// The number of the field that holds resources' groups in a request.
const RESOURCES: u32 = 1;

impl Batch {
    /// Divides the records into `num_shards` batches, in one pass; `shard` is called once with each
    /// record and says which, the remainder counts. Each piece carries all parts of the whole. If
    /// all go to one shard it shares the memory.
    #[must_use]
    pub fn partition<'a>(
        &'a self,
        num_shards: usize,
        mut shard: impl FnMut(&Item<'a, Record<'a>>) -> usize,
    ) -> Vec<Self> {
        let num_shards = num_shards.max(1);
        let mut shards: Vec<usize> = Vec::with_capacity(self.num_records());
        self.for_each(|item| shards.push(shard(item) % num_shards));
        if let Some(only) = shards.first()
            && shards.iter().all(|shard| shard == only)
        {
            let nothing = || self.with_chunks(SmallVec::new(), 0);
            return (0..num_shards)
                .map(|shard| if shard == *only { self.clone() } else { nothing() })
                .collect();
        }
        let capacity = self.size_bytes() / num_shards * 5 / 4;
        let mut partitioner = Partitioner {
            shards: shards.into_iter(),
            pieces: (0..num_shards).map(|_| Assembler::with_capacity(capacity)).collect(),
        };
        for chunk in self.chunks() {
            for_each_record(self.signal(), chunk, &mut partitioner);
        }
        partitioner.pieces.into_iter().map(|piece| self.of_piece(piece)).collect()
    }

    /// Calls `visit` with each record in order.
    pub fn for_each<'a>(&'a self, mut visit: impl FnMut(&Item<'a, Record<'a>>)) {
        for item in self.logs().items() {
            visit(&item.map(Record::Log));
        }
        for item in self.spans().items() {
            visit(&item.map(Record::Span));
        }
        for item in self.points() {
            visit(&item.map(Record::Point));
        }
    }

    /// Divides the records by their resource, byte for byte; in order of first appearance. Shares
    /// the memory; each piece carries all parts of the whole. Groups without records are left out.
    #[must_use]
    pub fn group_by_resource(&self) -> Vec<Self> {
        let mut index: HashMap<&[u8], usize> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        for (chunk, allocation) in self.chunks_with_allocations() {
            for field in Fields::new(chunk).filter(|field| field.number == RESOURCES) {
                let piece = chunk.slice(field.start..field.end);
                let num_records =
                    self.with_chunks(smallvec![(piece.clone(), allocation)], 0).count_records();
                if num_records == 0 {
                    continue;
                }
                let at = *index.entry(resource_of(field.bytes())).or_insert(groups.len());
                if at == groups.len() {
                    groups.push(Group::default());
                }
                if let Some(group) = groups.get_mut(at) {
                    group.chunks.push((piece, allocation));
                    group.num_records += num_records;
                }
            }
        }
        groups.into_iter().map(|group| self.with_chunks(group.chunks, group.num_records)).collect()
    }

    fn of_piece(&self, mut piece: Assembler) -> Self {
        if piece.num_records() == 0 {
            return self.with_chunks(SmallVec::new(), 0);
        }
        let piece = piece.take();
        self.with_chunks(smallvec![piece.chunk], piece.num_records)
    }

    fn count_records(&self) -> usize {
        let mut num_records = 0;
        self.for_each(|_| num_records += 1);
        num_records
    }
}

#[derive(Default)]
struct Group {
    chunks: Chunks,
    num_records: usize,
}

struct Partitioner {
    shards: std::vec::IntoIter<usize>,
    pieces: Vec<Assembler>,
}

impl Sink for Partitioner {
    fn record(&mut self, path: &[Envelope<'_>], field: &[u8]) {
        if let Some(piece) = self.shards.next().and_then(|shard| self.pieces.get_mut(shard)) {
            piece.push(path, field);
        }
    }

    fn leave(&mut self, depth: usize) {
        self.pieces.iter_mut().for_each(|piece| piece.close(depth));
    }
}
