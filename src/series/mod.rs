//! Series of metrics: which one a data point belongs to, and totals of their points.

mod exponential;
mod histogram;
mod identity;
#[cfg(test)]
mod tests;
mod total;

pub use exponential::{Buckets, ExponentialTotal};
pub use histogram::HistogramTotal;
pub use identity::{Identifier, SeriesHasher, SeriesId};
pub use total::{Total, TotalError, add_numbers};
