//! What the language's functions do, as Go does it: on texts, numbers and plain trees.
//!
//! The Transformation Language is defined by what its first implementation does, and that one leans
//! on Go's standard library: how numbers and times are written, which regular expressions there
//! are, what a layout means. These modules do the same without knowing the language; where they
//! differ, their documentation says so.

pub mod cef;
pub mod clf;
pub mod csv;
pub mod duration;
pub mod elf;
pub mod encoding;
pub mod glob;
pub mod grok;
mod grok_patterns;
pub mod hash;
pub mod json;
pub mod layout;
pub mod leef;
pub mod network;
pub mod number;
pub mod pairs;
pub mod re2;
pub mod severity;
pub mod sprintf;
pub mod strptime;
pub mod text;
pub mod time;
mod tree;
pub mod url;
pub mod uuid;
pub mod xml;

use std::borrow::Cow;

pub use tree::Tree;

/// Why a function has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub Cow<'static, str>);

impl Refusal {
    /// A refusal with this message.
    #[must_use]
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }
}

/// An answer, or why there is none.
pub type Answer<T> = Result<T, Refusal>;
