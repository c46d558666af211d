//! The index thread: makes documents of what is in the tail, commits, removes old windows.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::error::LogIndexError;
use super::index::{CommitWanted, Entry, Listed, Shared, WindowKey};
use super::manifest::WindowManifest;
use super::window::Window;
use super::writer::{Commit, WindowWriter};
use crate::data::Time;

/// Entries that are made into documents between two looks at what else there is to do.
const MAX_STEP: usize = 64;

/// Windows that are written to at a time; more come up only when arrival times or tenants mix.
const MAX_WRITERS: usize = 4;

/// How often retention is seen to.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// The index thread's own state.
pub(super) struct Worker {
    shared: Arc<Shared>,
    writers: HashMap<WindowKey, Active>,
    /// Windows whose writer failed, to be opened again.
    failed: HashMap<WindowKey, Failed>,
    /// The entry that was made into documents last.
    seen: u64,
    commits: u64,
    next_retention: Time,
    closing: Vec<JoinHandle<()>>,
}

/// A window that is written to.
struct Active {
    writer: WindowWriter,
    /// The last entry that is in it.
    through: u64,
    has_new: bool,
}

impl Active {
    fn add(&mut self, entry: &Entry) -> Result<(), LogIndexError> {
        self.through = entry.sequence;
        self.has_new = true;
        // After a panic the writer is not used again.
        let added = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            trip(&entry.batch);
            self.writer.add(&entry.batch)
        }));
        added.unwrap_or_else(|_| Err(self.panicked()))
    }

    fn commit(&mut self, id: u64, times: (Time, Time)) -> Result<Commit, LogIndexError> {
        let committed = catch_unwind(AssertUnwindSafe(|| self.writer.commit(id, times)));
        committed.unwrap_or_else(|_| Err(self.panicked()))
    }

    fn panicked(&self) -> LogIndexError {
        LogIndexError::Panicked { path: self.writer.window.folder.clone() }
    }
}

/// A window whose writer failed.
struct Failed {
    window: Arc<Window>,
    /// A commit of which it is not known whether it came about, and the last entry in it.
    attempt: Option<(u64, u64)>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            writers: HashMap::new(),
            failed: HashMap::new(),
            seen: 0,
            commits: 0,
            next_retention: Time::default(),
            closing: Vec::new(),
        }
    }

    /// Works until the log index is dropped.
    pub(super) fn run(&mut self) {
        let _guard = StopGuard(Arc::clone(&self.shared));
        loop {
            let Some((entries, commits)) = self.wait() else {
                break;
            };
            for entry in entries {
                self.seen = entry.sequence;
                if let Err(error) = self.add(&entry) {
                    // The commit tries again and tells whoever waits for it.
                    debug!(%error, "cannot add to the log index");
                }
            }
            self.tell_memory();
            if !commits.is_empty() {
                self.commit(commits);
            }
        }
        for thread in self.closing.drain(..) {
            // A panic of the thread was told by the panic hook.
            let _ = thread.join();
        }
    }

    fn tell_memory(&self) {
        let writers = self.writers.values().map(|active| active.writer.memory_bytes());
        self.shared.writer_bytes.store(writers.sum(), Ordering::Relaxed);
    }

    /// Waits for something to do; nothing when it is time to end.
    ///
    /// Commits are handed out only when no entry waits any more.
    fn wait(&self) -> Option<(Vec<Arc<Entry>>, Vec<CommitWanted>)> {
        let mut state = self.shared.state();
        loop {
            let first = state.tail.partition_point(|entry| entry.sequence <= self.seen);
            let entries: Vec<_> = state.tail.iter().skip(first).take(MAX_STEP).cloned().collect();
            if entries.is_empty() && !state.commits.is_empty() {
                return Some((entries, std::mem::take(&mut state.commits)));
            }
            if !entries.is_empty() {
                let is_last = first + entries.len() == state.tail.len();
                let commits = if is_last { std::mem::take(&mut state.commits) } else { Vec::new() };
                return Some((entries, commits));
            }
            if state.is_stopping {
                return None;
            }
            state = self.shared.work.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// Makes documents of an entry; after a failure that waits for the next commit.
    fn add(&mut self, entry: &Entry) -> Result<(), LogIndexError> {
        if self.failed.contains_key(&entry.key) {
            return Ok(());
        }
        let active = self.writer(&entry.key)?;
        if active.through >= entry.sequence {
            // It was among those that were made again after a failure.
            return Ok(());
        }
        let added = active.add(entry);
        self.after_adding(entry, added)
    }

    /// Lets go of a writer that failed, and of an entry that can never be added.
    fn after_adding(
        &mut self,
        entry: &Entry,
        added: Result<(), LogIndexError>,
    ) -> Result<(), LogIndexError> {
        let Err(error) = added else {
            return Ok(());
        };
        self.give_up(&entry.key, None);
        if matches!(error, LogIndexError::Panicked { .. }) {
            let mut state = self.shared.state();
            state.take_off(|other| other.sequence == entry.sequence);
            state.lost.push(entry.batch.clone());
        }
        Err(error)
    }

    /// The writer of a window, with everything in it that was seen and is not committed.
    fn writer(&mut self, key: &WindowKey) -> Result<&mut Active, LogIndexError> {
        if !self.writers.contains_key(key) {
            let active = self.open_writer(key)?;
            self.writers.insert(key.clone(), active);
            let missing: Vec<_> = {
                let state = self.shared.state();
                let before = |entry: &&Arc<Entry>| entry.key == *key && entry.sequence <= self.seen;
                state.tail.iter().filter(before).cloned().collect()
            };
            for entry in missing {
                let added = self.writers.get_mut(key).map_or(Ok(()), |active| active.add(&entry));
                self.after_adding(&entry, added)?;
            }
        }
        let path = || self.shared.settings.directory.clone();
        self.writers.get_mut(key).ok_or_else(|| LogIndexError::Stopped { path: path() })
    }

    fn open_writer(&mut self, key: &WindowKey) -> Result<Active, LogIndexError> {
        let settings = self.shared.settings.clone();
        let memory_bytes = settings.memory_bytes;
        if let Some(failed) = self.failed.get(key) {
            let writer = WindowWriter::open(Arc::clone(&failed.window), memory_bytes)?;
            let attempt = failed.attempt;
            self.failed.remove(key);
            let mut through = 0;
            if let Some((commit, last)) = attempt
                && writer.payload().commit == commit
            {
                // The commit did come about, only its end was not seen.
                let commit =
                    Commit { payload: writer.payload().clone(), opened: writer.refresh()? };
                self.publish(key, last, commit, &writer.window);
                through = last;
            }
            return Ok(Active { writer, through, has_new: false });
        }
        let mut manifest = WindowManifest::new(
            key.tenant.as_deref(),
            key.start,
            settings.window_nanos(),
            settings.detail,
        );
        let (same, next_number) = self.latest_of(&manifest);
        if let Some(window) = same {
            let writer = WindowWriter::open(window, memory_bytes)?;
            self.hold(&writer)?;
            return Ok(Active { writer, through: 0, has_new: false });
        }
        manifest.number = next_number;
        // One that is left out keeps its folder.
        while manifest.is_taken(&settings.directory) {
            manifest.number += 1;
        }
        let folder = manifest.folder(&settings.directory);
        let writer = WindowWriter::create(manifest, &folder, memory_bytes)?;
        Ok(Active { writer, through: 0, has_new: false })
    }

    /// Keeps what is searched as it is until the next commit is published.
    fn hold(&self, writer: &WindowWriter) -> Result<(), LogIndexError> {
        let opened = writer.refresh()?;
        let mut state = self.shared.state();
        writer.window.publish(writer.payload().clone(), &opened);
        for listed in &mut state.windows {
            if Arc::ptr_eq(&listed.window, &writer.window) {
                listed.held = Some(Arc::clone(&opened));
            }
        }
        Ok(())
    }

    /// The window that goes on with `wanted`, if there is one, and the next free number.
    fn latest_of(&self, wanted: &WindowManifest) -> (Option<Arc<Window>>, u32) {
        let state = self.shared.state();
        let equals = state.windows.iter().map(|listed| &listed.window).filter(|window| {
            window.manifest.tenant == wanted.tenant && window.manifest.start == wanted.start
        });
        let Some(latest) = equals.max_by_key(|window| window.manifest.number) else {
            return (None, 0);
        };
        let goes_on = latest.manifest.length == wanted.length
            && latest.manifest.detail == wanted.detail
            && !latest.is_full();
        (goes_on.then(|| Arc::clone(latest)), latest.manifest.number + 1)
    }

    /// Commits every window that has something new.
    fn commit(&mut self, commits: Vec<CommitWanted>) {
        let mut failure = None;
        let now = commits.iter().map(|wanted| wanted.now).max().unwrap_or_default();
        let settled = self.shared.state().settled;
        for key in self.uncommitted() {
            if let Err(error) = self.commit_window(&key, (now, settled)) {
                failure.get_or_insert(Arc::new(error));
            }
        }
        self.close_idle(now);
        if now >= self.next_retention {
            self.next_retention = now.saturating_add(RETENTION_INTERVAL);
            self.remove_old(now);
        }
        self.tell_memory();
        for wanted in commits {
            let answer = failure.clone().map_or(Ok(()), Err);
            // Whoever asked may be gone.
            let _ = wanted.answer.send(answer);
        }
    }

    /// The windows that entries in the tail belong to.
    fn uncommitted(&self) -> Vec<WindowKey> {
        let state = self.shared.state();
        let mut keys: Vec<WindowKey> = Vec::new();
        for entry in &state.tail {
            if entry.sequence <= self.seen && !keys.contains(&entry.key) {
                keys.push(entry.key.clone());
            }
        }
        keys
    }

    fn commit_window(&mut self, key: &WindowKey, times: (Time, Time)) -> Result<(), LogIndexError> {
        self.commits += 1;
        let commit = self.commits ^ rand::random::<u64>();
        let active = self.writer(key)?;
        if !active.has_new {
            return Ok(());
        }
        let through = active.through;
        match active.commit(commit, times) {
            Ok(commit) => {
                active.has_new = false;
                let window = Arc::clone(&active.writer.window);
                let is_full = active.writer.is_full();
                self.publish(key, through, commit, &window);
                if is_full && let Some(active) = self.writers.remove(key) {
                    self.close(active.writer);
                }
                Ok(())
            }
            Err(error) => {
                self.give_up(key, Some((commit, through)));
                Err(error)
            }
        }
    }

    /// Makes a commit what is searched, and takes what is in it off the tail.
    fn publish(&self, key: &WindowKey, through: u64, commit: Commit, window: &Arc<Window>) {
        let Commit { payload, opened } = commit;
        let mut state = self.shared.state();
        window.publish(payload, &opened);
        let held = Some(opened);
        match state.windows.iter_mut().find(|listed| Arc::ptr_eq(&listed.window, window)) {
            Some(listed) => listed.held = held,
            None => state.windows.push(Listed { window: Arc::clone(window), held }),
        }
        state.take_off(|entry| entry.key == *key && entry.sequence <= through);
        drop(state);
        self.shared.room.notify_waiters();
    }

    /// Lets go of a writer that failed; its entries are made again from the tail.
    fn give_up(&mut self, key: &WindowKey, attempt: Option<(u64, u64)>) {
        if let Some(active) = self.writers.remove(key) {
            let window = Arc::clone(&active.writer.window);
            self.failed.insert(key.clone(), Failed { window, attempt });
        }
    }

    /// Closes writers of windows that are over, and the oldest ones of too many.
    fn close_idle(&mut self, now: Time) {
        self.closing.retain(|thread| !thread.is_finished());
        let mut keys: Vec<(u64, WindowKey)> = self
            .writers
            .iter()
            .filter(|(_, active)| !active.has_new)
            .map(|(key, active)| (active.through, key.clone()))
            .collect();
        keys.sort_by_key(|(through, _)| *through);
        let mut surplus = self.writers.len().saturating_sub(MAX_WRITERS);
        for (_, key) in keys {
            let end =
                self.writers.get(&key).map_or(0, |active| active.writer.window.manifest.end());
            if (surplus > 0 || end < now.as_unix_nanos())
                && let Some(active) = self.writers.remove(&key)
            {
                surplus = surplus.saturating_sub(1);
                self.close(active.writer);
            }
        }
    }

    /// Closes a writer beside the index thread, for its merges may take a while.
    fn close(&mut self, writer: WindowWriter) {
        let shared = Arc::clone(&self.shared);
        let window = Arc::clone(&writer.window);
        let held = {
            let state = self.shared.state();
            let is_this = |listed: &&Listed| Arc::ptr_eq(&listed.window, &window);
            state.windows.iter().find(is_this).and_then(|listed| listed.held.clone())
        };
        let close = move || {
            if let Err(error) = writer.close() {
                warn!(%error, folder = %window.folder.display(), "cannot close a window");
            }
            let mut state = shared.state();
            for listed in &mut state.windows {
                // Unless the window is written to again already.
                listed.held.take_if(|now| held.as_ref().is_some_and(|held| Arc::ptr_eq(held, now)));
            }
        };
        match thread::Builder::new().name("logindex-close".to_owned()).spawn(close) {
            Ok(thread) => self.closing.push(thread),
            Err(error) => warn!(%error, "no thread to close a window, its merges are given up"),
        }
    }

    /// Removes windows that are too old, then the oldest while all take too many bytes.
    fn remove_old(&mut self, now: Time) {
        let settings = &self.shared.settings;
        if settings.max_age.is_none() && settings.max_size_bytes.is_none() {
            return;
        }
        let written: Vec<&Path> =
            self.writers.values().map(|active| &*active.writer.window.folder).collect();
        let mut windows: Vec<Arc<Window>> = {
            let state = self.shared.state();
            state.windows.iter().map(|listed| Arc::clone(&listed.window)).collect()
        };
        windows.sort_by_key(|window| (window.manifest.start, window.manifest.number));
        let sizes: Vec<u64> = windows.iter().map(|window| window.size_bytes()).collect();
        let mut total: u64 = sizes.iter().sum();
        for (window, size_bytes) in windows.iter().zip(sizes) {
            let age = now.saturating_since(Time::from_unix_nanos(window.manifest.end()));
            let is_old = settings.max_age.is_some_and(|max_age| age > max_age);
            let is_surplus = settings.max_size_bytes.is_some_and(|max_size| total > max_size);
            if (is_old || is_surplus) && !written.contains(&&*window.folder) {
                self.remove(window);
                total = total.saturating_sub(size_bytes);
            }
        }
    }

    fn remove(&self, window: &Arc<Window>) {
        let mut state = self.shared.state();
        state.windows.retain(|listed| !Arc::ptr_eq(&listed.window, window));
        state.recent.retain(|opened| opened.folder != window.folder);
        drop(state);
        let folder = window.folder.display();
        match window.remove() {
            Ok(()) => info!(%folder, "removed a window of the log index by its retention"),
            Err(error) => warn!(%error, "cannot remove a window of the log index"),
        }
    }
}

/// Tells everybody who waits that the thread ended, however it did.
struct StopGuard(Arc<Shared>);

impl Drop for StopGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_stopped = true;
        // Their senders are dropped, which the receivers see.
        state.commits.clear();
        drop(state);
        self.0.room.notify_waiters();
    }
}

/// What a body has on which indexing panics in tests.
#[cfg(test)]
pub(crate) const TRIP_WIRE: &str = "indexing panics on this";

#[cfg(test)]
fn trip(batch: &crate::data::Batch) {
    let found = memchr::memmem::find(&batch.merged_bytes(), TRIP_WIRE.as_bytes());
    assert!(found.is_none(), "as a test wants it");
}
