//! Searches a snapshot: committed windows by their terms, the open tail by scanning.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tantivy::query::{EnableScoring, Query, Weight};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet as _, SegmentReader};

use super::allowance::Allowance;
use super::error::LogIndexError;
use super::filter::Filter;
use super::index::{Entry, Listed, Shared};
use super::patience::Patience;
use super::plan::Planner;
use super::record::{Envelope, Found, severity};
use super::scan::Scan;
use super::schema::SEVERITY;
use super::tail;
use super::times::SegmentTimes;
use super::top::{Order, Top};
use super::window::Opened;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// What is true of the records.
    pub filter: Filter,
    /// When they happened, in Unix nanoseconds.
    pub time: Range<i64>,
    /// Which are wanted first.
    pub order: Order,
    /// How many are wanted.
    pub limit: usize,
    /// When the search is given up.
    pub patience: Patience,
    /// The memory that it may take.
    pub allowance: Allowance,
}

/// A record that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// When it happened, in Unix nanoseconds: its time, or else when it was observed or arrived.
    pub time: i64,
    /// The record with what it shares with others.
    pub found: Found,
}

/// What a visit tells of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When it happened, in Unix nanoseconds.
    pub time: i64,
    /// The number of its severity, 0 to 24.
    pub severity: u8,
}

impl Hit {
    /// The record `encoded`, which is a part of `chunk`.
    pub(crate) fn new(time: i64, envelope: &Arc<Envelope>, chunk: &Bytes, encoded: &[u8]) -> Self {
        let envelope = Arc::clone(envelope);
        Self { time, found: Found { envelope, encoded: chunk.slice_ref(encoded) } }
    }

    /// The memory that it takes, without what it shares with others.
    pub(crate) const fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.found.encoded.len()
    }
}

/// What a log index held at one moment.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) sources: Vec<Source>,
}

/// A part of what can be searched.
#[derive(Clone)]
pub struct Source {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Without `shared` it is not one of a log index that is open.
    Window {
        listed: Listed,
        shared: Option<Arc<Shared>>,
    },
    Tail(Vec<Arc<Entry>>),
}

impl Snapshot {
    /// Its parts, in no order.
    #[must_use]
    pub fn into_sources(self) -> Vec<Source> {
        self.sources
    }
}

impl Source {
    /// Calls `each` for every record that matches, in no order; `limit` does not count.
    ///
    /// # Errors
    ///
    /// Fails when files cannot be read or the search takes too long.
    pub fn visit(&self, search: &Search, each: &mut dyn FnMut(Seen)) -> Result<(), LogIndexError> {
        match &self.kind {
            Kind::Window { listed, shared } => {
                visit_window(&*open(listed, shared.as_deref())?, search, each)
            }
            Kind::Tail(entries) => tail::visit(entries, search, |time, record| {
                let severity = severity(record.severity_number(), record.severity_text());
                each(Seen { time, severity });
            }),
        }
    }

    pub(crate) const fn window(listed: Listed, shared: Option<Arc<Shared>>) -> Self {
        Self { kind: Kind::Window { listed, shared } }
    }

    pub(crate) const fn tail(entries: Vec<Arc<Entry>>) -> Self {
        Self { kind: Kind::Tail(entries) }
    }

    /// The earliest and the latest time of its records, nothing if it has none.
    #[must_use]
    pub fn times(&self) -> Option<(i64, i64)> {
        match &self.kind {
            Kind::Window { listed, .. } => {
                let payload = listed.window.payload();
                (payload.num_records > 0).then_some((payload.min_time, payload.max_time))
            }
            Kind::Tail(entries) => tail::times(entries),
        }
    }

    /// Finds what ranks higher than `floor`, if one is given: at most `search.limit`, in order.
    ///
    /// # Errors
    ///
    /// Fails when files cannot be read or the search takes too long.
    pub fn search(&self, search: &Search, floor: Option<i64>) -> Result<Vec<Hit>, LogIndexError> {
        match &self.kind {
            Kind::Window { listed, shared } => {
                let opened = open(listed, shared.as_deref())?;
                let mut top = Top::new(search.order, search.limit, floor);
                search_window(&opened, search, &mut top)?;
                read_all(&opened, search, top.finish())
            }
            Kind::Tail(entries) => tail::search(entries, search, floor),
        }
    }
}

fn open(listed: &Listed, shared: Option<&Shared>) -> Result<Arc<Opened>, LogIndexError> {
    match (&listed.held, shared) {
        (Some(opened), _) => Ok(Arc::clone(opened)),
        (None, Some(shared)) => shared.open(&listed.window),
        (None, None) => listed.window.open(),
    }
}

/// Where a record stands in a window's index.
type Place = (u32, DocId);

fn search_window(
    opened: &Opened,
    search: &Search,
    top: &mut Top<Place>,
) -> Result<(), LogIndexError> {
    let failed = |what| LogIndexError::index(what, &opened.folder);
    let (weight, is_exact) = weight(opened, search)?;
    let scan = Scan::new(opened, search);
    for segment in segments_in_order(opened, search)? {
        for part in segment.times.parts(&search.time, search.order) {
            search.patience.check()?;
            if !top.is_rank_wanted(part.highest) {
                break;
            }
            if is_exact {
                let collected = segment.collect(&*weight, part.docs, &search.time, |time, doc| {
                    top.push(time, (segment.ordinal, doc));
                });
                collected.map_err(failed("search"))?;
                top.cut();
                continue;
            }
            let mut candidates = Vec::new();
            let collected = segment.collect(&*weight, part.docs, &search.time, |time, doc| {
                if top.is_wanted(time) {
                    candidates.push((time, doc));
                }
            });
            collected.map_err(failed("search"))?;
            let candidates_bytes = size_of_val(candidates.as_slice());
            search.allowance.take(candidates_bytes)?;
            let mut matching = top.for_part();
            scan.look_at(segment.ordinal, &candidates, &mut matching)?;
            for (time, doc) in matching.finish() {
                top.push(time, (segment.ordinal, doc));
            }
            search.allowance.give_back(candidates_bytes);
            top.cut();
        }
    }
    Ok(())
}

/// What finds at least the records that match, and whether it finds nothing else.
fn weight(opened: &Opened, search: &Search) -> Result<(Box<dyn Weight>, bool), LogIndexError> {
    let planner = Planner {
        searcher: &opened.searcher,
        fields: &opened.fields,
        detail: opened.manifest.detail,
        envelopes: &opened.envelopes,
        patience: &search.patience,
    };
    let plan = planner.plan(&search.filter);
    let is_exact = plan.is_exact;
    let query: Box<dyn Query> = plan.into();
    let weight = query.weight(EnableScoring::disabled_from_searcher(&opened.searcher));
    Ok((weight.map_err(LogIndexError::index("search", &opened.folder))?, is_exact))
}

/// A segment of a window's index with the times of its records.
struct Segment<'a> {
    ordinal: u32,
    reader: &'a SegmentReader,
    times: &'a SegmentTimes,
}

impl Segment<'_> {
    /// Hands over time and number of every record among `docs` and within `range` that `weight`
    /// finds.
    fn collect(
        &self,
        weight: &dyn Weight,
        docs: Range<DocId>,
        range: &Range<i64>,
        mut each: impl FnMut(i64, DocId),
    ) -> tantivy::Result<()> {
        let mut found = weight.scorer(self.reader, 1.0)?;
        if found.doc() < docs.start {
            found.seek(docs.start);
        }
        let mut buffer = [0; COLLECT_BLOCK_BUFFER_LEN];
        loop {
            let num_found = found.fill_buffer(&mut buffer);
            for doc in buffer.iter().take(num_found) {
                if *doc >= docs.end {
                    return Ok(());
                }
                let time = self.times.of(*doc);
                if range.contains(&time) {
                    each(time, *doc);
                }
            }
            if num_found < buffer.len() {
                return Ok(());
            }
        }
    }
}

fn segments_in_order<'a>(
    opened: &'a Opened,
    search: &Search,
) -> Result<Vec<Segment<'a>>, LogIndexError> {
    let range = &search.time;
    let mut segments = Vec::new();
    for (ordinal, reader) in (0..).zip(opened.searcher.segment_readers()) {
        let times = opened.times(ordinal)?;
        if times.min() < range.end && times.max() >= range.start {
            segments.push(Segment { ordinal, reader, times });
        }
    }
    let highest =
        |segment: &Segment<'_>| search.order.highest(segment.times.min(), segment.times.max());
    segments.sort_by_key(|segment| Reverse(highest(segment)));
    Ok(segments)
}

/// Reads the records at `places`, each block of them once.
fn read_all(
    opened: &Opened,
    search: &Search,
    places: Vec<(i64, Place)>,
) -> Result<Vec<Hit>, LogIndexError> {
    let mut in_order: Vec<(usize, (i64, Place))> = places.into_iter().enumerate().collect();
    in_order.sort_unstable_by_key(|(_, (_, place))| *place);
    let mut hits = Vec::with_capacity(in_order.len());
    for (rank, (time, place)) in in_order {
        let (segment, doc) = place;
        let hit = Hit { time, found: opened.read(segment, doc)? };
        search.allowance.take(hit.size_bytes())?;
        hits.push((rank, hit));
    }
    hits.sort_unstable_by_key(|(rank, _)| *rank);
    Ok(hits.into_iter().map(|(_, hit)| hit).collect())
}

fn visit_window(
    opened: &Opened,
    search: &Search,
    each: &mut dyn FnMut(Seen),
) -> Result<(), LogIndexError> {
    let failed = |what| LogIndexError::index(what, &opened.folder);
    let (weight, is_exact) = weight(opened, search)?;
    let scan = Scan::new(opened, search);
    for segment in segments_in_order(opened, search)? {
        search.patience.check()?;
        let severities = segment.reader.fast_fields().u64(SEVERITY).map_err(failed("read"))?;
        let mut see = |time, doc| {
            let severity = u8::try_from(severities.values.get_val(doc)).unwrap_or_default();
            each(Seen { time, severity });
        };
        let docs = segment.times.docs_within(&search.time);
        if is_exact {
            segment.collect(&*weight, docs, &search.time, see).map_err(failed("search"))?;
            continue;
        }
        let mut candidates = Vec::new();
        segment
            .collect(&*weight, docs, &search.time, |time, doc| candidates.push((time, doc)))
            .map_err(failed("search"))?;
        // Those that match take as much again at most.
        let candidates_bytes = 2 * size_of_val(candidates.as_slice());
        search.allowance.take(candidates_bytes)?;
        let mut matching = Vec::new();
        scan.look_at(segment.ordinal, &candidates, &mut matching)?;
        for (time, doc) in matching {
            see(time, doc);
        }
        search.allowance.give_back(candidates_bytes);
    }
    Ok(())
}
