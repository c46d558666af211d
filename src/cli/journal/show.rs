//! How entries and files of a journal are shown.

use serde::{Deserialize, Serialize};

use crate::api;
use crate::data::Time;
use crate::storage::journal::{AtRest, EntryAtRest, SegmentAtRest};

/// What is shown of who sent a request: what clients said of themselves beyond that may be secret.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Origin {
    #[serde(default)]
    receiver: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
}

impl Origin {
    fn of(entry: &EntryAtRest) -> Self {
        serde_json::from_slice(&entry.origin).unwrap_or_default()
    }
}

/// An entry as JSON.
#[derive(Serialize)]
struct Line<'a> {
    number: u64,
    arrived: String,
    signal: &'static str,
    size_bytes: usize,
    #[serde(flatten)]
    origin: Origin,
    is_open: bool,
    done: Vec<&'a str>,
}

/// An entry as a line of JSON.
pub(super) fn json(entry: &EntryAtRest) -> serde_json::Result<String> {
    serde_json::to_string(&Line {
        number: entry.number,
        arrived: time(entry.arrived),
        signal: entry.signal.as_str(),
        size_bytes: entry.body_bytes,
        origin: Origin::of(entry),
        is_open: entry.is_open,
        done: entry.done.iter().map(|route| &**route).collect(),
    })
}

/// An entry as a line for people. What came from outside is escaped.
pub(super) fn line(entry: &EntryAtRest) -> String {
    let EntryAtRest { number, signal, body_bytes, is_open, .. } = entry;
    let Origin { receiver, tenant } = Origin::of(entry);
    let state = if *is_open { "open" } else { "closed" };
    let tenant = tenant.map(|tenant| format!(" tenant={}", tenant.escape_debug()));
    let done: String = entry.done.iter().map(|route| format!(" done={route}")).collect();
    format!(
        "{number} {} {} {body_bytes} {} {state}{}{done}",
        time(entry.arrived),
        signal.as_str(),
        receiver.escape_debug(),
        tenant.unwrap_or_default(),
    )
}

/// A file as a line for people.
pub(super) fn segment(segment: &SegmentAtRest) -> String {
    let SegmentAtRest { path, size_bytes, num_entries, num_open, torn_bytes, damaged_bytes } =
        segment;
    let mut text =
        format!("{}: {size_bytes} bytes, {num_entries} entries, {num_open} open", path.display());
    if *damaged_bytes > 0 {
        text.push_str(&format!(", {damaged_bytes} bytes damaged"));
    }
    if *torn_bytes > 0 {
        text.push_str(&format!(", {torn_bytes} bytes behind the last promised entry"));
    }
    text
}

/// What there is in all.
pub(super) fn summary(journal: &AtRest) -> String {
    let num_open = journal.entries.iter().filter(|entry| entry.is_open).count();
    let open_bytes: usize =
        journal.entries.iter().filter(|entry| entry.is_open).map(|entry| entry.body_bytes).sum();
    let num_closed = journal.entries.len() - num_open;
    let num_files = journal.segments.len();
    format!("{num_open} open entries of {open_bytes} bytes, {num_closed} closed, {num_files} files")
}

fn time(time: Time) -> String {
    i64::try_from(time.as_unix_nanos()).map_or_else(|_| "?".to_owned(), api::show_time)
}
