//! An XML document as a tree of nodes in one list, in the order of the text.

use crate::ottl::go::{Answer, Refusal};

/// Elements nest up to so deep.
const MAX_DEPTH: usize = 1000;

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Root,
    Element(String),
    Text(String),
    Cdata(String),
    Comment(String),
    /// `<?…?>` and `<!…>`, as they stand.
    Other(String),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) parent: usize,
    pub(super) children: Vec<usize>,
    pub(super) attributes: Vec<(String, String)>,
}

/// Nodes by number; the root is 0.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) nodes: Vec<Node>,
}

/// A name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

impl Document {
    /// Reads a document, or any number of elements side by side.
    pub(super) fn parse(text: &str) -> Answer<Self> {
        let mut parser = Parser { document: Self::empty(), rest: text, open: vec![0] };
        parser.run().map_err(|reason| {
            let line = text.len() - parser.rest.len();
            let line = text.get(..line).unwrap_or_default().matches('\n').count() + 1;
            Refusal::new(format!("the text is not XML: {reason} on line {line}"))
        })?;
        Ok(parser.document)
    }

    fn empty() -> Self {
        let root =
            Node { kind: Kind::Root, parent: 0, children: Vec::new(), attributes: Vec::new() };
        Self { nodes: vec![root] }
    }

    pub(super) fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }

    pub(super) fn children(&self, index: usize) -> &[usize] {
        self.node(index).map_or(&[], |node| &node.children)
    }

    pub(super) fn element(&self, index: usize) -> Option<&str> {
        match self.node(index).map(|node| &node.kind) {
            Some(Kind::Element(name)) => Some(name),
            _ => None,
        }
    }

    /// The text of a text node.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        match self.node(index).map(|node| &node.kind) {
            Some(Kind::Text(text) | Kind::Cdata(text)) => Some(text),
            _ => None,
        }
    }

    /// All texts within a node.
    pub(super) fn content(&self, index: usize) -> String {
        match self.node(index).map(|node| &node.kind) {
            Some(Kind::Text(text) | Kind::Cdata(text) | Kind::Comment(text)) => text.clone(),
            Some(Kind::Root | Kind::Element(_)) => {
                let is_shown = |child: &&usize| {
                    self.element(**child).is_some() || self.text(**child).is_some()
                };
                self.children(index).iter().filter(is_shown).map(|c| self.content(*c)).collect()
            }
            _ => String::new(),
        }
    }

    /// Adds a node as the last child of another.
    pub(super) fn add(&mut self, parent: usize, kind: Kind) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node { kind, parent, children: Vec::new(), attributes: Vec::new() });
        if let Some(node) = self.nodes.get_mut(parent) {
            node.children.push(index);
        }
        index
    }

    /// Adds a copy of a node of another document, with all within it.
    pub(super) fn add_copy(&mut self, parent: usize, other: &Self, index: usize) {
        let Some(node) = other.node(index) else { return };
        let copy = self.add(parent, node.kind.clone());
        if let Some(copied) = self.nodes.get_mut(copy) {
            copied.attributes.clone_from(&node.attributes);
        }
        for child in &node.children {
            self.add_copy(copy, other, *child);
        }
    }

    /// Takes a node from its parent.
    pub(super) fn remove(&mut self, index: usize) {
        let Some(parent) = self.node(index).map(|node| node.parent) else { return };
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.retain(|child| *child != index);
        }
    }

    /// Writes a node with all within it.
    pub(super) fn write(&self, index: usize, out: &mut String) {
        let Some(node) = self.node(index) else { return };
        match &node.kind {
            Kind::Root => node.children.iter().for_each(|child| self.write(*child, out)),
            Kind::Text(text) => push_escaped(out, text),
            Kind::Cdata(text) => out.push_str(&format!("<![CDATA[{text}]]>")),
            Kind::Comment(text) => out.push_str(&format!("<!--{text}-->")),
            Kind::Other(text) => out.push_str(text),
            Kind::Element(name) => {
                out.push_str(&format!("<{name}"));
                for (key, value) in &node.attributes {
                    out.push_str(&format!(" {key}=\""));
                    push_escaped(out, value);
                    out.push('"');
                }
                out.push('>');
                node.children.iter().for_each(|child| self.write(*child, out));
                out.push_str(&format!("</{name}>"));
            }
        }
    }
}

/// Appends a text with what means something in XML escaped.
pub(super) fn push_escaped(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
}

struct Parser<'t> {
    document: Document,
    rest: &'t str,
    /// The elements that are open, the root first.
    open: Vec<usize>,
}

impl<'t> Parser<'t> {
    fn run(&mut self) -> Result<(), String> {
        while !self.rest.is_empty() {
            if self.rest.starts_with('<') {
                self.markup()?;
            } else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
                let text = unescaped(text)?;
                self.rest = rest;
                self.add(Kind::Text(text));
            }
        }
        match self.open.as_slice() {
            [0] => Ok(()),
            _ => Err("an element does not end".to_owned()),
        }
    }

    fn add(&mut self, kind: Kind) -> usize {
        let parent = self.open.last().copied().unwrap_or_default();
        self.document.add(parent, kind)
    }

    fn until(&mut self, start: &str, end: &str) -> Option<&'t str> {
        let (inner, rest) = self.rest.strip_prefix(start)?.split_once(end)?;
        self.rest = rest;
        Some(inner)
    }

    fn markup(&mut self) -> Result<(), String> {
        if self.rest.starts_with("<!--") {
            let comment = self.until("<!--", "-->").ok_or("a comment does not end")?;
            self.add(Kind::Comment(comment.to_owned()));
        } else if self.rest.starts_with("<![CDATA[") {
            let text = self.until("<![CDATA[", "]]>").ok_or("a CDATA section does not end")?;
            self.add(Kind::Cdata(text.to_owned()));
        } else if self.rest.starts_with("<?") {
            let inner = self.until("<?", "?>").ok_or("an instruction does not end")?;
            self.add(Kind::Other(format!("<?{}?>", inner.trim_end())));
        } else if self.rest.starts_with("<!") {
            let inner = self.directive().ok_or("a declaration does not end")?;
            self.add(Kind::Other(format!("<!{inner}>")));
        } else if self.rest.starts_with("</") {
            let name = self.until("</", ">").ok_or("a tag does not end")?.trim();
            let open = self.open.pop().and_then(|index| self.document.element(index));
            if open != Some(name) {
                return Err(format!("`</{name}>` closes no element of this name"));
            }
        } else {
            self.element()?;
        }
        Ok(())
    }

    /// `<!DOCTYPE … [ … ]>`.
    fn directive(&mut self) -> Option<&'t str> {
        let inner = self.rest.strip_prefix("<!")?;
        let mut depth = 0usize;
        for (at, letter) in inner.char_indices() {
            match letter {
                '<' => depth += 1,
                '>' if depth == 0 => {
                    self.rest = inner.get(at + 1..)?;
                    return inner.get(..at);
                }
                '>' => depth -= 1,
                _ => {}
            }
        }
        None
    }

    fn element(&mut self) -> Result<(), String> {
        self.rest = self.rest.strip_prefix('<').unwrap_or(self.rest);
        let name = self.name().ok_or("an element has no name")?;
        let index = self.add(Kind::Element(name));
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix("/>") {
                self.rest = rest;
                return Ok(());
            }
            if let Some(rest) = self.rest.strip_prefix('>') {
                self.rest = rest;
                self.open.push(index);
                if self.open.len() > MAX_DEPTH {
                    return Err(format!("elements nest deeper than {MAX_DEPTH}"));
                }
                return Ok(());
            }
            let attribute = self.attribute()?;
            if let Some(node) = self.document.nodes.get_mut(index) {
                node.attributes.push(attribute);
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        let is_end = |c: char| c.is_whitespace() || matches!(c, '>' | '/' | '=' | '<' | '"' | '\'');
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        let starts_right = name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | ':'));
        if !starts_right {
            return None;
        }
        self.rest = rest;
        Some(name.to_owned())
    }

    fn attribute(&mut self) -> Result<(String, String), String> {
        let name = self.name().ok_or("an attribute has no name, or a tag does not end")?;
        let value = self.rest.trim_start().strip_prefix('=').map(str::trim_start);
        let value = value.ok_or_else(|| format!("the attribute `{name}` has no value"))?;
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''));
        let quote = quote.ok_or_else(|| format!("the value of `{name}` is not quoted"))?;
        let inner = value.strip_prefix(quote).and_then(|inner| inner.split_once(quote));
        let (inner, rest) = inner.ok_or_else(|| format!("the value of `{name}` does not end"))?;
        self.rest = rest;
        Ok((name, unescaped(inner)?))
    }
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (name, after) = after.split_once(';').ok_or("`&` is not followed by `;`")?;
        let number = name.strip_prefix('#').and_then(|digits| match digits.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        });
        let letter = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => number.and_then(char::from_u32),
        };
        plain.push(letter.ok_or_else(|| format!("there is no entity `&{name};`"))?);
        rest = after;
    }
    plain.push_str(rest);
    Ok(plain)
}
