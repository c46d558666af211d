//! Turns a filter into a query over terms that finds at least what the filter is true of.

use std::ops::RangeInclusive;
use std::sync::Arc;

use memchr::memmem::Finder;
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, Query, TermQuery, TermSetQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use super::envelopes::EnvelopeList;
use super::filter::{FieldName, Filter, Operand, Row, Test, Wanted};
use super::key::{
    Kind, hex_key, hex_prefix_keys, keys_of_numbers, number_key, number_test, number_value_key,
    number_value_keys, prefix_keys, text_key, text_keys,
};
use super::lookup::{KeyTest, KeysQuery, TermsQuery};
use super::patience::Patience;
use super::required::required_parts;
use super::schema::{
    CUT_WORD, Detail, Fields, HEX_WORD, NUMBER_KEY_MARK, NUMBER_MARK, TEXT_KEY_MARK, TEXT_MARK,
    is_indexed, is_number_term, is_term, push_term,
};
use super::words::{MAX_WORD_BYTES, WordKind, is_hex, is_number, term_of, words};

/// A query that finds at least what is looked for.
pub(crate) struct Plan {
    pub(crate) query: Found,
    /// Whether it finds nothing else.
    pub(crate) is_exact: bool,
}

/// What a query finds, as far as that is known without running it.
pub(crate) enum Found {
    Everything,
    Nothing,
    Some(Box<dyn Query>),
}

impl Plan {
    const EVERYTHING: Self = Self { query: Found::Everything, is_exact: true };
    const NOTHING: Self = Self { query: Found::Nothing, is_exact: true };
    /// Every record has to be looked at.
    const SCAN: Self = Self { query: Found::Everything, is_exact: false };

    fn exact(query: impl Query) -> Self {
        Self { query: Found::Some(Box::new(query)), is_exact: true }
    }

    fn into_query(self) -> Box<dyn Query> {
        match self.query {
            Found::Everything => Box::new(AllQuery),
            Found::Nothing => Box::new(EmptyQuery),
            Found::Some(query) => query,
        }
    }
}

/// Plans over one window's index.
pub(crate) struct Planner<'a> {
    pub(crate) searcher: &'a Searcher,
    pub(crate) fields: &'a Fields,
    pub(crate) detail: Detail,
    pub(crate) envelopes: &'a EnvelopeList,
    /// When looking up is given up.
    pub(crate) patience: &'a Patience,
}

impl Planner<'_> {
    /// The plan for `filter`.
    pub(crate) fn plan(&self, filter: &Filter) -> Plan {
        match filter {
            Filter::All => Plan::EVERYTHING,
            Filter::And(of) => all_of(of.iter().map(|filter| self.plan(filter))),
            Filter::Or(of) => any_of(of.iter().map(|filter| self.plan(filter))),
            Filter::Not(of) => none_of(self.plan(of)),
            Filter::Row(row) => self.row(row),
            // Few terms, and tantivy's ranges over columns overflow in debug builds.
            Filter::Severity(range) if range.contains(&0) && range.contains(&24) => {
                Plan::EVERYTHING
            }
            Filter::Severity(range) => {
                any_of(range.clone().map(|number| {
                    term(Term::from_field_u64(self.fields.severity, u64::from(number)))
                }))
            }
            Filter::TraceId(id) => self.key(Kind::TraceId.key(id.as_bytes())),
            Filter::SpanId(id) => self.key(Kind::SpanId.key(id.as_bytes())),
            Filter::Field(FieldName::Body, test) => self.body(test),
            Filter::Field(FieldName::Scope, test) => {
                self.envelopes(|envelope| envelope.scope_passes(test))
            }
            Filter::Field(FieldName::Attribute(name), test) => any_of([
                self.attribute(name, test),
                self.envelopes(|envelope| envelope.passes(name, test)),
            ]),
            Filter::Field(..) => Plan::SCAN,
        }
    }

    /// Records that have a key, and some whose key is the same by chance.
    fn key(&self, key: u64) -> Plan {
        Plan { is_exact: false, ..self.keys(vec![key..=key]) }
    }

    fn keys(&self, ranges: Vec<RangeInclusive<u64>>) -> Plan {
        self.keys_that_pass(ranges, None)
    }

    fn keys_that_pass(&self, ranges: Vec<RangeInclusive<u64>>, test: Option<KeyTest>) -> Plan {
        match self.detail {
            Detail::Full => {
                Plan::exact(KeysQuery { ranges, test, patience: self.patience.clone() })
            }
            Detail::Lean => Plan::SCAN,
        }
    }

    /// The words of a row are terms; that they stand in a row is seen on the record.
    fn row(&self, row: &Row) -> Plan {
        let last = row.words.len().saturating_sub(1);
        let words = row.words.iter().enumerate().map(|(index, word)| {
            if row.is_open && index == last { self.prefix(word) } else { self.word(word) }
        });
        let plan = all_of(words);
        Plan { is_exact: plan.is_exact && row.words.len() <= 1, ..plan }
    }

    fn word(&self, word: &str) -> Plan {
        match (WordKind::of(word), self.detail) {
            (WordKind::Number, _) => {
                let (key, is_whole) = number_key(word);
                let plan = self.keys(vec![key..=key]);
                Plan { is_exact: plan.is_exact && is_whole, ..plan }
            }
            (WordKind::Hex, Detail::Full) => self.key(hex_key(word)),
            (WordKind::Hex, Detail::Lean) => self.marked(HEX_WORD),
            (WordKind::Other, _) => {
                let plan = self.term(self.fields.body, term_of(word).as_bytes());
                // A term that is cut stands for longer words too.
                Plan { is_exact: word.len() < MAX_WORD_BYTES - 3, ..plan }
            }
        }
    }

    fn prefix(&self, word: &str) -> Plan {
        if word.len() >= MAX_WORD_BYTES - 3 {
            return Plan::SCAN;
        }
        let mut plans = vec![self.terms(self.fields.body, word.as_bytes().to_vec(), |_| true)];
        if is_hex(word) {
            plans.push(match self.detail {
                Detail::Full => {
                    let (range, is_exact) = hex_prefix_keys(word);
                    Plan { is_exact, ..self.keys(vec![range]) }
                }
                Detail::Lean => self.marked(HEX_WORD),
            });
        }
        if is_number(word) {
            plans.push(self.keys(prefix_keys(word)));
        }
        any_of(plans)
    }

    /// Bodies with a term that tells of words which are not terms: some of what is looked for.
    fn marked(&self, mark: &str) -> Plan {
        Plan { is_exact: false, ..self.term(self.fields.body, mark.as_bytes()) }
    }

    /// What is looked for in a body has words, or parts of words, that are terms.
    fn body(&self, test: &Test) -> Plan {
        let plan = match test {
            Test::ContainsAnyCase(part) => return self.part(part),
            Test::Contains(part) => self.part(&part.to_lowercase()),
            Test::Prefix(start) => {
                let is_open = start.ends_with(|char: char| char.is_alphanumeric());
                self.row(&Row { words: words(start), is_open })
            }
            // Numbers may be written otherwise.
            Test::Equal(wanted) if wanted.number.is_none() => {
                self.row(&Row { words: words(&wanted.text), is_open: false })
            }
            Test::Matches(regex) => {
                all_of(required_parts(regex).iter().map(|part| self.part(part)))
            }
            Test::Exists | Test::Equal(_) | Test::Between(..) => Plan::SCAN,
        };
        Plan { is_exact: false, ..plan }
    }

    /// Bodies that have `part`, in lower case, in them.
    fn part(&self, part: &str) -> Plan {
        if !part.is_ascii() {
            return Plan::SCAN;
        }
        let pieces: Vec<&str> = part.split(|char: char| !char.is_alphanumeric()).collect();
        let last = pieces.len() - 1;
        let found = pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty());
        let plan = all_of(found.map(|(index, piece)| match index {
            0 => self.end_of_word(piece, last == 0),
            _ if index == last => self.prefix(piece),
            _ => self.word(piece),
        }));
        Plan { is_exact: plan.is_exact && last == 0 && !part.is_empty(), ..plan }
    }

    /// Bodies with a word that ends with `piece`, or has it anywhere.
    fn end_of_word(&self, piece: &str, is_anywhere: bool) -> Plan {
        let finder = Finder::new(piece).into_owned();
        let terms = self.terms(self.fields.body, Vec::new(), move |word| {
            let is_end = || word.ends_with(finder.needle());
            if is_anywhere { finder.find(word).is_some() } else { is_end() }
        });
        let mut plans = vec![terms, self.marked(CUT_WORD)];
        if is_hex(piece) {
            plans.push(self.marked(HEX_WORD));
        }
        if is_number(piece) {
            let test: KeyTest = Arc::new(number_test(piece, !is_anywhere));
            let keys = self.keys_that_pass(vec![keys_of_numbers(piece.len())], Some(test));
            // Of long numbers not all digits are known.
            plans.push(Plan { is_exact: false, ..keys });
        }
        any_of(plans)
    }

    /// The attributes of records themselves.
    fn attribute(&self, name: &str, test: &Test) -> Plan {
        if !is_indexed(name) {
            return Plan::SCAN;
        }
        if let Test::Equal(wanted) = test {
            let number = wanted.number.as_ref().map(|form| self.number(name, form, wanted));
            return any_of(number.into_iter().chain([self.text(name, wanted)]));
        }
        any_of([
            self.texts(name, test),
            self.numbers(name, test),
            self.text_keys(name, test),
            self.number_keys(name, test),
        ])
    }

    /// Texts that are terms.
    fn texts(&self, name: &str, test: &Test) -> Plan {
        if let Test::Prefix(start) = test {
            let prefix = attribute_term(name, TEXT_MARK, start.as_bytes());
            return self.terms(self.fields.attribute, prefix, |_| true);
        }
        let (prefix, test) = (attribute_term(name, TEXT_MARK, &[]), test.clone());
        self.terms(self.fields.attribute, prefix, move |text| {
            str::from_utf8(text).is_ok_and(|text| test.passes(Operand::Text(text)))
        })
    }

    /// Texts that are not terms.
    fn text_keys(&self, name: &str, test: &Test) -> Plan {
        match (test, self.detail) {
            (Test::Prefix(start), Detail::Full) => {
                self.if_marked(name, TEXT_KEY_MARK, self.keys(vec![text_keys(name, start)]))
            }
            _ => self.marked_attribute(name, TEXT_KEY_MARK, test),
        }
    }

    /// Numbers that are terms.
    fn numbers(&self, name: &str, test: &Test) -> Plan {
        if let Test::Prefix(start) = test {
            let prefix = attribute_term(name, NUMBER_MARK, start.as_bytes());
            return self.terms(self.fields.attribute, prefix, |_| true);
        }
        let (prefix, test) = (attribute_term(name, NUMBER_MARK, &[]), test.clone());
        self.terms(self.fields.attribute, prefix, move |form| {
            number_of(form).is_some_and(|number| test.passes(number))
        })
    }

    /// Numbers that are not terms.
    fn number_keys(&self, name: &str, test: &Test) -> Plan {
        if let (Test::Between(low, high), Detail::Full) = (test, self.detail) {
            return match (low.value(), high.value()) {
                (Some(low), Some(high)) => {
                    let keys = vec![number_value_keys(name, low, high)];
                    self.if_marked(name, NUMBER_KEY_MARK, self.keys(keys))
                }
                // Texts are compared.
                _ => Plan::NOTHING,
            };
        }
        self.marked_attribute(name, NUMBER_KEY_MARK, test)
    }

    fn text(&self, name: &str, wanted: &Wanted) -> Plan {
        let text = wanted.text.as_bytes();
        let term = is_term(&wanted.text)
            .then(|| self.term(self.fields.attribute, &attribute_term(name, TEXT_MARK, text)));
        let key = match self.detail {
            Detail::Full => {
                self.if_marked(name, TEXT_KEY_MARK, self.key(text_key(name, &wanted.text)))
            }
            Detail::Lean => {
                self.marked_attribute(name, TEXT_KEY_MARK, &Test::Equal(wanted.clone()))
            }
        };
        any_of(term.into_iter().chain([key]))
    }

    fn number(&self, name: &str, form: &str, wanted: &Wanted) -> Plan {
        let term = is_number_term(form).then(|| {
            let term = attribute_term(name, NUMBER_MARK, form.as_bytes());
            self.term(self.fields.attribute, &term)
        });
        let key = match self.detail {
            Detail::Full => {
                let key = number_value_key(name, wanted.value.unwrap_or_default());
                self.if_marked(name, NUMBER_KEY_MARK, self.key(key))
            }
            Detail::Lean => {
                self.marked_attribute(name, NUMBER_KEY_MARK, &Test::Equal(wanted.clone()))
            }
        };
        any_of(term.into_iter().chain([key]))
    }

    /// What is found by keys, others among it; nothing where no value of an attribute is a key.
    fn if_marked(&self, name: &str, mark: u8, keys: Plan) -> Plan {
        let marked = self.term(self.fields.attribute, &attribute_term(name, mark, &[]));
        match marked.query {
            Found::Nothing => Plan::NOTHING,
            _ => Plan { is_exact: false, ..keys },
        }
    }

    /// Records with any value of an attribute that has only a mark as a term: some of those for
    /// which `test` is true.
    fn marked_attribute(&self, name: &str, mark: u8, test: &Test) -> Plan {
        let plan = self.term(self.fields.attribute, &attribute_term(name, mark, &[]));
        let is_exact = matches!(test, Test::Exists) || matches!(plan.query, Found::Nothing);
        Plan { is_exact, ..plan }
    }

    fn terms(
        &self,
        field: Field,
        prefix: Vec<u8>,
        test: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Plan {
        let (test, patience) = (Arc::new(test), self.patience.clone());
        Plan::exact(TermsQuery { field, prefix, test, patience })
    }

    /// Records that have a term; nothing where no record of the window has it.
    fn term(&self, field: Field, bytes: &[u8]) -> Plan {
        let term = Term::from_field_bytes(field, bytes);
        // An error comes again in the search.
        if self.searcher.doc_freq(&term).is_ok_and(|count| count == 0) {
            return Plan::NOTHING;
        }
        Plan::exact(TermQuery::new(term, IndexRecordOption::Basic))
    }

    fn envelopes(&self, test: impl Fn(&super::record::Envelope) -> bool) -> Plan {
        let all = self.envelopes.iter();
        let passing: Vec<u64> =
            (0..).zip(all).filter(|(_, envelope)| test(envelope)).map(|(id, _)| id).collect();
        if passing.is_empty() {
            return Plan::NOTHING;
        }
        if passing.len() == self.envelopes.len() {
            return Plan::EVERYTHING;
        }
        let terms = passing.iter().map(|id| Term::from_field_u64(self.fields.envelope, *id));
        match passing.as_slice() {
            [id] => term(Term::from_field_u64(self.fields.envelope, *id)),
            _ => Plan::exact(TermSetQuery::new(terms)),
        }
    }
}

fn term(term: Term) -> Plan {
    Plan::exact(TermQuery::new(term, IndexRecordOption::Basic))
}

fn attribute_term(name: &str, mark: u8, value: &[u8]) -> Vec<u8> {
    let mut term = Vec::new();
    push_term(name, mark, value, &mut term);
    term
}

/// The number that has this form.
fn number_of(form: &[u8]) -> Option<Operand<'_>> {
    let form = str::from_utf8(form).ok()?;
    let int = form.parse().map(Operand::Int);
    int.or_else(|_| form.parse().map(Operand::Double)).ok()
}

fn all_of(plans: impl IntoIterator<Item = Plan>) -> Plan {
    let mut clauses: Vec<Box<dyn Query>> = Vec::new();
    let mut is_exact = true;
    for plan in plans {
        is_exact &= plan.is_exact;
        match plan.query {
            Found::Everything => {}
            Found::Nothing => return Plan::NOTHING,
            Found::Some(query) => clauses.push(query),
        }
    }
    Plan { query: combined(clauses, Occur::Must, Found::Everything), is_exact }
}

fn any_of(plans: impl IntoIterator<Item = Plan>) -> Plan {
    let mut clauses: Vec<Box<dyn Query>> = Vec::new();
    let mut is_exact = true;
    let mut is_everything = false;
    for plan in plans {
        match plan.query {
            // What surely is true of every record needs no other condition.
            Found::Everything if plan.is_exact => return Plan::EVERYTHING,
            Found::Everything => is_everything = true,
            Found::Nothing => {}
            Found::Some(query) => clauses.push(query),
        }
        is_exact &= plan.is_exact;
    }
    if is_everything {
        return Plan { query: Found::Everything, is_exact };
    }
    Plan { query: combined(clauses, Occur::Should, Found::Nothing), is_exact }
}

fn combined(mut clauses: Vec<Box<dyn Query>>, occur: Occur, none: Found) -> Found {
    match clauses.pop() {
        None => none,
        Some(only) if clauses.is_empty() => Found::Some(only),
        Some(last) => {
            clauses.push(last);
            let clauses = clauses.into_iter().map(|query| (occur, query)).collect();
            Found::Some(Box::new(BooleanQuery::new(clauses)))
        }
    }
}

fn none_of(plan: Plan) -> Plan {
    if !plan.is_exact {
        return Plan::SCAN;
    }
    match plan.query {
        Found::Everything => Plan::NOTHING,
        Found::Nothing => Plan::EVERYTHING,
        Found::Some(query) => Plan::exact(BooleanQuery::new(vec![
            (Occur::Must, Box::new(AllQuery)),
            (Occur::MustNot, query),
        ])),
    }
}

impl From<Plan> for Box<dyn Query> {
    fn from(plan: Plan) -> Self {
        plan.into_query()
    }
}
