//! The OpenTelemetry Transformation Language: statements that change telemetry, and conditions.
//!
//! A text is read into a tree ([`ast`]), whose names a [`Compiler`] resolves: contexts, paths, keys,
//! functions, literals. What comes out runs on a [`Scene`]: a record as it stands on the wire, and
//! what is around it. Reading borrows from the record; writing moves its bytes.

mod any_of;
pub mod ast;
mod check;
mod context;
mod error;
mod functions;
pub mod go;
mod lexer;
mod node;
mod parser;
mod path;
mod problem;
mod program;
mod run;
mod scene;
mod settings;
mod slot;
mod value;
mod write;

pub use any_of::{AnyOf, Errors, Failed};
pub use context::Context;
pub use error::{ErrorMode, EvalError};
pub use functions::{
    Args, Body, Convert, Edit, EditArgs, Function, Functions, Kind, MISSING, Param, Prepare,
    Prepared, editor, impure, maker, needed, optional, pure, regex,
};
pub use node::{Argument, Node, PathNode};
pub use parser::{parse_condition, parse_statement, parse_value};
pub use path::{ENUMS, PATHS, PathSpec};
pub use problem::Problem;
pub use program::{CompiledCondition, CompiledStatement, Compiler, Program};
pub use scene::Scene;
pub use settings::{ContextName, Entry, Group};
pub use slot::Slot;
pub use value::{List, Map, Messages, Moment, Value};

#[cfg(test)]
mod tests;
