//! What an XPath selects in a document.

use super::document::{Document, Kind, local};
use super::xpath::{Axis, Comparison, Expression, LocationPath, Step, Test, XPath};

/// A node or an attribute of it, ordered as in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    Node(usize),
    Attribute(usize, usize),
}

/// The value of an expression.
enum Value {
    Nodes(Vec<Found>),
    Text(String),
    Number(f64),
    Bool(bool),
}

/// What stands where a predicate is asked.
#[derive(Clone, Copy)]
struct Place {
    node: Found,
    position: usize,
    size: usize,
}

/// The nodes that a path selects, in the order of the document.
pub(super) fn select(document: &Document, path: &XPath) -> Vec<Found> {
    union(document, &path.paths, Found::Node(0))
}

fn union(document: &Document, paths: &[LocationPath], from: Found) -> Vec<Found> {
    let mut found: Vec<Found> =
        paths.iter().flat_map(|path| follow(document, path, from)).collect();
    found.sort_by_key(|found| match found {
        Found::Node(index) => (*index, 0),
        Found::Attribute(index, at) => (*index, at + 1),
    });
    found.dedup();
    found
}

fn follow(document: &Document, path: &LocationPath, from: Found) -> Vec<Found> {
    let mut nodes = vec![if path.is_absolute { Found::Node(0) } else { from }];
    for step in &path.steps {
        let mut next: Vec<Found> =
            nodes.iter().flat_map(|node| take_step(document, step, *node)).collect();
        next.sort_unstable();
        next.dedup();
        nodes = next;
    }
    nodes
}

fn take_step(document: &Document, step: &Step, from: Found) -> Vec<Found> {
    let mut nodes = along(document, step.axis, from);
    nodes.retain(|node| passes(document, step, *node));
    for predicate in &step.predicates {
        let size = nodes.len();
        let mut position = 0;
        nodes.retain(|node| {
            position += 1;
            let place = Place { node: *node, position, size };
            match evaluate(document, predicate, place) {
                #[expect(clippy::cast_precision_loss, reason = "no document has 2^52 nodes")]
                Value::Number(number) => (number - position as f64).abs() < 0.5,
                value => is_true(&value),
            }
        });
    }
    nodes
}

fn along(document: &Document, axis: Axis, from: Found) -> Vec<Found> {
    let index = match (from, axis) {
        (Found::Attribute(parent, _), Axis::Parent) => return vec![Found::Node(parent)],
        (Found::Attribute(..), Axis::Own | Axis::DescendantOrSelf) => return vec![from],
        (Found::Attribute(..), _) => return Vec::new(),
        (Found::Node(index), _) => index,
    };
    let parent = document.node(index).map_or(0, |node| node.parent);
    let siblings = if index == 0 { &[][..] } else { document.children(parent) };
    match axis {
        Axis::Child => document.children(index).iter().copied().map(Found::Node).collect(),
        Axis::Own => vec![from],
        Axis::Parent if index == 0 => Vec::new(),
        Axis::Parent => vec![Found::Node(parent)],
        Axis::Descendant | Axis::DescendantOrSelf => {
            let mut nodes = Vec::new();
            if axis == Axis::DescendantOrSelf {
                nodes.push(from);
            }
            push_descendants(document, index, &mut nodes);
            nodes
        }
        Axis::Ancestor => {
            let up = |index: &usize| (*index != 0).then(|| document.node(*index)).flatten();
            let ancestors = std::iter::successors(Some(index), |index| up(index).map(|n| n.parent));
            ancestors.skip(1).map(Found::Node).collect()
        }
        Axis::Attribute => {
            let count = document.node(index).map_or(0, |node| node.attributes.len());
            (0..count).map(|at| Found::Attribute(index, at)).collect()
        }
        Axis::FollowingSibling => siblings
            .iter()
            .skip_while(|other| **other != index)
            .skip(1)
            .copied()
            .map(Found::Node)
            .collect(),
        Axis::PrecedingSibling => {
            let before = siblings.iter().take_while(|other| **other != index);
            before.collect::<Vec<_>>().into_iter().rev().copied().map(Found::Node).collect()
        }
    }
}

fn push_descendants(document: &Document, index: usize, nodes: &mut Vec<Found>) {
    for child in document.children(index) {
        nodes.push(Found::Node(*child));
        push_descendants(document, *child, nodes);
    }
}

fn passes(document: &Document, step: &Step, found: Found) -> bool {
    let name = match found {
        Found::Attribute(index, at) => {
            let attribute = document.node(index).and_then(|node| node.attributes.get(at));
            attribute.map(|(name, _)| &**name)
        }
        Found::Node(index) => document.element(index),
    };
    let kind = match found {
        Found::Node(index) => document.node(index).map(|node| &node.kind),
        Found::Attribute(..) => None,
    };
    match &step.test {
        Test::Name(wanted) => name == Some(wanted),
        Test::Any => name.is_some(),
        Test::Text => matches!(kind, Some(Kind::Text(_) | Kind::Cdata(_))),
        Test::Comment => matches!(kind, Some(Kind::Comment(_))),
        Test::Node => !matches!(kind, Some(Kind::Other(_))),
    }
}

/// The text of a node or attribute.
pub(super) fn text_of(document: &Document, found: Found) -> String {
    match found {
        Found::Node(index) => document.content(index),
        Found::Attribute(index, at) => {
            let attribute = document.node(index).and_then(|node| node.attributes.get(at));
            attribute.map(|(_, value)| value.clone()).unwrap_or_default()
        }
    }
}

fn evaluate(document: &Document, expression: &Expression, place: Place) -> Value {
    let eval = |expression: &Expression| evaluate(document, expression, place);
    match expression {
        Expression::Paths(paths) => Value::Nodes(union(document, paths, place.node)),
        Expression::Text(text) => Value::Text(text.clone()),
        Expression::Number(number) => Value::Number(*number),
        Expression::Or(left, right) => Value::Bool(is_true(&eval(left)) || is_true(&eval(right))),
        Expression::And(left, right) => Value::Bool(is_true(&eval(left)) && is_true(&eval(right))),
        Expression::Compare(left, comparison, right) => {
            Value::Bool(compare(document, &eval(left), *comparison, &eval(right)))
        }
        Expression::Call(name, arguments) => {
            let values: Vec<Value> = arguments.iter().map(eval).collect();
            call(document, name, &values, place)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no document has 2^52 nodes")]
fn call(document: &Document, name: &str, values: &[Value], place: Place) -> Value {
    let text = |index: usize| match values.get(index) {
        Some(value) => as_text(document, value),
        None => text_of(document, place.node),
    };
    match name {
        "contains" => Value::Bool(text(0).contains(&text(1))),
        "starts-with" => Value::Bool(text(0).starts_with(&text(1))),
        "ends-with" => Value::Bool(text(0).ends_with(&text(1))),
        "not" => Value::Bool(!values.first().is_some_and(is_true)),
        "true" => Value::Bool(true),
        "last" => Value::Number(place.size as f64),
        "position" => Value::Number(place.position as f64),
        "count" => match values.first() {
            Some(Value::Nodes(nodes)) => Value::Number(nodes.len() as f64),
            _ => Value::Number(0.0),
        },
        "string" => Value::Text(text(0)),
        "string-length" => Value::Number(text(0).chars().count() as f64),
        "normalize-space" => Value::Text(text(0).split_whitespace().collect::<Vec<_>>().join(" ")),
        "name" | "local-name" => {
            let node = match values.first() {
                Some(Value::Nodes(nodes)) => nodes.first().copied(),
                _ => Some(place.node),
            };
            let full = node.and_then(|node| match node {
                Found::Node(index) => document.element(index),
                Found::Attribute(index, at) => {
                    document.node(index)?.attributes.get(at).map(|(name, _)| &**name)
                }
            });
            let full = full.unwrap_or_default();
            Value::Text(if name == "name" { full } else { local(full) }.to_owned())
        }
        _ => Value::Bool(false),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Nodes(nodes) => !nodes.is_empty(),
        Value::Text(text) => !text.is_empty(),
        Value::Number(number) => !number.is_nan() && *number != 0.0,
        Value::Bool(flag) => *flag,
    }
}

fn as_text(document: &Document, value: &Value) -> String {
    match value {
        Value::Nodes(nodes) => nodes.first().map(|n| text_of(document, *n)).unwrap_or_default(),
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
    }
}

fn as_number(document: &Document, value: &Value) -> f64 {
    match value {
        Value::Number(number) => *number,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        other => as_text(document, other).trim().parse().unwrap_or(f64::NAN),
    }
}

/// Of nodes, it is enough that one compares so.
fn compare(document: &Document, left: &Value, comparison: Comparison, right: &Value) -> bool {
    let texts = |nodes: &[Found]| -> Vec<Value> {
        nodes.iter().map(|node| Value::Text(text_of(document, *node))).collect()
    };
    match (left, right) {
        (Value::Nodes(nodes), other) if !matches!(other, Value::Bool(_)) => {
            texts(nodes).iter().any(|text| compare(document, text, comparison, other))
        }
        (other, Value::Nodes(nodes)) if !matches!(other, Value::Bool(_)) => {
            texts(nodes).iter().any(|text| compare(document, other, comparison, text))
        }
        _ => compare_single(document, left, comparison, right),
    }
}

#[expect(clippy::float_cmp, reason = "XPath compares numbers exactly")]
fn compare_single(
    document: &Document,
    left: &Value,
    comparison: Comparison,
    right: &Value,
) -> bool {
    let is_text = |value: &Value| matches!(value, Value::Text(_));
    let is_bool = |value: &Value| matches!(value, Value::Bool(_));
    let numbers = (as_number(document, left), as_number(document, right));
    let are_equal = if is_bool(left) || is_bool(right) {
        is_true(left) == is_true(right)
    } else if is_text(left) && is_text(right) {
        as_text(document, left) == as_text(document, right)
    } else {
        numbers.0 == numbers.1
    };
    match comparison {
        Comparison::Equal => are_equal,
        Comparison::NotEqual => !are_equal,
        Comparison::Less => numbers.0 < numbers.1,
        Comparison::LessOrEqual => numbers.0 <= numbers.1,
        Comparison::Greater => numbers.0 > numbers.1,
        Comparison::GreaterOrEqual => numbers.0 >= numbers.1,
    }
}
