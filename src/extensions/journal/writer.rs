//! The one thread that works on the log: requests that wait at the same time share a sync.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flume::RecvTimeoutError;
use tokio::sync::oneshot;
use tracing::{error, warn};

use crate::component::Cause;
use crate::config::ComponentId;
use crate::data::{PartRun, Signal};
use crate::storage::journal::{AppendError, Appended, Entry, Log, NewEntry};
use crate::telemetry::{Clock, Counter, Gauge, Latency, Metrics, Throttle, with_causes};

/// Bytes of requests that are written at once, at least; more wait for the next write.
const GROUP_BYTES: usize = 8 << 20;

/// When marks are written, and whether they are then made durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    pub(super) syncs: bool,
}

/// What the thread is asked to do.
pub(super) enum Command {
    /// Store a request.
    Append(NewEntry, oneshot::Sender<Result<Appended, AppendError>>),
    /// Read an open entry.
    Read(u64, oneshot::Sender<Result<Entry, Cause>>),
}

/// What entries are done with: told by whoever finds out, without waiting for the thread.
#[derive(Debug)]
pub(super) enum Mark {
    /// On a route.
    Done(u64, Arc<str>),
    /// On all.
    Closed(u64),
    /// All in a run, on its route, of those that are open.
    Held(PartRun),
}

/// What the thread and those who use the journal tell one another without waiting.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The marks that the thread has not seen yet.
    pub(super) marks: Mutex<Vec<Mark>>,
    /// Whether half of the journal is needed.
    pub(super) is_filling: AtomicBool,
    /// What was marked before this, in Unix nanoseconds, is durable.
    pub(super) durable_until: AtomicU64,
    /// Open entries of a spool that went for want of room, until they are asked for.
    pub(super) dropped: Mutex<Vec<u64>>,
}

/// What a log is for.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// It stands behind all receivers.
    Journal,
    /// It is the queue of this exporter for this signal.
    Spool(ComponentId, Signal),
}

impl Role {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Spool(..) => "spool",
        }
    }
}

/// The thread's part of the journal.
pub(super) struct Writer {
    role: Role,
    log: Log,
    shared: Arc<Shared>,
    max_bytes: u64,
    pace: Pace,
    clock: Clock,
    shown: Shown,
    throttle: Throttle,
    group: Vec<NewEntry>,
    replies: Vec<oneshot::Sender<Result<Appended, AppendError>>>,
    group_bytes: usize,
}

/// The journal's own metrics.
struct Shown {
    size: Gauge,
    open: Gauge,
    appended: Counter,
    repeated: Counter,
    refused: Counter,
    dropped: Counter,
    commit: Latency,
}

impl Shown {
    fn new(role: &Role, metrics: &Metrics) -> Self {
        let exporter = match role {
            Role::Journal => None,
            Role::Spool(id, signal) => Some((id.to_string(), signal.as_str())),
        };
        let labels: Vec<_> = exporter
            .iter()
            .flat_map(|(id, signal)| [("exporter", id.as_str()), ("data_type", *signal)])
            .collect();
        let family = |what: &str| format!("catchment_{}_{what}", role.name());
        let gauge = |what| metrics.gauge(&family(what), &labels);
        let counter = |what| metrics.counter(&family(what), &labels);
        Self {
            size: gauge("size_bytes"),
            open: gauge("open_entries"),
            appended: counter("appended_entries"),
            repeated: counter("repeated_entries"),
            refused: counter("refused_entries"),
            dropped: counter("dropped_entries"),
            commit: metrics.latency(&family("commit_duration_seconds"), &labels),
        }
    }
}

impl Writer {
    pub(super) fn new(
        (log, shared): (Log, Arc<Shared>),
        (max_bytes, pace): (u64, Pace),
        role: &Role,
        (clock, metrics): (Clock, &Metrics),
    ) -> Self {
        let mut writer = Self {
            role: role.clone(),
            log,
            shared,
            max_bytes,
            pace,
            clock,
            shown: Shown::new(role, metrics),
            throttle: Throttle::default(),
            group: Vec::new(),
            replies: Vec::new(),
            group_bytes: 0,
        };
        writer.show();
        writer
    }

    /// Works until nobody can send commands any more; then all marks are written and durable.
    pub(super) fn run(mut self, commands: &flume::Receiver<Command>) {
        let mut due = Instant::now() + self.pace.interval;
        loop {
            match commands.recv_deadline(due) {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while self.group_bytes < GROUP_BYTES
                && let Ok(command) = commands.try_recv()
            {
                self.take(command);
            }
            self.commit();
            if Instant::now() >= due {
                self.settle();
                due = Instant::now() + self.pace.interval;
            }
        }
        self.take_marks();
        if let Err(error) = self.log.sync() {
            let error = with_causes(&error);
            let log = self.role.name();
            warn!(log, error, "the last marks of a log are not written: their entries run again");
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Append(entry, reply) => {
                self.group_bytes += entry.body.iter().map(bytes::Bytes::len).sum::<usize>();
                self.group.push(entry);
                self.replies.push(reply);
            }
            Command::Read(number, reply) => {
                self.take_marks();
                let read = self.log.read(number).map_err(Into::into);
                // Whoever asked may have gone.
                let _ = reply.send(read);
            }
        }
    }

    fn take_marks(&mut self) {
        let marks =
            mem::take(&mut *self.shared.marks.lock().unwrap_or_else(PoisonError::into_inner));
        for mark in marks {
            match mark {
                Mark::Done(number, route) => self.log.mark_done(number, &route),
                Mark::Closed(number) => self.log.close(number),
                Mark::Held(run) => self.log.mark_all_done((run.first, run.last), &run.route),
            }
        }
    }

    /// Stores what waits, and tells those who wait.
    fn commit(&mut self) {
        if self.group.is_empty() {
            return;
        }
        self.take_marks();
        let started = Instant::now();
        let answers = self.log.append(self.clock.now(), &self.group);
        self.shown.commit.record(started.elapsed());
        // Whoever is answered may ask what went for it.
        self.show();
        for (reply, answer) in self.replies.drain(..).zip(answers) {
            match &answer {
                Ok(Appended::Stored(_)) => self.shown.appended.add(1),
                Ok(Appended::Repeated(_)) => self.shown.repeated.add(1),
                Err(error) => {
                    self.shown.refused.add(1);
                    if let Some(suppressed) = self.throttle.allow(self.clock.now()) {
                        let (log, error) = (self.role.name(), with_causes(error));
                        error!(log, error, suppressed, "a request cannot be stored");
                    }
                }
            }
            // A client that is gone sends it again; an entry without a client runs again.
            let _ = reply.send(answer);
        }
        self.group.clear();
        self.group_bytes = 0;
    }

    /// Writes what was closed, and removes what is not needed any more.
    fn settle(&mut self) {
        let now = self.clock.now();
        self.take_marks();
        let written = if self.pace.syncs { self.log.sync() } else { self.log.write_marks() };
        if written.is_ok() {
            self.shared.durable_until.store(now.as_unix_nanos(), Ordering::Relaxed);
        }
        // On a full disk there may be room for marks only when a segment is gone.
        let collected = self.log.collect(now);
        if let Err(error) = written.and(collected)
            && let Some(suppressed) = self.throttle.allow(self.clock.now())
        {
            let (log, error) = (self.role.name(), with_causes(&error));
            warn!(log, error, suppressed, "a log cannot be tidied up, it will try again");
        }
        self.show();
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges")]
    fn show(&mut self) {
        let is_filling = self.log.needed_bytes() > self.max_bytes / 2;
        self.shared.is_filling.store(is_filling, Ordering::Relaxed);
        self.shown.size.set(self.log.size_bytes() as f64);
        self.shown.open.set(self.log.num_open() as f64);
        let dropped = self.log.take_dropped();
        self.shown.dropped.add(dropped.len() as u64);
        if matches!(self.role, Role::Spool(..)) {
            self.shared.dropped.lock().unwrap_or_else(PoisonError::into_inner).extend(dropped);
        }
    }
}
