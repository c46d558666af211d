//! YAML text into a tree of nodes, with the place of every key and value.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Diagnostic, Entry, Map, Node, Place, SourceText, Value, scalar};

/// The deepest nesting of lists and maps.
pub(super) const MAX_DEPTH: usize = 100;
/// The most values in a document, anchors and aliases counted as what they stand for.
const MAX_NODES: usize = 200_000;
/// How many keys that are there twice are listed.
const MAX_PROBLEMS: usize = 100;

/// Reads one document; an empty text is null.
///
/// # Errors
///
/// Fails when `source` is not YAML, has a second document, the same key twice in a map, keys that are
/// not scalars, tags outside the core schema, or is nested too deeply.
pub(super) fn parse(source: &Arc<SourceText>) -> Result<Node, Vec<Diagnostic>> {
    let mut tree = Tree::new(source);
    let mut parser = Parser::new_from_str(source.text());
    loop {
        let (event, span) = match next(&mut parser) {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(error) => {
                tree.problems.push(syntax_error(source, error.marker(), error.info()));
                break;
            }
        };
        if let Err(problem) = tree.take(event, span) {
            tree.problems.push(*problem);
            break;
        }
    }
    if !tree.problems.is_empty() {
        return Err(tree.problems);
    }
    Ok(tree.root.unwrap_or_else(|| Node::new(Value::Null, Place::start(Arc::clone(source)))))
}

/// A problem of the scanner, with what it usually comes from.
fn syntax_error(source: &Arc<SourceText>, mark: &Marker, info: &str) -> Diagnostic {
    const CAUSES: [(&str, &str); 5] = [
        ("tabs", "indent with spaces"),
        ("quoted scalar", "is the closing quote missing?"),
        ("mapping values", "is a space missing after a `:`, or quotes around a value with `: `?"),
        ("expected key", "is it indented like the keys around it?"),
        ("flow sequence", "is a closing `]` missing?"),
    ];
    // The end of the text may be behind its last line.
    let last = source.text().lines().count().max(1);
    let (line, column) = if mark.line() > last {
        (last, source.line(last).map_or(0, |line| line.chars().count()))
    } else {
        (mark.line(), mark.col())
    };
    let place = Place::new(Arc::clone(source), line, column + 1, 1);
    let cause = CAUSES.iter().find(|(part, _)| info.contains(part)).map(|(_, hint)| *hint);
    let in_list = "is a closing `]` or `}` missing before?";
    let cause = cause.or_else(|| info.contains("':' indicator").then_some(in_list));
    let problem = Diagnostic::error(format!("this is not valid YAML: {info}")).at(&place);
    problem.maybe_hint(cause.map(str::to_owned))
}

type Spanned<'a> = (Event<'a>, Span);

fn next<'a>(
    parser: &mut Parser<'a, StrInput<'a>>,
) -> Result<Option<Spanned<'a>>, saphyr_parser::ScanError> {
    parser.next_event().transpose()
}

/// The tree while it grows.
struct Tree<'a> {
    source: &'a Arc<SourceText>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    num_nodes: usize,
    num_documents: usize,
    root: Option<Node>,
    problems: Vec<Diagnostic>,
}

/// A list or map that is not finished.
struct Open {
    place: Place,
    anchor: usize,
    nodes_before: usize,
    deepest: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashSet<String>, merges: Vec<Node>, key: Option<Key> },
}

/// A key whose value has not come.
struct Key {
    text: String,
    place: Place,
    is_merge: bool,
}

/// What an anchor stands for, how many values it has and how deep it is.
struct Anchored {
    node: Node,
    num_nodes: usize,
    depth: usize,
}

/// Boxed: the caller's good case stays small.
type Problem = Box<Diagnostic>;

impl<'a> Tree<'a> {
    fn new(source: &'a Arc<SourceText>) -> Self {
        Self {
            source,
            open: Vec::new(),
            anchors: HashMap::new(),
            num_nodes: 0,
            num_documents: 0,
            root: None,
            problems: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let place = self.place(span);
        match event {
            Event::DocumentStart(_) => {
                self.num_documents += 1;
                if self.num_documents > 1 {
                    let message = "a file must hold one YAML document, here a second one starts";
                    return Err(Box::new(Diagnostic::error(message).at(&place)));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                return self.take_scalar(&text, (style, tag.as_deref()), anchor, place);
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq", &place)?;
                self.start(Items::List(Vec::new()), anchor, place)?;
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map", &place)?;
                let (entries, merges) = (Vec::new(), Vec::new());
                let items = Items::Map { entries, seen: HashSet::new(), merges, key: None };
                self.start(items, anchor, place)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.finish()?,
            Event::Alias(anchor) => self.take_alias(anchor, &place)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn take_scalar(
        &mut self,
        text: &str,
        (style, tag): (ScalarStyle, Option<&Tag>),
        anchor: usize,
        place: Place,
    ) -> Result<(), Problem> {
        self.count(1, &place)?;
        let value = match tag {
            Some(tag) => tagged(text, tag, &place)?,
            None if style == ScalarStyle::Plain => scalar::resolve(text),
            None => Value::String(text.to_owned()),
        };
        let is_plain = style == ScalarStyle::Plain && tag.is_none();
        let text = (!matches!(value, Value::Null)).then(|| Arc::from(text));
        let node = Node::new(value, place).with_text(text);
        self.keep_anchor(anchor, &node, 1, 0)?;
        self.add(node, is_plain)
    }

    fn take_alias(&mut self, anchor: usize, place: &Place) -> Result<(), Problem> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            let message = "this alias stands inside of what it stands for";
            return Err(Box::new(Diagnostic::error(message).at(place)));
        };
        let (node, num_nodes, depth) = (anchored.node.clone(), anchored.num_nodes, anchored.depth);
        self.count(num_nodes, place)?;
        self.check_depth(depth, place)?;
        if let Some(open) = self.open.last_mut() {
            open.deepest = open.deepest.max(depth);
        }
        self.add(node, false)
    }

    fn start(&mut self, items: Items, anchor: usize, place: Place) -> Result<(), Problem> {
        self.check_depth(1, &place)?;
        if let Some(Open { items: Items::Map { key: None, .. }, .. }) = self.open.last() {
            let message = "a key must be a scalar, not a list or a map";
            let problem = Diagnostic::error(message).at(&place);
            let hint = "put quotes around a value that starts with `{` or `[`";
            return Err(Box::new(problem.hint(hint)));
        }
        let nodes_before = self.num_nodes;
        self.count(1, &place)?;
        self.open.push(Open { place, anchor, nodes_before, deepest: 0, items });
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.items {
            Items::List(nodes) => Value::List(nodes),
            Items::Map { mut entries, mut seen, merges, .. } => {
                for merge in merges {
                    self.num_nodes += merge_into(&mut entries, &mut seen, merge)?;
                }
                self.count(0, &open.place)?;
                Value::Map(Map::new(entries))
            }
        };
        let node = Node::new(value, open.place);
        let depth = open.deepest + 1;
        self.keep_anchor(open.anchor, &node, self.num_nodes - open.nodes_before, depth)?;
        if let Some(parent) = self.open.last_mut() {
            parent.deepest = parent.deepest.max(depth);
        }
        self.add(node, false)
    }

    /// Puts a finished node where it belongs: a key, a value, an element, the root.
    fn add(&mut self, node: Node, is_plain: bool) -> Result<(), Problem> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        let (entries, seen, merges, key) = match &mut open.items {
            Items::List(nodes) => {
                nodes.push(node);
                return Ok(());
            }
            Items::Map { entries, seen, merges, key } => (entries, seen, merges, key),
        };
        let Some(Key { text, place, is_merge }) = key.take() else {
            *key = Some(key_of(&node, is_plain)?);
            return Ok(());
        };
        if is_merge {
            merges.push(node);
            return Ok(());
        }
        if !seen.insert(text.clone()) {
            let first = entries.iter().find(|entry| entry.key == text);
            let mut problem =
                Diagnostic::error(format!("the key `{text}` is here twice")).at(&place);
            if let Some(first) = first {
                problem = problem.see(&first.place, "first here");
            }
            if self.problems.len() == MAX_PROBLEMS {
                return Err(Box::new(problem));
            }
            self.problems.push(problem);
            return Ok(());
        }
        entries.push(Entry::new(text, place, node));
        Ok(())
    }

    fn keep_anchor(
        &mut self,
        anchor: usize,
        node: &Node,
        num_nodes: usize,
        depth: usize,
    ) -> Result<(), Problem> {
        if anchor > 0 {
            self.count(num_nodes, node.place())?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), num_nodes, depth });
        }
        Ok(())
    }

    fn count(&mut self, more: usize, place: &Place) -> Result<(), Problem> {
        self.num_nodes = self.num_nodes.saturating_add(more);
        if self.num_nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("more than {MAX_NODES} values in one file");
        Err(Box::new(Diagnostic::error(message).at(place)))
    }

    fn check_depth(&self, more: usize, place: &Place) -> Result<(), Problem> {
        if self.open.len() + more <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("lists and maps are nested more than {MAX_DEPTH} deep");
        Err(Box::new(Diagnostic::error(message).at(place)))
    }

    fn place(&self, span: Span) -> Place {
        let (start, end) = (span.start, span.end);
        let same_line = start.line() == end.line() && end.col() > start.col();
        let width = if same_line { end.col() - start.col() } else { 1 };
        Place::new(Arc::clone(self.source), start.line().max(1), start.col() + 1, width)
    }
}

fn key_of(node: &Node, is_plain: bool) -> Result<Key, Problem> {
    let place = node.place().clone();
    let Some(text) = node.text().filter(|text| !text.is_empty()) else {
        return Err(Box::new(Diagnostic::error("a key is missing here").at(&place)));
    };
    Ok(Key { is_merge: is_plain && text == "<<", text: text.to_owned(), place })
}

/// Adds what `<<` names, but for keys that are there; returns how many values came in.
fn merge_into(
    entries: &mut Vec<Entry>,
    seen: &mut HashSet<String>,
    merge: Node,
) -> Result<usize, Problem> {
    let place = merge.place().clone();
    let mut added = 0;
    let maps = match merge.value() {
        Value::List(nodes) => nodes.clone(),
        _ => vec![merge],
    };
    for node in maps {
        let Some(map) = node.as_map() else {
            let message = "`<<` takes a map or a list of maps";
            return Err(Box::new(Diagnostic::error(message).at(&place)));
        };
        for entry in map.entries() {
            if seen.insert(entry.key.clone()) {
                added += 1;
                entries.push(entry.clone());
            }
        }
    }
    Ok(added)
}

fn check_tag(tag: Option<&Tag>, expected: &str, place: &Place) -> Result<(), Problem> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => {
            Err(unknown_tag(tag, place))
        }
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, place: &Place) -> Problem {
    Box::new(Diagnostic::error(format!("the tag `{tag}` is not supported here")).at(place))
}

/// The value of a scalar that has a tag, such as `!!str 123`.
fn tagged(text: &str, tag: &Tag, place: &Place) -> Result<Value, Problem> {
    if !tag.is_yaml_core_schema() {
        return Err(unknown_tag(tag, place));
    }
    let plain = scalar::resolve(text);
    match (tag.suffix.as_str(), plain) {
        ("str", _) => Ok(Value::String(text.to_owned())),
        ("int", value @ Value::Int(_))
        | ("float", value @ Value::Float(_))
        | ("bool", value @ Value::Bool(_))
        | ("null", value @ Value::Null) => Ok(value),
        ("float", Value::Int(_)) => scalar::float(text).ok_or_else(|| unknown_tag(tag, place)),
        _ => Err(unknown_tag(tag, place)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Node, String> {
        Node::parse("a.yaml", text)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<String>())
    }

    fn shown(node: &Node) -> String {
        match node.value() {
            Value::List(nodes) => {
                format!("[{}]", nodes.iter().map(shown).collect::<Vec<_>>().join(", "))
            }
            Value::Map(map) => {
                let entries = map.entries().iter();
                let entries = entries.map(|entry| format!("{}: {}", entry.key, shown(&entry.node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
            value => format!("{value:?}"),
        }
    }

    #[test]
    fn places_are_those_of_the_file() {
        let node = parsed("a:\n  b: [1, 'two']\n").unwrap();
        let list = node.get("a").unwrap().get("b").unwrap().as_list().unwrap();
        assert_eq!(list[1].place().to_string(), "a.yaml:2:10");
        assert_eq!(list[1].place().width(), 5);
        let entry = &node.get("a").unwrap().as_map().unwrap().entries()[0];
        assert_eq!(entry.place.to_string(), "a.yaml:2:3");
        assert_eq!(parsed("").unwrap().place().to_string(), "a.yaml:1:1");
        assert!(parsed("# nothing\n").unwrap().is_null());
    }

    #[test]
    fn order_and_text_are_kept() {
        let node = parsed("{z: 0123, a: '5', m: }").unwrap();
        assert_eq!(shown(&node), r#"{z: Int(83), a: String("5"), m: Null}"#);
        assert_eq!(node.get("z").unwrap().text(), Some("0123"));
    }

    #[test]
    fn anchors_aliases_and_merge_keys_are_followed() {
        let text = "base: &b {x: 1, y: 2}\none: {<<: *b, x: 3}\ntwo: {<<: [{z: 4}, *b]}\n";
        let node = parsed(text).unwrap();
        assert_eq!(shown(node.get("one").unwrap()), "{x: Int(3), y: Int(2)}");
        assert_eq!(shown(node.get("two").unwrap()), "{z: Int(4), x: Int(1), y: Int(2)}");
        assert_eq!(shown(&parsed("'<<': 1").unwrap()), "{<<: Int(1)}");
        assert!(parsed("<<: 1").unwrap_err().contains("takes a map or a list of maps"));
        assert!(parsed("a: &a [*a]").unwrap_err().contains("inside of what it stands for"));
    }

    #[test]
    fn tags_of_the_core_schema_are_known() {
        let node = parsed("[!!str 1, !!float 1, !!int 1]").unwrap();
        assert_eq!(shown(&node), r#"[String("1"), Float(1.0), Int(1)]"#);
        assert!(parsed("!!int x").unwrap_err().contains("is not supported here"));
        assert!(parsed("!mine x").unwrap_err().contains("`!mine` is not supported here"));
    }

    #[test]
    fn a_key_twice_is_an_error() {
        insta::assert_snapshot!(parsed("a: 1\nb: 2\na: 3\n").unwrap_err(), @r"
        error: a.yaml:3:1: the key `a` is here twice
           |
         3 | a: 3
           | ^
           ::: a.yaml:1:1: first here
           |
         1 | a: 1
           | ^
        ");
    }

    #[test]
    fn what_is_not_one_document_of_plain_maps_is_refused() {
        assert!(parsed("a: 1\n---\nb: 2\n").unwrap_err().contains("a second one starts"));
        assert!(parsed("? [a]\n: 1\n").unwrap_err().contains("a key must be a scalar"));
        assert!(parsed("a: [1\n").unwrap_err().contains("not valid YAML"));
        assert!(parsed(": 1\n").unwrap_err().contains("a key is missing"));
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        assert!(parsed(&deep).unwrap_err().contains("nested more than 100 deep"));
        assert!(parsed(&format!("{}{}", "[".repeat(100), "]".repeat(100))).is_ok());
    }

    #[test]
    fn aliases_of_aliases_cannot_fill_the_memory() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..30 {
            let one = format!("*a{}", i - 1);
            text += &format!("a{i}: &a{i} [{}]\n", [one.as_str(); 9].join(", "));
        }
        assert!(parsed(&text).unwrap_err().contains("more than 200000 values"));
        let mut deep = "a0: &a0 [x]\n".to_owned();
        for i in 1..150 {
            deep += &format!("a{i}: &a{i} [*a{}]\n", i - 1);
        }
        assert!(parsed(&deep).unwrap_err().contains("nested more than 100 deep"));
    }
}
