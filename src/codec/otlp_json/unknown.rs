//! Keys that are passed over when a request is read, for those who want to know.

use serde_json::Value;

use super::schema::{self, Kind, Schema};
use crate::data::Signal;

/// The path of the first key of a request in OTLP's JSON form that is no field.
#[must_use]
pub fn unknown_key(signal: Signal, request: &Value) -> Option<String> {
    find(schema::request(signal), request)
}

fn find(schema: &'static Schema, message: &Value) -> Option<String> {
    for (key, value) in message.as_object()? {
        let field = schema.fields.iter().find(|field| field.is_called(key));
        let Some(field) = field else { return Some(key.clone()) };
        let Kind::Message(inner) = field.kind else { continue };
        let found = match value {
            Value::Array(list) => list.iter().find_map(|value| find(inner, value)),
            value => find(inner, value),
        };
        if let Some(found) = found {
            return Some(format!("{key}.{found}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_that_is_no_field_is_found_at_any_depth() {
        let text = r#"{"resourceLogs":[{"resource":{}},{"scope_logs":[{"logRecords":[
            {"body":{"kvlistValue":{"values":[{"key":"a","value":{"stringvalue":"b"}}]}}}]}]}]}"#;
        let request = serde_json::from_str(text).unwrap();
        let found = unknown_key(Signal::Logs, &request);
        let expected =
            "resourceLogs.scope_logs.logRecords.body.kvlistValue.values.value.stringvalue";
        assert_eq!(found.as_deref(), Some(expected));
        assert_eq!(unknown_key(Signal::Traces, &request).as_deref(), Some("resourceLogs"));
        let right = text.replace("stringvalue", "stringValue");
        assert_eq!(unknown_key(Signal::Logs, &serde_json::from_str(&right).unwrap()), None);
    }
}
