//! What an archive holds from before it was opened: the journal entries in the footers of its files.

use std::collections::BTreeMap;
use std::time::Duration;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use tracing::{info, warn};

use super::error::ParquetArchiveError;
use super::footer::key;
use crate::data::{PartRun, Signal, Time};
use crate::storage::object::{Object, ObjectStore};
use crate::storage::parts::{RouteRuns, from_runs};

/// So much of a file's end is read first; longer footers are read once more.
const END_BYTES: u64 = 64 << 10;

/// Files may be dated a little before what is in them arrived: file systems count coarsely.
const SLACK: Duration = Duration::from_secs(2);

/// A commit as its files tell of it.
#[derive(Default)]
struct Commit {
    num_files: usize,
    files: Vec<String>,
    parts: Vec<PartRun>,
}

/// The entries of the journal that whole commits have, among files that were written after `since`.
pub(super) fn held(
    store: &dyn ObjectStore,
    signal: Signal,
    (journal, since): (u128, Time),
    are_outstanding: &dyn Fn(&PartRun) -> bool,
) -> Result<Vec<PartRun>, ParquetArchiveError> {
    let mut commits: BTreeMap<String, Commit> = BTreeMap::new();
    for file in store.list(signal.as_str())? {
        if file.modified.saturating_add(SLACK) < since {
            continue;
        }
        match read_footer(store, &file) {
            Ok(metadata) => note(&mut commits, file.name, &metadata, journal),
            Err(Unreadable::Store(error)) => return Err(error),
            Err(Unreadable::File(error)) => {
                warn!(name = file.name, %error, "a Parquet file cannot be read");
            }
        }
    }
    let (whole, torn): (Vec<_>, Vec<_>) =
        commits.into_values().partition(|commit| commit.files.len() >= commit.num_files);
    for Commit { files, parts, .. } in torn {
        // One that was answered for was whole, and lost a file since.
        if parts.is_empty() || !parts.iter().all(are_outstanding) {
            continue;
        }
        for name in files {
            store.delete(&name)?;
            info!(name, "removed a Parquet file of a commit that was not finished");
        }
    }
    Ok(whole.into_iter().flat_map(|commit| commit.parts).collect())
}

fn note(
    commits: &mut BTreeMap<String, Commit>,
    name: String,
    metadata: &ParquetMetaData,
    journal: u128,
) {
    let entries = metadata.file_metadata().key_value_metadata();
    let value = |key: &str| {
        let mut entries = entries.into_iter().flatten();
        entries.find(|entry| entry.key == key).and_then(|entry| entry.value.clone())
    };
    let parsed = || {
        let runs: Vec<RouteRuns> = serde_json::from_str(&value(key::PARTS)?).ok()?;
        Some((value(key::COMMIT)?, value(key::COMMIT_FILES)?.parse().ok()?, runs))
    };
    // Somebody else's file.
    let Some((commit, num_files, runs)) = parsed() else { return };
    let commit = commits.entry(commit).or_default();
    commit.num_files = num_files;
    commit.files.push(name);
    commit.parts.extend(from_runs(&runs).into_iter().filter(|run| run.journal == journal));
}

/// Why a footer could not be read.
enum Unreadable {
    /// The store fails.
    Store(ParquetArchiveError),
    /// The file is none, or damaged.
    File(ParquetError),
}

fn read_footer(store: &dyn ObjectStore, file: &Object) -> Result<ParquetMetaData, Unreadable> {
    let mut num_bytes = END_BYTES.min(file.size_bytes);
    loop {
        let end = store.read_end(&file.name, num_bytes);
        let end = end.map_err(|error| Unreadable::Store(error.into()))?;
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(&end, file.size_bytes) {
            Ok(()) => return reader.finish().map_err(Unreadable::File),
            Err(ParquetError::NeedMoreData(needed)) if num_bytes < file.size_bytes => {
                num_bytes = (needed as u64).clamp(num_bytes + 1, file.size_bytes);
            }
            Err(error) => return Err(Unreadable::File(error)),
        }
    }
}
