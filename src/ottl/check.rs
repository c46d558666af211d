//! Trees into compiled expressions: contexts, paths, functions and their arguments are resolved.

use super::ast::{self, Expr, ExprKind, Literal, Span};
use super::context::Context;
use super::error::EvalError;
use super::functions::{Body, Function, Functions, Kind, MISSING, Param, coerce, prepare};
use super::node::{Argument, Call, Node, PathNode};
use super::path::{CACHE, ENUMS, PATHS};
use super::problem::Problem;
use super::program::Edit;
use super::scene::{Scene, find_path};
use super::value::Value;

/// Resolves the names in expressions about one context.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checker {
    /// What they are about.
    pub(super) context: Context,
    /// Whether paths without a context are this context's.
    pub(super) is_explicit: bool,
    pub(super) functions: Functions,
}

/// The context of a path, if it begins with one.
fn named_context(path: &ast::Path) -> Option<Context> {
    Context::of_name(&path.names.first()?.text).filter(|_| path.names.len() > 1)
}

/// Calls `visit` with each path in `expr`.
pub(super) fn each_path(expr: &Expr, visit: &mut impl FnMut(&ast::Path, &Span)) {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Symbol(_) => {}
        ExprKind::Path(path) => {
            visit(path, &expr.span);
            path.keys.iter().for_each(|key| each_path(key, visit));
        }
        ExprKind::Call(call) => each_path_of_call(call, visit),
        ExprKind::List(items) => items.iter().for_each(|item| each_path(item, visit)),
        ExprKind::Map(entries) => entries.iter().for_each(|(_, value)| each_path(value, visit)),
        ExprKind::Not(inner) => each_path(inner, visit),
        ExprKind::Math(_, left, right)
        | ExprKind::Compare(_, left, right)
        | ExprKind::And(left, right)
        | ExprKind::Or(left, right) => {
            each_path(left, visit);
            each_path(right, visit);
        }
    }
}

/// Calls `visit` with each path in the arguments and keys of `call`.
pub(super) fn each_path_of_call(call: &ast::Call, visit: &mut impl FnMut(&ast::Path, &Span)) {
    call.arguments.iter().for_each(|argument| each_path(&argument.value, visit));
    call.keys.iter().for_each(|key| each_path(key, visit));
}

/// The context that `path` names, if it is the lower one of the two; both must be on one line.
pub(super) fn lower(
    found: Option<Context>,
    path: &ast::Path,
    span: &Span,
) -> Result<Option<Context>, Problem> {
    let Some(context) = named_context(path).filter(|context| *context != Context::Otelcol) else {
        return Ok(found);
    };
    match found {
        None => Ok(Some(context)),
        Some(other) if other.reaches(context) => Ok(Some(other)),
        Some(other) if context.reaches(other) => Ok(Some(context)),
        Some(other) => {
            let (other, name) = (other.name(), context.name());
            let message = format!("`{name}` and `{other}` cannot be named together");
            let advice = "write statements about different things in groups of their own";
            Err(Problem::new(span.clone(), message).hint(advice))
        }
    }
}

impl Checker {
    pub(super) fn statement(&self, editor: &ast::Call) -> Result<Edit, Problem> {
        let function = self.function(&editor.name, true)?;
        let (Body::Edit(body) | Body::Make(body)) = function.body else {
            let message = format!("`{}` is a converter and changes nothing", function.name);
            return Err(Problem::new(editor.name.span.clone(), message));
        };
        let makes = matches!(function.body, Body::Make(_));
        Ok(Edit { body, makes, arguments: self.arguments(function, editor)? })
    }

    /// An expression that holds or does not.
    pub(super) fn condition(&self, expr: &Expr) -> Result<Node, Problem> {
        let node = self.node(expr)?;
        let is_condition = match &node {
            Node::Const(value) => matches!(value, Value::Bool(_)),
            Node::Call(_)
            | Node::Keyed(..)
            | Node::Compare(..)
            | Node::Not(_)
            | Node::And(..)
            | Node::Or(..) => true,
            _ => false,
        };
        if is_condition {
            return Ok(node);
        }
        let problem = Problem::new(expr.span.clone(), "expected a condition, this is a value");
        Err(problem.hint("compare it with another value: `==`, `!=`, `<`, `<=`, `>`, `>=`"))
    }

    fn node(&self, expr: &Expr) -> Result<Node, Problem> {
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(Node::Const(constant(literal))),
            ExprKind::Symbol(name) => self.symbol(name, &expr.span),
            ExprKind::Path(path) => self.path(path, &expr.span).map(Node::Path),
            ExprKind::Call(call) => self.call(call),
            ExprKind::List(items) => {
                let nodes: Result<Vec<_>, _> = items.iter().map(|item| self.node(item)).collect();
                self.folded(Node::List(nodes?), &expr.span)
            }
            ExprKind::Map(entries) => {
                let entry =
                    |(key, value): &(ast::Name, Expr)| Ok((key.text.clone(), self.node(value)?));
                let entries: Result<Vec<_>, Problem> = entries.iter().map(entry).collect();
                self.folded(Node::Map(entries?), &expr.span)
            }
            ExprKind::Math(op, left, right) => {
                let (left, right) = (Box::new(self.node(left)?), Box::new(self.node(right)?));
                self.folded(Node::Math(*op, left, right), &expr.span)
            }
            ExprKind::Compare(op, left, right) => {
                let (left, right) = (Box::new(self.node(left)?), Box::new(self.node(right)?));
                Ok(Node::Compare(*op, left, right))
            }
            ExprKind::Not(inner) => Ok(Node::Not(Box::new(self.condition(inner)?))),
            ExprKind::And(left, right) => {
                let left = Box::new(self.condition(left)?);
                Ok(Node::And(left, Box::new(self.condition(right)?)))
            }
            ExprKind::Or(left, right) => {
                let left = Box::new(self.condition(left)?);
                Ok(Node::Or(left, Box::new(self.condition(right)?)))
            }
        }
    }

    /// The value, if it is made of constants.
    #[expect(clippy::unused_self, reason = "as the others")]
    fn folded(&self, node: Node, span: &Span) -> Result<Node, Problem> {
        let is_const = |node: &Node| matches!(node, Node::Const(_));
        let is_folded = match &node {
            Node::List(items) => items.iter().all(is_const),
            Node::Map(entries) => entries.iter().all(|(_, value)| is_const(value)),
            Node::Math(_, left, right) => is_const(left) && is_const(right),
            Node::Call(call) => call.arguments.iter().all(|argument| is_const(&argument.node)),
            Node::Keyed(inner, keys) => is_const(inner) && keys.iter().all(is_const),
            _ => false,
        };
        if !is_folded {
            return Ok(node);
        }
        let scene = Scene::default();
        let value = node.eval(&scene).map_err(|error| at(span, &error))?;
        Ok(Node::Const(owned(&value)))
    }

    fn symbol(&self, name: &str, span: &Span) -> Result<Node, Problem> {
        if let Some((_, number)) = ENUMS.iter().find(|(member, _)| *member == name) {
            return Ok(Node::Const(Value::Int(*number)));
        }
        if self.functions.find(name).is_some() {
            let problem = Problem::new(span.clone(), format!("`{name}` needs its arguments"));
            return Err(problem.hint(format!("write `{name}(…)`")));
        }
        let problem = Problem::new(span.clone(), format!("unknown name `{name}`"));
        Err(problem.nearest(name, ENUMS.iter().map(|(member, _)| *member)))
    }

    pub(super) fn path(&self, path: &ast::Path, span: &Span) -> Result<PathNode, Problem> {
        let (context, rest) = match named_context(path) {
            Some(context) => (context, path.names.get(1..).unwrap_or_default()),
            None if self.is_explicit => (self.context, path.names.as_slice()),
            None => return Err(self.without_context(path, span)),
        };
        let texts: Vec<&str> = rest.iter().map(|name| name.text.as_str()).collect();
        let name = texts.join(".");
        let names_span = path.names.first().map_or(0, |name| name.span.start)
            ..path.names.last().map_or(0, |name| name.span.end);
        if !self.context.reaches(context) {
            let (own, other) = (self.context.name(), context.name());
            let message = format!("`{other}` cannot be reached from `{own}`");
            return Err(Problem::new(names_span, message));
        }
        let spec = if name == "cache" && context != Context::Otelcol {
            &CACHE
        } else {
            find_path(context, &name).ok_or_else(|| {
                let message = format!("`{}` has no `{name}`", context.name());
                let known = PATHS.iter().filter(|path| path.context == context);
                let known = known.map(|path| path.name).chain(["cache"]);
                Problem::new(names_span, message).nearest(&name, known)
            })?
        };
        if let Some(key) = path.keys.first().filter(|_| !spec.takes_keys()) {
            let message = format!("`{name}` is {}, nothing can be looked up in it", spec.kind());
            return Err(Problem::new(key.span.clone(), message));
        }
        let keys: Result<Vec<Node>, Problem> = path.keys.iter().map(|key| self.key(key)).collect();
        Ok(PathNode { spec, keys: keys?.into() })
    }

    fn key(&self, key: &Expr) -> Result<Node, Problem> {
        match self.node(key)? {
            Node::Const(value) if !matches!(value, Value::Str(_) | Value::Int(_)) => {
                let message =
                    format!("a key is a string or a whole number, this is {}", value.kind());
                Err(Problem::new(key.span.clone(), message))
            }
            node => Ok(node),
        }
    }

    fn without_context(&self, path: &ast::Path, span: &Span) -> Problem {
        let name = path.dotted();
        let mut context = Some(self.context);
        while let Some(here) = context {
            if find_path(here, &name).is_some() {
                let message = format!("`{name}` must begin with what it is a part of");
                let hint = format!("write `{}.{name}`", here.name());
                return Problem::new(span.clone(), message).hint(hint);
            }
            context = here.above();
        }
        let first = path.names.first();
        let (word, span) = first.map_or(("", span.clone()), |name| (&name.text, name.span.clone()));
        let names = Context::ALL.map(Context::name);
        Problem::new(span, format!("a path cannot begin with `{word}`")).nearest(word, names)
    }

    fn function(&self, name: &ast::Name, is_editor: bool) -> Result<&'static Function, Problem> {
        if let Some(function) = self.functions.find(&name.text) {
            return Ok(function);
        }
        let missing = MISSING.iter().find(|(missing, _)| *missing == name.text);
        if let Some((_, instead)) = missing {
            let message = format!("`{}` is not supported", name.text);
            return Err(Problem::new(name.span.clone(), message).hint(*instead));
        }
        let kind = if is_editor { "editor" } else { "converter" };
        let is_kind = |function: &&Function| {
            matches!(function.body, Body::Edit(_) | Body::Make(_)) == is_editor
        };
        let known = self.functions.iter().filter(is_kind).map(|function| function.name);
        let problem = Problem::new(name.span.clone(), format!("unknown {kind} `{}`", name.text));
        Err(problem.nearest(&name.text, known))
    }

    fn call(&self, call: &ast::Call) -> Result<Node, Problem> {
        let function = self.function(&call.name, false)?;
        let arguments = self.arguments(function, call)?;
        let (Body::Pure(body) | Body::Impure(body)) = function.body else {
            let message = format!("`{}` is an editor and has no value", function.name);
            return Err(Problem::new(call.name.span.clone(), message));
        };
        let mut node = Node::Call(Call { body, arguments });
        if matches!(function.body, Body::Pure(_)) {
            node = self.folded(node, &call.span)?;
        }
        if call.keys.is_empty() {
            return Ok(node);
        }
        let keys: Result<Vec<_>, _> = call.keys.iter().map(|key| self.key(key)).collect();
        self.folded(Node::Keyed(Box::new(node), keys?), &call.span)
    }

    fn arguments(
        &self,
        function: &'static Function,
        call: &ast::Call,
    ) -> Result<Box<[Argument]>, Problem> {
        let mut given: Vec<Option<&Expr>> = vec![None; function.params.len()];
        for (position, argument) in call.arguments.iter().enumerate() {
            let index = match &argument.name {
                None => position,
                Some(name) => {
                    let known = function.params.iter().map(|param| param.name);
                    known.clone().position(|param| param == name.text).ok_or_else(|| {
                        let message = format!("`{}` has no `{}`", function.name, name.text);
                        Problem::new(name.span.clone(), message).nearest(&name.text, known)
                    })?
                }
            };
            let Some(place) = given.get_mut(index) else {
                let span = argument.value.span.clone();
                let message = format!("`{}` takes {}", function.name, signature(function));
                return Err(Problem::new(span, message));
            };
            if place.is_some() {
                let message = "this argument is given twice";
                return Err(Problem::new(argument.value.span.clone(), message));
            }
            *place = Some(&argument.value);
        }
        let arguments = function.params.iter().zip(given).map(|(param, given)| match given {
            Some(expr) => self.argument(function, param, expr),
            None if param.is_optional => {
                let node = Node::Const(Value::Nil);
                Ok(Argument { node, kind: param.kind, prepared: None })
            }
            None => {
                let message = format!("`{}` needs `{}`", function.name, param.name);
                let hint = format!("it takes {}", signature(function));
                Err(Problem::new(call.span.clone(), message).hint(hint))
            }
        });
        arguments.collect()
    }

    fn argument(
        &self,
        function: &Function,
        param: &Param,
        expr: &Expr,
    ) -> Result<Argument, Problem> {
        let kind = param.kind;
        let node = match (kind, &expr.kind) {
            (Kind::Function, _) => self.function_name(expr)?,
            (Kind::Target, ExprKind::Path(path)) => {
                let path = self.path(path, &expr.span)?;
                if !path.spec.is_writable() {
                    let message = format!("`{}` cannot be written", path.spec.name);
                    return Err(Problem::new(expr.span.clone(), message));
                }
                Node::Path(path)
            }
            (Kind::Target, _) => {
                let message = format!("`{}` changes a path, this is a value", function.name);
                return Err(Problem::new(expr.span.clone(), message));
            }
            _ => self.node(expr)?,
        };
        let mut prepared = None;
        if let Node::Const(value) = &node
            && !(param.is_optional && matches!(value, Value::Nil))
        {
            let wrong = |error: &EvalError| {
                let message = format!("`{}` of `{}`: {error}", param.name, function.name);
                Problem::new(expr.span.clone(), message)
            };
            let coerced = coerce(kind, value.borrowed()).map_err(|error| wrong(&error))?;
            if let Value::Str(text) = &coerced {
                prepared = prepare(kind, text)
                    .transpose()
                    .map_err(|reason| wrong(&EvalError::new(reason)))?;
                check_word(kind, text, param, &expr.span)?;
            }
        }
        Ok(Argument { node, kind, prepared })
    }

    /// The converter that an argument names.
    fn function_name(&self, expr: &Expr) -> Result<Node, Problem> {
        let name = match &expr.kind {
            ExprKind::Symbol(name) => name,
            // `Concat` is read as a converter without its parentheses only where capitals end.
            _ => return Err(Problem::new(expr.span.clone(), "expected the name of a converter")),
        };
        let name = ast::Name { text: name.clone(), span: expr.span.clone() };
        self.function(&name, false).map(Node::Function)
    }
}

fn check_word(kind: Kind, text: &str, param: &Param, span: &Span) -> Result<(), Problem> {
    let Kind::Word(words) = kind else { return Ok(()) };
    if words.contains(&text) {
        return Ok(());
    }
    let problem = Problem::new(span.clone(), format!("unknown `{}` `{text}`", param.name));
    Err(problem.nearest(text, words.iter().copied()))
}

/// The parameters of a function, those that can be left out in brackets.
pub(super) fn signature(function: &Function) -> String {
    if function.params.is_empty() {
        return "no arguments".to_owned();
    }
    let param = |param: &Param| match param.is_optional {
        true => format!("[{}]", param.name),
        false => param.name.to_owned(),
    };
    format!("({})", function.params.iter().map(param).collect::<Vec<_>>().join(", "))
}

fn at(span: &Span, error: &EvalError) -> Problem {
    Problem::new(span.clone(), error.to_string())
}

fn constant(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Nil => Value::Nil,
        Literal::Bool(flag) => Value::Bool(*flag),
        Literal::Int(number) => Value::Int(*number),
        Literal::Double(number) => Value::Double(*number),
        Literal::Str(text) => Value::from(text.clone()),
        Literal::Bytes(bytes) => Value::Bytes(bytes.clone().into()),
    }
}

/// The same value, borrowed from nobody.
pub(super) fn owned(value: &Value<'_>) -> Value<'static> {
    use super::value::{List, Map};
    match value {
        Value::Nil | Value::Messages(_) => Value::Nil,
        Value::Bool(flag) => Value::Bool(*flag),
        Value::Int(number) => Value::Int(*number),
        Value::Double(number) => Value::Double(*number),
        Value::Str(text) => Value::from(text.to_string()),
        Value::Bytes(bytes) => Value::Bytes(bytes.to_vec().into()),
        Value::TraceId(id) => Value::TraceId(*id),
        Value::SpanId(id) => Value::SpanId(*id),
        Value::Time(time) => Value::Time(*time),
        Value::Duration(nanos) => Value::Duration(*nanos),
        Value::List(list) => {
            Value::List(List::Owned(list.iter().map(|value| owned(&value)).collect()))
        }
        Value::Map(map) => {
            let pair = |(key, value): (&str, Value<'_>)| (key.to_owned().into(), owned(&value));
            Value::Map(Map::Owned(map.iter().map(pair).collect()))
        }
    }
}
