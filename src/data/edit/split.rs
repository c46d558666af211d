//! Cutting a batch into pieces of limited size.

use smallvec::smallvec;

use super::super::Batch;
use super::assemble::{Assembled, Assembler, Envelope, Sink, for_each_record};

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
        let mut splitter =
            Splitter { max_records, max_bytes, pieces: Vec::new(), piece: Assembler::default() };
        for chunk in self.chunks() {
            for_each_record(self.signal(), chunk, &mut splitter);
        }
        splitter.finish_piece();
        splitter
            .pieces
            .into_iter()
            .map(|piece| self.with_chunks(smallvec![piece.chunk], piece.num_records))
            .collect()
    }
}

struct Splitter {
    max_records: usize,
    max_bytes: usize,
    pieces: Vec<Assembled>,
    piece: Assembler,
}

impl Splitter {
    fn finish_piece(&mut self) {
        if self.piece.num_records() > 0 {
            self.pieces.push(self.piece.take());
        }
    }
}

impl Sink for Splitter {
    fn record(&mut self, path: &[Envelope<'_>], field: &[u8]) {
        if self.piece.num_records() >= self.max_records
            || self.piece.size_with(path, field) > self.max_bytes
        {
            self.finish_piece();
        }
        self.piece.push(path, field);
    }

    fn leave(&mut self, depth: usize) {
        self.piece.close(depth);
    }
}
