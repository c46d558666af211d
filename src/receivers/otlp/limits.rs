//! What a request, and a record of it, may hold at most.

use serde::Deserialize;

use crate::component::BuildError;
use crate::config::ByteSize;
use crate::data::{self, DoorLimits};

/// The most levels that may be allowed.
const MAX_NESTING: usize = 96;

/// What to do with text that is not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InvalidUtf8 {
    /// Put U+FFFD in the place of what is wrong, in that field, and count it.
    #[default]
    Replace,
    /// Refuse the request.
    Refuse,
}

/// What may come in.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest record; a larger one is rejected alone. Default 16 MiB.
    pub max_record_size: ByteSize,
    /// Largest resource or scope; the records of a larger one are rejected. Default 1 MiB.
    pub max_resource_size: ByteSize,
    /// Most attributes of a record, at any depth, and of a resource or scope; a record with more
    /// is rejected alone. Default 65536.
    pub max_attributes: usize,
    /// Most records of a request; one with more is refused. Default 2000000.
    pub max_records: usize,
    /// Most levels of messages below the request, at most 96; a deeper request is refused.
    /// Default 64.
    pub max_nesting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = DoorLimits::default();
        Self {
            max_record_size: ByteSize::bytes(limits.max_record_bytes as u64),
            max_resource_size: ByteSize::bytes(limits.max_resource_bytes as u64),
            max_attributes: limits.max_attributes,
            max_records: limits.max_records,
            max_nesting: limits.max_nesting,
        }
    }
}

impl Limits {
    /// As the door takes them.
    pub(super) fn door(&self, invalid_utf8: InvalidUtf8) -> Result<DoorLimits, BuildError> {
        if self.max_nesting > MAX_NESTING {
            let message = format!("`max_nesting` is {}, at most {MAX_NESTING}", self.max_nesting);
            return Err(BuildError::setting(message));
        }
        Ok(DoorLimits {
            max_nesting: self.max_nesting,
            max_record_bytes: self.max_record_size.as_usize(),
            max_resource_bytes: self.max_resource_size.as_usize(),
            max_attributes: self.max_attributes,
            max_records: self.max_records,
            invalid_utf8: match invalid_utf8 {
                InvalidUtf8::Replace => data::InvalidUtf8::Replace,
                InvalidUtf8::Refuse => data::InvalidUtf8::Refuse,
            },
        })
    }
}
