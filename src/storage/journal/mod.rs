//! A log of requests on disk: the journal behind the receivers, and the spools of exporters.
//!
//! A log is a folder of segments (`format`). Requests are appended in groups that one sync makes
//! durable, marked as done with, on one route or on all, and a segment goes when all its entries
//! are closed. What a crash leaves is read at [`Log::open`]: entries that are not closed are open
//! again, a torn end is cut, what was damaged is set aside.

mod at_rest;
mod deaths;
mod error;
mod executing;
mod format;
mod head;
mod lock;
mod log;
mod recent;
mod recover;
mod runs;
mod segments;
#[cfg(test)]
mod tests;

pub use at_rest::{AtRest, EntryAtRest, SegmentAtRest};
pub use deaths::{Deaths, MAX_DEATHS};
pub use error::{AppendError, OpenError};
pub use executing::{Executing, Noted, Slot, executed};
pub use lock::Lock;
pub use log::{Appended, Entry, Log, NewEntry, OnFull, Settings, Sync};
pub use recover::{OpenEntry, Recovered};
