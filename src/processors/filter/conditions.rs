//! Conditions in OTTL: what they hold for is dropped.

use crate::data::{Batch, DataKind, Event, Item, Metric, Signal, Time};
use crate::ottl::{AnyOf, Context, Failed, Scene};

/// Conditions by what they are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    list: Vec<AnyOf>,
}

impl Conditions {
    pub(super) const fn new(list: Vec<AnyOf>) -> Self {
        Self { list }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn about(&self, context: Context) -> Vec<&AnyOf> {
        self.list.iter().filter(|conditions| conditions.context() == context).collect()
    }

    /// What of a batch no condition holds for.
    ///
    /// # Errors
    ///
    /// Fails if a condition fails, and that is to be propagated.
    pub(super) fn remaining(&self, batch: &Batch, now: Time) -> Result<Batch, Failed> {
        match batch.signal() {
            Signal::Logs => {
                let mut dropper = Dropper::new(self, Context::Log, batch, now);
                let kept = batch.retain_logs(|item| !dropper.drops(item, item.record.bytes()));
                dropper.finish(kept)
            }
            Signal::Traces => {
                let mut dropper = Dropper::new(self, Context::Span, batch, now);
                let kept = batch.retain_spans(|item| !dropper.drops(item, item.record.bytes()));
                let kept = dropper.finish(kept)?;
                self.without_events(&kept, now)
            }
            Signal::Metrics => {
                let mut dropper = Dropper::new(self, Context::Metric, batch, now);
                let kept = batch.retain_metrics(|item| {
                    dropper.scene.kind = item.record.kind();
                    !dropper.drops(item, item.record.bytes())
                });
                let kept = dropper.finish(kept)?;
                self.without_points(&kept, now)
            }
        }
    }

    fn without_events(&self, batch: &Batch, now: Time) -> Result<Batch, Failed> {
        let about = self.about(Context::SpanEvent);
        if about.is_empty() {
            return Ok(batch.clone());
        }
        let mut failure = None;
        let kept = batch.rewrite_spans(|item, span| {
            let mut scene = scene_of(item, item.record.bytes(), batch, now);
            let mut is_dropped: Vec<bool> = Vec::new();
            for (index, event) in item.record.events().enumerate() {
                let event: Event<'_> = event;
                scene.inner.load(event.bytes());
                scene.event_index = index;
                is_dropped.push(holds(&about, &scene, &mut failure));
            }
            if is_dropped.contains(&true) {
                let mut flags = is_dropped.into_iter();
                span.edit_events(|_| !flags.next().unwrap_or_default());
            }
        });
        failure.map_or(Ok(kept), Err)
    }

    fn without_points(&self, batch: &Batch, now: Time) -> Result<Batch, Failed> {
        let about = self.about(Context::DataPoint);
        if about.is_empty() {
            return Ok(batch.clone());
        }
        let mut failure = None;
        let mut scene = Scene::new(batch.context(), now);
        let mut last: Option<(Metric<'_>, Option<DataKind>)> = None;
        let kept = batch.retain_points(|item| {
            let metric = item.record.metric;
            let kind = match last {
                Some((seen, kind)) if std::ptr::eq(seen.bytes(), metric.bytes()) => kind,
                _ => metric.kind(),
            };
            last = Some((metric, kind));
            scene.kind = kind;
            scene.resource.load(item.resource.bytes());
            scene.scope.load(item.scope.bytes());
            scene.element.load(metric.bytes());
            scene.inner.load(item.record.data.bytes());
            !holds(&about, &scene, &mut failure)
        });
        failure.map_or(Ok(kept), Err)
    }
}

/// A scene with an element.
fn scene_of<'a, R>(
    item: &Item<'a, R>,
    element: &'a [u8],
    batch: &'a Batch,
    now: Time,
) -> Scene<'a> {
    let mut scene = Scene::new(batch.context(), now);
    scene.resource.load(item.resource.bytes());
    scene.scope.load(item.scope.bytes());
    scene.element.load(element);
    scene
}

/// Whether one of the conditions holds; the first failure is kept, after which nothing counts.
fn holds(about: &[&AnyOf], scene: &Scene<'_>, failure: &mut Option<Failed>) -> bool {
    for conditions in about {
        match conditions.holds(scene) {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => {
                failure.get_or_insert(error);
                return false;
            }
        }
    }
    false
}

/// Goes through the elements of a batch; what neighbours share is looked at once.
struct Dropper<'c, 'a> {
    resources: Vec<&'c AnyOf>,
    scopes: Vec<&'c AnyOf>,
    elements: Vec<&'c AnyOf>,
    scene: Scene<'a>,
    /// The last resource and scope, and whether all in it is dropped.
    group: Option<(&'a [u8], &'a [u8], bool)>,
    failure: Option<Failed>,
}

impl<'c, 'a> Dropper<'c, 'a> {
    fn new(conditions: &'c Conditions, element: Context, batch: &'a Batch, now: Time) -> Self {
        Self {
            resources: conditions.about(Context::Resource),
            scopes: conditions.about(Context::Scope),
            elements: conditions.about(element),
            scene: Scene::new(batch.context(), now),
            group: None,
            failure: None,
        }
    }

    #[inline]
    fn drops<R>(&mut self, item: &Item<'a, R>, element: &'a [u8]) -> bool {
        let (resource, scope) = (item.resource.bytes(), item.scope.bytes());
        let is_group_dropped = match self.group {
            Some((seen_resource, seen_scope, is_dropped))
                if std::ptr::eq(seen_resource, resource) && std::ptr::eq(seen_scope, scope) =>
            {
                is_dropped
            }
            _ => {
                self.scene.resource.load(resource);
                self.scene.scope.load(scope);
                let is_dropped = holds(&self.resources, &self.scene, &mut self.failure)
                    || holds(&self.scopes, &self.scene, &mut self.failure);
                self.group = Some((resource, scope, is_dropped));
                is_dropped
            }
        };
        if is_group_dropped {
            return true;
        }
        self.scene.element.load(element);
        holds(&self.elements, &self.scene, &mut self.failure)
    }

    fn finish(self, kept: Batch) -> Result<Batch, Failed> {
        self.failure.map_or(Ok(kept), Err)
    }
}
