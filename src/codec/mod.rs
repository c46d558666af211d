//! Other formats, to and from OTLP bytes.

pub mod inflate;
pub mod otlp_json;
