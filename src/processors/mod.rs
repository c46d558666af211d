//! Processors: the stages of a pipeline, one folder each.

pub mod attributes;
pub mod batch;
pub mod deltatocumulative;
pub mod filter;
pub mod memory_limiter;
pub mod probabilistic_sampler;
pub mod redaction;
pub mod resource;
#[cfg(test)]
mod test_stage;
pub mod transform;
