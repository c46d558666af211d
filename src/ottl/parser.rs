//! Tokens into a tree.

use super::ast::{
    Argument, Call, CompareOp, Expr, ExprKind, Literal, MathOp, Name, Path, Span, Statement,
};
use super::lexer::{Token, tokens};
use super::problem::Problem;

/// How deep parts may stand in one another.
const MAX_DEPTH: usize = 64;

const KEYWORDS: [&str; 7] = ["where", "and", "or", "not", "true", "false", "nil"];

/// Reads `editor(…) where …`.
///
/// # Errors
///
/// Fails where the text leaves the grammar.
pub fn parse_statement(text: &str) -> Result<Statement, Problem> {
    let mut parser = Parser::new(text)?;
    let editor = parser.editor()?;
    let condition = if parser.take_word("where") { Some(parser.or()?) } else { None };
    parser.end(match condition {
        Some(_) => "`and`, `or` or the end",
        None => "`where` or the end",
    })?;
    Ok(Statement { editor, condition })
}

/// Reads something that holds or does not.
///
/// # Errors
///
/// Fails where the text leaves the grammar.
pub fn parse_condition(text: &str) -> Result<Expr, Problem> {
    let mut parser = Parser::new(text)?;
    let condition = parser.or()?;
    parser.end("`and`, `or` or the end")?;
    Ok(condition)
}

/// Reads something that has a value.
///
/// # Errors
///
/// Fails where the text leaves the grammar.
pub fn parse_value(text: &str) -> Result<Expr, Problem> {
    let mut parser = Parser::new(text)?;
    let value = parser.sum()?;
    parser.end("the end")?;
    Ok(value)
}

struct Parser {
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, Problem> {
        Ok(Self { tokens: tokens(text)?, at: 0, depth: 0 })
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(0..0, |(_, span)| span.clone())
    }

    /// Where the token before this one ends.
    fn last_end(&self) -> usize {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(0, |(_, span)| span.end)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Lower(found) if found == word);
        self.at += usize::from(is_it);
        is_it
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn unexpected(&self, expected: &str) -> Problem {
        let found = self.peek().described();
        let problem = Problem::new(self.span(), format!("expected {expected}, here is {found}"));
        match self.peek() {
            Token::Sign("=") => problem.hint("values are compared with `==`"),
            Token::Sign("=>") => problem.hint("lambdas are not supported"),
            _ => problem,
        }
    }

    fn expect(&mut self, sign: &str, expected: &str) -> Result<(), Problem> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn end(&self, expected: &str) -> Result<(), Problem> {
        if *self.peek() == Token::End { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        if self.depth == MAX_DEPTH {
            return Err(Problem::new(self.span(), format!("nested more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn editor(&mut self) -> Result<Call, Problem> {
        let span = self.span();
        match (self.peek().clone(), self.peek_at(1)) {
            (Token::Lower(text), Token::Sign("(")) if !KEYWORDS.contains(&text.as_str()) => {
                self.at += 1;
                let call = self.call(Name { text, span })?;
                match call.keys.first() {
                    Some(key) => Err(Problem::new(key.span.clone(), "an editor has no result")),
                    None => Ok(call),
                }
            }
            (Token::Upper(text), Token::Sign("(")) => {
                let message =
                    format!("expected an editor such as `set(…)`, `{text}` is a converter");
                Err(Problem::new(span, message).hint("converters are written in the arguments"))
            }
            (Token::Lower(text), _) => {
                let message = "expected an editor such as `set(…)`";
                let problem = Problem::new(span, format!("{message}, here is `{text}`"));
                Err(problem.hint("a statement is `editor(arguments) where condition`"))
            }
            _ => Err(self.unexpected("an editor such as `set(…)`")),
        }
    }

    /// The name is read already, the parenthesis comes next.
    fn call(&mut self, name: Name) -> Result<Call, Problem> {
        let start = name.span.start;
        self.expect("(", "`(`")?;
        let mut arguments: Vec<Argument> = Vec::new();
        while !self.take_sign(")") {
            if !arguments.is_empty() {
                self.expect(",", "`,` or `)`")?;
            }
            let argument = self.argument()?;
            let is_late = arguments.last().is_some_and(|last| last.name.is_some());
            if is_late && argument.name.is_none() {
                let message = "an argument without a name stands behind one with a name";
                return Err(Problem::new(argument.value.span, message));
            }
            arguments.push(argument);
        }
        let span = start..self.last_end();
        let keys = self.keys()?;
        Ok(Call { name, arguments, keys, span })
    }

    fn argument(&mut self) -> Result<Argument, Problem> {
        let mut name = None;
        if let (Token::Lower(text), Token::Sign("=")) = (self.peek().clone(), self.peek_at(1)) {
            name = Some(Name { text, span: self.span() });
            self.at += 2;
        }
        let value = self.nested(Self::sum)?;
        Ok(Argument { name, value })
    }

    fn keys(&mut self) -> Result<Vec<Expr>, Problem> {
        let mut keys = Vec::new();
        while self.take_sign("[") {
            keys.push(self.nested(Self::sum)?);
            self.expect("]", "`]`")?;
        }
        if !keys.is_empty() && self.is_sign(".") {
            let problem = Problem::new(self.span(), "nothing can follow a key but another key");
            return Err(problem.hint("write `[\"name\"]`"));
        }
        Ok(keys)
    }

    fn or(&mut self) -> Result<Expr, Problem> {
        let mut left = self.and()?;
        while self.take_word("or") {
            let right = self.and()?;
            left = joined(ExprKind::Or, left, right);
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Problem> {
        let mut left = self.not()?;
        while self.take_word("and") {
            let right = self.not()?;
            left = joined(ExprKind::And, left, right);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Problem> {
        let start = self.span().start;
        if self.take_word("not") {
            let inner = self.nested(Self::not)?;
            let span = start..inner.span.end;
            return Ok(Expr { kind: ExprKind::Not(Box::new(inner)), span });
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expr, Problem> {
        let left = self.sum()?;
        let Some(op) = self.take_compare_op() else { return Ok(left) };
        let right = self.sum()?;
        let span = left.span.start..right.span.end;
        let kind = ExprKind::Compare(op, Box::new(left), Box::new(right));
        Ok(Expr { kind, span })
    }

    fn take_compare_op(&mut self) -> Option<CompareOp> {
        let op = match self.peek() {
            Token::Sign("==") => CompareOp::Equal,
            Token::Sign("!=") => CompareOp::NotEqual,
            Token::Sign("<") => CompareOp::Less,
            Token::Sign("<=") => CompareOp::LessOrEqual,
            Token::Sign(">") => CompareOp::Greater,
            Token::Sign(">=") => CompareOp::GreaterOrEqual,
            _ => return None,
        };
        self.at += 1;
        Some(op)
    }

    fn sum(&mut self) -> Result<Expr, Problem> {
        let mut left = self.product()?;
        loop {
            let op = match self.peek() {
                Token::Sign("+") => MathOp::Add,
                Token::Sign("-") => MathOp::Subtract,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.product()?;
            left = joined(|left, right| ExprKind::Math(op, left, right), left, right);
        }
    }

    fn product(&mut self) -> Result<Expr, Problem> {
        let mut left = self.value()?;
        loop {
            let op = match self.peek() {
                Token::Sign("*") => MathOp::Multiply,
                Token::Sign("/") => MathOp::Divide,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.value()?;
            left = joined(|left, right| ExprKind::Math(op, left, right), left, right);
        }
    }

    fn value(&mut self) -> Result<Expr, Problem> {
        let span = self.span();
        let literal = |literal| Ok(ExprKind::Literal(literal));
        let token = self.peek().clone();
        self.at += 1;
        let kind = match token {
            Token::Str(text) => literal(Literal::Str(text)),
            Token::Double(number) => literal(Literal::Double(number)),
            Token::Bytes(bytes) => literal(Literal::Bytes(bytes)),
            Token::Int(number) => literal(Literal::Int(int(number, false, &span)?)),
            Token::Sign("-") => self.negative(),
            Token::Sign("+") => match self.peek() {
                Token::Int(_) | Token::Double(_) => return self.value(),
                _ => Err(self.unexpected("a number")),
            },
            Token::Sign("(") => {
                let inner = self.nested(Self::or)?;
                if self.is_sign(",") {
                    return Err(self.unexpected("`)`").hint("lambdas are not supported"));
                }
                self.expect(")", "`)`")?;
                return match self.peek() {
                    Token::Sign("=>") => Err(self.unexpected("an operator")),
                    _ => Ok(inner),
                };
            }
            Token::Sign("[") => self.list(),
            Token::Sign("{") => self.map(),
            Token::Upper(text) if self.is_sign("(") => {
                self.call(Name { text, span: span.clone() }).map(ExprKind::Call)
            }
            Token::Upper(text) => Ok(ExprKind::Symbol(text)),
            Token::Lower(text) => self.word(text, span.clone()),
            _ => {
                self.at -= 1;
                Err(self.unexpected("a value"))
            }
        }?;
        Ok(Expr { kind, span: span.start..self.last_end() })
    }

    fn negative(&mut self) -> Result<ExprKind, Problem> {
        let span = self.span();
        let literal = match self.peek().clone() {
            Token::Int(number) => Literal::Int(int(number, true, &span)?),
            Token::Double(number) => Literal::Double(-number),
            _ => return Err(self.unexpected("a number")),
        };
        self.at += 1;
        Ok(ExprKind::Literal(literal))
    }

    fn list(&mut self) -> Result<ExprKind, Problem> {
        let mut items = Vec::new();
        while !self.take_sign("]") {
            if !items.is_empty() {
                self.expect(",", "`,` or `]`")?;
            }
            items.push(self.nested(Self::sum)?);
        }
        Ok(ExprKind::List(items))
    }

    fn map(&mut self) -> Result<ExprKind, Problem> {
        let mut entries: Vec<(Name, Expr)> = Vec::new();
        while !self.take_sign("}") {
            if !entries.is_empty() {
                self.expect(",", "`,` or `}`")?;
            }
            let span = self.span();
            let Token::Str(text) = self.peek().clone() else {
                return Err(self.unexpected("a key in quotes"));
            };
            self.at += 1;
            self.expect(":", "`:`")?;
            entries.push((Name { text, span }, self.nested(Self::sum)?));
        }
        Ok(ExprKind::Map(entries))
    }

    /// A keyword or a path; its first word is read already.
    fn word(&mut self, text: String, span: Span) -> Result<ExprKind, Problem> {
        match text.as_str() {
            "true" => return Ok(ExprKind::Literal(Literal::Bool(true))),
            "false" => return Ok(ExprKind::Literal(Literal::Bool(false))),
            "nil" => return Ok(ExprKind::Literal(Literal::Nil)),
            _ => {}
        }
        if KEYWORDS.contains(&text.as_str()) {
            self.at -= 1;
            return Err(self.unexpected("a value"));
        }
        if self.is_sign("(") {
            let message = format!("`{text}` is not a converter: these begin with a capital");
            return Err(
                Problem::new(span, message).hint("editors stand at the start of a statement")
            );
        }
        let mut names = vec![Name { text, span }];
        while self.take_sign(".") {
            let span = self.span();
            let Token::Lower(text) = self.peek().clone() else {
                return Err(self.unexpected("a name").hint("a key is written `[\"name\"]`"));
            };
            self.at += 1;
            names.push(Name { text, span });
        }
        Ok(ExprKind::Path(Path { names, keys: self.keys()? }))
    }
}

fn joined(kind: impl FnOnce(Box<Expr>, Box<Expr>) -> ExprKind, left: Expr, right: Expr) -> Expr {
    let span = left.span.start..right.span.end;
    Expr { kind: kind(Box::new(left), Box::new(right)), span }
}

/// The number with its sign, if an `i64` holds it.
fn int(number: u64, is_negative: bool, span: &Span) -> Result<i64, Problem> {
    let signed =
        if is_negative { 0_i64.checked_sub_unsigned(number) } else { i64::try_from(number).ok() };
    signed.ok_or_else(|| {
        Problem::new(span.clone(), format!("`{number}` does not fit into 64 bits with a sign"))
    })
}

#[cfg(test)]
mod tests;
