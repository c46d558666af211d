//! What a client is told when its request was taken, whole or in part.

use bytes::Bytes;
use prost::Message;
use serde_json::json;

use crate::data::Signal;

/// Longest reason that is sent; a response stays far below the 4 MiB that clients read.
const MAX_REASON_BYTES: usize = 1024;

/// What was taken of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    num_rejected: usize,
    reason: String,
}

impl Taken {
    /// All but `num_rejected` records; without any of those it is a full success.
    pub(super) fn partly(num_rejected: usize, mut reason: String) -> Self {
        if reason.len() > MAX_REASON_BYTES {
            reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        }
        Self { num_rejected, reason }
    }

    fn is_whole(&self) -> bool {
        self.num_rejected == 0 && self.reason.is_empty()
    }

    /// An `Export<Signal>ServiceResponse`: the fields have the same numbers in all three.
    pub(super) fn to_protobuf(&self) -> Bytes {
        if self.is_whole() {
            return Bytes::new();
        }
        let partial_success = PartialSuccess {
            num_rejected: i64::try_from(self.num_rejected).unwrap_or(i64::MAX),
            error_message: self.reason.clone(),
        };
        ExportResponse { partial_success: Some(partial_success) }.encode_to_vec().into()
    }

    /// The same in JSON; an empty `partialSuccess` means full success, as the Collector writes it.
    pub(super) fn to_json(&self, signal: Signal) -> Bytes {
        if self.is_whole() {
            return Bytes::from_static(br#"{"partialSuccess":{}}"#);
        }
        let rejected = match signal {
            Signal::Logs => "rejectedLogRecords",
            Signal::Traces => "rejectedSpans",
            Signal::Metrics => "rejectedDataPoints",
        };
        let response = json!({
            "partialSuccess": {
                rejected: self.num_rejected.to_string(),
                "errorMessage": self.reason,
            }
        });
        response.to_string().into()
    }
}

#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    num_rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

    use super::*;

    #[test]
    fn full_success_leaves_partial_success_unset() {
        let response = Taken::default();
        let decoded = ExportTraceServiceResponse::decode(response.to_protobuf()).unwrap();
        assert_eq!(decoded.partial_success, None);
        assert_eq!(response.to_json(Signal::Logs), r#"{"partialSuccess":{}}"#);
    }

    #[test]
    fn partial_success_has_count_and_reason() {
        let response = Taken::partly(3, "too many attributes".to_owned());
        let decoded = ExportTraceServiceResponse::decode(response.to_protobuf()).unwrap();
        let partial = decoded.partial_success.unwrap();
        assert_eq!(partial.rejected_spans, 3);
        assert_eq!(partial.error_message, "too many attributes");
        assert_eq!(
            response.to_json(Signal::Metrics),
            r#"{"partialSuccess":{"errorMessage":"too many attributes","rejectedDataPoints":"3"}}"#
        );
    }
}
