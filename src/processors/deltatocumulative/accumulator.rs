//! The processor itself: the series, and the points that are written in place of those that came.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Read, Write};
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::component::{Charge, Outbox, ProcessError, Processor, RestoreError};
use crate::data::wire::{Fields, Raw, Writer};
use crate::data::{Batch, DataPoint, Metric, MetricData, MetricMut, Temporality, Time};
use crate::series::{SeriesHasher, SeriesId, Total};
use crate::telemetry::{Counter, Gauge};

/// How often series are looked at for being stale, as in the Collector.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// What a series takes beside the heap of its total: its entry, and the table's spare room.
const SERIES_BYTES: usize = (size_of::<SeriesId>() + size_of::<Series>()) * 3 / 2;
/// The version of saved state.
const VERSION: u32 = 1;

/// What the processor goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) max_stale: Duration,
    /// 0: any number.
    pub(super) max_streams: usize,
}

/// Counts points by what became of them, and the series.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) taken: Counter,
    pub(super) older_start: Counter,
    pub(super) out_of_order: Counter,
    pub(super) limit: Counter,
    /// How many series there are, in all shards.
    pub(super) streams: Gauge,
}

/// A series' total so far.
#[derive(Clone, Debug, PartialEq)]
struct Series {
    start: Time,
    time: Time,
    last_seen: Time,
    total: Total,
}

/// Why a point is dropped; also the reason's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    OlderStart,
    OutOfOrder,
    Limit,
}

/// Makes cumulative series of delta points.
#[derive(Debug)]
pub struct Accumulator {
    settings: Settings,
    counters: Counters,
    hasher: SeriesHasher,
    series: HashMap<SeriesId, Series, RandomState>,
    heap_bytes: usize,
    /// How many series the gauge has of this shard.
    num_shown: usize,
    next_sweep: Option<Time>,
    charge: Charge,
    written: Written,
}

/// The points of one call that replace delta points, as encoded fields, and where each ends;
/// memory that is used again.
#[derive(Debug, Default)]
struct Written {
    points: Writer,
    ends: Vec<usize>,
}

impl Accumulator {
    pub(super) fn new(settings: Settings, counters: Counters, charge: Charge) -> Self {
        Self {
            settings,
            counters,
            hasher: SeriesHasher::default(),
            series: HashMap::default(),
            heap_bytes: 0,
            num_shown: 0,
            next_sweep: None,
            charge,
            written: Written::default(),
        }
    }

    /// Adds a point to its series and writes down what replaces it.
    fn take(&mut self, id: SeriesId, point: &DataPoint<'_>, now: Time) -> Result<(), Refusal> {
        let is_full =
            self.settings.max_streams > 0 && self.series.len() >= self.settings.max_streams;
        let (start, time) = (point.start_time(), point.time());
        let series = match self.series.entry(id) {
            Entry::Vacant(_) if is_full => return Err(Refusal::Limit),
            Entry::Vacant(entry) => {
                let Some(total) = Total::of(point) else { return Ok(()) };
                self.heap_bytes += total.heap_bytes();
                entry.insert(Series { start, time, last_seen: now, total })
            }
            Entry::Occupied(entry) => {
                let series = entry.into_mut();
                series.last_seen = now;
                if start < series.start {
                    return Err(Refusal::OlderStart);
                }
                if time <= series.time {
                    return Err(Refusal::OutOfOrder);
                }
                let before = series.total.heap_bytes();
                if series.total.add(point).is_err()
                    && let Some(total) = Total::of(point)
                {
                    (series.start, series.total) = (start, total);
                }
                series.time = time;
                self.heap_bytes = self.heap_bytes - before + series.total.heap_bytes();
                series
            }
        };
        self.written.push(point, series);
        Ok(())
    }

    fn refuse(&self, refusal: Refusal, out: &mut Outbox) {
        let (counter, reason) = match refusal {
            Refusal::OlderStart => (&self.counters.older_start, "older start"),
            Refusal::OutOfOrder => (&self.counters.out_of_order, "out of order"),
            Refusal::Limit => (&self.counters.limit, "max_streams"),
        };
        counter.add(1);
        out.count_dropped(1, reason);
    }

    /// The batch without points that are refused; for delta points that stay, what replaces them
    /// is written down in their order.
    fn accumulate(&mut self, batch: &Batch, out: &mut Outbox) -> Batch {
        let now = out.now();
        let mut identifier = self.hasher.identifier(batch.context().tenant.as_deref());
        let mut last: Option<(&[u8], bool)> = None;
        batch.retain_points(|item| {
            let metric = item.record.metric;
            let is_delta = match last {
                Some((seen, is_delta)) if std::ptr::eq(seen, metric.bytes()) => is_delta,
                _ => metric.temporality() == Temporality::Delta,
            };
            last = Some((metric.bytes(), is_delta));
            if !is_delta {
                return true;
            }
            let point = &item.record.data;
            if point.has_no_recorded_value() {
                self.written.copy(point);
                return true;
            }
            match self.take(identifier.id(item), point, now) {
                Ok(()) => true,
                Err(refusal) => {
                    self.refuse(refusal, out);
                    false
                }
            }
        })
    }

    fn settle(&mut self, now: Time) {
        self.show(self.series.len());
        let size_bytes = self.series.len() * SERIES_BYTES + self.heap_bytes;
        self.charge.resize(size_bytes);
        match self.series.is_empty() {
            true => self.next_sweep = None,
            false => {
                self.next_sweep.get_or_insert(now.saturating_add(SWEEP_INTERVAL));
            }
        }
    }
}

impl Accumulator {
    #[expect(clippy::cast_precision_loss, reason = "fewer series than 2^52")]
    fn show(&mut self, num_series: usize) {
        if num_series != self.num_shown {
            self.counters.streams.add(num_series as f64 - self.num_shown as f64);
            self.num_shown = num_series;
        }
    }
}

impl Drop for Accumulator {
    fn drop(&mut self) {
        self.show(0);
    }
}

impl Written {
    /// Writes a point with its series' start and total in the place of its own.
    fn push(&mut self, point: &DataPoint<'_>, series: &Series) {
        self.points.message(1, |to| {
            let message = point.bytes();
            for field in Fields::new(message) {
                if field.number != 2 && !series.total.owns(field.number) {
                    to.raw(message.get(field.start..field.end).unwrap_or_default());
                }
            }
            if series.start != Time::default() {
                to.fixed64_field(2, series.start.as_unix_nanos());
            }
            series.total.write(to);
        });
        self.ends.push(self.points.len());
    }

    /// Writes a point as it is.
    fn copy(&mut self, point: &DataPoint<'_>) {
        self.points.bytes_field(1, point.bytes());
        self.ends.push(self.points.len());
    }

    fn clear(&mut self) {
        self.points.clear();
        self.ends.clear();
    }

    /// Puts what is written down in the place of the delta points of `batch`.
    fn apply(&self, batch: &Batch) -> Batch {
        if self.ends.is_empty() {
            return batch.clone();
        }
        let mut ends = self.ends.iter().copied();
        let mut begin = 0;
        let (mut data, mut field) = (Writer::default(), Writer::default());
        batch.rewrite_metrics(|item, to| {
            let metric = item.record;
            if metric.temporality() != Temporality::Delta {
                return;
            }
            let num_points = metric.points().count();
            let end = num_points.checked_sub(1).and_then(|last| ends.nth(last)).unwrap_or(begin);
            let points = self.points.as_slice().get(begin..end).unwrap_or_default();
            begin = end;
            data.clear();
            write_data(&metric, points, &mut data);
            replace_data(&metric, data.as_slice(), to, &mut field);
        })
    }
}

/// Writes a metric's data with other points, as cumulative.
fn write_data(metric: &Metric<'_>, points: &[u8], to: &mut Writer) {
    let message = data_of(metric);
    to.raw(points);
    for field in Fields::new(message) {
        let is_temporality = field.number == 2 && matches!(field.value, Raw::Varint(_));
        if field.number != 1 && !is_temporality {
            to.raw(message.get(field.start..field.end).unwrap_or_default());
        }
    }
    to.varint_field(2, i64::from(Temporality::Cumulative.number()).cast_unsigned());
}

fn replace_data(metric: &Metric<'_>, data: &[u8], to: &mut MetricMut<'_, '_>, field: &mut Writer) {
    if let Some(kind) = metric.kind() {
        field.clear();
        field.bytes_field(kind.field_number(), data);
        to.replace_all(kind.field_number(), field.as_slice());
    }
}

fn data_of<'a>(metric: &Metric<'a>) -> &'a [u8] {
    match metric.data() {
        MetricData::Empty => &[],
        MetricData::Gauge(data) => data.bytes(),
        MetricData::Sum(data) => data.bytes(),
        MetricData::Histogram(data) => data.bytes(),
        MetricData::ExponentialHistogram(data) => data.bytes(),
        MetricData::Summary(data) => data.bytes(),
    }
}

impl Processor for Accumulator {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        self.written.clear();
        let kept = self.accumulate(&batch, out);
        let cumulative = self.written.apply(&kept);
        self.counters.taken.add(self.written.ends.len() as u64);
        self.settle(out.now());
        if !cumulative.is_empty() {
            out.emit(cumulative);
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Time> {
        self.next_sweep
    }

    fn tick(&mut self, out: &mut Outbox) -> Result<(), ProcessError> {
        let (now, max_stale) = (out.now(), self.settings.max_stale);
        let heap_bytes = &mut self.heap_bytes;
        self.series.retain(|_, series| {
            let is_fresh = now.saturating_since(series.last_seen) <= max_stale;
            if !is_fresh {
                *heap_bytes -= series.total.heap_bytes();
            }
            is_fresh
        });
        self.next_sweep = None;
        self.settle(now);
        Ok(())
    }

    fn state_version(&self) -> u32 {
        VERSION
    }

    /// The seeds, a hash that tells whether they still make the same ones, the number of series,
    /// and each series; numbers are little-endian.
    fn save(&self, to: &mut dyn Write) -> io::Result<()> {
        for seed in self.hasher.seeds {
            to.write_all(&seed.to_le_bytes())?;
        }
        to.write_all(&self.hasher.hash(&[b"catchment"]).to_le_bytes())?;
        to.write_all(&(self.series.len() as u64).to_le_bytes())?;
        for (id, series) in &self.series {
            to.write_all(&id.0.to_le_bytes())?;
            for time in [series.start, series.time, series.last_seen] {
                to.write_all(&time.as_unix_nanos().to_le_bytes())?;
            }
            series.total.save(to)?;
        }
        Ok(())
    }

    fn restore(&mut self, from: &mut dyn Read, version: u32) -> Result<(), RestoreError> {
        if version > VERSION {
            return Err(RestoreError::Version { found: version, known: VERSION });
        }
        let hasher = SeriesHasher { seeds: [u64_of(from)?, u64_of(from)?] };
        let mut check = [0; 16];
        from.read_exact(&mut check)?;
        if hasher.hash(&[b"catchment"]) != u128::from_le_bytes(check) {
            let what = "series were told by another hash function";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what).into());
        }
        let mut series = HashMap::default();
        let mut last_seen = Time::default();
        for _ in 0..u64_of(from)? {
            let mut id = [0; 16];
            from.read_exact(&mut id)?;
            let mut time = || u64_of(from).map(Time::from_unix_nanos);
            let (start, time, seen) = (time()?, time()?, time()?);
            let total = Total::restore(from)?;
            last_seen = last_seen.max(seen);
            let id = SeriesId(u128::from_le_bytes(id));
            series.insert(id, Series { start, time, last_seen: seen, total });
        }
        self.heap_bytes = series.values().map(|series: &Series| series.total.heap_bytes()).sum();
        (self.hasher, self.series) = (hasher, series);
        self.next_sweep = None;
        self.settle(last_seen);
        Ok(())
    }
}

fn u64_of(from: &mut dyn Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
