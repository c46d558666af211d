//! Receivers: how telemetry comes in.

pub mod otlp;
