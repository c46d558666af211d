//! OTLP bytes to JSON.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use smallvec::SmallVec;

use super::schema::{self, FieldSpec, Kind, Presence, Schema};
use crate::data::Batch;
use crate::data::wire::{Fields, Raw};

/// JSON is about twice as long as protobuf.
const GROWTH: usize = 2;

/// Writes a batch in OTLP's JSON form, as one export request.
///
/// Keys are in lowerCamelCase, ids hexadecimal, enumerations numbers, numbers of 64 bits strings;
/// fields that are not there or have their default are left out, and so are unknown ones.
#[must_use]
pub fn encode(batch: &Batch) -> Bytes {
    let mut out = Vec::with_capacity(GROWTH * batch.size_bytes() + 64);
    let chunks: SmallVec<[&[u8]; 4]> = batch.chunks().iter().map(|chunk| &chunk[..]).collect();
    write_message(&mut out, schema::request(batch.signal()), &chunks);
    Bytes::from(out)
}

/// A field that was found: the index of its description, and its value.
type Found<'a> = (usize, Raw<'a>);

/// Writes the message whose encoded pieces are `parts`.
fn write_message(out: &mut Vec<u8>, schema: &'static Schema, parts: &[&[u8]]) {
    let mut found: SmallVec<[Found<'_>; 16]> = parts
        .iter()
        .flat_map(|part| Fields::new(part))
        .filter_map(|field| {
            let is_it = |spec: &FieldSpec| spec.number == field.number;
            Some((schema.fields.iter().position(is_it)?, field.value))
        })
        .collect();
    // Values of one field need not stand together in protobuf. The order among them is kept.
    found.sort_by_key(|(index, _)| *index);
    out.push(b'{');
    let mut is_first = true;
    for same in found.chunk_by(|(left, _), (right, _)| left == right) {
        let spec = &schema.fields[same[0].0];
        if is_default(spec, same) {
            continue;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        out.push(b'"');
        out.extend(spec.json_name());
        out.extend_from_slice(b"\":");
        write_field(out, spec, same);
    }
    out.push(b'}');
}

/// Whether the value is the same as none.
fn is_default(spec: &FieldSpec, same: &[Found<'_>]) -> bool {
    let is_zero = same.last().is_none_or(|(_, value)| match value {
        Raw::Varint(bits) | Raw::Fixed64(bits) => *bits == 0,
        Raw::Fixed32(bits) => *bits == 0,
        Raw::Bytes(bytes) => bytes.is_empty(),
    });
    spec.presence == Presence::Implicit && is_zero
}

fn write_field(out: &mut Vec<u8>, spec: &FieldSpec, same: &[Found<'_>]) {
    if spec.presence == Presence::Repeated {
        out.push(b'[');
        let start = out.len();
        for (_, value) in same {
            write_element(out, spec.kind, value, start);
        }
        out.push(b']');
        return;
    }
    if let Kind::Message(schema) = spec.kind {
        let parts: SmallVec<[&[u8]; 1]> = same.iter().map(|(_, value)| bytes(value)).collect();
        return write_message(out, schema, &parts);
    }
    if let Some((_, value)) = same.last() {
        write_value(out, spec.kind, value);
    }
}

/// Writes one occurrence of a repeated field: an element, or packed numbers.
fn write_element(out: &mut Vec<u8>, kind: Kind, value: &Raw<'_>, start: usize) {
    let separate = |out: &mut Vec<u8>| {
        if out.len() > start {
            out.push(b',');
        }
    };
    match (kind, value) {
        (Kind::Message(schema), Raw::Bytes(part)) => {
            separate(out);
            write_message(out, schema, &[part]);
        }
        (Kind::Fixed64 | Kind::Double, Raw::Bytes(packed)) => {
            for bits in packed.chunks_exact(8) {
                separate(out);
                let mut number = [0; 8];
                number.copy_from_slice(bits);
                write_value(out, kind, &Raw::Fixed64(u64::from_le_bytes(number)));
            }
        }
        (Kind::Uint64, Raw::Bytes(packed)) => {
            let mut rest = *packed;
            while let Some((number, tail)) = varint(rest) {
                separate(out);
                write_value(out, kind, &Raw::Varint(number));
                rest = tail;
            }
        }
        _ => {
            separate(out);
            write_value(out, kind, value);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "fields of 32 bits are read as protobuf reads them, by their lower bits"
)]
fn write_value(out: &mut Vec<u8>, kind: Kind, value: &Raw<'_>) {
    let bits = match value {
        Raw::Varint(bits) | Raw::Fixed64(bits) => *bits,
        Raw::Fixed32(bits) => u64::from(*bits),
        Raw::Bytes(_) => 0,
    };
    // Writing to memory does not fail.
    let _ = match kind {
        Kind::Str => {
            let text = String::from_utf8_lossy(bytes(value));
            serde_json::to_writer(out, &text).map_err(Into::into)
        }
        Kind::Bytes => write!(out, "\"{}\"", STANDARD.encode(bytes(value))),
        Kind::Id(_) => write_hexadecimal(out, bytes(value)),
        Kind::Bool => write!(out, "{}", bits != 0),
        Kind::Uint32 | Kind::Fixed32 => write!(out, "{}", bits as u32),
        Kind::Enum(_) => write!(out, "{}", bits as i32),
        Kind::Sint32 => {
            let bits = bits as u32;
            write!(out, "{}", (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
        }
        Kind::Uint64 | Kind::Fixed64 => write!(out, "\"{bits}\""),
        Kind::Int64 | Kind::Sfixed64 => write!(out, "\"{}\"", bits.cast_signed()),
        Kind::Double => write_double(out, f64::from_bits(bits)),
        Kind::Message(schema) => {
            write_message(out, schema, &[bytes(value)]);
            Ok(())
        }
    };
}

fn write_double(out: &mut Vec<u8>, value: f64) -> std::io::Result<()> {
    if value.is_nan() {
        return out.write_all(b"\"NaN\"");
    }
    if value.is_infinite() {
        return out.write_all(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    }
    out.write_all(ryu::Buffer::new().format_finite(value).as_bytes())
}

fn write_hexadecimal(out: &mut Vec<u8>, id: &[u8]) -> std::io::Result<()> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in id {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 0xF)]);
    }
    out.push(b'"');
    Ok(())
}

const fn bytes<'a>(value: &Raw<'a>) -> &'a [u8] {
    match value {
        Raw::Bytes(bytes) => bytes,
        _ => &[],
    }
}

/// The number at the beginning of `packed`, and what follows it.
fn varint(packed: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in packed.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7F).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, &packed[index + 1..]));
        }
    }
    None
}
