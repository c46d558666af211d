//! The validation walk: one pass over every byte of a request, without allocation.

use super::door::{DoorError, DoorLimits, InvalidUtf8};
use super::schema::{Message, Role, Shape, Spec};
use super::wire::read_varint;

/// Messages that an attribute with a plain value is made of: `KeyValue` and `AnyValue`.
const ATTRIBUTE_DEPTH: usize = 2;

/// The field of an envelope that is shared by its records and in no resource or scope.
pub(super) const SCHEMA_URL: &str = "schema_url";

/// What the walk found in a request that can be taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Log records, spans or data points.
    pub(super) num_records: usize,
    /// Text fields that are not UTF-8.
    pub(super) num_invalid_utf8: usize,
    /// How often a field that is there once at most came again.
    pub(super) num_repeated: usize,
    /// Whether a record, or what records share, is over a limit.
    pub(super) has_oversize: bool,
}

impl Findings {
    /// Whether the request is in the form that views rely on.
    pub(super) const fn is_canonical(&self) -> bool {
        self.num_invalid_utf8 == 0 && self.num_repeated == 0 && !self.has_oversize
    }
}

/// Checks a request, or any other message of the tables.
pub(super) fn validate(
    spec: &'static Message,
    bytes: &[u8],
    limits: &DoorLimits,
) -> Result<Findings, DoorError> {
    let mut walk = Walk { bytes, limits, findings: Findings::default(), num_attributes: 0 };
    walk.message(spec, 0, bytes.len(), limits.nesting())?;
    Ok(walk.findings)
}

/// Whether all bytes are below 128.
#[inline]
pub(super) fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut seen = 0_u64;
    if let Some(last) = text.last_chunk::<8>() {
        let (chunks, _) = text.as_chunks::<8>();
        for chunk in chunks {
            seen |= u64::from_le_bytes(*chunk);
        }
        return (seen | u64::from_le_bytes(*last)) & HIGH == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let both = u32::from_le_bytes(*first) | u32::from_le_bytes(*last);
        return u64::from(both) & HIGH == 0;
    }
    text.iter().fold(0, |seen, byte| seen | byte) < 0x80
}

struct Walk<'a> {
    bytes: &'a [u8],
    limits: &'a DoorLimits,
    findings: Findings,
    num_attributes: usize,
}

impl Walk<'_> {
    /// Checks the message at `start..end`; `depth` more levels may come below it.
    fn message(
        &mut self,
        spec: &'static Message,
        start: usize,
        end: usize,
        depth: usize,
    ) -> Result<(), DoorError> {
        let mut position = start;
        let mut seen = 0_u32;
        while position < end {
            let tag_start = position;
            let (tag, tag_end) = self.varint(position, end)?;
            let field = spec.field(tag >> 3);
            self.findings.num_repeated += usize::from(seen & field.once != 0);
            seen |= field.once;
            position = match tag & 7 {
                2 => {
                    let (payload, field_end) = self.length(tag_end, end)?;
                    if field.shape == Shape::Message {
                        self.submessage(field, payload, field_end, depth)?;
                    } else {
                        self.bytes(field, tag_start, payload..field_end)?;
                    }
                    field_end
                }
                wire_type => self.number(field, wire_type, tag_start, tag_end..end)?,
            };
            if tag < 8 || tag > u64::from(u32::MAX) {
                return Err(DoorError::Tag { offset: tag_start });
            }
        }
        Ok(())
    }

    #[inline]
    fn submessage(
        &mut self,
        field: &Spec,
        start: usize,
        end: usize,
        depth: usize,
    ) -> Result<(), DoorError> {
        let Some(message) = field.message else { return Ok(()) };
        if depth == 0 {
            return Err(DoorError::TooDeep { limit: self.limits.nesting(), offset: start });
        }
        match message.role {
            Role::KeyValue => {
                self.num_attributes += 1;
                if depth >= ATTRIBUTE_DEPTH && self.is_plain_attribute(start, end) {
                    return Ok(());
                }
                self.message(message, start, end, depth - 1)
            }
            Role::Plain => self.message(message, start, end, depth - 1),
            Role::Record | Role::Owner => {
                let num_attributes = self.num_attributes;
                self.message(message, start, end, depth - 1)?;
                let is_record = message.role == Role::Record;
                let max_bytes = if is_record {
                    self.limits.max_record_bytes
                } else {
                    self.limits.max_resource_bytes
                };
                self.findings.num_records += usize::from(is_record);
                self.findings.has_oversize |= self.num_attributes - num_attributes
                    > self.limits.max_attributes
                    || end - start > max_bytes;
                Ok(())
            }
        }
    }

    /// Whether this is an attribute as every encoder writes it: an ASCII key, then a value that is
    /// ASCII text, a number or a bool, all of it short. What is not takes the general way.
    #[inline]
    fn is_plain_attribute(&self, start: usize, end: usize) -> bool {
        let Some([0x0a, key_length, rest @ ..]) = self.bytes.get(start..end) else {
            return false;
        };
        let Some((key, value)) = rest.split_at_checked(usize::from(*key_length)) else {
            return false;
        };
        let [0x12, value_length, value @ ..] = value else { return false };
        *key_length < 0x80
            && *value_length < 0x80
            && usize::from(*value_length) == value.len()
            && is_plain_value(value)
            && is_ascii(key)
    }

    /// Checks a field with a length that is no submessage.
    #[inline]
    fn bytes(
        &mut self,
        field: &Spec,
        tag_start: usize,
        payload: std::ops::Range<usize>,
    ) -> Result<(), DoorError> {
        let offset = payload.start;
        let bytes = self.bytes.get(payload).unwrap_or_default();
        self.findings.has_oversize |=
            bytes.len() > self.limits.max_resource_bytes && field.name == SCHEMA_URL;
        match field.shape {
            Shape::Str => self.text(field, bytes, offset),
            Shape::TraceId if bytes.len() != 16 && !bytes.is_empty() => {
                Err(DoorError::IdLength { field: field.name, length: bytes.len(), offset })
            }
            Shape::SpanId if bytes.len() != 8 && !bytes.is_empty() => {
                Err(DoorError::IdLength { field: field.name, length: bytes.len(), offset })
            }
            Shape::Fixed64s if !bytes.len().is_multiple_of(8) => {
                Err(DoorError::Packed { field: field.name, offset })
            }
            Shape::Varints => packed_varints(field, bytes, offset),
            Shape::Varint | Shape::Fixed64 | Shape::Fixed32 => {
                Err(DoorError::WireType { field: field.name, wire_type: 2, offset: tag_start })
            }
            _ => Ok(()),
        }
    }

    #[inline]
    fn text(&mut self, field: &Spec, text: &[u8], offset: usize) -> Result<(), DoorError> {
        if is_ascii(text) || simdutf8::basic::from_utf8(text).is_ok() {
            return Ok(());
        }
        if self.limits.invalid_utf8 == InvalidUtf8::Refuse {
            return Err(DoorError::Utf8 { field: field.name, offset });
        }
        self.findings.num_invalid_utf8 += 1;
        Ok(())
    }

    /// Checks a field without a length; returns where it ends.
    #[inline]
    fn number(
        &self,
        field: &Spec,
        wire_type: u64,
        tag_start: usize,
        rest: std::ops::Range<usize>,
    ) -> Result<usize, DoorError> {
        let (is_fit, field_end) = match wire_type {
            0 => {
                let (_, field_end) = self.varint(rest.start, rest.end)?;
                (matches!(field.shape, Shape::Varint | Shape::Varints), field_end)
            }
            1 => (matches!(field.shape, Shape::Fixed64 | Shape::Fixed64s), rest.start + 8),
            5 => (field.shape == Shape::Fixed32, rest.start + 4),
            3 | 4 => return Err(DoorError::Group { offset: tag_start }),
            _ => return Err(DoorError::Tag { offset: tag_start }),
        };
        if field_end > rest.end {
            return Err(DoorError::Truncated { offset: tag_start });
        }
        if !is_fit && field.shape != Shape::Unknown {
            return Err(DoorError::WireType {
                field: field.name,
                wire_type: u8::try_from(wire_type).unwrap_or_default(),
                offset: tag_start,
            });
        }
        Ok(field_end)
    }

    /// Reads a varint that ends at or before `end`.
    #[inline]
    fn varint(&self, position: usize, end: usize) -> Result<(u64, usize), DoorError> {
        match read_varint(self.bytes, position) {
            Some((value, varint_end)) if varint_end <= end => Ok((value, varint_end)),
            Some(_) => Err(DoorError::Truncated { offset: position }),
            None => Err(DoorError::Varint { offset: position }),
        }
    }

    /// Reads a length; returns where the payload begins and ends.
    #[inline]
    fn length(&self, position: usize, end: usize) -> Result<(usize, usize), DoorError> {
        let (length, payload) = self.varint(position, end)?;
        let room = end - payload;
        match usize::try_from(length) {
            Ok(length) if length <= room => Ok((payload, payload + length)),
            _ => Err(DoorError::Length { length, room, offset: position }),
        }
    }
}

/// Whether this is an `AnyValue` with one member, which is short ASCII text, a number or a bool.
#[inline]
fn is_plain_value(value: &[u8]) -> bool {
    match value {
        [0x0a, length, text @ ..] => {
            *length < 0x80 && usize::from(*length) == text.len() && is_ascii(text)
        }
        [0x10, flag] => *flag < 0x80,
        [0x18, number @ ..] => match number {
            [byte] => *byte < 0x80,
            [first, last] => *first >= 0x80 && *last < 0x80,
            _ => matches!(read_varint(number, 0), Some((_, end)) if end == number.len()),
        },
        [0x21, number @ ..] => number.len() == 8,
        _ => false,
    }
}

fn packed_varints(field: &Spec, bytes: &[u8], offset: usize) -> Result<(), DoorError> {
    let mut position = 0;
    while position < bytes.len() {
        match read_varint(bytes, position) {
            Some((_, end)) => position = end,
            None => {
                let offset = offset + position;
                return Err(DoorError::Packed { field: field.name, offset });
            }
        }
    }
    Ok(())
}

/// How many records the message holds and how many attributes, at any depth; of checked bytes.
pub(super) fn count(spec: &'static Message, bytes: &[u8]) -> (usize, usize) {
    let limits = DoorLimits {
        max_attributes: usize::MAX,
        max_record_bytes: usize::MAX,
        max_resource_bytes: usize::MAX,
        invalid_utf8: InvalidUtf8::Replace,
        ..DoorLimits::default()
    };
    let mut walk =
        Walk { bytes, limits: &limits, findings: Findings::default(), num_attributes: 0 };
    let is_whole = walk.message(spec, 0, bytes.len(), usize::MAX).is_ok();
    debug_assert!(is_whole, "a {} that was checked is not whole", spec.name);
    (walk.findings.num_records, walk.num_attributes)
}
