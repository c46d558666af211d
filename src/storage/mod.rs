//! What is kept on disk: Parquet archives and log indexes.

pub mod disk;
pub mod journal;
pub mod logindex;
pub mod object;
pub mod parquet;
