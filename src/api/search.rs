//! `/api/v1/logs/…`: search, histogram, fields and their values.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use tokio::sync::Semaphore;
use tracing::warn;

use super::params::{ApiError, read};
use super::record::{self, SEVERITIES};
use super::records::RecordsRequest;
use super::server::Indexes;
use super::tail::MAX_TAILS;
use super::times;
use crate::component::Budget;
use crate::net::{Body, json, with_type};
use crate::query;
use crate::storage::logindex::{
    Allowance, Filter, LogIndex, LogIndexError, Order, Patience, Search, Snapshot,
};

/// The most records that one request is answered with, or that fields and values are counted over.
pub(super) const MAX_LIMIT: usize = 10_000;

/// Buckets of a histogram where `buckets` is not given.
const DEFAULT_BUCKETS: usize = 60;

/// The most buckets of a histogram.
const MAX_BUCKETS: usize = 1_000;

/// Values of a field that are answered where `limit` is not given.
const DEFAULT_VALUES: usize = 20;

/// Searches at one time; others wait.
const MAX_SEARCHES: usize = 2;

/// How long a search may take.
const MAX_TIME: Duration = Duration::from_secs(30);

/// What searches and their answers are charged to.
const ACCOUNT: &str = "queries";

/// A search may take one part in so many of the memory limit.
const BUDGET_PART: usize = 8;

/// Searches over log indexes.
pub(super) struct Searcher {
    indexes: Indexes,
    budget: Budget,
    permits: Arc<Semaphore>,
    /// Tails that may still be opened.
    pub(super) tails: Arc<Semaphore>,
}

impl Searcher {
    pub(super) fn new(indexes: Indexes, budget: Budget) -> Self {
        let [permits, tails] = [MAX_SEARCHES, MAX_TAILS].map(|most| Arc::new(Semaphore::new(most)));
        Self { indexes, budget, permits, tails }
    }

    /// What is looked for, at most [`MAX_LIMIT`] records, charged to the account of queries.
    pub(super) fn searched(
        &self,
        query: Option<String>,
        start: Option<String>,
        end: Option<String>,
    ) -> Result<Search, ApiError> {
        Ok(Search { allowance: self.allowance(), ..searched(query, start, end)? })
    }

    fn allowance(&self) -> Allowance {
        let mut charge = self.budget.charge(ACCOUNT, 0);
        let max_bytes = self.budget.limit_bytes() / BUDGET_PART;
        Allowance::new(max_bytes, move |size_bytes| charge.resize(size_bytes))
    }

    /// Answers `GET /api/v1/logs/search`.
    pub(super) async fn records(&self, query: Option<&str>) -> Result<Response<Body>, ApiError> {
        let request = RecordsRequest::read(query)?.with(self.allowance());
        let patience = request.patience().clone();
        let text = self.run(patience, move |snapshots| request.answer(snapshots)).await?;
        let content_type = HeaderValue::from_static("application/json");
        let text = self.budget.charge(ACCOUNT, text.len()).attach(text.into());
        Ok(with_type(StatusCode::OK, content_type, Body::from(text)))
    }

    /// Answers `GET /api/v1/logs/histogram`.
    pub(super) async fn histogram(&self, query: Option<&str>) -> Result<Response<Body>, ApiError> {
        let [query, start, end, buckets] = read(query, ["query", "start", "end", "buckets"])?;
        for (name, value) in [("start", &start), ("end", &end)] {
            if value.is_none() {
                let message = format!("`{name}` is missing, a histogram needs `start` and `end`");
                return Err(ApiError::parameter(name, message));
            }
        }
        let buckets = number("buckets", buckets, DEFAULT_BUCKETS, MAX_BUCKETS)?;
        let search = self.searched(query, start, end)?;
        let patience = search.patience.clone();
        let run = move |snapshots| {
            let mut histogram = Histogram::new(&search, buckets);
            query::visit(snapshots, &search, |seen| histogram.count(seen.time, seen.severity))?;
            Ok(histogram.finish())
        };
        Ok(json(StatusCode::OK, &self.run(patience, run).await?))
    }

    /// Answers `GET /api/v1/logs/fields`.
    pub(super) async fn fields(&self, query: Option<&str>) -> Result<Response<Body>, ApiError> {
        let [query, start, end] = read(query, ["query", "start", "end"])?;
        let search = self.searched(query, start, end)?;
        let patience = search.patience.clone();
        let run = move |snapshots| {
            let hits = query::search(snapshots, &search)?;
            let mut counts: HashMap<String, u64> = HashMap::new();
            for hit in &hits {
                record::each_name(hit, |name| *counts.entry(name.to_owned()).or_default() += 1);
            }
            let fields = most(counts, usize::MAX, |name, count| Field { name, count });
            Ok(Fields { num_records: hits.len(), fields })
        };
        Ok(json(StatusCode::OK, &self.run(patience, run).await?))
    }

    /// Answers `GET /api/v1/logs/fields/{name}/values`.
    pub(super) async fn values(
        &self,
        name: String,
        query: Option<&str>,
    ) -> Result<Response<Body>, ApiError> {
        let [query, start, end, limit] = read(query, ["query", "start", "end", "limit"])?;
        let limit = number("limit", limit, DEFAULT_VALUES, MAX_LIMIT)?;
        let search = self.searched(query, start, end)?;
        let patience = search.patience.clone();
        let run = move |snapshots| {
            let hits = query::search(snapshots, &search)?;
            let mut counts: HashMap<String, u64> = HashMap::new();
            for value in hits.iter().filter_map(|hit| record::value_of(hit, &name)) {
                *counts.entry(value).or_default() += 1;
            }
            let values = most(counts, limit, |value, count| FieldValue { value, count });
            Ok(Values { field: name, num_records: hits.len(), values })
        };
        Ok(json(StatusCode::OK, &self.run(patience, run).await?))
    }

    /// Runs a search over what there is now; it ends early when the request does.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        patience: Patience,
        run: impl FnOnce(Vec<Snapshot>) -> Result<T, LogIndexError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let _guard = patience.end_on_drop();
        self.compute(|indexes| run(indexes.iter().map(|index| index.snapshot()).collect())).await
    }

    /// Works on the indexes in a thread of its own.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&[Arc<LogIndex>]) -> Result<T, LogIndexError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let closed = |_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping");
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        let indexes = self.indexes.now();
        let work = move || {
            // A search that nobody waits for any more counts until it ends.
            let _permit = permit;
            work(&indexes)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result.map_err(|error| failed(&error)),
            Err(error) => {
                warn!(%error, "a search panicked");
                Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the search failed"))
            }
        }
    }
}

/// What is looked for, at most [`MAX_LIMIT`] records.
pub(super) fn searched(
    query: Option<String>,
    start: Option<String>,
    end: Option<String>,
) -> Result<Search, ApiError> {
    let filter = match query {
        None => Filter::All,
        Some(query) => query::parse(&query).map_err(|error| ApiError {
            position: Some(error.position),
            ..ApiError::parameter("query", error.message)
        })?,
    };
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
    let (order, patience) = (Order::default(), Patience::of(MAX_TIME));
    let allowance = Allowance::default();
    Ok(Search { filter, time: start..end, order, limit: MAX_LIMIT, patience, allowance })
}

pub(super) fn number(
    name: &'static str,
    text: Option<String>,
    default: usize,
    max: usize,
) -> Result<usize, ApiError> {
    let Some(text) = text else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| {
        let message = format!("`{name}` is `{text}`, expected a number from 1 to {max}");
        ApiError::parameter(name, message)
    })
}

fn failed(error: &LogIndexError) -> ApiError {
    let status = match error {
        LogIndexError::TooSlow | LogIndexError::TooLarge { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => {
            warn!(%error, cause = ?std::error::Error::source(error), "a search failed");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    ApiError::new(status, error.to_string())
}

/// Counts of records over time, by severity.
struct Histogram {
    start: i64,
    width: i64,
    counts: Vec<[u64; 7]>,
}

#[derive(Serialize)]
struct HistogramAnswer {
    num_records: u64,
    bucket_seconds: f64,
    buckets: Vec<Bucket>,
}

#[derive(Serialize)]
struct Bucket {
    start: String,
    count: u64,
    severities: serde_json::Map<String, serde_json::Value>,
}

impl Histogram {
    fn new(search: &Search, buckets: usize) -> Self {
        let start = search.time.start;
        let length = search.time.end.saturating_sub(start).max(1);
        let buckets_wide = i64::try_from(buckets).unwrap_or(i64::MAX);
        let width = length / buckets_wide + i64::from(length % buckets_wide > 0);
        Self { start, width, counts: vec![[0; 7]; buckets] }
    }

    fn count(&mut self, time: i64, severity: u8) {
        let bucket = usize::try_from(time.saturating_sub(self.start) / self.width).ok();
        let kind = usize::from(severity.div_ceil(4)).min(SEVERITIES.len());
        let counts = bucket.and_then(|bucket| self.counts.get_mut(bucket));
        if let Some(count) = counts.and_then(|counts| counts.get_mut(kind)) {
            *count += 1;
        }
    }

    fn finish(self) -> HistogramAnswer {
        let mut num_records = 0;
        let mut buckets = Vec::with_capacity(self.counts.len());
        let mut start = self.start;
        for counts in self.counts {
            let names = ["UNSPECIFIED"].into_iter().chain(SEVERITIES);
            let counted = names.zip(counts).filter(|(_, count)| *count > 0);
            let severities = counted.map(|(name, count)| (name.to_owned(), count.into())).collect();
            let count = counts.iter().sum();
            num_records += count;
            buckets.push(Bucket { start: times::show(start), count, severities });
            start = start.saturating_add(self.width);
        }
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let bucket_seconds = self.width as f64 / 1e9;
        HistogramAnswer { num_records, bucket_seconds, buckets }
    }
}

#[derive(Serialize)]
struct Fields {
    /// The newest matches, which were looked at.
    num_records: usize,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: String,
    count: u64,
}

#[derive(Serialize)]
struct Values {
    field: String,
    /// The newest matches, which were looked at.
    num_records: usize,
    values: Vec<FieldValue>,
}

#[derive(Serialize)]
struct FieldValue {
    value: String,
    count: u64,
}

/// The most frequent first, of equal ones in the order of the alphabet.
fn most<T>(counts: HashMap<String, u64>, limit: usize, make: impl Fn(String, u64) -> T) -> Vec<T> {
    let mut sorted: Vec<(String, u64)> = counts.into_iter().collect();
    sorted.sort_unstable_by(|(name_a, a), (name_b, b)| b.cmp(a).then_with(|| name_a.cmp(name_b)));
    sorted.into_iter().take(limit).map(|(name, count)| make(name, count)).collect()
}
