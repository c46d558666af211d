//! Telemetry as OTLP bytes: what flows between components, how it is checked, read and edited.

mod batch;
mod context;
mod time;

pub use batch::{Batch, Signal};
pub use context::{Context, EntryId, Part, Parts};
pub use time::Time;
