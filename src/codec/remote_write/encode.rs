//! A batch's metrics, read in order and given to the translator.

use std::fmt;

use super::Settings;
use super::message::MetadataType;
use super::name::NameKind;
use super::native::{self, Exponential};
use super::series::Write;
use super::target::Targets;
use super::translate::{Attribute, Classic, Exemplar, Family, Moment, Translator};
use crate::data::{
    self, Attributes, Batch, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData,
    NumberPoint, SummaryPoint, Temporality, Time,
};

/// The point flag that says: the series has ended.
const NO_RECORDED_VALUE: u32 = 1;

/// A batch as remote-write requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// The requests; those of one lane are in the order in which they must be sent.
    pub writes: Vec<Write>,
    /// Data points that are in none of them, and why.
    pub rejected: Vec<(usize, Refusal)>,
}

/// Why data points cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// They tell what came since the last point; remote-write wants totals.
    Delta {
        /// The first such metric.
        metric: String,
    },
    /// Their temporality is not said.
    NoTemporality {
        /// The first such metric.
        metric: String,
    },
    /// Nothing of the metric's name can be in a Prometheus name.
    Name {
        /// The first such metric.
        metric: String,
    },
    /// Their buckets are wider than those of any native histogram.
    Scale {
        /// The first such metric.
        metric: String,
    },
    /// A later point of the batch has the same series and time.
    Duplicate,
    /// There are more series than one batch can have.
    TooMany,
}

impl Refusal {
    const fn is_like(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Delta { .. }, Self::Delta { .. })
                | (Self::NoTemporality { .. }, Self::NoTemporality { .. })
                | (Self::Name { .. }, Self::Name { .. })
                | (Self::Scale { .. }, Self::Scale { .. })
                | (Self::Duplicate, Self::Duplicate)
                | (Self::TooMany, Self::TooMany)
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delta { metric } => write!(
                formatter,
                "metric `{metric}` has delta temporality: put the processor deltatocumulative \
                 before this exporter"
            ),
            Self::NoTemporality { metric } => {
                write!(formatter, "metric `{metric}` does not say its temporality")
            }
            Self::Name { metric } => {
                write!(formatter, "nothing is left of the metric's name `{metric}` for Prometheus")
            }
            Self::Scale { metric } => write!(
                formatter,
                "exponential histogram `{metric}` has a scale below -4, which native histograms \
                 do not have"
            ),
            Self::Duplicate => {
                formatter.write_str("a later data point has the same series and time")
            }
            Self::TooMany => formatter.write_str("the batch has too many series for one request"),
        }
    }
}

/// Encodes the metrics of a batch; less than 1 µs for a point of a gauge or sum.
///
/// `targets` are those of all batches that go to one receiver, in the order in which they go.
#[must_use]
pub fn encode(batch: &Batch, settings: &Settings, targets: &Targets) -> Encoded {
    let mut walk = Walk { translator: Translator::new(settings, targets), rejected: Vec::new() };
    for resource in batch.metrics().resources() {
        let attributes: Vec<Attribute<'_>> = texts(resource.resource().attributes()).collect();
        walk.translator.resource(&attributes);
        for group in resource.scopes() {
            let scope = group.scope();
            let identity = [
                ("otel_scope_name", scope.name()),
                ("otel_scope_version", scope.version()),
                ("otel_scope_schema_url", group.schema_url()),
            ];
            walk.translator.scope(identity, texts(scope.attributes()));
            for metric in group.metrics() {
                walk.metric(&metric);
            }
        }
    }
    let (packed, metadata) = walk.translator.finish();
    let mut encoded = Encoded { writes: packed.writes, rejected: walk.rejected };
    refuse(&mut encoded.rejected, packed.num_duplicates, Refusal::Duplicate);
    if let Some(first) = encoded.writes.first_mut() {
        first.body.extend_from_slice(&metadata);
    }
    encoded
}

struct Walk<'a, 's> {
    translator: Translator<'a, 's>,
    rejected: Vec<(usize, Refusal)>,
}

impl<'a> Walk<'a, '_> {
    fn metric(&mut self, metric: &Metric<'a>) {
        let data = metric.data();
        let name = || metric.name().to_owned();
        let (kind, name_kind) = match data {
            MetricData::Empty => return,
            MetricData::Gauge(_) => (MetadataType::Gauge, NameKind::Gauge),
            MetricData::Sum(sum) if sum.is_monotonic() => {
                (MetadataType::Counter, NameKind::Counter)
            }
            MetricData::Sum(_) => (MetadataType::Gauge, NameKind::Other),
            MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => {
                (MetadataType::Histogram, NameKind::Other)
            }
            MetricData::Summary(_) => (MetadataType::Summary, NameKind::Other),
        };
        let has_temporality = !matches!(data, MetricData::Gauge(_) | MetricData::Summary(_));
        if has_temporality && metric.temporality() != Temporality::Cumulative {
            let refusal = match metric.temporality() {
                Temporality::Delta => Refusal::Delta { metric: name() },
                _ => Refusal::NoTemporality { metric: name() },
            };
            return refuse(&mut self.rejected, metric.points().count(), refusal);
        }
        if self.translator.is_full() {
            return refuse(&mut self.rejected, metric.points().count(), Refusal::TooMany);
        }
        let Some(family) = self.translator.family(metric, kind, name_kind) else {
            let refusal = Refusal::Name { metric: name() };
            return refuse(&mut self.rejected, metric.points().count(), refusal);
        };
        match data {
            MetricData::Empty => {}
            MetricData::Gauge(gauge) => {
                gauge.points().for_each(|point| self.number(&family, &point))
            }
            MetricData::Sum(sum) => sum.points().for_each(|point| self.number(&family, &point)),
            MetricData::Histogram(histogram) => {
                histogram.points().for_each(|point| self.classic(&family, &point));
            }
            MetricData::ExponentialHistogram(histogram) => {
                for point in histogram.points() {
                    if !self.exponential(&family, &point) {
                        refuse(&mut self.rejected, 1, Refusal::Scale { metric: name() });
                    }
                }
            }
            MetricData::Summary(summary) => {
                summary.points().for_each(|point| self.summary(&family, &point));
            }
        }
    }

    fn number(&mut self, family: &Family, point: &NumberPoint<'a>) {
        self.translator.attributes(texts(point.attributes()));
        let exemplars = exemplars(point.exemplars());
        let moment = moment(point.time(), point.flags());
        self.translator.number(family, point.value().as_f64(), moment, &exemplars);
    }

    fn classic(&mut self, family: &Family, point: &HistogramPoint<'a>) {
        self.translator.attributes(texts(point.attributes()));
        let exemplars = exemplars(point.exemplars());
        let bounds: Vec<f64> = point.explicit_bounds().collect();
        let counts: Vec<u64> = point.bucket_counts().collect();
        let classic =
            Classic { count: point.count(), sum: point.sum(), bounds: &bounds, counts: &counts };
        let moment = moment(point.time(), point.flags());
        self.translator.classic(family, classic, moment, &exemplars);
    }

    fn exponential(&mut self, family: &Family, point: &ExponentialHistogramPoint<'a>) -> bool {
        self.translator.attributes(texts(point.attributes()));
        let exemplars = exemplars(point.exemplars());
        let sides = [point.positive(), point.negative()].map(|side| {
            side.map(|side| (side.offset(), side.bucket_counts().collect::<Vec<u64>>()))
                .unwrap_or_default()
        });
        let [positive, negative] =
            sides.each_ref().map(|(offset, counts)| native::Buckets { offset: *offset, counts });
        let moment = moment(point.time(), point.flags());
        let exponential = Exponential {
            count: point.count(),
            sum: point.sum(),
            scale: point.scale(),
            zero_count: point.zero_count(),
            zero_threshold: point.zero_threshold(),
            positive,
            negative,
            is_stale: moment.is_stale,
        };
        self.translator.exponential(family, &exponential, moment, &exemplars)
    }

    fn summary(&mut self, family: &Family, point: &SummaryPoint<'a>) {
        self.translator.attributes(texts(point.attributes()));
        let quantiles = point.quantile_values().map(|value| (value.quantile(), value.value()));
        let moment = moment(point.time(), point.flags());
        self.translator.summary(family, (point.count(), point.sum()), quantiles, moment);
    }
}

/// Counts refused points; of each kind of refusal the first metric is named.
fn refuse(rejected: &mut Vec<(usize, Refusal)>, num_points: usize, refusal: Refusal) {
    if num_points == 0 {
        return;
    }
    match rejected.iter_mut().find(|(_, held)| held.is_like(&refusal)) {
        Some((count, _)) => *count += num_points,
        None => rejected.push((num_points, refusal)),
    }
}

fn texts(attributes: Attributes<'_>) -> impl Iterator<Item = Attribute<'_>> {
    attributes.iter().map(|(key, value)| (key, value.to_text()))
}

fn moment(time: Time, flags: u32) -> Moment {
    Moment { time_ms: millis(time), is_stale: flags & NO_RECORDED_VALUE != 0 }
}

fn millis(time: Time) -> i64 {
    // Nanoseconds of 64 bits are fewer milliseconds than 63 bits hold.
    i64::try_from(time.as_unix_millis()).unwrap_or(i64::MAX)
}

fn exemplars<'a>(exemplars: impl Iterator<Item = data::Exemplar<'a>>) -> Vec<Exemplar<'a>> {
    exemplars
        .map(|exemplar| Exemplar {
            trace_id: exemplar.trace_id().filter(|id| !id.is_zero()),
            span_id: exemplar.span_id().filter(|id| !id.is_zero()),
            value: exemplar.value().as_f64(),
            time_ms: millis(exemplar.time()),
            attributes: texts(exemplar.filtered_attributes()).collect(),
        })
        .collect()
}
