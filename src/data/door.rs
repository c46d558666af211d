//! The door: the only way in for telemetry from outside.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::smallvec;

use super::canonical::{Canonical, canonicalise};
use super::schema;
use super::validate::validate;
use super::{Batch, Context, Signal};

/// The most levels that may be allowed; prost's own limit is 100.
const MAX_NESTING: usize = 96;
/// How many repetitions of singular fields are merged in one request; only requests made to do harm
/// have more.
const MAX_REPEATED: usize = 10_000;

/// What to do with text that is not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvalidUtf8 {
    /// Put U+FFFD in the place of what is wrong, in that field, and count it.
    #[default]
    Replace,
    /// Refuse the request.
    Refuse,
}

/// What may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorLimits {
    /// Levels of messages below the request: 64, at most 96. A log's body is on level 4, and an
    /// array or map inside takes two more.
    pub max_nesting: usize,
    /// Bytes of a record; one with more is rejected alone.
    pub max_record_bytes: usize,
    /// Bytes of a resource or scope, or of its schema URL; the records of one with more are
    /// rejected.
    pub max_resource_bytes: usize,
    /// Attributes of a record at any depth, those of its events, links and exemplars included; one
    /// with more is rejected alone. Also of a resource or scope, whose records are then rejected.
    pub max_attributes: usize,
    /// Records of a request; one with more is refused.
    pub max_records: usize,
    /// What to do with text that is not UTF-8.
    pub invalid_utf8: InvalidUtf8,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            max_nesting: 64,
            max_record_bytes: 16 << 20,
            max_resource_bytes: 1 << 20,
            max_attributes: 65_536,
            max_records: 2_000_000,
            invalid_utf8: InvalidUtf8::Replace,
        }
    }
}

impl DoorLimits {
    /// For what was checked at the door before: whatever the limits were then, it is within them.
    pub const NONE: Self = Self {
        max_nesting: usize::MAX,
        max_record_bytes: usize::MAX,
        max_resource_bytes: usize::MAX,
        max_attributes: usize::MAX,
        max_records: usize::MAX,
        invalid_utf8: InvalidUtf8::Replace,
    };

    pub(super) fn nesting(&self) -> usize {
        self.max_nesting.min(MAX_NESTING)
    }
}

/// Why a request is refused as invalid; `offset` is the byte in the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// A field goes on behind the end of its message.
    #[error("field at byte {offset} is cut off")]
    Truncated {
        /// Where the field begins.
        offset: usize,
    },
    /// A number has no end, or more than 64 bits.
    #[error("number at byte {offset} is cut off or too long")]
    Varint {
        /// Where the number begins.
        offset: usize,
    },
    /// A tag has no valid field number or wire type.
    #[error("byte {offset} is no protobuf tag")]
    Tag {
        /// Where the tag begins.
        offset: usize,
    },
    /// A group, which OTLP does not have.
    #[error("group at byte {offset}")]
    Group {
        /// Where its tag begins.
        offset: usize,
    },
    /// A field has the wire type of something else.
    #[error("field `{field}` at byte {offset} has wire type {wire_type}")]
    WireType {
        /// The field's name.
        field: &'static str,
        /// The wire type that it has.
        wire_type: u8,
        /// Where its tag begins.
        offset: usize,
    },
    /// A length goes past the end of what contains it.
    #[error("length {length} at byte {offset}, but {room} bytes are left")]
    Length {
        /// The length that is claimed.
        length: u64,
        /// The bytes that are there.
        room: usize,
        /// Where the length stands.
        offset: usize,
    },
    /// Packed numbers end in the middle of one.
    #[error("packed numbers of `{field}` are broken at byte {offset}")]
    Packed {
        /// The field's name.
        field: &'static str,
        /// Where it breaks.
        offset: usize,
    },
    /// Too many messages inside one another.
    #[error("nested deeper than {limit} levels at byte {offset}")]
    TooDeep {
        /// The limit.
        limit: usize,
        /// Where the message begins that is one too many.
        offset: usize,
    },
    /// An id of a length that ids do not have.
    #[error("`{field}` at byte {offset} has {length} bytes")]
    IdLength {
        /// The field's name.
        field: &'static str,
        /// The length that it has.
        length: usize,
        /// Where the id begins.
        offset: usize,
    },
    /// Text that is not UTF-8, where such is refused.
    #[error("`{field}` at byte {offset} is not UTF-8")]
    Utf8 {
        /// The field's name.
        field: &'static str,
        /// Where the text begins.
        offset: usize,
    },
    /// Too many fields that should be there once come again.
    #[error("{num_repeated} repetitions of singular fields, more than {limit}")]
    TooManyRepeated {
        /// How many there are.
        num_repeated: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many records in one request.
    #[error("{num_records} records, more than {limit}")]
    TooManyRecords {
        /// How many there are.
        num_records: usize,
        /// The limit.
        limit: usize,
    },
}

/// What came in.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The records that were taken.
    pub batch: Batch,
    /// Records that were rejected alone, for partial success.
    pub num_rejected: usize,
    /// Why, for people.
    pub reason: Option<String>,
    /// Text fields in which U+FFFD was put.
    pub num_invalid_utf8: usize,
}

impl Batch {
    /// Takes in an encoded export request of `signal`.
    ///
    /// Everything is checked here, once, so that views need not: wire format, lengths, nesting,
    /// ids, UTF-8. The bytes are kept as they are, unless text is repaired, a record is rejected
    /// or a singular field came twice; that costs one copy.
    ///
    /// # Errors
    ///
    /// Fails when the request is not valid OTLP; it must be refused and not sent again.
    pub fn try_new(
        signal: Signal,
        request: Bytes,
        context: Arc<Context>,
        limits: &DoorLimits,
    ) -> Result<Admitted, DoorError> {
        let spec = schema::request(signal);
        let findings = validate(spec, &request, limits)?;
        if findings.num_records > limits.max_records {
            let num_records = findings.num_records;
            return Err(DoorError::TooManyRecords { num_records, limit: limits.max_records });
        }
        if findings.num_repeated > MAX_REPEATED {
            let num_repeated = findings.num_repeated;
            return Err(DoorError::TooManyRepeated { num_repeated, limit: MAX_REPEATED });
        }
        if findings.is_canonical() {
            let batch = Self::from_parts(signal, smallvec![request], findings.num_records)
                .with_context(context);
            return Ok(Admitted { batch, num_rejected: 0, reason: None, num_invalid_utf8: 0 });
        }
        let Canonical { bytes, num_records, num_rejected, reason } =
            canonicalise(spec, &request, limits);
        let batch = Self::from_parts(signal, smallvec![Bytes::from(bytes)], num_records)
            .with_context(context);
        let num_invalid_utf8 = findings.num_invalid_utf8;
        Ok(Admitted { batch, num_rejected, reason, num_invalid_utf8 })
    }
}
