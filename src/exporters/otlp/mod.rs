//! Exporter `otlp`: OTLP over gRPC, the batch's bytes as they are.

mod call;
mod config;
mod exporter;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use call::outcome;
pub use config::{Balancer, ClientKeepalive, OtlpConfig};
