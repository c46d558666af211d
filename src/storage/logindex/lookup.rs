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

/// Finds the records that have a key of some ranges.
#[derive(Clone, Debug)]
pub(crate) struct KeysQuery {
    pub(crate) ranges: Vec<RangeInclusive<u64>>,
}

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
}

impl fmt::Debug for TermsQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TermsQuery").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Query for KeysQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Query for TermsQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(TermsWeight { query: self.clone(), last: Mutex::default() }))
    }
}

/// Finds records of one segment after the other; asked again for the same segment, it knows them.
struct TermsWeight {
    query: TermsQuery,
    last: Mutex<Option<(SegmentId, BitSet)>>,
}

impl Weight for KeysQuery {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut found = BitSet::with_max_value(reader.max_doc());
        let keys = Keys::open(reader)?;
        let mut docs = Vec::new();
        for range in &self.ranges {
            docs.clear();
            keys.find(range, &mut docs)?;
            if docs.iter().any(|doc| *doc >= reader.max_doc()) {
                let what = "a file of keys names records that are not there";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what).into());
            }
            for doc in &docs {
                found.insert(*doc);
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(found), boost)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        explain(self, reader, doc)
    }
}

impl TermsQuery {
    fn find(&self, reader: &SegmentReader) -> tantivy::Result<BitSet> {
        let mut found = BitSet::with_max_value(reader.max_doc());
        let index = reader.inverted_index(self.field)?;
        let mut terms = index.terms().range().ge(&self.prefix).into_stream()?;
        while terms.advance() {
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

impl Weight for TermsWeight {
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
