//! Processors: the stages of a pipeline, one folder each.

pub mod batch;
pub mod deltatocumulative;
pub mod memory_limiter;
pub mod probabilistic_sampler;
