//! Exporter `parquet`: keeps logs, traces and metrics as Parquet files.

mod exporter;
mod location;

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use serde::Deserialize;

use self::exporter::ParquetExporter;
use self::location::Location;
use crate::component::{
    BuildContext, BuildError, DriverSettings, Exporter, ExporterConfig, Stability,
};
use crate::config::{ByteSize, Duration};
use crate::data::Signal;
use crate::storage::parquet::{self, Format, Partitioning, name_conflict};

/// The least that a row group may take encoded.
const MIN_ROW_GROUP: ByteSize = ByteSize::mib(1);

/// The most rows of a row group; readers hold one in memory.
const MAX_ROW_GROUP_ROWS: usize = 10_000_000;

/// The most columns for attributes.
const MAX_PROMOTED: usize = 256;

/// The most levels of folders below the hour.
const MAX_PARTITION_KEYS: usize = 4;

/// The longest name of an attribute that files are divided by; it is a part of folders' names.
const MAX_PARTITION_KEY: usize = 100;

/// Settings of `parquet`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParquetConfig {
    /// The folder of the archive, as a path or as a URL `file:///…`; by default `archive` in the
    /// data directory. Exporters, and agents, may share one.
    pub path: Option<Location>,
    /// What file names begin with; by default the machine's host name. Letters, digits, `.`, `_`
    /// and `-`, at most 63.
    pub node: Option<String>,
    /// When files end and can be seen.
    pub rotation: Rotation,
    /// When row groups end.
    pub row_group: RowGroup,
    /// How pages are compressed.
    pub compression: Compression,
    /// Attributes, of the record or else the resource, that have a column of their own.
    pub promote_attributes: Vec<String>,
    /// What divides the files of an hour, in this order: `tenant`, or names of attributes, of the
    /// resource, or also of the record for those in `promote_attributes`. At most 4.
    pub partition_by: Vec<String>,
    /// How many partitions have a file of their own in a commit, 1 to 1,000; default 64. Records
    /// of further ones share a file.
    pub max_partitions: MaxPartitions,
    /// When files are removed.
    pub retention: Retention,
}

/// How many partitions have a file of their own in a commit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "usize")]
pub struct MaxPartitions(usize);

impl Default for MaxPartitions {
    fn default() -> Self {
        Self(64)
    }
}

impl TryFrom<usize> for MaxPartitions {
    type Error = String;

    fn try_from(number: usize) -> Result<Self, String> {
        match number {
            1..=1000 => Ok(Self(number)),
            _ => Err(format!("expected 1 to 1000, not {number}")),
        }
    }
}

/// When files end and can be seen, whatever comes first.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// At about this size of a file; default 256MiB.
    pub max_bytes: ByteSize,
    /// At this number of rows in a file; default 5,000,000.
    pub max_rows: NonZeroU64,
    /// When the first record has waited for so long; default 5m.
    pub max_age: Duration,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            max_bytes: ByteSize::mib(256),
            max_rows: NonZeroU64::MIN.saturating_add(4_999_999),
            max_age: Duration::from_secs(300),
        }
    }
}

/// When row groups end, whatever comes first; one is in memory while it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RowGroup {
    /// At this number of rows, at most 10,000,000; default 131,072.
    pub max_rows: NonZeroU64,
    /// At about this size, encoded; at least 1MiB; default 64MiB.
    pub max_bytes: ByteSize,
}

impl Default for RowGroup {
    fn default() -> Self {
        Self { max_rows: NonZeroU64::MIN.saturating_add(131_071), max_bytes: ByteSize::mib(64) }
    }
}

/// How pages are compressed: with zstd.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compression {
    /// The level of zstd, 1 to 22; default 1.
    pub level: u8,
}

impl Default for Compression {
    fn default() -> Self {
        Self { level: 1 }
    }
}

/// When files are removed; by default never.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Files of an hour of arrival that ended so long ago are removed; 0, the default: none for
    /// its age.
    pub max_age: Duration,
    /// While the files of a signal take more, the oldest are removed; 0, the default: none.
    pub max_bytes: ByteSize,
}

impl ExporterConfig for ParquetConfig {
    const TYPE: &'static str = "parquet";
    const EXAMPLE: &'static str = "\
path: ./catchment-data/archive
rotation:
  max_bytes: 256MiB
  max_age: 5m
promote_attributes: [http.route]
retention:
  max_age: 720h
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Beta;
    // An attempt that was given up half-way would put its records in twice.
    const DRIVER_KEYS: &'static [&'static str] = &["retry_on_failure", "sending_queue"];

    fn driver_defaults() -> DriverSettings {
        let mut settings =
            DriverSettings { timeout: StdDuration::ZERO, ..DriverSettings::default() };
        settings.retry.max_elapsed_time = Duration::ZERO;
        settings
    }

    fn memory_bytes(&self) -> usize {
        self.row_group.max_bytes.as_usize()
    }

    fn build(&self, context: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        self.check(context.signal)?;
        let max_rows = usize::try_from(self.row_group.max_rows.get()).unwrap_or(usize::MAX);
        let format = Format {
            row_group: parquet::RowGroup {
                max_rows,
                max_bytes: self.row_group.max_bytes.as_usize(),
            },
            zstd_level: i32::from(self.compression.level),
            promoted: self.promote_attributes.clone(),
        };
        let settings = exporter::Settings {
            folder: self.path.as_ref().map_or_else(
                || context.host.data_dir.join("archive"),
                |location| PathBuf::from(location.path()),
            ),
            node: self.node.clone(),
            id: context.id.to_string(),
            signal: context.signal,
            format,
            partitioning: Partitioning {
                by: self.partition_by.clone(),
                max_open: self.max_partitions.0,
            },
            rotation: parquet::Rotation {
                max_bytes: self.rotation.max_bytes.get(),
                max_rows: self.rotation.max_rows.get(),
            },
            max_age: self.rotation.max_age.get(),
            retention: parquet::Retention {
                max_age: self.retention.max_age.non_zero(),
                max_bytes: Some(self.retention.max_bytes.get()).filter(|bytes| *bytes > 0),
            },
        };
        Ok(Arc::new(ParquetExporter::new(settings, &context.host)))
    }
}

impl ParquetConfig {
    /// Says what is wrong that a single field does not show.
    fn check(&self, signal: Signal) -> Result<(), BuildError> {
        if self.rotation.max_bytes.get() == 0 || self.rotation.max_age.is_zero() {
            return Err(BuildError::setting(
                "`rotation::max_bytes` and `rotation::max_age` must be more than 0",
            ));
        }
        let max_rows = self.row_group.max_rows.get();
        if max_rows > MAX_ROW_GROUP_ROWS as u64 {
            let message = format!("`row_group::max_rows` must be at most {MAX_ROW_GROUP_ROWS}");
            return Err(BuildError::setting(message));
        }
        if self.row_group.max_bytes < MIN_ROW_GROUP {
            let message = format!("`row_group::max_bytes` must be at least {MIN_ROW_GROUP}");
            return Err(BuildError::setting(message));
        }
        if !(1..=22).contains(&self.compression.level) {
            return Err(BuildError::setting("`compression::level` must be from 1 to 22"));
        }
        if self.promote_attributes.len() > MAX_PROMOTED {
            let message = format!("`promote_attributes` has more than {MAX_PROMOTED} names");
            return Err(BuildError::setting(message));
        }
        let is_short = |key: &String| key.len() <= MAX_PARTITION_KEY;
        if self.partition_by.len() > MAX_PARTITION_KEYS || !self.partition_by.iter().all(is_short) {
            let message = format!(
                "`partition_by` must be at most {MAX_PARTITION_KEYS} names of at most \
                 {MAX_PARTITION_KEY} bytes"
            );
            return Err(BuildError::setting(message));
        }
        let conflict = name_conflict(signal, &self.promote_attributes, &self.partition_by);
        if let Some(attribute) = conflict {
            return Err(BuildError::setting(format!(
                "`promote_attributes` or `partition_by`: the column or folder of `{attribute}` \
                 would have the name of another of {}",
                signal.as_str()
            )));
        }
        let is_name = |node: &String| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            (1..=63).contains(&node.len()) && node.bytes().all(is_plain) && !node.starts_with('.')
        };
        if !self.node.as_ref().is_none_or(is_name) {
            return Err(BuildError::setting(
                "`node` must be 1 to 63 letters, digits, `.`, `_` and `-`, and not begin with `.`",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
