//! What a point shares with others of its batch changes nothing in its series.

use proptest::prelude::*;

use super::*;

const KEYS: [&str; 12] =
    ["a", "b", "le", "quantile", "__name__", "job", "a.b", "a-b", "a_b", "Z", "...", "zone"];

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let value = prop::sample::select(vec!["", "1", "2"]);
    let pair = (prop::sample::select(KEYS.as_slice()), value);
    prop::collection::vec(pair.prop_map(|(key, value)| text(key, value)), 0..5)
}

fn number(attributes: Vec<KeyValue>, flags: u32) -> NumberDataPoint {
    let labels = vec![text("a.b", "1"), text("trace", "2")];
    let exemplar = Exemplar {
        filtered_attributes: labels,
        time_unix_nano: TIME,
        value: Some(exemplar::Value::AsDouble(0.5)),
        ..Exemplar::default()
    };
    let exemplars = vec![exemplar; flags as usize];
    NumberDataPoint { flags, exemplars, ..point(1.5, attributes) }
}

fn classic(attributes: Vec<KeyValue>, bounds: &[f64]) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        time_unix_nano: TIME,
        count: 3,
        sum: (bounds.len() != 1).then_some(4.0),
        bucket_counts: vec![1; bounds.len() + 1],
        explicit_bounds: bounds.to_vec(),
        exemplars: number(vec![], 1).exemplars,
        ..HistogramDataPoint::default()
    }
}

fn exponential(attributes: Vec<KeyValue>, scale: i32) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        attributes,
        time_unix_nano: TIME,
        count: 3,
        scale,
        positive: Some(Buckets { offset: 1, bucket_counts: vec![1, 2] }),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn summary(attributes: Vec<KeyValue>, quantiles: &[f64]) -> SummaryDataPoint {
    let value = |quantile: &f64| ValueAtQuantile { quantile: *quantile, value: 7.0 };
    SummaryDataPoint {
        attributes,
        time_unix_nano: TIME,
        count: 3,
        sum: 4.0,
        quantile_values: quantiles.iter().map(value).collect(),
        ..SummaryDataPoint::default()
    }
}

fn data() -> impl Strategy<Value = Data> {
    fn points<P: std::fmt::Debug>(
        point: impl Strategy<Value = P>,
    ) -> impl Strategy<Value = Vec<P>> {
        prop::collection::vec(point, 1..6)
    }
    let bounds: Vec<&[f64]> = vec![&[], &[0.5], &[0.5, 1.0], &[0.5, f64::INFINITY]];
    let bounds = prop::sample::select(bounds);
    let aggregation_temporality = CUMULATIVE;
    prop_oneof![
        points((attributes(), 0..2_u32).prop_map(|(own, flags)| number(own, flags)))
            .prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (
            points((attributes(), 0..2_u32).prop_map(|(own, flags)| number(own, flags))),
            any::<bool>()
        )
            .prop_map(move |(data_points, is_monotonic)| {
                Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
            }),
        points((attributes(), bounds.clone()).prop_map(|(own, bounds)| classic(own, bounds)))
            .prop_map(move |data_points| {
                Data::Histogram(Histogram { data_points, aggregation_temporality })
            }),
        points((attributes(), -5..3).prop_map(|(own, scale)| exponential(own, scale))).prop_map(
            move |data_points| {
                let data = ExponentialHistogram { data_points, aggregation_temporality };
                Data::ExponentialHistogram(data)
            }
        ),
        points((attributes(), bounds).prop_map(|(own, bounds)| summary(own, bounds)))
            .prop_map(|data_points| Data::Summary(Summary { data_points })),
    ]
}

/// Metrics of several resources and scopes, which resemble one another.
fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let names = prop::sample::select(vec!["m", "m.n", "le", "..."]);
    let units = prop::sample::select(vec!["", "s"]);
    let metric = (names, units, data()).prop_map(|(name, unit, data)| metric(name, unit, data));
    let scope = (any::<bool>(), attributes(), prop::collection::vec(metric, 0..4)).prop_map(
        |(is_named, attributes, metrics)| {
            let name = if is_named { "lib" } else { "" }.to_owned();
            let scope =
                InstrumentationScope { name, attributes, ..InstrumentationScope::default() };
            ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }
        },
    );
    let service = prop::option::of(prop::sample::select(vec!["cart", "shop"]));
    let resource = (service, attributes(), prop::collection::vec(scope, 0..3)).prop_map(
        |(service, mut attributes, scope_metrics)| {
            attributes.extend(service.map(|service| text("service.name", service)));
            let resource = Some(Resource { attributes, ..Resource::default() });
            ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }
        },
    );
    prop::collection::vec(resource, 0..4)
        .prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

fn settings() -> impl Strategy<Value = Settings> {
    let external =
        prop::collection::vec(prop::sample::select(vec!["a", "job", "zone", "le"]), 0..2);
    (any::<[bool; 4]>(), external).prop_map(|(is_on, external)| {
        let [resource_to_labels, scope_to_labels, has_target_info, has_metadata] = is_on;
        let external_labels =
            external.into_iter().map(|name| (name.to_owned(), "external".to_owned())).collect();
        Settings {
            resource_to_labels,
            scope_to_labels,
            has_target_info,
            has_metadata,
            external_labels,
            ..Settings::default()
        }
    })
}

fn admit(request: &ExportMetricsServiceRequest) -> Batch {
    let limits = DoorLimits::default();
    let bytes = Bytes::from(request.encode_to_vec());
    Batch::try_new(Signal::Metrics, bytes, Arc::new(Context::default()), &limits).unwrap().batch
}

/// Runs `each` on every point's attributes and time; points for which it says no go.
fn retain(request: &mut ExportMetricsServiceRequest, mut each: impl FnMut(&mut u64) -> bool) {
    let groups = request.resource_metrics.iter_mut().flat_map(|group| &mut group.scope_metrics);
    for metric in groups.flat_map(|group| &mut group.metrics) {
        macro_rules! points {
            ($data:expr) => {
                $data.data_points.retain_mut(|point| each(&mut point.time_unix_nano))
            };
        }
        match metric.data.as_mut().unwrap() {
            Data::Gauge(data) => points!(data),
            Data::Sum(data) => points!(data),
            Data::Histogram(data) => points!(data),
            Data::ExponentialHistogram(data) => points!(data),
            Data::Summary(data) => points!(data),
        }
    }
}

/// What requests hold, one line each, sorted.
fn contents(encoded: &[Encoded]) -> Vec<String> {
    let mut lines = Vec::new();
    for series in encoded.iter().flat_map(decoded) {
        let labels = labels(&series.labels);
        let samples = series.samples.iter();
        let samples =
            samples.map(|sample| format!("{:x} @{}", sample.value.to_bits(), sample.timestamp));
        let exemplars = series.exemplars.iter().map(|exemplar| format!("{exemplar:?}"));
        let histograms = series.histograms.iter().map(|histogram| format!("{histogram:?}"));
        let all = samples.chain(exemplars).chain(histograms);
        lines.extend(all.map(|line| format!("{labels} {line}")));
    }
    lines.sort();
    lines
}

proptest! {
    #[test]
    fn series_of_a_batch_are_those_of_its_points(
        mut request in metrics(),
        settings in settings(),
    ) {
        let settings = Settings { has_target_info: false, ..settings };
        let mut num_points = 0;
        retain(&mut request, |time| {
            num_points += 1;
            *time = num_points * 1_000_000;
            true
        });
        let alone = (1..=num_points).map(|number| {
            let mut one = request.clone();
            retain(&mut one, |time| *time == number * 1_000_000);
            encode(&admit(&one), &settings)
        });
        let alone: Vec<_> = alone.collect();
        let whole = encode(&admit(&request), &settings);
        prop_assert_eq!(contents(std::slice::from_ref(&whole)), contents(&alone));
        let count = |encoded: &Encoded| {
            let rejected = encoded.rejected.iter().map(|(count, _)| count).sum::<usize>();
            rejected + encoded.writes.iter().map(Write::num_records).sum::<usize>()
        };
        prop_assert_eq!(count(&whole), usize::try_from(num_points).unwrap());
    }
}
