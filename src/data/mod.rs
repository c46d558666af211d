//! Telemetry as OTLP bytes: what flows between components, how it is checked, read and edited.

mod attributes;
mod batch;
mod builder;
mod canonical;
mod context;
mod door;
mod edit;
mod envelope;
mod fields;
mod ids;
mod logs;
mod metrics;
mod places;
mod points;
mod resource;
mod schema;
mod text;
mod time;
mod traces;
mod validate;
mod value;
mod view;
pub mod wire;

pub use attributes::{Attributes, write_attribute, write_encoded};
pub use batch::{Batch, Signal};
pub use builder::{
    About, Envelopes, LogWriter, LogsBuilder, MetricsBuilder, PointsWriter, SpanWriter,
    TracesBuilder, encode_resource, encode_scope,
};
pub use context::{Context, EntryId, Packed, Part, PartRun, Parts};
pub use door::{Admitted, DoorError, DoorLimits, InvalidUtf8};
pub use edit::{
    AttributeEdit, AttributesMut, ConcatError, LogRecordMut, MessageMut, MetricMut, PointMut,
    Regroup, ResourceMut, ScopeMut, SpanMut,
};
pub use envelope::{
    Element, Item, Logs, Metrics, Point, Record, ResourceGroup, ScopeGroup, Spans, Telemetry,
};
pub use fields::{LogFields, SpanFields};
pub use ids::{SpanId, TraceId, parse_hex, push_hex};
pub use logs::LogRecord;
pub use metrics::{
    DataKind, ExponentialHistogram, Gauge, Histogram, Metric, MetricData, Sum, Summary, Temporality,
};
pub use places::AttributePlaces;
pub use points::{
    Buckets, DataPoint, Exemplar, ExponentialHistogramPoint, HistogramPoint, NumberPoint,
    NumberValue, SummaryPoint, ValueAtQuantile,
};
pub use resource::{EntityRef, Resource, Scope};
pub use text::{push_double, push_json_str};
pub use time::Time;
pub use traces::{Event, Link, Span, Status};
pub use value::{Array, Value, ValueKind};

#[cfg(test)]
pub(crate) mod tests;
