//! Grok: regular expressions with named parts, such as `%{IP:client.ip} %{NUMBER:bytes:int}`.
//!
//! There are the patterns of the default set and those of Apache's access logs. What an expression
//! matches is the same as with the Collector's library, but for IPv6 addresses that end in an IPv4
//! one, which match to their end.

use std::borrow::Cow;

use regex::Regex;

use super::number::parse_float;
use super::tree::set;
use super::{Answer, Refusal, Tree, grok_patterns, re2};

/// Patterns nest up to so deep.
const MAX_DEPTH: usize = 32;
/// An expression may become so long.
const MAX_LENGTH: usize = 1 << 20;

/// A compiled expression.
#[derive(Debug)]
pub struct Grok {
    regex: Regex,
    /// Of each group: the key it is told by, and its type.
    groups: Vec<Option<(String, Type)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Int,
    Double,
    Bool,
}

impl Grok {
    /// Compiles an expression.
    ///
    /// `definitions` are patterns such as `PASSWORD=%{WORD}`. With `is_named_only`, parts without a
    /// key of their own are not told; otherwise they are told by the name of their pattern.
    ///
    /// # Errors
    ///
    /// Fails for unknown patterns and types, patterns within themselves, wrong regular expressions,
    /// and, with `is_named_only`, for an expression without a named part.
    pub fn compile(pattern: &str, is_named_only: bool, definitions: &[&str]) -> Answer<Self> {
        let mut own = Vec::with_capacity(definitions.len());
        for definition in definitions {
            own.push(definition.split_once('=').ok_or_else(|| {
                Refusal::new(format!("`{definition}` is not a definition such as `NAME=pattern`"))
            })?);
        }
        let mut expander = Expander { own, is_named_only, keys: Vec::new(), out: String::new() };
        expander.expand(pattern, 0)?;
        let regex = re2::try_compile(&expander.out).map_err(|reason| {
            Refusal::new(format!("`{pattern}` is not a grok expression: {reason}"))
        })?;
        let group = |name: Option<&str>| {
            let name = name?;
            let ours = name.strip_prefix("grok_").and_then(|index| index.parse::<usize>().ok());
            match ours.and_then(|index| expander.keys.get(index)) {
                Some(key) => Some(key.clone()),
                None => Some((name.to_owned(), Type::Text)),
            }
        };
        let groups: Vec<Option<(String, Type)>> = regex.capture_names().map(group).collect();
        if is_named_only && groups.iter().all(Option::is_none) {
            return Err(Refusal::new(format!("no part of `{pattern}` has a name")));
        }
        Ok(Self { regex, groups })
    }

    /// What the named parts match; an empty map if the expression does not.
    ///
    /// # Errors
    ///
    /// Fails for a part that is not of its type.
    pub fn extract(&self, text: &str) -> Answer<Tree> {
        let mut map = Vec::new();
        let Some(captures) = self.regex.captures(text) else { return Ok(Tree::Map(map)) };
        for (group, found) in self.groups.iter().zip(captures.iter()) {
            let (Some((key, kind)), Some(found)) = (group, found) else { continue };
            if found.is_empty() {
                continue;
            }
            let value = typed(found.as_str(), *kind).ok_or_else(|| {
                Refusal::new(format!("`{}` is not of the type of `{key}`", found.as_str()))
            })?;
            set(&mut map, key.clone(), value);
        }
        Ok(Tree::Map(map))
    }
}

fn typed(text: &str, kind: Type) -> Option<Tree> {
    Some(match kind {
        Type::Text => Tree::str(text),
        Type::Int => Tree::Int(text.parse().ok()?),
        Type::Double => Tree::Double(parse_float(text)?),
        Type::Bool => match text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Tree::Bool(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Tree::Bool(false),
            _ => return None,
        },
    })
}

struct Expander<'d> {
    own: Vec<(&'d str, &'d str)>,
    is_named_only: bool,
    keys: Vec<(String, Type)>,
    out: String,
}

impl Expander<'_> {
    fn expand(&mut self, pattern: &str, depth: usize) -> Answer<()> {
        if depth > MAX_DEPTH || self.out.len() > MAX_LENGTH {
            return Err(Refusal::new("patterns are nested too deeply, or one is within itself"));
        }
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("%{") {
            self.out.push_str(before);
            match after.split_once('}').filter(|(part, _)| is_part(part)) {
                Some((part, after)) => {
                    self.part(part, depth)?;
                    rest = after;
                }
                None => {
                    self.out.push_str("%{");
                    rest = after;
                }
            }
        }
        self.out.push_str(rest);
        Ok(())
    }

    /// `IP`, `IP:client.ip` or `NUMBER:bytes:int`.
    fn part(&mut self, part: &str, depth: usize) -> Answer<()> {
        let mut fields = part.splitn(3, ':');
        let name = fields.next().unwrap_or_default();
        let key = fields.next().filter(|key| !key.is_empty());
        let kind = match fields.next() {
            None | Some("string") => Type::Text,
            Some("int" | "long") => Type::Int,
            Some("float" | "double") => Type::Double,
            Some("bool" | "boolean") => Type::Bool,
            Some(other) => {
                let known = "use string, int, long, float, double, bool or boolean";
                return Err(Refusal::new(format!(
                    "there is no type `{other}` in `%{{{part}}}`: {known}"
                )));
            }
        };
        let own = self.own.iter().find(|(other, _)| *other == name);
        let pattern = match own {
            Some((_, pattern)) => Cow::Owned((*pattern).to_owned()),
            None => grok_patterns::find(name).ok_or_else(|| unknown(name))?,
        };
        match key.or_else(|| (!self.is_named_only).then_some(name)) {
            Some(key) => {
                self.out.push_str(&format!("(?P<grok_{}>", self.keys.len()));
                self.keys.push((key.to_owned(), kind));
            }
            None => self.out.push_str("(?:"),
        }
        self.expand(&pattern, depth + 1)?;
        self.out.push(')');
        Ok(())
    }
}

fn is_part(part: &str) -> bool {
    part.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | ':' | '.'))
}

fn unknown(name: &str) -> Refusal {
    let distance = |other: &&str| {
        let common = other.chars().zip(name.chars()).take_while(|(a, b)| a == b).count();
        std::cmp::Reverse(common)
    };
    let nearest = grok_patterns::names().min_by_key(distance).unwrap_or_default();
    Refusal::new(format!(
        "there is no pattern `{name}`, the nearest is `{nearest}`: define it in patternDefinitions"
    ))
}

#[cfg(test)]
mod tests;
