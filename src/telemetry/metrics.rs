//! Counters, gauges and latencies, by name and labels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::prometheus;

/// Latencies up to this are told apart; longer ones count as this long.
const MAX_LATENCY_MICROS: u64 = 3600 * 1_000_000;
/// Digits to which latencies are exact.
const LATENCY_DIGITS: u8 = 2;

/// The agent's own metrics. Cheap to clone; all clones are one registry.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    families: Arc<Mutex<BTreeMap<String, Family>>>,
}

/// All series of one name.
#[derive(Debug)]
pub(super) enum Family {
    Counters(BTreeMap<Labels, Counter>),
    Gauges(BTreeMap<Labels, Gauge>),
    Latencies(BTreeMap<Labels, Latency>),
}

/// Names and values, sorted.
pub(super) type Labels = Vec<(String, String)>;

/// A number that only grows. Cheap to clone; all clones are one number.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    value: Arc<AtomicU64>,
}

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.value.fetch_add(count, Ordering::Relaxed);
    }

    /// The sum so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down. Cheap to clone; all clones are one number.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    bits: Arc<AtomicU64>,
}

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: f64) {
        self.bits.store(value.to_bits(), Ordering::Relaxed);
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.bits.load(Ordering::Relaxed))
    }
}

/// How long things took. Cheap to clone; all clones are one record.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    record: Arc<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    /// Microseconds; made when the first comes.
    histogram: Option<Histogram<u64>>,
    sum: Duration,
}

/// What a [`Latency`] tells: count, sum, and percentiles in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) sum: Duration,
    pub(super) quantiles: Vec<(f64, f64)>,
}

impl Latency {
    /// Enters one duration.
    pub fn record(&self, took: Duration) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.sum += took;
        if record.histogram.is_none() {
            let made = Histogram::new_with_bounds(1, MAX_LATENCY_MICROS, LATENCY_DIGITS);
            record.histogram = made.ok();
        }
        if let Some(histogram) = &mut record.histogram {
            histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// The time that all but a fraction `1 - quantile` of them took at most; zero without any.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = record.histogram.as_ref().map_or(0, |all| all.value_at_quantile(quantile));
        Duration::from_micros(micros)
    }

    pub(super) fn summary(&self, quantiles: &[f64]) -> Summary {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(histogram) = &record.histogram else {
            return Summary { count: 0, sum: Duration::ZERO, quantiles: Vec::new() };
        };
        let seconds = |quantile: &f64| {
            let micros = histogram.value_at_quantile(*quantile);
            (*quantile, Duration::from_micros(micros).as_secs_f64())
        };
        Summary {
            count: histogram.len(),
            sum: record.sum,
            quantiles: quantiles.iter().map(seconds).collect(),
        }
    }
}

impl Metrics {
    /// The counter of this name and these labels. Where the name is another kind's, it counts for
    /// itself and is not shown.
    #[must_use]
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Counter {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let family =
            families.entry(name.to_owned()).or_insert_with(|| Family::Counters(BTreeMap::new()));
        match family {
            Family::Counters(series) => series.entry(sorted(labels)).or_default().clone(),
            Family::Gauges(_) | Family::Latencies(_) => Counter::default(),
        }
    }

    /// The gauge of this name and these labels; see [`Metrics::counter`].
    #[must_use]
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Gauge {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let family =
            families.entry(name.to_owned()).or_insert_with(|| Family::Gauges(BTreeMap::new()));
        match family {
            Family::Gauges(series) => series.entry(sorted(labels)).or_default().clone(),
            Family::Counters(_) | Family::Latencies(_) => Gauge::default(),
        }
    }

    /// The latencies of this name and these labels; see [`Metrics::counter`].
    #[must_use]
    pub fn latency(&self, name: &str, labels: &[(&str, &str)]) -> Latency {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let family =
            families.entry(name.to_owned()).or_insert_with(|| Family::Latencies(BTreeMap::new()));
        match family {
            Family::Latencies(series) => series.entry(sorted(labels)).or_default().clone(),
            Family::Counters(_) | Family::Gauges(_) => Latency::default(),
        }
    }

    /// Everything in Prometheus's text format, the process's own numbers included.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus::write(&families)
    }
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
    fn same_name_and_labels_are_one_series() {
        let metrics = Metrics::default();
        metrics.counter("a", &[("x", "1"), ("y", "2")]).add(2);
        metrics.clone().counter("a", &[("y", "2"), ("x", "1")]).add(3);
        assert_eq!(metrics.counter("a", &[("x", "1"), ("y", "2")]).get(), 5);
        assert_eq!(metrics.counter("a", &[]).get(), 0);
        metrics.gauge("a", &[]).set(123.456);
        assert!(!metrics.to_prometheus().contains("123.456"), "a name has one kind");
    }

    #[test]
    fn latencies_have_percentiles() {
        let latency = Metrics::default().latency("l", &[]);
        for millis in 1..=100 {
            latency.record(Duration::from_millis(millis));
        }
        let median = latency.quantile(0.5).as_secs_f64();
        assert!((0.049..0.052).contains(&median), "{median}");
        latency.record(Duration::from_secs(100_000));
        assert_eq!(latency.summary(&[]).count, 101);
    }
}
