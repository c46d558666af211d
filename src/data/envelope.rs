//! Views of the envelopes around records: requests, resources' and scopes' groups.

use std::marker::PhantomData;

use bytes::Bytes;

use super::logs::LogRecord;
use super::metrics::Metric;
use super::points::DataPoint;
use super::resource::{Resource, Scope};
use super::traces::Span;
use super::value::text_of;
use super::view::{bytes, messages};
use super::{Attributes, Batch, Signal, Time};

/// The number of the field that holds resources' groups in a request.
const RESOURCES: u32 = 1;
/// The number of the field that holds scopes' groups, and in those the records.
const CHILDREN: u32 = 2;
/// The number of the field that holds a group's schema URL.
const SCHEMA_URL: u32 = 3;

/// What stands in a scope's group.
pub trait Element<'a>: Copy {
    /// A view of an encoded message.
    fn of_encoded(message: &'a [u8]) -> Self;
}

impl<'a> Element<'a> for LogRecord<'a> {
    #[inline]
    fn of_encoded(message: &'a [u8]) -> Self {
        LogRecord::of_encoded(message)
    }
}

impl<'a> Element<'a> for Span<'a> {
    #[inline]
    fn of_encoded(message: &'a [u8]) -> Self {
        Span::of_encoded(message)
    }
}

impl<'a> Element<'a> for Metric<'a> {
    #[inline]
    fn of_encoded(message: &'a [u8]) -> Self {
        Metric::of_encoded(message)
    }
}

/// All that a batch holds of one signal.
#[derive(Clone, Copy, Debug)]
pub struct Telemetry<'a, E> {
    chunks: &'a [Bytes],
    element: PhantomData<E>,
}

/// The log records of a batch.
pub type Logs<'a> = Telemetry<'a, LogRecord<'a>>;
/// The spans of a batch.
pub type Spans<'a> = Telemetry<'a, Span<'a>>;
/// The metrics of a batch.
pub type Metrics<'a> = Telemetry<'a, Metric<'a>>;

impl<'a, E: Element<'a>> Telemetry<'a, E> {
    /// The groups of records by resource.
    #[inline]
    pub fn resources(&self) -> impl Iterator<Item = ResourceGroup<'a, E>> + use<'a, E> {
        self.chunks
            .iter()
            .flat_map(|chunk| messages(chunk, RESOURCES))
            .map(|message| ResourceGroup { message, element: PhantomData })
    }

    /// All log records, spans or metrics, each with its resource and scope.
    pub fn items(&self) -> impl Iterator<Item = Item<'a, E>> + use<'a, E> {
        self.resources().flat_map(|group| {
            let resource = group.resource();
            group.scopes().flat_map(move |group| {
                let scope = group.scope();
                group.elements().map(move |record| Item { resource, scope, record })
            })
        })
    }
}

/// `ResourceLogs`, `ResourceSpans` or `ResourceMetrics`.
#[derive(Clone, Copy, Debug)]
pub struct ResourceGroup<'a, E> {
    message: &'a [u8],
    element: PhantomData<E>,
}

impl<'a, E: Element<'a>> ResourceGroup<'a, E> {
    /// What produced the records.
    #[must_use]
    pub fn resource(&self) -> Resource<'a> {
        Resource::of_encoded(bytes(self.message, 1))
    }

    /// The schema of the resource.
    #[must_use]
    pub fn schema_url(&self) -> &'a str {
        text_of(bytes(self.message, SCHEMA_URL))
    }

    /// The groups of records by scope.
    #[inline]
    pub fn scopes(&self) -> impl Iterator<Item = ScopeGroup<'a, E>> + use<'a, E> {
        messages(self.message, CHILDREN).map(|message| ScopeGroup { message, element: PhantomData })
    }

    /// The encoded group, without a tag or length before it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.message
    }
}

/// `ScopeLogs`, `ScopeSpans` or `ScopeMetrics`.
#[derive(Clone, Copy, Debug)]
pub struct ScopeGroup<'a, E> {
    message: &'a [u8],
    element: PhantomData<E>,
}

impl<'a, E: Element<'a>> ScopeGroup<'a, E> {
    /// The instrumentation that produced the records.
    #[must_use]
    pub fn scope(&self) -> Scope<'a> {
        Scope::of_encoded(bytes(self.message, 1))
    }

    /// The schema of the records.
    #[must_use]
    pub fn schema_url(&self) -> &'a str {
        text_of(bytes(self.message, SCHEMA_URL))
    }

    /// The encoded group, without a tag or length before it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.message
    }

    #[inline]
    fn elements(&self) -> impl Iterator<Item = E> + use<'a, E> {
        messages(self.message, CHILDREN).map(E::of_encoded)
    }
}

impl<'a> ScopeGroup<'a, LogRecord<'a>> {
    /// The log records in order.
    pub fn records(&self) -> impl Iterator<Item = LogRecord<'a>> + use<'a> {
        self.elements()
    }
}

impl<'a> ScopeGroup<'a, Span<'a>> {
    /// The spans in order.
    pub fn spans(&self) -> impl Iterator<Item = Span<'a>> + use<'a> {
        self.elements()
    }
}

impl<'a> ScopeGroup<'a, Metric<'a>> {
    /// The metrics in order.
    pub fn metrics(&self) -> impl Iterator<Item = Metric<'a>> + use<'a> {
        self.elements()
    }
}

/// A record, or a metric, with what it shares with others.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a, R> {
    /// What produced it.
    pub resource: Resource<'a>,
    /// The instrumentation that produced it.
    pub scope: Scope<'a>,
    /// The record itself.
    pub record: R,
}

impl<'a, R> Item<'a, R> {
    /// The same with another form of the record.
    #[must_use]
    #[inline]
    pub fn map<S>(self, form: impl FnOnce(R) -> S) -> Item<'a, S> {
        Item { resource: self.resource, scope: self.scope, record: form(self.record) }
    }
}

/// A data point with its metric.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// The metric.
    pub metric: Metric<'a>,
    /// The point.
    pub data: DataPoint<'a>,
}

/// A record of any signal.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// A log record.
    Log(LogRecord<'a>),
    /// A span.
    Span(Span<'a>),
    /// A data point with its metric.
    Point(Point<'a>),
}

impl<'a> Record<'a> {
    /// The encoded message, without a tag or length before it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Log(record) => record.bytes(),
            Self::Span(span) => span.bytes(),
            Self::Point(point) => point.data.bytes(),
        }
    }

    /// The record's own attributes.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        match self {
            Self::Log(record) => record.attributes(),
            Self::Span(span) => span.attributes(),
            Self::Point(point) => point.data.attributes(),
        }
    }

    /// When it happened: a log's time or else when it was seen, a span's start, a point's time.
    #[must_use]
    pub fn time(&self) -> Time {
        match self {
            Self::Log(record) => record.time_or_observed(),
            Self::Span(span) => span.start_time(),
            Self::Point(point) => point.data.time(),
        }
    }
}

impl Batch {
    /// The log records; none if this is another signal.
    #[must_use]
    pub fn logs(&self) -> Logs<'_> {
        self.telemetry(Signal::Logs)
    }

    /// The spans; none if this is another signal.
    #[must_use]
    pub fn spans(&self) -> Spans<'_> {
        self.telemetry(Signal::Traces)
    }

    /// The metrics; none if this is another signal.
    #[must_use]
    pub fn metrics(&self) -> Metrics<'_> {
        self.telemetry(Signal::Metrics)
    }

    /// The data points, each with its metric; none if this is another signal.
    pub fn points(&self) -> impl Iterator<Item = Item<'_, Point<'_>>> {
        self.metrics().items().flat_map(|item| {
            let Item { resource, scope, record: metric } = item;
            metric.points().map(move |data| Item {
                resource,
                scope,
                record: Point { metric, data },
            })
        })
    }

    /// The records of any signal, in order.
    pub fn records(&self) -> impl Iterator<Item = Item<'_, Record<'_>>> {
        let logs = self.logs().items().map(|item| item.map(Record::Log));
        let spans = self.spans().items().map(|item| item.map(Record::Span));
        let points = self.points().map(|item| item.map(Record::Point));
        logs.chain(spans).chain(points)
    }

    fn telemetry<'a, E: Element<'a>>(&'a self, signal: Signal) -> Telemetry<'a, E> {
        let chunks = if self.signal() == signal { self.chunks() } else { &[] };
        Telemetry { chunks, element: PhantomData }
    }
}
