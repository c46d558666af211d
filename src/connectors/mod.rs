//! Connectors: they end some pipelines and begin others; one folder each.

pub mod count;
pub mod forward;
pub mod routing;
