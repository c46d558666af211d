//! The schema of a window's tantivy index, and the documents that fill it.

use std::fmt::Debug;
use std::iter;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager};
use tantivy::{Index, IndexBuilder, IndexSettings};

use super::filter::double_form;
use super::record::severity;
use super::stored::RecordsPlugin;
use super::words::BodyTokenizer;
use crate::data::Value as Any;
use crate::data::wire::{Fields as WireFields, Raw};

/// A term of an attribute holds at most this many bytes of name and value.
pub(crate) const MAX_TERM_BYTES: usize = 512;

/// With [`Detail::Lean`], longer texts of attributes are not terms: ids in hex mostly.
pub(crate) const MAX_LEAN_BYTES: usize = 31;

/// Stands between the name of an attribute and its text.
const TEXT_MARK: u8 = 0;

/// Stands between the name of an attribute and its number.
const NUMBER_MARK: u8 = 1;

/// The name of the tokenizer of bodies.
const BODY_TOKENIZER: &str = "catchment_body";

/// How much of a record is made into terms. Both give the same answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Every word and number of the body, every attribute, ids.
    #[default]
    Full,
    /// Neither words of digits, long values, fractions nor ids: those are found by scanning what
    /// the other conditions leave.
    Lean,
}

/// The fields of the index.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    pub(crate) time: Field,
    pub(crate) severity: Field,
    pub(crate) envelope: Field,
    pub(crate) body: Field,
    pub(crate) attribute: Field,
    pub(crate) trace_id: Field,
    pub(crate) span_id: Field,
}

/// The name of the column of times.
pub(crate) const TIME: &str = "time";
/// The name of the column of severities.
pub(crate) const SEVERITY: &str = "severity";
/// The name of the column of envelopes' numbers.
pub(crate) const ENVELOPE: &str = "envelope";

impl Fields {
    pub(crate) fn new() -> Self {
        let mut builder = Schema::builder();
        let fast = || NumericOptions::default().set_fast();
        let indexed = || BytesOptions::default().set_indexed();
        let body = TextFieldIndexing::default()
            .set_tokenizer(BODY_TOKENIZER)
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        let time = builder.add_i64_field(TIME, fast());
        let severity = builder.add_u64_field(SEVERITY, fast().set_indexed());
        let envelope = builder.add_u64_field(ENVELOPE, fast().set_indexed());
        let body =
            builder.add_text_field("body", TextOptions::default().set_indexing_options(body));
        let attribute = builder.add_bytes_field("attribute", indexed());
        let trace_id = builder.add_bytes_field("trace_id", indexed());
        let span_id = builder.add_bytes_field("span_id", indexed());
        let schema = builder.build();
        Self { schema, time, severity, envelope, body, attribute, trace_id, span_id }
    }

    /// What an index of this schema is made with.
    pub(crate) fn index_builder(&self, detail: Detail) -> IndexBuilder {
        // Records are stored by our own component; what tantivy stores is empty documents.
        let settings = IndexSettings {
            docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(1) }),
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        Index::builder()
            .schema(self.schema.clone())
            .settings(settings)
            .tokenizers(tokenizers(detail))
            .register_plugin(Arc::new(RecordsPlugin))
    }
}

/// Opens an index of this schema.
pub(crate) fn open_index(path: &Path, detail: Detail) -> tantivy::Result<Index> {
    Ok(prepare(Index::open_in_dir(path)?, detail))
}

/// Gives an index of this schema what it needs to be read and written.
pub(crate) fn prepare(mut index: Index, detail: Detail) -> Index {
    index.set_tokenizers(tokenizers(detail));
    index.register_plugin(Arc::new(RecordsPlugin));
    index
}

/// The tokenizers that an index of this schema needs.
fn tokenizers(detail: Detail) -> TokenizerManager {
    // Fields that are not text ask for the default one.
    let manager = TokenizerManager::default();
    let body = BodyTokenizer::new(detail == Detail::Lean);
    manager.register(BODY_TOKENIZER, TextAnalyzer::from(body));
    manager
}

/// Appends the term of a text attribute.
pub(crate) fn push_text_term(name: &str, text: &str, to: &mut Vec<u8>) {
    push_term(name, TEXT_MARK, text, to);
}

/// Appends the term of a number attribute, the number in its one form.
pub(crate) fn push_number_term(name: &str, number: &str, to: &mut Vec<u8>) {
    push_term(name, NUMBER_MARK, number, to);
}

fn push_term(name: &str, mark: u8, value: &str, to: &mut Vec<u8>) {
    let start = to.len();
    to.extend_from_slice(name.as_bytes());
    to.push(mark);
    to.extend_from_slice(value.as_bytes());
    to.truncate(start + MAX_TERM_BYTES);
}

/// One record as tantivy takes it.
#[derive(Debug)]
pub(crate) struct LogDocument {
    fields: DocumentFields,
    time: i64,
    severity: u64,
    envelope: u64,
    record: Bytes,
    /// The body's text, then the terms of attributes.
    text: Vec<u8>,
    body_end: usize,
    term_ends: Vec<u32>,
    /// Trace and span id, as parts of the record; empty where there are none.
    ids: [Range<usize>; 2],
}

/// The fields that a document fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentFields {
    time: Field,
    severity: Field,
    envelope: Field,
    body: Field,
    attribute: Field,
    trace_id: Field,
    span_id: Field,
}

impl From<&Fields> for DocumentFields {
    fn from(fields: &Fields) -> Self {
        Self {
            time: fields.time,
            severity: fields.severity,
            envelope: fields.envelope,
            body: fields.body,
            attribute: fields.attribute,
            trace_id: fields.trace_id,
            span_id: fields.span_id,
        }
    }
}

impl LogDocument {
    /// The document of an encoded record, which arrived at `arrived`, in Unix nanoseconds.
    pub(crate) fn new(
        fields: DocumentFields,
        detail: Detail,
        envelope: u64,
        arrived: u64,
        record: Bytes,
    ) -> Self {
        let mut terms = Terms::new(detail, record.len());
        let (mut time, mut observed, mut number) = (0, 0, 0);
        let (mut name, mut ids) = ("", [0..0, 0..0]);
        // One walk, for the views look for each field from the start.
        terms.push_body(&record);
        for field in WireFields::new(&record) {
            match (field.number, field.value) {
                (1, Raw::Fixed64(bits)) => time = bits,
                (2, Raw::Varint(bits)) => number = i32::try_from(bits).unwrap_or_default(),
                (3, Raw::Bytes(bytes)) => name = text_of(bytes),
                (6, Raw::Bytes(pair)) => terms.push_pair(pair),
                (9, Raw::Bytes(_)) if detail == Detail::Full => {
                    ids[0] = field.payload_start()..field.end;
                }
                (10, Raw::Bytes(_)) if detail == Detail::Full => {
                    ids[1] = field.payload_start()..field.end;
                }
                (11, Raw::Fixed64(bits)) => observed = bits,
                (12, Raw::Bytes(bytes)) if !bytes.is_empty() => {
                    terms.push("event_name", Any::Str(text_of(bytes)));
                }
                _ => {}
            }
        }
        let time = event_time(time, observed, arrived);
        let severity = u64::from(severity(number, name));
        let Terms { text, body_end, ends: term_ends, .. } = terms;
        Self { fields, time, severity, envelope, record, text, body_end, term_ends, ids }
    }

    /// The encoded record.
    pub(crate) fn record(&self) -> &[u8] {
        &self.record
    }

    /// When it happened, in Unix nanoseconds.
    pub(crate) const fn time(&self) -> i64 {
        self.time
    }

    fn body(&self) -> &str {
        text_of(self.text.get(..self.body_end).unwrap_or_default())
    }

    fn terms(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = self.body_end;
        self.term_ends.iter().filter_map(move |end| {
            let term = self.text.get(start..*end as usize);
            start = *end as usize;
            term
        })
    }
}

/// The texts that a record is found by.
struct Terms {
    detail: Detail,
    text: Vec<u8>,
    body_end: usize,
    ends: Vec<u32>,
}

impl Terms {
    fn new(detail: Detail, record_bytes: usize) -> Self {
        let text = Vec::with_capacity(record_bytes);
        Self { detail, text, body_end: 0, ends: Vec::with_capacity(8) }
    }

    fn push_body(&mut self, record: &[u8]) {
        if let Some(body) = WireFields::new(record).first(5) {
            self.text.extend_from_slice(Any::read(body.bytes()).to_text().as_bytes());
        }
        self.body_end = self.text.len();
    }

    /// The terms of an encoded `KeyValue`.
    fn push_pair(&mut self, pair: &[u8]) {
        let (mut name, mut value) = ("", Any::Empty);
        for field in WireFields::new(pair) {
            match field.number {
                1 => name = text_of(field.bytes()),
                2 => value = Any::read(field.bytes()),
                _ => {}
            }
        }
        self.push(name, value);
    }

    #[expect(clippy::float_cmp, reason = "a whole number is its own whole part")]
    fn push(&mut self, name: &str, value: Any<'_>) {
        let is_lean = self.detail == Detail::Lean;
        match value {
            Any::Int(int) => push_number_term(name, &int.to_string(), &mut self.text),
            // Seen without writing it down, which costs more than all else here.
            Any::Double(double) if is_lean && double.trunc() != double => return,
            Any::Double(double) => {
                let form = double_form(double);
                if is_lean && !is_whole(&form) {
                    return;
                }
                push_number_term(name, &form, &mut self.text);
            }
            _ => {
                let value = value.to_text();
                if is_lean && value.len() > MAX_LEAN_BYTES {
                    return;
                }
                push_text_term(name, &value, &mut self.text);
            }
        }
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }
}

/// When a record happened, as it is sorted: its time, or else when it was observed or arrived.
pub(crate) fn event_time(time: u64, observed: u64, arrived: u64) -> i64 {
    let known = [time, observed].into_iter().find(|time| *time > 0);
    i64::try_from(known.unwrap_or(arrived)).unwrap_or(i64::MAX)
}

/// Text that was checked at the door.
fn text_of(bytes: &[u8]) -> &str {
    simdutf8::basic::from_utf8(bytes).unwrap_or_default()
}

/// Whether a number's one form is that of an integer.
pub(crate) fn is_whole(form: &str) -> bool {
    form.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// A value of a document; all are leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldValue<'a> {
    I64(i64),
    U64(u64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> for FieldValue<'a> {
    type ArrayIter = iter::Empty<Self>;
    type ObjectIter = iter::Empty<(&'a str, Self)>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        ReferenceValue::Leaf(match *self {
            Self::I64(value) => ReferenceValueLeaf::I64(value),
            Self::U64(value) => ReferenceValueLeaf::U64(value),
            Self::Text(value) => ReferenceValueLeaf::Str(value),
            Self::Bytes(value) => ReferenceValueLeaf::Bytes(value),
        })
    }
}

impl Document for LogDocument {
    type Value<'a> = FieldValue<'a>;
    type FieldsValuesIter<'a> = Box<dyn Iterator<Item = (Field, FieldValue<'a>)> + 'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        let fields = self.fields;
        let fixed = [
            (fields.time, FieldValue::I64(self.time)),
            (fields.severity, FieldValue::U64(self.severity)),
            (fields.envelope, FieldValue::U64(self.envelope)),
            (fields.body, FieldValue::Text(self.body())),
        ];
        let id = |field, range: &Range<usize>| {
            let bytes = self.record.get(range.clone()).filter(|bytes| !bytes.is_empty());
            bytes.map(|bytes| (field, FieldValue::Bytes(bytes)))
        };
        let [trace_id, span_id] = &self.ids;
        let ids = [id(fields.trace_id, trace_id), id(fields.span_id, span_id)];
        let ids = ids.into_iter().flatten();
        let terms = self.terms().map(move |term| (fields.attribute, FieldValue::Bytes(term)));
        Box::new(fixed.into_iter().chain(ids).chain(terms))
    }
}
