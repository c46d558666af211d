//! The exporter: hands batches to the archive, and commits.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::spawn_blocking;

use crate::component::{
    Budget, Charge, ExportError, Exporter, Held, Host, Journal, Payload, Request, Sent,
};
use crate::data::{PartRun, Signal, Time};
use crate::storage::object::{LocalStore, ObjectStore};
use crate::storage::parquet::{
    Archive, Format, ParquetArchiveError, Partitioning, Retention, Rotation,
    Settings as ArchiveSettings,
};
use crate::storage::quarantine::Quarantine;
use crate::telemetry::Clock;

/// The account of what is encoded and not written yet.
const ACCOUNT: &str = "sinks";

/// How often the archive looks after its retention when nothing comes in.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// Where Linux tells the host's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// What files are called after when nobody says what the host is called.
const UNNAMED: &str = "node";

/// Settings of the exporter.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) folder: PathBuf,
    pub(super) node: Option<String>,
    /// The exporter's id, for records that are set aside.
    pub(super) id: String,
    pub(super) signal: Signal,
    pub(super) format: Format,
    pub(super) partitioning: Partitioning,
    pub(super) rotation: Rotation,
    /// How long a record may wait for a commit.
    pub(super) max_age: Duration,
    pub(super) retention: Retention,
}

/// Keeps records of one signal in an archive.
pub(super) struct ParquetExporter {
    settings: Settings,
    clock: Clock,
    budget: Budget,
    quarantine: Quarantine,
    journal: Option<Arc<dyn Journal>>,
    /// Nothing until it is started.
    archive: Arc<AsyncMutex<Option<Writer>>>,
    waiting: Arc<Mutex<Waiting>>,
}

/// The archive with the memory that it takes.
struct Writer {
    archive: Archive,
    charge: Charge,
}

/// What waits for a commit.
#[derive(Default)]
struct Waiting {
    /// When the first record came that no commit has.
    since: Option<Time>,
    is_due: bool,
    has_records: bool,
    /// Records that were lost since the last flush that succeeded.
    num_lost: u64,
    last_flush: Time,
}

impl Waiting {
    /// Notes what a call left in the archive.
    fn update(&mut self, archive: &Archive, num_lost: u64, now: Time) {
        self.is_due = archive.is_commit_due();
        self.has_records = !archive.is_empty();
        self.num_lost += num_lost;
        if !self.has_records && self.num_lost == 0 {
            self.since = None;
        } else {
            self.since.get_or_insert(now);
        }
    }
}

impl ParquetExporter {
    pub(super) fn new(settings: Settings, host: &Host) -> Self {
        Self {
            settings,
            clock: host.clock.clone(),
            budget: host.budget.clone(),
            journal: host.extensions.journal(),
            quarantine: Quarantine::new(&host.data_dir, &host.metrics),
            archive: Arc::default(),
            waiting: Arc::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    /// Works on the archive on a thread that may block; answers what is left in it.
    async fn work(
        &self,
        work: impl FnOnce(&mut Archive) -> Result<(), ParquetArchiveError> + Send + 'static,
    ) -> Result<(), ExportError> {
        let mut slot = Arc::clone(&self.archive).lock_owned().await;
        let (quarantine, id) = (self.quarantine.clone(), self.settings.id.clone());
        let (waiting, clock) = (Arc::clone(&self.waiting), self.clock.clone());
        let worked = spawn_blocking(move || {
            let Some(Writer { archive, charge }) = slot.as_mut() else {
                return Err(ParquetArchiveError::NotOpen);
            };
            let worked = work(archive);
            let lost = archive.take_lost();
            for record in &lost.set_aside {
                quarantine.keep(&id, "it panicked on them", record);
            }
            charge.resize(archive.memory_bytes());
            // While the archive is held: what two calls leave must not be told in the wrong order.
            lock(&waiting).update(archive, lost.num_records, clock.now());
            worked
        });
        let worked = worked.await.map_err(retry)?;
        worked.map_err(retry)
    }
}

#[async_trait]
impl Exporter for ParquetExporter {
    async fn start(&self) -> Result<Held, ExportError> {
        let mut slot = Arc::clone(&self.archive).lock_owned().await;
        if slot.is_some() {
            return Ok(Held::default());
        }
        let (settings, charge) = (self.settings.clone(), self.budget.charge(ACCOUNT, 0));
        let journal = self.journal.clone();
        let started = spawn_blocking(move || {
            let archive = open(&settings)?;
            let recovered =
                journal.and_then(|journal| Some((journal.oldest_recovered()?, journal)));
            let parts = match recovered {
                Some((since, journal)) => {
                    let are_outstanding = |run: &PartRun| journal.are_outstanding(run);
                    archive.held((journal.id(), since), &are_outstanding)?
                }
                None => Vec::new(),
            };
            *slot = Some(Writer { archive, charge });
            Ok::<_, ParquetArchiveError>(Held { parts })
        });
        started.await.map_err(rejected)?.map_err(rejected)
    }

    async fn send(&self, request: &Request) -> Result<Sent, ExportError> {
        let Payload::Batch(batch) = &request.payload else {
            return Err(rejected("an archive takes batches only"));
        };
        let (batch, now) = (batch.clone(), self.clock.now());
        let budget = self.budget.clone();
        let add = move |archive: &mut Archive| {
            archive.add(&batch, now)?;
            if budget.is_tight() {
                archive.relieve();
            }
            Ok(())
        };
        self.work(add).await?;
        Ok(Sent::BUFFERED)
    }

    fn deadline(&self) -> Option<Time> {
        let waiting = self.waiting();
        let max_wait = self.journal.as_ref().map_or(Duration::MAX, |journal| journal.max_wait());
        let retention = self.settings.retention;
        let has_retention = retention.max_age.is_some() || retention.max_bytes.is_some();
        match waiting.since {
            Some(_) if waiting.is_due => Some(Time::default()),
            Some(since) => Some(since.saturating_add(max_wait.min(self.settings.max_age))),
            None => has_retention.then(|| waiting.last_flush.saturating_add(RETENTION_INTERVAL)),
        }
    }

    async fn flush(&self) -> Result<(), ExportError> {
        let now = self.clock.now();
        self.waiting().last_flush = now;
        self.work(move |archive| archive.commit(now)).await?;
        let mut waiting = self.waiting();
        match std::mem::take(&mut waiting.num_lost) {
            0 => Ok(()),
            num_records => {
                waiting.since = waiting.since.filter(|_| waiting.has_records);
                let source = "the archive could not keep them; see its log and `quarantine`".into();
                Err(ExportError::Lost { num_records, source })
            }
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the folder of the archive; the files carry an id that nobody else has.
fn open(settings: &Settings) -> Result<Archive, ParquetArchiveError> {
    let node = settings.node.clone().unwrap_or_else(host_name);
    let store = LocalStore::new(settings.folder.clone(), format!("{node}-"));
    store.open()?;
    let id: u128 = rand::random();
    let settings = ArchiveSettings {
        signal: settings.signal,
        file_prefix: format!("{node}-{id:032x}"),
        format: settings.format.clone(),
        partitioning: settings.partitioning.clone(),
        rotation: settings.rotation,
        retention: settings.retention,
    };
    Ok(Archive::new(settings, Arc::new(store)))
}

/// The host's name, with `_` for what a file name should not have.
fn host_name() -> String {
    let name = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-');
    let name: String =
        name.trim().chars().take(63).map(|char| if is_plain(char) { char } else { '_' }).collect();
    if name.is_empty() || name.starts_with('.') { UNNAMED.to_owned() } else { name }
}

fn retry(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ExportError {
    ExportError::Retry { after: None, source: error.into() }
}

fn rejected(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ExportError {
    ExportError::Rejected { source: error.into() }
}
