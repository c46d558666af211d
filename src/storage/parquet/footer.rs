//! What a file says of itself in its footer.

use std::collections::BTreeSet;

use super::rows::TimeRange;
use super::schema::SCHEMA_VERSION;
use crate::data::{Part, Signal, Time};
use crate::storage::parts::to_runs;

/// The keys of the footer's entries.
pub(super) mod key {
    /// The version of the columns.
    pub(in super::super) const SCHEMA_VERSION: &str = "catchment.schema_version";
    /// The signal.
    pub(in super::super) const SIGNAL: &str = "catchment.signal";
    /// What wrote it.
    pub(in super::super) const WRITER: &str = "catchment.writer";
    /// The id of the commit.
    pub(in super::super) const COMMIT: &str = "catchment.commit";
    /// How many files the commit was made of.
    pub(in super::super) const COMMIT_FILES: &str = "catchment.commit_files";
    /// The journal entries that it holds.
    pub(in super::super) const PARTS: &str = "catchment.parts";
    /// The least time of its records.
    pub(in super::super) const MIN_TIME: &str = "catchment.min_time";
    /// The greatest time of its records.
    pub(in super::super) const MAX_TIME: &str = "catchment.max_time";
}

/// A commit: files that ended together. Each stands alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommitId {
    /// 128 random bits.
    pub(super) id: u128,
    /// The number of its files, with those that were lost since.
    pub(super) num_files: usize,
}

/// What stands in the footer of a file.
#[derive(Debug)]
pub(super) struct Footer {
    pub(super) commit: CommitId,
    /// The journal entries of which the commit has all.
    pub(super) parts: BTreeSet<Part>,
    pub(super) times: TimeRange,
}

impl Footer {
    /// Its entries.
    pub(super) fn entries(&self, signal: Signal) -> Vec<(&'static str, String)> {
        let mut entries = vec![
            (key::SCHEMA_VERSION, SCHEMA_VERSION.to_string()),
            (key::SIGNAL, signal.as_str().to_owned()),
            (key::WRITER, format!("catchment {}", env!("CARGO_PKG_VERSION"))),
            (key::COMMIT, format!("{:032x}", self.commit.id)),
            (key::COMMIT_FILES, self.commit.num_files.to_string()),
            (key::PARTS, serde_json::to_string(&to_runs(&self.parts)).unwrap_or_default()),
        ];
        if self.times.max != Time::default() {
            entries.push((key::MIN_TIME, self.times.min.as_unix_nanos().to_string()));
            entries.push((key::MAX_TIME, self.times.max.as_unix_nanos().to_string()));
        }
        entries
    }
}
