mod points;

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    Summary, SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use crate::data::{Batch, Context, DoorLimits, Signal};

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;
const DELTA: i32 = AggregationTemporality::Delta as i32;
/// 1.7 seconds and a bit.
const TIME: u64 = 1_700_999_999;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<WireLabel>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<WireExemplar>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<NativeHistogram>,
}

#[derive(Clone, PartialEq, Message)]
struct WireLabel {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WireExemplar {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<WireLabel>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct NativeHistogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(uint64, tag = "6")]
    zero_count: u64,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct MetricMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    family: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
}

fn attribute(key: &str, value: impl Into<Value>) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value.into()) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn point(value: f64, attributes: Vec<KeyValue>) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        time_unix_nano: TIME,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.into(),
        unit: unit.into(),
        description: "help".into(),
        data: Some(data),
        ..Metric::default()
    }
}

fn gauge(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    metric(name, "", Data::Gauge(Gauge { data_points: points }))
}

fn sum(name: &str, temporality: i32, is_monotonic: bool) -> Metric {
    let data_points = vec![point(1.0, vec![])];
    metric(
        name,
        "",
        Data::Sum(Sum { data_points, aggregation_temporality: temporality, is_monotonic }),
    )
}

fn batch(resource: Vec<KeyValue>, metrics: Vec<Metric>) -> Batch {
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: resource, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: "lib".into(),
                    version: "1".into(),
                    attributes: vec![text("a.b", "c")],
                    ..InstrumentationScope::default()
                }),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    let bytes = Bytes::from(request.encode_to_vec());
    let limits = DoorLimits::default();
    Batch::try_new(Signal::Metrics, bytes, Arc::new(Context::default()), &limits).unwrap().batch
}

fn encode(batch: &Batch, settings: &Settings) -> Encoded {
    super::encode(batch, settings, &Targets::default())
}

fn decoded(encoded: &Encoded) -> Vec<TimeSeries> {
    let requests = encoded.writes.iter();
    requests.flat_map(|write| WriteRequest::decode(&write.body[..]).unwrap().timeseries).collect()
}

fn labels(labels: &[WireLabel]) -> String {
    assert!(labels.is_sorted_by(|left, right| left.name < right.name), "{labels:?}");
    let texts: Vec<_> = labels.iter().map(|l| format!("{}={:?}", l.name, l.value)).collect();
    texts.join(",")
}

/// Every sample as a line, sorted.
fn lines(encoded: &Encoded) -> Vec<String> {
    let mut lines = Vec::new();
    for series in decoded(encoded) {
        for sample in &series.samples {
            let value = if sample.value.to_bits() == STALE_NAN_BITS {
                "stale".to_owned()
            } else {
                sample.value.to_string()
            };
            lines.push(format!("{} {value} @{}", labels(&series.labels), sample.timestamp));
        }
    }
    lines.sort();
    lines
}

fn written(resource: Vec<KeyValue>, metrics: Vec<Metric>) -> Vec<String> {
    lines(&encode(&batch(resource, metrics), &Settings::default()))
}

#[test]
fn numbers_become_samples_with_sorted_labels() {
    let attributes = vec![
        text("zone", "z"),
        text("Upper", "u"),
        text("", "nothing"),
        text("__name__", "no"),
        text("empty", ""),
        attribute("code", Value::IntValue(200)),
        attribute("ok", Value::BoolValue(true)),
        text("a-b", "2"),
        text("a.b", "1"),
    ];
    let made = written(vec![], vec![gauge("cpu.load", vec![point(0.5, attributes)])]);
    assert_eq!(
        made,
        [r#"Upper="u",__name__="cpu_load",a_b="2;1",code="200",ok="true",zone="z" 0.5 @1700"#]
    );
}

#[test]
fn counters_end_in_total_and_other_sums_do_not() {
    let made = written(vec![], vec![sum("a", CUMULATIVE, true), sum("b", CUMULATIVE, false)]);
    assert_eq!(made, [r#"__name__="a_total" 1 @1700"#, r#"__name__="b" 1 @1700"#]);
}

#[test]
fn delta_points_are_refused_by_name_and_the_rest_goes_on() {
    let metrics = vec![
        sum("a", DELTA, true),
        sum("b", DELTA, false),
        sum("c", 0, true),
        sum("...", CUMULATIVE, false),
        sum("d", CUMULATIVE, true),
    ];
    let encoded = encode(&batch(vec![], metrics), &Settings::default());
    assert_eq!(lines(&encoded), [r#"__name__="d_total" 1 @1700"#]);
    let told: Vec<_> = encoded.rejected.iter().map(|(n, why)| format!("{n} {why}")).collect();
    assert_eq!(
        told,
        [
            "2 metric `a` has delta temporality: put the processor deltatocumulative before this \
             exporter",
            "1 metric `c` does not say its temporality",
            "1 nothing is left of the metric's name `...` for Prometheus",
        ]
    );
}

#[test]
fn job_and_instance_come_from_the_resource_and_target_info_has_the_rest() {
    let resource = vec![
        text("service.name", "cart"),
        text("service.namespace", "shop"),
        text("service.instance.id", "i1"),
        text("host.name", "h"),
    ];
    let made = written(resource, vec![gauge("g", vec![point(1.0, vec![text("job", "own")])])]);
    assert_eq!(
        made,
        [
            r#"__name__="g",instance="i1",job="shop/cart" 1 @1700"#,
            r#"__name__="target_info",host_name="h",instance="i1",job="shop/cart" 1 @1700"#,
        ]
    );
}

#[test]
fn target_info_needs_identity_and_something_to_say() {
    let one = || vec![gauge("g", vec![point(1.0, vec![])])];
    assert_eq!(written(vec![text("host.name", "h")], one()).len(), 1);
    assert_eq!(written(vec![text("service.name", "s")], one()).len(), 1);
    let namespace_only = vec![text("service.namespace", "n"), text("host.name", "h")];
    assert_eq!(written(namespace_only, one()), [r#"__name__="g" 1 @1700"#]);
    let both = || vec![text("service.name", "s"), text("host.name", "h")];
    let settings = Settings { has_target_info: false, ..Settings::default() };
    assert_eq!(lines(&encode(&batch(both(), one()), &settings)).len(), 1);
    let names = NameRules { namespace: "ns".into(), has_suffixes: true };
    let settings = Settings { names, ..Settings::default() };
    let made = lines(&encode(&batch(both(), one()), &settings));
    assert_eq!(made[1], r#"__name__="ns_target_info",host_name="h",job="s" 1 @1700"#);
}

#[test]
fn target_info_covers_the_times_of_the_points_in_steps() {
    let at = |minutes: u64| NumberDataPoint {
        time_unix_nano: minutes * 60_000_000_000,
        ..point(1.0, vec![text("m", &minutes.to_string())])
    };
    let resource = || vec![text("service.name", "s"), text("host.name", "h")];
    let times = |minutes: Vec<u64>| {
        let points = minutes.into_iter().map(at).collect();
        let made = written(resource(), vec![gauge("g", points)]);
        let info = made.into_iter().filter(|line| line.contains("target_info"));
        info.map(|line| line.rsplit('@').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(times(vec![16, 10]), ["600000", "750000", "900000", "960000"]);
    assert_eq!(times(vec![1, 100_000]).len(), 24);
}

#[test]
fn target_info_is_never_older_than_that_of_a_batch_before() {
    let targets = Targets::default();
    let times = |name: &str, minutes: &[u64]| {
        let points = minutes.iter().map(|minutes| NumberDataPoint {
            time_unix_nano: minutes * 60_000_000_000,
            ..point(1.0, vec![text("m", &minutes.to_string())])
        });
        let resource = vec![text("service.name", name), text("host.name", "h")];
        let batch = batch(resource, vec![gauge("g", points.collect())]);
        let made = lines(&super::encode(&batch, &Settings::default(), &targets));
        assert_eq!(made.len() - minutes.len(), made.iter().filter(|l| l.contains("_info")).count());
        let info = made.into_iter().filter(|line| line.contains("target_info"));
        info.map(|line| line.rsplit('@').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(times("s", &[10]), ["600000"]);
    // Points of other series may be late; target_info has been told up to then.
    assert_eq!(times("s", &[9]), [""; 0]);
    assert_eq!(times("s", &[10]), [""; 0]);
    assert_eq!(times("s", &[8, 14]), ["600001", "750001", "840000"]);
    assert_eq!(times("other", &[9]), ["540000"]);
}

#[test]
fn surroundings_become_labels_by_their_precedence() {
    let settings = Settings {
        external_labels: vec![("cluster".into(), "c1".into()), ("own".into(), "external".into())],
        resource_to_labels: true,
        scope_to_labels: true,
        has_target_info: false,
        ..Settings::default()
    };
    let resource = vec![text("service.name", "s"), text("host.name", "h"), text("own", "resource")];
    let points = vec![point(1.0, vec![text("own", "point"), text("otel.scope.name", "fake")])];
    let made = lines(&encode(&batch(resource, vec![gauge("g", points)]), &settings));
    assert_eq!(
        made,
        [concat!(
            r#"__name__="g",cluster="c1",host_name="h",job="s",otel_scope_a_b="c","#,
            r#"otel_scope_name="lib",otel_scope_version="1",own="point",service_name="s" 1 @1700"#
        )]
    );
}

fn histogram_point() -> HistogramDataPoint {
    HistogramDataPoint {
        time_unix_nano: TIME,
        count: 10,
        sum: Some(12.5),
        bucket_counts: vec![1, 2, 3, 4],
        explicit_bounds: vec![0.005, 1.0, 10.0],
        attributes: vec![text("le", "own"), text("a", "b")],
        ..HistogramDataPoint::default()
    }
}

fn histogram(point: HistogramDataPoint) -> Metric {
    let data_points = vec![point];
    metric(
        "h",
        "s",
        Data::Histogram(Histogram { data_points, aggregation_temporality: CUMULATIVE }),
    )
}

#[test]
fn histogram_becomes_cumulative_buckets_sum_and_count() {
    let made = written(vec![], vec![histogram(histogram_point())]);
    assert_eq!(
        made,
        [
            r#"__name__="h_seconds_bucket",a="b",le="+Inf" 10 @1700"#,
            r#"__name__="h_seconds_bucket",a="b",le="0.005" 1 @1700"#,
            r#"__name__="h_seconds_bucket",a="b",le="1" 3 @1700"#,
            r#"__name__="h_seconds_bucket",a="b",le="10" 6 @1700"#,
            r#"__name__="h_seconds_count",a="b",le="own" 10 @1700"#,
            r#"__name__="h_seconds_sum",a="b",le="own" 12.5 @1700"#,
        ]
    );
    let without = HistogramDataPoint {
        sum: None,
        bucket_counts: vec![],
        explicit_bounds: vec![],
        ..histogram_point()
    };
    assert_eq!(written(vec![], vec![histogram(without)]).len(), 2);
}

#[test]
fn series_of_a_data_point_are_in_one_lane_and_count_once() {
    let settings = Settings { num_lanes: NonZeroU64::new(7).unwrap(), ..Settings::default() };
    let encoded = encode(&batch(vec![], vec![histogram(histogram_point())]), &settings);
    assert_eq!(encoded.writes.len(), 1);
    assert_eq!(encoded.writes[0].num_records(), 1);
}

#[test]
fn summary_becomes_quantiles_sum_and_count() {
    let point = SummaryDataPoint {
        time_unix_nano: TIME,
        count: 4,
        sum: 8.0,
        quantile_values: vec![
            ValueAtQuantile { quantile: 0.5, value: 2.0 },
            ValueAtQuantile { quantile: 1.0, value: 3.0 },
        ],
        ..SummaryDataPoint::default()
    };
    let summary = metric("s", "", Data::Summary(Summary { data_points: vec![point] }));
    assert_eq!(
        written(vec![], vec![summary]),
        [
            r#"__name__="s",quantile="0.5" 2 @1700"#,
            r#"__name__="s",quantile="1" 3 @1700"#,
            r#"__name__="s_count" 4 @1700"#,
            r#"__name__="s_sum" 8 @1700"#,
        ]
    );
}

#[test]
fn missing_values_become_stale_markers_on_every_series() {
    let gone = NumberDataPoint { flags: 1, ..point(5.0, vec![]) };
    let histogram = histogram(HistogramDataPoint { flags: 1, ..histogram_point() });
    let made = written(vec![], vec![gauge("g", vec![gone]), histogram]);
    assert_eq!(made.len(), 7);
    assert!(made.iter().all(|line| line.ends_with(" stale @1700")), "{made:?}");
}

#[test]
fn repeated_points_keep_the_last_and_are_counted() {
    let points = vec![point(1.0, vec![]), point(2.0, vec![])];
    let encoded = encode(&batch(vec![], vec![gauge("g", points)]), &Settings::default());
    assert_eq!(lines(&encoded), [r#"__name__="g" 2 @1700"#]);
    assert_eq!(encoded.rejected, [(1, Refusal::Duplicate)]);
    assert_eq!(encoded.writes[0].num_records(), 1);
}

#[test]
fn exponential_histogram_becomes_a_native_one() {
    let point = ExponentialHistogramDataPoint {
        time_unix_nano: TIME,
        count: 6,
        sum: Some(9.0),
        scale: 1,
        zero_count: 1,
        positive: Some(Buckets { offset: 0, bucket_counts: vec![2, 3] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let wide = ExponentialHistogramDataPoint { scale: -5, ..point.clone() };
    let data_points = vec![point, wide];
    let data = ExponentialHistogram { data_points, aggregation_temporality: CUMULATIVE };
    let native = metric("e", "s", Data::ExponentialHistogram(data));
    let encoded = encode(&batch(vec![], vec![native]), &Settings::default());
    let series = decoded(&encoded);
    let wanted = NativeHistogram {
        count: 6,
        sum: 9.0,
        schema: 1,
        zero_threshold: 1e-128,
        zero_count: 1,
        positive_deltas: vec![2, 1],
        timestamp: 1700,
    };
    assert_eq!(series[0].histograms, [wanted]);
    assert_eq!(labels(&series[0].labels), r#"__name__="e_seconds""#);
    assert_eq!(encoded.rejected, [(1, Refusal::Scale { metric: "e".into() })]);
}

#[test]
fn exemplars_go_to_the_bucket_they_fall_in() {
    let exemplar = |value: f64, extra: &str| Exemplar {
        filtered_attributes: vec![text("extra", extra)],
        time_unix_nano: TIME,
        span_id: vec![1; 8],
        trace_id: vec![2; 16],
        value: Some(exemplar::Value::AsDouble(value)),
    };
    let long = "x".repeat(128);
    let exemplars = vec![exemplar(1.0, "e"), exemplar(99.0, &long)];
    let point = HistogramDataPoint { exemplars, ..histogram_point() };
    let encoded = encode(&batch(vec![], vec![histogram(point)]), &Settings::default());
    let mut made = Vec::new();
    for series in decoded(&encoded) {
        let le = series.labels.iter().find(|l| l.name == "le").map(|l| l.value.clone());
        for exemplar in &series.exemplars {
            made.push((le.clone().unwrap(), exemplar.value, labels(&exemplar.labels)));
        }
    }
    let ids = r#"span_id="0101010101010101",trace_id="02020202020202020202020202020202""#;
    assert_eq!(made.len(), 2);
    assert!(made.contains(&("1".into(), 1.0, format!(r#"extra="e",{ids}"#))), "{made:?}");
    assert!(made.contains(&("+Inf".into(), 99.0, ids.into())), "{made:?}");
}

#[test]
fn metadata_tells_type_help_and_unit() {
    let settings = Settings { has_metadata: true, ..Settings::default() };
    let data_points = vec![point(1.0, vec![])];
    let data = Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true };
    let counter = metric("io", "By", Data::Sum(data));
    let encoded = encode(&batch(vec![], vec![counter]), &settings);
    let request = WriteRequest::decode(&encoded.writes[0].body[..]).unwrap();
    let wanted = MetricMetadata {
        kind: 1,
        family: "io_bytes_total".into(),
        help: "help".into(),
        unit: "bytes".into(),
    };
    assert_eq!(request.metadata, [wanted]);
}

#[test]
fn every_data_point_is_written_or_refused_once() {
    let points = |offset: u32| {
        (0..50).map(move |n| {
            let label = text("n", &((n + offset) % 40).to_string());
            point(f64::from(n), vec![label])
        })
    };
    let metrics = vec![
        gauge("g", points(0).collect()),
        sum("d", DELTA, true),
        histogram(histogram_point()),
        histogram(histogram_point()),
        gauge("g", points(7).collect()),
    ];
    let batch = batch(vec![text("service.name", "s"), text("x", "y")], metrics);
    let settings = Settings {
        num_lanes: NonZeroU64::new(3).unwrap(),
        max_request_bytes: 200,
        ..Settings::default()
    };
    let encoded = encode(&batch, &settings);
    let num_written: usize = encoded.writes.iter().map(Write::num_records).sum();
    let num_refused: usize = encoded.rejected.iter().map(|(number, _)| number).sum();
    assert_eq!(num_written + num_refused, batch.num_records());
}
