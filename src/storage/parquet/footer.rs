//! What a file says of itself in its footer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::rows::TimeRange;
use super::schema::SCHEMA_VERSION;
use crate::data::{EntryId, Signal, Time};

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
    /// Journal entries, each with the route that its records came.
    pub(super) parts: BTreeSet<(EntryId, u32)>,
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
            (key::PARTS, parts_json(&self.parts)),
        ];
        if self.times.max != Time::default() {
            entries.push((key::MIN_TIME, self.times.min.as_unix_nanos().to_string()));
            entries.push((key::MAX_TIME, self.times.max.as_unix_nanos().to_string()));
        }
        entries
    }
}

/// `[{"journal":"<hex>","route":1,"entries":[[3,7],[9,9]]}]`: runs of entries, both ends included.
fn parts_json(parts: &BTreeSet<(EntryId, u32)>) -> String {
    let mut runs: BTreeMap<(u128, u32), Vec<(u64, u64)>> = BTreeMap::new();
    for (entry, route) in parts {
        let runs = runs.entry((entry.journal, *route)).or_default();
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(entry.number) => *last = entry.number,
            _ => runs.push((entry.number, entry.number)),
        }
    }
    let mut text = "[".to_owned();
    for (index, ((journal, route), runs)) in runs.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let runs: Vec<String> =
            runs.iter().map(|(first, last)| format!("[{first},{last}]")).collect();
        let runs = runs.join(",");
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{comma}{{\"journal\":\"{journal:032x}\",\"route\":{route},\"entries\":[{runs}]}}"
        );
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_runs_of_entries_by_journal_and_route() {
        let part = |journal, number, route| (EntryId { journal, number }, route);
        let parts =
            [part(10, 3, 1), part(10, 4, 1), part(10, 5, 2), part(10, 9, 1), part(11, u64::MAX, 1)];
        assert_eq!(
            parts_json(&parts.into_iter().collect()),
            "[{\"journal\":\"0000000000000000000000000000000a\",\"route\":1,\
             \"entries\":[[3,4],[9,9]]},\
             {\"journal\":\"0000000000000000000000000000000a\",\"route\":2,\"entries\":[[5,5]]},\
             {\"journal\":\"0000000000000000000000000000000b\",\"route\":1,\
             \"entries\":[[18446744073709551615,18446744073709551615]]}]"
        );
        assert_eq!(parts_json(&BTreeSet::new()), "[]");
    }
}
