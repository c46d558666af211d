//! Data points of sums, gauges and histograms: about 272 bytes each with their share of the
//! envelope.

use rand::Rng;

use super::draft::Draft;
use super::fill::Fill;
use super::template::Drafting;
use super::words::{METHODS, ROUTES};
use crate::data::Value;

/// Data points of a metric.
const POINTS_PER_METRIC: usize = 10;
const NUMBER_ATTRIBUTES: u32 = 7;
const HISTOGRAM_ATTRIBUTES: u32 = 9;
const CUMULATIVE: u64 = 2;
/// Upper limits of a histogram's buckets, in milliseconds (those that SDKs have by default).
const BOUNDS: [f64; 15] = [
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0,
    10000.0,
];
const NUM_BUCKETS: usize = BOUNDS.len() + 1;

/// The metrics, in the order in which they come: name, unit, kind.
const METRICS: [(&str, &str, Kind); 8] = [
    ("http.server.requests", "{request}", Kind::Sum),
    ("http.server.request.duration", "ms", Kind::Histogram),
    ("process.memory.usage", "By", Kind::Gauge),
    ("rpc.server.bytes_sent", "By", Kind::Sum),
    ("queue.depth", "{item}", Kind::Gauge),
    ("rpc.server.duration", "ms", Kind::Histogram),
    ("cache.lookups", "{lookup}", Kind::Sum),
    ("db.client.connections.usage", "{connection}", Kind::Gauge),
];

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Sum,
    Histogram,
}

impl Kind {
    /// The field of a metric that holds its data.
    const fn number(self) -> u32 {
        match self {
            Self::Gauge => 5,
            Self::Sum => 7,
            Self::Histogram => 9,
        }
    }
}

/// Writes `share` data points.
pub(super) fn write(drafting: &mut Drafting<'_>, share: usize, group: &mut Draft) {
    let mut left = share;
    for (name, unit, kind) in METRICS.into_iter().cycle() {
        if left == 0 {
            break;
        }
        let num_points = left.min(POINTS_PER_METRIC);
        left -= num_points;
        group.message(2, |metric| {
            metric.writer().str_field(1, name);
            metric.writer().str_field(3, unit);
            metric.message(kind.number(), |data| {
                for _ in 0..num_points {
                    data.message(1, |point| write_point(drafting, kind, point));
                    drafting.next += 1;
                }
                write_temporality(kind, data);
            });
        });
    }
}

fn write_temporality(kind: Kind, data: &mut Draft) {
    match kind {
        Kind::Gauge => {}
        Kind::Sum => {
            data.writer().varint_field(2, CUMULATIVE);
            data.writer().varint_field(3, 1);
        }
        Kind::Histogram => data.writer().varint_field(2, CUMULATIVE),
    }
}

fn write_point(drafting: &mut Drafting<'_>, kind: Kind, point: &mut Draft) {
    point.writer().fixed64_field(2, drafting.shape.start.as_unix_nanos());
    point.fixed64(3, Fill::Time { before_micros: 0 });
    match kind {
        Kind::Gauge => {
            point.fixed64(4, Fill::Double { max_thousandths: 4_000_000_000 });
            write_attributes(drafting, NUMBER_ATTRIBUTES, point);
        }
        Kind::Sum => {
            let weight = drafting.random.random_range(1..10_000);
            point.fixed64(6, Fill::Total(weight));
            write_attributes(drafting, NUMBER_ATTRIBUTES, point);
        }
        Kind::Histogram => {
            write_buckets(drafting, point);
            write_attributes(drafting, HISTOGRAM_ATTRIBUTES, point);
        }
    }
}

fn write_buckets(drafting: &mut Drafting<'_>, point: &mut Draft) {
    let weights: [u64; NUM_BUCKETS] = std::array::from_fn(|_| drafting.random.random_range(0..500));
    let count = weights.iter().sum();
    let mean = drafting.random.random_range(1.0..800.0);
    point.fixed64(4, Fill::Total(count));
    point.fixed64(5, Fill::TotalDouble(count as f64 * mean));
    point.writer().length_prefix(6, 8 * NUM_BUCKETS);
    for weight in weights {
        point.place(Fill::Total(weight));
    }
    point.writer().length_prefix(7, 8 * BOUNDS.len());
    for bound in BOUNDS {
        point.writer().raw(&bound.to_le_bytes());
    }
}

/// What tells the series of a template apart: the position of the point is among them.
fn write_attributes(drafting: &mut Drafting<'_>, number: u32, point: &mut Draft) {
    let position = i64::try_from(drafting.next).unwrap_or_default();
    point.constant(number, "http.request.method", Value::Str(drafting.one_of(&METHODS)));
    point.constant(number, "http.route", Value::Str(drafting.one_of(&ROUTES)));
    point.constant(number, "server.address", Value::Str("shop.example.com"));
    point.constant(number, "server.port", Value::Int(8000 + position));
    point.constant(number, "url.scheme", Value::Str("https"));
    point.constant(number, "network.protocol.version", Value::Str("2"));
    drafting.write_id(number, point);
}
