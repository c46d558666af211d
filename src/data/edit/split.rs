//! Cutting a batch into pieces of limited size.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::super::wire::{Fields, Mark, Writer, bytes_field_len};
use super::super::{Batch, Signal};
use super::walk::is_child;

impl Batch {
    /// Cuts the batch into pieces of at most `max_records` records and `max_bytes` bytes, in order;
    /// 0 means no limit. A record that is larger alone makes a piece of its own. Each piece is a
    /// whole request and carries all parts; envelopes without records are left out.
    #[must_use]
    pub fn split(&self, max_records: usize, max_bytes: usize) -> Vec<Self> {
        let max_records = if max_records == 0 { usize::MAX } else { max_records };
        let max_bytes = if max_bytes == 0 { usize::MAX } else { max_bytes };
        if self.num_records() <= max_records && self.size_bytes() <= max_bytes {
            return vec![self.clone()];
        }
        let mut splitter = Splitter {
            max_records,
            max_bytes,
            leaf_level: if self.signal() == Signal::Metrics { 5 } else { 3 },
            pieces: Vec::new(),
            path: SmallVec::new(),
            writer: Writer::with_capacity(max_bytes.min(self.size_bytes())),
            marks: SmallVec::new(),
            num_records: 0,
        };
        for chunk in self.chunks() {
            splitter.message(0, chunk);
        }
        splitter.finish_piece();
        splitter
            .pieces
            .into_iter()
            .map(|(bytes, num_records)| {
                let length = bytes.len();
                self.with_chunks(smallvec![(bytes, length)], num_records)
            })
            .collect()
    }
}

/// An envelope that records are in: what is written of it into each piece.
struct Envelope<'a> {
    number: u32,
    length: usize,
    header: SmallVec<[&'a [u8]; 2]>,
}

impl Envelope<'_> {
    /// An upper bound of what it takes in a piece besides its records.
    fn overhead(&self) -> usize {
        let header: usize = self.header.iter().map(|field| field.len()).sum();
        header + bytes_field_len(self.number, self.length) - self.length
    }
}

struct Splitter<'a> {
    max_records: usize,
    max_bytes: usize,
    leaf_level: usize,
    pieces: Vec<(Bytes, usize)>,
    /// The envelopes around where we are.
    path: SmallVec<[Envelope<'a>; 4]>,
    writer: Writer,
    /// The envelopes of `path` that the piece has open.
    marks: SmallVec<[Mark; 4]>,
    num_records: usize,
}

impl<'a> Splitter<'a> {
    fn message(&mut self, level: usize, message: &'a [u8]) {
        for field in Fields::new(message).filter(|field| is_child(level, field.number)) {
            if level + 1 == self.leaf_level {
                self.record(message.get(field.start..field.end).unwrap_or_default());
                continue;
            }
            let inner = field.bytes();
            self.path.push(Envelope {
                number: field.number,
                length: inner.len(),
                header: header(level + 1, inner),
            });
            self.message(level + 1, inner);
            self.path.pop();
            if self.marks.len() > self.path.len()
                && let Some(mark) = self.marks.pop()
            {
                self.writer.end(mark);
            }
        }
    }

    fn record(&mut self, field: &[u8]) {
        let unopened = self.path.get(self.marks.len()..).unwrap_or_default();
        let overhead: usize = unopened.iter().map(Envelope::overhead).sum();
        let is_full = self.num_records >= self.max_records
            || self.writer.len() + overhead + field.len() > self.max_bytes;
        if is_full && self.num_records > 0 {
            self.finish_piece();
        }
        for envelope in self.path.iter().skip(self.marks.len()) {
            let mark = self.writer.begin_about(envelope.number, envelope.length);
            envelope.header.iter().for_each(|field| self.writer.raw(field));
            self.marks.push(mark);
        }
        self.writer.raw(field);
        self.num_records += 1;
    }

    fn finish_piece(&mut self) {
        while let Some(mark) = self.marks.pop() {
            self.writer.end(mark);
        }
        if self.num_records > 0 {
            let piece = Bytes::copy_from_slice(self.writer.as_slice());
            self.pieces.push((piece, self.num_records));
        }
        self.writer.clear();
        self.num_records = 0;
    }
}

/// The fields of an envelope that are not what it is around; neighbours as one.
fn header(level: usize, message: &[u8]) -> SmallVec<[&[u8]; 2]> {
    let mut header: SmallVec<[&[u8]; 2]> = SmallVec::new();
    let mut start = 0;
    for field in Fields::new(message) {
        if is_child(level, field.number) {
            header.extend(message.get(start..field.start).filter(|run| !run.is_empty()));
            start = field.end;
        }
    }
    header.extend(message.get(start..).filter(|run| !run.is_empty()));
    header
}
