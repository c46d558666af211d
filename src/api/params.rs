//! The parameters of a request's query string, and what is wrong with them.

use http::{Response, StatusCode};
use serde::Serialize;

use crate::net::{Body, json};

/// Why a request is not answered as asked; told as JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The status that says so.
    pub status: StatusCode,
    /// What is wrong, and what was expected.
    pub message: String,
    /// The parameter that is wrong, if it is one.
    pub parameter: Option<&'static str>,
    /// The character of the parameter's value at which it goes wrong, counted from 0.
    pub position: Option<usize>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorText<'a>,
}

#[derive(Serialize)]
struct ErrorText<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), parameter: None, position: None }
    }

    /// A parameter that has a wrong value.
    pub(super) fn parameter(name: &'static str, message: impl Into<String>) -> Self {
        Self { parameter: Some(name), ..Self::new(StatusCode::BAD_REQUEST, message) }
    }

    pub(super) fn respond(&self) -> Response<Body> {
        let Self { message, parameter, position, .. } = self;
        let error = ErrorText { message, parameter: *parameter, position: *position };
        json(self.status, &ErrorBody { error })
    }
}

/// Reads a query string; only `known` parameters may be in it, each once.
pub(super) fn read<const N: usize>(
    query: Option<&str>,
    known: [&'static str; N],
) -> Result<[Option<String>; N], ApiError> {
    let mut values = [const { None }; N];
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name)?;
        let Some(index) = known.iter().position(|known| *known == name) else {
            let message =
                format!("unknown parameter `{name}`, expected one of: {}", known.join(", "));
            return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
        };
        if let Some(slot) = values.get_mut(index) {
            if slot.is_some() {
                let message = format!("parameter `{name}` is there twice");
                return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
            }
            *slot = Some(decoded(value)?);
        }
    }
    Ok(values)
}

/// Undoes `%41` and `+`.
pub(super) fn decoded(text: &str) -> Result<String, ApiError> {
    let bad = |message| ApiError::new(StatusCode::BAD_REQUEST, message);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = after.split_first_chunk::<2>().and_then(|(pair, rest)| {
                    let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
                    Some((u8::try_from(high? * 16 + low?).ok()?, rest))
                });
                let Some((byte, after)) = digits else {
                    return Err(bad("a `%` in the query string needs two hexadecimal digits"));
                };
                bytes.push(byte);
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).map_err(|_| bad("the query string is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let read = read(Some("b=%22x+y%22&a=1%2B1&"), ["a", "b", "c"]).unwrap();
        assert_eq!(read, [Some("1+1".to_owned()), Some("\"x y\"".to_owned()), None]);
    }

    #[test]
    fn what_is_unknown_broken_or_repeated_is_refused() {
        for (query, word) in [("x=1", "`x`"), ("a=%4", "%"), ("a=%ff", "UTF-8"), ("a&a", "twice")] {
            let error = read(Some(query), ["a"]).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
    }
}
