//! What passes between a driver and its exporter.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::data::{Batch, PartRun, Parts};

/// A boxed cause.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Which requests must stay in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// No order is promised; any free consumer sends it.
    Any,
    /// Requests of one key go one after the other, a retried one before the next.
    Key(u64),
}

/// What an exporter sends.
pub enum Payload {
    /// An encoded body.
    Bytes(Bytes),
    /// The batch itself.
    Batch(Batch),
    /// A form of the exporter's own.
    Native(Box<dyn Any + Send + Sync>),
}

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(formatter, "Bytes({} bytes)", bytes.len()),
            Self::Batch(batch) => write!(formatter, "Batch({} records)", batch.num_records()),
            Self::Native(_) => formatter.write_str("Native"),
        }
    }
}

/// One thing to send, made once and sent again as it is when it has to be retried.
#[derive(Debug)]
pub struct Request {
    /// Which requests it must stay in order with.
    pub lane: Lane,
    /// Log records, spans or data points in it.
    pub num_records: usize,
    /// Size on the wire, or in memory where there is no wire.
    pub size_bytes: usize,
    /// The journal entries that its records come from.
    pub parts: Parts,
    /// What to send.
    pub payload: Payload,
}

/// Records that are refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Log records, spans or data points refused.
    pub num_records: usize,
    /// Why, for people.
    pub reason: String,
}

/// A batch made ready to send.
#[derive(Debug, Default)]
pub struct Prepared {
    /// What to send, in order within a lane.
    pub requests: Vec<Request>,
    /// What this exporter can never send.
    pub rejected: Vec<Rejection>,
}

impl Prepared {
    /// The batch as one request without order.
    #[must_use]
    pub fn whole(batch: Batch) -> Self {
        let request = Request {
            lane: Lane::Any,
            num_records: batch.num_records(),
            size_bytes: batch.size_bytes(),
            parts: batch.parts().clone(),
            payload: Payload::Batch(batch),
        };
        Self { requests: vec![request], rejected: Vec::new() }
    }
}

/// Whether what was sent is safe already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The destination has it.
    Durable,
    /// It is safe after the next flush that succeeds; its answer waits for that.
    Buffered,
}

/// What became of a request that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whether it is safe already.
    pub durability: Durability,
    /// Records that the destination refused for good (partial success).
    pub num_rejected: u64,
    /// Why, as the destination said it.
    pub reason: Option<String>,
}

impl Sent {
    /// All of it is at the destination.
    pub const DURABLE: Self =
        Self { durability: Durability::Durable, num_rejected: 0, reason: None };
    /// All of it waits for the next flush.
    pub const BUFFERED: Self =
        Self { durability: Durability::Buffered, num_rejected: 0, reason: None };
}

/// Why a request was not taken, by what the driver shall do.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Send the same again, not before `after` when it is given.
    #[error("the destination cannot take it now")]
    Retry {
        /// The destination's own wish.
        after: Option<Duration>,
        /// What failed.
        source: Cause,
    },
    /// Never send it again.
    #[error("the destination refuses it")]
    Rejected {
        /// What it said.
        source: Cause,
    },
    /// Of what was sent since the last flush so many records are lost for good; the rest is durable.
    /// From [`Exporter::flush`](super::Exporter::flush) only.
    #[error("{num_records} records are lost")]
    Lost {
        /// How many.
        num_records: u64,
        /// What failed.
        source: Cause,
    },
    /// Send it in halves, in order, before the lane's next; what cannot be halved is rejected.
    #[error("the destination refuses it as a whole")]
    Divide {
        /// What it said.
        source: Cause,
    },
}

/// What an exporter holds durably from before it was started: entries that need not run again on
/// these routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The parts, in no order.
    pub parts: Vec<PartRun>,
}
