//! Edits of batches: each makes a new batch, and copies only what changes.

mod assemble;
mod attributes_mut;
mod concat;
mod decoded;
mod message_mut;
mod partition;
mod patch;
mod records_mut;
mod regroup;
mod retain;
mod rewrite;
mod split;
mod walk;

pub use attributes_mut::{AttributeEdit, AttributesMut};
pub use concat::ConcatError;
pub use message_mut::MessageMut;
pub use records_mut::{LogRecordMut, MetricMut, PointMut, ResourceMut, ScopeMut, SpanMut};
pub use regroup::Regroup;
