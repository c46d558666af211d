//! The Parquet archive: records as rows of flat, stable columns, and back.
//!
//! `docs/parquet.md` describes folders, columns and footers; `columns_of` is their table.

mod archive;
mod attributes;
mod columns;
mod columns_of;
mod envelope;
mod error;
mod file;
mod footer;
mod logs;
mod metrics;
mod read;
mod rows;
mod schema;
mod text;
mod traces;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use archive::{Archive, Settings};
pub use error::ParquetArchiveError;
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

/// The first attribute whose column would have the name of another column, or no name at all.
#[must_use]
pub fn promotion_conflict(signal: crate::data::Signal, promoted: &[String]) -> Option<&str> {
    let mut taken: Vec<String> =
        schema::columns(signal, &[]).into_iter().map(|column| column.name.into_owned()).collect();
    promoted.iter().map(String::as_str).find(|attribute| {
        let name = schema::promoted_name(attribute);
        let is_conflict = name.is_empty() || taken.contains(&name);
        taken.push(name);
        is_conflict
    })
}
