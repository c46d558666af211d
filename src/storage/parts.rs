//! Which journal entries a sink holds, as it writes them down: runs of entry numbers by journal and
//! route.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::data::{Part, PartRun};

/// `{"journal":"<32 hexadecimal digits>","route":"logs > parquet","entries":[[3,7],[9,9]]}`: both
/// ends of a run are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteRuns {
    journal: String,
    route: String,
    entries: Vec<(u64, u64)>,
}

/// Writes parts down.
pub(crate) fn to_runs<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Vec<RouteRuns> {
    let sorted: BTreeSet<&Part> = parts.into_iter().collect();
    let mut runs: BTreeMap<(u128, &str), Vec<(u64, u64)>> = BTreeMap::new();
    for Part { entry, route } in sorted {
        let runs = runs.entry((entry.journal, route)).or_default();
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(entry.number) => *last = entry.number,
            _ => runs.push((entry.number, entry.number)),
        }
    }
    let write = |((journal, route), entries): ((u128, &str), _)| RouteRuns {
        journal: format!("{journal:032x}"),
        route: route.to_owned(),
        entries,
    };
    runs.into_iter().map(write).collect()
}

/// Reads what was written; what is not of this form is left out.
pub(crate) fn from_runs(runs: &[RouteRuns]) -> Vec<PartRun> {
    let read = |runs: &RouteRuns| {
        let journal = u128::from_str_radix(&runs.journal, 16).ok()?;
        let route: std::sync::Arc<str> = runs.route.as_str().into();
        let entries = runs.entries.clone().into_iter();
        Some(entries.map(move |(first, last)| PartRun {
            journal,
            route: std::sync::Arc::clone(&route),
            first,
            last,
        }))
    };
    runs.iter().filter_map(read).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::EntryId;

    fn part(journal: u128, number: u64, route: &str) -> Part {
        Part { entry: EntryId { journal, number }, route: route.into() }
    }

    #[test]
    fn parts_are_runs_of_entries_by_journal_and_route() {
        let parts = [
            part(10, 4, "a"),
            part(10, 3, "a"),
            part(10, 5, "b"),
            part(10, 9, "a"),
            part(11, u64::MAX, "a"),
        ];
        let runs = to_runs(&parts);
        assert_eq!(
            serde_json::to_string(&runs).unwrap(),
            "[{\"journal\":\"0000000000000000000000000000000a\",\"route\":\"a\",\
             \"entries\":[[3,4],[9,9]]},\
             {\"journal\":\"0000000000000000000000000000000a\",\"route\":\"b\",\"entries\":[[5,5]]},\
             {\"journal\":\"0000000000000000000000000000000b\",\"route\":\"a\",\
             \"entries\":[[18446744073709551615,18446744073709551615]]}]"
        );
        let run = |journal, route: &str, first, last| PartRun {
            journal,
            route: route.into(),
            first,
            last,
        };
        let read = [run(10, "a", 3, 4), run(10, "a", 9, 9), run(10, "b", 5, 5)];
        assert_eq!(from_runs(&runs)[..3], read);
        assert_eq!(from_runs(&to_runs(&[])), []);
    }
}
