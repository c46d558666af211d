//! The schema of a window's tantivy index, and the documents that fill it.

use std::fmt::Debug;
use std::iter;
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
use super::folder::Folder;
use super::key::{Kind, hex_key, number_key, number_value_key, text_key};
use super::keys::KeysPlugin;
use super::record::severity;
use super::stored::RecordsPlugin;
use super::variety::Varieties;
use super::words::{CutWords, WordKind, Words, term_of};
use crate::data::Value as Any;
use crate::data::wire::{Fields as WireFields, Raw};

/// Attributes with longer names are not indexed, but found by scanning.
const MAX_NAME_BYTES: usize = 256;

/// Longer texts of attributes, ids in hex mostly, are not terms.
const MAX_TEXT_BYTES: usize = 31;

/// Shorter texts, and lesser whole numbers, are terms however varied they are.
const MIN_VARIED_BYTES: usize = 6;
const MIN_VARIED_INT: u64 = 10_000;

/// Stands between the name of an attribute and its text.
pub(crate) const TEXT_MARK: u8 = 0;

/// Stands between the name of an attribute and its number.
pub(crate) const NUMBER_MARK: u8 = 1;

/// Stands behind the name of an attribute whose text is a key.
pub(crate) const TEXT_KEY_MARK: u8 = 2;

/// Stands behind the name of an attribute whose number is a key.
pub(crate) const NUMBER_KEY_MARK: u8 = 3;

/// The term of a body that has a word which is cut; no word is so.
pub(crate) const CUT_WORD: &str = "\u{1}";

/// The term of a body that has a word of hexadecimal digits, which is not a term.
pub(crate) const HEX_WORD: &str = "\u{2}";

/// The name of the tokenizer of bodies.
const BODY_TOKENIZER: &str = "catchment_body";

/// How much of a record is made into terms. Both give the same answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Every word and number of the body, every attribute, ids. What hardly ever comes twice is a
    /// key.
    #[default]
    Full,
    /// No keys, so neither words of digits, hexadecimal ones, long values, fractions, ids nor values
    /// of attributes that hardly ever come twice: those are found by scanning what the other
    /// conditions leave.
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
        let body = TextFieldIndexing::default()
            .set_tokenizer(BODY_TOKENIZER)
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        let time = builder.add_i64_field(TIME, fast());
        let severity = builder.add_u64_field(SEVERITY, fast().set_indexed());
        let envelope = builder.add_u64_field(ENVELOPE, fast().set_indexed());
        let body =
            builder.add_text_field("body", TextOptions::default().set_indexing_options(body));
        let attribute = builder.add_bytes_field("attribute", BytesOptions::default().set_indexed());
        let schema = builder.build();
        Self { schema, time, severity, envelope, body, attribute }
    }

    /// What an index of this schema is made with.
    pub(crate) fn index_builder(&self, detail: Detail) -> IndexBuilder {
        // Records are stored by our own component; what tantivy stores is empty documents.
        let settings = IndexSettings {
            docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(1) }),
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let builder = Index::builder()
            .schema(self.schema.clone())
            .settings(settings)
            .tokenizers(tokenizers())
            .register_plugin(Arc::new(RecordsPlugin));
        match detail {
            Detail::Full => builder.register_plugin(Arc::new(KeysPlugin)),
            Detail::Lean => builder,
        }
    }
}

/// Opens an index of this schema.
pub(crate) fn open_index(path: &Path, detail: Detail) -> tantivy::Result<Index> {
    Ok(prepare(Index::open(Folder::open(path)?)?, detail))
}

/// Gives an index of this schema what it needs to be read and written.
pub(crate) fn prepare(mut index: Index, detail: Detail) -> Index {
    index.set_tokenizers(tokenizers());
    index.register_plugin(Arc::new(RecordsPlugin));
    if detail == Detail::Full {
        index.register_plugin(Arc::new(KeysPlugin));
    }
    index
}

/// The tokenizers that an index of this schema needs.
fn tokenizers() -> TokenizerManager {
    // Fields that are not text ask for the default one.
    let manager = TokenizerManager::default();
    manager.register(BODY_TOKENIZER, TextAnalyzer::from(CutWords::default()));
    manager
}

fn push_word(word: &str, to: &mut String) {
    to.push_str(word);
    to.push(' ');
}

/// Whether attributes of this name are indexed.
pub(crate) fn is_indexed(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && has_no_mark(name)
}

/// Whether the text of an attribute is a term.
pub(crate) fn is_term(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES && has_no_mark(text)
}

/// Whether a number's one form is a term: that of an integer is.
pub(crate) fn is_number_term(form: &str) -> bool {
    form.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

fn has_no_mark(text: &str) -> bool {
    text.bytes().all(|byte| byte > NUMBER_KEY_MARK)
}

/// Appends the term of an attribute's value.
pub(crate) fn push_term(name: &str, mark: u8, value: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(name.as_bytes());
    to.push(mark);
    to.extend_from_slice(value);
}

/// One record as tantivy takes it; what it consists of is used again for the next.
#[derive(Clone, Debug)]
pub(crate) struct LogDocument(Arc<Draft>);

/// What a document consists of.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    fields: DocumentFields,
    detail: Detail,
    time: i64,
    severity: u64,
    envelope: u64,
    record: Bytes,
    /// The body's words but numbers and hexadecimal ones, in lower case, a space behind each.
    words: String,
    word: String,
    /// The terms of attributes, one behind the other.
    terms: Vec<u8>,
    term_ends: Vec<usize>,
    keys: Vec<u64>,
    varieties: Varieties,
}

/// The fields that a document fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentFields {
    time: Field,
    severity: Field,
    envelope: Field,
    body: Field,
    attribute: Field,
}

impl From<&Fields> for DocumentFields {
    fn from(fields: &Fields) -> Self {
        Self {
            time: fields.time,
            severity: fields.severity,
            envelope: fields.envelope,
            body: fields.body,
            attribute: fields.attribute,
        }
    }
}

impl LogDocument {
    /// The encoded record.
    pub(crate) fn record(&self) -> &[u8] {
        &self.0.record
    }

    /// The keys that it is found by.
    pub(crate) fn keys(&self) -> &[u64] {
        &self.0.keys
    }
}

impl Draft {
    pub(crate) fn new(fields: &Fields, detail: Detail) -> Self {
        Self {
            fields: DocumentFields::from(fields),
            detail,
            time: 0,
            severity: 0,
            envelope: 0,
            record: Bytes::new(),
            words: String::new(),
            word: String::new(),
            terms: Vec::new(),
            term_ends: Vec::new(),
            keys: Vec::new(),
            varieties: Varieties::default(),
        }
    }

    /// The document of an encoded record, which arrived at `arrived`, in Unix nanoseconds; and
    /// when it happened.
    pub(crate) fn fill(
        this: &mut Arc<Self>,
        envelope: u64,
        arrived: u64,
        record: Bytes,
    ) -> (LogDocument, i64) {
        // Nobody else has it, for tantivy lets go of documents at once.
        let draft = Arc::make_mut(this);
        draft.words.clear();
        draft.terms.clear();
        draft.term_ends.clear();
        draft.keys.clear();
        draft.envelope = envelope;
        draft.read(&record, arrived);
        draft.record = record;
        (LogDocument(Arc::clone(this)), this.time)
    }

    /// One walk, for the views look for each field from the start.
    fn read(&mut self, record: &[u8], arrived: u64) {
        let (mut time, mut observed, mut number, mut name) = (0, 0, 0, "");
        for field in WireFields::new(record) {
            match (field.number, field.value) {
                (1, Raw::Fixed64(bits)) => time = bits,
                (2, Raw::Varint(bits)) => number = i32::try_from(bits).unwrap_or_default(),
                (3, Raw::Bytes(bytes)) => name = text_of(bytes),
                (5, Raw::Bytes(bytes)) => self.push_body(&Any::read(bytes).to_text()),
                (6, Raw::Bytes(pair)) => self.push_pair(pair),
                (9, Raw::Bytes(id)) => self.push_id(Kind::TraceId, id),
                (10, Raw::Bytes(id)) => self.push_id(Kind::SpanId, id),
                (11, Raw::Fixed64(bits)) => observed = bits,
                (12, Raw::Bytes(bytes)) if !bytes.is_empty() => {
                    self.push_attribute("event_name", Any::Str(text_of(bytes)));
                }
                _ => {}
            }
        }
        self.time = event_time(time, observed, arrived);
        self.severity = u64::from(severity(number, name));
    }

    fn push_body(&mut self, text: &str) {
        let mut walk = Words::new(text);
        let mut has_hex = false;
        while let Some(kind) = walk.next_into(&mut self.word) {
            match kind {
                WordKind::Number if self.detail == Detail::Full => {
                    self.keys.push(number_key(&self.word).0);
                }
                WordKind::Number => {}
                WordKind::Hex => {
                    has_hex = true;
                    if self.detail == Detail::Full {
                        self.keys.push(hex_key(&self.word));
                    }
                }
                WordKind::Other => {
                    let term = term_of(&self.word);
                    push_word(term, &mut self.words);
                    if term.len() < self.word.len() {
                        push_word(CUT_WORD, &mut self.words);
                    }
                }
            }
        }
        if has_hex {
            push_word(HEX_WORD, &mut self.words);
        }
    }

    fn push_key(&mut self, key: impl FnOnce() -> u64) {
        if self.detail == Detail::Full {
            self.keys.push(key());
        }
    }

    fn push_id(&mut self, kind: Kind, id: &[u8]) {
        if !id.is_empty() {
            self.push_key(|| kind.key(id));
        }
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
        self.push_attribute(name, value);
    }

    #[expect(clippy::float_cmp, reason = "a whole number is its own whole part")]
    fn push_attribute(&mut self, name: &str, value: Any<'_>) {
        if !is_indexed(name) {
            return;
        }
        match value {
            Any::Int(int) if self.is_varied_int(name, int) => {
                #[expect(clippy::cast_precision_loss, reason = "keys need not tell all apart")]
                self.push_number_key(name, int as f64);
            }
            Any::Int(int) => self.push_term(name, NUMBER_MARK, int.to_string().as_bytes()),
            // Seen without writing it down, which costs more than all else here.
            Any::Double(double) if double.trunc() != double => self.push_number_key(name, double),
            Any::Double(double) => {
                let form = double_form(double);
                if is_number_term(&form) {
                    self.push_term(name, NUMBER_MARK, form.as_bytes());
                } else {
                    self.push_number_key(name, double);
                }
            }
            _ => {
                let text = value.to_text();
                if is_term(&text) && !self.is_varied_text(name, &text) {
                    self.push_term(name, TEXT_MARK, text.as_bytes());
                } else {
                    self.push_term(name, TEXT_KEY_MARK, &[]);
                    self.push_key(|| text_key(name, &text));
                }
            }
        }
    }

    fn is_varied_int(&mut self, name: &str, int: i64) -> bool {
        int.unsigned_abs() >= MIN_VARIED_INT && self.varieties.is_varied(name, &int.to_le_bytes())
    }

    fn is_varied_text(&mut self, name: &str, text: &str) -> bool {
        text.len() >= MIN_VARIED_BYTES && self.varieties.is_varied(name, text.as_bytes())
    }

    fn push_number_key(&mut self, name: &str, double: f64) {
        self.push_term(name, NUMBER_KEY_MARK, &[]);
        self.push_key(|| number_value_key(name, double));
    }

    fn push_term(&mut self, name: &str, mark: u8, value: &[u8]) {
        push_term(name, mark, value, &mut self.terms);
        self.term_ends.push(self.terms.len());
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
    type FieldsValuesIter<'a> = FieldValues<'a>;

    fn iter_fields_and_values(&self) -> FieldValues<'_> {
        FieldValues { draft: &self.0, next: 0, term_start: 0 }
    }
}

/// Walks through the values of a document.
pub(crate) struct FieldValues<'a> {
    draft: &'a Draft,
    next: usize,
    term_start: usize,
}

impl<'a> Iterator for FieldValues<'a> {
    type Item = (Field, FieldValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let Self { draft, next, term_start } = self;
        let fields = &draft.fields;
        let at = *next;
        *next += 1;
        Some(match at {
            0 => (fields.time, FieldValue::I64(draft.time)),
            1 => (fields.severity, FieldValue::U64(draft.severity)),
            2 => (fields.envelope, FieldValue::U64(draft.envelope)),
            3 => (fields.body, FieldValue::Text(&draft.words)),
            _ => {
                let end = *draft.term_ends.get(at - 4)?;
                let term = draft.terms.get(*term_start..end)?;
                *term_start = end;
                (fields.attribute, FieldValue::Bytes(term))
            }
        })
    }
}
