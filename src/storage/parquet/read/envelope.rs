//! Resource and scope of rows.

use arrow::datatypes::Int64Type;
use serde::Deserialize;

use super::super::error::ParquetArchiveError;
use super::access::{Attributes, Numbers, Table, Texts, write_varint};
use super::foreign;
use crate::data::Envelopes;
use crate::data::wire::Writer;

/// The columns of resource and scope, and what the row before had.
pub(super) struct EnvelopeReader<'a> {
    resource_attributes: Attributes<'a>,
    resource_dropped: Numbers<'a, Int64Type>,
    resource_schema_url: Texts<'a>,
    entity_refs: Texts<'a>,
    scope_name: Texts<'a>,
    scope_version: Texts<'a>,
    scope_attributes: Attributes<'a>,
    scope_dropped: Numbers<'a, Int64Type>,
    scope_schema_url: Texts<'a>,
    last: Option<Group>,
}

#[derive(PartialEq, Eq)]
struct Group {
    resource: Vec<u8>,
    resource_schema_url: String,
    scope: Vec<u8>,
    scope_schema_url: String,
}

/// An entity as OTLP's JSON has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    schema_url: String,
    #[serde(rename = "type")]
    entity_type: String,
    id_keys: Vec<String>,
    description_keys: Vec<String>,
}

impl<'a> EnvelopeReader<'a> {
    pub(super) fn try_new(table: &Table<'a>) -> Result<Self, ParquetArchiveError> {
        Ok(Self {
            resource_attributes: table
                .attributes("resource_attributes", "resource_attribute_kinds")?,
            resource_dropped: table.numbers("resource_dropped_attributes_count")?,
            resource_schema_url: table.texts("resource_schema_url")?,
            entity_refs: table.texts("resource_entity_refs")?,
            scope_name: table.texts("scope_name")?,
            scope_version: table.texts("scope_version")?,
            scope_attributes: table.attributes("scope_attributes", "scope_attribute_kinds")?,
            scope_dropped: table.numbers("scope_dropped_attributes_count")?,
            scope_schema_url: table.texts("scope_schema_url")?,
            last: None,
        })
    }

    /// Whether the row stands in another envelope than the one begun last.
    pub(super) fn is_other(&self, row: usize) -> Result<bool, ParquetArchiveError> {
        Ok(self.last.as_ref() != Some(&self.group(row)?))
    }

    /// Begins the envelopes of a row where they differ from those of the row before.
    pub(super) fn begin(
        &mut self,
        row: usize,
        to: &mut Envelopes,
    ) -> Result<(), ParquetArchiveError> {
        let group = self.group(row)?;
        let is_same_resource = self.last.as_ref().is_some_and(|last| {
            last.resource == group.resource && last.resource_schema_url == group.resource_schema_url
        });
        if self.last.as_ref() == Some(&group) {
            return Ok(());
        }
        if !is_same_resource {
            to.resource(&group.resource, &group.resource_schema_url);
        }
        to.scope(&group.scope, &group.scope_schema_url);
        self.last = Some(group);
        Ok(())
    }

    fn group(&self, row: usize) -> Result<Group, ParquetArchiveError> {
        Ok(Group {
            resource: self.resource(row)?,
            resource_schema_url: self.resource_schema_url.text(row).to_owned(),
            scope: self.scope(row)?,
            scope_schema_url: self.scope_schema_url.text(row).to_owned(),
        })
    }

    fn resource(&self, row: usize) -> Result<Vec<u8>, ParquetArchiveError> {
        let mut writer = Writer::default();
        self.resource_attributes.write(row, 1, &mut writer)?;
        write_varint(2, self.resource_dropped.number(row), &mut writer);
        let entities = self.entity_refs.text(row);
        if !entities.is_empty() {
            let entities: Vec<Entity> =
                serde_json::from_str(entities).map_err(|error| foreign(error.to_string()))?;
            for entity in entities {
                writer.message(3, |writer| entity.write(writer));
            }
        }
        Ok(writer.into_vec())
    }

    fn scope(&self, row: usize) -> Result<Vec<u8>, ParquetArchiveError> {
        let mut writer = Writer::default();
        self.scope_name.write(row, 1, &mut writer);
        self.scope_version.write(row, 2, &mut writer);
        self.scope_attributes.write(row, 3, &mut writer)?;
        write_varint(4, self.scope_dropped.number(row), &mut writer);
        Ok(writer.into_vec())
    }
}

impl Entity {
    fn write(&self, writer: &mut Writer) {
        for (number, text) in [(1, &self.schema_url), (2, &self.entity_type)] {
            if !text.is_empty() {
                writer.str_field(number, text);
            }
        }
        self.id_keys.iter().for_each(|key| writer.str_field(3, key));
        self.description_keys.iter().for_each(|key| writer.str_field(4, key));
    }
}
