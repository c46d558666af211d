//! The door, the views and the edits against prost, on arbitrary messages.

pub(crate) mod arbitrary;
mod door;
pub(crate) mod edits;
pub(crate) mod flatten;
mod from_views;
mod making;
mod views;

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{Batch, Context, DoorLimits, Signal};

/// What prost reads, encoded again: a form in which equal messages have equal bytes.
fn normal_form(signal: Signal, bytes: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    Ok(match signal {
        Signal::Logs => ExportLogsServiceRequest::decode(bytes)?.encode_to_vec(),
        Signal::Traces => ExportTraceServiceRequest::decode(bytes)?.encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes)?.encode_to_vec(),
    })
}

/// Takes in what must be valid.
pub(crate) fn admit(signal: Signal, bytes: Vec<u8>) -> Batch {
    let limits = DoorLimits::default();
    let admitted =
        Batch::try_new(signal, Bytes::from(bytes), Arc::new(Context::default()), &limits)
            .expect("the request is valid");
    assert_eq!((admitted.num_rejected, admitted.num_invalid_utf8), (0, 0));
    admitted.batch
}

/// A batch's records as prost has them, encoded again.
pub(crate) fn normal_batch(batch: &Batch) -> Vec<u8> {
    normal_form(batch.signal(), &batch.merged_bytes()).expect("a batch is valid")
}
