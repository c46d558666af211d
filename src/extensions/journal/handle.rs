//! A journal or spool as the engine uses it: commands to the thread that writes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::origin::Origin;
use super::writer::{Command, Mark, Pace, Role, Shared, Writer};
use crate::component::{Answer, Cause, Journal, JournalEntry, Outcome, Spool, Stored};
use crate::data::{Batch, DoorLimits, Packed, PartRun, Time};
use crate::storage::disk::{Disk as _, LocalDisk};
use crate::storage::journal::{
    AppendError, Appended, Entry, Lock, Log, NewEntry, OpenEntry, OpenError, Settings,
};
use crate::telemetry::{Clock, Metrics, with_causes};

/// Requests that wait for the thread; further ones wait before.
const MAX_WAITING: usize = 1024;

/// How long exporters wait with a commit while half of the journal is needed: that much longer it
/// must not be, and much more often would make many small files.
const WAIT_WHILE_FILLING: Duration = Duration::from_secs(10);

/// What clients are told to wait when a request cannot be stored.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A journal or spool that is open or will be.
pub(super) struct Handle {
    role: Role,
    settings: Settings,
    pace: Pace,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

/// None of it before it is opened, and after it was closed.
#[derive(Default)]
struct State {
    commands: Option<flume::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    lock: Option<Lock>,
    id: u128,
    oldest_recovered: Option<Time>,
    /// Entries that were open when it was opened, and the routes that were done with them.
    recovered: BTreeMap<u64, OpenEntry>,
}

impl State {
    /// Ends the thread, which writes all marks before.
    fn close(self) {
        let Self { commands, thread, lock, .. } = self;
        drop(commands);
        if let Some(thread) = thread {
            // One that panicked was told by the panic hook.
            let _ = thread.join();
        }
        drop(lock);
    }
}

impl Handle {
    pub(super) fn new(role: Role, settings: Settings, pace: Pace) -> Self {
        Self { role, settings, pace, shared: Arc::default(), state: Mutex::default() }
    }

    /// Locks the folder, reads what is in it and starts the thread.
    pub(super) fn open(&self, metrics: &Metrics, clock: Clock) -> Result<(), OpenError> {
        let failed =
            |what, source| OpenError::File { what, path: self.settings.folder.clone(), source };
        LocalDisk.create_folder(&self.settings.folder).map_err(|source| failed("make", source))?;
        let lock = Lock::try_new(&self.settings.folder)?;
        let disk = Arc::new(LocalDisk);
        let (log, recovered) = Log::open(disk, self.settings.clone(), rand::random(), clock.now())?;
        if recovered.torn_bytes > 0 || recovered.damaged_bytes > 0 {
            let (torn_bytes, damaged_bytes) = (recovered.torn_bytes, recovered.damaged_bytes);
            let log = self.role.name();
            warn!(log, torn_bytes, damaged_bytes, files = ?recovered.damaged, "parts of a log could not be read");
        }
        let (name, path) = (self.role.name(), self.settings.folder.display());
        info!(log = name, %path, open_entries = recovered.open.len(), size_bytes = log.size_bytes(), "a log is open");
        let id = log.id();
        let (sender, commands) = flume::bounded(MAX_WAITING);
        let limits = (self.settings.max_bytes, self.pace);
        let log = (log, Arc::clone(&self.shared));
        let writer = Writer::new(log, limits, &self.role, (clock, metrics));
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || writer.run(&commands));
        let thread = thread.map_err(|source| failed("start a thread for", source))?;
        *self.state() = State {
            commands: Some(sender),
            thread: Some(thread),
            lock: Some(lock),
            id,
            oldest_recovered: recovered.open.iter().map(|entry| entry.arrived).min(),
            recovered: recovered.open.into_iter().map(|open| (open.number, open)).collect(),
        };
        Ok(())
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().commands.is_some()
    }

    /// Writes all marks, ends the thread and gives the folder free.
    pub(super) fn close_all(&self) {
        let state = std::mem::take(&mut *self.state());
        state.close();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, mark: Mark) {
        self.shared.marks.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
    }

    /// Asks the thread for something.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        let commands = self.state().commands.clone()?;
        commands.send_async(command(sender)).await.ok()?;
        answer.await.ok()
    }
}

#[async_trait]
impl Journal for Handle {
    async fn append(
        &self,
        receiver: &Arc<str>,
        batch: &Batch,
        packed: Option<Packed>,
    ) -> Result<Stored, Answer> {
        let packed = packed.filter(|packed| packed.bytes.len() < batch.size_bytes());
        let encoding = packed.as_ref().map(|packed| packed.encoding);
        let origin = Origin::new(receiver, batch.context(), encoding);
        let owner = origin.owner();
        let origin = serde_json::to_vec(&origin).map_err(|error| refusal(&error.to_string()))?;
        let entry = NewEntry {
            arrived: batch.context().arrived,
            signal: batch.signal(),
            origin,
            owner,
            body: batch.chunks().to_vec(),
            packed: packed.map(|packed| packed.bytes),
        };
        match self.ask(|reply| Command::Append(entry, reply)).await {
            Some(Ok(Appended::Stored(number))) => Ok(Stored::New(number)),
            Some(Ok(Appended::Repeated(_))) => Ok(Stored::Repeated),
            Some(Err(error @ AppendError::TooLong { .. })) => {
                Err(Answer::new(Outcome::Rejected, &with_causes(&error)))
            }
            Some(Err(error)) => Err(refusal(&with_causes(&error))),
            None => Err(refusal(&format!("the {} is not open", self.role.name()))),
        }
    }

    fn folder(&self) -> &Path {
        &self.settings.folder
    }

    fn id(&self) -> u128 {
        self.state().id
    }

    fn oldest_recovered(&self) -> Option<Time> {
        self.state().oldest_recovered
    }

    fn max_wait(&self) -> Duration {
        let is_filling = self.shared.is_filling.load(Ordering::Relaxed);
        if is_filling { WAIT_WHILE_FILLING } else { Duration::MAX }
    }

    fn marks_durable_until(&self) -> Time {
        Time::from_unix_nanos(self.shared.durable_until.load(Ordering::Relaxed))
    }

    fn are_outstanding(&self, run: &PartRun) -> bool {
        let state = self.state();
        let entries = state.recovered.range(run.first..=run.last);
        let outstanding = entries.filter(|(_, open)| !open.done.contains(&run.route));
        outstanding.count() as u64 == (run.last - run.first).saturating_add(1)
    }

    fn recovered(&self) -> Vec<u64> {
        self.state().recovered.keys().copied().collect()
    }

    fn take_recovered(&self) -> Vec<u64> {
        std::mem::take(&mut self.state().recovered).into_keys().collect()
    }

    async fn read(&self, number: u64) -> Result<JournalEntry, Cause> {
        let read = self.ask(|reply| Command::Read(number, reply)).await;
        let entry = read.ok_or_else(|| io::Error::other("the log is not open"))??;
        let Entry { arrived, signal, origin, done, body, .. } = entry;
        let origin: Origin = serde_json::from_slice(&origin)?;
        let body = origin.plain(body)?;
        let receiver = origin.receiver.as_str().into();
        let context = Arc::new(origin.context(arrived, done));
        let admitted = Batch::try_new(signal, body, context, &DoorLimits::NONE)?;
        Ok(JournalEntry { receiver, batch: admitted.batch })
    }

    fn mark_done(&self, number: u64, route: &Arc<str>) {
        self.mark(Mark::Done(number, Arc::clone(route)));
    }

    fn mark_held(&self, run: &PartRun) {
        self.mark(Mark::Held(run.clone()));
    }

    fn close(&self, number: u64) {
        self.mark(Mark::Closed(number));
    }
}

#[async_trait]
impl Spool for Handle {
    fn take_found(&self) -> Vec<(u64, Time)> {
        let found = std::mem::take(&mut self.state().recovered);
        found.into_values().map(|open| (open.number, open.arrived)).collect()
    }

    fn take_dropped(&self) -> Vec<u64> {
        std::mem::take(&mut *self.shared.dropped.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn end(&self) {
        let state = std::mem::take(&mut *self.state());
        // A thread that panicked was told by the panic hook.
        let _ = tokio::task::spawn_blocking(move || state.close()).await;
    }
}

/// Tells a client to come back.
fn refusal(why: &str) -> Answer {
    let reason = Some(format!("not stored: {why}").into());
    Answer { outcome: Outcome::Retry, reason, retry_after: Some(RETRY_AFTER) }
}
