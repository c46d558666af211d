//! Following: whoever wants to see records as the index takes them in.
//!
//! All followers read one list of batches, each at its own place. The list is bounded: who falls
//! behind by more misses the oldest records and is told how many. Nobody waits for a follower.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;

use super::filter::Filter;
use super::index::{Entry, Shared};
use super::record::is_own_match;
use super::schema::event_time;
use super::search::Hit;
use super::walk::walk;
use crate::data::LogRecord;

/// The part of an index's memory that batches for followers may take.
const MEMORY_DIVISOR: usize = 8;

/// Batches that some follower has not seen yet.
#[derive(Default)]
pub(crate) struct Feed {
    /// Each with the number of its first record.
    batches: VecDeque<(u64, Arc<Entry>)>,
    size_bytes: usize,
    /// Records that came while somebody followed, so the number of the next one.
    num_records: u64,
    places: Vec<Place>,
    last_id: u64,
}

/// How far a follower is.
struct Place {
    id: u64,
    /// The number of the record that it sees next.
    next: u64,
    wake: Arc<Notify>,
}

impl Feed {
    /// Hands a batch to the followers, if there are any.
    pub(crate) fn push(&mut self, entry: &Arc<Entry>, memory_bytes: usize) {
        if self.places.is_empty() {
            return;
        }
        self.batches.push_back((self.num_records, Arc::clone(entry)));
        self.size_bytes += entry.batch.size_bytes();
        self.num_records += entry.num_records();
        while self.size_bytes > memory_bytes / MEMORY_DIVISOR && self.batches.len() > 1 {
            self.pop();
        }
        for place in &self.places {
            place.wake.notify_one();
        }
    }

    /// Begins to follow with the next batch; gives the follower's id.
    pub(crate) fn enter(&mut self, wake: Arc<Notify>) -> u64 {
        self.last_id += 1;
        self.places.push(Place { id: self.last_id, next: self.num_records, wake });
        self.last_id
    }

    fn leave(&mut self, id: u64) {
        self.places.retain(|place| place.id != id);
        self.let_go();
    }

    fn next(&mut self, id: u64) -> Option<Followed> {
        let place = self.places.iter_mut().find(|place| place.id == id)?;
        let index = self
            .batches
            .partition_point(|(first, entry)| first + entry.num_records() <= place.next);
        let (first, entry) = self.batches.get(index)?;
        if *first > place.next {
            let num_missed = first - place.next;
            place.next = *first;
            return Some(Followed::Missed(num_missed));
        }
        place.next = first + entry.num_records();
        let unread = Unread { entry: Arc::clone(entry), num_done: 0 };
        self.let_go();
        Some(Followed::Batch(unread))
    }

    /// Lets go of what every follower has seen.
    fn let_go(&mut self) {
        let next = self.places.iter().map(|place| place.next).min().unwrap_or(u64::MAX);
        while let Some((first, entry)) = self.batches.front()
            && first + entry.num_records() <= next
        {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, entry)) = self.batches.pop_front() {
            self.size_bytes = self.size_bytes.saturating_sub(entry.batch.size_bytes());
        }
    }
}

/// Sees what a log index takes in, in that order, each record once.
pub struct Follower {
    shared: Arc<Shared>,
    id: u64,
}

/// What a follower sees next.
pub enum Followed {
    /// So many records came and went unseen, since the follower was too slow.
    Missed(u64),
    /// A batch.
    Batch(Unread),
}

/// A batch of which a follower may have read a part.
pub struct Unread {
    entry: Arc<Entry>,
    num_done: usize,
}

impl Follower {
    pub(crate) const fn new(shared: Arc<Shared>, id: u64) -> Self {
        Self { shared, id }
    }

    /// What comes next, nothing if it is not there yet.
    #[must_use]
    pub fn next(&self) -> Option<Followed> {
        self.shared.state().feed.next(self.id)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.state().feed.leave(self.id);
    }
}

impl Unread {
    /// Hands the records that match to `each`, as long as that says to go on; then the next call
    /// goes on with the record after. Returns whether the batch is read to its end.
    pub fn read(&mut self, filter: &Filter, mut each: impl FnMut(&Hit) -> bool) -> bool {
        let Self { entry, num_done } = self;
        let arrived = entry.batch.context().arrived.as_unix_nanos();
        let mut number = 0;
        for chunk in entry.batch.chunks() {
            let walked = walk(
                chunk,
                |envelope| Ok((filter.within(&envelope), Arc::new(envelope))),
                |(filter, envelope), encoded| {
                    number += 1;
                    if number <= *num_done {
                        return Ok(());
                    }
                    *num_done = number;
                    let record = LogRecord::of_encoded(encoded);
                    if !is_own_match(record, filter) {
                        return Ok(());
                    }
                    let known = record.time_or_observed().as_unix_nanos();
                    let hit = Hit::new(event_time(known, 0, arrived), envelope, chunk, encoded);
                    if each(&hit) { Ok(()) } else { Err(()) }
                },
            );
            if walked.is_err() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::data::{Batch, Context, DoorLimits, Signal};
    use crate::storage::logindex::{Detail, LogIndex, Settings};

    /// A batch of records with this body.
    fn batch(body: &str, num_records: usize) -> Batch {
        use crate::data::wire::Writer;
        let mut writer = Writer::default();
        writer.message(1, |resource_logs| {
            resource_logs.message(2, |scope_logs| {
                for _ in 0..num_records {
                    scope_logs.message(2, |record| {
                        record.message(5, |any| any.bytes_field(1, body.as_bytes()));
                    });
                }
            });
        });
        let (limits, context) = (DoorLimits::default(), Arc::new(Context::default()));
        Batch::try_new(Signal::Logs, writer.into_bytes(), context, &limits).unwrap().batch
    }

    fn index(folder: &std::path::Path, memory_bytes: usize) -> LogIndex {
        let window = Duration::from_secs(3600);
        LogIndex::open(Settings {
            directory: folder.to_owned(),
            window,
            detail: Detail::Full,
            memory_bytes,
            max_age: None,
            max_size_bytes: None,
        })
        .unwrap()
    }

    /// What comes next: a body and how many records, or how many were missed.
    fn see(follower: &Follower) -> Option<(String, u64)> {
        Some(match follower.next()? {
            Followed::Missed(num_records) => ("missed".to_owned(), num_records),
            Followed::Batch(mut unread) => {
                let mut bodies = Vec::new();
                // One at a time, as a reader does that has enough.
                while !unread.read(&Filter::All, |hit| {
                    bodies.push(hit.found.record().body().to_text().into_owned());
                    false
                }) {}
                (bodies[0].clone(), bodies.len() as u64)
            }
        })
    }

    #[test]
    fn followers_see_what_comes_after_them_each_at_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        let index = index(folder.path(), 1 << 20);
        let wake = Arc::new(Notify::new());
        let add = |body: &str| index.try_add(&batch(body, 2)).unwrap();
        add("before");
        let (_, first) = index.follow(Arc::clone(&wake));
        add("a");
        let (_, second) = index.follow(Arc::clone(&wake));
        add("b");
        assert_eq!(see(&first), Some(("a".to_owned(), 2)));
        assert_eq!(see(&second), Some(("b".to_owned(), 2)));
        assert_eq!(see(&second).or(see(&second)), None);
        assert_eq!(index.shared().state().feed.batches.len(), 1);
        drop(first);
        assert_eq!(index.shared().state().feed.batches.len(), 0);
        drop(second);
        add("nobody");
        assert_eq!(index.shared().state().feed.batches.len(), 0);
    }

    #[test]
    fn slow_follower_is_told_how_much_it_missed_and_holds_nobody_back() {
        let folder = tempfile::tempdir().unwrap();
        let index = index(folder.path(), 1 << 20);
        let (_, slow) = index.follow(Arc::new(Notify::new()));
        let long = "x".repeat(20_000);
        for _ in 0..20 {
            index.try_add(&batch(&long, 1)).unwrap();
        }
        let kept = {
            let state = index.shared().state();
            assert!(state.feed.size_bytes <= (1 << 20) / MEMORY_DIVISOR);
            state.feed.batches.len() as u64
        };
        assert!((1..20).contains(&kept), "{kept}");
        assert_eq!(see(&slow), Some(("missed".to_owned(), 20 - kept)));
        for _ in 0..kept {
            assert_eq!(see(&slow), Some((long.clone(), 1)));
        }
        assert_eq!(see(&slow), None);
    }
}
