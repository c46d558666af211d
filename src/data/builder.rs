//! Making new telemetry, written as OTLP bytes at once.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bytes::Bytes;
use smallvec::smallvec;

use super::wire::{Mark, Writer};
use super::{
    Attributes, Batch, Context, DataKind, NumberValue, Signal, SpanId, Temporality, Time, TraceId,
    Value, write_attribute,
};

/// The number of the field that holds resources' groups in a request, and the resource or scope in
/// a group.
const FIRST: u32 = 1;
/// The number of the field that holds scopes' groups, and in those the records.
const CHILDREN: u32 = 2;
/// The number of the field that holds a group's schema URL.
const SCHEMA_URL: u32 = 3;
/// A guess of a group's size; lengths of up to three bytes need no moving.
const GROUP_SIZE: usize = 100_000;
/// A guess of a record's size; lengths of two bytes need no moving.
const CHILD_SIZE: usize = 300;

/// An encoded resource with these attributes.
#[must_use]
pub fn encode_resource<'v>(attributes: impl IntoIterator<Item = (&'v str, Value<'v>)>) -> Vec<u8> {
    let mut writer = Writer::default();
    for (key, value) in attributes {
        write_attribute(1, key, value, &mut writer);
    }
    writer.into_vec()
}

/// An encoded scope.
#[must_use]
pub fn encode_scope(name: &str, version: &str) -> Vec<u8> {
    let mut writer = Writer::default();
    write_text(1, name, &mut writer);
    write_text(2, version, &mut writer);
    writer.into_vec()
}

/// The envelopes of a request that is being made.
#[derive(Debug)]
pub struct Envelopes {
    signal: Signal,
    writer: Writer,
    resource: Option<Mark>,
    scope: Option<Mark>,
    num_records: usize,
}

impl Envelopes {
    fn new(signal: Signal) -> Self {
        Self { signal, writer: Writer::default(), resource: None, scope: None, num_records: 0 }
    }

    /// Begins a resource's group; `resource` is an encoded resource, such as a view's bytes.
    pub fn resource(&mut self, resource: &[u8], schema_url: &str) {
        self.end_resource();
        self.resource = Some(self.writer.begin_about(FIRST, GROUP_SIZE));
        self.begin_group(resource, schema_url);
    }

    /// Begins a scope's group in the resource's; `scope` is an encoded scope.
    pub fn scope(&mut self, scope: &[u8], schema_url: &str) {
        if self.resource.is_none() {
            self.resource(&[], "");
        }
        self.end_scope();
        self.scope = Some(self.writer.begin_about(CHILDREN, GROUP_SIZE));
        self.begin_group(scope, schema_url);
    }

    /// The number of records written.
    #[must_use]
    pub const fn num_records(&self) -> usize {
        self.num_records
    }

    /// The number of bytes written.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.writer.len()
    }

    fn begin_group(&mut self, owner: &[u8], schema_url: &str) {
        if !owner.is_empty() {
            self.writer.bytes_field(FIRST, owner);
        }
        write_text(SCHEMA_URL, schema_url, &mut self.writer);
    }

    fn element(&mut self, num_records: usize, write: impl FnOnce(&mut Writer)) {
        if self.scope.is_none() {
            self.scope(&[], "");
        }
        self.num_records += num_records;
        let mark = self.writer.begin_about(CHILDREN, CHILD_SIZE);
        write(&mut self.writer);
        self.writer.end(mark);
    }

    fn end_scope(&mut self) {
        if let Some(mark) = self.scope.take() {
            self.writer.end(mark);
        }
    }

    fn end_resource(&mut self) {
        self.end_scope();
        if let Some(mark) = self.resource.take() {
            self.writer.end(mark);
        }
    }

    fn finish(mut self, context: Arc<Context>) -> Batch {
        self.end_resource();
        let chunk = Bytes::from(self.writer.into_vec());
        Batch::from_parts(self.signal, smallvec![chunk], self.num_records).with_context(context)
    }
}

/// Declares a builder of one signal.
macro_rules! builder {
    ($(#[$doc:meta])* $name:ident, $signal:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            envelopes: Envelopes,
        }

        impl $name {
            /// An empty request.
            #[must_use]
            pub fn new() -> Self {
                Self { envelopes: Envelopes::new($signal) }
            }

            /// The request as a batch.
            #[must_use]
            pub fn finish(self, context: Arc<Context>) -> Batch {
                self.envelopes.finish(context)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl Deref for $name {
            type Target = Envelopes;

            fn deref(&self) -> &Envelopes {
                &self.envelopes
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Envelopes {
                &mut self.envelopes
            }
        }
    };
}

builder! {
    /// Makes a request of logs: `resource`, `scope`, then its records.
    LogsBuilder, Signal::Logs
}

impl LogsBuilder {
    /// Adds a log record.
    pub fn record(&mut self, write: impl FnOnce(&mut LogWriter<'_>)) {
        self.element(1, |writer| write(&mut LogWriter { writer }));
    }

    /// Adds an encoded log record.
    pub fn encoded(&mut self, record: &[u8]) {
        self.element(1, |writer| writer.raw(record));
    }
}

builder! {
    /// Makes a request of spans: `resource`, `scope`, then its spans.
    TracesBuilder, Signal::Traces
}

impl TracesBuilder {
    /// Adds a span.
    pub fn span(&mut self, write: impl FnOnce(&mut SpanWriter<'_>)) {
        self.element(1, |writer| write(&mut SpanWriter { writer }));
    }

    /// Adds an encoded span.
    pub fn encoded(&mut self, span: &[u8]) {
        self.element(1, |writer| writer.raw(span));
    }
}

builder! {
    /// Makes a request of metrics: `resource`, `scope`, then its metrics.
    MetricsBuilder, Signal::Metrics
}

impl MetricsBuilder {
    /// Adds a metric; its points are written by `write`.
    pub fn metric(&mut self, about: &About<'_>, write: impl FnOnce(&mut PointsWriter<'_>)) {
        let mut num_points = 0;
        self.element(0, |writer| {
            write_text(1, about.name, writer);
            write_text(2, about.description, writer);
            write_text(3, about.unit, writer);
            let mark = writer.begin_about(about.kind.field_number(), CHILD_SIZE);
            let mut points = PointsWriter { kind: about.kind, writer, num_points: 0 };
            write(&mut points);
            num_points = points.num_points;
            if !matches!(about.kind, DataKind::Gauge | DataKind::Summary)
                && about.temporality != Temporality::Unspecified
            {
                let number = i64::from(about.temporality.number()).cast_unsigned();
                writer.varint_field(2, number);
            }
            if about.kind == DataKind::Sum && about.is_monotonic {
                writer.varint_field(3, 1);
            }
            writer.end(mark);
        });
        self.num_records += num_points;
    }

    /// Adds an encoded metric of `num_points` points.
    pub fn encoded(&mut self, metric: &[u8], num_points: usize) {
        self.element(num_points, |writer| writer.raw(metric));
    }
}

/// What a metric is besides its points.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it measures.
    pub description: &'a str,
    /// The unit, in UCUM.
    pub unit: &'a str,
    /// The kind of its data.
    pub kind: DataKind,
    /// Whether points tell what came since the last one or since the start; of sums and histograms.
    pub temporality: Temporality,
    /// Whether it never falls; of sums.
    pub is_monotonic: bool,
}

/// Writes points of a metric.
#[derive(Debug)]
pub struct PointsWriter<'w> {
    kind: DataKind,
    writer: &'w mut Writer,
    num_points: usize,
}

impl PointsWriter<'_> {
    /// Adds a point of a gauge or sum.
    pub fn number<'v>(
        &mut self,
        times: (Time, Time),
        value: NumberValue,
        attributes: impl IntoIterator<Item = (&'v str, Value<'v>)>,
    ) {
        debug_assert!(
            matches!(self.kind, DataKind::Gauge | DataKind::Sum),
            "a number has no buckets"
        );
        let mark = self.begin();
        write_times((2, times.0), (3, times.1), self.writer);
        match value {
            NumberValue::Empty => {}
            NumberValue::Double(number) => self.writer.double_field(4, number),
            NumberValue::Int(number) => self.writer.fixed64_field(6, number.cast_unsigned()),
        }
        for (key, value) in attributes {
            write_attribute(7, key, value, self.writer);
        }
        self.writer.end(mark);
    }

    /// Adds a point of a histogram; `counts` has one more than `bounds`.
    pub fn histogram<'v>(
        &mut self,
        times: (Time, Time),
        sum: Option<f64>,
        buckets: (&[f64], &[u64]),
        attributes: impl IntoIterator<Item = (&'v str, Value<'v>)>,
    ) {
        debug_assert_eq!(self.kind, DataKind::Histogram, "buckets with bounds");
        let (bounds, counts) = buckets;
        let mark = self.begin();
        write_times((2, times.0), (3, times.1), self.writer);
        self.writer.fixed64_field(4, counts.iter().sum());
        if let Some(sum) = sum {
            self.writer.double_field(5, sum);
        }
        self.writer.length_prefix(6, counts.len() * 8);
        counts.iter().for_each(|count| self.writer.raw(&count.to_le_bytes()));
        self.writer.length_prefix(7, bounds.len() * 8);
        bounds.iter().for_each(|bound| self.writer.raw(&bound.to_bits().to_le_bytes()));
        for (key, value) in attributes {
            write_attribute(9, key, value, self.writer);
        }
        self.writer.end(mark);
    }

    /// Adds an encoded point of the metric's kind.
    pub fn encoded(&mut self, point: &[u8]) {
        self.num_points += 1;
        self.writer.bytes_field(1, point);
    }

    fn begin(&mut self) -> Mark {
        self.num_points += 1;
        self.writer.begin_about(1, CHILD_SIZE)
    }
}

/// Writes a log record.
#[derive(Debug)]
pub struct LogWriter<'w> {
    writer: &'w mut Writer,
}

impl LogWriter<'_> {
    /// When it happened.
    pub fn time(&mut self, time: Time) {
        self.writer.fixed64_field(1, time.as_unix_nanos());
    }

    /// When it was seen first.
    pub fn observed_time(&mut self, time: Time) {
        self.writer.fixed64_field(11, time.as_unix_nanos());
    }

    /// How severe it is, 1 to 24, and what its source calls that.
    pub fn severity(&mut self, number: u8, text: &str) {
        self.writer.varint_field(2, u64::from(number));
        write_text(3, text, self.writer);
    }

    /// The message.
    pub fn body(&mut self, body: Value<'_>) {
        body.write_field(5, self.writer);
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, key: &str, value: Value<'_>) {
        write_attribute(6, key, value, self.writer);
    }

    /// Adds attributes.
    pub fn attributes(&mut self, attributes: Attributes<'_>) {
        attributes.raw().for_each(|pair| self.writer.bytes_field(6, pair));
    }

    /// The trace and span that it belongs to.
    pub fn ids(&mut self, trace: TraceId, span: SpanId) {
        self.writer.bytes_field(9, trace.as_bytes());
        self.writer.bytes_field(10, span.as_bytes());
    }

    /// The name of the kind of event that it is.
    pub fn event_name(&mut self, name: &str) {
        write_text(12, name, self.writer);
    }
}

/// Writes a span.
#[derive(Debug)]
pub struct SpanWriter<'w> {
    writer: &'w mut Writer,
}

impl SpanWriter<'_> {
    /// Its trace, itself and the span that it is a part of.
    pub fn ids(&mut self, trace: TraceId, span: SpanId, parent: Option<SpanId>) {
        self.writer.bytes_field(1, trace.as_bytes());
        self.writer.bytes_field(2, span.as_bytes());
        if let Some(parent) = parent {
            self.writer.bytes_field(4, parent.as_bytes());
        }
    }

    /// The W3C trace state.
    pub fn trace_state(&mut self, state: &str) {
        write_text(3, state, self.writer);
    }

    /// What it does, and its kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub fn name(&mut self, name: &str, kind: u8) {
        write_text(5, name, self.writer);
        self.writer.varint_field(6, u64::from(kind));
    }

    /// When it began and ended.
    pub fn times(&mut self, start: Time, end: Time) {
        write_times((7, start), (8, end), self.writer);
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, key: &str, value: Value<'_>) {
        write_attribute(9, key, value, self.writer);
    }

    /// Adds attributes.
    pub fn attributes(&mut self, attributes: Attributes<'_>) {
        attributes.raw().for_each(|pair| self.writer.bytes_field(9, pair));
    }

    /// Adds an event.
    pub fn event<'v>(
        &mut self,
        time: Time,
        name: &str,
        attributes: impl IntoIterator<Item = (&'v str, Value<'v>)>,
    ) {
        self.writer.message(11, |event| {
            event.fixed64_field(1, time.as_unix_nanos());
            write_text(2, name, event);
            for (key, value) in attributes {
                write_attribute(3, key, value, event);
            }
        });
    }

    /// Adds a link.
    pub fn link(&mut self, trace: TraceId, span: SpanId) {
        self.writer.message(13, |link| {
            link.bytes_field(1, trace.as_bytes());
            link.bytes_field(2, span.as_bytes());
        });
    }

    /// How it ended: 0 unset, 1 ok, 2 error, and what went wrong.
    pub fn status(&mut self, code: u8, message: &str) {
        self.writer.message(15, |status| {
            write_text(2, message, status);
            status.varint_field(3, u64::from(code));
        });
    }

    /// The flags.
    pub fn flags(&mut self, flags: u32) {
        self.writer.fixed32_field(16, flags);
    }
}

fn write_text(number: u32, text: &str, writer: &mut Writer) {
    if !text.is_empty() {
        writer.str_field(number, text);
    }
}

fn write_times(first: (u32, Time), second: (u32, Time), writer: &mut Writer) {
    for (number, time) in [first, second] {
        if time != Time::default() {
            writer.fixed64_field(number, time.as_unix_nanos());
        }
    }
}
