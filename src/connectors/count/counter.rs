//! Counts of one resource.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::data::wire::Writer;
use crate::data::{
    About, Attributes, DataKind, MetricsBuilder, NumberValue, Temporality, Time, Value,
    write_attribute,
};
use crate::ottl::{AnyOf, Scene};

/// The key under which a log record's field can be asked for; our addition.
const SEVERITY_TEXT: &str = "severity_text";

/// A metric that counts.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) description: String,
    /// It counts each combination of their values apart.
    pub(super) attributes: Vec<Attribute>,
    /// It counts that for which one of these holds; everything if there are none.
    pub(super) conditions: Option<AnyOf>,
}

impl Definition {
    /// Whether it counts what the scene shows; an error is not propagated.
    fn counts(&self, scene: &Scene<'_>) -> bool {
        self.conditions.as_ref().is_none_or(|conditions| conditions.holds(scene).unwrap_or(false))
    }
}

/// An attribute by which is counted.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) key: String,
    /// What counts where there is none; without, such things are not counted.
    pub(super) default: Option<Default>,
}

/// The value of an attribute that is not there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Default {
    Str(String),
    Int(i64),
    Double(f64),
}

impl Default {
    /// Whether it is one: as in the Collector, empty text and 0 are none.
    pub(super) fn is_set(&self) -> bool {
        match self {
            Self::Str(text) => !text.is_empty(),
            Self::Int(number) => *number != 0,
            Self::Double(number) => *number != 0.0,
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Str(text) => Value::Str(text),
            Self::Int(number) => Value::Int(*number),
            Self::Double(number) => Value::Double(*number),
        }
    }
}

/// Where the attributes of a thing are looked for, in this order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    pub(super) own: Attributes<'a>,
    /// The field of a log record that counts as its attribute; empty: none.
    pub(super) severity_text: &'a str,
    pub(super) scope: Attributes<'a>,
    pub(super) resource: Attributes<'a>,
}

impl<'a> Places<'a> {
    fn get(&self, key: &str) -> Option<Value<'a>> {
        let of_field = || {
            let is_asked_for = key == SEVERITY_TEXT && !self.severity_text.is_empty();
            is_asked_for.then_some(Value::Str(self.severity_text))
        };
        self.own
            .get(key)
            .or_else(of_field)
            .or_else(|| self.scope.get(key))
            .or_else(|| self.resource.get(key))
    }
}

/// Counts things of one kind and one resource.
#[derive(Debug)]
pub(super) struct Counter<'d> {
    definitions: &'d [Definition],
    /// By definition, by encoded attributes.
    counts: Vec<HashMap<Box<[u8]>, i64, RandomState>>,
    /// The earliest and the latest time.
    times: Option<(Time, Time)>,
}

impl<'d> Counter<'d> {
    pub(super) fn new(definitions: &'d [Definition]) -> Self {
        let counts = definitions.iter().map(|_| HashMap::default()).collect();
        Self { definitions, counts, times: None }
    }

    /// Widens the time that the counts are for; 0 is no time.
    pub(super) fn see(&mut self, time: Time) {
        if time == Time::default() {
            return;
        }
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
    }

    /// Counts a thing, which the scene shows; `key` is memory to work in.
    pub(super) fn count(&mut self, places: &Places<'_>, scene: &Scene<'_>, key: &mut Writer) {
        for (definition, counts) in self.definitions.iter().zip(&mut self.counts) {
            if !definition.counts(scene) {
                continue;
            }
            key.clear();
            if !write_key(&definition.attributes, places, key) {
                continue;
            }
            match counts.get_mut(key.as_slice()) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(key.as_slice().into(), 1);
                }
            }
        }
    }

    /// Whether there is nothing to count.
    pub(super) const fn is_idle(&self) -> bool {
        self.definitions.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.iter().all(HashMap::is_empty)
    }

    /// The earliest and the latest time that was seen.
    pub(super) const fn times(&self) -> Option<(Time, Time)> {
        self.times
    }

    /// Writes the metrics, each with its points by their attributes, all from and to these times.
    pub(super) fn write(&self, times: (Time, Time), to: &mut MetricsBuilder) {
        for (definition, counts) in self.definitions.iter().zip(&self.counts) {
            if counts.is_empty() {
                continue;
            }
            let mut sorted: Vec<_> = counts.iter().collect();
            sorted.sort_unstable();
            let about = About {
                name: &definition.name,
                description: &definition.description,
                unit: "",
                kind: DataKind::Sum,
                temporality: Temporality::Delta,
                is_monotonic: true,
            };
            to.metric(&about, |points| {
                for (key, count) in sorted {
                    let attributes = Attributes::of_kvlist(key);
                    points.number(times, NumberValue::Int(*count), attributes.iter());
                }
            });
        }
    }
}

/// Writes the values of attributes; false: one is not there and has no default.
fn write_key(attributes: &[Attribute], places: &Places<'_>, key: &mut Writer) -> bool {
    attributes.iter().all(|Attribute { key: name, default }| {
        let found = places.get(name);
        let Some(value) = found.or_else(|| default.as_ref().map(Default::value)) else {
            return false;
        };
        match value {
            Value::Str(_) | Value::Int(_) | Value::Double(_) => {
                write_attribute(1, name, value, key)
            }
            other => write_attribute(1, name, Value::Str(&other.to_text()), key),
        }
        true
    })
}
