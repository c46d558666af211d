//! The language as a tree, each part with the bytes of the text that it was read from.

use std::fmt;
use std::ops::Range;

/// Bytes of a statement's text.
pub type Span = Range<usize>;

/// An editor and when it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// What changes the data.
    pub editor: Call,
    /// It is applied where this holds; always if there is none.
    pub condition: Option<Expr>,
}

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The word.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// An editor or a converter with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its name.
    pub name: Name,
    /// In the order of the text; those with a name come last.
    pub arguments: Vec<Argument>,
    /// What is looked up in the result.
    pub keys: Vec<Expr>,
    /// From the name to the closing parenthesis.
    pub span: Span,
}

/// An argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// The parameter's name, if it is written.
    pub name: Option<Name>,
    /// The value.
    pub value: Expr,
}

/// Names with dots between them, and what is looked up there.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// `log`, `attributes`; at least one.
    pub names: Vec<Name>,
    /// What stands in brackets.
    pub keys: Vec<Expr>,
}

/// Something that has a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A value that is written out.
    Literal(Literal),
    /// A word in capitals: an enumeration's member, or a function that is named as an argument.
    Symbol(String),
    /// A part of the telemetry.
    Path(Path),
    /// A converter.
    Call(Call),
    /// A list.
    List(Vec<Expr>),
    /// A map.
    Map(Vec<(Name, Expr)>),
    /// A calculation.
    Math(MathOp, Box<Expr>, Box<Expr>),
    /// A comparison.
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// What does not hold.
    Not(Box<Expr>),
    /// What holds together.
    And(Box<Expr>, Box<Expr>),
    /// Of which one holds.
    Or(Box<Expr>, Box<Expr>),
}

/// A value that is written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `nil`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Text.
    Str(String),
    /// `0x` and hexadecimal digits.
    Bytes(Vec<u8>),
}

/// What is calculated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MathOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl MathOp {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }
}

impl CompareOp {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Path {
    /// The names with dots between them.
    #[must_use]
    pub fn dotted(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(|name| name.text.as_str()).collect();
        names.join(".")
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.editor)?;
        match &self.condition {
            Some(condition) => write!(out, " where {condition}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}(", self.name.text)?;
        for (index, argument) in self.arguments.iter().enumerate() {
            write!(out, "{}", if index > 0 { ", " } else { "" })?;
            if let Some(name) = &argument.name {
                write!(out, "{}=", name.text)?;
            }
            write!(out, "{}", argument.value)?;
        }
        out.write_str(")")?;
        write_keys(&self.keys, out)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Literal(literal) => write!(out, "{literal}"),
            ExprKind::Symbol(name) => out.write_str(name),
            ExprKind::Path(path) => {
                out.write_str(&path.dotted())?;
                write_keys(&path.keys, out)
            }
            ExprKind::Call(call) => write!(out, "{call}"),
            ExprKind::List(items) => {
                out.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(out, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                out.write_str("]")
            }
            ExprKind::Map(entries) => {
                out.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.write_str(if index > 0 { ", " } else { "" })?;
                    write_quoted(&key.text, out)?;
                    write!(out, ": {value}")?;
                }
                out.write_str("}")
            }
            ExprKind::Math(op, left, right) => self.write_binary(op.as_str(), left, right, out),
            ExprKind::Compare(op, left, right) => self.write_binary(op.as_str(), left, right, out),
            ExprKind::And(left, right) => self.write_binary("and", left, right, out),
            ExprKind::Or(left, right) => self.write_binary("or", left, right, out),
            ExprKind::Not(inner) => {
                out.write_str("not ")?;
                inner.write_within(self.rank(), out)
            }
        }
    }
}

impl Expr {
    /// How strongly its parts are bound together.
    const fn rank(&self) -> u8 {
        match &self.kind {
            ExprKind::Or(..) => 0,
            ExprKind::And(..) => 1,
            ExprKind::Not(_) => 2,
            ExprKind::Compare(..) => 3,
            ExprKind::Math(MathOp::Add | MathOp::Subtract, ..) => 4,
            ExprKind::Math(..) => 5,
            _ => 6,
        }
    }

    fn write_binary(
        &self,
        op: &str,
        left: &Self,
        right: &Self,
        out: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        // A comparison has no comparison as a part, the others are read from left to right.
        let rank = self.rank();
        left.write_within(if rank == 3 { 4 } else { rank }, out)?;
        write!(out, " {op} ")?;
        right.write_within(rank + 1, out)
    }

    fn write_within(&self, rank: u8, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rank() < rank { write!(out, "({self})") } else { write!(out, "{self}") }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => out.write_str("nil"),
            Self::Bool(flag) => write!(out, "{flag}"),
            Self::Int(number) => write!(out, "{number}"),
            Self::Double(number) => {
                let text = format!("{number:?}");
                match text.split_once('e') {
                    Some((digits, exponent)) if !digits.contains('.') => {
                        write!(out, "{digits}.0e{exponent}")
                    }
                    _ => out.write_str(&text),
                }
            }
            Self::Str(text) => write_quoted(text, out),
            Self::Bytes(bytes) => {
                out.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        }
    }
}

fn write_keys(keys: &[Expr], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    keys.iter().try_for_each(|key| write!(out, "[{key}]"))
}

fn write_quoted(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str("\"")?;
    for char in text.chars() {
        match char {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            char if char.is_control() => write!(out, "\\u{:04x}", u32::from(char))?,
            char => write!(out, "{char}")?,
        }
    }
    out.write_str("\"")
}
