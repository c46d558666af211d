//! Tests of pipelines, as users write them: files with inputs and what shall become of them, run
//! on the chains that the agent has.

mod compare;
mod evaluate;
mod file;
mod flat;
mod forms;
mod junit;
mod prepare;
mod records;
mod run;
mod short;

pub use compare::{Line, Side};
pub use file::{Configuration, TestFile};
pub use junit::{Suite, to_xml};
pub use run::{Failure, Outcome};

#[cfg(test)]
mod tests;
