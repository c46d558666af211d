//! What OTLP servers answer: partial success, and `google.rpc.Status` with its details.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use serde_json::Value;

/// The type of the detail that asks for a pause.
const RETRY_INFO: &str = "google.rpc.RetryInfo";
/// Longest text of a server that is kept.
const MAX_TEXT_BYTES: usize = 1024;

/// Part of a request was refused for good, or there is a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Log records, spans or data points that were refused.
    pub num_rejected: u64,
    /// Why, in the server's words.
    pub message: String,
}

impl PartialSuccess {
    /// Reads an export response in protobuf; `None` when all was taken or it cannot be read.
    ///
    /// The responses of all signals have the same fields.
    #[must_use]
    pub fn from_protobuf(body: &[u8]) -> Option<Self> {
        let partial = ExportLogsServiceResponse::decode(body).ok()?.partial_success?;
        Self::told(partial.rejected_log_records, &partial.error_message)
    }

    /// Reads an export response in JSON; `None` when all was taken or it cannot be read.
    #[must_use]
    pub fn from_json(body: &[u8]) -> Option<Self> {
        let response: Value = serde_json::from_slice(body).ok()?;
        let partial = either(&response, "partialSuccess", "partial_success")?;
        let rejected = [
            ("rejectedLogRecords", "rejected_log_records"),
            ("rejectedSpans", "rejected_spans"),
            ("rejectedDataPoints", "rejected_data_points"),
        ];
        let num_rejected = rejected
            .iter()
            .filter_map(|(camel, snake)| either(partial, camel, snake))
            .filter_map(|number| number.as_i64().or_else(|| number.as_str()?.parse().ok()))
            .sum();
        let message = either(partial, "errorMessage", "error_message").and_then(Value::as_str);
        Self::told(num_rejected, message.unwrap_or_default())
    }

    fn told(num_rejected: i64, message: &str) -> Option<Self> {
        let num_rejected = u64::try_from(num_rejected).unwrap_or(0);
        if num_rejected == 0 && message.is_empty() {
            return None;
        }
        Some(Self { num_rejected, message: shortened(message) })
    }
}

/// A `google.rpc.Status`, as far as a client acts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcStatus {
    /// What is wrong, for people.
    pub message: String,
    /// When to try again; there only if the server says so.
    pub retry_delay: Option<Duration>,
}

impl RpcStatus {
    /// Reads a status in protobuf; `None` when it is not one.
    #[must_use]
    pub fn from_protobuf(body: &[u8]) -> Option<Self> {
        let status = Status::decode(body).ok()?;
        let retry_delay = status
            .details
            .iter()
            .find(|detail| detail.type_url.rsplit('/').next() == Some(RETRY_INFO))
            .and_then(|detail| RetryInfo::decode(detail.value.as_slice()).ok())
            .and_then(|info| info.retry_delay)
            .and_then(|delay| {
                Some(Duration::new(
                    u64::try_from(delay.seconds).ok()?,
                    u32::try_from(delay.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?,
                ))
            });
        Some(Self { message: shortened(&status.message), retry_delay })
    }

    /// Reads a status in JSON; `None` when it is not one.
    #[must_use]
    pub fn from_json(body: &[u8]) -> Option<Self> {
        let status: Value = serde_json::from_slice(body).ok()?;
        let message = status.get("message")?.as_str()?;
        Some(Self { message: shortened(message), retry_delay: None })
    }
}

/// The text, or the beginning of it when it is long; control characters become blanks.
#[must_use]
pub fn shortened(text: &str) -> String {
    let mut short = String::with_capacity(text.len().min(MAX_TEXT_BYTES));
    for c in text.trim().chars() {
        if short.len() + c.len_utf8() > MAX_TEXT_BYTES {
            short.push('…');
            break;
        }
        short.push(if c.is_control() { ' ' } else { c });
    }
    short
}

fn either<'a>(map: &'a Value, camel: &str, snake: &str) -> Option<&'a Value> {
    map.get(camel).or_else(|| map.get(snake))
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// A `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// A `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };

    use super::*;

    #[test]
    fn partial_success_is_read_for_every_signal() {
        let response = ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points: 3,
                error_message: "too old".into(),
            }),
        };
        let wanted = Some(PartialSuccess { num_rejected: 3, message: "too old".into() });
        assert_eq!(PartialSuccess::from_protobuf(&response.encode_to_vec()), wanted);
        let json = br#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old"}}"#;
        assert_eq!(PartialSuccess::from_json(json), wanted);
    }

    #[test]
    fn empty_partial_success_is_success() {
        let response = ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess::default()),
        };
        assert_eq!(PartialSuccess::from_protobuf(&response.encode_to_vec()), None);
        assert_eq!(PartialSuccess::from_protobuf(b""), None);
        assert_eq!(PartialSuccess::from_json(br#"{"partialSuccess":{}}"#), None);
        assert_eq!(PartialSuccess::from_json(b"{}"), None);
        assert_eq!(PartialSuccess::from_json(b"<html>"), None);
    }

    #[test]
    fn warning_has_no_rejected_records() {
        let told = PartialSuccess::from_json(br#"{"partialSuccess":{"errorMessage":"slow"}}"#);
        assert_eq!(told, Some(PartialSuccess { num_rejected: 0, message: "slow".into() }));
    }

    #[test]
    fn retry_info_is_found_in_the_details() {
        let info = RetryInfo { retry_delay: Some(Delay { seconds: 2, nanos: 500_000_000 }) };
        let status = Status {
            code: 8,
            message: "slow down".into(),
            details: vec![Detail {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
                value: info.encode_to_vec(),
            }],
        };
        let read = RpcStatus::from_protobuf(&status.encode_to_vec()).unwrap();
        assert_eq!(read.message, "slow down");
        assert_eq!(read.retry_delay, Some(Duration::from_millis(2500)));
        assert_eq!(RpcStatus::from_protobuf(b"\xff"), None);
    }

    #[test]
    fn long_text_is_shortened() {
        let short = shortened(&"ä\n".repeat(2000));
        assert!(short.len() <= MAX_TEXT_BYTES + '…'.len_utf8());
        assert!(short.ends_with('…') && !short.contains('\n'));
    }
}
