//! gRPC statuses, and what the OTLP specification makes of each.

use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;

use crate::codec::otlp_answer::{RpcStatus, shortened};
use crate::component::ExportError;

/// gRPC sends binary metadata with or without padding.
const BINARY: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Names of the status codes, by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const UNKNOWN: u32 = 2;
const PERMISSION_DENIED: u32 = 7;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;
const RESOURCE_EXHAUSTED: u32 = 8;

/// The status of a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server answered {}: {message}", name(*code))]
pub(super) struct Status {
    /// Its number.
    pub(super) code: u32,
    /// What the server says.
    pub(super) message: String,
    /// When the server wants to be asked again.
    pub(super) retry_delay: Option<Duration>,
}

impl Status {
    /// Reads the status from trailers, or from the headers of a response without a body; `None`
    /// when there is none.
    pub(super) fn read(trailers: &HeaderMap) -> Option<Self> {
        let code = trailers.get("grpc-status")?;
        let code = code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN);
        let message = trailers.get("grpc-message").map(|text| percent_decoded(text.as_bytes()));
        let details = trailers
            .get("grpc-status-details-bin")
            .and_then(|details| BINARY.decode(details.as_bytes()).ok())
            .and_then(|details| RpcStatus::from_protobuf(&details))
            .unwrap_or_default();
        let message = message.filter(|text| !text.is_empty()).unwrap_or(details.message);
        Some(Self { code, message: shortened(&message), retry_delay: details.retry_delay })
    }

    /// The status that an HTTP status stands for when something that does not speak gRPC answers
    /// (gRPC, "HTTP to gRPC Status Code Mapping").
    pub(super) fn of_http(status: http::StatusCode) -> Self {
        let code = match status.as_u16() {
            400 => INTERNAL,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 => UNIMPLEMENTED,
            429 | 502 | 503 | 504 => UNAVAILABLE,
            _ => UNKNOWN,
        };
        Self { code, message: format!("HTTP status {status}"), retry_delay: None }
    }

    /// Whether the call succeeded.
    pub(super) const fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// What the driver shall do (OTLP specification, "OTLP/gRPC Response").
    pub(super) fn into_error(self, retries_exhausted: bool) -> ExportError {
        let after = self.retry_delay.filter(|delay| !delay.is_zero());
        let is_retryable = match self.code {
            1 | 4 | 10 | 11 | UNAVAILABLE | 15 => true,
            RESOURCE_EXHAUSTED => retries_exhausted || self.retry_delay.is_some(),
            _ => false,
        };
        if is_retryable {
            return ExportError::Retry { after, source: self.into() };
        }
        ExportError::Rejected { source: self.into() }
    }
}

fn name(code: u32) -> &'static str {
    NAMES.get(code as usize).copied().unwrap_or("an unknown status")
}

/// Undoes the percent-encoding of `grpc-message`; what is not well-formed stays as it is.
fn percent_decoded(text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let byte = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match byte {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u32, retry_delay: Option<Duration>) -> Status {
        Status { code, message: String::new(), retry_delay }
    }

    #[test]
    fn codes_are_retried_as_the_specification_says() {
        let retried = [1, 4, 10, 11, 14, 15];
        for code in 1..=17 {
            let error = status(code, None).into_error(false);
            let is_retry = matches!(error, ExportError::Retry { after: None, .. });
            assert_eq!(is_retry, retried.contains(&code), "{code}");
        }
    }

    #[test]
    fn exhausted_is_retried_only_when_the_server_says_when() {
        let delay = Some(Duration::from_secs(3));
        let error = status(8, delay).into_error(false);
        assert!(matches!(error, ExportError::Retry { after, .. } if after == delay));
        assert!(matches!(status(8, None).into_error(false), ExportError::Rejected { .. }));
        assert!(matches!(status(8, None).into_error(true), ExportError::Retry { .. }));
        let zero = status(14, Some(Duration::ZERO)).into_error(false);
        assert!(matches!(zero, ExportError::Retry { after: None, .. }));
    }

    #[test]
    fn message_is_percent_decoded() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "3".parse().unwrap());
        trailers.insert("grpc-message", "bad%20%C3%A4 100%".parse().unwrap());
        let read = Status::read(&trailers).unwrap();
        assert_eq!(read.message, "bad ä 100%");
        assert_eq!(read.to_string(), "the server answered INVALID_ARGUMENT: bad ä 100%");
        assert_eq!(Status::read(&HeaderMap::new()), None);
    }
}
