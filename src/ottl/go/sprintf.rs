//! Texts made of a format and values, as Go's `fmt.Sprintf` makes them, its complaints included.
//!
//! Of the flags, `#` of `%v` writes texts quoted and leaves the rest as `%v` does, where Go would
//! write Go source.

use std::iter::Peekable;
use std::str::Chars;

use super::Tree;
use super::duration::format_duration;
use super::number::{format_float, is_printable, quote, quote_letter};

/// Widths and precisions from here on are refused, as in Go.
const MAX_WIDTH: i64 = 1_000_000;

/// Writes `values` as `format` says.
#[must_use]
pub fn sprintf(format: &str, values: &[Tree]) -> String {
    let mut printer = Printer {
        out: String::with_capacity(format.len() + 16),
        values,
        next: 0,
        is_reordered: false,
        is_good_index: true,
        flags: Flags::default(),
    };
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '%' {
            printer.directive(&mut letters);
        } else {
            printer.out.push(letter);
        }
    }
    printer.complain_of_the_rest();
    printer.out
}

#[derive(Clone, Copy, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v` and `%#v`, which say something else than for other verbs.
    sharp_value: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'v> {
    out: String,
    values: &'v [Tree],
    next: usize,
    is_reordered: bool,
    is_good_index: bool,
    flags: Flags,
}

impl Printer<'_> {
    fn directive(&mut self, letters: &mut Peekable<Chars<'_>>) {
        self.flags = Flags::default();
        self.is_good_index = true;
        while let Some(flag) = letters.peek() {
            match flag {
                '#' => self.flags.sharp = true,
                '0' => self.flags.zero = true,
                '+' => self.flags.plus = true,
                '-' => self.flags.minus = true,
                ' ' => self.flags.space = true,
                _ => break,
            }
            letters.next();
        }
        let mut is_after_index = self.index(letters);
        if letters.next_if_eq(&'*').is_some() {
            is_after_index = false;
            match self.star() {
                Some(width) => {
                    self.flags.minus |= width < 0;
                    self.flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.out.push_str("%!(BADWIDTH)"),
            }
        } else if let Some(width) = number(letters) {
            self.flags.width = Some(width);
            self.is_good_index &= !is_after_index;
        }
        if letters.next_if_eq(&'.').is_some() {
            self.is_good_index &= !is_after_index;
            is_after_index = self.index(letters);
            if letters.next_if_eq(&'*').is_some() {
                is_after_index = false;
                match self.star() {
                    Some(precision) => self.flags.precision = usize::try_from(precision).ok(),
                    None => self.out.push_str("%!(BADPREC)"),
                }
            } else {
                self.flags.precision = Some(number(letters).unwrap_or_default());
            }
        }
        if !is_after_index {
            self.index(letters);
        }
        match letters.next() {
            None => self.out.push_str("%!(NOVERB)"),
            Some(verb) => self.verb(verb),
        }
    }

    fn verb(&mut self, verb: char) {
        if verb == '%' {
            return self.out.push('%');
        }
        if !self.is_good_index {
            return self.complain(verb, "(BADINDEX)");
        }
        let values = self.values;
        let Some(value) = values.get(self.next) else { return self.complain(verb, "(MISSING)") };
        self.next += 1;
        if verb == 'v' {
            self.flags.sharp_value = std::mem::take(&mut self.flags.sharp);
            self.flags.plus = false;
        }
        self.value(value, verb);
    }

    /// `%!v(…)`, which tells what is wrong with a verb.
    fn complain(&mut self, verb: char, reason: &str) {
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push_str(reason);
    }

    fn complain_of_the_rest(&mut self) {
        let values = self.values;
        let rest = values.get(self.next..).unwrap_or_default();
        if self.is_reordered || rest.is_empty() {
            return;
        }
        self.flags = Flags::default();
        self.out.push_str("%!(EXTRA ");
        for (index, value) in rest.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.typed(value);
        }
        self.out.push(')');
    }

    /// `int64=5`, or `<nil>`.
    fn typed(&mut self, value: &Tree) {
        if *value != Tree::Nil {
            self.out.push_str(type_name(value));
            self.out.push('=');
        }
        self.value(value, 'v');
    }

    fn bad_verb(&mut self, verb: char, value: &Tree) {
        self.complain(verb, "(");
        self.typed(value);
        self.out.push(')');
    }

    /// Reads `[2]`, which names the next value; whether it was there and right.
    fn index(&mut self, letters: &mut Peekable<Chars<'_>>) -> bool {
        if letters.peek() != Some(&'[') {
            return false;
        }
        self.is_reordered = true;
        let mut ahead = letters.clone();
        ahead.next();
        let digits: String = ahead.by_ref().take_while(|letter| *letter != ']').collect();
        let is_closed = letters.clone().any(|letter| letter == ']');
        if is_closed {
            *letters = ahead;
        } else {
            letters.next();
        }
        let index = digits.parse::<usize>().ok().filter(|_| is_closed);
        match index.and_then(|index| index.checked_sub(1)) {
            Some(index) if index < self.values.len() => {
                self.next = index;
                true
            }
            _ => {
                self.is_good_index = false;
                is_closed && digits.parse::<usize>().is_ok()
            }
        }
    }

    /// The width or precision that a value gives.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next);
        if value.is_some() {
            self.next += 1;
        }
        match value {
            Some(Tree::Int(number)) if number.abs() <= MAX_WIDTH => Some(*number),
            _ => None,
        }
    }

    fn value(&mut self, value: &Tree, verb: char) {
        if verb == 'T' {
            return self.text(type_name(value), 's');
        }
        match value {
            Tree::Nil if verb == 'v' => self.pad("<nil>"),
            Tree::Nil => self.complain(verb, "(<nil>)"),
            Tree::Bool(flag) if matches!(verb, 't' | 'v') => {
                self.pad(if *flag { "true" } else { "false" });
            }
            Tree::Int(number) => self.int(*number, verb, value),
            Tree::Duration(nanos) if matches!(verb, 'v' | 's' | 'q' | 'x' | 'X') => {
                self.text(&format_duration(*nanos), verb);
            }
            Tree::Duration(nanos) => self.int(*nanos, verb, value),
            Tree::Double(number) => self.double(*number, verb, value),
            Tree::Str(text) if matches!(verb, 'v' | 's' | 'q' | 'x' | 'X') => self.text(text, verb),
            Tree::Bytes(bytes) => self.bytes(bytes, verb, value),
            Tree::List(values) => self.list(values, verb),
            Tree::Map(pairs) => self.map(pairs, verb),
            Tree::Bool(_) | Tree::Str(_) => self.bad_verb(verb, value),
        }
    }

    fn list(&mut self, values: &[Tree], verb: char) {
        self.out.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(' ');
            }
            self.value(value, verb);
        }
        self.out.push(']');
    }

    fn map(&mut self, pairs: &[(String, Tree)], verb: char) {
        let mut sorted: Vec<&(String, Tree)> = pairs.iter().collect();
        sorted.sort_by(|left, right| left.0.cmp(&right.0));
        self.out.push_str("map[");
        for (index, (key, value)) in sorted.into_iter().enumerate() {
            if index > 0 {
                self.out.push(' ');
            }
            self.value(&Tree::Str(key.clone()), verb);
            self.out.push(':');
            self.value(value, verb);
        }
        self.out.push(']');
    }

    fn int(&mut self, number: i64, verb: char, value: &Tree) {
        let size = number.unsigned_abs();
        let (digits, prefix) = match verb {
            'd' | 'v' => (size.to_string(), ""),
            'b' => (format!("{size:b}"), if self.flags.sharp { "0b" } else { "" }),
            'o' => (format!("{size:o}"), if self.flags.sharp { "0" } else { "" }),
            'O' => (format!("{size:o}"), "0o"),
            'x' => (format!("{size:x}"), if self.flags.sharp { "0x" } else { "" }),
            'X' => (format!("{size:X}"), if self.flags.sharp { "0X" } else { "" }),
            'c' => return self.pad(&letter(number).to_string()),
            'q' => return self.pad(&quote_letter(letter(number), self.flags.plus)),
            'U' => return self.code_point(number),
            _ => return self.bad_verb(verb, value),
        };
        self.digits(number < 0, prefix, digits);
    }

    fn digits(&mut self, is_negative: bool, prefix: &str, mut digits: String) {
        let Flags { minus, plus, space, zero, width, precision, .. } = self.flags;
        let sign = match (is_negative, plus, space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let wanted = match (precision, width) {
            (Some(0), _) if digits == "0" => {
                self.flags.zero = false;
                return self.pad("");
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if zero && !minus => width.saturating_sub(sign.len()),
            _ => 0,
        };
        if digits.len() < wanted {
            digits.insert_str(0, &"0".repeat(wanted - digits.len()));
        }
        let prefix = if prefix == "0" && digits.starts_with('0') { "" } else { prefix };
        self.flags.zero = false;
        self.pad(&format!("{sign}{prefix}{digits}"));
        self.flags.zero = zero;
    }

    fn code_point(&mut self, number: i64) {
        let width = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{number:0width$X}");
        let letter = u32::try_from(number).ok().and_then(char::from_u32);
        if let Some(letter) = letter.filter(|letter| self.flags.sharp && is_printable(*letter)) {
            text.push_str(&format!(" '{letter}'"));
        }
        self.flags.zero = false;
        self.pad(&text);
    }

    fn double(&mut self, number: f64, verb: char, value: &Tree) {
        let (form, precision) = match verb {
            'v' => ('g', None),
            'e' | 'E' | 'f' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            _ => return self.bad_verb(verb, value),
        };
        let precision = self.flags.precision.or(precision);
        let mut text = format_float(number, form, precision);
        if !text.starts_with(['+', '-']) {
            text.insert(0, '+');
        }
        let Flags { plus, space, zero, .. } = self.flags;
        if !number.is_finite() {
            self.flags.zero = false;
            let text = if number.is_nan() && !space && !plus { "NaN" } else { &text };
            self.pad(&if space && !plus { text.replacen('+', " ", 1) } else { text.to_owned() });
            self.flags.zero = zero;
            return;
        }
        if self.flags.sharp && verb != 'b' {
            text = with_all_digits(&text, verb, self.flags.precision);
        }
        let rest = text.split_off(1);
        let sign = match (&*text, plus, space) {
            ("+", false, true) => " ",
            ("+", false, false) => "",
            (sign, ..) => sign,
        };
        self.pad_after_sign(sign, &rest);
    }

    fn pad_after_sign(&mut self, sign: &str, rest: &str) {
        let width = self.flags.width.unwrap_or_default();
        if self.flags.zero && !self.flags.minus && !sign.is_empty() && width > rest.len() + 1 {
            let zeros = "0".repeat(width - rest.len() - 1);
            self.out.push_str(&format!("{sign}{zeros}{rest}"));
        } else {
            self.pad(&format!("{sign}{rest}"));
        }
    }

    fn text(&mut self, text: &str, verb: char) {
        let shown: String = match self.flags.precision {
            Some(precision) if !matches!(verb, 'x' | 'X') => text.chars().take(precision).collect(),
            _ => text.to_owned(),
        };
        let is_quoted = verb == 'q' || (verb == 'v' && self.flags.sharp_value);
        match verb {
            'x' | 'X' => self.hex(text.as_bytes(), verb),
            _ if !is_quoted => self.pad(&shown),
            _ if self.flags.sharp && can_be_between_backquotes(&shown) => {
                self.pad(&format!("`{shown}`"));
            }
            _ => self.pad(&quote(&shown, self.flags.plus)),
        }
    }

    fn bytes(&mut self, bytes: &[u8], verb: char, value: &Tree) {
        match verb {
            's' | 'q' => self.text(&String::from_utf8_lossy(bytes), verb),
            'x' | 'X' => self.hex(bytes, verb),
            'v' | 'd' => {
                let numbers: Vec<Tree> =
                    bytes.iter().map(|byte| Tree::Int((*byte).into())).collect();
                self.list(&numbers, verb);
            }
            _ => self.bad_verb(verb, value),
        }
    }

    fn hex(&mut self, bytes: &[u8], verb: char) {
        let shown = self.flags.precision.and_then(|length| bytes.get(..length)).unwrap_or(bytes);
        let prefix = match (self.flags.sharp, verb) {
            (false, _) => "",
            (true, 'x') => "0x",
            (true, _) => "0X",
        };
        let mut text = String::new();
        for (index, byte) in shown.iter().enumerate() {
            if self.flags.space && index > 0 {
                text.push(' ');
            }
            if index == 0 || self.flags.space {
                text.push_str(prefix);
            }
            text.push_str(&if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
        }
        self.pad(&text);
    }

    fn pad(&mut self, text: &str) {
        let num_letters = text.chars().count();
        let missing = self.flags.width.unwrap_or_default().saturating_sub(num_letters);
        if self.flags.minus {
            self.out.push_str(text);
            self.out.push_str(&" ".repeat(missing));
            return;
        }
        let filler = if self.flags.zero { "0" } else { " " };
        self.out.push_str(&filler.repeat(missing));
        self.out.push_str(text);
    }
}

fn type_name(value: &Tree) -> &'static str {
    match value {
        Tree::Nil => "<nil>",
        Tree::Bool(_) => "bool",
        Tree::Int(_) => "int64",
        Tree::Double(_) => "float64",
        Tree::Duration(_) => "time.Duration",
        Tree::Str(_) => "string",
        Tree::Bytes(_) => "[]uint8",
        Tree::List(_) => "[]interface {}",
        Tree::Map(_) => "map[string]interface {}",
    }
}

fn letter(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The digits of a width or precision; too many are none.
fn number(letters: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let mut digits = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    digits.parse().ok().filter(|number| i64::try_from(*number).is_ok_and(|n| n <= MAX_WIDTH))
}

fn can_be_between_backquotes(text: &str) -> bool {
    text.chars().all(|letter| {
        letter == '\t' || (!letter.is_control() && letter != '`' && letter != '\u{feff}')
    })
}

/// The number with a point and as many digits as `#` asks for.
fn with_all_digits(text: &str, verb: char, precision: Option<usize>) -> String {
    let mut wanted = match verb {
        'v' | 'g' | 'G' | 'x' | 'X' => precision.unwrap_or(6),
        _ => 0,
    };
    let exponents: &[char] = if matches!(verb, 'x' | 'X') { &['p', 'P'] } else { &['e', 'E'] };
    let at = text.find(exponents).unwrap_or(text.len());
    let (number, exponent) = text.split_at_checked(at).unwrap_or((text, ""));
    let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
    let mut saw_nonzero = false;
    for letter in unsigned.chars().filter(|letter| *letter != '.') {
        saw_nonzero |= letter != '0';
        if saw_nonzero {
            wanted = wanted.saturating_sub(1);
        }
    }
    let mut full = number.to_owned();
    if !number.contains('.') {
        if unsigned == "0" {
            wanted = wanted.saturating_sub(1);
        }
        full.push('.');
    }
    full.push_str(&"0".repeat(wanted));
    full.push_str(exponent);
    full
}

#[cfg(test)]
mod tests;
