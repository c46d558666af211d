//! Extension `file_storage`: keeps queues of exporters on disk, each in a folder of its own.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::handle::Handle;
use super::writer::{Pace, Role};
use super::{Keeping, OnFull, Sync};
use crate::component::{
    BuildError, Extension, ExtensionConfig, Extent, Host, Listeners, RunError, Spool, Storage,
};
use crate::config::{ByteSize, ComponentId, Duration};
use crate::data::Signal;
use crate::storage::disk::LocalDisk;
use crate::storage::journal::Settings;

/// Settings of `file_storage`: the Collector's, and those of `journal`, for each queue.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileStorageConfig {
    /// Its folder, with a folder for each queue in it; by default `file_storage` in the data
    /// directory.
    pub directory: Option<PathBuf>,
    /// Whether the folder is made when it is missing; default true.
    pub create_directory: bool,
    /// With which permissions, in octal, less the umask; default 0750.
    pub directory_permissions: Permissions,
    /// True: as `sync: always`. False says nothing, for `sync` does.
    pub fsync: bool,
    /// Taken and without effect: a folder is locked or it is not.
    pub timeout: Duration,
    /// Taken and without effect: files go when what is in them was sent.
    pub compaction: Compaction,
    /// Taken and without effect: a damaged file is always set aside.
    pub recreate: bool,
    /// What of a queue goes to disk: `all`, or with `overflow` only what memory has no room for and
    /// what is left at the end; default `overflow` for logs and traces with a journal, else `all`.
    pub store: Option<Store>,
    /// What each queue may take on disk, at least four segments; default 4GiB.
    pub max_size: ByteSize,
    /// The size of its files, at least 1MiB; default 16MiB.
    pub segment_size: ByteSize,
    /// When a request counts as stored; default `always`.
    pub sync: Option<Sync>,
    /// With `sync: interval`: after what time everything is durable; default 1s.
    pub sync_interval: Duration,
    /// What happens when a queue has `max_size` and all is needed; default `refuse`.
    pub on_full: OnFull,
}

/// `compaction`: settings of the Collector's database.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compaction {
    directory: Option<PathBuf>,
    on_start: bool,
    on_rebound: bool,
    rebound_needed_threshold_mib: Option<u64>,
    rebound_trigger_threshold_mib: Option<u64>,
    max_transaction_size: Option<u64>,
    check_interval: Option<Duration>,
    cleanup_on_start: bool,
}

/// What of a queue goes to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// Everything, before clients are answered.
    All,
    /// What memory has no room for, and what is left at the end.
    Overflow,
}

/// Permissions of a folder: up to four octal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Permissions(u32);

impl TryFrom<String> for Permissions {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or_else(|| format!("`{text}` are no permissions, such as `0750`"))
    }
}

impl Default for FileStorageConfig {
    fn default() -> Self {
        Self {
            directory: None,
            create_directory: true,
            directory_permissions: Permissions(0o750),
            fsync: false,
            timeout: Duration::from_secs(1),
            compaction: Compaction::default(),
            recreate: false,
            store: None,
            max_size: ByteSize::mib(4096),
            segment_size: ByteSize::mib(16),
            sync: None,
            sync_interval: Duration::from_secs(1),
            on_full: OnFull::Refuse,
        }
    }
}

impl ExtensionConfig for FileStorageConfig {
    const TYPE: &'static str = "file_storage";
    const EXAMPLE: &'static str = "\
directory: ./catchment-data/file_storage
max_size: 4GiB
segment_size: 16MiB
sync: always
on_full: refuse
";

    fn build(&self, host: &Host) -> Result<Arc<dyn Extension>, BuildError> {
        let sync = match self.sync {
            Some(Sync::Interval | Sync::Never) if self.fsync => {
                return Err(BuildError::setting(
                    "`fsync` is `sync: always`, `sync` says otherwise",
                ));
            }
            sync => sync.unwrap_or_default(),
        };
        let directory =
            self.directory.clone().unwrap_or_else(|| host.data_dir.join("file_storage"));
        let keeping = Keeping {
            max_size: self.max_size,
            segment_size: self.segment_size,
            sync,
            sync_interval: self.sync_interval,
            on_full: self.on_full,
            dedup_window: Duration::ZERO,
        };
        let (settings, pace) = keeping.settings(directory)?;
        let mode = self.create_directory.then_some(self.directory_permissions.0);
        let extent = self.store.map(|store| match store {
            Store::All => Extent::All,
            Store::Overflow => Extent::Overflow,
        });
        let spools = Arc::new(Spools { settings, pace, extent, open: Mutex::default() });
        Ok(Arc::new(FileStorage { mode, spools }))
    }
}

struct FileStorage {
    /// The permissions of the folder, where it may be made.
    mode: Option<u32>,
    spools: Arc<Spools>,
}

/// The queues.
struct Spools {
    /// Of each, but for the folder, in which theirs are.
    settings: Settings,
    pace: Pace,
    extent: Option<Extent>,
    /// Those that were opened; some may have ended.
    open: Mutex<Vec<Arc<Handle>>>,
}

#[async_trait]
impl Extension for FileStorage {
    async fn start(&self, _listeners: &Listeners, _host: &Host) -> Result<(), RunError> {
        let (folder, mode) = (self.spools.settings.folder.clone(), self.mode);
        let made = spawn_blocking(move || see_to_folder(&folder, mode)).await;
        made.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
            let folder = self.spools.settings.folder.display();
            RunError::new(format!("cannot use the folder `{folder}`"), error)
        })
    }

    async fn stop(&self) {
        let open = std::mem::take(&mut *self.spools.lock());
        for spool in open {
            spool.end().await;
        }
    }

    fn storage(&self) -> Option<Arc<dyn Storage>> {
        Some(Arc::<Spools>::clone(&self.spools))
    }
}

/// Makes the folder when it is missing and may be made.
fn see_to_folder(folder: &Path, mode: Option<u32>) -> io::Result<()> {
    if let Some(mode) = mode {
        LocalDisk.create_folder_with(folder, mode)?;
    }
    if folder.metadata()?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

impl Spools {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Handle>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for Spools {
    async fn open(
        &self,
        exporter: &ComponentId,
        signal: Signal,
        host: &Host,
    ) -> Result<Arc<dyn Spool>, RunError> {
        let mut settings = self.settings.clone();
        settings.folder.push(folder_name(exporter, signal));
        let role = Role::Spool(exporter.clone(), signal);
        let handle = Arc::new(Handle::new(role, settings, self.pace));
        let (opened, metrics, clock) =
            (Arc::clone(&handle), host.metrics.clone(), host.clock.clone());
        let opening = spawn_blocking(move || opened.open(&metrics, clock)).await;
        let opening = opening.map_err(|error| RunError::new("opening panicked", error))?;
        opening.map_err(|error| RunError::new("cannot open the spool", error))?;
        let mut open = self.lock();
        open.retain(|spool| spool.is_open());
        open.push(Arc::clone(&handle));
        Ok(handle)
    }

    fn extent(&self) -> Option<Extent> {
        self.extent
    }
}

/// What the Collector calls the file of a queue: `exporter_<type>_<name>_<signal>`, unsafe
/// characters as `~` and their number.
fn folder_name(exporter: &ComponentId, signal: Signal) -> String {
    let mut folder = format!("exporter_{}_", exporter.kind());
    for letter in exporter.name().unwrap_or_default().chars() {
        if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_') {
            folder.push(letter);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(folder, "~{:04X}", u32::from(letter));
        }
    }
    folder.push('_');
    folder.push_str(signal.as_str());
    folder
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::{Node, from_node};

    fn read(text: &str) -> Result<FileStorageConfig, String> {
        let node = Node::parse("x.yaml", text).unwrap();
        from_node(&node, "file_storage").map_err(|found| format!("{found:?}"))
    }

    #[test]
    fn settings_of_the_collector_are_taken() {
        let text = "
directory: /var/lib/otelcol/mydir
timeout: 1s
compaction:
  directory: /tmp
  on_start: true
  on_rebound: true
  rebound_needed_threshold_mib: 100
  rebound_trigger_threshold_mib: 10
  max_transaction_size: 65_536
  check_interval: 5s
  cleanup_on_start: true
fsync: false
create_directory: true
directory_permissions: 0750
recreate: true
";
        let config = read(text).unwrap();
        assert_eq!(config.directory.unwrap(), Path::new("/var/lib/otelcol/mydir"));
        assert_eq!(config.directory_permissions, Permissions(0o750));
        assert!(read("directory_permissions: 0850").is_err());
        assert!(read("max_sise: 1GiB").is_err());
    }

    #[test]
    fn folders_are_called_as_the_collector_calls_its_files() {
        let name = |id: &str| folder_name(&id.parse().unwrap(), Signal::Logs);
        assert_eq!(name("otlp"), "exporter_otlp__logs");
        assert_eq!(name("otlp/far_away"), "exporter_otlp_far_away_logs");
        assert_eq!(name("otlp/a/b"), "exporter_otlp_a~002Fb_logs");
    }

    #[test]
    fn folder_is_made_with_its_permissions_or_must_be_there() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("a/b");
        assert!(see_to_folder(&folder, None).is_err());
        see_to_folder(&folder, Some(0o700)).unwrap();
        see_to_folder(&folder, None).unwrap();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}
