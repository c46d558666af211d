//! What is known of a batch beside its records: who sent it, when, and from which journal entries.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Time;

/// Who sent a batch and when it arrived.
///
/// Batches of different tenants or identities, or that are done with on different routes, never
/// merge; a merged batch keeps the oldest arrival time, and of peer and metadata what is equal in
/// all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The tenant that the data belongs to, if tenants are told apart.
    pub tenant: Option<Arc<str>>,
    /// The address that sent the request.
    pub peer: Option<SocketAddr>,
    /// Who the authenticator says the client is.
    pub identity: Option<Arc<str>>,
    /// Request headers, lower-case names, kept only where the receiver has `include_metadata`.
    pub metadata: BTreeMap<String, Vec<String>>,
    /// When the request was received.
    pub arrived: Time,
    /// The routes which have the records already, when a journal entry runs again.
    pub done: Arc<[Arc<str>]>,
}

/// A request as it came, where it came compressed; inflated it is the bytes of its batch.
#[derive(Clone, Debug)]
pub struct Packed {
    /// How it is compressed, by its name in `content-encoding`.
    pub encoding: &'static str,
    /// The compressed bytes.
    pub bytes: Bytes,
}

/// An entry of a journal: the journal's id, made with its directory, and the entry's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// 128 random bits made with the journal's directory.
    pub journal: u128,
    /// The entry's number in that journal, from 1 up.
    pub number: u64,
}

/// A journal entry that a batch has all of, as far as it goes along a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// The entry.
    pub entry: EntryId,
    /// The way through the file: pipelines, then the exporter.
    pub route: Arc<str>,
}

/// The parts that a batch carries; none without a journal, and none of entries of which other
/// batches have something too.
pub type Parts = SmallVec<[Part; 1]>;

/// Parts whose entries follow one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartRun {
    /// The journal's id.
    pub journal: u128,
    /// The way through the file.
    pub route: Arc<str>,
    /// The number of the first entry.
    pub first: u64,
    /// The number of the last entry.
    pub last: u64,
}
