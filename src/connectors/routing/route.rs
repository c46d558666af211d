//! A route: what it takes.

use crate::component::BuildError;
use crate::data::{Batch, Item, Record, Signal, Time};
use crate::ottl::{AnyOf, Context, Failed, Scene};

/// What becomes of records that a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Later routes do not see them.
    Move,
    /// Later routes see them too.
    Copy,
}

/// What a route takes.
#[derive(Clone, Debug)]
pub(super) enum Takes {
    /// Records for which the condition holds.
    Records(AnyOf),
    /// All of a request, by one of its headers.
    Request { header: String, value: String, is_equal: bool },
}

/// A route.
#[derive(Clone, Debug)]
pub(super) struct Route {
    takes: Takes,
    action: Action,
}

impl Route {
    pub(super) const fn new(takes: Takes, action: Action) -> Self {
        Self { takes, action }
    }

    pub(super) const fn action(&self) -> Action {
        self.action
    }

    /// Whether records of a signal have what the condition is about.
    pub(super) fn check(&self, signal: Signal) -> Result<(), BuildError> {
        let Takes::Records(conditions) = &self.takes else { return Ok(()) };
        let context = conditions.context();
        if Context::of_signal(signal).contains(&context) {
            return Ok(());
        }
        let (name, signal) = (context.name(), signal.as_str());
        Err(BuildError::setting(format!("a route is about `{name}`, which {signal} do not have")))
    }

    /// What the route takes, and the others.
    pub(super) fn divide(&self, batch: &Batch, now: Time) -> Result<(Batch, Batch), Failed> {
        let conditions = match &self.takes {
            Takes::Records(conditions) => conditions,
            Takes::Request { header, value, is_equal } => {
                let found = batch.context().metadata.get(header).and_then(|values| values.first());
                let is_taken = (found == Some(value)) == *is_equal;
                return Ok(whole(batch, is_taken));
            }
        };
        let mut taker = Taker { conditions, scene: Scene::new(batch.context(), now), last: None };
        let mut failure = None;
        let mut pieces = batch.partition(2, |item| match taker.takes(item) {
            Ok(is_taken) => usize::from(is_taken),
            Err(failed) => {
                failure.get_or_insert(failed);
                0
            }
        });
        if let Some(failed) = failure {
            return Err(failed);
        }
        match (pieces.pop(), pieces.pop()) {
            (Some(taken), Some(others)) => Ok((taken, others)),
            _ => Ok(whole(batch, false)),
        }
    }
}

/// All of a batch on one side.
fn whole(batch: &Batch, is_taken: bool) -> (Batch, Batch) {
    let nothing = Batch::empty(batch.signal(), batch.context().clone());
    if is_taken { (batch.clone(), nothing) } else { (nothing, batch.clone()) }
}

/// Goes through the records of a batch; what neighbours share is looked at once.
struct Taker<'c, 'a> {
    conditions: &'c AnyOf,
    scene: Scene<'a>,
    /// What was looked at last, and whether it is taken.
    last: Option<(&'a [u8], bool)>,
}

impl<'a> Taker<'_, 'a> {
    fn takes(&mut self, item: &Item<'a, Record<'a>>) -> Result<bool, Failed> {
        let (resource, scope) = (item.resource.bytes(), item.scope.bytes());
        let element = match item.record {
            Record::Point(point) => point.metric.bytes(),
            record => record.bytes(),
        };
        let looked_at = match self.conditions.context() {
            Context::Resource => resource,
            Context::Metric => element,
            _ => item.record.bytes(),
        };
        if let Some((seen, is_taken)) = self.last
            && std::ptr::eq(seen, looked_at)
            && !looked_at.is_empty()
        {
            return Ok(is_taken);
        }
        self.scene.resource.load(resource);
        self.scene.scope.load(scope);
        self.scene.element.load(element);
        if let Record::Point(point) = item.record {
            self.scene.kind = point.metric.kind();
            self.scene.inner.load(point.data.bytes());
        }
        let is_taken = self.conditions.holds(&self.scene)?;
        self.last = Some((looked_at, is_taken));
        Ok(is_taken)
    }
}
