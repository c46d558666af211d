//! Exporter `prometheusremotewrite`: metrics to Prometheus and what speaks its remote-write 1.0.

mod config;
mod exporter;
mod request;
#[cfg(test)]
mod tests;

pub use config::{
    NoWal, ProtobufMessage, RemoteWriteConfig, RemoteWriteQueue, Switch, TargetInfo,
    TranslationStrategy,
};
