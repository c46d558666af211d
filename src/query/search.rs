//! Runs a search over everything that can be searched.

use std::cmp::Reverse;

use crate::storage::logindex::{Hit, LogIndexError, Search, Seen, Snapshot, Source};

/// Finds records over all of `snapshots`, at most `search.limit`, in order.
///
/// Sources that may have what is wanted first are searched first; it ends as soon as what is left
/// cannot come before what was found.
///
/// # Errors
///
/// Fails when files cannot be read or the search takes too long.
pub fn search(snapshots: Vec<Snapshot>, search: &Search) -> Result<Vec<Hit>, LogIndexError> {
    let mut hits: Vec<Hit> = Vec::new();
    for (highest, source) in sources(snapshots, search) {
        let floor = match search.limit.checked_sub(1) {
            Some(last) => hits.get(last).map(|hit| search.order.rank(hit.time)),
            None => Some(i64::MAX),
        };
        if floor.is_some_and(|floor| highest <= floor) {
            break;
        }
        hits.extend(source.search(search, floor)?);
        // Stable, so that of equal times the order within a source stays.
        hits.sort_by_key(|hit| Reverse(search.order.rank(hit.time)));
        let left_out = hits.drain(search.limit.min(hits.len())..);
        search.allowance.give_back(left_out.map(|hit| hit.size_bytes()).sum());
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

/// The sources that may have records of the time that is looked for, each with the highest rank
/// that they may have, in order.
fn sources(snapshots: Vec<Snapshot>, search: &Search) -> Vec<(i64, Source)> {
    let mut sources = Vec::new();
    for source in snapshots.into_iter().flat_map(Snapshot::into_sources) {
        if let Some((min_time, max_time)) = source.times()
            && min_time < search.time.end
            && max_time >= search.time.start
        {
            sources.push((search.order.highest(min_time, max_time), source));
        }
    }
    sources.sort_by_key(|(highest, _)| Reverse(*highest));
    sources
}
