//! Made-up telemetry that looks like the real thing: requests made once, with places that change.

mod draft;
mod fill;
mod logs;
mod metrics;
mod span_ref;
mod template;
#[cfg(test)]
mod tests;
mod traces;
mod words;

pub use draft::ID_BYTES;
pub use fill::write_id;
pub use span_ref::SpanRef;
pub use template::{Shape, Template};
