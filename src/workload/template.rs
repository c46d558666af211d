//! A request that is made once and sent many times, each time with other ids, times and numbers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::draft::{Draft, Slot};
use super::fill::{Fill, Filling};
use super::span_ref::SpanRef;
use super::words::{SERVICES, write_resource, write_scope};
use super::{logs, metrics, traces};
use crate::data::{Signal, Time, Value};

/// Resources of a request.
const NUM_RESOURCES: usize = 4;
/// Most that a total grows from one request to the next.
const MAX_GROWTH: u64 = 2000;

/// The least time between two requests of metrics: a millisecond, in which remote-write counts.
const MIN_STEP: Duration = Duration::from_millis(1);

/// What a template shall be.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What is in it.
    pub signal: Signal,
    /// Log records, spans or data points in it.
    pub num_records: usize,
    /// Two templates with the same seed have the same texts, numbers and order. Whatever the
    /// signal, they are of the same resources.
    pub seed: u64,
    /// Since when totals count.
    pub start: Time,
    /// With a name here every record is numbered: `load.id` is its number, `load.run` this name.
    pub run: Option<String>,
}

/// A request that can be had again and again.
///
/// From one request to the next change: times, trace and span ids, UUIDs, whole numbers and
/// doubles in attributes and texts, the values of data points, and the records' numbers. Making
/// the next one copies nothing and takes no memory when the one before is gone.
#[derive(Debug)]
pub struct Template {
    signal: Signal,
    num_records: usize,
    request: Bytes,
    slots: Vec<Slot>,
    random: SmallRng,
    total: u64,
    /// The time of the last request.
    last: Time,
}

impl Template {
    /// Drafts a request; `lead` gets its length, and makes what stands before it.
    #[must_use]
    pub fn new(shape: &Shape, lead: impl FnOnce(usize) -> Vec<u8>) -> Self {
        let mut drafting = Drafting { shape, random: SmallRng::seed_from_u64(shape.seed), next: 0 };
        let (message, mut slots) = drafting.request().finish();
        let mut request = lead(message.len());
        for slot in &mut slots {
            slot.at += u32::try_from(request.len()).unwrap_or_default();
        }
        request.extend_from_slice(&message);
        let (signal, num_records) = (shape.signal, shape.num_records);
        let random = drafting.random;
        let (request, last) = (request.into(), Time::default());
        Self { signal, num_records, request, slots, random, total: 0, last }
    }

    /// What is in it.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// Log records, spans or data points in it.
    #[must_use]
    pub const fn num_records(&self) -> usize {
        self.num_records
    }

    /// The size of each request, what was led before it included.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.request.len()
    }

    /// The next request, what was led before it included. Its records are numbered from
    /// `first_id` if they are numbered.
    ///
    /// When all copies of the one before are gone, it is written in place. Series go on: a request
    /// of metrics is at least a millisecond later than the one before.
    pub fn next(&mut self, now: Time, first_id: u64) -> Bytes {
        self.next_within(now, first_id, &[])
    }

    /// The same; log records that belong to a span belong to one of `spans`, which are by
    /// resource, in the order of a template of traces with the same seed.
    pub fn next_within(&mut self, now: Time, first_id: u64, spans: &[Vec<SpanRef>]) -> Bytes {
        let last = std::mem::take(&mut self.request);
        let mut request =
            last.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        self.total += self.random.random_range(1..=MAX_GROWTH);
        let now = match self.signal {
            Signal::Metrics => now.max(self.last.saturating_add(MIN_STEP)),
            _ => now,
        };
        self.last = now;
        let mut filling = Filling::new(&mut self.random, now, self.total, first_id, spans);
        for slot in &self.slots {
            let start = slot.at as usize;
            if let Some(place) = request.get_mut(start..start + slot.fill.num_bytes()) {
                filling.fill(slot.fill, place);
            }
        }
        self.request = request.freeze();
        self.request.clone()
    }
}

/// What records are drafted from.
pub(super) struct Drafting<'a> {
    /// What is wanted.
    pub(super) shape: &'a Shape,
    /// Chooses what stays.
    pub(super) random: SmallRng,
    /// The position of the next record in the request.
    pub(super) next: usize,
}

impl Drafting<'_> {
    fn request(&mut self) -> Draft {
        let num_records = self.shape.num_records;
        // Templates of several signals draw other numbers from here on.
        let mut of_resources = SmallRng::seed_from_u64(!self.shape.seed);
        let first_service = self.shape.seed % SERVICES.len() as u64;
        let first_service = usize::try_from(first_service).unwrap_or_default();
        let mut request = Draft::default();
        for resource in 0..NUM_RESOURCES {
            let share = (num_records + NUM_RESOURCES - 1 - resource) / NUM_RESOURCES;
            if share == 0 {
                break;
            }
            let service = &SERVICES[(first_service + resource) % SERVICES.len()];
            request.message(1, |group| {
                group.place(Fill::Resource);
                group.message(1, |resource| write_resource(resource, service, &mut of_resources));
                group.message(2, |group| {
                    group.message(1, |scope| write_scope(scope, service));
                    self.records(share, group);
                });
            });
        }
        request
    }

    fn records(&mut self, share: usize, group: &mut Draft) {
        match self.shape.signal {
            Signal::Logs => logs::write(self, share, group),
            Signal::Traces => traces::write(self, share, group),
            Signal::Metrics => metrics::write(self, share, group),
        }
    }

    /// How old a record is: those of a request are spread over the last half second.
    pub(super) fn before_micros(&self) -> u32 {
        const SPREAD_MICROS: usize = 500_000;
        let left = self.shape.num_records.saturating_sub(self.next);
        let before_micros = SPREAD_MICROS * left / self.shape.num_records.max(1);
        u32::try_from(before_micros).unwrap_or_default()
    }

    /// Numbers a record, if that is wanted; `number` is the field of its attributes.
    pub(super) fn write_id(&self, number: u32, record: &mut Draft) {
        if let Some(run) = &self.shape.run {
            record.int(number, "load.id", Fill::Id);
            record.constant(number, "load.run", Value::Str(run));
        }
    }

    /// One of several.
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.random_range(0..choices.len())]
    }
}
