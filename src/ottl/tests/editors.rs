use super::*;

const SMALL: &str = r#"{"body": {"stringValue": "text"}, "attributes": [
    {"key": "a", "value": {"stringValue": "xyxy"}},
    {"key": "b", "value": {"intValue": "7"}},
    {"key": "m", "value": {"kvlistValue": {"values": [
        {"key": "k", "value": {"stringValue": "v"}},
        {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "p"}, {"stringValue": "q"}]}}}]}}}]}"#;

fn after(statements: &[&str]) -> Result<String, String> {
    edited(statements, SMALL).map(|record| attributes(&record))
}

#[test]
fn attributes_are_written() {
    for (statement, expected) in [
        (r#"set(attributes["a"], "b")"#, r#"{"a":"b","b":7,"m":{"k":"v","l":["p","q"]}}"#),
        (
            r#"set(attributes["n"], 1.5)"#,
            r#"{"a":"xyxy","b":7,"m":{"k":"v","l":["p","q"]},"n":1.5}"#,
        ),
        (
            r#"set(attributes["b"], attributes["m"]["l"][1])"#,
            r#"{"a":"xyxy","b":"q","m":{"k":"v","l":["p","q"]}}"#,
        ),
        (r#"set(attributes["b"], nil)"#, r#"{"a":"xyxy","b":null,"m":{"k":"v","l":["p","q"]}}"#),
        (
            r#"set(attributes["m"]["k"], true)"#,
            r#"{"a":"xyxy","b":7,"m":{"k":true,"l":["p","q"]}}"#,
        ),
        (
            r#"set(attributes["m"]["l"][0], {"z": 1})"#,
            r#"{"a":"xyxy","b":7,"m":{"k":"v","l":[{"z":1},"q"]}}"#,
        ),
        (
            r#"set(attributes["x"]["y"]["z"], 1)"#,
            r#"{"a":"xyxy","b":7,"m":{"k":"v","l":["p","q"]},"x":{"y":{"z":1}}}"#,
        ),
        (
            r#"set(attributes["a"], "b") where attributes["b"] == 8"#,
            r#"{"a":"xyxy","b":7,"m":{"k":"v","l":["p","q"]}}"#,
        ),
        (r#"set(attributes, {"only": [1, 2]})"#, r#"{"only":[1,2]}"#),
        (r#"set(attributes, attributes["m"])"#, r#"{"k":"v","l":["p","q"]}"#),
        (r#"delete_key(attributes, "a")"#, r#"{"b":7,"m":{"k":"v","l":["p","q"]}}"#),
        (r#"delete_key(attributes["m"], "k")"#, r#"{"a":"xyxy","b":7,"m":{"l":["p","q"]}}"#),
        (r#"delete_matching_keys(attributes, "[ab]")"#, r#"{"m":{"k":"v","l":["p","q"]}}"#),
        (r#"keep_matching_keys(attributes, "[ab]")"#, r#"{"a":"xyxy","b":7}"#),
        (r#"keep_keys(attributes, ["b", "none"])"#, r#"{"b":7}"#),
        (r#"limit(attributes, 2, ["m"])"#, r#"{"a":"xyxy","m":{"k":"v","l":["p","q"]}}"#),
        (
            r#"merge_maps(attributes, attributes["m"], "insert")"#,
            r#"{"a":"xyxy","b":7,"m":{"k":"v","l":["p","q"]},"k":"v","l":["p","q"]}"#,
        ),
        (
            r#"merge_maps(attributes, {"a": 1, "n": 2}, "update")"#,
            r#"{"a":1,"b":7,"m":{"k":"v","l":["p","q"]}}"#,
        ),
        (
            r#"merge_maps(attributes, {"a": 1, "n": 2}, "upsert")"#,
            r#"{"a":1,"b":7,"m":{"k":"v","l":["p","q"]},"n":2}"#,
        ),
        (r#"flatten(attributes)"#, r#"{"a":"xyxy","b":7,"m.k":"v","m.l.0":"p","m.l.1":"q"}"#),
        (
            r#"flatten(attributes, "x", depth=1)"#,
            r#"{"x.a":"xyxy","x.b":7,"x.m.k":"v","x.m.l":["p","q"]}"#,
        ),
        (r#"truncate_all(attributes, 3)"#, r#"{"a":"xyx","b":7,"m":{"k":"v","l":["p","q"]}}"#),
        (
            r#"stringify_all(attributes)"#,
            r#"{"a":"xyxy","b":"7","m":"{\"k\":\"v\",\"l\":[\"p\",\"q\"]}"}"#,
        ),
        (
            r#"append(attributes["a"], "z")"#,
            r#"{"a":["xyxy","z"],"b":7,"m":{"k":"v","l":["p","q"]}}"#,
        ),
        (
            r#"append(attributes["m"]["l"], values=["r", 1])"#,
            r#"{"a":"xyxy","b":7,"m":{"k":"v","l":["p","q","r",1]}}"#,
        ),
        (
            r#"delete_index(attributes["m"]["l"], 0)"#,
            r#"{"a":"xyxy","b":7,"m":{"k":"v","l":["q"]}}"#,
        ),
        (
            r#"replace_pattern(attributes["a"], "x(y)", "<$1>")"#,
            r#"{"a":"<y><y>","b":7,"m":{"k":"v","l":["p","q"]}}"#,
        ),
        (
            r#"replace_all_patterns(attributes, "key", "^a$", "A")"#,
            r#"{"A":"xyxy","b":7,"m":{"k":"v","l":["p","q"]}}"#,
        ),
        (
            r#"replace_all_patterns(attributes, "value", "x", "")"#,
            r#"{"a":"yy","b":7,"m":{"k":"v","l":["p","q"]}}"#,
        ),
    ] {
        assert_eq!(after(&[statement]).as_deref(), Ok(expected), "{statement}");
    }
}

#[test]
fn later_statements_see_what_earlier_ones_wrote() {
    let statements = [
        r#"set(cache["t"], attributes["a"])"#,
        r#"set(attributes["a"], "first")"#,
        r#"set(attributes["n"], attributes["a"])"#,
        r#"set(attributes["o"], cache["t"])"#,
        r#"keep_keys(attributes, ["n", "o"]) where attributes["n"] == "first""#,
    ];
    assert_eq!(after(&statements).as_deref(), Ok(r#"{"n":"first","o":"xyxy"}"#));
}

#[test]
fn fields_of_a_record_are_written() {
    let statements = [
        r#"set(body, {"message": body, "n": 1})"#,
        r#"set(body["n"], 2)"#,
        "set(severity_number, SEVERITY_NUMBER_ERROR)",
        r#"set(severity_text, "ERROR")"#,
        "set(time_unix_nano, 5)",
        "set(observed_time, time)",
        r#"set(trace_id.string, "5b8efff798038103d269b633813fc60c")"#,
        "set(span_id, SpanID(0xeee19b7ec3c1b174))",
        "set(flags, 1)",
        r#"set(event_name, "e")"#,
        "set(dropped_attributes_count, 3)",
    ];
    let bytes = edited(&statements, SMALL).unwrap();
    let record = LogRecord::of_encoded(&bytes);
    assert_eq!(record.body().to_text(), r#"{"message":"text","n":2}"#);
    assert_eq!((record.severity_number(), record.severity_text()), (17, "ERROR"));
    assert_eq!(record.time().as_unix_nanos(), 5);
    assert_eq!(record.observed_time().as_unix_nanos(), 5);
    assert_eq!(record.trace_id().unwrap().to_string(), "5b8efff798038103d269b633813fc60c");
    assert_eq!(record.span_id().unwrap().to_string(), "eee19b7ec3c1b174");
    assert_eq!((record.flags(), record.event_name()), (1, "e"));
    assert_eq!(record.dropped_attributes_count(), 3);
    assert_eq!(record.attributes().len(), 3);
}

#[test]
fn what_a_path_does_not_take_is_an_error() {
    for (statement, expected) in [
        (r#"set(severity_number, "x")"#, "expected a whole number, here is a string"),
        (r#"set(attributes, "x")"#, "expected a map, here is a string"),
        (r#"set(attributes["a"]["b"], 1)"#, "a string has nothing to look up"),
        (r#"delete_index(attributes["m"]["l"], 2)"#, "2 to 3 is not within a list of 2"),
        (r#"delete_key(attributes["a"], "x")"#, "expected a map, here is a string"),
        (r#"append(attributes["a"])"#, "`append` needs `value` or `values`"),
    ] {
        assert_eq!(after(&[statement]).unwrap_err(), expected, "{statement}");
    }
    let error = after(&[r#"set(attributes["a"], time)"#]).unwrap_err();
    assert!(error.starts_with("a time cannot be stored"), "{error}");
}
