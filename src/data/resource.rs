//! Views of what records share: resources, scopes, entities.

use super::view::message_view;

message_view! {
    /// What produced the telemetry.
    Resource {
        /// What describes it.
        1 attributes: attributes,
        /// Attributes that were left out.
        2 dropped_attributes_count: u32,
        /// The entities that it stands for.
        3 entity_refs: many(EntityRef),
    }
}

impl<'a> Resource<'a> {
    /// The attribute `service.name`, if it is text.
    #[must_use]
    pub fn service_name(&self) -> Option<&'a str> {
        self.attributes().get("service.name").and_then(|value| value.as_str())
    }
}

message_view! {
    /// The instrumentation that produced the telemetry.
    Scope {
        /// Its name.
        1 name: str,
        /// Its version.
        2 version: str,
        /// What describes it.
        3 attributes: attributes,
        /// Attributes that were left out.
        4 dropped_attributes_count: u32,
    }
}

message_view! {
    /// An entity, as a choice of its resource's attributes.
    EntityRef {
        /// The schema of its type.
        1 schema_url: str,
        /// Its type.
        2 entity_type: str,
        /// The attributes that identify it.
        3 id_keys: strs,
        /// The attributes that describe it.
        4 description_keys: strs,
    }
}
