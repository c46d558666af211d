//! The engine: checks a file against the components there are, builds what it names, wires it up,
//! runs and stops it.
//!
//! ```text
//! receiver ──> intake ──> chain (workers of a pipeline) ──> fan-out ──> driver ──> exporter
//!                                                             └──> connector ──> chain of another
//! ```

mod build;
mod chain;
mod dead_letter;
mod driver;
mod driver_form;
mod durable;
mod fanout;
mod graph;
mod handles;
mod intake;
mod lifecycle;
mod memory;
mod prints;
mod rehearsal;
mod reload;
mod state_file;
mod wiring;

pub use graph::Plan;
pub use handles::Handles;
pub use lifecycle::{Engine, StartError, check};
pub use memory::{budget, warnings, watch_process};
pub use prints::Changes;
pub use rehearsal::Rehearsal;
pub use reload::{ReloadError, changes};

#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
