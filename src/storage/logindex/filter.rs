//! What is looked for: conditions on one record.

use std::ops::RangeInclusive;

use memchr::memchr2_iter;
use regex::Regex;

use crate::data::{SpanId, TraceId, push_double};

/// A condition on one record.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Every record.
    All,
    /// All of these.
    And(Vec<Filter>),
    /// At least one of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// Words of the body.
    Row(Row),
    /// The number of the severity, 0 to 24.
    Severity(RangeInclusive<u8>),
    /// The trace id.
    TraceId(TraceId),
    /// The span id.
    SpanId(SpanId),
    /// A test of the values of a field: one that passes is enough.
    Field(FieldName, Test),
}

/// Words that stand in the body in a row, in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The words, in lower case.
    pub words: Vec<String>,
    /// Whether the last one is only the beginning of a word.
    pub is_open: bool,
}

/// Which values of a record a test looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldName {
    /// The body as text.
    Body,
    /// The text of the severity.
    SeverityText,
    /// The name of the instrumentation scope.
    Scope,
    /// The trace id in hex, if there is one.
    TraceId,
    /// The span id in hex, if there is one.
    SpanId,
    /// Attributes of this name: of the record, its scope and its resource. `event_name` is the
    /// record's own field too.
    Attribute(String),
}

/// A test of one value.
#[derive(Clone, Debug)]
pub enum Test {
    /// There is one.
    Exists,
    /// Its text is this, or it is this number.
    Equal(Wanted),
    /// Its text begins like this.
    Prefix(String),
    /// Its text has this in it.
    Contains(String),
    /// Its text has this in it, in any case; what is looked for is in lower case.
    ContainsAnyCase(String),
    /// Its text matches.
    Matches(Regex),
    /// It lies between these.
    Between(Limit, Limit),
}

/// A text that may also be read as a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// As written.
    pub text: String,
    /// The number in its one form, when it is one: equal numbers have equal forms.
    pub number: Option<String>,
    /// The number's value, when it is one.
    pub value: Option<f64>,
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// No limit.
    Open,
    /// This belongs to the range.
    Included(Wanted),
    /// This does not belong to the range.
    Excluded(Wanted),
}

/// A value of a record, as far as tests tell kinds apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operand<'a> {
    Text(&'a str),
    Int(i64),
    Double(f64),
}

impl Wanted {
    /// Reads `text` as what is looked for.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let number = if let Ok(int) = text.parse::<i64>() {
            Some(int.to_string())
        } else {
            plain_number(&text).map(double_form)
        };
        let value = plain_number(&text);
        Self { text, number, value }
    }
}

impl Limit {
    /// Its number; nothing where there is no limit, and no answer where it is none.
    pub(crate) fn value(&self) -> Option<Option<f64>> {
        match self {
            Self::Open => Some(None),
            Self::Included(wanted) | Self::Excluded(wanted) => wanted.value.map(Some),
        }
    }
}

impl Test {
    /// Whether a value passes.
    pub(crate) fn passes(&self, value: Operand<'_>) -> bool {
        match self {
            Self::Exists => true,
            Self::Equal(wanted) => match value {
                Operand::Text(text) => text == wanted.text,
                // In its one form, so no other text is this number.
                Operand::Int(int) => wanted.number.as_ref().is_some_and(|n| n.parse() == Ok(int)),
                // Equal forms are those of equal numbers.
                Operand::Double(double) => {
                    wanted.value == Some(double) && wanted.number == Some(double_form(double))
                }
            },
            Self::Between(low, high) => is_between(value, low, high),
            Self::Prefix(prefix) => with_text(value, |text| text.starts_with(prefix.as_str())),
            Self::Contains(part) => with_text(value, |text| text.contains(part.as_str())),
            Self::ContainsAnyCase(part) => with_text(value, |text| contains_any_case(text, part)),
            Self::Matches(regex) => with_text(value, |text| regex.is_match(text)),
        }
    }
}

/// The one form of a double, that of an integer where it is one.
pub(crate) fn double_form(double: f64) -> String {
    let mut form = String::new();
    // Minus zero is zero.
    push_double(double + 0.0, &mut form);
    form
}

/// Numbers as people write them: not `inf`, not `nan`.
fn plain_number(text: &str) -> Option<f64> {
    let begins_well = |char: char| char.is_ascii_digit() || matches!(char, '-' | '+' | '.');
    let is_plain = text.starts_with(begins_well)
        && text.chars().all(|char| begins_well(char) || matches!(char, 'e' | 'E'));
    text.parse().ok().filter(|_| is_plain)
}

fn with_text(value: Operand<'_>, test: impl Fn(&str) -> bool) -> bool {
    match value {
        Operand::Text(text) => test(text),
        Operand::Int(int) => test(&int.to_string()),
        Operand::Double(double) => test(&double_form(double)),
    }
}

fn contains_any_case(text: &str, part: &str) -> bool {
    if text.is_ascii() {
        let (text, part) = (text.as_bytes(), part.as_bytes());
        let Some(first) = part.first() else {
            return true;
        };
        let is_at = |start: usize| {
            let there = text.get(start..start + part.len());
            there.is_some_and(|there| there.eq_ignore_ascii_case(part))
        };
        let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
        return memchr2_iter(lower, upper, text).any(is_at);
    }
    text.to_lowercase().contains(part)
}

fn is_between(value: Operand<'_>, low: &Limit, high: &Limit) -> bool {
    let (Some(low_value), Some(high_value)) = (low.value(), high.value()) else {
        let Operand::Text(text) = value else {
            return false;
        };
        return is_within(text.cmp(limit_text(low)), text.cmp(limit_text(high)), low, high);
    };
    #[expect(clippy::cast_precision_loss, reason = "limits are doubles")]
    let number = match value {
        Operand::Int(int) => Some(int as f64),
        Operand::Double(double) => Some(double),
        Operand::Text(text) => plain_number(text),
    };
    let Some(number) = number.filter(|number| !number.is_nan()) else {
        return false;
    };
    let order = |limit: Option<f64>| {
        number.partial_cmp(&limit.unwrap_or(0.0)).unwrap_or(std::cmp::Ordering::Equal)
    };
    is_within(order(low_value), order(high_value), low, high)
}

fn limit_text(limit: &Limit) -> &str {
    match limit {
        Limit::Open => "",
        Limit::Included(wanted) | Limit::Excluded(wanted) => &wanted.text,
    }
}

fn is_within(
    to_low: std::cmp::Ordering,
    to_high: std::cmp::Ordering,
    low: &Limit,
    high: &Limit,
) -> bool {
    let above = match low {
        Limit::Open => true,
        Limit::Included(_) => to_low.is_ge(),
        Limit::Excluded(_) => to_low.is_gt(),
    };
    above
        && match high {
            Limit::Open => true,
            Limit::Included(_) => to_high.is_le(),
            Limit::Excluded(_) => to_high.is_lt(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn included(text: &str) -> Limit {
        Limit::Included(Wanted::new(text))
    }

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        let equal = |wanted: &str| Test::Equal(Wanted::new(wanted));
        for wanted in ["200", "200.0", "2e2", "+200"] {
            assert!(equal(wanted).passes(Operand::Int(200)), "{wanted}");
            assert!(equal(wanted).passes(Operand::Double(200.0)), "{wanted}");
        }
        assert!(equal("200").passes(Operand::Text("200")));
        assert!(!equal("200.0").passes(Operand::Text("200")));
        assert!(equal("9223372036854775807").passes(Operand::Int(i64::MAX)));
        assert!(!equal("9223372036854775806").passes(Operand::Int(i64::MAX)));
        assert!(equal("0.1").passes(Operand::Double(0.1)));
        assert!(!equal("nan").passes(Operand::Double(f64::NAN)));
    }

    #[test]
    fn ranges_compare_numbers_as_numbers_and_text_as_text() {
        let range = Test::Between(included("5"), Limit::Excluded(Wanted::new("10")));
        assert!(range.passes(Operand::Int(5)));
        assert!(range.passes(Operand::Double(9.5)));
        assert!(range.passes(Operand::Text("7")));
        assert!(!range.passes(Operand::Int(10)));
        assert!(!range.passes(Operand::Text("seven")));
        let text = Test::Between(included("b"), Limit::Open);
        assert!(text.passes(Operand::Text("bee")));
        assert!(!text.passes(Operand::Text("a")));
        assert!(!text.passes(Operand::Int(7)));
    }

    #[test]
    fn part_is_found_in_any_case_only_where_that_is_meant() {
        assert!(Test::ContainsAnyCase("größe".into()).passes(Operand::Text("die GRÖSSE, GRÖßE")));
        assert!(Test::ContainsAnyCase("refused".into()).passes(Operand::Text("Refused!")));
        assert!(!Test::Contains("refused".into()).passes(Operand::Text("Refused!")));
        assert!(Test::Prefix("20".into()).passes(Operand::Int(200)));
    }
}
