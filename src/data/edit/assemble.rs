//! Going through the records of a chunk and writing them into other requests, each with the
//! envelopes around it.

use bytes::Bytes;
use smallvec::SmallVec;

use super::super::Signal;
use super::super::batch::Allocation;
use super::super::wire::{Fields, Mark, Search, Writer, bytes_field_len};
use super::walk::{children, is_child};

/// What takes in the records of a chunk, in order.
pub(super) trait Sink {
    /// A record, as an encoded field, in the envelopes of `path`.
    fn record(&mut self, path: &[Envelope<'_>], field: &[u8]);

    /// The envelope at `depth` has no more records.
    fn leave(&mut self, depth: usize);
}

/// An envelope that records are in.
pub(super) struct Envelope<'a> {
    number: u32,
    length: usize,
    /// Its fields that are not what it is around.
    header: SmallVec<[&'a [u8]; 2]>,
}

impl Envelope<'_> {
    /// An upper bound of what it takes in a request besides its records.
    fn overhead(&self) -> usize {
        let header: usize = self.header.iter().map(|field| field.len()).sum();
        header + bytes_field_len(self.number, self.length) - self.length
    }
}

/// Hands the records of a chunk to `sink`.
pub(super) fn for_each_record(signal: Signal, chunk: &[u8], sink: &mut impl Sink) {
    let record_level = if signal == Signal::Metrics { 5 } else { 3 };
    descend(record_level, chunk, &mut SmallVec::new(), sink);
}

/// A request that is being written.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    writer: Writer,
    /// The envelopes that are open.
    marks: SmallVec<[Mark; 4]>,
    num_records: usize,
}

impl Assembler {
    /// An empty request with room for `capacity` bytes.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { writer: Writer::with_capacity(capacity), ..Self::default() }
    }

    /// The number of records written.
    pub(super) const fn num_records(&self) -> usize {
        self.num_records
    }

    /// An upper bound of the size with one more record.
    pub(super) fn size_with(&self, path: &[Envelope<'_>], field: &[u8]) -> usize {
        let unopened = path.get(self.marks.len()..).unwrap_or_default();
        let overhead: usize = unopened.iter().map(Envelope::overhead).sum();
        self.writer.len() + overhead + field.len()
    }

    /// Writes a record.
    pub(super) fn push(&mut self, path: &[Envelope<'_>], field: &[u8]) {
        for envelope in path.iter().skip(self.marks.len()) {
            let mark = self.writer.begin_about(envelope.number, envelope.length);
            envelope.header.iter().for_each(|field| self.writer.raw(field));
            self.marks.push(mark);
        }
        self.writer.raw(field);
        self.num_records += 1;
    }

    /// Ends all envelopes from `depth` on.
    pub(super) fn close(&mut self, depth: usize) {
        while self.marks.len() > depth {
            if let Some(mark) = self.marks.pop() {
                self.writer.end(mark);
            }
        }
    }

    /// Takes out the request; begins a new one.
    pub(super) fn take(&mut self) -> Assembled {
        self.close(0);
        let num_records = std::mem::take(&mut self.num_records);
        let length = self.writer.len();
        // Memory that is mostly used is handed over, other is used again.
        if length * 2 < self.writer.capacity() {
            let request = Bytes::copy_from_slice(self.writer.as_slice());
            self.writer.clear();
            return Assembled { chunk: (request, Allocation::new(length)), num_records };
        }
        let next = Writer::with_capacity(length);
        let request = std::mem::replace(&mut self.writer, next).into_vec();
        let allocation = Allocation::new(request.capacity());
        Assembled { chunk: (Bytes::from(request), allocation), num_records }
    }
}

/// A request that was written.
#[derive(Debug)]
pub(super) struct Assembled {
    /// The request and its allocation.
    pub(super) chunk: (Bytes, Allocation),
    /// How many records it holds.
    pub(super) num_records: usize,
}

fn descend<'a>(
    levels: usize,
    message: &'a [u8],
    path: &mut SmallVec<[Envelope<'a>; 4]>,
    sink: &mut impl Sink,
) {
    let level = path.len();
    let mask = children(level);
    let mut search = Search::new(message);
    while let Some(field) = search.hit(|tag| tag < 256 && mask >> (tag >> 3) & 1 != 0) {
        if level + 1 == levels {
            sink.record(path, message.get(field.start..field.end).unwrap_or_default());
            continue;
        }
        let number = u32::try_from(field.number).unwrap_or_default();
        let header = header(level + 1, field.payload);
        path.push(Envelope { number, length: field.payload.len(), header });
        descend(levels, field.payload, path, sink);
        path.pop();
        sink.leave(level);
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
