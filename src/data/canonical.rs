//! Brings a valid request into the form that views rely on: text is UTF-8, a singular field is
//! there once, and no record is over a limit.

use smallvec::SmallVec;

use super::door::DoorLimits;
use super::schema::{Message, Role, Shape};
use super::validate::{SCHEMA_URL, count, is_ascii};
use super::wire::{Field, Fields, Raw, Writer};

/// A request in its final form.
#[derive(Debug)]
pub(super) struct Canonical {
    /// The request.
    pub(super) bytes: Vec<u8>,
    /// Records in it.
    pub(super) num_records: usize,
    /// Records that were left out.
    pub(super) num_rejected: usize,
    /// Why.
    pub(super) reason: Option<String>,
}

/// The payloads of a submessage: laid end to end they are one.
type Pieces<'a> = SmallVec<[&'a [u8]; 2]>;

/// Rewrites a request that was checked.
pub(super) fn canonicalise(
    spec: &'static Message,
    request: &[u8],
    limits: &DoorLimits,
) -> Canonical {
    let mut rewriter = Rewriter { limits, num_rejected: 0, reason: None };
    let mut writer = Writer::with_capacity(request.len());
    rewriter.message(spec, &[request], &mut writer);
    let bytes = writer.into_vec();
    let (num_records, _) = count(spec, &bytes);
    let Rewriter { num_rejected, reason, .. } = rewriter;
    Canonical { bytes, num_records, num_rejected, reason }
}

struct Rewriter<'a> {
    limits: &'a DoorLimits,
    num_rejected: usize,
    reason: Option<String>,
}

impl Rewriter<'_> {
    fn message(&mut self, spec: &'static Message, pieces: &[&[u8]], writer: &mut Writer) {
        let lasts = Lasts::find(spec, pieces);
        for (index, (piece, field)) in fields(pieces).enumerate() {
            let field_spec = spec.field(u64::from(field.number));
            if lasts.is_superseded(field_spec.once, index) {
                continue;
            }
            match (field_spec.shape, field.value, field_spec.message) {
                (Shape::Message, Raw::Bytes(payload), Some(inner)) if field_spec.once == 0 => {
                    self.element(inner, field.number, payload, writer);
                }
                (Shape::Message, Raw::Bytes(_), Some(inner)) => {
                    let merged = lasts.merged(field_spec.once, pieces);
                    self.submessage(inner, field.number, &merged, writer);
                }
                (Shape::Str, Raw::Bytes(text), _) if !is_ascii(text) => {
                    writer.str_field(field.number, &String::from_utf8_lossy(text));
                }
                _ => writer.raw(piece.get(field.start..field.end).unwrap_or_default()),
            }
        }
    }

    fn submessage(
        &mut self,
        spec: &'static Message,
        number: u32,
        pieces: &[&[u8]],
        writer: &mut Writer,
    ) {
        let mark = writer.begin_about(number, pieces.iter().map(|piece| piece.len()).sum());
        self.message(spec, pieces, writer);
        writer.end(mark);
    }

    /// Writes an element of a list, unless it is or holds what is over a limit.
    fn element(
        &mut self,
        spec: &'static Message,
        number: u32,
        payload: &[u8],
        writer: &mut Writer,
    ) {
        let Some(reason) = self.excess(spec, payload) else {
            return self.submessage(spec, number, &[payload], writer);
        };
        let is_record = spec.role == Role::Record;
        self.num_rejected += if is_record { 1 } else { count(spec, payload).0 };
        self.reason.get_or_insert(reason);
    }

    /// Why a record, or an envelope with its resource or scope, is not taken.
    fn excess(&self, spec: &'static Message, payload: &[u8]) -> Option<String> {
        if spec.role == Role::Record {
            if payload.len() > self.limits.max_record_bytes {
                let limit = self.limits.max_record_bytes;
                return Some(format!("a record has more than {limit} bytes"));
            }
            return self.attribute_excess(spec, count(spec, payload).1);
        }
        let limit = self.limits.max_resource_bytes;
        let mut found: Option<&'static Message> = None;
        let (mut num_attributes, mut num_bytes) = (0, 0);
        for field in Fields::new(payload) {
            let field_spec = spec.field(u64::from(field.number));
            if field_spec.name == SCHEMA_URL && field.bytes().len() > limit {
                return Some(format!("a {SCHEMA_URL} has more than {limit} bytes"));
            }
            // Those that come again are merged, so they count together.
            if let Some(owner) = field_spec.message.filter(|owner| owner.role == Role::Owner) {
                num_attributes += count(owner, field.bytes()).1;
                num_bytes += field.bytes().len();
                found = Some(owner);
            }
        }
        let owner = found?;
        if num_bytes > limit {
            return Some(format!("a {} has more than {limit} bytes", owner.name));
        }
        self.attribute_excess(owner, num_attributes)
    }

    fn attribute_excess(&self, spec: &'static Message, num_attributes: usize) -> Option<String> {
        let limit = self.limits.max_attributes;
        let name = spec.name;
        (num_attributes > limit).then(|| format!("a {name} has more than {limit} attributes"))
    }
}

/// The last of one singular field or `oneof`, and the run of equal members that ends with it.
#[derive(Clone, Copy, Default)]
struct Last {
    number: u32,
    run_start: usize,
    last: usize,
}

/// Of each singular field and `oneof` the last; by bit. The last one counts, and of a submessage
/// all that come since another member of the same `oneof` was set are merged.
struct Lasts {
    by_bit: [Last; 32],
}

impl Lasts {
    fn find(spec: &'static Message, pieces: &[&[u8]]) -> Self {
        let mut by_bit = [Last::default(); 32];
        for (index, (_, field)) in fields(pieces).enumerate() {
            let once = spec.field(u64::from(field.number)).once;
            let Some(last) = by_bit.get_mut(once.trailing_zeros() as usize) else { continue };
            if last.number != field.number {
                last.number = field.number;
                last.run_start = index;
            }
            last.last = index;
        }
        Self { by_bit }
    }

    fn is_superseded(&self, once: u32, index: usize) -> bool {
        self.by_bit.get(once.trailing_zeros() as usize).is_some_and(|last| last.last != index)
    }

    fn merged<'a>(&self, once: u32, pieces: &[&'a [u8]]) -> Pieces<'a> {
        let Some(run) = self.by_bit.get(once.trailing_zeros() as usize) else {
            return Pieces::new();
        };
        fields(pieces)
            .enumerate()
            .filter(|(index, (_, field))| {
                (run.run_start..=run.last).contains(index) && field.number == run.number
            })
            .map(|(_, (_, field))| field.bytes())
            .collect()
    }
}

/// All fields of a message in pieces, each with its piece.
fn fields<'a>(pieces: &[&'a [u8]]) -> impl Iterator<Item = (&'a [u8], Field<'a>)> {
    pieces.iter().flat_map(|piece| Fields::new(piece).map(move |field| (*piece, field)))
}
