//! The agent's own metrics: counters, gauges and latencies by family name and labels.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::process;
use super::prometheus::{CounterNames, Page};
use super::sizes::Sizes;

/// Quantiles are taken over the last one to two of these.
const WINDOW: Duration = Duration::from_secs(300);

/// Significant decimal digits of a quantile.
const DIGITS: u8 = 2;

/// The quantiles that are shown of a latency.
pub(super) const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// The labels of a series, sorted by name.
pub(super) type Labels = Vec<(String, String)>;

/// All metrics of the agent; clones share them.
///
/// Asking for a family and labels again gives the same handle, so nothing has to be handed around.
/// Families have the names that the Collector's documentation lists
/// (`otelcol_receiver_accepted_log_records`); see [`CounterNames`] for the other form.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
}

#[derive(Debug)]
struct Registry {
    families: RwLock<BTreeMap<String, BTreeMap<Labels, Series>>>,
    started: Instant,
}

/// One series of a family.
#[derive(Clone)]
pub(super) enum Series {
    /// A count that only grows.
    Counter(Counter),
    /// A value that was set.
    Gauge(Gauge),
    /// A value that is looked up when it is asked for.
    Computed(Arc<dyn Fn() -> f64 + Send + Sync>),
    /// A distribution of durations.
    Latency(Latency),
    /// A distribution of sizes.
    Sizes(Sizes),
}

/// A count that only grows; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    count: Arc<AtomicU64>,
}

/// A value that goes up and down; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    /// The bits of an `f64`; all zeros are 0.
    bits: Arc<AtomicU64>,
}

/// A distribution of durations; clones share it.
#[derive(Clone, Debug)]
pub struct Latency {
    state: Arc<Mutex<LatencyState>>,
}

#[derive(Debug)]
struct LatencyState {
    /// In nanoseconds.
    current: Histogram<u32>,
    previous: Histogram<u32>,
    rotated: Instant,
    count: u64,
    sum: Duration,
}

/// A latency at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LatencySnapshot {
    /// Of [`QUANTILES`], in seconds; NaN when nothing was recorded of late.
    pub(super) quantiles: [f64; 4],
    /// All durations since the start, in seconds.
    pub(super) sum: f64,
    /// How many there were since the start.
    pub(super) count: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry { families: RwLock::default(), started: Instant::now() };
        Self { registry: Arc::new(registry) }
    }
}

impl Metrics {
    /// The counter called `family` with `labels`.
    #[must_use]
    pub fn counter(&self, family: &str, labels: &[(&str, &str)]) -> Counter {
        match self.series(family, labels, || Series::Counter(Counter::default())) {
            Some(Series::Counter(counter)) => counter,
            _ => Counter::default(),
        }
    }

    /// The gauge called `family` with `labels`.
    #[must_use]
    pub fn gauge(&self, family: &str, labels: &[(&str, &str)]) -> Gauge {
        match self.series(family, labels, || Series::Gauge(Gauge::default())) {
            Some(Series::Gauge(gauge)) => gauge,
            _ => Gauge::default(),
        }
    }

    /// Adds a gauge whose value is looked up when it is asked for, in place of one with the same
    /// labels.
    pub fn gauge_fn(
        &self,
        family: &str,
        labels: &[(&str, &str)],
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let mut families = self.registry.families.write().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(family.to_owned()).or_default();
        let series = Series::Computed(Arc::new(value));
        if family.values().all(|other| other.kind() == series.kind()) {
            family.insert(sorted(labels), series);
        }
    }

    /// The latency called `family` with `labels`; the name should end in `_seconds`.
    #[must_use]
    pub fn latency(&self, family: &str, labels: &[(&str, &str)]) -> Latency {
        match self.series(family, labels, || Series::Latency(Latency::default())) {
            Some(Series::Latency(latency)) => latency,
            _ => Latency::default(),
        }
    }

    /// The distribution of sizes called `family` with `labels`, over buckets with inclusive upper
    /// `bounds` that rise.
    #[must_use]
    pub fn sizes(&self, family: &str, labels: &[(&str, &str)], bounds: &'static [u64]) -> Sizes {
        match self.series(family, labels, || Series::Sizes(Sizes::new(bounds))) {
            Some(Series::Sizes(sizes)) => sizes,
            _ => Sizes::new(bounds),
        }
    }

    /// All metrics in Prometheus' text format, counters named as the Collector's documentation
    /// lists them.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        self.to_prometheus_with(CounterNames::AsListed)
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn to_prometheus_with(&self, names: CounterNames) -> String {
        let mut page = Page::new(names);
        let families = self.registry.families.read().unwrap_or_else(PoisonError::into_inner);
        for (family, series) in &*families {
            page.push_family(family, series);
        }
        drop(families);
        process::push(self.registry.started.elapsed(), &mut page);
        page.finish()
    }

    /// The series, made if it is not there; `None` when the family is of another kind, which is
    /// an error in the program that costs one metric.
    fn series(
        &self,
        family: &str,
        labels: &[(&str, &str)],
        make: impl FnOnce() -> Series,
    ) -> Option<Series> {
        let mut families = self.registry.families.write().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(family.to_owned()).or_default();
        let kind = family.values().next().map(Series::kind);
        match family.entry(sorted(labels)) {
            Entry::Occupied(entry) => Some(entry.get().clone()),
            Entry::Vacant(entry) => {
                let series = make();
                if kind.is_some_and(|kind| kind != series.kind()) {
                    return None;
                }
                Some(entry.insert(series).clone())
            }
        }
    }
}

impl Series {
    /// The type as Prometheus calls it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) | Self::Computed(_) => "gauge",
            Self::Latency(_) => "summary",
            Self::Sizes(_) => "histogram",
        }
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind())
    }
}

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.bits.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds to the value; a negative `amount` takes away.
    pub fn add(&self, amount: f64) {
        // The closure always gives a value, so the update always takes place.
        let _ = self.bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some((f64::from_bits(bits) + amount).to_bits())
        });
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.bits.load(Ordering::Relaxed))
    }
}

impl Default for Latency {
    fn default() -> Self {
        let state = LatencyState {
            current: empty_histogram(),
            previous: empty_histogram(),
            rotated: Instant::now(),
            count: 0,
            sum: Duration::ZERO,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

impl Latency {
    /// Records that something took `duration`.
    pub fn record(&self, duration: Duration) {
        self.record_at(duration, Instant::now());
    }

    /// How many durations were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    pub(super) fn snapshot(&self) -> LatencySnapshot {
        self.snapshot_at(Instant::now())
    }

    fn record_at(&self, duration: Duration, now: Instant) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.lock();
        state.rotate(now);
        // The histogram grows as it needs to; only a duration of centuries would not fit.
        let _ = state.current.record(nanos);
        state.count += 1;
        state.sum = state.sum.saturating_add(duration);
    }

    fn snapshot_at(&self, now: Instant) -> LatencySnapshot {
        let mut state = self.lock();
        state.rotate(now);
        let mut window = state.previous.clone();
        // A histogram that grows takes in every other.
        let _ = window.add(&state.current);
        let quantiles = QUANTILES.map(|quantile| {
            if window.is_empty() {
                return f64::NAN;
            }
            Duration::from_nanos(window.value_at_quantile(quantile)).as_secs_f64()
        });
        LatencySnapshot { quantiles, sum: state.sum.as_secs_f64(), count: state.count }
    }

    fn lock(&self) -> MutexGuard<'_, LatencyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LatencyState {
    /// Forgets what is older than two windows.
    fn rotate(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.rotated);
        if age < WINDOW {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.reset();
        if age >= 2 * WINDOW {
            self.previous.reset();
        }
        self.rotated = now;
    }
}

#[expect(clippy::expect_used, reason = "the only argument is a constant")]
fn empty_histogram() -> Histogram<u32> {
    Histogram::new(DIGITS).expect("2 digits are within the 0 to 5 that are allowed")
}

fn sorted(labels: &[(&str, &str)]) -> Labels {
    let mut labels: Labels =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    labels.sort();
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_family_and_labels_give_the_same_handle() {
        let metrics = Metrics::default();
        metrics.counter("a", &[("x", "1"), ("y", "2")]).add(2);
        let again = metrics.clone().counter("a", &[("y", "2"), ("x", "1")]);
        assert_eq!(again.get(), 2);
        assert_eq!(metrics.counter("a", &[("x", "2")]).get(), 0);
        metrics.gauge("g", &[]).set(1.5);
        metrics.gauge("g", &[]).add(-2.0);
        assert_eq!(metrics.gauge("g", &[]).get(), -0.5);
        metrics.latency("l", &[]).record(Duration::from_millis(1));
        assert_eq!(metrics.latency("l", &[]).count(), 1);
    }

    #[test]
    fn family_keeps_its_kind() {
        let metrics = Metrics::default();
        metrics.counter("a", &[]).add(1);
        metrics.gauge("a", &[("x", "1")]).set(9.0);
        metrics.gauge_fn("a", &[("x", "2")], || 9.0);
        let text = metrics.to_prometheus();
        assert!(text.contains("a 1\n"));
        assert!(!text.contains("a{"), "{text}");
    }

    #[test]
    fn computed_gauge_is_looked_up_when_asked_for() {
        let metrics = Metrics::default();
        let counter = metrics.counter("c", &[]);
        let shown = counter.clone();
        metrics.gauge_fn("g", &[], move || if shown.get() > 3 { 7.25 } else { 0.0 });
        assert!(metrics.to_prometheus().contains("\ng 0\n"));
        counter.add(4);
        assert!(metrics.to_prometheus().contains("\ng 7.25\n"));
    }

    #[test]
    fn quantiles_are_within_one_percent() {
        let latency = Latency::default();
        for millis in 1..=1000 {
            latency.record(Duration::from_millis(millis));
        }
        let snapshot = latency.snapshot();
        for (quantile, expected) in snapshot.quantiles.iter().zip([0.5, 0.9, 0.99, 0.999]) {
            assert!((quantile / expected - 1.0).abs() < 0.01, "{quantile} for {expected}");
        }
        assert_eq!(snapshot.count, 1000);
        assert!((snapshot.sum - 500.5).abs() < 1e-9);
    }

    #[test]
    fn quantiles_forget_and_totals_do_not() {
        let latency = Latency::default();
        let start = Instant::now();
        latency.record_at(Duration::from_secs(9), start);
        latency.record_at(Duration::from_secs(1), start + WINDOW);
        assert!(latency.snapshot_at(start + WINDOW).quantiles[3] > 8.9);
        assert!(latency.snapshot_at(start + WINDOW * 2).quantiles[3] < 1.1);
        let late = latency.snapshot_at(start + WINDOW * 4);
        assert!(late.quantiles[0].is_nan());
        assert_eq!((late.count, late.sum), (2, 10.0));
    }
}
