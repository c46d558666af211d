//! Receivers: how telemetry comes in.

pub mod demo;
pub mod otlp;
