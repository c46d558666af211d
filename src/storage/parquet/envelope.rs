//! What records share: the walk through a batch, and the columns of resource and scope.

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;

use super::attributes::AttributeColumns;
use super::columns::{Numbers, Texts};
use super::text::split;
use crate::data::wire::Fields;
use crate::data::{EntityRef, Resource, Scope, Value, push_json_str};

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

/// Calls `each` with every log record, span or metric of an encoded request, and with whether it
/// is the first of its envelope.
pub(super) fn walk<'a, E>(
    request: &'a [u8],
    tenant: &'a str,
    mut each: impl FnMut(&Envelope<'a>, &'a [u8], bool) -> Result<(), E>,
) -> Result<(), E> {
    let mut envelope = Envelope { tenant, ..Envelope::default() };
    for group in children(request, FIRST) {
        envelope.resource = first(group, FIRST);
        envelope.resource_schema_url = first(group, SCHEMA_URL);
        for group in children(group, CHILDREN) {
            envelope.scope = first(group, FIRST);
            envelope.scope_schema_url = first(group, SCHEMA_URL);
            let mut is_first = true;
            for record in children(group, CHILDREN) {
                each(&envelope, record, is_first)?;
                is_first = false;
            }
        }
    }
    Ok(())
}

fn first(message: &[u8], number: u32) -> &[u8] {
    Fields::new(message).first(number).map(|field| field.bytes()).unwrap_or_default()
}

fn children(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
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
}

impl EnvelopeColumns {
    /// Adds a row.
    pub(super) fn push(&mut self, envelope: &Envelope<'_>) {
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
        self.push_dropped();
    }

    /// Adds the last row again.
    pub(super) fn repeat(&mut self) {
        self.resource_attributes.repeat();
        self.scope_attributes.repeat();
        for texts in [
            &mut self.service_name,
            &mut self.tenant,
            &mut self.resource_schema_url,
            &mut self.entity_refs,
            &mut self.scope_name,
            &mut self.scope_version,
            &mut self.scope_schema_url,
        ] {
            texts.repeat(1);
        }
        self.push_dropped();
    }

    pub(super) const fn len(&self) -> usize {
        self.tenant.len()
    }

    pub(super) const fn size_bytes(&self) -> usize {
        self.resource_attributes.size_bytes() + self.scope_attributes.size_bytes()
    }

    pub(super) fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
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

    fn push_dropped(&mut self) {
        let (resource, scope) = self.last_dropped;
        self.resource_dropped.push(resource);
        self.scope_dropped.push(scope);
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

    /// Adds a row of a record with these encoded `KeyValue`s.
    pub(super) fn push<'a, I: Iterator<Item = &'a [u8]>>(
        &mut self,
        resource: &'a [u8],
        attributes: impl Fn() -> I,
    ) {
        for (name, column) in self.names.iter().zip(&mut self.columns) {
            let own = attributes().map(split).filter(|(key, _)| *key == name.as_bytes()).last();
            let value = match own {
                Some((_, value)) => value.map(Value::read),
                None => Resource::of_encoded(resource).attributes().get(name),
            };
            match value {
                None | Some(Value::Empty) => column.push_none(),
                Some(value) => column.push(value.to_text().as_bytes()),
            }
        }
    }

    pub(super) fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.extend(self.columns.iter_mut().map(Texts::finish));
    }
}
