//! Exporter `logindex`: keeps logs on disk so that they can be searched.

mod exporter;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use serde::Deserialize;

use self::exporter::LogIndexExporter;
use crate::component::{
    BuildContext, BuildError, DriverSettings, Exporter, ExporterConfig, Stability,
};
use crate::config::{ByteSize, ComponentId, Duration};
use crate::data::Signal;
use crate::storage::logindex::{Detail, Settings};

/// The least memory that an index works with.
const MIN_MEMORY: ByteSize = ByteSize::mib(16);

/// Windows are so long or several times as long: batches of one such time are never merged with
/// those of another, so that all records of a batch belong into one window.
const WINDOW_UNIT: StdDuration = StdDuration::from_secs(60);

/// The longest window.
const MAX_WINDOW: StdDuration = StdDuration::from_secs(24 * 3600);

/// Settings of `logindex`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogIndexConfig {
    /// The folder of the index; by default `index` in the data directory.
    pub directory: Option<PathBuf>,
    /// The length of a window of arrival time, each with an index of its own: whole minutes
    /// from 1m to 24h; default 1h. Retention removes whole windows.
    pub window: Duration,
    /// How much of a record is made into terms; default `full`. The answers are the same.
    pub detail: Detail,
    /// How long records wait for a commit at the most, in memory but found; default 15s.
    pub commit_interval: Duration,
    /// What records may take in memory until they are committed, at least 16MiB; default 256MiB.
    /// At half of it a commit is due.
    pub memory: ByteSize,
    /// When windows are removed.
    pub retention: Retention,
}

/// When windows are removed; by default never.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Windows that ended so long ago are removed; 0, the default: none for its age.
    pub max_age: Duration,
    /// While the index takes more on disk, its oldest windows are removed; 0, the default: none.
    pub max_bytes: ByteSize,
}

impl Default for LogIndexConfig {
    fn default() -> Self {
        Self {
            directory: None,
            window: Duration::from_secs(3600),
            detail: Detail::Full,
            commit_interval: Duration::from_secs(15),
            memory: ByteSize::mib(256),
            retention: Retention::default(),
        }
    }
}

impl ExporterConfig for LogIndexConfig {
    const TYPE: &'static str = "logindex";
    const EXAMPLE: &'static str = "\
directory: ./catchment-data/index
window: 1h
detail: full
commit_interval: 15s
retention:
  max_age: 168h
  max_bytes: 20GiB
";
    const SIGNALS: &'static [Signal] = &[Signal::Logs];
    const STABILITY: Stability = Stability::Beta;

    // It refuses nothing for good, so that there are no dead letters.
    const DRIVER_KEYS: &'static [&'static str] = &["timeout", "retry_on_failure", "sending_queue"];

    fn driver_defaults() -> DriverSettings {
        // A send that was dropped half-way would put its records in twice.
        let mut settings =
            DriverSettings { timeout: StdDuration::ZERO, ..DriverSettings::default() };
        settings.retry.max_elapsed_time = Duration::ZERO;
        settings
    }

    fn memory_bytes(&self) -> usize {
        self.memory.as_usize()
    }

    fn build(&self, context: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        let window = self.window.get();
        let is_whole = window.as_nanos().is_multiple_of(WINDOW_UNIT.as_nanos());
        if window < WINDOW_UNIT || window > MAX_WINDOW || !is_whole {
            return Err(BuildError::setting("`window` must be whole minutes, from 1m to 24h"));
        }
        if self.memory < MIN_MEMORY {
            return Err(BuildError::setting(format!("`memory` must be at least {MIN_MEMORY}")));
        }
        if self.commit_interval.is_zero() {
            return Err(BuildError::setting("`commit_interval` must be longer than 0"));
        }
        let settings = Settings {
            directory: self
                .directory
                .clone()
                .unwrap_or_else(|| context.host.data_dir.join(default_folder(&context.id))),
            window,
            detail: self.detail,
            memory_bytes: self.memory.as_usize(),
            max_age: self.retention.max_age.non_zero(),
            max_size_bytes: Some(self.retention.max_bytes.get()).filter(|size| *size > 0),
        };
        let commit_interval = self.commit_interval.get();
        let id = context.id.to_string();
        Ok(Arc::new(LogIndexExporter::new(id, settings, commit_interval, &context.host)))
    }
}

/// Two exporters must not share a folder.
fn default_folder(id: &ComponentId) -> String {
    let name = id.to_string();
    match name.split_once('/') {
        Some((_, name)) => {
            let is_plain = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_');
            let name: String =
                name.chars().map(|char| if is_plain(char) { char } else { '_' }).collect();
            format!("index-{name}")
        }
        None => "index".to_owned(),
    }
}

#[cfg(test)]
mod tests;
