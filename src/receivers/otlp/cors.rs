//! Cross-origin requests from pages in a browser (Fetch standard, "HTTP extensions").

use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};

/// Headers that pages may always send.
const ALWAYS_ALLOWED: [&str; 5] =
    ["accept", "accept-language", "content-language", "content-type", "origin"];

/// Which pages may send.
#[derive(Clone, Debug)]
pub(super) struct CrossOrigin {
    origins: Vec<Pattern>,
    /// Any page may send; then without credentials, as the Fetch standard demands.
    is_open: bool,
    headers: Vec<String>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

/// What is added to a response.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// The request only asked whether it may be made; there is nothing else to answer.
    pub(super) is_preflight: bool,
    pub(super) headers: HeaderMap,
}

/// An origin with at most one `*`.
#[derive(Clone, Debug)]
struct Pattern {
    before: String,
    after: Option<String>,
}

impl CrossOrigin {
    /// Pages of `origins` (with `*` for anything) may send the usual headers and `headers`, and
    /// read `exposed`; browsers may remember that for `max_age` seconds, 0: for their default.
    pub(super) fn new(
        origins: &[String],
        headers: &[String],
        exposed: &[String],
        max_age: u64,
    ) -> Self {
        Self {
            origins: origins.iter().map(|origin| Pattern::new(origin)).collect(),
            is_open: origins.iter().any(|origin| origin == "*"),
            headers: headers.iter().map(|header| header.to_ascii_lowercase()).collect(),
            exposed: HeaderValue::try_from(exposed.join(", "))
                .ok()
                .filter(|value| !value.is_empty()),
            max_age: Some(HeaderValue::from(max_age)).filter(|_| max_age > 0),
        }
    }

    /// What to add to the response to a request with `headers`.
    pub(super) fn headers(&self, method: &Method, headers: &HeaderMap) -> Added {
        let is_preflight =
            method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let mut added = HeaderMap::new();
        added.insert(VARY, HeaderValue::from_static("Origin"));
        let origin = headers.get(ORIGIN);
        let is_allowed = origin
            .and_then(|origin| origin.to_str().ok())
            .is_some_and(|origin| self.origins.iter().any(|pattern| pattern.matches(origin)));
        let (Some(origin), true) = (origin, is_allowed) else {
            return Added { is_preflight, headers: added };
        };
        if is_preflight && !self.add_preflight(headers, &mut added) {
            return Added { is_preflight, headers: added };
        }
        if self.is_open {
            added.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            added.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            added.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let (Some(exposed), false) = (&self.exposed, is_preflight) {
            added.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
        Added { is_preflight, headers: added }
    }

    /// Whether method and headers that a page asks for are allowed; then says so.
    fn add_preflight(&self, headers: &HeaderMap, added: &mut HeaderMap) -> bool {
        let is_post = headers
            .get(ACCESS_CONTROL_REQUEST_METHOD)
            .is_some_and(|method| method.as_bytes() == b"POST");
        if !is_post {
            return false;
        }
        if let Some(wanted) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            let Ok(names) = wanted.to_str() else {
                return false;
            };
            if !names.split(',').all(|name| self.allows_header(name.trim())) {
                return false;
            }
            added.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        added.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        if let Some(max_age) = &self.max_age {
            added.insert(ACCESS_CONTROL_MAX_AGE, max_age.clone());
        }
        true
    }

    fn allows_header(&self, name: &str) -> bool {
        name.is_empty()
            || ALWAYS_ALLOWED.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
            || self
                .headers
                .iter()
                .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(name))
    }
}

impl Pattern {
    fn new(origin: &str) -> Self {
        let origin = origin.to_ascii_lowercase();
        match origin.split_once('*') {
            Some((before, after)) => {
                Self { before: before.to_owned(), after: Some(after.to_owned()) }
            }
            None => Self { before: origin, after: None },
        }
    }

    fn matches(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        match &self.after {
            None => origin == self.before,
            Some(after) => {
                origin.strip_prefix(&self.before).is_some_and(|rest| rest.ends_with(after.as_str()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn cross_origin() -> CrossOrigin {
        let origins = ["https://app.example".to_owned(), "https://*.dev.example".to_owned()];
        CrossOrigin::new(&origins, &["X-Token".to_owned()], &[], 600)
    }

    fn request(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn allowed_page_is_told_so() {
        let asked = request(&[
            (ORIGIN, "https://a.dev.example"),
            (ACCESS_CONTROL_REQUEST_METHOD, "POST"),
            (ACCESS_CONTROL_REQUEST_HEADERS, "content-type, x-token"),
        ]);
        let added = cross_origin().headers(&Method::OPTIONS, &asked);
        assert!(added.is_preflight);
        assert_eq!(added.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.dev.example");
        assert_eq!(added.headers[ACCESS_CONTROL_ALLOW_HEADERS], "content-type, x-token");
        assert_eq!(added.headers[ACCESS_CONTROL_MAX_AGE], "600");
        let sent = request(&[(ORIGIN, "https://app.example")]);
        let added = cross_origin().headers(&Method::POST, &sent);
        assert!(!added.is_preflight);
        assert_eq!(added.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
    }

    #[test]
    fn others_are_not() {
        for asked in [
            request(&[(ORIGIN, "https://evil.example"), (ACCESS_CONTROL_REQUEST_METHOD, "POST")]),
            request(&[(ORIGIN, "https://app.example"), (ACCESS_CONTROL_REQUEST_METHOD, "DELETE")]),
            request(&[
                (ORIGIN, "https://app.example"),
                (ACCESS_CONTROL_REQUEST_METHOD, "POST"),
                (ACCESS_CONTROL_REQUEST_HEADERS, "x-other"),
            ]),
        ] {
            let added = cross_origin().headers(&Method::OPTIONS, &asked);
            assert!(added.is_preflight);
            assert!(!added.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        }
    }
}
