//! What is selected by `include` and `exclude` together.

use super::Matcher;
use crate::data::{Item, LogRecord, Metric, Point, Resource, Scope, Span};

/// How many matchers can exclude.
const NUM_EXCLUDE: usize = 2;

/// `include` and `exclude`: selected is what the first and none of the others match.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    include: Option<Matcher>,
    exclude: [Option<Matcher>; NUM_EXCLUDE],
}

impl Selection {
    /// What `include` and none of `exclude` match; without any, everything.
    #[must_use]
    pub const fn new(include: Option<Matcher>, exclude: [Option<Matcher>; NUM_EXCLUDE]) -> Self {
        Self { include, exclude }
    }

    /// Whether everything is selected.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.include.is_none() && self.exclude.iter().all(Option::is_none)
    }

    /// A selector for the records of one batch.
    #[must_use]
    pub const fn selector<'a>(&self) -> Selector<'_, 'a> {
        Selector { selection: self, group: None, metric: None }
    }
}

/// Selects records of one batch; what neighbours share is looked at once.
#[derive(Debug)]
pub struct Selector<'s, 'a> {
    selection: &'s Selection,
    /// The last record's resource and scope.
    group: Option<(&'a [u8], &'a [u8], Group)>,
    /// The last data point's metric, and whether it is selected.
    metric: Option<(&'a [u8], bool)>,
}

/// What is known of records by their resource and scope.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Whether `include` may match them.
    is_included: bool,
    /// Which of `exclude` may match them.
    is_excluded: [bool; NUM_EXCLUDE],
}

impl<'a> Selector<'_, 'a> {
    /// Whether a log record is selected.
    #[inline]
    pub fn selects_log(&mut self, item: &Item<'a, LogRecord<'a>>) -> bool {
        self.selects(item, |matcher| matcher.is_log_match(item.record))
    }

    /// Whether a span is selected.
    #[inline]
    pub fn selects_span(&mut self, item: &Item<'a, Span<'a>>) -> bool {
        self.selects(item, |matcher| matcher.is_span_match(item.record))
    }

    /// Whether a metric is selected.
    pub fn selects_metric(&mut self, item: &Item<'a, Metric<'a>>) -> bool {
        self.selects(item, |matcher| matcher.is_metric_match(item.record))
    }

    /// Whether a data point's metric is selected.
    pub fn selects_point(&mut self, item: &Item<'a, Point<'a>>) -> bool {
        let bytes = item.record.metric.bytes();
        match self.metric {
            Some((seen, is_selected)) if std::ptr::eq(seen, bytes) => is_selected,
            _ => {
                let is_selected = self.selects_metric(&item.map(|point| point.metric));
                self.metric = Some((bytes, is_selected));
                is_selected
            }
        }
    }

    #[inline]
    fn selects<R>(&mut self, item: &Item<'a, R>, is_match: impl Fn(&Matcher) -> bool) -> bool {
        let group = self.group(item.resource, item.scope);
        if !group.is_included {
            return false;
        }
        let Selection { include, exclude } = self.selection;
        let mut exclude = exclude.iter().flatten().zip(group.is_excluded);
        include.as_ref().is_none_or(&is_match)
            && !exclude.any(|(matcher, may_match)| may_match && is_match(matcher))
    }

    #[inline]
    fn group(&mut self, resource: Resource<'a>, scope: Scope<'a>) -> Group {
        if let Some((seen_resource, seen_scope, group)) = self.group
            && std::ptr::eq(seen_resource, resource.bytes())
            && std::ptr::eq(seen_scope, scope.bytes())
        {
            return group;
        }
        let is_match = |matcher: &Matcher| matcher.is_group_match(resource, scope);
        let mut is_excluded = [false; NUM_EXCLUDE];
        for (matcher, flag) in self.selection.exclude.iter().flatten().zip(&mut is_excluded) {
            *flag = is_match(matcher);
        }
        let is_included = self.selection.include.as_ref().is_none_or(is_match);
        let group = Group { is_included, is_excluded };
        self.group = Some((resource.bytes(), scope.bytes(), group));
        group
    }
}
