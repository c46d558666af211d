//! `/api/v1/logs/search`: what is asked for, and the answer, a page of records.

use std::time::Instant;

use super::params::{ApiError, read};
use super::record;
use super::search::{MAX_LIMIT, number, searched};
use crate::query;
use crate::storage::logindex::{Hit, LogIndexError, Order, Search, Snapshot};

/// Records that are answered where `limit` is not given.
const DEFAULT_LIMIT: usize = 100;

/// The most records of one time that a cursor steps over.
const MAX_SAME_TIME: usize = 100_000;

/// What is asked for.
pub(super) struct RecordsRequest {
    started: Instant,
    search: Search,
    limit: usize,
    cursor: Option<Cursor>,
}

/// Why records cannot be found without a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The request is not one.
    #[error(transparent)]
    Request(#[from] ApiError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] LogIndexError),
}

/// Answers the query string of a `GET /api/v1/logs/search` over `snapshot`, however long it takes.
///
/// # Errors
///
/// Fails when the request is wrong or the index cannot be read.
pub fn find(query: &str, snapshot: Snapshot) -> Result<String, FindError> {
    let mut request = RecordsRequest::read(Some(query))?;
    request.search.deadline = None;
    Ok(request.answer(vec![snapshot])?)
}

impl RecordsRequest {
    /// Reads a query string.
    pub(super) fn read(query: Option<&str>) -> Result<Self, ApiError> {
        let started = Instant::now();
        let [query, start, end, limit, sort, cursor] =
            read(query, ["query", "start", "end", "limit", "sort", "cursor"])?;
        let limit = number("limit", limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let mut search = searched(query, start, end)?;
        search.order = order(sort.as_deref())?;
        let cursor = cursor.map(|text| Cursor::read(&text)).transpose()?;
        if let Some(cursor) = cursor {
            cursor.narrow(&mut search);
        }
        // One more tells whether there are more.
        search.limit = cursor.map_or(0, |cursor| cursor.num_shown) + limit + 1;
        Ok(Self { started, search, limit, cursor })
    }

    /// The answer as JSON.
    pub(super) fn answer(self, snapshots: Vec<Snapshot>) -> Result<String, LogIndexError> {
        let Self { started, search, limit, cursor } = self;
        let mut hits = query::search(snapshots, &search)?;
        if let Some(Cursor { time, num_shown }) = cursor {
            let num_repeated =
                hits.iter().take(num_shown).take_while(|hit| hit.time == time).count();
            hits.drain(..num_repeated);
        }
        Ok(render(&hits, limit, cursor, started))
    }
}

fn order(sort: Option<&str>) -> Result<Order, ApiError> {
    match sort {
        None | Some("newest") => Ok(Order::NewestFirst),
        Some("oldest") => Ok(Order::OldestFirst),
        Some(other) => {
            let message = format!("`sort` is `{other}`, expected `newest` or `oldest`");
            Err(ApiError::parameter("sort", message))
        }
    }
}

/// Where an answer ended: the time of its last record, and how many of that time were shown.
#[derive(Clone, Copy)]
struct Cursor {
    time: i64,
    num_shown: usize,
}

impl Cursor {
    fn read(text: &str) -> Result<Self, ApiError> {
        let read = text.split_once('_').and_then(|(time, num_shown)| {
            let num_shown = num_shown.parse().ok().filter(|count| *count <= MAX_SAME_TIME)?;
            Some(Self { time: time.parse().ok()?, num_shown })
        });
        let message = "`cursor` is none that was answered as `next`";
        read.ok_or_else(|| ApiError::parameter("cursor", message))
    }

    /// What comes after the cursor, and what is at its very time.
    fn narrow(self, search: &mut Search) {
        let time = &mut search.time;
        match search.order {
            Order::NewestFirst => time.end = time.end.min(self.time.saturating_add(1)),
            Order::OldestFirst => time.start = time.start.max(self.time),
        }
    }

    /// The cursor after `hits`, which came after the cursor `before`.
    fn after(hits: &[Hit], before: Option<Self>) -> Option<Self> {
        let time = hits.last()?.time;
        let num_new = hits.iter().rev().take_while(|hit| hit.time == time).count();
        let num_before = before.filter(|before| before.time == time && num_new == hits.len());
        let num_shown = num_new + num_before.map_or(0, |before| before.num_shown);
        Some(Self { time, num_shown })
    }
}

fn render(hits: &[Hit], limit: usize, before: Option<Cursor>, started: Instant) -> String {
    let mut text = String::from("{\"hits\":[");
    let shown = hits.get(..limit).unwrap_or(hits);
    let num_hits = shown.len();
    for (index, hit) in shown.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        record::push(hit, &mut text);
    }
    let has_more = hits.len() > limit;
    let elapsed_ms = started.elapsed().as_micros().div_ceil(1000);
    text.push_str(&format!("],\"num_hits\":{num_hits},\"has_more\":{has_more},"));
    if let Some(next) = Cursor::after(shown, before).filter(|_| has_more) {
        text.push_str(&format!("\"next\":\"{}_{}\",", next.time, next.num_shown));
    }
    text.push_str(&format!("\"elapsed_ms\":{elapsed_ms}}}"));
    text
}
