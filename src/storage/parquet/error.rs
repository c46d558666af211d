//! What can go wrong with an archive.

use parquet::errors::ParquetError;

use super::super::object::ObjectError;

/// Why an archive cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParquetArchiveError {
    /// The store failed; nothing is lost, and the same may be tried again.
    #[error("the archive cannot be written")]
    Store(#[from] ObjectError),
    /// Records could not be encoded.
    #[error("records cannot be encoded as Parquet")]
    Encode(#[source] ParquetError),
    /// It was not opened.
    #[error("the archive is not open")]
    NotOpen,
    /// A file cannot be read.
    #[error("cannot read a Parquet file")]
    Read(#[source] ParquetError),
    /// A file is none of ours, or its columns are not what they should be.
    #[error("not a file of this archive: {what}")]
    Foreign {
        /// What is wrong.
        what: String,
    },
    /// A file was written by a later version.
    #[error("schema version {found}, at most {known} is known")]
    Version {
        /// The version of the file.
        found: u32,
        /// The latest version that can be read.
        known: u32,
    },
}
