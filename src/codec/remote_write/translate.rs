//! From data points to series, one resource, scope, metric and point after the other.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::encoded::{Labels, Store};
use super::label::{CommonLabels, Label, Standing};
use super::message::{Metadata, MetadataType, put_metadata};
use super::name::{NameKind, unit_words};
use super::native::{self, Exponential};
use super::point_labels::{Kind, NAME, PointLabels};
use super::series::{Packed, Point, SeriesTable};
use super::target::Targets;
use super::{STALE_NAN_BITS, Settings};
use crate::data::{Metric, SpanId, TraceId};

/// Half of the five minutes that Prometheus looks back.
const TARGET_INFO_STEP_MS: i64 = 150_000;
/// At most this many samples of `target_info` for one resource in a batch.
const MAX_TARGET_INFO: i64 = 24;
/// Longest label set of an exemplar, in characters (OpenMetrics, "Exemplars").
const MAX_EXEMPLAR_CHARS: usize = 128;

/// An attribute: its key, and its value in OTLP's string form.
pub(super) type Attribute<'a> = (&'a str, Cow<'a, str>);

/// When a point was taken, and whether its series has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Unix milliseconds.
    pub(super) time_ms: i64,
    /// The point says that there is no value any more.
    pub(super) is_stale: bool,
}

impl Moment {
    const fn bits(self, value: f64) -> u64 {
        if self.is_stale { STALE_NAN_BITS } else { value.to_bits() }
    }
}

/// A point of a histogram with explicit bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classic<'p> {
    /// Values in all buckets.
    pub(super) count: u64,
    /// Their sum, if it is known.
    pub(super) sum: Option<f64>,
    /// Upper bounds, ascending.
    pub(super) bounds: &'p [f64],
    /// Values in each bucket: one more than bounds, or none.
    pub(super) counts: &'p [u64],
}

/// An example of a measurement.
#[derive(Clone, Debug)]
pub(super) struct Exemplar<'a> {
    /// The trace that it was taken in.
    pub(super) trace_id: Option<TraceId>,
    /// The span that it was taken in.
    pub(super) span_id: Option<SpanId>,
    /// The value measured.
    pub(super) value: f64,
    /// Unix milliseconds.
    pub(super) time_ms: i64,
    /// Attributes that the metric's labels do not have.
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// A metric whose points are being translated: the names of its series, as labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    name: Labels,
    bucket: Labels,
    sum: Labels,
    count: Labels,
}

impl Family {
    fn new(store: &mut Store, name: &str) -> Self {
        let mut suffixed = |suffix: &str| store.label(NAME, &[name, suffix].concat());
        let (bucket, sum, count) = (suffixed("_bucket"), suffixed("_sum"), suffixed("_count"));
        Self { name: suffixed(""), bucket, sum, count }
    }
}

/// What decides the names of a metric's series, and what is said of it: name, unit, description.
type FamilyKey<'a> = (&'a str, &'a str, &'a str, MetadataType, NameKind);

/// Makes series from points; what is the same for many points is made once.
#[derive(Debug)]
pub(super) struct Translator<'a, 's> {
    settings: &'s Settings,
    targets: &'s Targets,
    /// The last samples of `target_info` in this batch, by the hash of the series.
    informed: Vec<(u64, i64)>,
    table: SeriesTable,
    families: HashMap<FamilyKey<'a>, Option<Family>, RandomState>,
    labels: PointLabels<'a>,
    of_resource: CommonLabels<'a>,
    of_scope: CommonLabels<'a>,
    resource: Resource<'a>,
    encoded: Vec<u8>,
    bounds: Vec<f64>,
    /// The label of each of the bounds.
    bound_labels: Vec<Labels>,
    infinity: Option<Labels>,
    metadata: Vec<u8>,
}

#[derive(Debug, Default)]
struct Resource<'a> {
    info: Option<Vec<Label<'a>>>,
    earliest_ms: Option<i64>,
    latest_ms: i64,
}

impl<'a, 's> Translator<'a, 's> {
    pub(super) fn new(settings: &'s Settings, targets: &'s Targets) -> Self {
        Self {
            settings,
            targets,
            informed: Vec::new(),
            table: SeriesTable::default(),
            families: HashMap::default(),
            labels: PointLabels::new(settings.labels),
            of_resource: CommonLabels::default(),
            of_scope: CommonLabels::default(),
            resource: Resource::default(),
            encoded: Vec::new(),
            bounds: Vec::new(),
            bound_labels: Vec::new(),
            infinity: None,
            metadata: Vec::new(),
        }
    }

    /// Starts a resource; the one before is ended.
    pub(super) fn resource(&mut self, attributes: &[Attribute<'a>]) {
        self.end_resource();
        let find = |key: &str| {
            let found = attributes.iter().rev().find(|(name, _)| *name == key);
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        let job = match (find("service.namespace"), find("service.name")) {
            (Some(namespace), Some(name)) => Some(Cow::Owned(format!("{namespace}/{name}"))),
            (None, name) => name,
            (Some(_), None) => None,
        };
        let instance = find("service.instance.id");
        let mut common = CommonLabels::default();
        if self.settings.resource_to_labels {
            for label in self.labels.plain(attributes.iter().cloned()) {
                common.add(label, Standing::IfFree);
            }
        }
        let identity = [("job", job), ("instance", instance)];
        for (name, value) in &identity {
            if let Some(value) = value {
                let label = Label { name: Cow::Borrowed(*name), value: value.clone() };
                common.add(label, Standing::Overwrites);
            }
        }
        self.add_external(&mut common);
        self.of_resource = common;
        self.of_scope = self.of_resource.clone();
        self.resource =
            Resource { info: self.target_info(attributes, identity), ..Resource::default() };
    }

    /// Starts a scope of the resource.
    pub(super) fn scope(
        &mut self,
        identity: [(&'static str, &'a str); 3],
        attributes: impl Iterator<Item = Attribute<'a>>,
    ) {
        self.of_scope = self.of_resource.clone();
        self.labels.forget_surroundings();
        let [(_, name), ..] = identity;
        if !self.settings.scope_to_labels || name.is_empty() {
            return;
        }
        for (name, value) in identity {
            let label = Label { name: Cow::Borrowed(name), value: Cow::Borrowed(value) };
            self.of_scope.add(label, Standing::Overwrites);
        }
        for label in self.labels.plain(attributes) {
            let name = Cow::Owned(format!("otel_scope_{}", label.name));
            self.of_scope.add(Label { name, value: label.value }, Standing::Overwrites);
        }
    }

    /// Starts a metric; `None` when nothing is left of its name.
    pub(super) fn family(
        &mut self,
        metric: &Metric<'a>,
        kind: MetadataType,
        name_kind: NameKind,
    ) -> Option<Family> {
        let key = (metric.name(), metric.unit(), metric.description(), kind, name_kind);
        if let Some(known) = self.families.get(&key) {
            return *known;
        }
        let name = self.settings.names.metric_name(metric.name(), metric.unit(), name_kind);
        let made = name.as_deref().map(|name| Family::new(&mut self.table.store, name));
        self.families.insert(key, made);
        if let Some(family) = name.filter(|_| self.settings.has_metadata) {
            let unit = unit_words(metric.unit());
            let help = metric.description();
            let metadata = Metadata { kind, family: &family, help, unit: &unit };
            put_metadata(&mut self.metadata, &metadata);
        }
        made
    }

    /// Takes the attributes of the point that the next call brings.
    pub(super) fn attributes(&mut self, attributes: impl Iterator<Item = Attribute<'a>>) {
        self.labels.take(attributes);
    }

    /// A point of a gauge or a sum.
    pub(super) fn number(
        &mut self,
        family: &Family,
        value: f64,
        moment: Moment,
        exemplars: &[Exemplar<'a>],
    ) {
        self.note_time(moment);
        let (series, _) = self.counted(family.name);
        self.table.push(series, moment.time_ms, Point::Value(moment.bits(value)), true);
        for exemplar in exemplars {
            self.exemplar(series, exemplar);
        }
    }

    /// A point of a histogram with explicit bounds: `_bucket`, `_sum`, `_count`.
    pub(super) fn classic(
        &mut self,
        family: &Family,
        point: Classic<'_>,
        moment: Moment,
        exemplars: &[Exemplar<'a>],
    ) {
        self.note_time(moment);
        self.format_bounds(point.bounds);
        let count = exact(point.count);
        let (series, lane) = self.counted(family.count);
        self.table.push(series, moment.time_ms, Point::Value(moment.bits(count)), true);
        if let Some(sum) = point.sum {
            let series = self.series(lane, Kind::Plain, [family.sum, Labels::default()]);
            self.sample(series, moment, sum);
        }
        let mut below = f64::NEG_INFINITY;
        let mut cumulative = 0_u64;
        let bounds = std::mem::take(&mut self.bound_labels);
        for (position, label) in bounds.iter().enumerate() {
            cumulative =
                cumulative.saturating_add(point.counts.get(position).copied().unwrap_or(0));
            let series = self.series(lane, Kind::Bucket, [family.bucket, *label]);
            self.sample(series, moment, exact(cumulative));
            let bound = point.bounds.get(position).copied().unwrap_or(f64::INFINITY);
            for exemplar in exemplars {
                if exemplar.value > below && exemplar.value <= bound {
                    self.exemplar(series, exemplar);
                }
            }
            below = bound;
        }
        self.bound_labels = bounds;
        let infinity = self.infinity.get_or_insert_with(|| self.table.store.label("le", "+Inf"));
        let extra = [family.bucket, *infinity];
        let series = self.series(lane, Kind::Bucket, extra);
        self.sample(series, moment, count);
        for exemplar in exemplars.iter().filter(|exemplar| exemplar.value > below) {
            self.exemplar(series, exemplar);
        }
    }

    /// A point of a summary: one series for each quantile, `_sum`, `_count`.
    pub(super) fn summary(
        &mut self,
        family: &Family,
        totals: (u64, f64),
        quantiles: impl Iterator<Item = (f64, f64)>,
        moment: Moment,
    ) {
        self.note_time(moment);
        let (count, sum) = totals;
        let (series, lane) = self.counted(family.count);
        self.table.push(series, moment.time_ms, Point::Value(moment.bits(exact(count))), true);
        let series = self.series(lane, Kind::Plain, [family.sum, Labels::default()]);
        self.sample(series, moment, sum);
        for (quantile, value) in quantiles {
            let quantile = self.table.store.label("quantile", &decimal(quantile));
            let series = self.series(lane, Kind::Quantile, [family.name, quantile]);
            self.sample(series, moment, value);
        }
    }

    /// A point of an exponential histogram; `false` when its scale is too low for Prometheus.
    #[must_use]
    pub(super) fn exponential(
        &mut self,
        family: &Family,
        point: &Exponential<'_>,
        moment: Moment,
        exemplars: &[Exemplar<'a>],
    ) -> bool {
        self.encoded.clear();
        if !native::put_histogram(&mut self.encoded, point, moment.time_ms) {
            return false;
        }
        self.note_time(moment);
        let histogram = self.table.store.keep(&self.encoded);
        let (series, _) = self.counted(family.name);
        self.table.push(series, moment.time_ms, Point::Histogram(histogram), true);
        for exemplar in exemplars {
            self.exemplar(series, exemplar);
        }
        true
    }

    /// Whether no more points may be added.
    pub(super) fn is_full(&self) -> bool {
        self.table.is_full()
    }

    /// Ends the last resource; returns the requests, and the metadata of the metrics.
    pub(super) fn finish(mut self) -> (Packed, Vec<u8>) {
        self.end_resource();
        self.targets.note(&self.informed);
        let packed =
            self.table.pack(self.settings.num_lanes.get(), self.settings.max_request_bytes);
        (packed, self.metadata)
    }

    fn add_external(&self, common: &mut CommonLabels<'a>) {
        for (name, value) in &self.settings.external_labels {
            let label = Label { name: Cow::Owned(name.clone()), value: Cow::Owned(value.clone()) };
            common.add(label, Standing::IfFree);
        }
    }

    fn target_info(
        &mut self,
        attributes: &[Attribute<'a>],
        identity: [(&'static str, Option<Cow<'a, str>>); 2],
    ) -> Option<Vec<Label<'a>>> {
        let has_identity = identity.iter().any(|(_, value)| value.is_some());
        if !self.settings.has_target_info || !has_identity {
            return None;
        }
        let describing = attributes.iter().filter(|(key, _)| {
            !matches!(*key, "service.name" | "service.namespace" | "service.instance.id")
        });
        let mut info = CommonLabels::default();
        let labels = self.labels.plain(describing.cloned());
        if labels.is_empty() {
            return None;
        }
        for label in labels {
            info.add(label, Standing::IfFree);
        }
        for (name, value) in identity {
            if let Some(value) = value {
                info.add(Label { name: Cow::Borrowed(name), value }, Standing::Overwrites);
            }
        }
        self.add_external(&mut info);
        let name = match self.settings.names.namespace.as_str() {
            "" => Cow::Borrowed("target_info"),
            namespace => Cow::Owned(format!("{namespace}_target_info")),
        };
        info.add(Label { name: Cow::Borrowed(NAME), value: name }, Standing::Overwrites);
        Some(info.iter().map(|(label, _)| label.clone()).collect())
    }

    /// Adds the samples of `target_info` over the times of the resource's points, none older than
    /// what other batches have.
    fn end_resource(&mut self) {
        let resource = std::mem::take(&mut self.resource);
        let (Some(info), Some(earliest_ms)) = (resource.info, resource.earliest_ms) else { return };
        let store = &mut self.table.store;
        let mut labels = store.begin();
        info.iter().for_each(|label| store.push(&mut labels, &label.name, &label.value));
        let labels = labels.whole();
        let lane = labels.hash;
        let earliest_ms = match self.targets.last_ms(lane) {
            Some(last_ms) if last_ms >= resource.latest_ms => return,
            Some(last_ms) => earliest_ms.max(last_ms + 1),
            None => earliest_ms,
        };
        self.informed.push((lane, resource.latest_ms));
        let series = self.table.series(&labels, lane);
        let bits = Point::Value(1.0_f64.to_bits());
        let span = TARGET_INFO_STEP_MS * (MAX_TARGET_INFO - 1);
        let mut time_ms = earliest_ms.max(resource.latest_ms.saturating_sub(span));
        while time_ms < resource.latest_ms {
            self.table.push(series, time_ms, bits, false);
            time_ms += TARGET_INFO_STEP_MS;
        }
        self.table.push(series, resource.latest_ms, bits, false);
    }

    fn note_time(&mut self, moment: Moment) {
        let earliest = self.resource.earliest_ms.unwrap_or(moment.time_ms);
        self.resource.earliest_ms = Some(earliest.min(moment.time_ms));
        self.resource.latest_ms = self.resource.latest_ms.max(moment.time_ms);
    }

    /// The series that stands for a point when records are counted, and the lane that it decides
    /// for all series of the point.
    fn counted(&mut self, name: Labels) -> (u32, u64) {
        let extra = [name, Labels::default()];
        let store = &mut self.table.store;
        let labels = self.labels.series(store, &self.of_scope, Kind::Plain, extra);
        (self.table.series(&labels, labels.hash), labels.hash)
    }

    /// Another series of a point.
    fn series(&mut self, lane: u64, kind: Kind, extra: [Labels; 2]) -> u32 {
        let labels = self.labels.series(&mut self.table.store, &self.of_scope, kind, extra);
        self.table.series(&labels, lane)
    }

    fn sample(&mut self, series: u32, moment: Moment, value: f64) {
        self.table.push(series, moment.time_ms, Point::Value(moment.bits(value)), false);
    }

    fn exemplar(&mut self, series: u32, exemplar: &Exemplar<'a>) {
        let ids = [
            ("trace_id", exemplar.trace_id.map(|id| id.to_string())),
            ("span_id", exemplar.span_id.map(|id| id.to_string())),
        ];
        let mut labels: Vec<(Cow<'_, str>, Cow<'_, str>)> = ids
            .into_iter()
            .filter_map(|(name, id)| Some((Cow::Borrowed(name), Cow::Owned(id?))))
            .collect();
        let num_ids = labels.len();
        let attributes = exemplar.attributes.iter().filter(|(_, value)| !value.is_empty());
        for (key, value) in attributes {
            let name = self
                .settings
                .labels
                .label_name(key)
                .filter(|name| labels.iter().all(|(held, _)| held.as_ref() != name.as_str()));
            labels.extend(name.map(|name| (Cow::Owned(name), Cow::Borrowed(value.as_ref()))));
        }
        let chars = |text: &str| text.chars().count();
        let total: usize = labels.iter().map(|(name, value)| chars(name) + chars(value)).sum();
        if total > MAX_EXEMPLAR_CHARS {
            labels.truncate(num_ids);
        }
        labels.sort();
        self.encoded.clear();
        let pairs = labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        native::put_exemplar(&mut self.encoded, pairs, exemplar.value, exemplar.time_ms);
        let kept = self.table.store.keep(&self.encoded);
        self.table.push(series, exemplar.time_ms, Point::Exemplar(kept), false);
    }

    /// Formats bounds, unless they are those of the point before.
    fn format_bounds(&mut self, bounds: &[f64]) {
        let is_same = bounds.len() == self.bounds.len()
            && bounds.iter().zip(&self.bounds).all(|(new, old)| new.to_bits() == old.to_bits());
        if is_same {
            return;
        }
        self.bounds.clear();
        self.bounds.extend_from_slice(bounds);
        self.bound_labels.clear();
        let store = &mut self.table.store;
        let labels = bounds.iter().map(|bound| store.label("le", &decimal(*bound)));
        self.bound_labels.extend(labels);
    }
}

/// The shortest decimal form that reads back the same, without an exponent.
fn decimal(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    value.to_string()
}

/// A count as a sample has it; above 2^53 the nearest that there is.
#[expect(clippy::cast_precision_loss, reason = "a sample is a double")]
const fn exact(count: u64) -> f64 {
    count as f64
}
