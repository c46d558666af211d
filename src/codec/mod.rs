//! Other formats, to and from OTLP bytes.

pub mod compress;
pub mod inflate;
pub mod otlp_answer;
pub mod otlp_json;
pub mod remote_write;
