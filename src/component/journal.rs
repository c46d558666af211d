//! The journal behind the receivers, as the engine sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Answer;
use super::message::Cause;
use crate::data::{Batch, Packed, PartRun, Time};

/// Stores requests before they are answered for.
///
/// An entry is open until it is closed; open entries outlive the process.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Stores a request that the receiver called `receiver` took in, as it came or plain. Comes back when it is as
    /// durable as the settings ask for.
    ///
    /// # Errors
    ///
    /// With what to tell the client.
    ///
    /// # Cancel safety
    ///
    /// It may be stored and open when the future is dropped.
    async fn append(
        &self,
        receiver: &Arc<str>,
        batch: &Batch,
        packed: Option<Packed>,
    ) -> Result<Stored, Answer>;

    /// Its id, made with its folder.
    fn id(&self) -> u128;

    /// When the oldest entry came that was open when the journal was opened; nothing if none was.
    fn oldest_recovered(&self) -> Option<Time>;

    /// What was marked before this time is durable.
    fn marks_durable_until(&self) -> Time;

    /// Whether all entries of a run were open when the journal was opened, and not done with on its
    /// route. Asked before [`Journal::take_recovered`].
    fn are_outstanding(&self, run: &PartRun) -> bool;

    /// How long exporters may wait with a commit at the most: less than they would where open
    /// entries take much of the journal.
    fn max_wait(&self) -> Duration;

    /// The numbers of the entries that were open when the journal was opened, oldest first. Only
    /// the first call answers them.
    fn take_recovered(&self) -> Vec<u64>;

    /// Reads an open entry.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read.
    async fn read(&self, number: u64) -> Result<JournalEntry, Cause>;

    /// An entry is done with on a route.
    fn mark_done(&self, number: u64, route: &Arc<str>);

    /// Those of the entries of a run that are open are done with on its route.
    fn mark_held(&self, run: &PartRun);

    /// An entry is done with: it does not run again.
    fn close(&self, number: u64);
}

/// What became of a request that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is the entry of this number.
    New(u64),
    /// It came before, and is stored or even done with.
    Repeated,
}

/// An open entry.
#[derive(Clone, Debug)]
pub struct JournalEntry {
    /// The receiver that took it in.
    pub receiver: Arc<str>,
    /// What it took in; its context names the routes on which it is done with.
    pub batch: Batch,
}
