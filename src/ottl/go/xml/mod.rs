//! XML: documents as values, and documents that are changed.
//!
//! Documents nest up to 1000 deep. What is written anew has empty elements with a closing tag and
//! quotes escaped, as the Collector writes it; instructions and declarations stay as they are.

mod document;
mod lexer;
mod select;
mod xpath;

use document::{Document, Kind, local, push_escaped};
use select::{Found, select, text_of};
pub use xpath::XPath;

use super::tree::set;
use super::{Answer, Refusal, Tree};

/// Reads the first element into maps of its `tag`, `attributes`, `content` and `children`; what it
/// does not have is left out. Prefixes of names are left out too.
///
/// # Errors
///
/// Fails for a text that is no XML or has no element, and for one with more than one.
pub fn parse_xml(text: &str) -> Answer<Tree> {
    let document = Document::parse(text)?;
    let root = document.children(0);
    let at = root.iter().position(|child| document.element(*child).is_some());
    let at = at.ok_or_else(|| Refusal::new("the text has no XML element"))?;
    let is_blank = |child: &usize| document.text(*child).is_some_and(|text| text.trim().is_empty());
    if !root.iter().skip(at + 1).all(is_blank) {
        return Err(Refusal::new("something follows the XML element"));
    }
    Ok(root.get(at).map(|child| element(&document, *child)).unwrap_or_default())
}

fn element(document: &Document, index: usize) -> Tree {
    let mut map = vec![("tag", Tree::str(local(document.element(index).unwrap_or_default())))];
    let mut attributes = Vec::new();
    for (name, value) in document.node(index).map_or(&[][..], |node| &node.attributes) {
        set(&mut attributes, local(name).to_owned(), Tree::str(value.clone()));
    }
    if !attributes.is_empty() {
        map.push(("attributes", Tree::Map(attributes)));
    }
    let children = document.children(index);
    let content: String =
        children.iter().filter_map(|child| document.text(*child)).map(str::trim).collect();
    if !content.is_empty() {
        map.push(("content", Tree::Str(content)));
    }
    let elements = children.iter().filter(|child| document.element(**child).is_some());
    let elements: Vec<Tree> = elements.map(|child| element(document, *child)).collect();
    if !elements.is_empty() {
        map.push(("children", Tree::List(elements)));
    }
    Tree::map(map)
}

/// Reads elements into a map by their tags: with elements within as maps, others as texts; several
/// of one tag are a list; empty ones are left out. Attributes, comments, and texts beside elements
/// are left out.
///
/// # Errors
///
/// Fails for a text that is no XML or has no element.
pub fn parse_simplified_xml(text: &str) -> Answer<Tree> {
    let document = document_with_elements(text)?;
    Ok(Tree::Map(simplified(&document, 0)))
}

fn simplified(document: &Document, index: usize) -> Vec<(String, Tree)> {
    let elements = || {
        let named = |child: &usize| document.element(*child).map(|name| (*child, local(name)));
        document.children(index).iter().filter_map(named)
    };
    let mut map: Vec<(String, Tree)> = Vec::new();
    for (child, tag) in elements() {
        let has_elements =
            document.children(child).iter().any(|inner| document.element(*inner).is_some());
        let value = if has_elements {
            let inner = simplified(document, child);
            (!inner.is_empty()).then_some(Tree::Map(inner))
        } else {
            // Of texts that a comment or a section parts, the first.
            let texts = document.children(child).iter().filter_map(|inner| document.text(*inner));
            let first = texts.map(str::to_owned).next();
            first.filter(|text| !text.is_empty()).map(Tree::Str)
        };
        let Some(value) = value else { continue };
        let is_list = elements().filter(|(_, other)| *other == tag).count() > 1;
        match map.iter_mut().find(|(other, _)| other == tag) {
            Some((_, Tree::List(values))) => values.push(value),
            _ if is_list => map.push((tag.to_owned(), Tree::List(vec![value]))),
            _ => map.push((tag.to_owned(), value)),
        }
    }
    map
}

fn document_with_elements(text: &str) -> Answer<Document> {
    let document = Document::parse(text)?;
    let has_element = document.children(0).iter().any(|child| document.element(*child).is_some());
    if has_element { Ok(document) } else { Err(Refusal::new("the text has no XML element")) }
}

/// The elements, texts and values of attributes that a path selects, one after the other.
///
/// # Errors
///
/// Fails for a text that is no XML.
pub fn get_xml(text: &str, path: &XPath) -> Answer<String> {
    let mut out = String::new();
    if text.is_empty() {
        return Ok(out);
    }
    let document = document_with_elements(text)?;
    for found in select(&document, path) {
        match found {
            Found::Node(index) if document.element(index).is_some() => {
                document.write(index, &mut out);
            }
            Found::Node(index) => {
                push_escaped(&mut out, document.text(index).unwrap_or_default());
            }
            Found::Attribute(..) => push_escaped(&mut out, &text_of(&document, found)),
        }
    }
    Ok(out)
}

/// The document with the elements of another added to those that a path selects.
///
/// # Errors
///
/// Fails for texts that are no XML.
pub fn insert_xml(text: &str, path: &XPath, value: &str) -> Answer<String> {
    let mut document = document_with_elements(text)?;
    let added = document_with_elements(value)?;
    for found in select(&document, path) {
        let Found::Node(index) = found else { continue };
        if index != 0 && document.element(index).is_none() {
            continue;
        }
        for child in added.children(0) {
            if added.element(*child).is_some() {
                document.add_copy(index, &added, *child);
            }
        }
    }
    Ok(written(&document))
}

/// The document without the nodes and attributes that a path selects.
///
/// # Errors
///
/// Fails for a text that is no XML.
pub fn remove_xml(text: &str, path: &XPath) -> Answer<String> {
    let mut document = document_with_elements(text)?;
    // From the last on, so that attributes keep their places.
    for found in select(&document, path).into_iter().rev() {
        match found {
            Found::Node(index) => document.remove(index),
            Found::Attribute(index, at) => {
                if let Some(node) = document.nodes.get_mut(index) {
                    node.attributes.remove(at);
                }
            }
        }
    }
    Ok(written(&document))
}

/// The document with the attributes that a path selects made elements at the end of theirs.
///
/// As in the Collector, and other than its documentation says, a path that selects elements
/// changes nothing: `//@*` selects all attributes.
///
/// # Errors
///
/// Fails for a text that is no XML.
pub fn convert_attributes(text: &str, path: &XPath) -> Answer<String> {
    let mut document = document_with_elements(text)?;
    let mut taken = Vec::new();
    for found in select(&document, path) {
        let Found::Attribute(index, at) = found else { continue };
        let attribute = document.node(index).and_then(|node| node.attributes.get(at)).cloned();
        let Some((name, value)) = attribute else { continue };
        let child = document.add(index, Kind::Element(local(&name).to_owned()));
        if !value.is_empty() {
            document.add(child, Kind::Text(value));
        }
        taken.push((index, at));
    }
    for (index, at) in taken.into_iter().rev() {
        if let Some(node) = document.nodes.get_mut(index) {
            node.attributes.remove(at);
        }
    }
    Ok(written(&document))
}

/// The document with the texts beside elements, in those that a path selects and within them,
/// wrapped in elements called `name`.
///
/// # Errors
///
/// Fails for a text that is no XML.
pub fn convert_text(text: &str, path: &XPath, name: &str) -> Answer<String> {
    let mut document = document_with_elements(text)?;
    for found in select(&document, path) {
        if let Found::Node(index) = found {
            wrap_texts(&mut document, index, name);
        }
    }
    Ok(written(&document))
}

fn wrap_texts(document: &mut Document, index: usize, name: &str) {
    let children = document.children(index).to_vec();
    let is_element = |document: &Document, child: &usize| document.element(*child).is_some();
    let has_elements = children.iter().any(|child| is_element(document, child));
    for child in children {
        if document.element(child).is_some() {
            wrap_texts(document, child, name);
        } else if has_elements && index != 0 && document.text(child).is_some() {
            // The node becomes the wrapper, with its text as a new node within.
            let Some(node) = document.nodes.get_mut(child) else { continue };
            let text = std::mem::replace(&mut node.kind, Kind::Element(name.to_owned()));
            document.add(child, text);
        }
    }
}

fn written(document: &Document) -> String {
    let mut out = String::new();
    document.write(0, &mut out);
    out
}

#[cfg(test)]
mod tests;
