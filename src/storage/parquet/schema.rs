//! The columns: their names, types, encodings and meanings, signal by signal.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use parquet::basic::{LogicalType, Repetition, TimeUnit as ParquetTimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::columns_of::{LOGS, METRICS, SHARED, TRACES};
use crate::data::Signal;

/// The version of the columns; a reader reads those before its own.
pub const SCHEMA_VERSION: u32 = 1;

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A moment in microseconds, UTC.
    Time,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A number.
    Double,
    /// A truth value.
    Bool,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// So many bytes.
    Fixed(u8),
    /// Names with text, or nothing, as values.
    Map,
    /// A list of single values.
    List(&'static Self),
    /// A list of rows with columns of their own.
    Rows(&'static [Column]),
}

/// How values are encoded before they are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Differences of numbers, packed.
    Delta,
    /// Numbers of a dictionary.
    Dictionary,
    /// As they are.
    Plain,
}

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: Cow<'static, str>,
    /// What it holds.
    pub(super) kind: Kind,
    /// Whether a row may be without.
    pub(super) is_optional: bool,
    /// How it is encoded.
    pub(super) layout: Layout,
    /// Whether minimum and maximum are kept, for readers that skip by them.
    pub(super) has_range: bool,
    /// What it means.
    pub(super) doc: Cow<'static, str>,
}

impl Column {
    /// A column that every row has.
    pub(super) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        let layout = match kind {
            Kind::Time | Kind::Int32 | Kind::Int64 => Layout::Delta,
            Kind::Text => Layout::Dictionary,
            _ => Layout::Plain,
        };
        let (name, doc) = (Cow::Borrowed(name), Cow::Borrowed(doc));
        Self { name, kind, is_optional: false, layout, has_range: false, doc }
    }

    /// The same, but a row may be without.
    pub(super) const fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }

    /// The same with another encoding.
    pub(super) const fn with(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The same with minimum and maximum.
    pub(super) const fn ranged(mut self) -> Self {
        self.has_range = true;
        self
    }

    /// A column of an attribute's values.
    pub(super) fn promoted(attribute: &str) -> Self {
        let mut column = Self::new("", Kind::Text, "").optional().ranged();
        column.name = Cow::Owned(promoted_name(attribute));
        column.doc = Cow::Owned(format!("the attribute `{attribute}`"));
        column
    }

    fn arrow(&self) -> Field {
        Field::new(&*self.name, arrow_type(&self.kind), self.is_optional)
    }

    fn parquet(&self) -> Result<TypePtr, ParquetError> {
        let repetition = if self.is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        parquet_type(&self.name, &self.kind, repetition)
    }
}

/// The column's name for an attribute: what is not a letter, digit or `_` becomes `_`.
pub(super) fn promoted_name(attribute: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric();
    attribute.chars().map(|char| if is_plain(char) { char } else { '_' }).collect()
}

/// The columns of a signal, then those that all have, then the promoted attributes.
pub(super) fn columns(signal: Signal, promoted: &[String]) -> Vec<Column> {
    let own = match signal {
        Signal::Logs => LOGS,
        Signal::Traces => TRACES,
        Signal::Metrics => METRICS,
    };
    let promoted = promoted.iter().map(|attribute| Column::promoted(attribute));
    own.iter().chain(SHARED).cloned().chain(promoted).collect()
}

/// The columns as Arrow has them; text is bytes there, for it was checked at the door.
pub(super) fn arrow_schema(columns: &[Column]) -> Schema {
    Schema::new(columns.iter().map(Column::arrow).collect::<Fields>())
}

/// The columns as they are in the file.
pub(super) fn parquet_schema(columns: &[Column]) -> Result<SchemaDescriptor, ParquetError> {
    let fields = columns.iter().map(Column::parquet).collect::<Result<Vec<_>, _>>()?;
    let root = Type::group_type_builder("record").with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

/// A column without columns below it, by its path in the file.
pub(super) struct Leaf {
    pub(super) path: Vec<String>,
    pub(super) layout: Layout,
    pub(super) has_range: bool,
    /// Whether it is written by [`super::repeated`]: text of which a row has one, or a list.
    pub(super) is_repeated: bool,
}

/// The leaves of columns, in their order.
pub(super) fn leaves(columns: &[Column]) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    push_leaves(columns, &[], &mut leaves);
    leaves
}

fn push_leaves(columns: &[Column], above: &[String], leaves: &mut Vec<Leaf>) {
    for column in columns {
        let path = |below: &[&str]| {
            let names = above.iter().cloned().chain([column.name.clone().into_owned()]);
            names.chain(below.iter().map(|name| (*name).to_owned())).collect::<Vec<_>>()
        };
        let leaf = |below: &[&str], layout: Layout| {
            let is_text = matches!(column.kind, Kind::Text | Kind::Binary | Kind::Map);
            let is_repeated = is_text && above.is_empty() && layout == Layout::Dictionary;
            Leaf { path: path(below), layout, has_range: column.has_range, is_repeated }
        };
        match &column.kind {
            Kind::Map => {
                leaves.push(leaf(&["key_value", "key"], Layout::Dictionary));
                leaves.push(leaf(&["key_value", "value"], column.layout));
            }
            Kind::List(_) => leaves.push(leaf(&["list", "element"], column.layout)),
            Kind::Rows(inner) => push_leaves(inner, &path(&["list", "element"]), leaves),
            _ => leaves.push(leaf(&[], column.layout)),
        }
    }
}

/// The field that holds a map's entries.
pub(super) fn map_entries() -> Arc<Field> {
    let fields = Fields::from(vec![
        Field::new("key", DataType::Binary, false),
        Field::new("value", DataType::Binary, true),
    ]);
    Arc::new(Field::new("key_value", DataType::Struct(fields), false))
}

/// The field that holds a list's elements.
pub(super) fn element(kind: &Kind) -> Arc<Field> {
    Arc::new(Field::new("element", arrow_type(kind), false))
}

/// The Arrow fields of the columns of a list of rows.
pub(super) fn row_fields(columns: &[Column]) -> Fields {
    columns.iter().map(Column::arrow).collect()
}

fn arrow_type(kind: &Kind) -> DataType {
    match kind {
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Int32 => DataType::Int32,
        Kind::Int64 => DataType::Int64,
        Kind::Double => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::Text | Kind::Binary => DataType::Binary,
        Kind::Fixed(length) => DataType::FixedSizeBinary(i32::from(*length)),
        Kind::Map => DataType::Map(map_entries(), false),
        Kind::List(inner) => DataType::List(element(inner)),
        Kind::Rows(inner) => {
            let rows = DataType::Struct(row_fields(inner));
            DataType::List(Arc::new(Field::new("element", rows, false)))
        }
    }
}

/// The type of a column as readers have it, in which text is text.
pub(super) fn readers_type(kind: &Kind) -> DataType {
    let fields = |columns: &[Column]| -> Fields {
        let field = |column: &Column| {
            Field::new(&*column.name, readers_type(&column.kind), column.is_optional)
        };
        columns.iter().map(field).collect()
    };
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Map => {
            let key = Field::new("key", DataType::Utf8, false);
            let value = Field::new("value", DataType::Utf8, true);
            let pairs = DataType::Struct(Fields::from(vec![key, value]));
            DataType::Map(Arc::new(Field::new("key_value", pairs, false)), false)
        }
        Kind::Rows(inner) => {
            let rows = DataType::Struct(fields(inner));
            DataType::List(Arc::new(Field::new("element", rows, false)))
        }
        _ => arrow_type(kind),
    }
}

fn parquet_type(name: &str, kind: &Kind, repetition: Repetition) -> Result<TypePtr, ParquetError> {
    let single = |physical: Physical, logical: Option<LogicalType>, length: i32| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .with_length(length)
            .build()
    };
    let group = |logical: LogicalType, repeated: &str, fields: Vec<TypePtr>| {
        let repeated = Type::group_type_builder(repeated)
            .with_repetition(Repetition::REPEATED)
            .with_fields(fields)
            .build()?;
        Type::group_type_builder(name)
            .with_repetition(repetition)
            .with_logical_type(Some(logical))
            .with_fields(vec![Arc::new(repeated)])
            .build()
    };
    let built = match kind {
        Kind::Time => {
            let micros = ParquetTimeUnit::MICROS;
            let time = LogicalType::timestamp(true, micros);
            single(Physical::INT64, Some(time), -1)
        }
        Kind::Int32 => single(Physical::INT32, None, -1),
        Kind::Int64 => single(Physical::INT64, None, -1),
        Kind::Double => single(Physical::DOUBLE, None, -1),
        Kind::Bool => single(Physical::BOOLEAN, None, -1),
        Kind::Text => single(Physical::BYTE_ARRAY, Some(LogicalType::String), -1),
        Kind::Binary => single(Physical::BYTE_ARRAY, None, -1),
        Kind::Fixed(length) => single(Physical::FIXED_LEN_BYTE_ARRAY, None, i32::from(*length)),
        Kind::Map => {
            let key = parquet_type("key", &Kind::Text, Repetition::REQUIRED)?;
            let value = parquet_type("value", &Kind::Text, Repetition::OPTIONAL)?;
            group(LogicalType::Map, "key_value", vec![key, value])
        }
        Kind::List(inner) => {
            let element = parquet_type("element", inner, Repetition::REQUIRED)?;
            group(LogicalType::List, "list", vec![element])
        }
        Kind::Rows(inner) => {
            let fields = inner.iter().map(Column::parquet).collect::<Result<Vec<_>, _>>()?;
            let element = Type::group_type_builder("element")
                .with_repetition(Repetition::REQUIRED)
                .with_fields(fields)
                .build()?;
            group(LogicalType::List, "list", vec![Arc::new(element)])
        }
    };
    built.map(Arc::new)
}
