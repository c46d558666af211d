//! `GET /api/v1/logs/search`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Response, StatusCode};
use tokio::sync::Semaphore;
use tracing::warn;

use super::params::{ApiError, read};
use super::{record, times};
use crate::net::{Body, with_type};
use crate::query;
use crate::storage::logindex::{Hit, LogIndex, LogIndexError, Search};

/// Records that are answered where `limit` is not given.
const DEFAULT_LIMIT: usize = 100;

/// The most records that one request is answered with.
const MAX_LIMIT: usize = 10_000;

/// Searches at one time; others wait.
const MAX_SEARCHES: usize = 2;

/// How long a search may take.
const MAX_TIME: Duration = Duration::from_secs(30);

/// Searches over log indexes.
pub(super) struct Searcher {
    indexes: Vec<Arc<LogIndex>>,
    permits: Semaphore,
}

impl Searcher {
    pub(super) const fn new(indexes: Vec<Arc<LogIndex>>) -> Self {
        Self { indexes, permits: Semaphore::const_new(MAX_SEARCHES) }
    }

    /// Answers a request with this query string.
    pub(super) async fn answer(&self, query: Option<&str>) -> Response<Body> {
        match self.find(query).await {
            Ok(response) => response,
            Err(error) => error.respond(),
        }
    }

    async fn find(&self, query: Option<&str>) -> Result<Response<Body>, ApiError> {
        let started = Instant::now();
        let mut search = read_search(query)?;
        search.deadline = Some(started + MAX_TIME);
        let limit = search.limit;
        // One more tells whether there are more.
        search.limit += 1;
        let closed = |_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping");
        let _permit = self.permits.acquire().await.map_err(closed)?;
        let indexes = self.indexes.clone();
        let searching = tokio::task::spawn_blocking(move || {
            let snapshots = indexes.iter().map(|index| index.snapshot()).collect();
            query::search(snapshots, &search).map(|hits| render(&hits, limit, started))
        });
        let text = match searching.await {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(error) => {
                warn!(%error, "a search panicked");
                let message = "the search failed";
                return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message));
            }
        };
        let content_type = HeaderValue::from_static("application/json");
        Ok(with_type(StatusCode::OK, content_type, Body::from(text)))
    }
}

fn read_search(query: Option<&str>) -> Result<Search, ApiError> {
    let [query, start, end, limit] = read(query, ["query", "start", "end", "limit"])?;
    let filter = query::parse(&query.unwrap_or_default()).map_err(|error| ApiError {
        position: Some(error.position),
        ..ApiError::parameter("query", error.message)
    })?;
    let time = |name, text: Option<String>, default| match text {
        None => Ok(default),
        Some(text) => times::parse(&text).ok_or_else(|| {
            ApiError::parameter(name, format!("`{name}` is `{text}`, expected {}", times::EXPECTED))
        }),
    };
    let start = time("start", start, i64::MIN)?;
    let end = time("end", end, i64::MAX)?;
    if start > end {
        return Err(ApiError::parameter("start", "`start` is after `end`"));
    }
    let limit = match limit {
        None => DEFAULT_LIMIT,
        Some(text) => {
            let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            limit.ok_or_else(|| {
                let message =
                    format!("`limit` is `{text}`, expected a number from 1 to {MAX_LIMIT}");
                ApiError::parameter("limit", message)
            })?
        }
    };
    Ok(Search { filter, time: start..end, limit, deadline: None })
}

fn render(hits: &[Hit], limit: usize, started: Instant) -> String {
    let mut text = String::from("{\"hits\":[");
    let shown = hits.iter().take(limit);
    let num_hits = shown.len();
    for (index, hit) in shown.enumerate() {
        if index > 0 {
            text.push(',');
        }
        record::push(hit, &mut text);
    }
    let has_more = hits.len() > limit;
    let elapsed_ms = started.elapsed().as_micros().div_ceil(1000);
    text.push_str(&format!(
        "],\"num_hits\":{num_hits},\"has_more\":{has_more},\"elapsed_ms\":{elapsed_ms}}}"
    ));
    text
}

fn failed(error: &LogIndexError) -> ApiError {
    let status = match error {
        LogIndexError::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
        _ => {
            warn!(%error, cause = ?std::error::Error::source(error), "a search failed");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    ApiError::new(status, error.to_string())
}
