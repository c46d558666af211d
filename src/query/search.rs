//! Runs a search over everything that can be searched.

use std::cmp::Reverse;

use crate::storage::logindex::{Hit, LogIndexError, Search, Seen, Snapshot, Source};

/// Finds the newest records, at most `search.limit`, over all of `snapshots`; newest first.
///
/// Sources that may have the newest records are searched first; it ends as soon as what is left
/// cannot have newer ones than were found.
///
/// # Errors
///
/// Fails when files cannot be read or the search takes too long.
pub fn search(snapshots: Vec<Snapshot>, search: &Search) -> Result<Vec<Hit>, LogIndexError> {
    let mut hits: Vec<Hit> = Vec::new();
    for (max_time, source) in sources(snapshots, search) {
        let floor = match search.limit.checked_sub(1) {
            Some(last) => hits.get(last).map(|hit| hit.time),
            None => Some(i64::MAX),
        };
        if floor.is_some_and(|floor| max_time <= floor) {
            break;
        }
        hits.extend(source.search(search, floor)?);
        // Stable, so that of equal times the order within a source stays.
        hits.sort_by_key(|hit| Reverse(hit.time));
        hits.truncate(search.limit);
    }
    Ok(hits)
}

/// Calls `each` for every record over all of `snapshots` that matches, in no order; the limit does
/// not count.
///
/// # Errors
///
/// Fails when files cannot be read or the search takes too long.
pub fn visit(
    snapshots: Vec<Snapshot>,
    search: &Search,
    mut each: impl FnMut(Seen),
) -> Result<(), LogIndexError> {
    for (_, source) in sources(snapshots, search) {
        source.visit(search, &mut each)?;
    }
    Ok(())
}

/// The sources that may have records of the time that is looked for, the newest first.
fn sources(snapshots: Vec<Snapshot>, search: &Search) -> Vec<(i64, Source)> {
    let mut sources = Vec::new();
    for source in snapshots.into_iter().flat_map(Snapshot::into_sources) {
        if let Some((min_time, max_time)) = source.times()
            && min_time < search.time.end
            && max_time >= search.time.start
        {
            sources.push((max_time, source));
        }
    }
    sources.sort_by_key(|(max_time, _)| Reverse(*max_time));
    sources
}
