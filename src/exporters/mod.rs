//! What sends telemetry on.

pub mod client_settings;
pub mod debug;
mod http_answer;
pub mod logindex;
pub mod nop;
pub mod otlp;
pub mod otlphttp;
pub mod parquet;
pub mod prometheusremotewrite;
#[cfg(test)]
pub(crate) mod test_server;
