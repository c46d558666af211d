//! What can be in the way of a search, and how it is told.

use std::io;

use http::StatusCode;
use serde::Deserialize;

use super::line::push_safe;
use crate::api::ApiError;

/// Why a search ended before its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The query or another parameter is wrong, as this text says.
    Wrong(String),
    /// Nobody reads the output any more.
    Closed,
    /// The agent cannot be reached now, or not any more.
    Lost(anyhow::Error),
    /// Something else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// What became of writing the output.
    pub(super) fn of_output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Other(anyhow::Error::new(error).context("cannot write the output")),
        }
    }
}

/// What an agent says of a request that it refuses.
#[derive(Deserialize)]
struct Answer {
    error: Refusal,
}

/// Why a request was refused.
#[derive(Deserialize)]
pub(super) struct Refusal {
    message: String,
    parameter: Option<String>,
    position: Option<usize>,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let ApiError { message, parameter, position, .. } = error;
        Self { message, parameter: parameter.map(str::to_owned), position }
    }
}

impl Refusal {
    /// What it means for a search of `query`.
    pub(super) fn into_failure(self, query: &str) -> Failure {
        let Self { message, parameter, position } = self;
        let mut text = String::new();
        push_safe(&message, &mut text);
        if let Some(position) = position.filter(|_| parameter.as_deref() == Some("query")) {
            push_place(query, position, &mut text);
        }
        Failure::Wrong(text)
    }
}

/// What an answer of another status than 200 means.
pub(super) fn refused(url: &str, query: &str, status: StatusCode, body: &[u8]) -> Failure {
    let refusal = serde_json::from_slice::<Answer>(body).map(|answer| answer.error);
    let message = match refusal {
        Ok(refusal) if status == StatusCode::BAD_REQUEST => return refusal.into_failure(query),
        Ok(refusal) => refusal.message,
        Err(_) => "this does not seem to be a Catchment agent's `service::api`".to_owned(),
    };
    let hint = match status {
        StatusCode::UNAUTHORIZED => "; give credentials with `--header authorization=…`",
        _ => "",
    };
    let mut safe = String::new();
    push_safe(&message, &mut safe);
    let error = anyhow::anyhow!("`{url}` answered {status}: {safe}{hint}");
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Failure::Lost(error);
    }
    Failure::Other(error)
}

/// Shows the query with a mark below the character at `position`.
fn push_place(query: &str, position: usize, to: &mut String) {
    let before: String = query.chars().take(position).collect();
    let mut shown = String::new();
    push_safe(&before, &mut shown);
    let column = shown.chars().count();
    shown.clear();
    push_safe(query, &mut shown);
    to.push_str(&format!("\n  {shown}\n  {:column$}^", ""));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_stands_below_the_character() {
        let refusal = |parameter: &str, position| Refusal {
            message: "expected a severity".to_owned(),
            parameter: Some(parameter.to_owned()),
            position,
        };
        let text = |refusal: Refusal, query| match refusal.into_failure(query) {
            Failure::Wrong(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            text(refusal("query", Some(11)), "é severity:loud"),
            "expected a severity\n  é severity:loud\n             ^"
        );
        assert_eq!(text(refusal("query", Some(2)), "\n("), "expected a severity\n  \\n(\n     ^");
        assert_eq!(text(refusal("start", None), "x"), "expected a severity");
    }

    #[test]
    fn answers_are_told_apart() {
        let refused = |status, body: &str| {
            refused("http://x:1", "", StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        let body = r#"{"error":{"message":"no \u001b"}}"#;
        assert!(matches!(refused(400, body), Failure::Wrong(text) if text == "no \\u001b"));
        let Failure::Other(error) = refused(401, body) else { panic!("it is for good") };
        assert!(error.to_string().contains("401") && error.to_string().contains("--header"));
        assert!(matches!(refused(503, body), Failure::Lost(_)));
        let Failure::Other(error) = refused(404, "<html>") else { panic!("it is for good") };
        assert!(error.to_string().contains("service::api"));
    }
}
