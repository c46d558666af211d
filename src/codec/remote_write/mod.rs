//! Prometheus remote-write 1.0 from OTLP metrics: names, labels and samples as the
//! OpenTelemetry–Prometheus compatibility specification has them.

mod encode;
mod encoded;
mod label;
mod message;
mod name;
mod native;
mod point_labels;
mod series;
mod target;
#[cfg(test)]
mod tests;
mod translate;

use std::num::NonZeroU64;

pub use encode::{Encoded, Refusal, encode};
pub use label::LabelRules;
pub use name::{NameKind, NameRules};
pub use series::{SeriesEnd, Write};
pub use target::Targets;

/// The bits of the NaN that ends a series; a signalling one, so it is never computed with.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// How metrics become series and requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How metric names are made.
    pub names: NameRules,
    /// How label names are made.
    pub labels: LabelRules,
    /// Added to every series where the name is free.
    pub external_labels: Vec<(String, String)>,
    /// Whether all resource attributes become labels.
    pub resource_to_labels: bool,
    /// Whether name, version and attributes of the scope become labels.
    pub scope_to_labels: bool,
    /// Whether `target_info` is made for each resource.
    pub has_target_info: bool,
    /// Whether type, help and unit of metrics are sent along.
    pub has_metadata: bool,
    /// Over how many lanes series are divided.
    pub num_lanes: NonZeroU64,
    /// Size before compression at which a request ends; a single series may be larger.
    pub max_request_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            names: NameRules::default(),
            labels: LabelRules::default(),
            external_labels: Vec::new(),
            resource_to_labels: false,
            scope_to_labels: false,
            has_target_info: true,
            has_metadata: false,
            num_lanes: NonZeroU64::MIN,
            max_request_bytes: 3_000_000,
        }
    }
}
