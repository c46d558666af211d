//! Processor `attributes`: writes, deletes, hashes and converts attributes of records.

use serde::Deserialize;

use crate::actions::{Action, Actions};
use crate::component::{
    BuildContext, BuildError, Outbox, ProcessError, Processor, ProcessorConfig, Sharding, Stability,
};
use crate::data::{Batch, Signal};
use crate::matching::{Matcher, Selection};

/// Settings of `attributes`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub struct AttributesConfig {
    include: Option<Matcher>,
    exclude: Option<Matcher>,
    actions: Vec<Action>,
}

/// The settings as users write them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Only these records are acted upon; default: all.
    include: Option<Matcher>,
    /// These records are not acted upon; default: none.
    exclude: Option<Matcher>,
    /// What is done, in this order.
    actions: Vec<Action>,
}

impl TryFrom<Settings> for AttributesConfig {
    type Error = &'static str;

    fn try_from(settings: Settings) -> Result<Self, &'static str> {
        let Settings { include, exclude, actions } = settings;
        if actions.is_empty() {
            return Err("`actions` is needed, with at least one action");
        }
        Ok(Self { include, exclude, actions })
    }
}

impl ProcessorConfig for AttributesConfig {
    const TYPE: &'static str = "attributes";
    const EXAMPLE: &'static str = "\
include:
  match_type: strict
  resources:
    - key: deployment.environment.name
      value: production
actions:
  - key: user.email
    action: hash
  - key: http.request.header.authorization
    action: delete
  - key: team
    value: shop
    action: insert
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let matchers =
            [("cannot use `include`", &self.include), ("cannot use `exclude`", &self.exclude)];
        for (what, matcher) in matchers {
            let Some(matcher) = matcher else { continue };
            matcher
                .check(context.signal)
                .map_err(|error| BuildError::Cause { what, source: error.into() })?;
        }
        Ok(Box::new(AttributesProcessor {
            selection: Selection::new(self.include.clone(), [self.exclude.clone(), None]),
            actions: Actions::new(self.actions.clone()),
        }))
    }
}

/// Acts upon the attributes of records that are selected.
struct AttributesProcessor {
    selection: Selection,
    actions: Actions,
}

impl Processor for AttributesProcessor {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        out.emit(self.edited(&batch));
        Ok(())
    }
}

impl AttributesProcessor {
    fn edited(&mut self, batch: &Batch) -> Batch {
        let Self { selection, actions } = self;
        actions.set_context(batch.context());
        let mut selector = selection.selector();
        match batch.signal() {
            Signal::Logs => batch.rewrite_logs(|item, record| {
                if selector.selects_log(item) {
                    actions.apply(&mut record.attributes_mut());
                }
            }),
            Signal::Traces => batch.rewrite_spans(|item, span| {
                if selector.selects_span(item) {
                    actions.apply(&mut span.attributes_mut());
                }
            }),
            Signal::Metrics => batch.rewrite_points(|item, point| {
                if selector.selects_point(item) {
                    actions.apply(&mut point.attributes_mut());
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests;
