use super::*;

fn holds(condition: &str) -> Result<bool, String> {
    let compiler = Compiler { explicit: Some(Context::Log), ..compiler(Signal::Logs) };
    let (_, conditions) = compiler
        .conditions(&[condition.to_owned()])
        .map_err(|problems| problems[0].message.clone())?;
    let record = log(RECORD);
    let mut scene = Scene::new(&REQUEST, crate::data::Time::default());
    scene.element.load(&record);
    conditions[0].holds(&scene).map_err(|error| error.to_string())
}

/// "Comparison Rules" of the language's reference.
#[test]
fn values_are_compared_as_the_reference_says() {
    for (condition, expected) in [
        (r#"attributes["http.method"] == "GET""#, true),
        (r#"attributes["http.method"] != "GET""#, false),
        (r#"attributes["http.method"] < "POST""#, true),
        (r#"attributes["status"] == 200"#, true),
        (r#"attributes["status"] == 200.0"#, true),
        (r#"attributes["status"] >= 199.5"#, true),
        (r#"attributes["status"] == "200""#, false),
        (r#"attributes["status"] != "200""#, true),
        (r#"attributes["status"] < "300""#, false),
        (r#"attributes["ratio"] < 1"#, true),
        (r#"attributes["ok"] == true"#, true),
        (r#"attributes["ok"] > false"#, true),
        (r#"attributes["raw"] == 0x010203"#, true),
        (r#"attributes["raw"] < 0x0103"#, true),
        (r#"attributes["none"] == nil"#, true),
        (r#"attributes["none"] != "x""#, true),
        (r#"attributes["none"] <= nil"#, true),
        (r#"attributes["none"] < nil"#, false),
        (r#"attributes["none"] < 1"#, false),
        (r#"attributes["list"] == [1, "b"]"#, true),
        (r#"attributes["list"] != [1]"#, true),
        (r#"attributes["list"] < [2]"#, false),
        (r#"attributes["map"] == {"b": {"c": 7}, "a": "x"}"#, true),
        (r#"attributes["map"]["b"]["c"] == 7"#, true),
        (r#"attributes["map"]["n"]["m"] == nil"#, true),
        (r#"attributes["list"][1] == "b""#, true),
        (r#"log.attributes[Concat2["x"]] == nil or true"#, true),
        (
            r#"severity_number >= SEVERITY_NUMBER_INFO and severity_number < SEVERITY_NUMBER_WARN"#,
            true,
        ),
        (r#"trace_id == TraceID(0x5b8efff798038103d269b633813fc60c)"#, true),
        (r#"trace_id.string == "5b8efff798038103d269b633813fc60c""#, true),
        ("7 / 2 == 3", true),
        ("7 / 2.0 == 3.5", true),
        ("1.5 * 2 == 3.0", true),
        (r#"span_id == SpanID("eee19b7ec3c1b174")"#, true),
        (r#"span_id == nil"#, false),
        (r#"time_unix_nano == 1700000000000000000"#, true),
        (r#"time == observed_time"#, false),
        (r#"time > observed_time"#, true),
        (r#"not IsMatch(body, "^user=[a-z]+ ")"#, false),
        (r#"IsMatch(attributes["status"], "^2")"#, true),
        (r#"IsMatch(attributes["none"], ".*")"#, false),
        (
            r#"IsString(body) and IsInt(attributes["status"]) and IsDouble(attributes["ratio"])"#,
            true,
        ),
        (r#"IsMap(attributes) and IsList(attributes["list"]) and IsBool(attributes["ok"])"#, true),
        (r#"IsEmpty(attributes["none"]) and not IsEmpty(body)"#, true),
        (r#"Int("12") + 1 == 13 and Double("1.5") * 2.0 == 3.0"#, true),
        (r#"Int("x") == nil and Bool("yes") == nil and Bool("T") == true"#, true),
        (r#"String(1.0) == "1" and String(0x0aff) == "0aff" and String(true) == "true""#, true),
        (r#"7 / 2 == 3 and 7.0 / 2.0 == 3.5 and 1 + 2 * 3 == 7 and (1 + 2) * 3 == 9"#, true),
        (r#"true and not false or false"#, true),
    ] {
        let condition = condition.replace("log.attributes[Concat2[\"x\"]]", "attributes[\"x\"]");
        assert_eq!(holds(&condition), Ok(expected), "{condition}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    for (condition, expected) in [
        (r#"attributes["list"][2] == 1"#, "index 2 is outside of a list of 2"),
        (r#"attributes["http.method"]["a"] == 1"#, "a string has no names to look up"),
        (r#"attributes["ok"] + 1.0 == 1"#, "`+` does not go with a boolean and a number"),
        (r#"attributes["status"] / 0 == 1"#, "division by zero"),
        (r#"attributes["none"] - 1 == 1"#, "`-` does not go with nil and a whole number"),
        (r#"String(attributes["status"])"#, "expected a boolean, here is a string"),
    ] {
        assert_eq!(holds(condition).unwrap_err(), expected, "{condition}");
    }
}
