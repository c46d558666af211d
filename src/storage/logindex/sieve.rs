//! What the bytes of a record must have in them for a filter to be true of it.
//!
//! Of the records that are scanned most do not match, and looking for a few bytes takes a small
//! part of the time that reading fields takes.

use std::ops::Range;

use aho_corasick::packed::{Config, MatchKind, Searcher};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::filter::{FieldName, Filter, Test, Wanted};
use super::parts::Touched;
use super::record::Envelope;
use super::required::required_parts;
use crate::data::wire::Writer;

/// Shorter literals are nearly everywhere.
const MIN_BYTES: usize = 2;

/// A searcher looks for so many bytes of a literal.
const MAX_WINDOW: usize = 4;

/// A searcher looks for at most so many texts: windows of literals in each case.
const MAX_WINDOWS: usize = 64;

/// Conditions that are looked at, the longest literals first.
const MAX_COVERS: usize = 4;

/// The sign for kelvin, which is a `K` in lower case too.
const KELVIN: &str = "\u{212a}";

/// Bytes that are frequent in logs, the most frequent first; all others are rare.
const FREQUENT: &[u8] = b"e0ta1oinr2s3ld45c6m7u89p.gh/f-b:yw_ =vk";

/// Conditions that are necessary for a filter to be true of a record.
pub(crate) struct Sieve {
    covers: Vec<Cover>,
}

/// A condition: at least one of some literals is there, ASCII letters in any case.
#[derive(Clone, Debug, Default, PartialEq)]
struct Need {
    literals: Vec<Vec<u8>>,
    /// Where they are; of bodies it speaks only where those are texts.
    touched: Touched,
    /// What shares the record may have them in the record's place.
    is_of_envelope: bool,
}

/// A need that can be looked for.
pub(crate) struct Cover {
    /// Finds a part of each literal, in every case.
    searcher: Searcher,
    /// Each with the place in it of what the searcher finds.
    literals: Vec<(Vec<u8>, usize)>,
    /// Where they are; of bodies it speaks only where those are texts.
    pub(crate) touched: Touched,
    pub(crate) is_of_envelope: bool,
}

/// Where in some bytes records may be that match.
pub(crate) struct Sifted<'a> {
    bytes: &'a [u8],
    /// Without one, anywhere.
    pub(crate) cover: Option<&'a Cover>,
    /// Where a literal stands next.
    next: Option<usize>,
}

impl Sieve {
    /// The conditions that `filter` makes necessary; there may be none.
    pub(crate) fn new(filter: &Filter) -> Self {
        let mut needs = needs(filter);
        needs.sort_by_key(|need| std::cmp::Reverse(need.shortest()));
        needs.dedup();
        Self { covers: needs.into_iter().filter_map(Cover::new).take(MAX_COVERS).collect() }
    }

    /// Looks through `bytes` for what may match; of the covers that are `usable` it takes the one
    /// that seems to be the rarest.
    pub(crate) fn sift<'a>(
        &'a self,
        bytes: &'a [u8],
        usable: impl Fn(&Cover) -> bool,
    ) -> Sifted<'a> {
        let mut sifted = Sifted { bytes, cover: None, next: None };
        for cover in self.covers.iter().filter(|cover| usable(cover)) {
            let first = cover.find(bytes, 0);
            if sifted.cover.is_none() || first.is_none() || first > sifted.next {
                (sifted.cover, sifted.next) = (Some(cover), first);
            }
            if first.is_none() {
                break;
            }
        }
        sifted
    }
}

impl Sifted<'_> {
    /// Whether no record of the bytes matches.
    pub(crate) const fn is_empty(&self) -> bool {
        self.cover.is_some() && self.next.is_none()
    }

    /// Whether what stands at `range` may match; ranges are asked for in order.
    pub(crate) fn may_match(&mut self, range: &Range<usize>) -> bool {
        let Some(cover) = self.cover else {
            return true;
        };
        if self.next.is_some_and(|next| next < range.start) {
            self.next = cover.find(self.bytes, range.start);
        }
        self.next.is_some_and(|next| next < range.end)
    }
}

impl Need {
    fn new(literals: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let literals = literals.into_iter().map(Into::into).collect();
        Self { literals, ..Self::default() }
    }

    /// Of a text in lower case, which stands somewhere in any case.
    fn of_any_case(text: &str) -> Self {
        let runs = text.split(|char: char| !char.is_ascii());
        // An `i` at the end may come from a Turkish one, which is two characters in lower case.
        let runs = runs.map(|run| run.trim_end_matches('i'));
        let longest = runs.max_by_key(|run| run.len()).unwrap_or_default();
        let kelvin = longest.contains('k').then_some(KELVIN);
        Self::new([longest].into_iter().chain(kelvin))
    }

    fn of(self, touched: Touched) -> Self {
        Self { touched, ..self }
    }

    fn of_envelope(self) -> Self {
        Self { is_of_envelope: true, ..self }
    }

    fn shortest(&self) -> usize {
        self.literals.iter().map(Vec::len).min().unwrap_or_default()
    }

    fn or(mut self, other: Self) -> Self {
        self.literals.extend(other.literals);
        self.touched = self.touched.or(other.touched);
        self.is_of_envelope |= other.is_of_envelope;
        self
    }
}

impl Cover {
    /// Nothing if the literals are too short or too many, or the processor has not what it takes.
    fn new(need: Need) -> Option<Self> {
        if need.shortest() < MIN_BYTES {
            return None;
        }
        let windows = (MIN_BYTES..=MAX_WINDOW).rev().find_map(|length| {
            let parts = need.literals.iter().map(|literal| rarest(literal, length));
            let parts: Vec<(usize, &[u8])> = parts.collect();
            let count: usize = parts.iter().map(|(_, part)| num_cases(part)).sum();
            (count <= MAX_WINDOWS).then_some(parts)
        })?;
        let mut builder = Config::new().match_kind(MatchKind::LeftmostFirst).builder();
        for (_, part) in &windows {
            builder.extend(cases(part));
        }
        let searcher = builder.build()?;
        let places: Vec<usize> = windows.iter().map(|(place, _)| *place).collect();
        let literals = need.literals.into_iter().zip(places).collect();
        let Need { touched, is_of_envelope, .. } = need;
        Some(Self { searcher, literals, touched, is_of_envelope })
    }

    /// Where a literal stands first that begins at `from` or later.
    fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while at < bytes.len() {
            let found = self.searcher.find_in(bytes, (at..bytes.len()).into())?.start();
            let starts = self.literals.iter().filter_map(|(literal, place)| {
                let start = found.checked_sub(*place).filter(|start| *start >= from)?;
                let is_there = bytes.get(start..start + literal.len())?;
                is_there.eq_ignore_ascii_case(literal).then_some(start)
            });
            if let Some(start) = starts.min() {
                return Some(start);
            }
            at = found + 1;
        }
        None
    }

    /// Whether a literal stands in what records share.
    pub(crate) fn is_in(&self, envelope: &Envelope) -> bool {
        let Self { is_of_envelope, .. } = self;
        *is_of_envelope
            && [&envelope.resource, &envelope.scope]
                .into_iter()
                .any(|bytes| self.find(bytes, 0).is_some())
    }
}

/// The part of a literal that is likely to be found the least, and where it stands in it.
fn rarest(literal: &[u8], length: usize) -> (usize, &[u8]) {
    let frequency = |byte: &u8| {
        let byte = byte.to_ascii_lowercase();
        FREQUENT.iter().position(|known| *known == byte).map_or(0, |place| FREQUENT.len() - place)
    };
    let windows = literal.windows(length.min(literal.len()).max(1)).enumerate();
    windows
        .min_by_key(|(_, window)| window.iter().map(frequency).sum::<usize>())
        .unwrap_or((0, literal))
}

fn num_cases(part: &[u8]) -> usize {
    part.iter().map(|byte| if byte.is_ascii_alphabetic() { 2 } else { 1 }).product()
}

/// The part with its letters in every case.
fn cases(part: &[u8]) -> Vec<Vec<u8>> {
    let mut found = vec![Vec::new()];
    for byte in part {
        let lower = byte.to_ascii_lowercase();
        let upper = Some(byte.to_ascii_uppercase()).filter(|upper| *upper != lower);
        found = [Some(lower), upper]
            .into_iter()
            .flatten()
            .flat_map(|byte| found.iter().map(move |before| [before.as_slice(), &[byte]].concat()))
            .collect();
    }
    found
}

/// Conditions all of which are necessary.
fn needs(filter: &Filter) -> Vec<Need> {
    match filter {
        Filter::All | Filter::Not(_) | Filter::Severity(_) => Vec::new(),
        Filter::And(of) => of.iter().flat_map(needs).collect(),
        Filter::Or(of) => {
            let best = of.iter().map(|filter| needs(filter).into_iter().max_by_key(Need::shortest));
            let all: Option<Vec<Need>> = best.collect();
            all.and_then(|all| all.into_iter().reduce(Need::or)).into_iter().collect()
        }
        Filter::Row(row) => {
            row.words.iter().map(|word| Need::of_any_case(word).of(Touched::BODY)).collect()
        }
        Filter::TraceId(id) => vec![Need::new([id.as_bytes().as_slice()]).of(Touched::IDS)],
        Filter::SpanId(id) => vec![Need::new([id.as_bytes().as_slice()]).of(Touched::IDS)],
        Filter::Field(FieldName::TraceId | FieldName::SpanId, _) => Vec::new(),
        Filter::Field(FieldName::Body, test) => {
            text_needs(test).into_iter().map(|need| need.of(Touched::BODY)).collect()
        }
        Filter::Field(FieldName::SeverityText, test) => {
            text_needs(test).into_iter().map(|need| need.of(Touched::REST)).collect()
        }
        Filter::Field(FieldName::Scope, test) => {
            text_needs(test).into_iter().map(Need::of_envelope).collect()
        }
        Filter::Field(FieldName::Attribute(name), test) => {
            // The event's name is a field of the record.
            let named = (name != "event_name").then(|| Need::new([name.as_str()]));
            let needs = named.into_iter().chain(value_need(test));
            needs.map(|need| need.of(Touched::REST).of_envelope()).collect()
        }
    }
}

/// What is in a text that passes.
fn text_needs(test: &Test) -> Vec<Need> {
    match test {
        Test::Exists | Test::Between(..) => Vec::new(),
        Test::Equal(Wanted { text, .. }) | Test::Prefix(text) | Test::Contains(text) => {
            vec![Need::new([text.as_str()])]
        }
        Test::ContainsAnyCase(part) => vec![Need::of_any_case(part)],
        Test::Matches(regex) => {
            required_parts(regex).iter().map(|part| Need::of_any_case(part)).collect()
        }
    }
}

/// What is in the bytes of a value that passes, where it may have another form than its text.
fn value_need(test: &Test) -> Option<Need> {
    match test {
        Test::Equal(wanted) => {
            let text = &wanted.text;
            let is_of_others = text.starts_with(['[', '{']) || text == "true" || text == "false";
            let bytes = STANDARD.decode(text).ok();
            let literals = [Some(text.clone().into_bytes()), bytes].into_iter().flatten();
            (!is_of_others).then(|| Need::new(literals.chain(encoded_numbers(wanted))))
        }
        Test::Prefix(text) => {
            // Numbers begin otherwise, and so does JSON; Base64 has letters and digits only.
            let is_of_text = text.starts_with(|char: char| char.is_ascii_alphabetic())
                && text.contains(|char: char| {
                    !char.is_ascii_alphanumeric() && !matches!(char, '+' | '/' | '=')
                });
            is_of_text.then(|| Need::new([text.as_str()]))
        }
        _ => None,
    }
}

/// How a number stands in a value, a byte before it: that of its tag, or zero, where a tag ends that
/// is longer than it has to be.
fn encoded_numbers(wanted: &Wanted) -> Vec<Vec<u8>> {
    const INT: [u8; 2] = [0x18, 0];
    const DOUBLE: [u8; 2] = [0x21, 0];
    let mut found = Vec::new();
    if let Some(int) = wanted.number.as_ref().and_then(|form| form.parse::<i64>().ok()) {
        let mut writer = Writer::default();
        writer.varint(int.cast_unsigned());
        let plain = writer.into_bytes().to_vec();
        // It may be longer than it has to be, too.
        let mut longer = plain.clone();
        if let Some(last) = longer.last_mut() {
            *last |= 0x80;
        }
        for tag in INT {
            found.extend([&plain, &longer].map(|int| [&[tag], &int[..]].concat()));
        }
    }
    if let Some(double) = wanted.value {
        let zero = (double == 0.0).then_some(-double);
        for double in [Some(double), zero].into_iter().flatten() {
            found.extend(DOUBLE.map(|tag| [&[tag], &double.to_le_bytes()[..]].concat()));
        }
    }
    found
}
