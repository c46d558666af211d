//! The part of XPath 1.0 that selects nodes.
//!
//! There are absolute and relative paths, `//`, `.`, `..`, `@name`, `*`, `text()`, `comment()`,
//! `node()`, unions with `|`, the axes of [`Axis`], and predicates with positions, comparisons,
//! `and`, `or` and the functions of [`FUNCTIONS`]. There are no variables, no arithmetic, and no
//! expressions that select no nodes.

use super::lexer::{Token, tokens};
use crate::ottl::go::{Answer, Refusal};

/// Functions and how many arguments they take.
pub(super) const FUNCTIONS: [(&str, std::ops::RangeInclusive<usize>); 14] = [
    ("contains", 2..=2),
    ("starts-with", 2..=2),
    ("ends-with", 2..=2),
    ("not", 1..=1),
    ("true", 0..=0),
    ("false", 0..=0),
    ("last", 0..=0),
    ("position", 0..=0),
    ("count", 1..=1),
    ("string", 0..=1),
    ("string-length", 0..=1),
    ("normalize-space", 0..=1),
    ("local-name", 0..=1),
    ("name", 0..=1),
];

/// Where a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Child,
    Descendant,
    DescendantOrSelf,
    Own,
    Parent,
    Ancestor,
    Attribute,
    FollowingSibling,
    PrecedingSibling,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Name(String),
    Any,
    Text,
    Comment,
    Node,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) axis: Axis,
    pub(super) test: Test,
    pub(super) predicates: Vec<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct LocationPath {
    pub(super) is_absolute: bool,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Paths(Vec<LocationPath>),
    Text(String),
    Number(f64),
    Call(String, Vec<Self>),
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Compare(Box<Self>, Comparison, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A compiled path.
#[derive(Clone, Debug, PartialEq)]
pub struct XPath {
    pub(super) paths: Vec<LocationPath>,
}

impl XPath {
    /// Compiles a path.
    ///
    /// # Errors
    ///
    /// Fails for what is no path, and for the parts of XPath that are left out.
    pub fn compile(text: &str) -> Answer<Self> {
        let compile = || -> Result<Self, String> {
            let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
            let expression = parser.union()?;
            match (parser.peek(), expression) {
                (None, Expression::Paths(paths)) => Ok(Self { paths }),
                (None, _) => Err("it selects no nodes".to_owned()),
                (Some(token), _) => Err(format!("`{token}` is not expected")),
            }
        };
        compile().map_err(|reason| Refusal::new(format!("`{text}` is not an XPath: {reason}")))
    }
}

/// Predicates nest up to so deep.
const MAX_DEPTH: usize = 64;

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn is_next(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(other)) if *other == symbol)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let is_next = self.is_next(symbol);
        self.next += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.take(symbol) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(token) => format!("`{symbol}` is expected, not `{token}`"),
            None => format!("`{symbol}` is missing at the end"),
        })
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.next += usize::from(is_next);
        is_next
    }

    fn expression(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it nests too deeply".to_owned());
        }
        let mut left = self.conjunction()?;
        while self.take_word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Expression, String> {
        let mut left = self.comparison()?;
        while self.take_word("and") {
            left = Expression::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let left = self.union()?;
        let symbols = [
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let found = symbols.into_iter().find(|(symbol, _)| self.is_next(symbol));
        let Some((_, comparison)) = found else { return Ok(left) };
        self.next += 1;
        Ok(Expression::Compare(Box::new(left), comparison, Box::new(self.union()?)))
    }

    fn union(&mut self) -> Result<Expression, String> {
        let mut left = self.primary()?;
        while self.take("|") {
            let right = self.primary()?;
            let (Expression::Paths(paths), Expression::Paths(more)) = (&mut left, right) else {
                return Err("`|` joins paths only".to_owned());
            };
            paths.extend(more);
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<Expression, String> {
        match self.peek().cloned() {
            Some(Token::Text(text)) => {
                self.next += 1;
                Ok(Expression::Text(text))
            }
            Some(Token::Number(number)) => {
                self.next += 1;
                Ok(Expression::Number(number))
            }
            Some(Token::Symbol("(")) => {
                self.next += 1;
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Name(name)) if self.is_call(&name) => self.call(name),
            Some(_) => Ok(Expression::Paths(vec![self.path()?])),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn is_call(&self, name: &str) -> bool {
        let is_open = matches!(self.tokens.get(self.next + 1), Some(Token::Symbol("(")));
        is_open && !matches!(name, "text" | "comment" | "node")
    }

    fn call(&mut self, name: String) -> Result<Expression, String> {
        self.next += 2;
        let mut arguments = Vec::new();
        while !self.is_next(")") {
            arguments.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        match FUNCTIONS.iter().find(|(other, _)| *other == name) {
            None => Err(format!("there is no function `{name}` here")),
            Some((_, counts)) if !counts.contains(&arguments.len()) => {
                Err(format!("`{name}` takes another number of arguments"))
            }
            Some(_) => Ok(Expression::Call(name, arguments)),
        }
    }

    fn path(&mut self) -> Result<LocationPath, String> {
        let mut steps = Vec::new();
        let mut is_absolute = false;
        if self.take("//") {
            is_absolute = true;
            steps.push(descendants());
        } else if self.take("/") {
            is_absolute = true;
            let is_step = match self.peek() {
                Some(Token::Name(_) | Token::Axis(_)) => true,
                Some(Token::Symbol(symbol)) => matches!(*symbol, "*" | "@" | "." | ".."),
                _ => false,
            };
            if !is_step {
                return Ok(LocationPath { is_absolute, steps });
            }
        }
        loop {
            steps.push(self.step()?);
            if self.take("//") {
                steps.push(descendants());
            } else if !self.take("/") {
                return Ok(LocationPath { is_absolute, steps });
            } else if self.peek().is_none() {
                // A slash at the end, as in an example of the documentation, selects the same.
                return Ok(LocationPath { is_absolute, steps });
            }
        }
    }

    fn step(&mut self) -> Result<Step, String> {
        let plain = |axis| Step { axis, test: Test::Node, predicates: Vec::new() };
        if self.take("..") {
            return Ok(plain(Axis::Parent));
        }
        if self.take(".") {
            return Ok(plain(Axis::Own));
        }
        let axis = if self.take("@") { Axis::Attribute } else { self.axis()? };
        let test = self.test()?;
        let mut predicates = Vec::new();
        while self.take("[") {
            predicates.push(self.expression()?);
            self.expect("]")?;
        }
        Ok(Step { axis, test, predicates })
    }

    fn axis(&mut self) -> Result<Axis, String> {
        let Some(Token::Axis(name)) = self.peek() else { return Ok(Axis::Child) };
        let axis = match &**name {
            "child" => Axis::Child,
            "descendant" => Axis::Descendant,
            "descendant-or-self" => Axis::DescendantOrSelf,
            "self" => Axis::Own,
            "parent" => Axis::Parent,
            "ancestor" => Axis::Ancestor,
            "attribute" => Axis::Attribute,
            "following-sibling" => Axis::FollowingSibling,
            "preceding-sibling" => Axis::PrecedingSibling,
            other => return Err(format!("there is no axis `{other}` here")),
        };
        self.next += 1;
        Ok(axis)
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.take("*") {
            return Ok(Test::Any);
        }
        let Some(Token::Name(name)) = self.peek().cloned() else {
            return Err(match self.peek() {
                Some(token) => format!("a name is expected, not `{token}`"),
                None => "a name is missing at the end".to_owned(),
            });
        };
        self.next += 1;
        if !self.take("(") {
            return Ok(Test::Name(name));
        }
        self.expect(")")?;
        match &*name {
            "text" => Ok(Test::Text),
            "comment" => Ok(Test::Comment),
            "node" => Ok(Test::Node),
            _ => Err(format!("`{name}()` is not a test of nodes")),
        }
    }
}

const fn descendants() -> Step {
    Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: Vec::new() }
}
