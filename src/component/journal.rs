//! The journal behind the receivers, as the engine sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::message::Cause;
use super::{Answer, Host, RunError};
use crate::config::ComponentId;
use crate::data::{Batch, Packed, PartRun, Signal, Time};

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

    /// Its folder.
    fn folder(&self) -> &Path;

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

    /// The numbers of the entries that were open when the journal was opened, oldest first; nothing
    /// after [`Journal::take_recovered`].
    fn recovered(&self) -> Vec<u64>;

    /// The same; only the first call answers them.
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

/// The queue of an exporter on disk: a log like the journal, whose entries are open until the
/// exporter is done with them. Its "receiver" is the exporter.
#[async_trait]
pub trait Spool: Journal {
    /// Numbers and arrival of the entries that were open when it was opened, oldest first. Only the
    /// first call answers them.
    fn take_found(&self) -> Vec<(u64, Time)>;

    /// The numbers of open entries that went for want of room since the last call.
    fn take_dropped(&self) -> Vec<u64>;

    /// Makes durable what was closed, and gives the folder free.
    async fn end(&self);
}

/// Keeps queues of exporters on disk.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Opens the queue of an exporter for a signal, or begins it.
    ///
    /// # Errors
    ///
    /// Fails when its folder cannot be used, or is in use.
    async fn open(
        &self,
        exporter: &ComponentId,
        signal: Signal,
        host: &Host,
    ) -> Result<Arc<dyn Spool>, RunError>;

    /// What goes to disk; nothing where the file does not say.
    fn extent(&self) -> Option<Extent>;
}

/// What of a queue goes to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything, before clients are answered.
    All,
    /// What memory has no room for, and what is left when the agent stops.
    Overflow,
}
