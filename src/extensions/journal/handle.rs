//! The journal as the engine uses it: commands to the thread that writes.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::origin::Origin;
use super::writer::{Command, Mark, Pace, Shared, Writer};
use crate::component::{Answer, Cause, Journal, JournalEntry, Outcome, Stored};
use crate::data::{Batch, DoorLimits, Packed, PartRun, Time};
use crate::storage::disk::{Disk as _, LocalDisk};
use crate::storage::journal::{
    AppendError, Appended, Entry, Lock, Log, NewEntry, OpenError, Settings,
};
use crate::telemetry::{Clock, Metrics, with_causes};

/// Requests that wait for the thread; further ones wait before.
const MAX_WAITING: usize = 1024;

/// How long exporters wait with a commit while half of the journal is needed: that much longer it
/// must not be, and much more often would make many small files.
const WAIT_WHILE_FILLING: Duration = Duration::from_secs(10);

/// What clients are told to wait when a request cannot be stored.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A journal that is open or will be.
pub(super) struct Handle {
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
    recovered: BTreeMap<u64, Vec<Arc<str>>>,
}

impl Handle {
    pub(super) fn new(settings: Settings, pace: Pace) -> Self {
        Self { settings, pace, shared: Arc::default(), state: Mutex::default() }
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
            warn!(torn_bytes, damaged_bytes, files = ?recovered.damaged, "parts of the journal could not be read");
        }
        let path = self.settings.folder.display();
        info!(%path, open_entries = recovered.open.len(), size_bytes = log.size_bytes(), "the journal is open");
        let id = log.id();
        let (sender, commands) = flume::bounded(MAX_WAITING);
        let limits = (self.settings.max_bytes, self.pace);
        let writer = Writer::new((log, Arc::clone(&self.shared)), limits, clock, metrics);
        let thread = thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(move || writer.run(&commands));
        let thread = thread.map_err(|source| failed("start a thread for", source))?;
        *self.state() = State {
            commands: Some(sender),
            thread: Some(thread),
            lock: Some(lock),
            id,
            oldest_recovered: recovered.open.iter().map(|entry| entry.arrived).min(),
            recovered: recovered.open.into_iter().map(|open| (open.number, open.done)).collect(),
        };
        Ok(())
    }

    /// Writes all marks, ends the thread and gives the folder free.
    pub(super) fn close_all(&self) {
        let State { commands, thread, lock, .. } = std::mem::take(&mut *self.state());
        drop(commands);
        if let Some(thread) = thread {
            // One that panicked was told by the panic hook.
            let _ = thread.join();
        }
        drop(lock);
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
            None => Err(refusal("the journal is not open")),
        }
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
        let outstanding = entries.filter(|(_, done)| !done.contains(&run.route));
        outstanding.count() as u64 == (run.last - run.first).saturating_add(1)
    }

    fn take_recovered(&self) -> Vec<u64> {
        std::mem::take(&mut self.state().recovered).into_keys().collect()
    }

    async fn read(&self, number: u64) -> Result<JournalEntry, Cause> {
        let read = self.ask(|reply| Command::Read(number, reply)).await;
        let entry = read.ok_or_else(|| io::Error::other("the journal is not open"))??;
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

/// Tells a client to come back.
fn refusal(why: &str) -> Answer {
    let reason = Some(format!("not stored: {why}").into());
    Answer { outcome: Outcome::Retry, reason, retry_after: Some(RETRY_AFTER) }
}
