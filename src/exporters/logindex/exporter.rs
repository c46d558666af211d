//! The exporter: hands batches to the log index, and commits.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::component::{
    Budget, Charge, ExportError, Exporter, Held, Host, Journal, Payload, Request, Sent,
};
use crate::data::{Batch, Time};
use crate::storage::logindex::{LogIndex, LogIndexError, Settings};
use crate::storage::quarantine::Quarantine;
use crate::telemetry::Clock;

/// The account of the documents that wait for a commit, beside the requests that they are made of.
const ACCOUNT: &str = "logindex";

/// While memory is short a commit is due when what waits takes one part in so many of the index's
/// memory: less would make many small segments.
const TIGHT_PART: usize = 8;

/// How often the index looks after its retention when nothing comes in.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// Keeps logs in a log index.
pub(super) struct LogIndexExporter {
    settings: Settings,
    commit_interval: Duration,
    clock: Clock,
    budget: Budget,
    journal: Option<Arc<dyn Journal>>,
    /// The exporter's id, for records that are set aside.
    id: String,
    quarantine: Quarantine,
    charge: Mutex<Charge>,
    index: OnceLock<Arc<LogIndex>>,
    waiting: Mutex<Waiting>,
}

/// What waits for a commit.
#[derive(Default)]
struct Waiting {
    /// When the first batch came that no commit was asked for yet.
    since: Option<Time>,
    last_flush: Time,
    /// Records that cannot be indexed, since the last commit.
    num_lost: u64,
}

impl LogIndexExporter {
    pub(super) fn new(
        id: String,
        settings: Settings,
        commit_interval: Duration,
        host: &Host,
    ) -> Self {
        Self {
            settings,
            commit_interval,
            clock: host.clock.clone(),
            budget: host.budget.clone(),
            journal: host.extensions.journal(),
            id,
            quarantine: Quarantine::new(&host.data_dir, &host.metrics),
            charge: Mutex::new(host.budget.charge(ACCOUNT, 0)),
            index: OnceLock::new(),
            waiting: Mutex::default(),
        }
    }

    fn index(&self) -> Result<&Arc<LogIndex>, ExportError> {
        self.index.get().ok_or_else(|| self.stopped())
    }

    fn stopped(&self) -> ExportError {
        retry(LogIndexError::Stopped { path: self.settings.directory.clone() })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges what documents take now.
    fn settle(&self, index: &LogIndex) {
        let mut charge = self.charge.lock().unwrap_or_else(PoisonError::into_inner);
        charge.resize(index.writer_bytes());
    }

    /// Whether a commit is due before its time.
    fn is_due(&self, index: &LogIndex) -> bool {
        let much = index.settings().memory_bytes / TIGHT_PART;
        index.is_commit_due() || (index.tail_bytes() >= much && self.budget.is_tight())
    }

    /// Sets aside what cannot be indexed; how many records were since the last commit.
    async fn set_aside_lost(&self, index: &LogIndex) -> u64 {
        let lost = index.take_lost();
        let num_lost = lost.iter().map(|batch| batch.num_records() as u64).sum::<u64>();
        if num_lost > 0 {
            let (quarantine, id) = (self.quarantine.clone(), self.id.clone());
            let keep = move || {
                for batch in &lost {
                    quarantine.keep(&id, "indexing panicked on them", batch);
                }
            };
            // It does not panic.
            let _ = tokio::task::spawn_blocking(keep).await;
        }
        let mut waiting = self.waiting();
        waiting.num_lost += num_lost;
        waiting.num_lost
    }

    /// Adds a batch as soon as there is room.
    async fn add(&self, index: &LogIndex, batch: &Batch) -> Result<(), ExportError> {
        loop {
            let room = index.room().notified();
            tokio::pin!(room);
            // From here on no notification is missed.
            room.as_mut().enable();
            if index.try_add(batch).is_ok() {
                self.settle(index);
                return Ok(());
            }
            if index.is_stopped() {
                return Err(self.stopped());
            }
            room.await;
        }
    }
}

#[async_trait]
impl Exporter for LogIndexExporter {
    async fn start(&self) -> Result<Held, ExportError> {
        if self.index.get().is_some() {
            return Ok(Held::default());
        }
        let settings = self.settings.clone();
        let opened = tokio::task::spawn_blocking(move || LogIndex::open(settings)).await;
        let index = opened.map_err(|error| ExportError::Rejected { source: error.into() })?;
        let index = index.map_err(|error| ExportError::Rejected { source: error.into() })?;
        let held = Held { parts: index.held() };
        // It was empty above, and nobody else sets it.
        let _ = self.index.set(Arc::new(index));
        Ok(held)
    }

    async fn send(&self, request: &Request) -> Result<Sent, ExportError> {
        let Payload::Batch(batch) = &request.payload else {
            return Err(ExportError::Rejected { source: "a log index takes batches only".into() });
        };
        self.add(self.index()?, batch).await?;
        let now = self.clock.now();
        self.waiting().since.get_or_insert(now);
        Ok(Sent::BUFFERED)
    }

    fn deadline(&self) -> Option<Time> {
        let waiting = self.waiting();
        let index = self.index.get()?;
        let retention = index.settings().has_retention();
        let retention = retention.then(|| waiting.last_flush.saturating_add(RETENTION_INTERVAL));
        match waiting.since {
            Some(_) if self.is_due(index) => Some(Time::default()),
            Some(since) => {
                let journal = self.journal.as_ref();
                let max_wait = journal.map_or(Duration::MAX, |journal| journal.max_wait());
                Some(since.saturating_add(max_wait.min(self.commit_interval)))
            }
            None => retention,
        }
    }

    async fn flush(&self) -> Result<(), ExportError> {
        let Some(index) = self.index.get() else {
            return Ok(());
        };
        let now = self.clock.now();
        let since = {
            let mut waiting = self.waiting();
            waiting.last_flush = now;
            waiting.since.take()
        };
        if let Some(journal) = &self.journal {
            index.note_settled(journal.marks_durable_until());
        }
        let committed = index.commit(now).await;
        self.settle(index);
        let num_lost = self.set_aside_lost(index).await;
        let failure = match committed {
            Ok(Ok(())) if num_lost > 0 => {
                self.waiting().num_lost = 0;
                let source = "they cannot be indexed; see its log and `quarantine`".into();
                return Err(ExportError::Lost { num_records: num_lost, source });
            }
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => retry(error),
            Err(_) => self.stopped(),
        };
        let mut waiting = self.waiting();
        waiting.since = since.or(waiting.since);
        Err(failure)
    }

    fn handle(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        let index = Arc::clone(self.index.get()?);
        Some(index)
    }
}

fn retry(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ExportError {
    ExportError::Retry { after: None, source: error.into() }
}
