use super::*;

fn shown(query: &str) -> String {
    match parse(query) {
        Ok(filter) => show(&filter),
        Err(error) => format!("{}: {}", error.position, error.message),
    }
}

/// A short form, to state what was read.
fn show(filter: &Filter) -> String {
    let all = |of: &[Filter]| of.iter().map(show).collect::<Vec<_>>().join(" ");
    match filter {
        Filter::All => "all".to_owned(),
        Filter::And(of) => format!("(and {})", all(of)),
        Filter::Or(of) => format!("(or {})", all(of)),
        Filter::Not(of) => format!("(not {})", show(of)),
        Filter::Row(row) => {
            format!("<{}{}>", row.words.join(" "), if row.is_open { "*" } else { "" })
        }
        Filter::Severity(range) => format!("severity {range:?}"),
        Filter::TraceId(id) => format!("trace {:02x}", id.as_bytes()[0]),
        Filter::SpanId(id) => format!("span {:02x}", id.as_bytes()[0]),
        Filter::Field(name, test) => {
            let name = match name {
                FieldName::Attribute(name) => name.clone(),
                other => format!("{other:?}"),
            };
            format!("{name} {}", show_test(test))
        }
    }
}

fn show_test(test: &Test) -> String {
    let limit = |limit: &Limit| match limit {
        Limit::Open => "*".to_owned(),
        Limit::Included(wanted) => format!("={}", wanted.text),
        Limit::Excluded(wanted) => wanted.text.clone(),
    };
    match test {
        Test::Exists => "exists".to_owned(),
        Test::Equal(wanted) => format!("= {}", wanted.text),
        Test::Prefix(text) => format!("{text}…"),
        Test::Contains(text) => format!("…{text}…"),
        Test::ContainsAnyCase(text) => format!("~{text}~"),
        Test::Matches(regex) => format!("/{regex}/"),
        Test::Between(low, high) => format!("{}..{}", limit(low), limit(high)),
    }
}

#[test]
fn queries_mean_what_the_documentation_says() {
    for (query, meaning) in [
        ("", "all"),
        ("  ", "all"),
        ("Error", "<error>"),
        ("connection refused", "(and <connection> <refused>)"),
        ("a AND b", "(and <a> <b>)"),
        ("a b OR c", "(or (and <a> <b>) <c>)"),
        ("a (b OR c)", "(and <a> (or <b> <c>))"),
        ("NOT a b", "(and (not <a>) <b>)"),
        ("NOT (a b)", "(not (and <a> <b>))"),
        ("\"connection refused\"", "<connection refused>"),
        ("10.0.0.1", "<10 0 0 1>"),
        ("\"AND\" \\OR and", "(and <and> <or> <and>)"),
        ("conn*", "<conn*>"),
        ("conn-ref*", "<conn ref*>"),
        ("*refused*", "Body ~refused~"),
        ("/conn.*\\/x/", "Body /conn.*/x/"),
        ("body:error", "<error>"),
        ("body:\"a b\"", "<a b>"),
        ("service:checkout", "service.name = checkout"),
        ("http.status_code:200", "http.status_code = 200"),
        ("k8s.pod.name:web-*", "k8s.pod.name web-…"),
        ("http.route:\"/api/v1\"", "http.route = /api/v1"),
        ("http.route:/api/v1 x", "(and http.route = /api/v1 <x>)"),
        ("http.route:/api/v1/*", "http.route /api/v1/…"),
        ("http.route:/api", "http.route = /api"),
        ("(http.route:/a\\/i/)", "http.route /a/i/"),
        ("url:*login*", "url …login…"),
        ("url:/^x/", "url /^x/"),
        ("\"odd name\":x", "odd name = x"),
        ("url:http://x:80/y", "url = http://x:80/y"),
        ("duration:>5", "duration 5..*"),
        ("duration:<=1.5", "duration *..=1.5"),
        ("path:>=/api", "path =/api..*"),
        ("duration:[1 TO 5]", "duration =1..=5"),
        ("duration:{1 TO *}", "duration 1..*"),
        ("_exists_:user.id", "user.id exists"),
        ("user.id:*", "user.id exists"),
        ("severity:error", "severity 17..=20"),
        ("severity:WARN2", "severity 14..=14"),
        ("severity:>=error", "severity 17..=24"),
        ("severity:>error", "severity 21..=24"),
        ("severity:<warn", "severity 0..=12"),
        ("severity:9", "severity 9..=9"),
        ("severity:[info TO warn]", "severity 9..=16"),
        ("severity:{info TO *]", "severity 13..=24"),
        ("trace_id:0102030405060708090A0b0c0d0e0f10", "trace 01"),
        ("span_id:ff02030405060708", "span ff"),
        ("trace_id:01*", "TraceId 01…"),
        ("scope:my.lib", "Scope = my.lib"),
        ("*", "Body exists"),
    ] {
        assert_eq!(shown(query), meaning, "{query}");
    }
}

#[test]
fn malformed_query_is_refused_where_it_goes_wrong() {
    for (query, place) in [
        ("a AND", 5),
        ("OR a", 0),
        ("(a b", 4),
        ("a)", 1),
        ("()", 1),
        ("NOT", 3),
        ("say \"hello", 4),
        ("severity:loud", 9),
        ("severity:25", 9),
        ("severity:", 9),
        ("service: x", 8),
        ("service:(a b)", 8),
        ("trace_id:12", 9),
        ("x:[1 5]", 2),
        ("x:[1 TO 5", 2),
        ("a*b", 1),
        ("*end", 4),
        ("/a(/", 0),
        ("/abc", 0),
        ("x:/a(/", 2),
        ("a -b", 2),
        ("a \\", 3),
        ("--", 0),
        ("ü \"", 2),
    ] {
        match parse(query) {
            Ok(filter) => panic!("`{query}` was read as {}", show(&filter)),
            Err(error) => {
                assert_eq!(error.position, place, "{query}: {error}");
                assert!(!error.message.is_empty());
            }
        }
    }
}

#[test]
fn size_and_depth_are_limited() {
    assert!(parse(&"x".repeat(MAX_QUERY_BYTES + 1)).is_err());
    assert!(parse(&"(".repeat(5000)).is_err());
    assert!(parse(&"NOT ".repeat(2000)).is_err());
    assert!(parse(&"a ".repeat(MAX_CONDITIONS)).is_ok());
    assert!(parse(&"a ".repeat(MAX_CONDITIONS + 1)).is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_within_itself(text in "[a-z0-9:\"/()\\[\\]{}*<>= \\\\ANDORT-]{0,40}") {
        if let Err(error) = parse(&text) {
            proptest::prop_assert!(error.position <= text.chars().count());
        }
    }
}
