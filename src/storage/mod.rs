//! What is kept on disk: Parquet archives, log indexes, and records that made something panic.

pub mod disk;
pub(crate) mod files;
pub mod journal;
pub mod logindex;
pub mod object;
pub mod parquet;
mod parts;
pub(crate) mod quarantine;
