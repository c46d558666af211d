//! `/api/v1/logs/search`: what is asked for, and the answer, a page of records.

use std::time::Instant;

use super::params::{ApiError, read};
use super::record;
use super::search::{MAX_LIMIT, number, searched};
use super::times;
use crate::query;
use crate::storage::logindex::{Allowance, Hit, LogIndexError, Order, Patience, Search, Snapshot};

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
    request.search.patience = Patience::default();
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

    /// The same with the memory that it may take.
    pub(super) fn with(mut self, allowance: Allowance) -> Self {
        self.search.allowance = allowance;
        self
    }

    /// How long the answer is waited for.
    pub(super) const fn patience(&self) -> &Patience {
        &self.search.patience
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
        let next = Next::after(&hits, limit, cursor, search.order);
        let shown = hits.get(..limit).unwrap_or(&hits);
        Ok(render(shown, next.as_ref(), started))
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

    /// What comes after all records of the time of the last one.
    const fn behind_all(self, order: Order) -> Self {
        let time = match order {
            Order::NewestFirst => self.time.saturating_sub(1),
            Order::OldestFirst => self.time.saturating_add(1),
        };
        Self { time, num_shown: 0 }
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

/// How it goes on after a page.
struct Next {
    cursor: Cursor,
    /// The time whose records are left out from here on, as there are too many of it.
    left_out: Option<i64>,
}

impl Next {
    /// What comes after the first `limit` of `hits`, which came after the cursor `before`.
    fn after(hits: &[Hit], limit: usize, before: Option<Cursor>, order: Order) -> Option<Self> {
        let (shown, more) = hits.split_at_checked(limit)?;
        let first = more.first()?;
        let cursor = Cursor::after(shown, before)?;
        if cursor.num_shown <= MAX_SAME_TIME {
            return Some(Self { cursor, left_out: None });
        }
        let left_out = Some(cursor.time).filter(|time| first.time == *time);
        Some(Self { cursor: cursor.behind_all(order), left_out })
    }
}

fn render(hits: &[Hit], next: Option<&Next>, started: Instant) -> String {
    let mut text = String::from("{\"hits\":[");
    let num_hits = hits.len();
    for (index, hit) in hits.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        record::push(hit, &mut text);
    }
    let has_more = next.is_some();
    let elapsed_ms = started.elapsed().as_micros().div_ceil(1000);
    text.push_str(&format!("],\"num_hits\":{num_hits},\"has_more\":{has_more},"));
    if let Some(Next { cursor: Cursor { time, num_shown }, left_out }) = next {
        text.push_str(&format!("\"next\":\"{time}_{num_shown}\","));
        if let Some(time) = *left_out {
            let time = times::show(time);
            text.push_str(&format!(
                "\"notice\":\"more than {MAX_SAME_TIME} records have the time {time}; those that \
                 were not shown by now are left out, conditions in the query find them\","
            ));
        }
    }
    text.push_str(&format!("\"elapsed_ms\":{elapsed_ms}}}"));
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::storage::logindex::Envelope;

    const TIME: i64 = 1_795_532_400_000_000_000;

    /// The page after so many records of one time, of which there are so many more, and one behind.
    fn page(num_shown: usize, num_more: usize, order: Order) -> String {
        let chunk = Bytes::new();
        let envelope = Envelope { resource: chunk.clone(), scope: chunk.clone() };
        let hit = |time| Hit::new(time, &Arc::new(envelope.clone()), &chunk, &chunk);
        let cursor = Cursor { time: TIME, num_shown };
        let mut hits = vec![hit(TIME); num_more];
        hits.push(hit(cursor.behind_all(order).time));
        let next = Next::after(&hits, MAX_LIMIT, Some(cursor), order);
        render(&[], next.as_ref(), Instant::now())
    }

    fn next(page: &str) -> (String, Option<String>) {
        let page: serde_json::Value = serde_json::from_str(page).unwrap();
        let notice = page["notice"].as_str().map(str::to_owned);
        (page["next"].as_str().unwrap().to_owned(), notice)
    }

    #[test]
    fn every_cursor_is_taken_and_what_cannot_be_stepped_over_is_told() {
        let order = Order::NewestFirst;
        let last = MAX_SAME_TIME - MAX_LIMIT;
        assert_eq!(next(&page(last, MAX_LIMIT + 1, order)), (format!("{TIME}_100000"), None));
        for (order, behind) in [(order, TIME - 1), (Order::OldestFirst, TIME + 1)] {
            let (cursor, notice) = next(&page(last + 1, MAX_LIMIT + 1, order));
            assert_eq!(cursor, format!("{behind}_0"));
            let told = "more than 100000 records have the time 2026-11-24T15:00:00Z; ";
            assert!(notice.unwrap().starts_with(told));
            // All were shown.
            let page = page(last + 1, MAX_LIMIT, order);
            assert_eq!(next(&page), (format!("{behind}_0"), None));
        }
        for cursor in [format!("{TIME}_100000"), format!("{}_0", TIME - 1)] {
            assert!(RecordsRequest::read(Some(&format!("cursor={cursor}"))).is_ok(), "{cursor}");
        }
        let behind_all = RecordsRequest::read(Some(&format!("cursor={}_0", TIME - 1))).unwrap();
        assert_eq!(behind_all.search.time, i64::MIN..TIME);
        let behind_all = format!("sort=oldest&cursor={}_0", TIME + 1);
        let behind_all = RecordsRequest::read(Some(&behind_all)).unwrap();
        assert_eq!(behind_all.search.time, TIME + 1..i64::MAX);
    }
}
