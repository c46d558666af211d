//! The connector itself: goes through a batch, with counters for each resource.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::Timestamps;
use super::counter::{Counter, Definition, Places};
use crate::component::{Outbox, ProcessError, Processor};
use crate::data::wire::Writer;
use crate::data::{
    Attributes, Batch, Item, LogRecord, Metric, MetricsBuilder, Signal, Span, Time, encode_scope,
};
use crate::ottl::Scene;

/// The Collector's name of the scope.
const SCOPE: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/connector/countconnector";

/// How far apart the times of two batches are at least: what Prometheus can tell apart.
const RESOLUTION: Duration = Duration::from_millis(1);

/// Counts records, and what is inside of them or around them.
#[derive(Debug)]
pub struct Count {
    records: Vec<Definition>,
    others: Vec<Definition>,
    timestamps: Timestamps,
    /// The time of the last batch, with times of arrival.
    last: Option<Time>,
    outputs: Vec<usize>,
    scope: Vec<u8>,
    /// Memory to work in.
    key: Writer,
}

/// The counts of one resource.
struct Counts<'a, 'd> {
    resource: &'a [u8],
    records: Counter<'d>,
    others: Counter<'d>,
}

impl Count {
    /// `records` count log records, spans or data points; `others` count span events or metrics.
    pub(super) fn new(
        [records, others]: [Vec<Definition>; 2],
        timestamps: Timestamps,
        outputs: Vec<usize>,
    ) -> Self {
        let (scope, key) = (encode_scope(SCOPE, ""), Writer::default());
        Self { records, others, timestamps, last: None, outputs, scope, key }
    }

    /// The times of all points of a batch, where they are not those of its records.
    fn times(&mut self, now: Time) -> Option<(Time, Time)> {
        if self.timestamps == Timestamps::Records {
            return None;
        }
        let earliest = self.last.map(|last| last.saturating_add(RESOLUTION));
        let time = earliest.map_or(now, |earliest| now.max(earliest));
        let start = self.last.replace(time).unwrap_or(time);
        Some((start, time))
    }

    /// Calls `count` with each item and the counters of its resource; equal resources share them.
    fn counts<'a, R>(
        &mut self,
        items: impl Iterator<Item = Item<'a, R>>,
        mut scene: Scene<'a>,
        count: impl Fn(&mut Counts<'a, '_>, &Item<'a, R>, &mut Scene<'a>, &mut Writer),
    ) -> Vec<Counts<'a, '_>> {
        let Self { records, others, key, .. } = self;
        let mut index: HashMap<&'a [u8], usize, RandomState> = HashMap::default();
        let mut all: Vec<Counts<'a, '_>> = Vec::new();
        let mut last: Option<(&'a [u8], usize)> = None;
        for item in items {
            let resource = item.resource.bytes();
            let at = match last {
                Some((seen, at)) if std::ptr::eq(seen, resource) => at,
                _ => *index.entry(resource).or_insert(all.len()),
            };
            last = Some((resource, at));
            if at == all.len() {
                let (records, others) = (Counter::new(records), Counter::new(others));
                all.push(Counts { resource, records, others });
            }
            if let Some(counts) = all.get_mut(at) {
                scene.resource.load(resource);
                scene.scope.load(item.scope.bytes());
                count(counts, &item, &mut scene, key);
            }
        }
        all
    }

    /// The counts of a batch as metrics.
    fn metrics(&mut self, batch: &Batch, now: Time) -> Batch {
        let scope = self.scope.clone();
        let times = self.times(now);
        let scene = Scene::new(batch.context(), now);
        let all = match batch.signal() {
            Signal::Logs => self.counts(batch.logs().items(), scene, count_log),
            Signal::Traces => self.counts(batch.spans().items(), scene, count_span),
            Signal::Metrics => self.counts(batch.metrics().items(), scene, count_metric),
        };
        let mut builder = MetricsBuilder::new();
        for counts in all {
            if counts.records.is_empty() && counts.others.is_empty() {
                continue;
            }
            builder.resource(counts.resource, "");
            builder.scope(&scope, "");
            for counter in [&counts.records, &counts.others] {
                let seen = || counter.times().unwrap_or((now, now));
                counter.write(times.unwrap_or_else(seen), &mut builder);
            }
        }
        builder.finish(Arc::clone(batch.context())).with_parts(batch.parts().clone())
    }
}

impl Processor for Count {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        let metrics = self.metrics(&batch, out.now());
        out.count_absorbed(batch.num_records());
        if !metrics.is_empty() {
            out.count_created(metrics.num_records() * self.outputs.len());
            for output in &self.outputs {
                out.emit_to(*output, metrics.clone());
            }
        }
        Ok(())
    }
}

fn places<'a, R>(item: &Item<'a, R>, own: Attributes<'a>) -> Places<'a> {
    let (scope, resource) = (item.scope.attributes(), item.resource.attributes());
    Places { own, severity_text: "", scope, resource }
}

fn count_log<'a>(
    counts: &mut Counts<'a, '_>,
    item: &Item<'a, LogRecord<'a>>,
    scene: &mut Scene<'a>,
    key: &mut Writer,
) {
    let record = &item.record;
    scene.element.load(record.bytes());
    counts.records.see(record.time());
    let severity_text = record.severity_text();
    let places = Places { severity_text, ..places(item, record.attributes()) };
    counts.records.count(&places, scene, key);
}

fn count_span<'a>(
    counts: &mut Counts<'a, '_>,
    item: &Item<'a, Span<'a>>,
    scene: &mut Scene<'a>,
    key: &mut Writer,
) {
    let span = &item.record;
    scene.element.load(span.bytes());
    counts.records.see(span.start_time());
    counts.records.see(span.end_time());
    counts.records.count(&places(item, span.attributes()), scene, key);
    if counts.others.is_idle() {
        return;
    }
    for (index, event) in span.events().enumerate() {
        scene.inner.load(event.bytes());
        scene.event_index = index;
        counts.others.see(event.time());
        counts.others.count(&places(item, event.attributes()), scene, key);
    }
}

fn count_metric<'a>(
    counts: &mut Counts<'a, '_>,
    item: &Item<'a, Metric<'a>>,
    scene: &mut Scene<'a>,
    key: &mut Writer,
) {
    let metric = item.record;
    scene.element.load(metric.bytes());
    scene.kind = metric.kind();
    counts.others.count(&places(item, Attributes::empty()), scene, key);
    for point in metric.points() {
        scene.inner.load(point.bytes());
        counts.records.see(point.time());
        counts.records.count(&places(item, point.attributes()), scene, key);
    }
}
