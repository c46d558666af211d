//! What exporters over HTTP read in answers: when to try again, and what is wrong.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};

use crate::codec::otlp_answer::{RpcStatus, shortened};
use crate::component::ExportError;
use crate::data::Time;
use crate::net::ClientError;

/// The encoding of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerEncoding {
    /// Protobuf.
    Protobuf,
    /// JSON.
    Json,
    /// Something else, for people.
    Text,
}

impl AnswerEncoding {
    /// The encoding that the headers of an answer name.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = named.and_then(|value| value.split(';').next()).map(str::trim);
        match media_type {
            Some("application/x-protobuf" | "application/protobuf") => Self::Protobuf,
            Some("application/json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// A status that is not success.
#[derive(Debug, thiserror::Error)]
#[error("the server answered {status}{}{message}", if .message.is_empty() { "" } else { ": " })]
pub(super) struct Refusal {
    /// The status.
    pub(super) status: StatusCode,
    /// What the body says.
    pub(super) message: String,
}

impl Refusal {
    /// Reads a refusal: the message of a `google.rpc.Status`, else the text of the body.
    pub(super) fn read(response: &Response<bytes::Bytes>) -> Self {
        let body = response.body();
        let told = match AnswerEncoding::of(response.headers()) {
            AnswerEncoding::Protobuf => RpcStatus::from_protobuf(body),
            AnswerEncoding::Json => RpcStatus::from_json(body),
            AnswerEncoding::Text => None,
        };
        let message = match told {
            Some(told) => told.message,
            None => shortened(&String::from_utf8_lossy(body.get(..4096).unwrap_or(body))),
        };
        Self { status: response.status(), message }
    }
}

/// When the server wants to be asked again: `Retry-After` in seconds or as a date. `None` when it
/// does not say, or says it in a way that cannot be read.
pub(super) fn retry_after(headers: &HeaderMap, now: Time) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since_epoch.saturating_sub(Duration::from_nanos(now.as_unix_nanos())))
}

/// What the driver shall do when there is no answer.
pub(super) fn no_answer(error: ClientError) -> ExportError {
    if error.is_retryable() {
        return ExportError::Retry { after: None, source: error.into() };
    }
    ExportError::Rejected { source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers, Time::from_unix_nanos(784_111_777_000_000_000))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(after("3"), Some(Duration::from_secs(3)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-3"), None);
        assert_eq!(retry_after(&HeaderMap::new(), Time::default()), None);
    }

    #[test]
    fn refusal_says_what_the_body_says() {
        let mut response = Response::new(bytes::Bytes::from_static(b"{\"message\":\"no such\"}"));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        assert!(Refusal::read(&response).to_string().contains("{\"message\""));
        response.headers_mut().insert(CONTENT_TYPE, "application/json; a=b".parse().unwrap());
        let told = Refusal::read(&response).to_string();
        assert_eq!(told, "the server answered 400 Bad Request: no such");
    }
}
