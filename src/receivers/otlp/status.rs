//! What went wrong, and how that is told: `google.rpc.Status` in trailers and bodies.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use prost::Message;
use serde::Serialize;

use crate::component::{Answer, AuthError, Outcome, Pressure};

/// When a client shall come back if nobody says when.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);
/// Longest message that is sent; it goes into headers too.
const MAX_MESSAGE_BYTES: usize = 1024;
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// The codes of gRPC that this receiver answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Why a request was not answered with success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
    /// The status of HTTP where it is not the one that belongs to the code.
    http: Option<StatusCode>,
    /// The value of `www-authenticate`.
    pub(super) challenge: Option<&'static str>,
}

impl Status {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        let mut message = message.into();
        truncate(&mut message);
        Self { code, message, retry_after: None, http: None, challenge: None }
    }

    pub(super) const fn with_http(mut self, status: StatusCode) -> Self {
        self.http = Some(status);
        self
    }

    /// Bad data: sending it again is of no use.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// Larger than allowed; without RetryInfo, for it will not become smaller.
    pub(super) fn too_large(max_bytes: usize) -> Self {
        let message = format!("the request is larger than {max_bytes} bytes");
        Self::new(Code::ResourceExhausted, message).with_http(StatusCode::PAYLOAD_TOO_LARGE)
    }

    fn try_later(message: impl Into<String>, retry_after: Duration) -> Self {
        // Clients take no delay for "do not wait", not for "wait as you like".
        let retry_after = if retry_after.is_zero() { DEFAULT_RETRY } else { retry_after };
        Self { retry_after: Some(retry_after), ..Self::new(Code::Unavailable, message) }
    }

    /// What an answer of the pipelines means to the client; `None`: success.
    pub(super) fn of_answer(answer: &Answer) -> Option<Self> {
        let reason = answer.reason.as_deref();
        match answer.outcome {
            Outcome::Delivered => None,
            Outcome::Rejected => {
                Some(Self::new(Code::Internal, reason.unwrap_or("the records were refused")))
            }
            Outcome::Retry => Some(Self::try_later(
                reason.unwrap_or("the records cannot be taken now"),
                answer.retry_after.unwrap_or(DEFAULT_RETRY),
            )),
        }
    }

    pub(super) fn of_auth(error: &AuthError, challenge: &'static str) -> Self {
        let code = match error {
            AuthError::Missing { .. } | AuthError::Wrong => Code::Unauthenticated,
            AuthError::Forbidden => Code::PermissionDenied,
            _ => Code::Internal,
        };
        let challenge = Some(challenge).filter(|_| code == Code::Unauthenticated);
        Self { challenge, ..Self::new(code, error.to_string()) }
    }

    /// The status line of HTTP (the Collector's mapping).
    pub(super) fn http_status(&self) -> StatusCode {
        self.http.unwrap_or(match self.code {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::DeadlineExceeded | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unimplemented => StatusCode::NOT_FOUND,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        })
    }

    /// The value of `retry-after`: whole seconds, at least one.
    pub(super) fn retry_after_header(&self) -> Option<HeaderValue> {
        let seconds = self.retry_after?.as_millis().div_ceil(1000).max(1);
        HeaderValue::try_from(seconds.to_string()).ok()
    }

    /// The body of an OTLP/HTTP response in protobuf.
    pub(super) fn to_protobuf(&self) -> Bytes {
        let details = self.details().into_iter().map(Detail::into_any).collect();
        let status = RpcStatus { code: self.code as i32, message: self.message.clone(), details };
        status.encode_to_vec().into()
    }

    /// The body of an OTLP/HTTP response in JSON.
    pub(super) fn to_json(&self) -> Bytes {
        let details = self.details().into_iter().map(Detail::into_json).collect();
        let status = JsonStatus { code: self.code as i32, message: &self.message, details };
        // Strings and numbers can always be written.
        serde_json::to_vec(&status).unwrap_or_default().into()
    }

    /// The trailers of a gRPC response.
    pub(super) fn to_trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(3);
        trailers.insert(GRPC_STATUS, HeaderValue::from(self.code as i32));
        if let Ok(message) = HeaderValue::try_from(percent_encode(&self.message)) {
            trailers.insert(GRPC_MESSAGE, message);
        }
        if !self.details().is_empty() {
            let encoded = STANDARD_NO_PAD.encode(self.to_protobuf());
            if let Ok(details) = HeaderValue::try_from(encoded) {
                trailers.insert(GRPC_DETAILS, details);
            }
        }
        trailers
    }

    fn details(&self) -> Vec<Detail<'_>> {
        let mut details = Vec::new();
        if let Some(delay) = self.retry_after {
            details.push(Detail::Retry(delay));
        }
        if self.code == Code::InvalidArgument {
            details.push(Detail::BadRequest(&self.message));
        }
        details
    }
}

impl From<Pressure> for Status {
    fn from(pressure: Pressure) -> Self {
        Self::try_later(pressure.to_string(), pressure.retry_after)
    }
}

/// The trailers of success.
pub(super) fn ok_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

enum Detail<'a> {
    Retry(Duration),
    BadRequest(&'a str),
}

impl<'a> Detail<'a> {
    fn into_any(self) -> RpcAny {
        match self {
            Self::Retry(delay) => {
                let retry_delay = RpcDuration {
                    seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                    nanos: i32::try_from(delay.subsec_nanos()).unwrap_or(0),
                };
                let value = RetryInfo { retry_delay: Some(retry_delay) }.encode_to_vec();
                RpcAny { type_url: RETRY_INFO.to_owned(), value }
            }
            Self::BadRequest(description) => {
                let description = description.to_owned();
                let violation = FieldViolation { field: String::new(), description };
                let value = BadRequest { field_violations: vec![violation] }.encode_to_vec();
                RpcAny { type_url: BAD_REQUEST.to_owned(), value }
            }
        }
    }

    fn into_json(self) -> JsonDetail<'a> {
        match self {
            Self::Retry(delay) => JsonDetail::Retry {
                type_url: RETRY_INFO,
                retry_delay: format!("{}.{:09}s", delay.as_secs(), delay.subsec_nanos()),
            },
            Self::BadRequest(description) => JsonDetail::BadRequest {
                type_url: BAD_REQUEST,
                field_violations: [JsonViolation { description }],
            },
        }
    }
}

/// `google.rpc.Status` (googleapis, google/rpc/status.proto).
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<RpcAny>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcAny {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `google.rpc.RetryInfo` (googleapis, google/rpc/error_details.proto).
#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<RpcDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcDuration {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

#[derive(Serialize)]
struct JsonStatus<'a> {
    code: i32,
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<JsonDetail<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum JsonDetail<'a> {
    Retry {
        #[serde(rename = "@type")]
        type_url: &'static str,
        #[serde(rename = "retryDelay")]
        retry_delay: String,
    },
    BadRequest {
        #[serde(rename = "@type")]
        type_url: &'static str,
        #[serde(rename = "fieldViolations")]
        field_violations: [JsonViolation<'a>; 1],
    },
}

#[derive(Serialize)]
struct JsonViolation<'a> {
    description: &'a str,
}

fn truncate(message: &mut String) {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
    }
}

/// As gRPC wants messages in headers: printable ASCII but `%` as it is, all else as `%XX`
/// (gRPC over HTTP2, "Responses").
fn percent_encode(message: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        if (0x20..=0x7E).contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 0xF)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_unavailable_with_retry_info() {
        let status = Status::from(Pressure { retry_after: Duration::from_millis(1500) });
        assert_eq!(status.http_status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status.retry_after_header().unwrap(), "2");
        let trailers = status.to_trailers();
        assert_eq!(trailers["grpc-status"], "14");
        let details = STANDARD_NO_PAD.decode(&trailers["grpc-status-details-bin"]).unwrap();
        let decoded = RpcStatus::decode(&details[..]).unwrap();
        assert_eq!(decoded.details[0].type_url, RETRY_INFO);
        let info = RetryInfo::decode(&decoded.details[0].value[..]).unwrap();
        let delay = RpcDuration { seconds: 1, nanos: 500_000_000 };
        assert_eq!(info.retry_delay, Some(delay));
    }

    #[test]
    fn oversize_is_never_retried() {
        let status = Status::too_large(64);
        assert_eq!(status.http_status(), StatusCode::PAYLOAD_TOO_LARGE);
        let trailers = status.to_trailers();
        assert_eq!(trailers["grpc-status"], "8");
        assert!(!trailers.contains_key("grpc-status-details-bin"));
    }

    #[test]
    fn bad_data_says_so_in_json() {
        let status = Status::invalid("trace_id has 5 bytes");
        let json: serde_json::Value = serde_json::from_slice(&status.to_json()).unwrap();
        assert_eq!(json["code"], 3);
        assert_eq!(json["details"][0]["@type"], BAD_REQUEST);
        assert_eq!(json["details"][0]["fieldViolations"][0]["description"], "trace_id has 5 bytes");
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encode("50% of ü\n"), "50%25 of %C3%BC%0A");
        let long = Status::invalid("ü".repeat(2000));
        assert_eq!(long.message.len(), MAX_MESSAGE_BYTES);
    }

    #[test]
    fn answers_of_the_pipelines_are_mapped_as_in_the_collector() {
        assert_eq!(Status::of_answer(&Answer::DELIVERED), None);
        let rejected = Status::of_answer(&Answer::new(Outcome::Rejected, "no")).unwrap();
        assert_eq!(rejected.http_status(), StatusCode::INTERNAL_SERVER_ERROR);
        let retry = Status::of_answer(&Answer::new(Outcome::Retry, "full")).unwrap();
        assert_eq!((retry.code, retry.message.as_str()), (Code::Unavailable, "full"));
        assert!(retry.retry_after.is_some_and(|delay| !delay.is_zero()));
    }
}
