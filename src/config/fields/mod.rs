//! Field types that cannot be wrong: what a configuration struct is made of.

mod duration;
mod endpoint;
mod literal;
mod optional;
mod pattern;
mod ratio;
mod secret;
mod size;

pub use duration::{Duration, DurationError};
pub use endpoint::{Endpoint, EndpointError, GrpcTarget, HttpUrl};
pub use literal::Literal;
pub use optional::{Optional, Refused};
pub use pattern::Pattern;
pub use ratio::{Percentage, Ratio};
pub use secret::Secret;
pub use size::{ByteSize, ByteSizeError};

/// Names by which the deserializer over nodes knows types that need more than serde can ask for.
pub(super) mod names {
    pub(in crate::config) const DURATION: &str = "catchment::Duration";
    pub(in crate::config) const OPTIONAL: &str = "catchment::Optional";
    pub(in crate::config) const REFUSED: &str = "catchment::Refused";
    pub(in crate::config) const SECRET: &str = "catchment::Secret";
}
