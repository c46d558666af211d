//! The file: reading it, checking it, and the types that settings are made of.

mod access;
mod conceal;
mod de;
mod diagnostic;
mod document;
mod fields;
mod ids;
mod interpolate;
mod load;
mod merge;
mod node;
mod parse;
mod place;
mod print;
mod read;
mod read_error;
mod references;
mod scalar;
mod service;
mod shared;
mod suggest;
mod within;

pub use diagnostic::{Diagnostic, Severity, render};
pub use document::{Declared, Document, Secrets};
pub use fields::{
    ByteSize, ByteSizeError, Duration, DurationError, Endpoint, EndpointError, GrpcTarget, HttpUrl,
    Literal, Optional, Pattern, Percentage, Ratio, Refused, Secret,
};
pub use ids::{ComponentId, IdError, PipelineId};
pub use load::{Env, Source, load, outline};
pub use node::{Entry, Map, Node, Value};
pub use place::{Place, SourceText};
pub use read::{Read, from_node, read};
pub use service::*;
pub use shared::*;
use suggest::quoted_list;
pub use suggest::{closest, did_you_mean};
pub use within::{TextProblem, TextProblems};
