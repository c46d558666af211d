//! Queries of our own: records by their keys, and by terms that pass a test.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::index::SegmentId;
use tantivy::query::{
    BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, DocId, DocSet as _, Score, SegmentReader};

use super::keys::Keys;
use super::patience::Patience;

/// After so many terms or keys it is seen whether to give up.
const PATIENCE_STEP: u32 = 4096;

/// Finds the records that have a key of some ranges.
#[derive(Clone)]
pub(crate) struct KeysQuery {
    pub(crate) ranges: Vec<RangeInclusive<u64>>,
    /// A test of the keys, if not all are wanted.
    pub(crate) test: Option<KeyTest>,
    /// When looking for them is given up.
    pub(crate) patience: Patience,
}

/// Tells of a key whether it passes.
pub(crate) type KeyTest = Arc<dyn Fn(u64) -> bool + Send + Sync>;

/// Tells of a part of a term whether the term passes.
pub(crate) type TermTest = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Finds the records that have a term that passes a test.
#[derive(Clone)]
pub(crate) struct TermsQuery {
    pub(crate) field: Field,
    /// What terms begin with.
    pub(crate) prefix: Vec<u8>,
    /// A test of what follows in a term.
    pub(crate) test: TermTest,
    /// When looking for them is given up.
    pub(crate) patience: Patience,
}

impl fmt::Debug for KeysQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeysQuery").field("ranges", &self.ranges).finish_non_exhaustive()
    }
}

impl fmt::Debug for TermsQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TermsQuery").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Query for KeysQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(FoundBefore { query: self.clone(), last: Mutex::default() }))
    }
}

impl Query for TermsQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(FoundBefore { query: self.clone(), last: Mutex::default() }))
    }
}

/// Finds all records of a segment at once.
trait Lookup: Send + Sync + 'static {
    fn find(&self, reader: &SegmentReader) -> tantivy::Result<BitSet>;
}

impl Lookup for KeysQuery {
    fn find(&self, reader: &SegmentReader) -> tantivy::Result<BitSet> {
        let mut found = BitSet::with_max_value(reader.max_doc());
        let mut pace = Pace::new(&self.patience);
        let keys = Keys::open(reader)?;
        for range in &self.ranges {
            keys.find(range, |key, docs| {
                pace.step()?;
                if self.test.as_ref().is_some_and(|test| !test(key)) {
                    return Ok(());
                }
                for doc in docs {
                    if *doc >= reader.max_doc() {
                        let what = "a file of keys names records that are not there";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                    }
                    found.insert(*doc);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

impl Lookup for TermsQuery {
    fn find(&self, reader: &SegmentReader) -> tantivy::Result<BitSet> {
        let mut found = BitSet::with_max_value(reader.max_doc());
        let index = reader.inverted_index(self.field)?;
        let mut terms = index.terms().range().ge(&self.prefix).into_stream()?;
        let mut pace = Pace::new(&self.patience);
        while terms.advance() {
            pace.step()?;
            let Some(rest) = terms.key().strip_prefix(self.prefix.as_slice()) else {
                break;
            };
            if !(self.test)(rest) {
                continue;
            }
            let (term, option) = (terms.value(), IndexRecordOption::Basic);
            let mut postings = index.read_block_postings_from_terminfo(term, option)?;
            while !postings.docs().is_empty() {
                for doc in postings.docs() {
                    found.insert(*doc);
                }
                postings.advance();
            }
        }
        Ok(found)
    }
}

/// Looks every so often whether to give up.
struct Pace<'a> {
    patience: &'a Patience,
    num_steps: u32,
}

impl<'a> Pace<'a> {
    const fn new(patience: &'a Patience) -> Self {
        Self { patience, num_steps: 0 }
    }

    fn step(&mut self) -> io::Result<()> {
        self.num_steps += 1;
        if self.num_steps < PATIENCE_STEP {
            return Ok(());
        }
        self.num_steps = 0;
        self.patience.check().map_err(io::Error::other)
    }
}

/// Finds records of one segment after the other; asked again for the same segment, it knows them.
struct FoundBefore<Q> {
    query: Q,
    last: Mutex<Option<(SegmentId, BitSet)>>,
}

impl<Q: Lookup> Weight for FoundBefore<Q> {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let id = reader.segment_id();
        let found = match last.as_ref().filter(|(last, _)| *last == id) {
            Some((_, found)) => found.clone(),
            None => last.insert((id, self.query.find(reader)?)).1.clone(),
        };
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(found), boost)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        explain(self, reader, doc)
    }
}

/// Nothing is scored, so there is nothing to explain but whether a record is found.
fn explain(
    weight: &dyn Weight,
    reader: &SegmentReader,
    doc: DocId,
) -> tantivy::Result<Explanation> {
    let is_found = weight.scorer(reader, 1.0)?.seek(doc) == doc;
    Ok(Explanation::new("found", f32::from(u8::from(is_found))))
}

#[cfg(test)]
mod tests {
    use tantivy::schema::{BytesOptions, Schema};
    use tantivy::{Index, TantivyDocument};

    use super::*;
    use crate::storage::logindex::LogIndexError;

    #[test]
    fn looking_through_terms_ends_when_nobody_waits() {
        let mut schema = Schema::builder();
        let field = schema.add_bytes_field("field", BytesOptions::default().set_indexed());
        let index = Index::create_in_ram(schema.build());
        let mut writer = index.writer_with_num_threads(1, 15_000_000).unwrap();
        for number in 0..PATIENCE_STEP {
            let mut document = TantivyDocument::default();
            document.add_bytes(field, &number.to_be_bytes());
            writer.add_document(document).unwrap();
        }
        writer.commit().unwrap();
        let searcher = index.reader().unwrap().searcher();
        let find = |patience| {
            let query =
                TermsQuery { field, prefix: Vec::new(), test: Arc::new(|_| true), patience };
            let weight = query.weight(EnableScoring::disabled_from_searcher(&searcher)).unwrap();
            weight.count(searcher.segment_reader(0))
        };
        assert_eq!(find(Patience::default()).unwrap(), PATIENCE_STEP);
        let patience = Patience::default();
        drop(patience.end_on_drop());
        let error = find(patience).unwrap_err();
        let error = LogIndexError::index("search", std::path::Path::new("x"))(error);
        assert!(matches!(error, LogIndexError::TooSlow), "{error}");
    }
}
