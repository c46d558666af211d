//! What runs beside the pipelines.

pub mod basicauth;
pub mod bearertokenauth;
