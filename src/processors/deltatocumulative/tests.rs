use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::component::{Budget, Outbox, RestoreError};
use crate::config::{Node, from_node, render};
use crate::data::{Batch, Context, DoorLimits, Time};

fn read(text: &str) -> Result<DeltaToCumulativeConfig, String> {
    from_node(&Node::parse("x.yaml", text).unwrap(), "").map_err(|errors| render(&errors))
}

fn accumulator(text: &str) -> Accumulator {
    counting_accumulator(text, Counters::default())
}

fn counting_accumulator(text: &str, counters: Counters) -> Accumulator {
    let DeltaToCumulativeConfig { max_stale, max_streams } = read(text).unwrap();
    let charge = Budget::new(1 << 30, 0).charge("test", 0);
    Accumulator::new(Settings { max_stale, max_streams }, counters, charge)
}

fn batch(tenant: &str, metrics: Vec<Metric>) -> Batch {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let request = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    let context = Arc::new(Context { tenant: Some(tenant.into()), ..Context::default() });
    Batch::try_new(Signal::Metrics, request.into(), context, &DoorLimits::default()).unwrap().batch
}

fn seconds(seconds: u64) -> Time {
    Time::from_unix_nanos(seconds * 1_000_000_000)
}

/// The metrics that come out, and why points were dropped.
fn process(
    accumulator: &mut Accumulator,
    now: u64,
    batch: Batch,
) -> (Vec<Metric>, Vec<(&'static str, usize)>) {
    let num_records = batch.num_records();
    let mut out = Outbox::new(seconds(now), None, false);
    accumulator.process(batch, &mut out).unwrap();
    let dropped: Vec<_> = out.dropped().iter().map(|it| (it.reason, it.num_records)).collect();
    let mut metrics = Vec::new();
    let mut num_emitted = 0;
    for emission in out.emissions() {
        num_emitted += emission.batch.num_records();
        let request = ExportMetricsServiceRequest::decode(emission.batch.merged_bytes()).unwrap();
        let groups = request.resource_metrics.into_iter().flat_map(|group| group.scope_metrics);
        metrics.extend(groups.flat_map(|group| group.metrics));
    }
    let num_dropped: usize = dropped.iter().map(|(_, num_records)| num_records).sum();
    assert_eq!(num_emitted + num_dropped, num_records);
    (metrics, dropped)
}

fn sum(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let data = Sum { data_points, aggregation_temporality: 1, is_monotonic: true };
    Metric { name: name.to_owned(), data: Some(Data::Sum(data)), ..Metric::default() }
}

fn point(start: u64, time: u64, value: Number) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn points(metric: &Metric) -> Vec<(u64, u64, Number)> {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("a sum") };
    assert_eq!(sum.aggregation_temporality, 2);
    sum.data_points
        .iter()
        .map(|point| (point.start_time_unix_nano, point.time_unix_nano, point.value.unwrap()))
        .collect()
}

#[test]
fn points_add_up_and_late_ones_are_dropped() {
    let mut accumulator = accumulator("{}");
    let int = Number::AsInt;
    let first = vec![point(5, 10, int(3)), point(10, 20, int(4)), point(4, 30, int(9))];
    let (metrics, dropped) = process(&mut accumulator, 0, batch("", vec![sum("a", first)]));
    assert_eq!(points(&metrics[0]), [(5, 10, int(3)), (5, 20, int(7))]);
    assert_eq!(dropped, [("older start", 1)]);
    let late = sum("a", vec![point(20, 20, int(1)), point(20, 19, int(1))]);
    let (metrics, dropped) = process(&mut accumulator, 0, batch("", vec![late.clone()]));
    assert_eq!((metrics.len(), dropped), (0, vec![("out of order", 2)]));
    let (metrics, _) = process(&mut accumulator, 0, batch("other tenant", vec![late]));
    assert_eq!(points(&metrics[0]), [(20, 20, int(1))]);
    let after_a_gap = sum("a", vec![point(90, 100, Number::AsDouble(0.5))]);
    let (metrics, _) = process(&mut accumulator, 0, batch("", vec![after_a_gap]));
    assert_eq!(points(&metrics[0]), [(5, 100, Number::AsDouble(7.5))]);
}

#[test]
fn everything_else_of_a_metric_stays() {
    let mut accumulator = accumulator("{}");
    let mut rich = point(1, 2, Number::AsInt(1));
    rich.exemplars = vec![Exemplar { time_unix_nano: 2, ..Exemplar::default() }];
    let mut stale = point(2, 3, Number::AsInt(0));
    (stale.flags, stale.value) = (1, None);
    let mut delta = sum("a", vec![rich.clone(), stale.clone(), point(2, 4, Number::AsInt(2))]);
    delta.description = "what".to_owned();
    let mut cumulative = sum("b", vec![rich.clone()]);
    let Some(Data::Sum(data)) = &mut cumulative.data else { panic!("a sum") };
    data.aggregation_temporality = 2;
    let gauge = Data::Gauge(Gauge { data_points: vec![rich.clone()] });
    let gauge = Metric { name: "c".to_owned(), data: Some(gauge), ..Metric::default() };
    let input = vec![cumulative.clone(), delta.clone(), gauge.clone()];
    let (metrics, _) = process(&mut accumulator, 0, batch("", input));
    let Some(Data::Sum(data)) = &mut delta.data else { panic!("a sum") };
    data.aggregation_temporality = 2;
    data.data_points[2] = point(1, 4, Number::AsInt(3));
    assert_eq!(metrics, [cumulative.clone(), delta, gauge.clone()]);
    let untouched = batch("", vec![cumulative, gauge]);
    let mut out = Outbox::new(seconds(0), None, false);
    accumulator.process(untouched.clone(), &mut out).unwrap();
    assert_eq!(out.emissions()[0].batch.chunks()[0].as_ptr(), untouched.chunks()[0].as_ptr());
}

#[test]
fn series_over_the_limit_are_dropped_until_others_are_stale() {
    let counters = Counters::default();
    let mut accumulator =
        counting_accumulator("{max_streams: 1, max_stale: 100s}", counters.clone());
    let one = |name, time| batch("", vec![sum(name, vec![point(1, time, Number::AsInt(1))])]);
    process(&mut accumulator, 0, one("a", 2));
    let (metrics, dropped) = process(&mut accumulator, 0, one("b", 2));
    assert_eq!((metrics.len(), dropped), (0, vec![("max_streams", 1)]));
    assert_eq!(accumulator.deadline(), Some(seconds(60)));
    for (now, next) in [(60, Some(120)), (120, None)] {
        assert!((counters.streams.get() - 1.0).abs() < f64::EPSILON);
        let mut out = Outbox::new(seconds(now), None, false);
        accumulator.tick(&mut out).unwrap();
        assert_eq!(accumulator.deadline(), next.map(seconds));
    }
    assert!(counters.streams.get().abs() < f64::EPSILON);
    let (metrics, _) = process(&mut accumulator, 130, one("b", 3));
    assert_eq!(points(&metrics[0]), [(1, 3, Number::AsInt(1))]);
    drop(accumulator);
    assert!(counters.streams.get().abs() < f64::EPSILON);
}

#[test]
fn histograms_add_up_bucket_by_bucket() {
    let mut accumulator = accumulator("{}");
    let point = |time, counts: [u64; 3], sum, min| HistogramDataPoint {
        start_time_unix_nano: 1,
        time_unix_nano: time,
        count: counts.iter().sum(),
        sum,
        min,
        max: Some(9.0),
        bucket_counts: counts.to_vec(),
        explicit_bounds: vec![1.0, 2.0],
        ..HistogramDataPoint::default()
    };
    let mut other_bounds = point(4, [1, 0, 0], None, None);
    other_bounds.explicit_bounds = vec![1.0, 3.0];
    other_bounds.start_time_unix_nano = 3;
    let data_points = vec![
        point(2, [1, 2, 3], Some(4.5), Some(0.5)),
        point(3, [0, 1, 1], Some(2.0), None),
        other_bounds.clone(),
    ];
    let data = Histogram { data_points, aggregation_temporality: 1 };
    let metric = Metric { data: Some(Data::Histogram(data)), ..Metric::default() };
    let (metrics, _) = process(&mut accumulator, 0, batch("", vec![metric]));
    let Some(Data::Histogram(data)) = &metrics[0].data else { panic!("a histogram") };
    assert_eq!(data.aggregation_temporality, 2);
    assert_eq!(
        data.data_points,
        [
            point(2, [1, 2, 3], Some(4.5), Some(0.5)),
            point(3, [1, 3, 4], Some(6.5), None),
            other_bounds,
        ]
    );
}

#[test]
fn exponential_histograms_add_up_at_the_lower_scale() {
    let mut accumulator = accumulator("{}");
    let point = |time, scale, offset, bucket_counts: &[u64]| {
        let bucket_counts = bucket_counts.to_vec();
        ExponentialHistogramDataPoint {
            start_time_unix_nano: 1,
            time_unix_nano: time,
            count: bucket_counts.iter().sum::<u64>() + 1,
            scale,
            zero_count: 1,
            positive: Some(Buckets { offset, bucket_counts }),
            negative: Some(Buckets::default()),
            ..ExponentialHistogramDataPoint::default()
        }
    };
    let data_points = vec![point(2, 1, -3, &[1, 2, 3, 4, 5]), point(3, 0, 1, &[7])];
    let data = ExponentialHistogram { data_points, aggregation_temporality: 1 };
    let metric = Metric { data: Some(Data::ExponentialHistogram(data)), ..Metric::default() };
    let (metrics, _) = process(&mut accumulator, 0, batch("", vec![metric]));
    let Some(Data::ExponentialHistogram(data)) = &metrics[0].data else { panic!("a histogram") };
    let mut expected = point(3, 0, -2, &[1, 5, 9, 7]);
    (expected.zero_count, expected.count) = (2, 24);
    assert_eq!(data.data_points, [point(2, 1, -3, &[1, 2, 3, 4, 5]), expected]);
}

#[test]
fn wrong_settings_and_states_are_named() {
    for (text, message) in [
        ("max_stale: 0s", "`max_stale` must be longer than 0"),
        ("max_streams: -1", "-1"),
        ("storage: file_storage", "storage"),
        ("max_age: 1s", "max_age"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
    let mut restored = accumulator("{}");
    let later = restored.restore(&mut [].as_slice(), 2);
    assert!(matches!(later, Err(RestoreError::Version { found: 2, known: 1 })));
    for garbage in [vec![], vec![7; 40], vec![0; 100]] {
        assert!(restored.restore(&mut garbage.as_slice(), 1).is_err());
    }
}

/// A point as the model sees it: series, start, time, value.
type Plain = (u8, u64, u64, i64);

/// What the Collector does, said plainly.
fn model(input: &[Plain]) -> Vec<Plain> {
    let mut series: BTreeMap<u8, (u64, u64, i64)> = BTreeMap::new();
    let mut output = Vec::new();
    for (id, start, time, value) in input {
        let total = match series.get(id) {
            None => (*start, *time, *value),
            Some((first, last, _)) if start < first || time <= last => continue,
            Some((first, _, total)) => (*first, *time, total + value),
        };
        series.insert(*id, total);
        output.push((*id, total.0, total.1, total.2));
    }
    output
}

proptest! {
    /// The output is the model's however the input is cut, and whatever is saved and restored
    /// between two batches.
    #[test]
    fn output_is_that_of_a_plain_model(
        input in prop::collection::vec((0_u8..4, 0_u64..3, 0_u64..40, -5_i64..50), 1..60),
        cuts in prop::collection::vec((1_usize..8, any::<bool>()), 60),
    ) {
        let mut accumulator = accumulator("{}");
        let mut output = Vec::new();
        let mut rest = input.as_slice();
        for (length, is_saved) in cuts {
            let (piece, others) = rest.split_at(length.min(rest.len()));
            rest = others;
            let metrics = piece.iter().map(|(id, start, time, value)| {
                sum(&id.to_string(), vec![point(*start, *time, Number::AsInt(*value))])
            });
            let (metrics, _) = process(&mut accumulator, 0, batch("", metrics.collect()));
            for metric in metrics {
                for (start, time, value) in points(&metric) {
                    let Number::AsInt(value) = value else { panic!("whole numbers") };
                    output.push((metric.name.parse().unwrap(), start, time, value));
                }
            }
            if is_saved {
                let mut saved = Vec::new();
                accumulator.save(&mut saved).unwrap();
                accumulator = self::accumulator("{}");
                accumulator.restore(&mut saved.as_slice(), 1).unwrap();
            }
        }
        prop_assert_eq!(output, model(&input));
    }
}
