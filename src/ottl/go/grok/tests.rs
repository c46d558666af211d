use super::*;

fn read(text: &str, pattern: &str, is_named_only: bool, definitions: &[&str]) -> Answer<String> {
    let Tree::Map(mut pairs) = Grok::compile(pattern, is_named_only, definitions)?.extract(text)?
    else {
        panic!("no map")
    };
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    let show = |(key, value): (String, Tree)| match value {
        Tree::Str(text) => format!("{key}={text}"),
        Tree::Int(number) => format!("{key}={number}i"),
        Tree::Double(number) => format!("{key}={number}d"),
        other => format!("{key}={other:?}"),
    };
    Ok(pairs.into_iter().map(show).collect::<Vec<_>>().join(" "))
}

/// Results of the Collector's OTTL 1.4: text, pattern, whether named parts only, result.
const EXTRACTED: &[(&str, &str, bool, &str)] = &[
    (
        "127.0.0.1 GET 15",
        "%{IP:client.ip} %{WORD:method} %{NUMBER:n:int}",
        true,
        "client.ip=127.0.0.1 method=GET n=15i",
    ),
    (
        "127.0.0.1 GET 15",
        "%{IP:client.ip} %{WORD:method} %{NUMBER:n:int}",
        false,
        "BASE10NUM=15 IPV4=127.0.0.1 client.ip=127.0.0.1 method=GET n=15i",
    ),
    (
        "http://user:password@example.com:80/path?query=string",
        "%{URI}",
        false,
        "HOSTNAME=example.com IPORHOST=example.com POSINT=80 URI=http://user:password@example.com:80/path?query=string URIHOST=example.com:80 URIPATH=/path URIPROTO=http URIQUERY=query=string USER=user USERNAME=user",
    ),
    (
        "x 1.5 true",
        "%{WORD:w} %{NUMBER:d:double} %{BOOL:b:boolean}",
        true,
        "b=Bool(true) d=1.5d w=x",
    ),
    ("zzz", "%{INT:a}", true, ""),
    ("1 2", "%{INT:a} %{INT:a}", true, "a=2"),
    ("1", r"(?P<foo>\d)", true, "foo=1"),
    ("", "%{GREEDYDATA:x}", true, ""),
    ("a", "%{IP:a}|%{WORD:b}", true, "b=a"),
    ("ab", "(?P<x>a)(?P<y>c)?", true, "x=a"),
    ("2001:db8::1 x", "%{IP:a}", true, "a=2001:db8::1"),
    ("5", "%{INT:a:long} ?", true, "a=5i"),
    ("5", "%{INT:a:float}", true, "a=5d"),
    ("5", "%{INT:a:string}", true, "a=5"),
    (
        "2024-01-15T10:00:10Z [INFO] done",
        r"%{TIMESTAMP_ISO8601:t} \[%{LOGLEVEL:l}\] %{GREEDYDATA:m}",
        true,
        "l=INFO m=done t=2024-01-15T10:00:10Z",
    ),
    (
        "Jan  5 10:00:10 host prog[12]: hi",
        "%{SYSLOGBASE}",
        true,
        "host.name=host timestamp=Jan  5 10:00:10",
    ),
    (
        "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.0\" 200 2326",
        "%{COMMONAPACHELOG}",
        true,
        "http.request.method=GET http.response.body.size=2326i http.response.status_code=200i http.version=1.0 source.address=127.0.0.1 timestamp=10/Oct/2000:13:55:36 -0700 url.original=/a user.name=frank",
    ),
];

#[test]
fn extracts_as_the_collector() {
    for (text, pattern, is_named_only, expected) in EXTRACTED {
        let found = read(text, pattern, *is_named_only, &[]);
        assert_eq!(found.as_deref(), Ok(*expected), "{pattern} on {text}");
    }
    let own = ["PASSWORD=%{WORD}", "USERINFO=%{GREEDYDATA}"];
    let pattern = "%{USERNAME:user.name}:%{PASSWORD:user.password}:%{USERINFO}";
    let text = "smith:pass123:1001:1000:J Smith";
    let named = read(text, pattern, true, &own);
    assert_eq!(named.as_deref(), Ok("user.name=smith user.password=pass123"));
    let all = read(text, pattern, false, &own);
    let expected = "GREEDYDATA=1001:1000:J Smith USERINFO=1001:1000:J Smith WORD=pass123 \
        user.name=smith user.password=pass123";
    assert_eq!(all.as_deref(), Ok(expected));
    assert_eq!(read("ab", "%{A:x}", true, &["A=%{B:y}b", "B=a"]).as_deref(), Ok("x=ab y=a"));
    assert_eq!(read("::ffff:1.2.3.4", "%{IPV6:a}", true, &[]).as_deref(), Ok("a=::ffff:1.2.3.4"));
}

#[test]
fn refuses_what_cannot_be() {
    for (pattern, definitions) in [
        ("%{URI}", &[][..]),
        ("%{NOPE:a}", &[]),
        ("%{INT:a:bogus}", &[]),
        ("%{A:a}", &["A"]),
        ("%{A:a}", &["A=%{A}"]),
        ("%{INT:a}(", &[]),
    ] {
        assert!(Grok::compile(pattern, true, definitions).is_err(), "{pattern}");
    }
    assert!(read("abc", "%{WORD:a:int}", true, &[]).is_err());
    assert!(read("yes", "%{WORD:a:boolean}", true, &[]).is_err());
}

#[test]
fn all_patterns_compile() {
    for name in grok_patterns::names() {
        let grok = Grok::compile(&format!("%{{{name}:x}}"), false, &[]);
        assert!(grok.is_ok(), "{name}: {:?}", grok.err());
    }
}
