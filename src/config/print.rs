//! A tree as YAML or JSON, with secrets masked.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Node, Place, Value, scalar};

/// What stands for a secret.
const REDACTED: &str = "[REDACTED]";
/// A key with one of these in its name holds a secret, unless it names a file.
const SECRET_NAMES: [&str; 12] = [
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "api_key",
    "apikey",
    "credential",
    "private_key",
    "key_pem",
    "cookie",
    "connection_string",
];

/// A scalar that is about to be printed.
pub(super) struct Printed<'a> {
    pub(super) node: &'a Node,
    keys: &'a [&'a str],
}

impl Printed<'_> {
    /// What to print instead, if it is one of the `secrets`, or looks like one.
    pub(super) fn masked(&self, secrets: &BTreeSet<Place>) -> Option<String> {
        if matches!(self.node.value(), Value::Null | Value::Bool(_)) {
            return None;
        }
        if secrets.contains(self.node.place()) || self.has_secret_name() {
            return Some(REDACTED.to_owned());
        }
        without_password(self.node.as_str()?)
    }

    /// Whether its key, or a key around it, is one that secrets usually have.
    fn has_secret_name(&self) -> bool {
        self.keys.iter().any(|key| names_secret(key))
    }
}

/// Whether what stands under `key` is probably secret.
pub(super) fn names_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    if key.split('/').next().is_some_and(|kind| kind.ends_with("auth")) {
        // An authenticator, whose type may have `token` in its name.
        return false;
    }
    let names_file = key.ends_with("_file") || key.ends_with("_path") || key.ends_with("_url");
    let is_headers = key == "headers" || key == "response_headers";
    !names_file && (is_headers || SECRET_NAMES.iter().any(|name| key.contains(name)))
}

/// Answers what to print instead of a scalar.
type Mask<'a> = &'a dyn Fn(&Printed<'_>) -> Option<String>;

/// The tree as a JSON value; `mask` may replace scalars.
pub(super) fn to_json(node: &Node, mask: Mask<'_>) -> serde_json::Value {
    json(node, &mut Vec::new(), mask)
}

fn json<'a>(node: &'a Node, keys: &mut Vec<&'a str>, mask: Mask<'_>) -> serde_json::Value {
    match node.value() {
        Value::List(nodes) => nodes.iter().map(|node| json(node, keys, mask)).collect(),
        Value::Map(map) => {
            let mut object = serde_json::Map::new();
            for entry in map.entries() {
                keys.push(&entry.key);
                object.insert(entry.key.clone(), json(&entry.node, keys, mask));
                keys.pop();
            }
            object.into()
        }
        value => scalar_json(node, value, mask(&Printed { node, keys })),
    }
}

fn scalar_json(node: &Node, value: &Value, masked: Option<String>) -> serde_json::Value {
    if let Some(masked) = masked {
        return masked.into();
    }
    match value {
        Value::List(_) | Value::Map(_) => serde_json::Value::Null,
        Value::Null => match node.text() {
            Some(text) => text.into(),
            None => serde_json::Value::Null,
        },
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => {
            let signed = i64::try_from(*value).map(serde_json::Value::from);
            signed.or_else(|_| u64::try_from(*value).map(Into::into)).unwrap_or_default()
        }
        Value::Float(value) => {
            let number = serde_json::Number::from_f64(*value).map(serde_json::Value::Number);
            number.unwrap_or_else(|| node.text().unwrap_or_default().into())
        }
        Value::String(text) => text.as_str().into(),
    }
}

/// The tree as YAML; `mask` may replace scalars.
pub(super) fn to_yaml(node: &Node, mask: Mask<'_>) -> String {
    let mut out = String::new();
    write_yaml(&mut out, node, &mut Vec::new(), Indent { width: 0, inline: false }, mask);
    out.trim_start_matches('\n').trim_start().to_owned()
}

/// How far a block is indented, and whether its first entry goes on the line that is open (`- a: b`).
#[derive(Clone, Copy)]
struct Indent {
    width: usize,
    inline: bool,
}

fn write_yaml<'a>(
    out: &mut String,
    node: &'a Node,
    keys: &mut Vec<&'a str>,
    indent: Indent,
    mask: Mask<'_>,
) {
    let Indent { width, mut inline } = indent;
    let mut start_line = |out: &mut String| {
        if !inline {
            let _ = write!(out, "\n{:width$}", "");
        }
        inline = false;
    };
    match node.value() {
        Value::Map(map) if !map.is_empty() => {
            for entry in map.entries() {
                start_line(out);
                let _ = write!(out, "{}:", yaml_string(&entry.key));
                keys.push(&entry.key);
                let indent = Indent { width: width + 2, inline: false };
                write_yaml(out, &entry.node, keys, indent, mask);
                keys.pop();
            }
        }
        Value::List(nodes) if !nodes.is_empty() => {
            for node in nodes {
                start_line(out);
                out.push('-');
                let is_block = match node.value() {
                    Value::Map(map) => !map.is_empty(),
                    Value::List(nodes) => !nodes.is_empty(),
                    _ => false,
                };
                if is_block {
                    out.push(' ');
                }
                write_yaml(out, node, keys, Indent { width: width + 2, inline: true }, mask);
            }
        }
        _ => {
            let _ = write!(out, " {}", yaml_scalar(node, keys, mask));
        }
    }
    if width == 0 {
        out.push('\n');
    }
}

fn yaml_scalar(node: &Node, keys: &[&str], mask: Mask<'_>) -> String {
    match node.value() {
        Value::Map(_) => "{}".to_owned(),
        Value::List(_) => "[]".to_owned(),
        value => plain_yaml(node, value, mask(&Printed { node, keys })),
    }
}

fn plain_yaml(node: &Node, value: &Value, masked: Option<String>) -> String {
    if let Some(masked) = masked {
        return yaml_string(&masked);
    }
    match value {
        Value::Map(_) | Value::List(_) => String::new(),
        Value::Null => node.text().map_or_else(|| "null".to_owned(), yaml_string),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => node.text().map_or_else(|| value.to_string(), str::to_owned),
        Value::Float(value) => node.text().map_or_else(|| value.to_string(), str::to_owned),
        Value::String(text) => yaml_string(text),
    }
}

/// The text as a plain scalar if it is read back as the same string, else with double quotes.
fn yaml_string(text: &str) -> String {
    let is_plain_start =
        |char: char| char.is_ascii_alphanumeric() || matches!(char, '/' | '_' | '.');
    let is_plain = |char: char| char.is_alphanumeric() || "/_.-:+@=$(){}<>*".contains(char);
    let is_ambiguous = text.contains(": ") || text.ends_with(':') || text.contains(['{', '}']);
    if text.starts_with(is_plain_start)
        && text.chars().all(is_plain)
        && !is_ambiguous
        && matches!(scalar::resolve(text), Value::String(_))
    {
        return text.to_owned();
    }
    // A JSON string is a YAML string with double quotes.
    serde_json::Value::from(text).to_string()
}

/// Masks the password in `scheme://user:password@host`.
fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user_info, _) = authority.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':')?;
    let after = rest.strip_prefix(user_info)?;
    (!password.is_empty()).then(|| format!("{scheme}://{user}:{REDACTED}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
a: {list: [1, [2, x], {k: v, l: }], empty: {}, none: []}
token: abc
token_file: /x
exporters:
  otlp: {headers: {x-key: abc}, endpoint: 'https://me:pw@host:1/x', password: '', on: 'yes', n: '5'}
text: \"a: b\\n\"
";

    fn printed(is_masked: bool) -> String {
        let node = Node::parse("x", TEXT).unwrap();
        to_yaml(&node, &|printed| is_masked.then(|| printed.masked(&BTreeSet::new())).flatten())
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let node = Node::parse("x", TEXT).unwrap();
        let again = Node::parse("y", &printed(false)).unwrap();
        assert_eq!(to_json(&node, &|_| None), to_json(&again, &|_| None));
    }

    #[test]
    fn secrets_are_masked() {
        insta::assert_snapshot!(printed(true), @r#"
        a:
          list:
            - 1
            - - 2
              - x
            - k: v
              l: null
          empty: {}
          none: []
        token: "[REDACTED]"
        token_file: /x
        exporters:
          otlp:
            headers:
              x-key: "[REDACTED]"
            endpoint: "https://me:[REDACTED]@host:1/x"
            password: "[REDACTED]"
            on: yes
            n: "5"
        text: "a: b\n"
        "#);
    }
}
