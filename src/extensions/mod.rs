//! What runs beside the pipelines.

pub mod basicauth;
pub mod bearertokenauth;
pub mod health_check;
pub mod journal;
mod pages;
pub mod pprof;
#[cfg(test)]
mod tests;
pub mod zpages;
