//! Any JSON document as a plain page.

use std::fmt::Write;

use serde_json::{Map, Value};

const STYLE: &str = "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}\
    td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left;vertical-align:top}\
    th{background:#eee}nav a{margin-right:1em}";

/// A page with links to `others` (name and path), a heading, and the document as tables.
pub(super) fn page(title: &str, others: &[(&str, &str)], document: &Value) -> String {
    let mut html = format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><nav>"
    );
    for (name, path) in others {
        // Writing to a string does not fail.
        let _ = write!(html, "<a href=\"{path}\">{name}</a>");
    }
    let _ = write!(html, "<a href=\"?format=json\">this page as JSON</a></nav><h1>{title}</h1>");
    put_value(&mut html, document);
    html.push_str("</body></html>\n");
    html
}

fn put_value(html: &mut String, value: &Value) {
    match value {
        Value::Null => html.push_str("none"),
        Value::Bool(flag) => html.push_str(if *flag { "yes" } else { "no" }),
        Value::Number(number) => html.push_str(&number.to_string()),
        Value::String(text) => put_escaped(html, text),
        Value::Array(values) if values.is_empty() => html.push_str("none"),
        Value::Array(values) => match values.iter().map(Value::as_object).collect() {
            Some(rows) => put_rows(html, rows),
            None => put_list(html, values),
        },
        Value::Object(map) if map.is_empty() => html.push_str("none"),
        Value::Object(map) => put_map(html, map),
    }
}

fn put_map(html: &mut String, map: &Map<String, Value>) {
    html.push_str("<table>");
    for (name, value) in map {
        html.push_str("<tr><th>");
        put_escaped(html, name);
        html.push_str("</th><td>");
        put_value(html, value);
        html.push_str("</td></tr>");
    }
    html.push_str("</table>");
}

/// A table with a column for every name that any of the rows has.
fn put_rows(html: &mut String, rows: Vec<&Map<String, Value>>) {
    let mut columns: Vec<&String> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    html.push_str("<table><tr>");
    for column in &columns {
        html.push_str("<th>");
        put_escaped(html, column);
        html.push_str("</th>");
    }
    html.push_str("</tr>");
    for row in rows {
        html.push_str("<tr>");
        for column in &columns {
            html.push_str("<td>");
            if let Some(value) = row.get(*column) {
                put_value(html, value);
            }
            html.push_str("</td>");
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
}

fn put_list(html: &mut String, values: &[Value]) {
    html.push_str("<ul>");
    for value in values {
        html.push_str("<li>");
        put_value(html, value);
        html.push_str("</li>");
    }
    html.push_str("</ul>");
}

fn put_escaped(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_have_a_column_for_every_name() {
        let mut html = String::new();
        put_value(&mut html, &json!([{"a": 1}, {"a": true, "b": "<x>"}]));
        assert_eq!(
            html,
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td></td></tr>\
             <tr><td>yes</td><td>&lt;x&gt;</td></tr></table>"
        );
    }

    #[test]
    fn text_is_escaped_everywhere() {
        let html = page("t", &[("other", "/o")], &json!({"<k>": ["\"", "'&"], "n": null, "e": {}}));
        assert!(
            html.contains("&lt;k&gt;") && html.contains("&quot;") && html.contains("&#39;&amp;")
        );
        assert!(html.contains("<a href=\"/o\">other</a>"));
        assert!(html.contains("<th>n</th><td>none</td>"));
    }
}
