//! Converters beside the Collector's.
//!
//! `collector.txt` has expressions, and below each what the Collector's OTTL (pkg/ottl 1.4.1) makes
//! of it as JSON, or `error`.

use serde_json::Value as Json;

use super::*;

/// Expressions with another answer here, and why.
const DIFFERENT: &[(&str, &str)] = &[
    (r#"SliceToMap([{"name":"foo","value":2},{"name":"bar","value":5}],["name"],["value"])"#, MAPS),
    (r#"SliceToMap([{"name":"foo","value":2}])"#, MAPS),
    (r#"ExtractGrokPatterns("::ffff:1.2.3.4","%{IPV6:a}",true)"#, "the whole address matches"),
    (
        r#"ParseSeverity(200,{"info":[{"range":"2xx"}],"b":[{"range":"9xx"}]})"#,
        "criteria behind the one that fits are not looked at",
    ),
    (r#"Int("12.5")"#, LITERALS),
    (r#"Int("0x10")"#, LITERALS),
    (r#"Int(" 1")"#, LITERALS),
    (r#"Int("1_0")"#, LITERALS),
    (r#"Bool("yes")"#, LITERALS),
    (r#"GetXML("<a/>","/[")"#, "what is no path is refused"),
    (r#"GetXML("<r><a>1</a><b>2</b></r>","count(//a)")"#, "it selects no nodes"),
    (r#"RemoveXML("<?pi x y?><!DOCTYPE a><a><?p q?><b/></a>","/a/b")"#, "instructions stay"),
    (
        r#"ConvertAttributesToElementsXML("<a n:x=\"1\" xmlns:n=\"u\"/>")"#,
        "attributes with a prefix go too",
    ),
    (r#"Base64Decode("aGVsbG8gd29ybGQ=")"#, "as documented; there it is gone"),
];

const MAPS: &str = "a literal list may have maps";
const LITERALS: &str = "a literal that cannot be converted is nil, as one from a record";

fn here(expression: &str) -> Result<Json, String> {
    let statement = format!(r#"set(attributes["r"], {expression})"#);
    let record = edited(&[&statement], "{}")?;
    let json: Json = serde_json::from_str(&attributes(&record)).expect("valid JSON");
    Ok(json["r"].clone())
}

#[test]
fn converters_answer_as_in_the_collector() {
    let mut wrong = Vec::new();
    let lines: Vec<&str> = include_str!("collector.txt").lines().collect();
    assert_eq!(lines.len() % 2, 0, "each expression has its answer");
    for pair in lines.chunks(2) {
        let (expression, expected) = (pair[0], pair[1].trim());
        let expected =
            (expected != "error").then(|| serde_json::from_str::<Json>(expected).unwrap());
        let found = here(expression);
        let is_same = found.as_ref().ok() == expected.as_ref();
        let is_different = DIFFERENT.iter().any(|(other, _)| *other == expression);
        if is_same == is_different {
            wrong.push(format!("{expression}\n  there {expected:?}\n  here  {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
