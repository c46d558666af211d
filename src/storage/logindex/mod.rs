//! The log index: log records on disk, found by their words, attributes and time.
//!
//! One tantivy index per tenant and window of arrival time (`manifest` shows the folders); the
//! stored document is the record's own OTLP bytes. What is not committed yet is scanned.

mod allowance;
mod at_rest;
mod block;
mod envelopes;
mod error;
mod filter;
mod folder;
mod follow;
mod index;
mod key;
mod keys;
mod lookup;
mod manifest;
mod parts;
mod patience;
mod plan;
mod record;
mod required;
mod scan;
mod schema;
mod search;
mod sieve;
mod stored;
mod tail;
mod times;
mod top;
mod variety;
mod walk;
mod window;
mod words;
mod worker;
mod writer;

pub use allowance::Allowance;
pub use at_rest::{AtRest, read_at_rest};
pub use error::LogIndexError;
pub use filter::{FieldName, Filter, Limit, Row, Test, Wanted};
pub use follow::{Followed, Follower, Unread};
pub use index::{Committed, Full, LogIndex, Settings};
pub use patience::Patience;
pub use record::{Envelope, Found, is_match, severity};
pub use schema::Detail;
pub use search::{Hit, Search, Seen, Snapshot, Source};
pub use top::Order;
pub use words::words;
