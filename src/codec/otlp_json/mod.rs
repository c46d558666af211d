//! OTLP's JSON form (OTLP specification, "JSON Protobuf Encoding"), to and from OTLP bytes.

mod decode;
mod encode;
mod schema;
mod unknown;

pub use decode::decode;
pub use encode::encode;
pub use unknown::unknown_key;

/// Why a body is not OTLP in JSON; the source says where.
#[derive(Debug, thiserror::Error)]
#[error("the body is not OTLP in JSON")]
pub struct JsonError {
    source: serde_json::Error,
}

#[cfg(test)]
mod tests;
