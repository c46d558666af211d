//! Exporter `otlphttp`: OTLP over HTTP, in protobuf or JSON.

mod config;
mod exporter;
#[cfg(test)]
mod tests;

pub use config::OtlpHttpConfig;
pub use exporter::Encoding;
pub(crate) use exporter::outcome;
