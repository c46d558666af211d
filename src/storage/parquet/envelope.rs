//! What records share: the walk through a batch, and the columns of resource and scope.

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;

use super::attributes::AttributeColumns;
use super::columns::{Numbers, Texts};
use super::text::split;
use crate::data::wire::Fields;
use crate::data::{
    Batch, DataPoint, EntityRef, Metric, Resource, Scope, Signal, Value, push_json_str,
};

/// The number of the field that holds groups in a request, and a resource or scope in its group.
const FIRST: u32 = 1;
/// The number of the field that holds scopes' groups, and in those the records.
const CHILDREN: u32 = 2;
/// The number of the field that holds a group's schema URL.
const SCHEMA_URL: u32 = 3;

/// What a record stands in, encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub(super) tenant: &'a str,
    pub(super) resource: &'a [u8],
    pub(super) resource_schema_url: &'a [u8],
    pub(super) scope: &'a [u8],
    pub(super) scope_schema_url: &'a [u8],
}

/// What becomes a row, encoded.
#[derive(Clone, Copy)]
pub(super) enum Record<'a, 'm> {
    Log(&'a [u8]),
    Span(&'a [u8]),
    Point(&'m Metric<'a>, DataPoint<'a>),
}

impl<'a> Record<'a, '_> {
    /// The value of its last attribute of that name; `Some(None)` if that has none.
    pub(super) fn attribute(&self, name: &str) -> Option<Option<Value<'a>>> {
        let named = |pair: &'a [u8]| {
            let (key, value) = split(pair);
            (key == name.as_bytes()).then(|| value.map(Value::read))
        };
        match self {
            Self::Log(record) => fields(record, 6).filter_map(named).last(),
            Self::Span(span) => fields(span, 9).filter_map(named).last(),
            Self::Point(_, point) => point.attributes().raw().filter_map(named).last(),
        }
    }
}

/// Calls `each` with every record of a batch that becomes a row, and with the number of its
/// envelope, counted on from `number`; stops at an error.
pub(super) fn walk_rows<'a, E>(
    batch: &'a Batch,
    number: &mut u64,
    mut each: impl FnMut(&Envelope<'a>, u64, Record<'a, '_>) -> Result<(), E>,
) -> Result<(), E> {
    let tenant = batch.context().tenant.as_deref().unwrap_or_default();
    for chunk in batch.chunks() {
        walk(chunk, tenant, number, |envelope, number, record| match batch.signal() {
            Signal::Logs => each(envelope, number, Record::Log(record)),
            Signal::Traces => each(envelope, number, Record::Span(record)),
            Signal::Metrics => {
                let metric = Metric::of_encoded(record);
                metric
                    .points()
                    .try_for_each(|point| each(envelope, number, Record::Point(&metric, point)))
            }
        })?;
    }
    Ok(())
}

/// Calls `each` with every log record, span or metric of an encoded request.
fn walk<'a, E>(
    request: &'a [u8],
    tenant: &'a str,
    number: &mut u64,
    mut each: impl FnMut(&Envelope<'a>, u64, &'a [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut envelope = Envelope { tenant, ..Envelope::default() };
    for group in fields(request, FIRST) {
        envelope.resource = first(group, FIRST);
        envelope.resource_schema_url = first(group, SCHEMA_URL);
        for group in fields(group, CHILDREN) {
            envelope.scope = first(group, FIRST);
            envelope.scope_schema_url = first(group, SCHEMA_URL);
            *number += 1;
            for record in fields(group, CHILDREN) {
                each(&envelope, *number, record)?;
            }
        }
    }
    Ok(())
}

fn first(message: &[u8], number: u32) -> &[u8] {
    Fields::new(message).first(number).map(|field| field.bytes()).unwrap_or_default()
}

fn fields(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(message).filter(move |field| field.number == number).map(|field| field.bytes())
}

/// The columns of resource and scope.
#[derive(Debug, Default)]
pub(super) struct EnvelopeColumns {
    service_name: Texts,
    tenant: Texts,
    resource_attributes: AttributeColumns,
    resource_dropped: Numbers<Int64Type>,
    resource_schema_url: Texts,
    entity_refs: Texts,
    scope_name: Texts,
    scope_version: Texts,
    scope_attributes: AttributeColumns,
    scope_dropped: Numbers<Int64Type>,
    scope_schema_url: Texts,
    last_dropped: (i64, i64),
    /// How many times the last row is to be added again.
    num_repeats: usize,
    /// The size of the last row.
    last_bytes: usize,
}

impl EnvelopeColumns {
    /// Adds a row.
    pub(super) fn push(&mut self, envelope: &Envelope<'_>) {
        self.end_repeats();
        let bytes_before = self.size_bytes();
        let resource = Resource::of_encoded(envelope.resource);
        let scope = Scope::of_encoded(envelope.scope);
        self.service_name.push_unless_empty(resource.service_name().unwrap_or_default().as_bytes());
        self.tenant.push_unless_empty(envelope.tenant.as_bytes());
        self.resource_attributes.row(resource.attributes().raw());
        self.resource_schema_url.push_unless_empty(envelope.resource_schema_url);
        self.entity_refs.push_unless_empty(entity_refs(&resource).as_bytes());
        self.scope_name.push_unless_empty(scope.name().as_bytes());
        self.scope_version.push_unless_empty(scope.version().as_bytes());
        self.scope_attributes.row(scope.attributes().raw());
        self.scope_schema_url.push_unless_empty(envelope.scope_schema_url);
        self.last_dropped = (
            i64::from(resource.dropped_attributes_count()),
            i64::from(scope.dropped_attributes_count()),
        );
        self.resource_dropped.push(self.last_dropped.0);
        self.scope_dropped.push(self.last_dropped.1);
        self.last_bytes = self.size_bytes() - bytes_before;
    }

    /// Adds the last row again.
    pub(super) const fn repeat(&mut self) {
        self.num_repeats += 1;
    }

    fn end_repeats(&mut self) {
        let times = std::mem::take(&mut self.num_repeats);
        if times == 0 {
            return;
        }
        self.resource_attributes.repeat(times);
        self.scope_attributes.repeat(times);
        for texts in [
            &mut self.service_name,
            &mut self.tenant,
            &mut self.resource_schema_url,
            &mut self.entity_refs,
            &mut self.scope_name,
            &mut self.scope_version,
            &mut self.scope_schema_url,
        ] {
            texts.repeat(1, times);
        }
        self.resource_dropped.push_n(self.last_dropped.0, times);
        self.scope_dropped.push_n(self.last_dropped.1, times);
    }

    /// About the memory that the rows take, those included that are to be added again.
    pub(super) const fn size_bytes(&self) -> usize {
        self.service_name.size_bytes()
            + self.tenant.size_bytes()
            + self.resource_attributes.size_bytes()
            + self.resource_schema_url.size_bytes()
            + self.entity_refs.size_bytes()
            + self.scope_name.size_bytes()
            + self.scope_version.size_bytes()
            + self.scope_attributes.size_bytes()
            + self.scope_schema_url.size_bytes()
            + self.num_repeats * self.last_bytes
    }

    pub(super) fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        self.end_repeats();
        arrays.extend([self.service_name.finish(), self.tenant.finish()]);
        arrays.extend(self.resource_attributes.finish());
        arrays.extend([
            self.resource_dropped.finish(),
            self.resource_schema_url.finish(),
            self.entity_refs.finish(),
            self.scope_name.finish(),
            self.scope_version.finish(),
        ]);
        arrays.extend(self.scope_attributes.finish());
        arrays.extend([self.scope_dropped.finish(), self.scope_schema_url.finish()]);
    }
}

/// The entities of a resource as OTLP's JSON has them; nothing if there are none.
fn entity_refs(resource: &Resource<'_>) -> String {
    let mut text = String::new();
    for entity in resource.entity_refs() {
        text.push(if text.is_empty() { '[' } else { ',' });
        push_entity_ref(&entity, &mut text);
    }
    if !text.is_empty() {
        text.push(']');
    }
    text
}

fn push_entity_ref(entity: &EntityRef<'_>, text: &mut String) {
    text.push_str("{\"schemaUrl\":");
    push_json_str(entity.schema_url(), text);
    text.push_str(",\"type\":");
    push_json_str(entity.entity_type(), text);
    text.push_str(",\"idKeys\":");
    push_strings(entity.id_keys(), text);
    text.push_str(",\"descriptionKeys\":");
    push_strings(entity.description_keys(), text);
    text.push('}');
}

fn push_strings<'a>(strings: impl Iterator<Item = &'a str>, text: &mut String) {
    text.push('[');
    for (index, string) in strings.enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_json_str(string, text);
    }
    text.push(']');
}

/// Columns of attributes that have a column of their own: the record's, else the resource's.
#[derive(Debug, Default)]
pub(super) struct Promoted {
    names: Vec<String>,
    columns: Vec<Texts>,
}

impl Promoted {
    pub(super) fn new(names: &[String]) -> Self {
        let columns = names.iter().map(|_| Texts::default()).collect();
        Self { names: names.to_vec(), columns }
    }

    /// The names of the attributes.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Adds a row of a record.
    pub(super) fn push(&mut self, resource: &[u8], record: &Record<'_, '_>) {
        for (name, column) in self.names.iter().zip(&mut self.columns) {
            let own = record.attribute(name);
            match own.unwrap_or_else(|| Resource::of_encoded(resource).attributes().get(name)) {
                None | Some(Value::Empty) => column.push_none(),
                Some(value) => column.push(value.to_text().as_bytes()),
            }
        }
    }

    pub(super) fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.extend(self.columns.iter_mut().map(Texts::finish));
    }
}
