//! Go's regular expressions, which are RE2's, on the `regex` crate.
//!
//! Both run in linear time and prefer the leftmost match and its first alternative, but they write
//! some things differently. An expression is read by Go's rules and written anew: `\d`, `\w`, `\s`
//! and `\b` know ASCII only; `\Q…\E` quotes; a brace that is no repetition is itself; `&&`, `--`,
//! `~~` and `[` mean nothing in a class. What Go refuses is refused, by name where people miss it.
//!
//! Differences left: group names may have points, and may not begin with a digit; Unicode
//! properties may be other than categories and scripts.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Captures, Regex, RegexBuilder};

use super::{Answer, Refusal};

/// How much memory an expression may take.
const SIZE_LIMIT: usize = 32 << 20;
const MAX_REPEAT: u32 = 1000;

/// Compiles an expression as Go's `regexp.Compile`.
///
/// # Errors
///
/// Fails for what Go refuses, with what is wrong.
pub fn compile(pattern: &str) -> Answer<Regex> {
    try_compile(pattern).map_err(|reason| {
        Refusal::new(format!("`{pattern}` is not a regular expression: {reason}"))
    })
}

/// As [`compile`].
///
/// # Errors
///
/// Fails with the reason alone.
pub fn try_compile(pattern: &str) -> Result<Regex, String> {
    let translated = translate(pattern)?;
    RegexBuilder::new(&translated).size_limit(SIZE_LIMIT).build().map_err(|error| {
        // The last line of the library's message says what is wrong, those before draw it.
        let message = error.to_string();
        message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// Replaces all matches as Go's `Regexp.ReplaceAllString`.
///
/// In `template`, `$1`, `$name` and `${name}` stand for groups and `$$` for a dollar; a group that
/// is not there or did not match is empty.
#[must_use]
pub fn replace_all(regex: &Regex, text: &str, template: &str) -> String {
    let replace = |captures: &Captures<'_>| {
        let mut expanded = String::new();
        expand(template, captures, &mut expanded);
        expanded
    };
    regex.replace_all(text, replace).into_owned()
}

/// Appends the template with its groups filled in, as Go's `Regexp.Expand`.
pub fn expand(template: &str, captures: &Captures<'_>, expanded: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = group_name(rest) else {
            expanded.push('$');
            continue;
        };
        let group = match name.parse::<usize>() {
            Ok(index) => captures.get(index),
            Err(_) => captures.name(name),
        };
        expanded.push_str(group.map_or("", |group| group.as_str()));
        rest = after;
    }
    expanded.push_str(rest);
}

/// The name at the beginning, in braces or not, and what follows.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let start = braced.unwrap_or(text);
    let end = start.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(start.len());
    let (name, after) = start.split_at_checked(end)?;
    let after = if braced.is_some() { after.strip_prefix('}')? } else { after };
    (!name.is_empty()).then_some((name, after))
}

/// Appends a letter that stands for itself, in a class too.
pub fn push_literal(regex: &mut String, letter: char) {
    if letter.is_ascii() && !letter.is_ascii_alphanumeric() && letter != '_' {
        regex.push_str(&format!("\\x{{{:x}}}", u32::from(letter)));
    } else {
        regex.push(letter);
    }
}

/// The expression for the `regex` crate.
fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator {
        letters: pattern.chars().peekable(),
        out: String::new(),
        can_repeat: false,
        was_repeat: false,
    };
    while let Some(letter) = translator.letters.next() {
        translator.letter(letter)?;
    }
    Ok(translator.out)
}

struct Translator<'p> {
    letters: Peekable<Chars<'p>>,
    out: String,
    /// Whether something stands before that can be repeated.
    can_repeat: bool,
    /// Whether a repetition stands before.
    was_repeat: bool,
}

impl Translator<'_> {
    fn letter(&mut self, letter: char) -> Result<(), String> {
        let was_repeat = std::mem::take(&mut self.was_repeat);
        match letter {
            '*' | '+' | '?' => self.repeat(&letter.to_string(), was_repeat)?,
            '{' => match self.counts() {
                Some((text, counts)) => {
                    check_counts(counts, &text)?;
                    self.repeat(&text, was_repeat)?;
                }
                None => self.literal('{'),
            },
            '(' => self.group()?,
            '|' => {
                self.out.push('|');
                self.can_repeat = false;
            }
            '[' => {
                self.class()?;
                self.can_repeat = true;
            }
            '\\' => self.escape()?,
            ')' | '.' | '^' | '$' => {
                self.out.push(letter);
                self.can_repeat = true;
            }
            _ => self.literal(letter),
        }
        Ok(())
    }

    fn literal(&mut self, letter: char) {
        push_literal(&mut self.out, letter);
        self.can_repeat = true;
    }

    fn repeat(&mut self, text: &str, was_repeat: bool) -> Result<(), String> {
        if was_repeat {
            return Err(format!("`{text}` repeats a repetition"));
        }
        if !self.can_repeat {
            return Err(format!("there is nothing before `{text}` to repeat"));
        }
        self.out.push_str(text);
        if self.letters.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        self.was_repeat = true;
        Ok(())
    }

    /// `{2}`, `{2,}` or `{2,3}` after its brace; nothing if it is another thing.
    fn counts(&mut self) -> Option<(String, (u32, Option<u32>))> {
        let mut ahead = self.letters.clone();
        let inner: String = ahead.by_ref().take_while(|letter| *letter != '}').collect();
        let is_closed = self.letters.clone().any(|letter| letter == '}');
        let (least, most) = inner.split_once(',').unwrap_or((&inner, &inner));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_closed || !is_number(least) || !(most.is_empty() || is_number(most)) {
            return None;
        }
        self.letters = ahead;
        let number = |text: &str| text.parse().unwrap_or(u32::MAX);
        let most = (!most.is_empty()).then(|| number(most));
        Some((format!("{{{inner}}}"), (number(least), most)))
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        self.can_repeat = false;
        if self.letters.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        let ahead: String = self.letters.clone().take(2).collect();
        match &*ahead {
            "=" | "!" => return Err(refused_group(&ahead)),
            _ if ahead.starts_with(['=', '!', '>', '#', '\'', '|', '&', 'R']) => {
                return Err(refused_group(&ahead));
            }
            "<=" | "<!" | "P=" | "P>" => return Err(refused_group(&ahead)),
            _ => {}
        }
        self.out.push('?');
        if ahead.starts_with('<') || ahead == "P<" {
            for letter in self.letters.by_ref() {
                self.out.push(letter);
                if letter == '>' {
                    return Ok(());
                }
            }
            return Err("the name of a group does not end".to_owned());
        }
        for flag in self.letters.by_ref() {
            match flag {
                'i' | 'm' | 's' | 'U' | '-' => self.out.push(flag),
                ':' | ')' => {
                    self.out.push(flag);
                    return Ok(());
                }
                _ => return Err(format!("there is no flag `{flag}`")),
            }
        }
        Err("a group does not end".to_owned())
    }

    fn escape(&mut self) -> Result<(), String> {
        let letter = self.letters.next().ok_or("it ends with a backslash")?;
        self.can_repeat = true;
        match letter {
            'Q' => self.quoted(),
            'A' | 'z' => self.out.push_str(&format!("\\{letter}")),
            'b' | 'B' => self.out.push_str(&format!("(?-u:\\{letter})")),
            'C' => return Err("`\\C` matches parts of letters, which Go does not allow".to_owned()),
            'Z' => return Err("there is no `\\Z`: use `\\z`".to_owned()),
            '1'..='9' if !self.is_octal(letter) => {
                return Err(format!(
                    "`\\{letter}` refers back to a group, which is not possible in linear time"
                ));
            }
            _ => match perl_class(letter) {
                Some((is_negated, class)) => {
                    let negation = if is_negated { "^" } else { "" };
                    self.out.push_str(&format!("[{negation}{class}]"));
                }
                None => {
                    let escaped = self.escaped(letter)?;
                    self.out.push_str(&escaped);
                }
            },
        }
        Ok(())
    }

    fn is_octal(&self, letter: char) -> bool {
        letter < '8' && self.letters.clone().next().is_some_and(|next| ('0'..='7').contains(&next))
    }

    /// `\Q` up to `\E` or the end.
    fn quoted(&mut self) {
        let rest: String = self.letters.clone().collect();
        let (quoted, rest) = rest.split_once("\\E").unwrap_or((&rest, ""));
        quoted.chars().for_each(|letter| push_literal(&mut self.out, letter));
        let num_left = rest.chars().count();
        while self.letters.clone().count() > num_left {
            self.letters.next();
        }
    }

    /// An escaped letter or property, in a class or outside.
    fn escaped(&mut self, letter: char) -> Result<String, String> {
        let code = match letter {
            'a' => 7,
            'f' => 12,
            't' => 9,
            'n' => 10,
            'r' => 13,
            'v' => 11,
            'p' | 'P' => return self.property(letter),
            'x' => return self.hexadecimal(),
            '0'..='7' if letter == '0' || self.is_octal(letter) => {
                let mut code = u32::from(letter) - u32::from('0');
                for _ in 0..2 {
                    let Some(digit) = self.letters.next_if(|next| ('0'..='7').contains(next))
                    else {
                        break;
                    };
                    code = code * 8 + u32::from(digit) - u32::from('0');
                }
                code
            }
            _ if letter.is_ascii_punctuation() || letter == ' ' || letter.is_ascii_control() => {
                u32::from(letter)
            }
            _ => return Err(format!("there is no `\\{letter}`")),
        };
        Ok(format!("\\x{{{code:x}}}"))
    }

    fn hexadecimal(&mut self) -> Result<String, String> {
        let digits: String = if self.letters.next_if_eq(&'{').is_some() {
            self.letters.by_ref().take_while(|letter| *letter != '}').collect()
        } else {
            self.letters.by_ref().take(2).collect()
        };
        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
        let code = code.ok_or_else(|| format!("`\\x{digits}` is no letter"))?;
        Ok(format!("\\x{{{:x}}}", u32::from(code)))
    }

    fn property(&mut self, letter: char) -> Result<String, String> {
        let first = self.letters.next().ok_or("a property has no name")?;
        let name: String = if first == '{' {
            self.letters.by_ref().take_while(|letter| *letter != '}').collect()
        } else {
            first.to_string()
        };
        Ok(format!("\\{letter}{{{name}}}"))
    }

    /// A class after its bracket.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.letters.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let letter = self.letters.next().ok_or("`[` does not close")?;
            if letter == ']' && !is_first {
                self.out.push(']');
                return Ok(());
            }
            is_first = false;
            if letter == '[' && self.letters.peek() == Some(&':') && self.named_class()? {
                continue;
            }
            let item = match letter {
                '\\' => {
                    let escaped = self.letters.next().ok_or("it ends with a backslash")?;
                    if let Some((is_negated, class)) = perl_class(escaped) {
                        let class =
                            if is_negated { format!("[^{class}]") } else { class.to_owned() };
                        self.out.push_str(&class);
                        continue;
                    }
                    self.escaped(escaped)?
                }
                _ => literal(letter),
            };
            self.out.push_str(&item);
            self.range()?;
        }
    }

    /// `-z` after the first letter of a range; nothing if there is none.
    fn range(&mut self) -> Result<(), String> {
        let mut ahead = self.letters.clone();
        if ahead.next() != Some('-') || matches!(ahead.peek(), Some(']') | None) {
            return Ok(());
        }
        self.letters = ahead;
        self.out.push('-');
        let last = match self.letters.next() {
            Some('\\') => {
                let escaped = self.letters.next().ok_or("it ends with a backslash")?;
                self.escaped(escaped)?
            }
            Some(letter) => literal(letter),
            None => return Err("`[` does not close".to_owned()),
        };
        self.out.push_str(&last);
        Ok(())
    }

    /// `[:alpha:]` after its bracket; whether there is one.
    fn named_class(&mut self) -> Result<bool, String> {
        let rest: String = self.letters.clone().collect();
        let Some((name, _)) = rest.split_once(":]") else { return Ok(false) };
        let plain = name.trim_start_matches(':').trim_start_matches('^');
        if !plain.bytes().all(|letter| letter.is_ascii_lowercase()) {
            return Err(format!("there is no class `[{name}:]`"));
        }
        self.out.push_str(&format!("[{name}:]"));
        for _ in 0..name.chars().count() + 2 {
            self.letters.next();
        }
        Ok(true)
    }
}

fn literal(letter: char) -> String {
    let mut text = String::new();
    push_literal(&mut text, letter);
    text
}

/// What a class such as `\d` has, and whether all else is meant.
const fn perl_class(letter: char) -> Option<(bool, &'static str)> {
    Some(match letter {
        'd' => (false, "0-9"),
        'D' => (true, "0-9"),
        'w' => (false, "0-9A-Za-z_"),
        'W' => (true, "0-9A-Za-z_"),
        's' => (false, r"\t\n\f\r\x20"),
        'S' => (true, r"\t\n\f\r\x20"),
        _ => return None,
    })
}

fn check_counts((least, most): (u32, Option<u32>), text: &str) -> Result<(), String> {
    if least > MAX_REPEAT || most.is_some_and(|most| most > MAX_REPEAT || most < least) {
        return Err(format!("`{text}` repeats more than {MAX_REPEAT} times or backwards"));
    }
    Ok(())
}

fn refused_group(start: &str) -> String {
    let what = match start {
        "<=" | "<!" => "looks behind",
        _ if start.starts_with(['=', '!']) => "looks ahead",
        _ if start.starts_with('>') => "does not go back",
        _ if start.starts_with('#') => "is a comment",
        "P=" => "refers back to a group",
        _ => return format!("there is no `(?{start}`"),
    };
    format!("`(?{}` {what}, which RE2 does not have", start.trim_end_matches(char::is_alphanumeric))
}

#[cfg(test)]
mod tests;
