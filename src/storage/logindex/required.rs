//! What a text must have in it to be matched by a regular expression.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Shorter parts are in too many texts.
const MIN_BYTES: usize = 3;

/// Texts, in lower case, all of which are in each text that matches, in some case.
pub(crate) fn required_parts(regex: &Regex) -> Vec<String> {
    let mut parts = Parts::default();
    // What was made into a regular expression can be read as one.
    if let Ok(hir) = regex_syntax::parse(regex.as_str()) {
        parts.add(&hir);
    }
    parts.end();
    parts.found
}

#[derive(Default)]
struct Parts {
    found: Vec<String>,
    /// What stands in a row so far.
    row: String,
}

impl Parts {
    fn add(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Literal(literal) => match str::from_utf8(&literal.0) {
                Ok(text) => self.row.push_str(&text.to_lowercase()),
                Err(_) => self.end(),
            },
            HirKind::Class(class) => match one_letter(class) {
                Some(letter) => self.row.push(letter),
                None => self.end(),
            },
            HirKind::Capture(capture) => self.add(&capture.sub),
            HirKind::Concat(of) => of.iter().for_each(|hir| self.add(hir)),
            HirKind::Repetition(repetition) if repetition.min > 0 => {
                self.end();
                self.add(&repetition.sub);
                self.end();
            }
            // They match between characters, so what stands in a row still does.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Repetition(_) | HirKind::Alternation(_) => self.end(),
        }
    }

    fn end(&mut self) {
        let row = std::mem::take(&mut self.row);
        if row.len() >= MIN_BYTES {
            self.found.push(row);
        }
    }
}

/// The letter whose cases a class consists of.
fn one_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else {
        return None;
    };
    if class.iter().map(|range| range.len()).sum::<usize>() > 4 {
        return None;
    }
    let chars = class.iter().flat_map(|range| range.start()..=range.end());
    let mut letters = chars.map(|char| {
        let mut lower = char.to_lowercase();
        lower.next().filter(|_| lower.next().is_none())
    });
    let first = letters.next()??;
    letters.all(|letter| letter == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_every_match_has_are_found() {
        let parts = |regex: &str| required_parts(&Regex::new(regex).unwrap());
        assert_eq!(parts(r"timeout after \d+ms"), ["timeout after "]);
        assert_eq!(parts(r"^Failed (password|none) for (\w+) from"), ["failed ", " for ", " from"]);
        assert_eq!(parts("(?i)timeout"), ["timeout"]);
        // The long s is a case of `s`.
        assert_eq!(parts("(?i)refused"), ["refu"]);
        assert_eq!(parts("(abc)+x(def)*(ghi){2}"), ["abc", "ghi"]);
        assert_eq!(parts("abc|def"), [""; 0]);
        assert_eq!(parts(r"foo\bbar"), ["foobar"]);
        assert_eq!(parts("(?-u)Größe"), ["größe"]);
    }
}
