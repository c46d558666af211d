//! Records, resources and scopes to be written.

use std::ops::{Deref, DerefMut};

use super::super::points::{DataPoint, NumberValue};
use super::super::{DataKind, SpanId, Temporality, Time, TraceId, Value};
use super::MessageMut;
use super::patch::Patches;

const LOG_ATTRIBUTES: u32 = 6;
const SPAN_ATTRIBUTES: u32 = 9;
const EVENTS: u32 = 11;
const EVENT_ATTRIBUTES: u32 = 3;
const LINKS: u32 = 13;
const LINK_ATTRIBUTES: u32 = 4;
const STATUS: u32 = 15;
const METRIC_METADATA: u32 = 12;
const RESOURCE_ATTRIBUTES: u32 = 1;
const SCOPE_ATTRIBUTES: u32 = 3;

/// Declares a type around a message to be written.
macro_rules! message_mut {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<'a, 'p> {
            message: MessageMut<'a, 'p>,
        }

        message_mut!(@ $name);
    };
    (@ $name:ident) => {
        impl<'a, 'p> Deref for $name<'a, 'p> {
            type Target = MessageMut<'a, 'p>;

            fn deref(&self) -> &Self::Target {
                &self.message
            }
        }

        impl DerefMut for $name<'_, '_> {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.message
            }
        }
    };
}

message_mut! {
    /// A log record to be written.
    LogRecordMut
}

impl<'a, 'p> LogRecordMut<'a, 'p> {
    pub(super) fn new(message: &'a [u8], at: usize, patches: &'p mut Patches) -> Self {
        Self { message: MessageMut::new(message, at, LOG_ATTRIBUTES, patches) }
    }

    /// Writes when it happened.
    pub fn set_time(&mut self, time: Time) {
        self.set_fixed64(1, time.as_unix_nanos());
    }

    /// Writes when it was seen first.
    pub fn set_observed_time(&mut self, time: Time) {
        self.set_fixed64(11, time.as_unix_nanos());
    }

    /// Writes how severe it is: 1 to 24, 0 for unknown.
    pub fn set_severity_number(&mut self, number: i32) {
        self.set_varint(2, enumeration(number));
    }

    /// Writes the severity as its source calls it.
    pub fn set_severity_text(&mut self, text: &str) {
        self.set_bytes(3, text.as_bytes());
    }

    /// Writes the message.
    pub fn set_body(&mut self, body: Value<'_>) {
        self.set_value(5, body);
    }

    /// Writes the flags.
    pub fn set_flags(&mut self, flags: u32) {
        self.set_fixed32(8, flags);
    }

    /// Writes the trace that it belongs to.
    pub fn set_trace_id(&mut self, id: Option<TraceId>) {
        set_id(self, 9, id.as_ref().map(|id| id.as_bytes().as_slice()));
    }

    /// Writes the span that it belongs to.
    pub fn set_span_id(&mut self, id: Option<SpanId>) {
        set_id(self, 10, id.as_ref().map(|id| id.as_bytes().as_slice()));
    }

    /// Writes the name of the kind of event that it is.
    pub fn set_event_name(&mut self, name: &str) {
        self.set_bytes(12, name.as_bytes());
    }

    /// Writes how many attributes were left out.
    pub fn set_dropped_attributes_count(&mut self, count: u32) {
        self.set_varint(7, u64::from(count));
    }
}

message_mut! {
    /// A span to be written.
    SpanMut
}

impl<'a, 'p> SpanMut<'a, 'p> {
    pub(super) fn new(message: &'a [u8], at: usize, patches: &'p mut Patches) -> Self {
        Self { message: MessageMut::new(message, at, SPAN_ATTRIBUTES, patches) }
    }

    /// Writes the trace that it belongs to.
    pub fn set_trace_id(&mut self, id: Option<TraceId>) {
        set_id(self, 1, id.as_ref().map(|id| id.as_bytes().as_slice()));
    }

    /// Writes its id.
    pub fn set_span_id(&mut self, id: Option<SpanId>) {
        set_id(self, 2, id.as_ref().map(|id| id.as_bytes().as_slice()));
    }

    /// Writes the span that it is a part of.
    pub fn set_parent_span_id(&mut self, id: Option<SpanId>) {
        set_id(self, 4, id.as_ref().map(|id| id.as_bytes().as_slice()));
    }

    /// Writes the W3C trace state.
    pub fn set_trace_state(&mut self, state: &str) {
        self.set_bytes(3, state.as_bytes());
    }

    /// Writes what it does.
    pub fn set_name(&mut self, name: &str) {
        self.set_bytes(5, name.as_bytes());
    }

    /// Writes its kind.
    pub fn set_kind(&mut self, kind: i32) {
        self.set_varint(6, enumeration(kind));
    }

    /// Writes when it began.
    pub fn set_start_time(&mut self, time: Time) {
        self.set_fixed64(7, time.as_unix_nanos());
    }

    /// Writes when it ended.
    pub fn set_end_time(&mut self, time: Time) {
        self.set_fixed64(8, time.as_unix_nanos());
    }

    /// Writes the flags.
    pub fn set_flags(&mut self, flags: u32) {
        self.set_fixed32(16, flags);
    }

    /// Writes how it ended: 0 unset, 1 ok, 2 error.
    pub fn set_status_code(&mut self, code: i32) {
        self.edit_status(|status| status.set_varint(3, enumeration(code)));
    }

    /// Writes what went wrong.
    pub fn set_status_message(&mut self, message: &str) {
        self.edit_status(|status| status.set_bytes(2, message.as_bytes()));
    }

    /// Calls `edit` with each event; those for which it returns false are taken out.
    pub fn edit_events(&mut self, edit: impl FnMut(&mut MessageMut<'_, '_>) -> bool) {
        self.edit_messages(EVENTS, EVENT_ATTRIBUTES, edit);
    }

    /// Calls `edit` with each link; those for which it returns false are taken out.
    pub fn edit_links(&mut self, edit: impl FnMut(&mut MessageMut<'_, '_>) -> bool) {
        self.edit_messages(LINKS, LINK_ATTRIBUTES, edit);
    }

    fn edit_status(&mut self, edit: impl Fn(&mut MessageMut<'_, '_>)) {
        let mut has_status = false;
        self.edit_messages(STATUS, 0, |status| {
            edit(status);
            has_status = true;
            true
        });
        if !has_status {
            let mut patches = Patches::default();
            edit(&mut MessageMut::new(&[], 0, 0, &mut patches));
            let growth = patches.seal(0);
            self.set_bytes(STATUS, &patches.apply(&[], growth));
        }
    }
}

message_mut! {
    /// A metric to be written; its attributes are its metadata.
    MetricMut
}

impl<'a, 'p> MetricMut<'a, 'p> {
    pub(super) fn new(message: &'a [u8], at: usize, patches: &'p mut Patches) -> Self {
        Self { message: MessageMut::new(message, at, METRIC_METADATA, patches) }
    }

    /// Writes its name.
    pub fn set_name(&mut self, name: &str) {
        self.set_bytes(1, name.as_bytes());
    }

    /// Writes what it measures.
    pub fn set_description(&mut self, description: &str) {
        self.set_bytes(2, description.as_bytes());
    }

    /// Writes the unit.
    pub fn set_unit(&mut self, unit: &str) {
        self.set_bytes(3, unit.as_bytes());
    }

    /// Writes the temporality of a sum or a histogram; nothing happens to other kinds.
    pub fn set_temporality(&mut self, temporality: Temporality) {
        for kind in [DataKind::Sum, DataKind::Histogram, DataKind::ExponentialHistogram] {
            self.edit_messages(kind.field_number(), 0, |data| {
                data.set_varint(2, enumeration(temporality.number()));
                true
            });
        }
    }
}

/// A data point to be written.
#[derive(Debug)]
pub struct PointMut<'a, 'p> {
    message: MessageMut<'a, 'p>,
    is_number: bool,
}

message_mut!(@ PointMut);

impl<'a, 'p> PointMut<'a, 'p> {
    pub(super) fn new(point: DataPoint<'a>, at: usize, patches: &'p mut Patches) -> Self {
        let attributes = match point {
            DataPoint::Number(_) | DataPoint::Summary(_) => 7,
            DataPoint::Histogram(_) => 9,
            DataPoint::ExponentialHistogram(_) => 1,
        };
        let is_number = matches!(point, DataPoint::Number(_));
        Self { message: MessageMut::new(point.bytes(), at, attributes, patches), is_number }
    }

    /// Writes when counting began.
    pub fn set_start_time(&mut self, time: Time) {
        self.set_fixed64(2, time.as_unix_nanos());
    }

    /// Writes when it was taken.
    pub fn set_time(&mut self, time: Time) {
        self.set_fixed64(3, time.as_unix_nanos());
    }

    /// Writes the value of a point of a gauge or sum; nothing happens to other points.
    pub fn set_number(&mut self, value: NumberValue) {
        if !self.is_number {
            return;
        }
        let (double, int) = (4, 6);
        match value {
            NumberValue::Empty => {
                self.clear_field(double);
                self.clear_field(int);
            }
            NumberValue::Double(number) => {
                self.clear_field(int);
                self.set_fixed64(double, number.to_bits());
            }
            NumberValue::Int(number) => {
                self.clear_field(double);
                self.set_fixed64(int, number.cast_unsigned());
            }
        }
    }
}

message_mut! {
    /// A resource to be written.
    ResourceMut
}

impl<'a, 'p> ResourceMut<'a, 'p> {
    pub(super) fn new(message: &'a [u8], at: usize, patches: &'p mut Patches) -> Self {
        Self { message: MessageMut::new(message, at, RESOURCE_ATTRIBUTES, patches) }
    }

    /// Writes how many attributes were left out.
    pub fn set_dropped_attributes_count(&mut self, count: u32) {
        self.set_varint(2, u64::from(count));
    }
}

message_mut! {
    /// A scope to be written.
    ScopeMut
}

impl<'a, 'p> ScopeMut<'a, 'p> {
    pub(super) fn new(message: &'a [u8], at: usize, patches: &'p mut Patches) -> Self {
        Self { message: MessageMut::new(message, at, SCOPE_ATTRIBUTES, patches) }
    }

    /// Writes its name.
    pub fn set_name(&mut self, name: &str) {
        self.set_bytes(1, name.as_bytes());
    }

    /// Writes its version.
    pub fn set_version(&mut self, version: &str) {
        self.set_bytes(2, version.as_bytes());
    }
}

/// An enumeration's number as a varint: negative numbers are extended to 64 bits.
fn enumeration(number: i32) -> u64 {
    i64::from(number).cast_unsigned()
}

fn set_id(message: &mut MessageMut<'_, '_>, number: u32, id: Option<&[u8]>) {
    match id {
        Some(id) => message.set_bytes(number, id),
        None => message.clear_field(number),
    }
}
