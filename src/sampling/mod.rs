//! Probability sampling: randomness, thresholds, and how they travel with spans and log records.
//!
//! The model is OpenTelemetry's consistent probability sampling: an item has 56 bits of
//! [`Randomness`], a sampler has a rejection [`Threshold`], and the item is kept if the threshold
//! is at most the randomness
//! (<https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>).

mod hash;
mod threshold;
mod trace_state;

pub use hash::{HashBuckets, fnv1a32};
pub use threshold::{Randomness, SamplingError, SamplingState, Threshold};
pub use trace_state::{TraceState, TraceStateError};
