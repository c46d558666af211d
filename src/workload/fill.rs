//! What goes into the places of a request that change.

use rand::RngCore;
use rand::rngs::SmallRng;

use super::draft::ID_BYTES;
use super::span_ref::SpanRef;
use crate::data::Time;

/// Hexadecimal digits.
pub(super) const HEX: &[u8; 16] = b"0123456789abcdef";
/// HTTP statuses, as often as they come; varints of two bytes.
const STATUSES: [u16; 16] =
    [200, 200, 200, 200, 200, 200, 200, 200, 200, 201, 204, 304, 400, 404, 404, 500];
/// Doubles are in thousandths.
const THOUSANDTH: f64 = 1e-3;

/// What goes into a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fill {
    /// The time, so long ago.
    Time { before_micros: u32 },
    /// The time, so long ago, of a record that belongs to a span of its resource.
    TimeInSpan { before_micros: u32 },
    /// The last time that was filled in, and a random time more.
    Later { max_micros: u32 },
    /// A time between the last two that were filled in by `Time` and `Later`.
    Between,
    /// Decimal digits, the first not 0.
    Digits(u8),
    /// Hexadecimal digits.
    Hex(u8),
    /// A whole number whose varint takes so many bytes.
    Varint(u8),
    /// A varint that is an HTTP status.
    Status,
    /// A double from 0 to so many thousandths.
    Double { max_thousandths: u32 },
    /// A new trace id; the next span is its root.
    NewTrace,
    /// The trace id again.
    Trace,
    /// A new span id; the first of a trace is its root.
    Span,
    /// The span id of the trace's root.
    Root,
    /// A total that grows with every request, times so many, as eight bytes.
    Total(u64),
    /// A total that grows with every request, times so many, as a double.
    TotalDouble(f64),
    /// The record's number.
    Id,
    /// Nothing: here the next resource begins.
    Resource,
}

impl Fill {
    /// How many bytes it takes.
    #[inline]
    pub(super) const fn num_bytes(self) -> usize {
        match self {
            Self::Time { .. }
            | Self::TimeInSpan { .. }
            | Self::Later { .. }
            | Self::Between
            | Self::Double { .. }
            | Self::Span
            | Self::Root
            | Self::Total(_)
            | Self::TotalDouble(_) => 8,
            Self::Digits(length) | Self::Hex(length) | Self::Varint(length) => length as usize,
            Self::Status => 2,
            Self::NewTrace | Self::Trace => 16,
            Self::Id => ID_BYTES,
            Self::Resource => 0,
        }
    }
}

/// What is known while a request is filled.
pub(super) struct Filling<'a> {
    random: &'a mut SmallRng,
    now: u64,
    total: u64,
    next_id: u64,
    /// By resource, the spans that records can belong to.
    spans: &'a [Vec<SpanRef>],
    num_resources: usize,
    start: u64,
    time: u64,
    trace: [u8; 16],
    root: Option<[u8; 8]>,
}

impl<'a> Filling<'a> {
    /// A request of `now`, whose first record has the number `first_id`.
    pub(super) fn new(
        random: &'a mut SmallRng,
        now: Time,
        total: u64,
        first_id: u64,
        spans: &'a [Vec<SpanRef>],
    ) -> Self {
        let now = now.as_unix_nanos();
        Self {
            random,
            now,
            total,
            next_id: first_id,
            spans,
            num_resources: 0,
            start: now,
            time: now,
            trace: [0; 16],
            root: None,
        }
    }

    /// Fills one place.
    #[inline]
    pub(super) fn fill(&mut self, fill: Fill, place: &mut [u8]) {
        match fill {
            Fill::Time { before_micros } => self.time(before_micros, place),
            Fill::TimeInSpan { before_micros } => {
                self.time(before_micros, place);
                self.enter_span();
            }
            Fill::Later { max_micros } => {
                self.time += self.below(u64::from(max_micros) * 1000);
                copy(&self.time.to_le_bytes(), place);
            }
            Fill::Between => {
                let time = self.start + self.below(self.time - self.start);
                copy(&time.to_le_bytes(), place);
            }
            Fill::Digits(_) => self.digits(place),
            Fill::Hex(_) => self.hex(place),
            Fill::Varint(length) => {
                let low = 1 << (7 * (length - 1));
                let value = low + self.below(low * 127);
                write_varint(value, place);
            }
            Fill::Status => {
                let status = STATUSES[(self.random.next_u64() & 15) as usize];
                write_varint(u64::from(status), place);
            }
            Fill::Double { max_thousandths } => {
                let thousandths = self.below(u64::from(max_thousandths)) as f64;
                copy(&(thousandths * THOUSANDTH).to_le_bytes(), place);
            }
            Fill::Total(weight) => copy(&(self.total * weight).to_le_bytes(), place),
            Fill::TotalDouble(weight) => copy(&(self.total as f64 * weight).to_le_bytes(), place),
            Fill::NewTrace | Fill::Trace | Fill::Span | Fill::Root => self.trace(fill, place),
            Fill::Id => {
                write_id(self.next_id, place);
                self.next_id += 1;
            }
            Fill::Resource => self.num_resources += 1,
        }
    }

    fn time(&mut self, before_micros: u32, place: &mut [u8]) {
        let jitter = self.random.next_u64() & 1023;
        self.start = self.now.saturating_sub(u64::from(before_micros) * 1000 + jitter);
        self.time = self.start;
        copy(&self.time.to_le_bytes(), place);
    }

    /// Enters a span of the resource that is under way at the time, else any of them, else one
    /// that nobody knows.
    fn enter_span(&mut self) {
        let spans = self.num_resources.checked_sub(1).and_then(|index| self.spans.get(index));
        let spans = spans.map_or(&[] as &[SpanRef], Vec::as_slice);
        let first = usize::try_from(self.below(spans.len() as u64)).unwrap_or_default();
        let (before, after) = spans.split_at(first);
        let mut in_turn = after.iter().chain(before);
        let time = Time::from_unix_nanos(self.time);
        let under_way = in_turn.find(|span| span.start <= time && time <= span.end);
        if let Some(span) = under_way.or(after.first()) {
            self.trace = *span.trace_id.as_bytes();
            self.root = Some(*span.span_id.as_bytes());
            return;
        }
        self.random.fill_bytes(&mut self.trace);
        self.root = Some(self.span_id());
    }

    /// A new span id: never all zero, which would be no id.
    fn span_id(&mut self) -> [u8; 8] {
        (self.random.next_u64() | 1).to_le_bytes()
    }

    fn trace(&mut self, fill: Fill, place: &mut [u8]) {
        match fill {
            Fill::NewTrace => {
                self.random.fill_bytes(&mut self.trace);
                self.root = None;
                copy(&self.trace, place);
            }
            Fill::Trace => copy(&self.trace, place),
            Fill::Root => copy(&self.root.unwrap_or_default(), place),
            _ => {
                let span = self.span_id();
                self.root.get_or_insert(span);
                copy(&span, place);
            }
        }
    }

    fn digits(&mut self, place: &mut [u8]) {
        let mut bits = self.random.next_u64() >> 4;
        for digit in &mut *place {
            *digit = b'0' + u8::try_from(bits % 10).unwrap_or_default();
            bits /= 10;
        }
        if let Some(first @ b'0') = place.first_mut() {
            *first = b'7';
        }
    }

    fn hex(&mut self, place: &mut [u8]) {
        let mut bits = self.random.next_u64();
        for digit in place {
            *digit = HEX[(bits & 15) as usize];
            bits >>= 4;
        }
    }

    /// A random number from 0 up, less than `limit` (by multiplying, which is a little uneven).
    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.random.next_u64()) * u128::from(limit)) >> 64) as u64
    }
}

/// Writes a record's number as a varint that always takes [`ID_BYTES`], so that it can be
/// written over; protobuf reads it as any other. Numbers of more than 35 bits are cut.
pub fn write_id(id: u64, place: &mut [u8]) {
    write_varint(id, place);
}

/// A varint as long as the place.
#[inline]
fn write_varint(mut value: u64, place: &mut [u8]) {
    let Some((last, others)) = place.split_last_mut() else { return };
    for byte in others {
        *byte = (value & 0x7f) as u8 | 0x80;
        value >>= 7;
    }
    *last = (value & 0x7f) as u8;
}

/// Copies what there is room for; places are as long as what is filled in.
#[inline]
fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
