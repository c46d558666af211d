//! The log index: takes batches in, commits them, and says what can be searched.
//!
//! A batch that was taken is in the open tail at once, where searches scan it. The index thread
//! makes documents of it; a commit makes those durable, and in the same step, under one lock, the
//! batch leaves the tail and the commit becomes what is searched. When something fails, the
//! documents since the last commit are made again from the tail, so nothing is lost.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::error::LogIndexError;
use super::follow::{Feed, Follower};
use super::manifest::{leave_out, list_windows, open_directory};
use super::schema::Detail;
use super::search::{Snapshot, Source};
use super::tail::{BatchFacts, facts_of};
use super::window::{Access, Opened, Window};
use super::worker::Worker;
use crate::data::{Batch, PartRun, Time};
use crate::storage::parts::from_runs;

/// Windows that are kept open for searching though nothing is written to them.
const MAX_RECENT: usize = 8;

/// How a log index is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder.
    pub directory: PathBuf,
    /// The length of a window of arrival time, at least a second.
    pub window: Duration,
    /// What is made into terms.
    pub detail: Detail,
    /// Bytes that records may take in memory, in the open tail and as terms.
    pub memory_bytes: usize,
    /// Windows that ended so long ago are removed.
    pub max_age: Option<Duration>,
    /// When the whole takes more bytes on disk, the oldest windows are removed.
    pub max_size_bytes: Option<u64>,
}

/// An index of log records on disk, and what comes next in memory.
pub struct LogIndex {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What a commit is answered with.
pub type Committed = oneshot::Receiver<Result<(), Arc<LogIndexError>>>;

/// What the index thread shares with those who add and search.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) state: Mutex<State>,
    /// Wakes the index thread.
    pub(crate) work: Condvar,
    /// Wakes those who wait for room in the tail.
    pub(crate) room: Notify,
    /// What segments in the making take, in bytes.
    pub(crate) writer_bytes: AtomicUsize,
}

/// What is searched, and what there is to do.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) windows: Vec<Listed>,
    pub(crate) tail: VecDeque<Arc<Entry>>,
    pub(crate) tail_bytes: usize,
    pub(crate) feed: Feed,
    /// The sequence of the entry that was added last.
    pub(crate) last_sequence: u64,
    pub(crate) commits: Vec<CommitWanted>,
    /// What the journal was told before this time is durable there.
    pub(crate) settled: Time,
    pub(crate) recent: VecDeque<Arc<Opened>>,
    /// Batches that cannot be indexed.
    pub(crate) lost: Vec<Batch>,
    pub(crate) is_stopping: bool,
    pub(crate) is_stopped: bool,
}

impl State {
    /// Takes entries off the tail.
    pub(crate) fn take_off(&mut self, is_done: impl Fn(&Entry) -> bool) {
        let Self { tail, tail_bytes, .. } = self;
        tail.retain(|entry| {
            let is_done = is_done(entry);
            if is_done {
                *tail_bytes = tail_bytes.saturating_sub(entry.batch.size_bytes());
            }
            !is_done
        });
    }
}

/// A window that can be searched.
#[derive(Clone)]
pub(crate) struct Listed {
    pub(crate) window: Arc<Window>,
    /// The last commit opened, as long as the window is written to.
    pub(crate) held: Option<Arc<Opened>>,
}

/// Somebody waits for a commit.
pub(crate) struct CommitWanted {
    pub(crate) now: Time,
    pub(crate) answer: oneshot::Sender<Result<(), Arc<LogIndexError>>>,
}

/// Which window a batch belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WindowKey {
    pub(crate) tenant: Option<String>,
    pub(crate) start: u64,
}

/// A batch in the open tail.
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) key: WindowKey,
    pub(crate) batch: Batch,
    pub(crate) facts: BatchFacts,
}

impl Entry {
    pub(crate) fn num_records(&self) -> u64 {
        self.batch.num_records() as u64
    }
}

/// A batch that was not taken since the tail is full.
#[derive(Debug)]
pub struct Full;

impl LogIndex {
    /// Opens the log index of a folder, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be used or holds something else.
    pub fn open(settings: Settings) -> Result<Self, LogIndexError> {
        open_directory(&settings.directory)?;
        let mut state = State::default();
        for (folder, manifest) in list_windows(&settings.directory)? {
            match Window::load(folder.clone(), manifest, Access::Own) {
                Ok(window) => {
                    state.windows.push(Listed { window: Arc::new(window), held: None });
                }
                Err(error) if error.is_of_window() => leave_out(&folder, &error),
                Err(error) => return Err(error),
            }
        }
        let directory = settings.directory.clone();
        let shared = Arc::new(Shared {
            settings,
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Notify::new(),
            writer_bytes: AtomicUsize::new(0),
        });
        let mut worker = Worker::new(Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("logindex".to_owned())
            .spawn(move || worker.run())
            .map_err(LogIndexError::file("start a thread for", &directory))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Its folder and how it is kept.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Takes a batch of logs; from then on it is found.
    ///
    /// # Errors
    ///
    /// Fails when the tail is full; [`LogIndex::room`] tells when to try again.
    pub fn try_add(&self, batch: &Batch) -> Result<(), Full> {
        if batch.is_empty() {
            return Ok(());
        }
        let facts = facts_of(batch);
        let mut state = self.shared.state();
        if state.tail_bytes >= self.shared.settings.memory_bytes {
            return Err(Full);
        }
        let context = batch.context();
        let length = self.shared.settings.window_nanos();
        let arrived = context.arrived.as_unix_nanos();
        let tenant = context.tenant.as_deref().map(str::to_owned);
        let key = WindowKey { tenant, start: arrived - arrived % length };
        state.last_sequence += 1;
        state.tail_bytes += batch.size_bytes();
        let sequence = state.last_sequence;
        let entry = Entry { sequence, key, batch: batch.clone(), facts };
        let entry = Arc::new(entry);
        state.feed.push(&entry, self.shared.settings.memory_bytes);
        state.tail.push_back(entry);
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Whether the index thread ended, so that nothing is committed any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.state().is_stopped
    }

    /// Is notified whenever the tail gets shorter, and when the index thread ends.
    #[must_use]
    pub fn room(&self) -> &Notify {
        &self.shared.room
    }

    /// Whether so much waits that a commit is due.
    #[must_use]
    pub fn is_commit_due(&self) -> bool {
        self.shared.state().tail_bytes >= self.shared.settings.memory_bytes / 2
    }

    /// Bytes of the batches that wait for a commit.
    #[must_use]
    pub fn tail_bytes(&self) -> usize {
        self.shared.state().tail_bytes
    }

    /// Bytes that the documents take which are made of those batches.
    #[must_use]
    pub fn writer_bytes(&self) -> usize {
        self.shared.writer_bytes.load(Ordering::Relaxed)
    }

    /// Whether anything waits for a commit.
    #[must_use]
    pub fn has_tail(&self) -> bool {
        !self.shared.state().tail.is_empty()
    }

    /// What a journal was told before this time is durable there: commits need not tell it.
    pub fn note_settled(&self, settled: Time) {
        self.shared.state().settled = settled;
    }

    /// Takes out batches that cannot be indexed and are in no commit.
    #[must_use]
    pub fn take_lost(&self) -> Vec<Batch> {
        std::mem::take(&mut self.shared.state().lost)
    }

    /// Asks for a commit of everything added so far; also for retention to be seen to, at `now`.
    /// Those who added what was committed before have been answered by then.
    #[must_use]
    pub fn commit(&self, now: Time) -> Committed {
        let (answer, committed) = oneshot::channel();
        let mut state = self.shared.state();
        if state.is_stopped {
            let path = self.shared.settings.directory.clone();
            // The receiver is still here.
            let _ = answer.send(Err(Arc::new(LogIndexError::Stopped { path })));
        } else {
            state.commits.push(CommitWanted { now, answer });
        }
        drop(state);
        self.shared.work.notify_one();
        committed
    }

    /// What can be searched now: it stays as it is while more is added and committed.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_of(&mut self.shared.state())
    }

    /// What can be searched now, and a follower who sees everything after that. `wake` is notified
    /// whenever there may be something to see.
    #[must_use]
    pub fn follow(&self, wake: Arc<Notify>) -> (Snapshot, Follower) {
        let mut state = self.shared.state();
        let id = state.feed.enter(wake);
        (self.snapshot_of(&mut state), Follower::new(Arc::clone(&self.shared), id))
    }

    fn snapshot_of(&self, state: &mut State) -> Snapshot {
        for listed in state.windows.iter_mut().filter(|listed| listed.held.is_none()) {
            let manifest = &listed.window.manifest;
            let is_fed = state.tail.iter().any(|entry| {
                entry.key.start == manifest.start && entry.key.tenant == manifest.tenant
            });
            if is_fed {
                // Opened later, it might hold what is in the tail too. An error comes again then.
                listed.held = listed.window.open().ok();
            }
        }
        let shared = &self.shared;
        let windows = state.windows.iter();
        let committed =
            windows.map(|listed| Source::window(listed.clone(), Some(Arc::clone(shared))));
        let tail = Source::tail(state.tail.iter().cloned().collect());
        Snapshot { sources: committed.chain([tail]).collect() }
    }

    /// The journal entries that the last commits hold.
    #[must_use]
    pub fn held(&self) -> Vec<PartRun> {
        let state = self.shared.state();
        let windows = state.windows.iter();
        windows.flat_map(|listed| from_runs(&listed.window.payload().parts)).collect()
    }

    /// Records that are committed.
    #[must_use]
    pub fn num_committed(&self) -> u64 {
        let state = self.shared.state();
        state.windows.iter().map(|listed| listed.window.payload().num_records).sum()
    }
}

#[cfg(test)]
impl LogIndex {
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for LogIndex {
    fn drop(&mut self) {
        self.shared.state().is_stopping = true;
        self.shared.work.notify_one();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the thread was told by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Settings {
    /// Whether windows are ever removed.
    #[must_use]
    pub const fn has_retention(&self) -> bool {
        self.max_age.is_some() || self.max_size_bytes.is_some()
    }

    pub(crate) fn window_nanos(&self) -> u64 {
        u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX).max(1_000_000_000)
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a window that nothing is written to, and keeps it open for a while.
    pub(crate) fn open(&self, window: &Window) -> Result<Arc<Opened>, LogIndexError> {
        let opened = window.open()?;
        let mut state = self.state();
        state.recent.retain(|recent| !Arc::ptr_eq(recent, &opened));
        state.recent.push_back(Arc::clone(&opened));
        if state.recent.len() > MAX_RECENT {
            state.recent.pop_front();
        }
        Ok(opened)
    }
}
