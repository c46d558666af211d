//! Nodes into types: everything that is wrong with a component is found in one go.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
};

use serde::de::DeserializeOwned;

use super::{
    Diagnostic, Node, Place, Value,
    de::{NodeDeserializer, Path, Position},
    read_error::{Kind, ReadError},
};

/// How many wrong values of one component are listed.
const MAX_PROBLEMS: usize = 100;

/// A value that was read, and what was noticed meanwhile.
#[derive(Clone, Debug)]
pub struct Read<T> {
    /// The value.
    pub value: T,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Where secrets stand, for [`Document::mark_secrets`](super::Document::mark_secrets).
    pub secrets: Vec<Place>,
}

impl<T> Read<T> {
    /// Makes something of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Read<U> {
        Read { value: make(self.value), warnings: self.warnings, secrets: self.secrets }
    }
}

/// Reads a node as `T`; `path` names it in messages, such as `receivers::otlp`. See [`read`].
///
/// # Errors
///
/// Fails with everything that is wrong, see [`read`].
pub fn from_node<T: DeserializeOwned>(node: &Node, path: &str) -> Result<T, Vec<Diagnostic>> {
    read(node, path).map(|read| read.value)
}

/// Reads a node as `T`, with warnings and the places of secrets.
///
/// - A null of a struct field counts as not written, so the default applies; a null that is to be a
///   struct, list or map is an empty one. [`Optional`](super::Optional) is switched on by null.
/// - A target that is a string gets the original text of numbers, booleans and inserted values. Text is
///   no number and no boolean: `"8080"` with quotes is refused where a port is expected.
/// - A whole number that is written as `1e3` or `2.0` is one. A string for a list is split at commas.
/// - Keys that the struct does not have are errors, even without `deny_unknown_fields`.
/// - The message of a `try_from` that starts with a key in backticks is shown at that key.
///
/// # Errors
///
/// Fails with everything that is wrong: unknown keys and all wrong values, each with its place. A wrong
/// value is left out and the rest is read again, so rules across fields are only reported about values that
/// are right.
pub fn read<T: DeserializeOwned>(node: &Node, path: &str) -> Result<Read<T>, Vec<Diagnostic>> {
    let notes = RefCell::new(Notes::default());
    let mut value = None;
    for _ in 0..MAX_PROBLEMS * 100 {
        let deserializer = NodeDeserializer {
            node,
            notes: &notes,
            path: Path::Root(path),
            position: Position::Root,
            ignores_enabled: false,
        };
        match T::deserialize(deserializer) {
            Ok(read) => {
                value = Some(read);
                break;
            }
            Err(error) => {
                let error = error.at(node, &Path::Root(path));
                if notes.borrow_mut().note(error, node) == Next::Stop {
                    break;
                }
            }
        }
    }
    let Notes { problems, mut secrets, .. } = notes.into_inner();
    secrets.sort();
    secrets.dedup();
    match value {
        Some(value) if !problems.iter().any(Diagnostic::is_error) => {
            Ok(Read { value, warnings: problems, secrets })
        }
        _ => Err(problems),
    }
}

/// Which node, for as long as the tree is borrowed.
pub(super) type NodeId = *const Node;

/// What was noticed while reading, kept over all attempts.
#[derive(Default)]
pub(super) struct Notes {
    problems: Vec<Diagnostic>,
    secrets: Vec<Place>,
    left_out: HashMap<NodeId, LeftOut>,
    reported: HashSet<NodeId>,
}

/// Why a node is not read again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LeftOut {
    /// It is null: not written.
    Null,
    /// It, or something in it, is wrong and was reported.
    Wrong,
}

#[derive(PartialEq, Eq)]
enum Next {
    Again,
    Stop,
}

impl Notes {
    /// Whether and why the node is left out.
    pub(super) fn left_out(&self, node: &Node) -> Option<LeftOut> {
        self.left_out.get(&std::ptr::from_ref(node)).copied()
    }

    /// Reports something about a node, unless an earlier attempt has.
    pub(super) fn report_once(&mut self, node: &Node, problem: impl FnOnce() -> Diagnostic) {
        if self.reported.insert(std::ptr::from_ref(node)) && self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem());
        }
    }

    /// Notes that the value at `place` is a secret.
    pub(super) fn mark_secret(&mut self, place: &Place) {
        self.secrets.push(place.clone());
    }

    /// Notes an error; the node where it arose is left out from now on.
    fn note(&mut self, error: ReadError, root: &Node) -> Next {
        let Some((at, _)) = &error.at else { return Next::Stop };
        let Some(node) = find(root, *at) else {
            // What has no node of the tree was made of the root's.
            self.problems.extend(error.into_diagnostics(root));
            return Next::Stop;
        };
        let is_null = matches!(error.kind, Kind::Null);
        if !is_null && !self.follows_from_another(&error.kind, node) {
            self.problems.extend(error.into_diagnostics(node));
        }
        let why = if is_null { LeftOut::Null } else { LeftOut::Wrong };
        let is_new = self.left_out.insert(std::ptr::from_ref(node), why) != Some(why);
        let is_root = std::ptr::eq(node, root);
        if is_root || !is_new || self.problems.len() >= MAX_PROBLEMS {
            return Next::Stop;
        }
        Next::Again
    }

    /// Whether the error only arose because something wrong was left out.
    fn follows_from_another(&self, kind: &Kind, node: &Node) -> bool {
        if let Kind::Missing(field) = kind {
            return node
                .get(field)
                .is_some_and(|field| self.left_out(field) == Some(LeftOut::Wrong));
        }
        self.has_wrong(node)
    }

    fn has_wrong(&self, node: &Node) -> bool {
        let is_wrong =
            |node: &Node| self.left_out(node) == Some(LeftOut::Wrong) || self.has_wrong(node);
        match node.value() {
            Value::List(nodes) => nodes.iter().any(is_wrong),
            Value::Map(map) => map.entries().iter().any(|entry| is_wrong(&entry.node)),
            _ => false,
        }
    }
}

/// The node of the tree with this identity.
fn find(node: &Node, wanted: NodeId) -> Option<&Node> {
    if std::ptr::eq(node, wanted) {
        return Some(node);
    }
    match node.value() {
        Value::List(nodes) => nodes.iter().find_map(|node| find(node, wanted)),
        Value::Map(map) => map.entries().iter().find_map(|entry| find(&entry.node, wanted)),
        _ => None,
    }
}
