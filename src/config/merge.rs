//! Several sources into one: maps are merged, everything else is replaced.

use super::{Entry, Map, Node, Place, Value};

/// Lays `over` on `base`: maps are merged, lists and scalars replaced, null deletes.
pub(super) fn merge(base: &mut Node, over: Node) {
    if base.as_map().is_none() || over.as_map().is_none() {
        *base = over;
        return;
    }
    let Some(map) = base.as_map_mut() else { return };
    let Value::Map(over) = over.into_value() else { return };
    for entry in over.into_entries() {
        match map.entries_mut().iter_mut().find(|known| known.key == entry.key) {
            Some(known) => {
                merge(&mut known.node, entry.node);
                known.place = entry.place;
            }
            None => map.entries_mut().push(entry),
        }
    }
}

/// Spreads keys of the outermost map such as `processors::batch::timeout` into nested maps.
pub(super) fn spread_keys(node: Node) -> Node {
    let has_path = node.as_map().is_some_and(|map| map.keys().any(|key| key.contains("::")));
    if !has_path {
        return node;
    }
    let place = node.place().clone();
    let Value::Map(map) = node.into_value() else { return Node::empty_map(place) };
    let mut spread = Node::empty_map(place);
    for Entry { key, place, node, .. } in map.into_entries() {
        merge(&mut spread, nest(&key, &place, node));
    }
    spread
}

/// Puts `node` under the keys of `path`, which `::` joins.
pub(super) fn nest(path: &str, place: &Place, mut node: Node) -> Node {
    for part in path.rsplit("::") {
        let entry = Entry::new(part.trim().to_owned(), place.clone(), node);
        node = Node::new(Value::Map(Map::new(vec![entry])), place.clone());
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::print::to_json;

    fn merged(base: &str, over: &str) -> String {
        let mut base = Node::parse("base", base).unwrap();
        merge(&mut base, Node::parse("over", over).unwrap());
        to_json(&base, &|_| None).to_string()
    }

    #[test]
    fn maps_are_merged_and_all_else_is_replaced() {
        assert_eq!(
            merged("{a: {x: 1, y: 2}}", "{a: {y: 3, z: 4}}"),
            r#"{"a":{"x":1,"y":3,"z":4}}"#
        );
        assert_eq!(merged("{a: [1, 2]}", "{a: [3]}"), r#"{"a":[3]}"#);
        assert_eq!(merged("{a: {x: 1}, b: 1}", "{a: }"), r#"{"a":null,"b":1}"#);
        assert_eq!(merged("{a: }", "{a: {x: 1}}"), r#"{"a":{"x":1}}"#);
        assert_eq!(merged("{a: 1}", "{a: {x: 1}}"), r#"{"a":{"x":1}}"#);
    }

    #[test]
    fn keys_with_colons_are_paths() {
        let node = Node::parse("x", "{a::b: 1, a::c: {d: 2}, e: 3}").unwrap();
        let json = to_json(&spread_keys(node), &|_| None);
        assert_eq!(json.to_string(), r#"{"a":{"b":1,"c":{"d":2}},"e":3}"#);
    }
}
