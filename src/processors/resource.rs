//! Processor `resource`: writes, deletes, hashes and converts attributes of resources.

use serde::Deserialize;

use crate::actions::{Action, Actions};
use crate::component::{
    BuildContext, BuildError, Outbox, ProcessError, Processor, ProcessorConfig, Sharding, Stability,
};
use crate::data::{Batch, Signal};

/// Settings of `resource`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub struct ResourceConfig {
    actions: Vec<Action>,
}

/// The settings as users write them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// What is done, in this order.
    attributes: Vec<Action>,
}

impl TryFrom<Settings> for ResourceConfig {
    type Error = &'static str;

    fn try_from(settings: Settings) -> Result<Self, &'static str> {
        if settings.attributes.is_empty() {
            return Err("`attributes` is needed, with at least one action");
        }
        Ok(Self { actions: settings.attributes })
    }
}

impl ProcessorConfig for ResourceConfig {
    const TYPE: &'static str = "resource";
    const EXAMPLE: &'static str = "\
attributes:
  - key: k8s.cluster.name
    value: prod-1
    action: upsert
  - key: process.command_line
    action: delete
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn build(&self, _context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        Ok(Box::new(ResourceProcessor { actions: Actions::new(self.actions.clone()) }))
    }
}

/// Acts upon the attributes of resources.
struct ResourceProcessor {
    actions: Actions,
}

impl Processor for ResourceProcessor {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        let actions = &mut self.actions;
        actions.set_context(batch.context());
        out.emit(batch.rewrite_resources(|_, resource| {
            actions.apply(&mut resource.attributes_mut());
        }));
        Ok(())
    }
}
