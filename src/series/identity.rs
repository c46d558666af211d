//! The identity of a data point's series.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::data::{Attributes, DataKind, Item, Metric, Point, Resource, Scope};

/// A series: a hash of 128 bits, so that two of a billion series are one with a chance of 10^-21.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u128);

/// Makes identities; equal seeds make equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesHasher {
    /// The seeds of the two halves.
    pub seeds: [u64; 2],
}

impl Default for SeriesHasher {
    /// With random seeds, so that nobody can make series that are taken for others.
    fn default() -> Self {
        Self { seeds: rand::random() }
    }
}

impl SeriesHasher {
    /// A hash of parts; where one ends counts.
    #[must_use]
    pub fn hash(&self, parts: &[&[u8]]) -> u128 {
        let [high, low] = self.seeds.map(|seed| {
            let mut hasher = FixedState::with_seed(seed).build_hasher();
            for part in parts {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
            hasher.finish()
        });
        u128::from(high) << 64 | u128::from(low)
    }

    /// Identifies the points of one batch, which belong to `tenant`.
    #[must_use]
    pub fn identifier<'a>(&self, tenant: Option<&str>) -> Identifier<'a> {
        let tenant = self.hash(&[tenant.unwrap_or_default().as_bytes()]);
        Identifier { hasher: *self, tenant, resource: None, scope: None, metric: None }
    }

    /// Attributes in any order.
    fn attributes(&self, attributes: Attributes<'_>) -> u128 {
        attributes.raw().fold(0, |sum: u128, pair| sum.wrapping_add(self.hash(&[pair])))
    }
}

/// A message and its hash.
type Known<'a> = Option<(&'a [u8], u128)>;

/// Tells the series of one batch's points; what points share is hashed once.
///
/// A series is told by the tenant, the attributes of the resource, name, version and attributes of
/// the scope, name, unit, kind, temporality and monotonicity of the metric, and the attributes of
/// the point. The order of attributes does not count; how they are encoded does.
#[derive(Clone, Copy, Debug)]
pub struct Identifier<'a> {
    hasher: SeriesHasher,
    tenant: u128,
    resource: Known<'a>,
    scope: Known<'a>,
    metric: Known<'a>,
}

impl<'a> Identifier<'a> {
    /// The series of a point.
    pub fn id(&mut self, item: &Item<'a, Point<'a>>) -> SeriesId {
        let hasher = self.hasher;
        let metric = known(&mut self.metric, item.record.metric.bytes(), || {
            let resource = known(&mut self.resource, item.resource.bytes(), || {
                resource(hasher, item.resource)
            });
            let scope = known(&mut self.scope, item.scope.bytes(), || scope(hasher, item.scope));
            let metric = metric(hasher, &item.record.metric);
            let parts = [self.tenant, resource, scope, metric].map(u128::to_le_bytes);
            hasher.hash(&parts.each_ref().map(|part| part.as_slice()))
        });
        let attributes = hasher.attributes(item.record.data.attributes());
        SeriesId(hasher.hash(&[&metric.to_le_bytes(), &attributes.to_le_bytes()]))
    }
}

/// The hash of `message`, made anew only if it is another one than last time.
fn known<'a>(last: &mut Known<'a>, message: &'a [u8], hash: impl FnOnce() -> u128) -> u128 {
    match last {
        Some((seen, hash)) if std::ptr::eq(*seen, message) => *hash,
        _ => last.insert((message, hash())).1,
    }
}

fn resource(hasher: SeriesHasher, resource: Resource<'_>) -> u128 {
    hasher.attributes(resource.attributes())
}

fn scope(hasher: SeriesHasher, scope: Scope<'_>) -> u128 {
    let attributes = hasher.attributes(scope.attributes()).to_le_bytes();
    hasher.hash(&[scope.name().as_bytes(), scope.version().as_bytes(), &attributes])
}

fn metric(hasher: SeriesHasher, metric: &Metric<'_>) -> u128 {
    let kind = metric.kind().map(DataKind::as_str).unwrap_or_default();
    let flags = [u8::from(metric.is_monotonic())];
    let temporality = metric.temporality().as_str();
    hasher.hash(&[
        metric.name().as_bytes(),
        metric.unit().as_bytes(),
        kind.as_bytes(),
        temporality.as_bytes(),
        &flags,
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;
    use crate::data::{
        About, Batch, MetricsBuilder, NumberValue, Temporality, Time, Value, encode_resource,
        encode_scope,
    };

    const ABOUT: About<'static> = About {
        name: "name",
        description: "",
        unit: "s",
        kind: DataKind::Sum,
        temporality: Temporality::Delta,
        is_monotonic: true,
    };

    fn batch(about: &About<'_>, resource: i64, scope: &str, keys: &[(&str, i64)]) -> Batch {
        let mut builder = MetricsBuilder::new();
        builder.resource(&encode_resource([("id", Value::Int(resource))]), "");
        builder.scope(&encode_scope(scope, "1"), "");
        builder.metric(about, |points| {
            let attributes = keys.iter().map(|(key, value)| (*key, Value::Int(*value)));
            points.number((Time::default(), Time::default()), NumberValue::Int(1), attributes);
        });
        builder.finish(Arc::default())
    }

    fn id(tenant: Option<&str>, batch: &Batch) -> SeriesId {
        let hasher = SeriesHasher { seeds: [1, 2] };
        hasher.identifier(tenant).id(&batch.points().next().unwrap())
    }

    #[test]
    fn everything_that_tells_series_apart_counts() {
        let keys = [("a", 1), ("b", 2)];
        let series = [
            id(None, &batch(&ABOUT, 1, "x", &keys)),
            id(Some("t"), &batch(&ABOUT, 1, "x", &keys)),
            id(None, &batch(&ABOUT, 2, "x", &keys)),
            id(None, &batch(&ABOUT, 1, "y", &keys)),
            id(None, &batch(&ABOUT, 1, "x", &[("a", 2), ("b", 1)])),
            id(None, &batch(&ABOUT, 1, "x", &[("a", 1)])),
            id(None, &batch(&ABOUT, 1, "x", &[])),
            id(None, &batch(&About { name: "other", ..ABOUT }, 1, "x", &keys)),
            id(None, &batch(&About { unit: "ms", ..ABOUT }, 1, "x", &keys)),
            id(None, &batch(&About { is_monotonic: false, ..ABOUT }, 1, "x", &keys)),
            id(None, &batch(&About { kind: DataKind::Gauge, ..ABOUT }, 1, "x", &keys)),
            id(
                None,
                &batch(&About { temporality: Temporality::Cumulative, ..ABOUT }, 1, "x", &keys),
            ),
        ];
        assert_eq!(series.iter().collect::<HashSet<_>>().len(), series.len());
    }

    #[test]
    fn order_of_attributes_and_description_do_not_count() {
        let about = About { description: "something", ..ABOUT };
        let left = id(None, &batch(&ABOUT, 1, "x", &[("a", 1), ("b", 2)]));
        assert_eq!(left, id(None, &batch(&about, 1, "x", &[("b", 2), ("a", 1)])));
    }

    #[test]
    fn points_of_one_batch_are_told_as_if_each_came_alone() {
        let hasher = SeriesHasher { seeds: [1, 2] };
        let batches: Vec<_> = [(1, "x"), (1, "y"), (2, "y"), (1, "x")]
            .iter()
            .flat_map(|(resource, scope)| {
                [1, 2].map(|key| batch(&ABOUT, *resource, scope, &[("a", key)]))
            })
            .collect();
        let whole = Batch::concat(batches.clone()).unwrap();
        let mut identifier = hasher.identifier(None);
        let together: Vec<_> = whole.points().map(|item| identifier.id(&item)).collect();
        let alone: Vec<_> = batches.iter().map(|batch| id(None, batch)).collect();
        assert_eq!(together, alone);
    }
}
