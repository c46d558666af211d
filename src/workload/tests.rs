use std::collections::HashSet;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::*;
use crate::data::{Batch, DoorLimits, Resource, Signal, Time};

const NOW: Time = Time::from_unix_nanos(1_790_000_000_000_000_000);

fn shape(signal: Signal, num_records: usize) -> Shape {
    Shape { signal, num_records, seed: 7, start: NOW, run: None }
}

fn template(signal: Signal, num_records: usize) -> Template {
    Template::new(&shape(signal, num_records), |_| Vec::new())
}

fn log_records(request: &[u8]) -> Vec<LogRecord> {
    let request = ExportLogsServiceRequest::decode(request).unwrap();
    let resources = request.resource_logs.into_iter();
    resources.flat_map(|group| group.scope_logs).flat_map(|group| group.log_records).collect()
}

fn spans(request: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(request).unwrap();
    let resources = request.resource_spans.into_iter();
    resources.flat_map(|group| group.scope_spans).flat_map(|group| group.spans).collect()
}

/// The attributes of all data points.
fn points(request: &[u8]) -> Vec<Vec<KeyValue>> {
    let request = ExportMetricsServiceRequest::decode(request).unwrap();
    let resources = request.resource_metrics.into_iter();
    let metrics = resources.flat_map(|group| group.scope_metrics).flat_map(|group| group.metrics);
    let of_metric = |data| -> Vec<Vec<KeyValue>> {
        match data {
            metric::Data::Gauge(gauge) => {
                gauge.data_points.into_iter().map(|point| point.attributes).collect()
            }
            metric::Data::Sum(sum) => {
                sum.data_points.into_iter().map(|point| point.attributes).collect()
            }
            metric::Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
                    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                }
                histogram.data_points.into_iter().map(|point| point.attributes).collect()
            }
            _ => unreachable!(),
        }
    };
    metrics.flat_map(|metric| of_metric(metric.data.unwrap())).collect()
}

fn id_of(attributes: &[KeyValue]) -> i64 {
    let found = attributes.iter().find(|pair| pair.key == "load.id").unwrap();
    match found.value.clone().unwrap().value {
        Some(any_value::Value::IntValue(id)) => id,
        other => unreachable!("{other:?}"),
    }
}

fn ids(signal: Signal, request: &[u8]) -> Vec<i64> {
    match signal {
        Signal::Logs => log_records(request).iter().map(|log| id_of(&log.attributes)).collect(),
        Signal::Traces => spans(request).iter().map(|span| id_of(&span.attributes)).collect(),
        Signal::Metrics => points(request).iter().map(|point| id_of(point)).collect(),
    }
}

#[test]
fn every_template_is_valid_otlp_with_as_many_records_as_asked_for() {
    for signal in Signal::ALL {
        for num_records in [1, 2, 3, 4, 7, 500] {
            for seed in 0..20 {
                let shape = Shape { seed, ..shape(signal, num_records) };
                let request = Template::new(&shape, |_| Vec::new()).next(NOW, 1);
                let limits = DoorLimits::default();
                let admitted = Batch::try_new(signal, request, Default::default(), &limits);
                let admitted = admitted.unwrap();
                assert_eq!(admitted.batch.num_records(), num_records);
                assert_eq!(admitted.num_rejected + admitted.num_invalid_utf8, 0);
            }
        }
    }
}

#[test]
fn records_have_the_stated_sizes() {
    let mut means = Vec::new();
    for (signal, num_records, stated) in
        [(Signal::Logs, 500, 444.0), (Signal::Traces, 500, 589.0), (Signal::Metrics, 200, 272.0)]
    {
        let sizes = (0..32).map(|seed| {
            let shape = Shape { seed, ..shape(signal, num_records) };
            Template::new(&shape, |_| Vec::new()).next(NOW, 1).len() as f64 / num_records as f64
        });
        let mean = sizes.sum::<f64>() / 32.0;
        means.push((signal, mean, mean / stated - 1.0));
    }
    assert!(means.iter().all(|(_, _, deviation)| deviation.abs() < 0.02), "{means:?}");
}

#[test]
fn ids_are_unique_and_dense_over_requests() {
    for signal in Signal::ALL {
        let shape = Shape { run: Some("r1".into()), ..shape(signal, 100) };
        let mut template = Template::new(&shape, |_| Vec::new());
        let mut seen = Vec::new();
        for first in [1, 101, 201] {
            seen.extend(ids(signal, &template.next(NOW, first)));
        }
        assert_eq!(seen, (1..=300).collect::<Vec<i64>>());
        let last = (1 << 35) - 100;
        assert_eq!(ids(signal, &template.next(NOW, last))[99], i64::try_from(last).unwrap() + 99);
    }
}

#[test]
fn lead_knows_the_length_and_stays() {
    let mut template =
        Template::new(&shape(Signal::Logs, 10), |length| length.to_be_bytes().to_vec());
    for _ in 0..2 {
        let request = template.next(NOW, 1);
        let (lead, message) = request.split_at(8);
        assert_eq!(lead, message.len().to_be_bytes());
        assert_eq!(log_records(message).len(), 10);
    }
}

#[test]
fn request_is_written_in_place_when_the_one_before_is_gone() {
    let mut template = template(Signal::Logs, 10);
    let first = template.next(NOW, 1);
    let (place, kept) = (first.as_ptr(), first.to_vec());
    drop(first);
    let second = template.next(NOW, 1);
    assert_eq!(second.as_ptr(), place);
    assert_ne!(second, kept);
    let third = template.next(NOW, 1);
    assert_ne!(third.as_ptr(), second.as_ptr());
    assert_ne!(third, second);
}

#[test]
fn requests_differ_in_ids_and_numbers_and_the_same_seed_repeats_them() {
    let mut all = HashSet::new();
    let (mut one, mut same) = (template(Signal::Logs, 50), template(Signal::Logs, 50));
    for _ in 0..20 {
        let request = one.next(NOW, 1);
        assert_eq!(request, same.next(NOW, 1));
        for record in log_records(&request) {
            let uuid = record.attributes[0].value.clone().unwrap().value.unwrap();
            assert!(all.insert(format!("{uuid:?}")));
            assert!(record.observed_time_unix_nano >= record.time_unix_nano);
            assert!(record.time_unix_nano <= NOW.as_unix_nanos());
        }
    }
}

#[test]
fn spans_of_a_trace_have_its_root_as_parent() {
    let spans = spans(&template(Signal::Traces, 48).next(NOW, 1));
    let mut ids = HashSet::new();
    for trace in spans.chunks(6) {
        assert!(trace[0].parent_span_id.is_empty());
        for span in trace {
            assert!(ids.insert(span.span_id.clone()));
            assert_eq!(span.trace_id, trace[0].trace_id);
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
            for event in &span.events {
                let within = span.start_time_unix_nano..=span.end_time_unix_nano;
                assert!(within.contains(&event.time_unix_nano));
            }
        }
        assert!(trace[1..].iter().all(|span| span.parent_span_id == trace[0].span_id));
    }
}

fn batch(signal: Signal, request: bytes::Bytes) -> Batch {
    Batch::try_new(signal, request, Default::default(), &DoorLimits::default()).unwrap().batch
}

#[test]
fn log_records_belong_to_spans_of_their_own_resource_that_are_under_way() {
    for (num_logs, num_spans) in [(200, 120), (8, 8), (9, 2), (1, 500)] {
        let traces = batch(Signal::Traces, template(Signal::Traces, num_spans).next(NOW, 1));
        let spans = SpanRef::by_resource(&traces);
        assert_eq!(spans.iter().map(Vec::len).sum::<usize>(), num_spans);
        let mut logs = template(Signal::Logs, num_logs);
        let logs = batch(Signal::Logs, logs.next_within(NOW, 1, &spans));
        let (mut num_traced, mut num_under_way) = (0, 0);
        for item in logs.logs().items() {
            let Some(trace_id) = item.record.trace_id() else { continue };
            let found = traces.spans().items().find(|span| {
                let ids = (span.record.trace_id(), span.record.span_id());
                ids == (Some(trace_id), item.record.span_id())
            });
            let Some(span) = found else {
                // The resource has no spans.
                assert!(num_spans < 4);
                continue;
            };
            assert_eq!(span.resource.bytes(), item.resource.bytes());
            num_traced += 1;
            let time = item.record.time();
            num_under_way +=
                u32::from(span.record.start_time() <= time && time <= span.record.end_time());
        }
        assert!(num_traced > 0);
        if num_spans == 120 {
            assert_eq!(num_traced, 100);
            assert!(num_under_way > 90, "{num_under_way}");
        }
    }
}

#[test]
fn resources_are_those_of_the_seed_whatever_the_signal() {
    for seed in [0, 7, u64::MAX] {
        let batch = |signal, num_records| {
            let shape = Shape { seed, ..shape(signal, num_records) };
            batch(signal, Template::new(&shape, |_| Vec::new()).next(NOW, 1))
        };
        let of = |resources: &mut dyn Iterator<Item = Resource<'_>>| -> Vec<Vec<u8>> {
            resources.map(|resource| resource.bytes().to_vec()).collect()
        };
        let (logs, traces) = (batch(Signal::Logs, 4), batch(Signal::Traces, 40));
        let metrics = batch(Signal::Metrics, 100);
        let logs = of(&mut logs.logs().resources().map(|group| group.resource()));
        let traces = of(&mut traces.spans().resources().map(|group| group.resource()));
        let metrics = of(&mut metrics.metrics().resources().map(|group| group.resource()));
        assert_eq!(logs.len(), 4);
        assert!(logs == traces && traces == metrics);
    }
}

#[test]
fn totals_grow_from_request_to_request() {
    let mut template = template(Signal::Metrics, 10);
    let total = |request: &[u8]| {
        let request = ExportMetricsServiceRequest::decode(request).unwrap();
        let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        match metric.data.clone().unwrap() {
            metric::Data::Sum(sum) => format!("{:?}", sum.data_points[0].value),
            other => unreachable!("{other:?}"),
        }
    };
    let number = |text: String| {
        text.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>().unwrap()
    };
    let mut last = 0;
    for _ in 0..20 {
        let next = number(total(&template.next(NOW, 1)));
        assert!(next > last);
        last = next;
    }
}

#[test]
fn series_of_a_request_are_different() {
    let points = points(&template(Signal::Metrics, 300).next(NOW, 1));
    let series: HashSet<String> = points.iter().map(|point| format!("{point:?}")).collect();
    assert_eq!(series.len(), 300);
}

#[test]
fn series_go_on_a_millisecond_later_however_fast_requests_follow() {
    let mut template = template(Signal::Metrics, 20);
    let mut of_next = || {
        let request = template.next(NOW, 1);
        let request = ExportMetricsServiceRequest::decode(request).unwrap();
        let groups = request.resource_metrics.into_iter().flat_map(|group| group.scope_metrics);
        let points = groups.flat_map(|group| group.metrics).flat_map(|metric| match metric.data {
            Some(metric::Data::Sum(sum)) => sum.data_points,
            Some(metric::Data::Gauge(gauge)) => gauge.data_points,
            _ => Vec::new(),
        });
        points.map(|point| point.time_unix_nano / 1_000_000).collect::<Vec<_>>()
    };
    let (first, second) = (of_next(), of_next());
    assert!(!first.is_empty());
    assert!(
        first.iter().zip(&second).all(|(first, second)| second > first),
        "{first:?} {second:?}"
    );
}
