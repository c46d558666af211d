//! Actions on attributes, as the Collector's processors share them.

mod apply;
mod settings;
mod values;

pub use apply::Actions;
pub use settings::{Action, ActionError, ActionSettings};
