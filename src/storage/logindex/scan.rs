//! Looks at the stored records that may match, block by block, on several threads where there are
//! many.
//!
//! Of each block only those parts are inflated that the filter looks at, and of these only the
//! records are read that have the bytes in them which a match must have.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use tantivy::DocId;

use super::block::Block;
use super::error::LogIndexError;
use super::filter::Filter;
use super::parts::Touched;
use super::record::is_own_match;
use super::search::Search;
use super::sieve::Sieve;
use super::stored::{BlockAt, Inflater};
use super::top::Top;
use super::window::{Opened, SegmentRecords};
use crate::data::LogRecord;
use crate::data::wire::Writer;

/// The most threads that look at the records of one search.
const MAX_THREADS: usize = 4;

/// For fewer blocks another thread is not worth its while.
const MIN_BLOCKS: usize = 16;

/// Envelopes whose filters are kept.
const MAX_FILTERS: usize = 1024;

/// What records that match are given to.
pub(crate) trait Sink: Send {
    /// Whether a record of this rank would be taken.
    fn is_rank_wanted(&self, rank: i64) -> bool;

    /// Takes records, each with its time.
    fn take(&mut self, found: &[(i64, DocId)]);
}

impl Sink for Top<DocId> {
    fn is_rank_wanted(&self, rank: i64) -> bool {
        Self::is_rank_wanted(self, rank)
    }

    fn take(&mut self, found: &[(i64, DocId)]) {
        for (time, doc) in found {
            self.push(*time, *doc);
        }
        self.cut();
    }
}

/// Takes all.
impl Sink for Vec<(i64, DocId)> {
    fn is_rank_wanted(&self, _: i64) -> bool {
        true
    }

    fn take(&mut self, found: &[(i64, DocId)]) {
        self.extend_from_slice(found);
    }
}

/// A search that looks at records.
pub(crate) struct Scan<'a> {
    opened: &'a Opened,
    search: &'a Search,
    sieve: Sieve,
    touched: Touched,
}

/// Candidates that are in one block.
struct Run {
    /// The highest rank of one of them.
    highest: i64,
    candidates: Range<usize>,
    at: BlockAt,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(opened: &'a Opened, search: &'a Search) -> Self {
        let (sieve, touched) = (Sieve::new(&search.filter), Touched::by(&search.filter));
        Self { opened, search, sieve, touched }
    }

    /// Gives those of a segment's `candidates` that match to `sink`, in no order. Each candidate has
    /// its time; they are in the order of their numbers.
    pub(crate) fn look_at<S: Sink>(
        &self,
        segment: u32,
        candidates: &[(i64, DocId)],
        sink: &mut S,
    ) -> Result<(), LogIndexError> {
        let records = self.opened.records(segment)?;
        let runs = self.runs(records, candidates).map_err(self.failed())?;
        let available = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let num_threads = available.min(MAX_THREADS).min(runs.len() / MIN_BLOCKS);
        let job = Job { scan: self, records, candidates, runs, next: AtomicUsize::new(0) };
        let sink = Mutex::new(sink);
        let work = || Worker::new(&job)?.work(&sink);
        if num_threads <= 1 {
            return work();
        }
        thread::scope(|scope| {
            let new = || thread::Builder::new().name("logindex-scan".to_owned());
            // Where one cannot be started the others do its work.
            let others: Vec<_> =
                (1..num_threads).filter_map(|_| new().spawn_scoped(scope, work).ok()).collect();
            let mut result = work();
            for other in others {
                let ended = other.join().unwrap_or_else(|panic| resume_unwind(panic));
                result = result.and(ended);
            }
            result
        })
    }

    /// The blocks that candidates are in, those that may have what is wanted first at the beginning.
    fn runs(&self, records: &SegmentRecords, candidates: &[(i64, DocId)]) -> io::Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        for (index, (time, doc)) in candidates.iter().enumerate() {
            let rank = self.search.order.rank(*time);
            if let Some(run) = runs.last_mut()
                && *doc < run.at.end()
            {
                run.highest = run.highest.max(rank);
                run.candidates.end = index + 1;
                continue;
            }
            let at = records.stored.block_of(*doc)?;
            runs.push(Run { highest: rank, candidates: index..index + 1, at });
        }
        runs.sort_by_key(|run| std::cmp::Reverse(run.highest));
        Ok(runs)
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> LogIndexError {
        LogIndexError::file("read records of", &self.opened.folder)
    }
}

/// What threads do together.
struct Job<'a> {
    scan: &'a Scan<'a>,
    records: &'a SegmentRecords,
    candidates: &'a [(i64, DocId)],
    runs: Vec<Run>,
    /// The run that nobody has begun with.
    next: AtomicUsize,
}

/// What a thread needs.
struct Worker<'a> {
    job: &'a Job<'a>,
    inflater: Inflater,
    block: Block,
    /// What is left of the filter for the records of an envelope, by its number.
    filters: HashMap<u64, Filter>,
    /// Candidates that may still match.
    left: Vec<(i64, DocId)>,
    found: Vec<(i64, DocId)>,
    record: Writer,
}

impl<'a> Worker<'a> {
    fn new(job: &'a Job<'a>) -> Result<Self, LogIndexError> {
        Ok(Self {
            job,
            inflater: Inflater::new().map_err(job.scan.failed())?,
            block: Block::new(),
            filters: HashMap::new(),
            left: Vec::new(),
            found: Vec::new(),
            record: Writer::default(),
        })
    }

    fn work<S: Sink>(&mut self, sink: &Mutex<&mut S>) -> Result<(), LogIndexError> {
        let job = self.job;
        while let Some(run) = job.runs.get(job.next.fetch_add(1, Ordering::Relaxed)) {
            let looked = job.scan.search.patience.check().and_then(|()| {
                if !lock(sink).is_rank_wanted(run.highest) {
                    // Nor are those that follow.
                    job.next.store(job.runs.len(), Ordering::Relaxed);
                    return Ok(());
                }
                self.look_at(run)
            });
            if looked.is_err() {
                job.next.store(job.runs.len(), Ordering::Relaxed);
                return looked;
            }
            if !self.found.is_empty() {
                lock(sink).take(&self.found);
            }
        }
        Ok(())
    }

    /// Finds the candidates of a block that match.
    fn look_at(&mut self, run: &Run) -> Result<(), LogIndexError> {
        let job = self.job;
        let failed = || job.scan.failed();
        self.found.clear();
        self.left.clear();
        self.left.extend_from_slice(job.candidates.get(run.candidates.clone()).unwrap_or_default());
        self.block.begin(&job.records.stored, run.at).map_err(failed())?;
        let touched = job.scan.touched;
        let is_cut = run.at.listed.num_whole == 0;
        if touched.body {
            let inflated = self.block.inflate_bodies(&job.records.stored, &mut self.inflater);
            inflated.map_err(failed())?;
            if is_cut {
                self.sift_bodies();
            }
        }
        let has_rest = touched.rest || (!is_cut && (touched.body || touched.ids));
        if has_rest && !self.left.is_empty() {
            let inflated = self.block.inflate_rests(&job.records.stored, &mut self.inflater);
            inflated.map_err(failed())?;
            self.sift_rests()?;
        }
        for index in 0..self.left.len() {
            let Some((time, doc)) = self.left.get(index).copied() else {
                break;
            };
            if self.is_match(doc, has_rest)? {
                self.found.push((time, doc));
            }
        }
        Ok(())
    }

    /// Leaves the candidates whose bodies have what a match must have.
    fn sift_bodies(&mut self) {
        let Self { job, block, left, .. } = self;
        let mut sifted =
            job.scan.sieve.sift(block.bodies(), |cover| cover.touched == Touched::BODY);
        if sifted.cover.is_some() {
            left.retain(|(_, doc)| sifted.may_match(&block.body_place(*doc)));
        }
    }

    /// Leaves the candidates whose rests have what a match must have, or whose envelopes do.
    fn sift_rests(&mut self) -> Result<(), LogIndexError> {
        let Self { job, block, left, .. } = self;
        let mut sifted = job.scan.sieve.sift(block.rests(), |cover| cover.touched == Touched::REST);
        let Some(cover) = sifted.cover else {
            return Ok(());
        };
        // Of each envelope of the block, whether it has.
        let mut known: Vec<(u64, bool)> = Vec::new();
        let mut result = Ok(());
        left.retain(|(_, doc)| {
            if sifted.may_match(&block.rest_place(*doc)) {
                return true;
            }
            let number = job.records.envelope(*doc);
            if let Some((_, is_in)) = known.iter().find(|(known, _)| *known == number) {
                return *is_in;
            }
            match job.scan.opened.envelope(number) {
                Ok(envelope) => {
                    let is_in = cover.is_in(envelope);
                    known.push((number, is_in));
                    is_in
                }
                Err(error) => {
                    result = Err(error);
                    false
                }
            }
        });
        result
    }

    fn is_match(&mut self, doc: DocId, has_rest: bool) -> Result<bool, LogIndexError> {
        let scan = self.job.scan;
        let number = self.job.records.envelope(doc);
        if !self.filters.contains_key(&number) {
            if self.filters.len() >= MAX_FILTERS {
                self.filters.clear();
            }
            let filter = scan.search.filter.within(scan.opened.envelope(number)?);
            self.filters.insert(number, filter);
        }
        let rest = if has_rest { self.block.rest(doc).map_err(scan.failed())? } else { &[] };
        let record = if scan.touched == Touched::REST {
            rest
        } else {
            let taken = self.block.taken(doc).map_err(scan.failed())?;
            self.record.clear();
            taken.write_any_order(rest, &mut self.record);
            self.record.as_slice()
        };
        let record = LogRecord::of_encoded(record);
        Ok(self.filters.get(&number).is_some_and(|filter| is_own_match(record, filter)))
    }
}

fn lock<'lock, 'sink, S>(sink: &'lock Mutex<&'sink mut S>) -> MutexGuard<'lock, &'sink mut S> {
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}
