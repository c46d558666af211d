//! Label names, and label sets in the order in which remote-write wants them.

use std::borrow::Cow;
use std::rc::Rc;

/// How label names are made from attribute keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelRules {
    /// Keeps runs of underscores, as Prometheus and the Collector do; else they become one.
    pub keeps_underscore_runs: bool,
    /// Puts `key` before a name that starts with a single underscore.
    pub prefixes_underscore: bool,
}

impl Default for LabelRules {
    fn default() -> Self {
        Self { keeps_underscore_runs: true, prefixes_underscore: true }
    }
}

impl LabelRules {
    /// The label name of an attribute's key; `None` when nothing of it is left.
    #[must_use]
    pub fn label_name(self, key: &str) -> Option<String> {
        let mut name = String::with_capacity(key.len() + 4);
        let is_reserved = key.len() > 4 && key.starts_with("__") && key.ends_with("__");
        for c in key.chars() {
            if c.is_ascii_alphanumeric() {
                name.push(c);
            } else if self.keeps_underscore_runs || is_reserved || !name.ends_with('_') {
                name.push('_');
            }
        }
        if name.bytes().all(|byte| byte == b'_') {
            return None;
        }
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            return Some(format!("key_{name}"));
        }
        if self.prefixes_underscore && name.starts_with('_') && !name.starts_with("__") {
            return Some(format!("key{name}"));
        }
        Some(name)
    }
}

/// A label of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label<'a> {
    /// The name.
    pub(super) name: Cow<'a, str>,
    /// The value; never empty.
    pub(super) value: Cow<'a, str>,
}

/// How a label of the surroundings stands against a point's own of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It takes the place of the point's own.
    Overwrites,
    /// It is left out when the point has one.
    IfFree,
}

/// Labels that all points of a resource and scope have, sorted by name.
#[derive(Clone, Debug, Default)]
pub(super) struct CommonLabels<'a> {
    labels: Vec<(Label<'a>, Standing)>,
}

impl<'a> CommonLabels<'a> {
    /// Adds a label; of those that are there already with that name an [`Standing::IfFree`] one
    /// is replaced by an overwriting one, and any other stays.
    pub(super) fn add(&mut self, label: Label<'a>, standing: Standing) {
        if label.value.is_empty() {
            return;
        }
        match self.labels.binary_search_by(|(held, _)| held.name.cmp(&label.name)) {
            Ok(index) => {
                if standing == Standing::Overwrites
                    && let Some(held) = self.labels.get_mut(index)
                {
                    *held = (label, standing);
                }
            }
            Err(index) => self.labels.insert(index, (label, standing)),
        }
    }

    /// Name and value of the label at `index`.
    pub(super) fn get(&self, index: usize) -> Option<(&str, &str)> {
        self.labels.get(index).map(|(label, _)| (label.name.as_ref(), label.value.as_ref()))
    }

    /// The labels in order, each with how it stands against a point's own.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, (Label<'a>, Standing)> {
        self.labels.iter()
    }
}

/// A label of one point while its set is put together: the attribute's key decides the order in
/// which values are joined when two keys make one name.
#[derive(Clone, Debug)]
pub(super) struct Own<'a> {
    /// The translated name.
    pub(super) name: Rc<str>,
    /// The attribute's key.
    pub(super) key: &'a str,
    /// The value; never empty.
    pub(super) value: Cow<'a, str>,
}

/// Sorts a point's labels by name and joins the values of those that came to one name by `;`.
pub(super) fn settle(own: &mut Vec<Own<'_>>) {
    let is_sorted = own.windows(2).all(|pair| match pair {
        [first, second] => first.name < second.name,
        _ => true,
    });
    if is_sorted {
        return;
    }
    own.sort_by(|left, right| left.name.cmp(&right.name).then_with(|| left.key.cmp(right.key)));
    // Of an attribute that is there twice the last one counts.
    own.dedup_by(|later, first| {
        let is_repeated = later.name == first.name && later.key == first.key;
        if is_repeated {
            std::mem::swap(&mut later.value, &mut first.value);
        }
        is_repeated
    });
    own.dedup_by(|later, first| {
        if later.name != first.name {
            return false;
        }
        let joined = first.value.to_mut();
        joined.push(';');
        joined.push_str(&later.value);
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_are_those_of_prometheus() {
        let rules = LabelRules::default();
        let cases = [
            ("http.status_code", Some("http_status_code")),
            ("2xx", Some("key_2xx")),
            ("_private", Some("key_private")),
            (".private", Some("key_private")),
            ("__reserved__", Some("__reserved__")),
            ("a..b", Some("a__b")),
            ("größe", Some("gr__e")),
            ("", None),
            ("...", None),
        ];
        for (key, wanted) in cases {
            assert_eq!(rules.label_name(key).as_deref(), wanted, "{key}");
        }
    }

    #[test]
    fn underscore_runs_collapse_on_request() {
        let rules = LabelRules { keeps_underscore_runs: false, prefixes_underscore: false };
        assert_eq!(rules.label_name("a..b__c").as_deref(), Some("a_b_c"));
        assert_eq!(rules.label_name("_private").as_deref(), Some("_private"));
        assert_eq!(rules.label_name("__reserved__").as_deref(), Some("__reserved__"));
    }

    fn own<'a>(name: &'a str, key: &'a str, value: &'a str) -> Own<'a> {
        Own { name: name.into(), key, value: Cow::Borrowed(value) }
    }

    #[test]
    fn collisions_are_joined_in_the_order_of_the_keys() {
        let mut labels = vec![
            own("z", "z", "1"),
            own("a_b", "a_b", "under"),
            own("a_b", "a.b", "dot"),
            own("a_b", "a-b", "dash"),
        ];
        settle(&mut labels);
        let made: Vec<_> = labels.iter().map(|l| (l.name.as_ref(), l.value.as_ref())).collect();
        assert_eq!(made, [("a_b", "dash;dot;under"), ("z", "1")]);
    }

    #[test]
    fn last_of_a_repeated_attribute_counts() {
        let mut labels = vec![own("a", "a", "first"), own("a", "a", "last")];
        settle(&mut labels);
        assert_eq!(labels.len(), 1);
        assert_eq!(labels[0].value, "last");
    }

    #[test]
    fn job_takes_the_place_of_a_promoted_label() {
        let label = |name: &'static str, value: &'static str| Label {
            name: name.into(),
            value: value.into(),
        };
        let mut common = CommonLabels::default();
        common.add(label("job", "promoted"), Standing::IfFree);
        common.add(label("job", "service"), Standing::Overwrites);
        common.add(label("job", "external"), Standing::IfFree);
        common.add(label("a", ""), Standing::IfFree);
        let made: Vec<_> = common.iter().map(|(l, _)| l.value.as_ref()).collect();
        assert_eq!(made, ["service"]);
    }
}
