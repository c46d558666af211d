//! The labels of points. Most points have the attributes of the one before them, with other
//! values: names, order and place among the surrounding labels are found out once for those.

use std::collections::HashMap;
use std::mem;
use std::rc::Rc;

use foldhash::fast::RandomState;

use super::encoded::{Labels, SeriesLabels, Store};
use super::label::{CommonLabels, Label, LabelRules, Own, Standing, settle};
use super::translate::Attribute;

/// The label that holds the metric's name.
pub(super) const NAME: &str = "__name__";

/// The labels of one point after the other.
#[derive(Debug)]
pub(super) struct PointLabels<'a> {
    rules: LabelRules,
    names: HashMap<&'a str, Option<Rc<str>>, RandomState>,
    raw: Vec<Attribute<'a>>,
    own: Vec<Own<'a>>,
    /// The keys of the last point, as they came.
    shape: Vec<&'a str>,
    /// The names of that point's labels in order, and where their values stood. `None` when some
    /// were left out or joined: then they have to be looked at again.
    order: Option<Vec<(Rc<str>, usize)>>,
    /// Where the labels of that point's series come from, by their kind.
    plans: [Option<Vec<Slot>>; 3],
    /// What that point's series share, by their kind, once it is encoded.
    shared: [Option<Shared>; 3],
}

/// What the series of a point have beside the labels of the point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A name.
    Plain,
    /// A name and `le`.
    Bucket,
    /// A name and `quantile`.
    Quantile,
}

impl Kind {
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[NAME],
            Self::Bucket => &[NAME, "le"],
            Self::Quantile => &[NAME, "quantile"],
        }
    }
}

/// What the series of a point share, and where their own labels belong.
type Shared = (Labels, [u32; 2]);

/// Where a label comes from.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Extra(usize),
    Common(usize),
    Own(usize),
}

impl<'a> PointLabels<'a> {
    pub(super) fn new(rules: LabelRules) -> Self {
        Self {
            rules,
            names: HashMap::default(),
            raw: Vec::new(),
            own: Vec::new(),
            shape: Vec::new(),
            order: None,
            plans: Default::default(),
            shared: Default::default(),
        }
    }

    /// Takes the attributes of the next point. Empty values make no labels.
    pub(super) fn take(&mut self, attributes: impl Iterator<Item = Attribute<'a>>) {
        self.raw.clear();
        self.raw.extend(attributes.filter(|(key, value)| !value.is_empty() && *key != NAME));
        self.own.clear();
        self.shared = Default::default();
        let is_same = self.raw.len() == self.shape.len()
            && self.raw.iter().zip(&self.shape).all(|((key, _), before)| key == before);
        match &self.order {
            Some(order) if is_same => {
                for (name, position) in order {
                    if let Some((key, value)) = self.raw.get_mut(*position) {
                        let value = mem::take(value);
                        self.own.push(Own { name: Rc::clone(name), key, value });
                    }
                }
            }
            _ => self.learn(),
        }
    }

    /// The surrounding labels are others from now on.
    pub(super) fn forget_surroundings(&mut self) {
        self.plans = Default::default();
        self.shared = Default::default();
    }

    /// The labels of a resource or scope, taken as those of a point.
    pub(super) fn plain(
        &mut self,
        attributes: impl Iterator<Item = Attribute<'a>>,
    ) -> Vec<Label<'a>> {
        self.take(attributes);
        let own = self.own.drain(..);
        own.map(|label| Label { name: label.name.to_string().into(), value: label.value }).collect()
    }

    /// The labels of one of the point's series in the order of their names. Of one name `extra`,
    /// which are those of the kind, count first, then what overwrites, then the point's own, then
    /// the rest.
    pub(super) fn series(
        &mut self,
        store: &mut Store,
        common: &CommonLabels<'_>,
        kind: Kind,
        extra: [Labels; 2],
    ) -> SeriesLabels {
        let own = self.own.as_slice();
        let [plain, bucket, quantile] = &mut self.shared;
        let [plain_plan, bucket_plan, quantile_plan] = &mut self.plans;
        let (shared, plan) = match kind {
            Kind::Plain => (plain, plain_plan),
            Kind::Bucket => (bucket, bucket_plan),
            Kind::Quantile => (quantile, quantile_plan),
        };
        let (labels, places) = shared.get_or_insert_with(|| {
            let plan = plan.get_or_insert_with(|| plan_of(common, own, kind.names()));
            encode(store, plan, common, own)
        });
        labels.with(*places, extra)
    }

    /// Makes labels of attributes that are not like those of the point before.
    fn learn(&mut self) {
        self.forget_surroundings();
        self.shape.clear();
        self.shape.extend(self.raw.iter().map(|(key, _)| *key));
        for (key, value) in self.raw.drain(..) {
            let rules = self.rules;
            let made = self.names.entry(key).or_insert_with(|| rules.label_name(key).map(Rc::from));
            if let Some(name) = made.clone() {
                self.own.push(Own { name, key, value });
            }
        }
        settle(&mut self.own);
        let place = |own: &Own<'a>| {
            let position = self.shape.iter().position(|key| *key == own.key)?;
            Some((Rc::clone(&own.name), position))
        };
        let is_plain = self.own.len() == self.shape.len();
        self.order = if is_plain { self.own.iter().map(place).collect() } else { None };
    }
}

/// Encodes what is not of one series alone.
fn encode(store: &mut Store, plan: &[Slot], common: &CommonLabels<'_>, own: &[Own<'_>]) -> Shared {
    let mut labels = store.begin();
    let mut places = [None; 2];
    for slot in plan {
        let label = match slot {
            Slot::Extra(index) => {
                let place = places.get_mut(*index);
                place.into_iter().for_each(|place| *place = Some(labels.place()));
                continue;
            }
            Slot::Common(index) => common.get(*index),
            Slot::Own(index) => own.get(*index).map(|own| (&*own.name, own.value.as_ref())),
        };
        if let Some((name, value)) = label {
            store.push(&mut labels, name, value);
        }
    }
    (labels, places.map(|place| place.unwrap_or(labels.place())))
}

/// Where the labels of a series come from, in the order of their names.
fn plan_of(common: &CommonLabels<'_>, own: &[Own<'_>], extra: &[&str]) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut extra = extra.iter().enumerate().peekable();
    let mut common = common.iter().enumerate().peekable();
    let mut own = own.iter().enumerate().peekable();
    loop {
        let names = [
            extra.peek().map(|(_, name)| **name),
            common.peek().map(|(_, (label, _))| label.name.as_ref()),
            own.peek().map(|(_, label)| &*label.name),
        ];
        let Some(first) = names.iter().flatten().min().copied() else { return slots };
        let fixed = extra.next_if(|(_, name)| **name == first);
        let around = common.next_if(|(_, (label, _))| label.name == first);
        let mine = own.next_if(|(_, label)| &*label.name == first);
        slots.push(match (fixed, around, mine) {
            (Some((index, _)), _, _) => Slot::Extra(index),
            (None, Some((index, (_, Standing::Overwrites))), _) => Slot::Common(index),
            (None, _, Some((index, _))) => Slot::Own(index),
            (None, Some((index, _)), None) => Slot::Common(index),
            (None, None, None) => return slots,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn encoded(
        labels: &mut PointLabels<'static>,
        attributes: &[(&'static str, &'static str)],
    ) -> Vec<u8> {
        labels.take(attributes.iter().map(|(key, value)| (*key, Cow::Borrowed(*value))));
        let mut store = Store::default();
        let extra = [store.label(NAME, "m"), Labels::default()];
        let series = labels.series(&mut store, &CommonLabels::default(), Kind::Plain, extra);
        series.parts.map(|part| store.bytes(part)).concat()
    }

    #[test]
    fn what_was_learnt_of_the_point_before_changes_nothing() {
        let points: [&[(&str, &str)]; 8] = [
            &[("z", "1"), ("a", "2")],
            &[("z", "3"), ("a", "4")],
            &[("z", ""), ("a", "5")],
            &[("z", "6"), ("a", "7")],
            &[("a.b", "8"), ("a-b", "9")],
            &[("a.b", "10"), ("a-b", "11")],
            &[("...", "12"), ("a", "13")],
            &[("a", "14"), ("a", "15")],
        ];
        let mut labels = PointLabels::new(LabelRules::default());
        for point in points.iter().chain(points.iter().rev()) {
            let fresh = encoded(&mut PointLabels::new(LabelRules::default()), point);
            assert_eq!(encoded(&mut labels, point), fresh, "{point:?}");
        }
    }
}
