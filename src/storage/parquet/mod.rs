//! The Parquet archive: records as rows of flat, stable columns, and back.
//!
//! `docs/parquet.md` describes folders, columns and footers; `columns_of` is their table.

mod archive;
mod attributes;
mod columns;
mod columns_of;
mod dictionary;
mod envelope;
mod error;
mod file;
mod footer;
mod group;
mod held;
mod hybrid;
mod logs;
mod metrics;
mod partition;
mod range;
mod read;
mod recovery;
mod repeated;
mod retention;
mod rows;
mod schema;
mod text;
mod traces;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use archive::{Archive, Lost, Settings};
pub use error::ParquetArchiveError;
pub use partition::Partitioning;
pub use read::FileReader;
pub use schema::SCHEMA_VERSION;

/// How rows are written.
#[derive(Clone, Debug)]
pub struct Format {
    /// When a row group ends.
    pub row_group: RowGroup,
    /// The level of zstd, 1 to 22.
    pub zstd_level: i32,
    /// Attributes that have a column of their own.
    pub promoted: Vec<String>,
}

/// When a row group ends.
#[derive(Clone, Copy, Debug)]
pub struct RowGroup {
    /// At so many rows.
    pub max_rows: usize,
    /// At about so many encoded bytes.
    pub max_bytes: usize,
}

/// When a commit is due.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// At about so many bytes in a file.
    pub max_bytes: u64,
    /// At so many rows in a file.
    pub max_rows: u64,
}

/// When files are removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// The hour in which their records arrived ended so long ago.
    pub max_age: Option<Duration>,
    /// All files of the signal take more bytes.
    pub max_bytes: Option<u64>,
}

/// The first attribute whose column, or folder, would have the name of another, or no name at all.
#[must_use]
pub fn name_conflict<'a>(
    signal: crate::data::Signal,
    promoted: &'a [String],
    partition_by: &'a [String],
) -> Option<&'a str> {
    let mut taken: Vec<String> =
        schema::columns(signal, &[]).into_iter().map(|column| column.name.into_owned()).collect();
    let columns = promoted.iter().map(|attribute| (attribute, schema::promoted_name(attribute)));
    let folders = partition_by.iter().map(|key| (key, partition::folder_name(key)));
    let conflict = columns.chain(folders).find(|(attribute, name)| {
        let is_conflict = attribute.is_empty() || taken.contains(name);
        taken.push(name.clone());
        is_conflict
    });
    conflict.map(|(attribute, _)| attribute.as_str())
}
