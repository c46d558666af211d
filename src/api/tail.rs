//! `/api/v1/logs/tail`: records as the indexes take them in, a line of JSON each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::params::{ApiError, read};
use super::record;
use super::search::{MAX_LIMIT, Searcher};
use crate::net::{Body, with_type};
use crate::query;
use crate::storage::logindex::{
    Filter, Followed, Follower, LogIndex, LogIndexError, Search, Snapshot, Unread,
};

/// Tails at one time.
pub(super) const MAX_TAILS: usize = 16;

/// Without a record, an empty line is sent so often.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Lines are gathered up to this size.
const MAX_PIECE_BYTES: usize = 64 * 1024;

/// Whether the client is gone or the agent stops is looked at so often.
const MAX_STEP: Duration = Duration::from_millis(100);

impl Searcher {
    /// Answers `GET /api/v1/logs/tail`, until the client is gone or `stop` is cancelled.
    pub(super) async fn tail(
        &self,
        query: Option<&str>,
        stop: &CancellationToken,
    ) -> Result<Response<Body>, ApiError> {
        let [query, start] = read(query, ["query", "start"])?;
        let begins_in_past = start.is_some();
        let search = self.searched(query, start, None)?;
        let Ok(permit) = Arc::clone(&self.tails).try_acquire_owned() else {
            let message = format!("{MAX_TAILS} tails are open, and no more may be");
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, message));
        };
        let wake = Arc::new(Notify::new());
        let notify = Arc::clone(&wake);
        let filter = search.filter.clone();
        let _guard = search.patience.end_on_drop();
        let begin = move |indexes: &[Arc<LogIndex>]| {
            let followed = indexes.iter().map(|index| index.follow(Arc::clone(&notify)));
            let (snapshots, followers): (Vec<_>, Vec<_>) = followed.unzip();
            let past = if begins_in_past { past(snapshots, search)? } else { String::new() };
            let lines = Lines { followers, turn: 0, unread: None, filter, max_step: MAX_STEP };
            Ok((past, lines))
        };
        let (past, lines) = self.compute(begin).await?;
        let tail = Tail {
            past: Some(past).filter(|past| !past.is_empty()),
            lines,
            wake,
            stop: stop.clone(),
            keep_alive: KEEP_ALIVE,
            sent: Instant::now(),
            _permit: permit,
        };
        let content_type = HeaderValue::from_static("application/x-ndjson");
        let body = Body::streamed(stream::unfold(tail, Tail::next));
        Ok(with_type(StatusCode::OK, content_type, body))
    }
}

/// The newest records of the past, the oldest of them first, each a line.
fn past(snapshots: Vec<Snapshot>, mut search: Search) -> Result<String, LogIndexError> {
    search.limit = MAX_LIMIT;
    let mut text = String::new();
    let hits = query::search(snapshots.clone(), &search)?;
    if hits.len() == MAX_LIMIT {
        let mut num_matches = 0_u64;
        query::visit(snapshots, &search, |_| num_matches += 1)?;
        push_missed(num_matches.saturating_sub(hits.len() as u64), &mut text);
    }
    for hit in hits.iter().rev() {
        record::push(hit, &mut text);
        text.push('\n');
    }
    Ok(text)
}

fn push_missed(num_records: u64, to: &mut String) {
    if num_records > 0 {
        to.push_str(&format!("{{\"missed\":{num_records}}}\n"));
    }
}

/// A tail that is open.
struct Tail {
    past: Option<String>,
    lines: Lines,
    wake: Arc<Notify>,
    stop: CancellationToken,
    /// Without a record, an empty line is sent so often.
    keep_alive: Duration,
    /// When something was sent last.
    sent: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Tail {
    /// Waits for the next lines.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if let Some(past) = self.past.take() {
            return Some((past.into(), self));
        }
        while !self.stop.is_cancelled() {
            let mut lines = self.lines;
            let filled = tokio::task::spawn_blocking(move || {
                let (text, is_more) = lines.fill();
                (lines, text, is_more)
            });
            let Ok((lines, text, is_more)) = filled.await else {
                warn!("a tail panicked");
                return None;
            };
            self.lines = lines;
            if !text.is_empty() {
                self.sent = Instant::now();
                return Some((text.into(), self));
            }
            let due = self.sent + self.keep_alive;
            if is_more {
                if Instant::now() < due {
                    continue;
                }
                return Some(self.empty_line());
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = self.wake.notified() => {}
                () = sleep_until(due) => return Some(self.empty_line()),
            }
        }
        None
    }

    fn empty_line(mut self) -> (Bytes, Self) {
        self.sent = Instant::now();
        (Bytes::from_static(b"\n"), self)
    }
}

/// What a tail still has to read.
struct Lines {
    followers: Vec<Follower>,
    /// The follower that is asked next.
    turn: usize,
    unread: Option<Unread>,
    filter: Filter,
    /// Whether the client is gone or the agent stops is looked at so often.
    max_step: Duration,
}

impl Lines {
    /// The next lines, and whether there may be more at once.
    fn fill(&mut self) -> (String, bool) {
        let until = Instant::now() + self.max_step;
        let mut text = String::new();
        loop {
            if self.unread.is_none() {
                match self.next() {
                    None => return (text, false),
                    Some(Followed::Missed(num_records)) => push_missed(num_records, &mut text),
                    Some(Followed::Batch(unread)) => self.unread = Some(unread),
                }
            }
            if let Some(unread) = &mut self.unread {
                let is_read = unread.read(&self.filter, |hit| {
                    record::push(hit, &mut text);
                    text.push('\n');
                    text.len() < MAX_PIECE_BYTES
                });
                if is_read {
                    self.unread = None;
                }
            }
            if text.len() >= MAX_PIECE_BYTES || Instant::now() >= until {
                return (text, true);
            }
        }
    }

    /// What one of the followers sees next, each in turn.
    fn next(&mut self) -> Option<Followed> {
        for _ in 0..self.followers.len() {
            self.turn = (self.turn + 1) % self.followers.len();
            let followed = self.followers.get(self.turn).and_then(Follower::next);
            if followed.is_some() {
                return followed;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::super::tests::{index, request};
    use super::*;

    #[tokio::test]
    async fn empty_line_is_sent_when_nothing_comes_in_and_while_nothing_matches() {
        let folder = tempfile::tempdir().unwrap();
        let index = index(folder.path());
        let wake = Arc::new(Notify::new());
        let (_, follower) = index.follow(Arc::clone(&wake));
        let filter = query::parse("wanted").unwrap();
        let max_step = Duration::ZERO;
        let tail = Tail {
            past: None,
            lines: Lines { followers: vec![follower], turn: 0, unread: None, filter, max_step },
            wake,
            stop: CancellationToken::new(),
            keep_alive: Duration::ZERO,
            sent: Instant::now(),
            _permit: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        };
        let (line, tail) = tail.next().await.unwrap();
        assert_eq!(line, "\n");
        for body in ["other", "something else", "wanted"] {
            index.try_add(&request(1, body)).unwrap();
        }
        // One after each step, before what comes next is looked at.
        let (first, tail) = tail.next().await.unwrap();
        let (second, tail) = tail.next().await.unwrap();
        assert_eq!((first, second), ("\n".into(), "\n".into()));
        let (line, _) = tail.next().await.unwrap();
        assert!(String::from_utf8_lossy(&line).contains("wanted"));
    }
}
