//! Answers: the body type of our servers, small responses, and who may ask for more than status.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{BoxStream, StreamExt as _};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};
use serde::Serialize;

/// The body of a response: one piece of data and, for gRPC, trailers; or pieces as they come.
#[derive(Default)]
pub struct Body {
    data: Option<Bytes>,
    pieces: Option<BoxStream<'static, Bytes>>,
    trailers: Option<Box<HeaderMap>>,
}

impl Body {
    /// No data.
    #[must_use]
    pub const fn empty() -> Self {
        Self { data: None, pieces: None, trailers: None }
    }

    /// Pieces that are asked for one by one, as the client takes them; none may be empty.
    #[must_use]
    pub fn streamed(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self { pieces: Some(pieces.boxed()), ..Self::empty() }
    }

    /// Data and then trailers.
    #[must_use]
    pub fn with_trailers(data: Bytes, trailers: HeaderMap) -> Self {
        Self { trailers: Some(Box::new(trailers)), ..Self::from(data) }
    }

    /// Size of the data in bytes, as far as it is known.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Body")
            .field("data", &self.data)
            .field("is_streamed", &self.pieces.is_some())
            .field("trailers", &self.trailers)
            .finish()
    }
}

impl From<Bytes> for Body {
    fn from(data: Bytes) -> Self {
        Self { data: Some(data).filter(|data| !data.is_empty()), ..Self::empty() }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(pieces) = &mut self.pieces {
            return pieces.poll_next_unpin(context).map(|piece| piece.map(Frame::data).map(Ok));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.pieces.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.pieces.is_some() {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.size_bytes() as u64)
    }
}

/// A response of plain text.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    with_type(status, HeaderValue::from_static("text/plain; charset=utf-8"), text.into())
}

/// A response of HTML.
#[must_use]
pub fn html(status: StatusCode, page: impl Into<Body>) -> Response<Body> {
    with_type(status, HeaderValue::from_static("text/html; charset=utf-8"), page.into())
}

/// A response of JSON; a value that cannot be written as JSON is answered 500.
#[must_use]
pub fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(encoded) => with_type(
            status,
            HeaderValue::from_static("application/json"),
            Body::from(Bytes::from(encoded)),
        ),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// A response of the given content type.
#[must_use]
pub fn with_type(status: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Why a request that reads records or changes state is answered 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrossSite {
    /// The name that the client used for this server is not one of its own: DNS rebinding.
    #[error("the Host header does not name this server")]
    Host,
    /// A page of another site asks.
    #[error("requests from pages of another site are not allowed")]
    Origin,
}

/// Checks that a request was not made by a page of another site in somebody's browser.
///
/// `Host` must be an address, `localhost`, or one of `allowed_hosts`; `Origin`, when there is one,
/// must be of the same host and port. `authority` is the request target's own, which HTTP/2 has in
/// place of `Host`. Programs send no `Origin` and are not held back.
///
/// # Errors
///
/// Says which header is in the way.
pub fn check_same_site(
    headers: &HeaderMap,
    authority: Option<&str>,
    allowed_hosts: &[String],
) -> Result<(), CrossSite> {
    let host = authority.or_else(|| headers.get(HOST)?.to_str().ok()).ok_or(CrossSite::Host)?;
    let name = without_port(host);
    let is_address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let is_own = is_address
        || name.eq_ignore_ascii_case("localhost")
        || allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    if !is_own {
        return Err(CrossSite::Host);
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().map_err(|_| CrossSite::Origin)?;
    let (_, origin_host) = origin.split_once("://").ok_or(CrossSite::Origin)?;
    if origin_host.eq_ignore_ascii_case(host) { Ok(()) } else { Err(CrossSite::Origin) }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // The colons of `[::1]` are not before a port.
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn programs_and_own_pages_pass() {
        for own in [
            headers(&[("host", "localhost:3100")]),
            headers(&[("host", "127.0.0.1:3100"), ("origin", "http://127.0.0.1:3100")]),
            headers(&[("host", "[::1]:3100"), ("origin", "https://[::1]:3100")]),
            headers(&[("host", "[::1]")]),
            headers(&[("host", "logs.example:3100")]),
        ] {
            check_same_site(&own, None, &["logs.example".to_owned()]).unwrap();
        }
        check_same_site(&HeaderMap::new(), Some("localhost:3100"), &[]).unwrap();
    }

    #[test]
    fn foreign_names_and_pages_do_not_pass() {
        let rebound = headers(&[("host", "evil.example:3100")]);
        assert_eq!(check_same_site(&rebound, None, &[]), Err(CrossSite::Host));
        let page = headers(&[("host", "localhost:3100"), ("origin", "https://evil.example")]);
        assert_eq!(check_same_site(&page, None, &[]), Err(CrossSite::Origin));
        let sandboxed = headers(&[("host", "localhost:3100"), ("origin", "null")]);
        assert_eq!(check_same_site(&sandboxed, None, &[]), Err(CrossSite::Origin));
        assert_eq!(check_same_site(&HeaderMap::new(), None, &[]), Err(CrossSite::Host));
    }

    #[test]
    fn json_has_its_content_type() {
        let response = json(StatusCode::OK, &["a"]);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(response.body().size_bytes(), 5);
    }
}
