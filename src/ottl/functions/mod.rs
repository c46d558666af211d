//! Functions: what there is, with which parameters.
//!
//! A function is an entry in one of the lists of this folder: a name, parameters with their kinds,
//! and what it does. Arguments come evaluated and of the kind that the parameter asks for.

mod args;
mod convert;
mod edit;
mod encode;
mod kinds;
mod lists;
mod parse;
mod texts;
mod times;
mod trees;
mod xml;

use std::any::Any;
use std::sync::Arc;

pub use args::{Args, EditArgs};
pub(super) use args::{coerce, prepare};

use super::error::EvalError;
use super::go::re2;
use super::scene::Scene;
use super::value::Value;

/// A function.
#[derive(Debug)]
pub struct Function {
    /// As it is called: editors begin with a small letter, converters with a capital.
    pub name: &'static str,
    /// In their order.
    pub params: &'static [Param],
    /// What it does.
    pub body: Body,
}

/// What a function does.
#[derive(Clone, Copy)]
pub enum Body {
    /// Makes a value of its arguments only, so that it is called once for literals.
    Pure(Convert),
    /// Makes a value that differs from call to call, or depends on the record.
    Impure(Convert),
    /// Changes the record.
    Edit(Edit),
    /// Makes further metrics, or changes how many points a metric has.
    Make(Edit),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Pure(_) => "Pure",
            Self::Impure(_) => "Impure",
            Self::Edit(_) => "Edit",
            Self::Make(_) => "Make",
        })
    }
}

/// What a converter makes.
type Answer<'s> = Result<Value<'s>, EvalError>;
/// A converter.
pub type Convert = for<'s> fn(Args<'s>) -> Result<Value<'s>, EvalError>;
/// An editor.
pub type Edit = fn(EditArgs<'_>, &mut Scene<'_>) -> Result<(), EvalError>;
/// Something that is made of a text once, such as a regular expression.
pub type Prepared = Arc<dyn Any + Send + Sync>;
/// Makes it.
pub type Prepare = fn(&str) -> Result<Prepared, String>;

/// A parameter.
#[derive(Debug)]
pub struct Param {
    /// As named arguments call it.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it can be left out; it is nil then.
    pub is_optional: bool,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any value.
    Any,
    /// Text.
    Str,
    /// Anything that can be text, or nil.
    StrLike,
    /// A whole number.
    Int,
    /// Anything that can be a whole number; nil if it cannot.
    IntLike,
    /// A number; whole numbers are taken too.
    Double,
    /// Anything that can be a number; nil if it cannot.
    DoubleLike,
    /// A truth value.
    Bool,
    /// A moment.
    Time,
    /// A length of time.
    Duration,
    /// A map.
    Map,
    /// A list.
    List,
    /// Bytes, or what is made of bytes.
    Bytes,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text of which something is made: once if it is a literal.
    Prepared(Prepare),
    /// A path that is written.
    Target,
    /// The name of a converter.
    Function,
}

impl Kind {
    /// What it takes, for messages and the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Str | Self::Prepared(_) => "a string",
            Self::StrLike => "a string or what can be one",
            Self::Int => "a whole number",
            Self::IntLike => "a whole number or what can be one",
            Self::Double => "a number",
            Self::DoubleLike => "a number or what can be one",
            Self::Bool => "a boolean",
            Self::Time => "a time",
            Self::Duration => "a duration",
            Self::Map => "a map",
            Self::List => "a list",
            Self::Bytes => "bytes",
            Self::Word(_) => "one of the words",
            Self::Target => "a path",
            Self::Function => "the name of a converter",
        }
    }
}

/// A parameter that must be given.
#[must_use]
pub const fn needed(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, is_optional: false }
}

/// A parameter that can be left out.
#[must_use]
pub const fn optional(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, is_optional: true }
}

/// A converter of its arguments only.
#[must_use]
pub const fn pure(name: &'static str, params: &'static [Param], body: Convert) -> Function {
    Function { name, params, body: Body::Pure(body) }
}

/// A converter that depends on more than its arguments.
#[must_use]
pub const fn impure(name: &'static str, params: &'static [Param], body: Convert) -> Function {
    Function { name, params, body: Body::Impure(body) }
}

/// An editor.
#[must_use]
pub const fn editor(name: &'static str, params: &'static [Param], body: Edit) -> Function {
    Function { name, params, body: Body::Edit(body) }
}

/// An editor that makes further metrics, or changes how many points a metric has.
#[must_use]
pub const fn maker(name: &'static str, params: &'static [Param], body: Edit) -> Function {
    Function { name, params, body: Body::Make(body) }
}

/// The functions of every component.
const LISTS: &[&[Function]] = &[
    edit::FUNCTIONS,
    edit::LISTS,
    edit::MAPS,
    edit::REPLACE,
    kinds::FUNCTIONS,
    convert::FUNCTIONS,
    texts::FUNCTIONS,
    encode::FUNCTIONS,
    parse::FUNCTIONS,
    xml::FUNCTIONS,
    times::FUNCTIONS,
    lists::FUNCTIONS,
];

/// Functions of the language that are not there, and why.
pub const MISSING: &[(&str, &str)] = &[
    ("ProfileID", "profiles are not supported"),
    (
        "UserAgent",
        "its thousands of rules are not in the program: write `ExtractPatterns` with those you need",
    ),
    ("All", "lambdas are not supported"),
    ("Any", "lambdas are not supported"),
    ("Filter", "lambdas are not supported"),
    ("Find", "lambdas are not supported"),
    ("MapEach", "lambdas are not supported"),
    ("MapKeys", "lambdas are not supported"),
    ("Reduce", "lambdas are not supported"),
    ("When", "lambdas are not supported"),
];

/// The functions that statements can call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Functions {
    own: &'static [&'static [Function]],
}

impl Functions {
    /// Those of every component and these.
    #[must_use]
    pub const fn with(own: &'static [&'static [Function]]) -> Self {
        Self { own }
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = &'static Function> {
        LISTS.iter().chain(self.own).flat_map(|list| list.iter())
    }

    /// The function called `name`.
    #[must_use]
    pub fn find(self, name: &str) -> Option<&'static Function> {
        self.iter().find(|function| function.name == name)
    }
}

/// A regular expression for a parameter, as Go has them.
///
/// # Errors
///
/// Fails where it does not compile, with what is wrong with it.
pub fn regex(text: &str) -> Result<Prepared, String> {
    match re2::try_compile(text) {
        Ok(regex) => Ok(Arc::new(regex)),
        Err(reason) => Err(format!("not a regular expression: {reason}")),
    }
}
