use super::*;
use crate::config::{Node as YamlNode, TextProblems, from_node, render};

/// A list of statements about logs in a file, each with a context of its own.
#[derive(Debug, serde::Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Statements;

impl TryFrom<Vec<String>> for Statements {
    type Error = TextProblems;

    fn try_from(texts: Vec<String>) -> Result<Self, TextProblems> {
        let wrong =
            |text: &String| compiler(Signal::Logs).program(&[], std::slice::from_ref(text)).err();
        Err(TextProblems(texts.iter().filter_map(wrong).flatten().collect()))
    }
}

#[test]
fn wrong_names_are_explained() {
    let lines = r#"
- set(attributes["a"], "b")
- set(log.atributes["a"], "b")
- set(log.body["a"].b, "b")
- set(span.name, "b")
- set(logs.body, "b")
- set(log.severity_text["a"], "b")
- set(log.attributes[true], "b")
- set("text", "b")
- set(log.attributes["a"])
- set(log.attributes["a"], "b", "c")
- set(log.attributes["a"], val="b")
- set(log.attributes["a"], value="b", value="c")
- sett(log.attributes["a"], "b")
- IsMatch(log.body, "b")
- set(log.attributes["a"], IsMatsch(log.body, "b"))
- set(log.attributes["a"], IsMatch(log.body, "(b"))
- set(log.attributes["a"], SEVERITY_NUMBER_WARNING)
- set(log.attributes["a"], IsMatch)
- set(log.attributes["a"], 1 + "b")
- set(log.attributes["a"], 1 / 0)
- set(log.attributes["a"], "b") where log.body
- set(log.attributes["a"], "b") where "text"
- set(log.attributes["a"], "b") where 1 + 1
- set(log.attributes["a"], "b") where not set(log.body, "b")
- merge_maps(log.attributes, {}, "replace")
- keep_keys(log.attributes, "a")
- set(otelcol.client.addr, "b")
- set(log.trace_id, TraceID(0x00))
- set(resource.attributes["a"], Scope.name)
"#;
    let lines = lines.replace("{}", "log.body");
    let node = YamlNode::parse("pipeline.yaml", &lines).unwrap();
    let path = "processors::transform::log_statements";
    insta::assert_snapshot!(render(&from_node::<Statements>(&node, path).unwrap_err()));
}
