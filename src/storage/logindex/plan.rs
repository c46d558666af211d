//! Turns a filter into a query over terms that finds at least what the filter is true of.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, InvertedIndexRangeQuery, Occur, Query, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::envelopes::EnvelopeList;
use super::filter::{FieldName, Filter, Row, Test, Wanted};
use super::schema::{
    Detail, Fields, MAX_LEAN_BYTES, MAX_TERM_BYTES, is_whole, push_number_term, push_text_term,
};
use super::words::{MAX_WORD_BYTES, is_number, term_of};

/// A prefix is looked up among terms only when it has so many bytes; shorter ones fit too many.
const MIN_PREFIX_BYTES: usize = 3;

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
    pub(crate) fields: &'a Fields,
    pub(crate) detail: Detail,
    pub(crate) envelopes: &'a EnvelopeList,
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
            Filter::TraceId(id) => self.id(self.fields.trace_id, id.as_bytes()),
            Filter::SpanId(id) => self.id(self.fields.span_id, id.as_bytes()),
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

    fn id(&self, field: Field, id: &[u8]) -> Plan {
        match self.detail {
            Detail::Full => term(Term::from_field_bytes(field, id)),
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
        if self.detail == Detail::Lean && is_number(term_of(word)) {
            return Plan::SCAN;
        }
        let plan = term(Term::from_field_text(self.fields.body, term_of(word)));
        // A term as long as can be may stand for longer words too.
        Plan { is_exact: word.len() < MAX_WORD_BYTES - 3, ..plan }
    }

    fn prefix(&self, word: &str) -> Plan {
        let may_be_number = self.detail == Detail::Lean && is_number(word);
        if may_be_number || word.len() < MIN_PREFIX_BYTES || word.len() >= MAX_WORD_BYTES - 3 {
            return Plan::SCAN;
        }
        let low = Term::from_field_text(self.fields.body, word);
        let high = Term::from_field_text(self.fields.body, &format!("{word}{}", char::MAX));
        let (low, high) = (Bound::Included(low), Bound::Excluded(high));
        Plan::exact(InvertedIndexRangeQuery::new(low, high))
    }

    /// The attributes of records themselves.
    fn attribute(&self, name: &str, test: &Test) -> Plan {
        match test {
            Test::Equal(wanted) => {
                any_of([self.text_attribute(name, wanted), self.number_attribute(name, wanted)])
            }
            _ => Plan::SCAN,
        }
    }

    fn text_attribute(&self, name: &str, wanted: &Wanted) -> Plan {
        if self.detail == Detail::Lean && wanted.text.len() > MAX_LEAN_BYTES {
            return Plan::SCAN;
        }
        let mut bytes = Vec::new();
        push_text_term(name, &wanted.text, &mut bytes);
        self.attribute_term(&bytes)
    }

    fn number_attribute(&self, name: &str, wanted: &Wanted) -> Plan {
        let Some(number) = &wanted.number else {
            return Plan::NOTHING;
        };
        if self.detail == Detail::Lean && !is_whole(number) {
            return Plan::SCAN;
        }
        let mut bytes = Vec::new();
        push_number_term(name, number, &mut bytes);
        self.attribute_term(&bytes)
    }

    fn attribute_term(&self, bytes: &[u8]) -> Plan {
        let plan = term(Term::from_field_bytes(self.fields.attribute, bytes));
        // A term that was cut may stand for others, as may one with a mark in the name.
        let num_marks = bytes.iter().filter(|byte| **byte <= 1).count();
        Plan { is_exact: bytes.len() < MAX_TERM_BYTES && num_marks == 1, ..plan }
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
