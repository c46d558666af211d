//! Extensions that keep requests on disk: `journal`, before clients are answered, and
//! `file_storage`, the queues of exporters.

mod file_storage;
mod handle;
mod origin;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use serde::Deserialize;

pub use self::file_storage::FileStorageConfig;
use self::handle::Handle;
pub use self::origin::plain_body;
use self::writer::{Pace, Role};
use crate::component::{
    BuildError, Extension, ExtensionConfig, Host, Journal, Listeners, RunError,
};
use crate::config::{ByteSize, Duration};
use crate::storage::journal::{self, Settings};

/// A journal holds at least so many segments.
const MIN_SEGMENTS: u64 = 4;

/// The smallest segment.
const MIN_SEGMENT: ByteSize = ByteSize::mib(1);

/// Settings of `journal`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// Its folder; by default `journal` in the data directory. One process at a time uses it.
    pub directory: Option<PathBuf>,
    /// What it may take on disk, at least four segments; default 4GiB.
    pub max_size: ByteSize,
    /// The size of its files, at least 1MiB; default 64MiB.
    pub segment_size: ByteSize,
    /// When a request counts as stored; default `always`.
    pub sync: Sync,
    /// With `sync: interval`: after what time everything is durable; default 1s.
    pub sync_interval: Duration,
    /// What happens when it has `max_size` and all is needed; default `refuse`.
    pub on_full: OnFull,
    /// For how long a request that comes again is known, answered with OK and not taken in twice;
    /// default 2m, 0: never.
    pub dedup_window: Duration,
}

/// When a request counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// When it is durable: also a crash of the machine takes nothing. Requests that wait at the
    /// same time share a sync.
    #[default]
    Always,
    /// When it is written; durable within `sync_interval`. A crash of the machine may take what
    /// came in that time.
    Interval,
    /// When it is written; the system makes it durable when it likes. A crash of the machine may
    /// take what the system had not written yet.
    Never,
}

/// What happens to requests for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// Clients are told to come back.
    #[default]
    Refuse,
    /// The oldest entries go, counted: they do not run again after a crash.
    DropOldest,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            directory: None,
            max_size: ByteSize::mib(4096),
            segment_size: ByteSize::mib(64),
            sync: Sync::Always,
            sync_interval: Duration::from_secs(1),
            on_full: OnFull::Refuse,
            dedup_window: Duration::from_secs(120),
        }
    }
}

impl ExtensionConfig for JournalConfig {
    const TYPE: &'static str = "journal";
    const EXAMPLE: &'static str = "\
directory: ./catchment-data/journal
max_size: 4GiB
segment_size: 64MiB
sync: always
on_full: refuse
dedup_window: 2m
";

    fn build(&self, host: &Host) -> Result<Arc<dyn Extension>, BuildError> {
        let folder = self.directory.clone().unwrap_or_else(|| host.data_dir.join("journal"));
        let keeping = Keeping {
            max_size: self.max_size,
            segment_size: self.segment_size,
            sync: self.sync,
            sync_interval: self.sync_interval,
            on_full: self.on_full,
            dedup_window: self.dedup_window,
        };
        let (settings, pace) = keeping.settings(folder)?;
        let handle = Arc::new(Handle::new(Role::Journal, settings, pace));
        Ok(Arc::new(JournalExtension { handle }))
    }
}

/// How a log is kept, as the file says it.
struct Keeping {
    max_size: ByteSize,
    segment_size: ByteSize,
    sync: Sync,
    sync_interval: Duration,
    on_full: OnFull,
    dedup_window: Duration,
}

impl Keeping {
    fn settings(&self, folder: PathBuf) -> Result<(Settings, Pace), BuildError> {
        if self.segment_size < MIN_SEGMENT {
            let message = format!("`segment_size` must be at least {MIN_SEGMENT}");
            return Err(BuildError::setting(message));
        }
        if self.max_size.get() / MIN_SEGMENTS < self.segment_size.get() {
            let message = "`max_size` must be at least four times `segment_size`";
            return Err(BuildError::setting(message));
        }
        if self.sync == Sync::Interval && self.sync_interval.is_zero() {
            return Err(BuildError::setting("`sync_interval` must be longer than 0"));
        }
        let settings = Settings {
            folder,
            segment_bytes: self.segment_size.get(),
            max_bytes: self.max_size.get(),
            sync: match self.sync {
                Sync::Always => journal::Sync::Always,
                Sync::Interval | Sync::Never => journal::Sync::Later,
            },
            dedup_window: self.dedup_window.get(),
            on_full: match self.on_full {
                OnFull::Refuse => journal::OnFull::Refuse,
                OnFull::DropOldest => journal::OnFull::DropOldest,
            },
        };
        let pace = match self.sync {
            Sync::Always => Pace { interval: StdDuration::from_secs(1), syncs: true },
            Sync::Interval => Pace { interval: self.sync_interval.get(), syncs: true },
            Sync::Never => Pace { interval: StdDuration::from_secs(1), syncs: false },
        };
        Ok((settings, pace))
    }
}

struct JournalExtension {
    handle: Arc<Handle>,
}

#[async_trait]
impl Extension for JournalExtension {
    async fn start(&self, _listeners: &Listeners, host: &Host) -> Result<(), RunError> {
        let handle = Arc::clone(&self.handle);
        let (metrics, clock) = (host.metrics.clone(), host.clock.clone());
        let opening = tokio::task::spawn_blocking(move || handle.open(&metrics, clock));
        let opened = opening.await.map_err(|error| RunError::new("opening panicked", error))?;
        opened.map_err(|error| RunError::new("cannot open the journal", error))
    }

    async fn stop(&self) {
        let handle = Arc::clone(&self.handle);
        // A thread that panicked was told by the panic hook.
        let _ = tokio::task::spawn_blocking(move || handle.close_all()).await;
    }

    fn journal(&self) -> Option<Arc<dyn Journal>> {
        Some(Arc::<Handle>::clone(&self.handle))
    }
}
