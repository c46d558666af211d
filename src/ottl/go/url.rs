//! Addresses of the web, read by the rules of Go's `net/url`.

use super::hash::hex;
use super::{Answer, Refusal, Tree};

/// Takes a URL apart into `url.original`, `url.scheme`, `url.domain`, `url.path` and, if they are
/// there, `url.port`, `url.query`, `url.fragment`, `url.extension`, `url.user_info`, `url.username`
/// and `url.password`.
///
/// # Errors
///
/// Fails for an empty text and for what Go refuses: control letters, wrong schemes, hosts, ports
/// and escapes.
pub fn parse_url(text: &str) -> Answer<Tree> {
    if text.is_empty() {
        return Err(Refusal::new("a URL must not be empty"));
    }
    let refuse = |reason: String| Refusal::new(format!("`{text}` is not a URL: {reason}"));
    if text.chars().any(|letter| letter.is_ascii_control()) {
        return Err(refuse("it has a control character".to_owned()));
    }
    let url = Url::read(text).map_err(refuse)?;
    let path = unescape(url.path).map_err(refuse)?;
    let fragment = unescape(url.fragment).map_err(refuse)?;
    let mut map = vec![
        ("url.original", Tree::Str(url.written())),
        ("url.domain", Tree::str(url.domain)),
        ("url.scheme", Tree::str(url.scheme.clone())),
        ("url.path", Tree::str(path.clone())),
    ];
    if let Some((_, extension)) = path.rsplit_once('.').filter(|(_, rest)| !rest.is_empty()) {
        map.push(("url.extension", Tree::str(extension)));
    }
    if !fragment.is_empty() {
        map.push(("url.fragment", Tree::Str(fragment)));
    }
    if let Some(port) = url.port.filter(|port| !port.is_empty()) {
        let port = port.parse().map_err(|_| refuse(format!("`{port}` is not a port")))?;
        map.push(("url.port", Tree::Int(port)));
    }
    if let Some(query) = url.query.filter(|query| !query.is_empty()) {
        map.push(("url.query", Tree::str(query)));
    }
    if let Some(user) = url.user {
        let (name, password) = user.split_once(':').map_or((user, None), |(n, p)| (n, Some(p)));
        map.push(("url.user_info", Tree::Str(escaped(user, is_in_user))));
        let name = unescape(name).map_err(refuse)?;
        if !name.is_empty() {
            map.push(("url.username", Tree::Str(name)));
        }
        if let Some(password) = password {
            map.push(("url.password", Tree::Str(unescape(password).map_err(refuse)?)));
        }
    }
    Ok(Tree::map(map))
}

#[derive(Default)]
struct Url<'t> {
    scheme: String,
    /// What follows a scheme that is not followed by a slash.
    opaque: &'t str,
    has_authority: bool,
    user: Option<&'t str>,
    host: &'t str,
    domain: &'t str,
    port: Option<&'t str>,
    path: &'t str,
    query: Option<&'t str>,
    fragment: &'t str,
}

impl<'t> Url<'t> {
    fn read(text: &'t str) -> Result<Self, String> {
        let mut url = Self::default();
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        url.fragment = fragment;
        let (scheme, rest) = scheme(rest)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        url.query = query;
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                url.opaque = rest;
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err("a path without a scheme cannot begin with a colon".to_owned());
            }
        }
        let Some(rest) = rest.strip_prefix("//") else {
            url.path = rest;
            return Ok(url);
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        url.path = path;
        url.has_authority = true;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        url.user = user;
        url.host = host;
        (url.domain, url.port) = domain_and_port(host)?;
        Ok(url)
    }

    /// The URL anew, with escapes where Go writes some.
    fn written(&self) -> String {
        let mut text = String::new();
        if !self.scheme.is_empty() {
            text.push_str(&self.scheme);
            text.push(':');
        }
        text.push_str(self.opaque);
        if self.has_authority {
            text.push_str("//");
            if let Some(user) = self.user {
                text.push_str(&escaped(user, is_in_user));
                text.push('@');
            }
            text.push_str(self.host);
        }
        text.push_str(&kept_escapes(self.path));
        if let Some(query) = self.query {
            text.push('?');
            text.push_str(query);
        }
        if !self.fragment.is_empty() {
            text.push('#');
            text.push_str(&kept_escapes(self.fragment));
        }
        text
    }
}

/// The scheme, empty if there is none, and what follows its colon.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    let is_in_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(("", text)) };
    if scheme.is_empty() {
        return Err("the scheme is missing".to_owned());
    }
    let starts_right = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    Ok(if starts_right && scheme.chars().all(is_in_scheme) { (scheme, rest) } else { ("", text) })
}

fn domain_and_port(host: &str) -> Result<(&str, Option<&str>), String> {
    let is_wrong =
        |letter: char| matches!(letter, ' ' | '<' | '>' | '"' | '\\' | '^' | '`' | '{' | '|' | '}');
    if let Some(letter) = host.chars().find(|letter| is_wrong(*letter)) {
        return Err(format!("a host cannot have `{letter}`"));
    }
    let (domain, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (domain, after) = rest.rsplit_once(']').ok_or("`[` does not close in the host")?;
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':').ok_or("no port follows the host")?),
            };
            (domain, port)
        }
        None => match host.rsplit_once(':') {
            Some((domain, port)) => (domain, Some(port)),
            None => (host, None),
        },
    };
    if port.is_some_and(|port| !port.bytes().all(|digit| digit.is_ascii_digit())) {
        return Err("a port has digits only".to_owned());
    }
    Ok((domain, port))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or("`%` must be followed by two hexadecimal digits")?);
        rest = after.get(2..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_in_user(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,;=:".contains(&byte)
}

fn is_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*[]%?".contains(&byte)
}

/// A text whose escapes are made anew.
fn escaped(text: &str, is_plain: fn(u8) -> bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('%').map_or((rest, None), |(b, a)| (b, Some(a)));
        push_escaped(before, is_plain, &mut out);
        let Some(after) = after else { return out };
        out.push('%');
        out.push_str(&after.get(..2).unwrap_or_default().to_ascii_uppercase());
        rest = after.get(2..).unwrap_or_default();
    }
}

/// A path whose escapes stay.
fn kept_escapes(text: &str) -> String {
    let mut out = String::new();
    push_escaped(text, is_in_path, &mut out);
    out
}

fn push_escaped(text: &str, is_plain: fn(u8) -> bool, out: &mut String) {
    for letter in text.chars() {
        let mut buffer = [0; 4];
        let bytes = letter.encode_utf8(&mut buffer).as_bytes();
        if bytes.iter().all(|byte| is_plain(*byte)) {
            out.push(letter);
            continue;
        }
        for byte in bytes {
            out.push('%');
            out.push_str(&hex(&[*byte]).to_uppercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let Tree::Map(mut pairs) = parse_url(text).unwrap() else { panic!("no map") };
        pairs.sort_by(|left, right| left.0.cmp(&right.0));
        let show = |(key, value): (String, Tree)| {
            let key = key.strip_prefix("url.").unwrap().to_owned();
            match value {
                Tree::Str(text) => format!("{key}={text}"),
                Tree::Int(number) => format!("{key}={number}"),
                other => panic!("{other:?}"),
            }
        };
        pairs.into_iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn urls_are_taken_apart_as_by_the_collector() {
        // The Collector's tests of URL, and results of its OTTL 1.4.
        let cases = [
            (
                "http://myusername:mypassword@www.example.com:80/foo.gif?key1=val1&key2=val2#fragment",
                "domain=www.example.com extension=gif fragment=fragment \
                 original=http://myusername:mypassword@www.example.com:80/foo.gif?key1=val1&key2=val2#fragment \
                 password=mypassword path=/foo.gif port=80 query=key1=val1&key2=val2 scheme=http \
                 user_info=myusername:mypassword username=myusername",
            ),
            (
                "http://www.example.com",
                "domain=www.example.com original=http://www.example.com path= scheme=http",
            ),
            (
                "https://user:@h:77/foo",
                "domain=h original=https://user:@h:77/foo password= path=/foo port=77 scheme=https user_info=user: username=user",
            ),
            (
                "HTTP://EXAMPLE.com",
                "domain=EXAMPLE.com original=http://EXAMPLE.com path= scheme=http",
            ),
            ("foo", "domain= original=foo path=foo scheme="),
            (
                "/a/b.tar.gz?x",
                "domain= extension=gz original=/a/b.tar.gz?x path=/a/b.tar.gz query=x scheme=",
            ),
            (
                "http://[::1]:8080/x%20y",
                "domain=::1 original=http://[::1]:8080/x%20y path=/x y port=8080 scheme=http",
            ),
            ("mailto:x@y.z", "domain= original=mailto:x@y.z path= scheme=mailto"),
            (
                "http://u%40:p%3a@h/#f%20g",
                "domain=h fragment=f g original=http://u%40:p%3A@h/#f%20g password=p: path=/ scheme=http user_info=u%40:p%3A username=u@",
            ),
            (
                "http://user@h/a.",
                "domain=h original=http://user@h/a. path=/a. scheme=http user_info=user username=user",
            ),
            (
                "http://h/a.b/c",
                "domain=h extension=b/c original=http://h/a.b/c path=/a.b/c scheme=http",
            ),
            ("http://h?", "domain=h original=http://h? path= scheme=http"),
            ("http://h/#", "domain=h original=http://h/ path=/ scheme=http"),
            ("http://h:/x", "domain=h original=http://h:/x path=/x scheme=http"),
            ("//h/x", "domain=h original=//h/x path=/x scheme="),
            ("a/b:c", "domain= original=a/b:c path=a/b:c scheme="),
            (
                "http://h/a b?c d#e f",
                "domain=h fragment=e f original=http://h/a%20b?c d#e%20f path=/a b query=c d scheme=http",
            ),
            ("http://:80/", "domain= original=http://:80/ path=/ port=80 scheme=http"),
            ("http://@h/", "domain=h original=http://@h/ path=/ scheme=http user_info="),
            ("http://h/\u{e9}", "domain=h original=http://h/%C3%A9 path=/\u{e9} scheme=http"),
        ];
        for (text, expected) in cases {
            assert_eq!(written(text), expected, "{text}");
        }
        let wrong = [
            "",
            "http://a b/",
            "http://h:port/",
            "http://h/%zz",
            "1http://x",
            ":x",
            "http://[::1/x",
            "a\n",
        ];
        for text in wrong {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }
}
