//! Statements and conditions on records, from text to bytes.

mod collector;
mod conditions;
mod docs;
mod editors;
mod wrong;

use opentelemetry_proto::tonic::logs::v1::LogRecord as ProtoLog;
use prost::Message as _;

use super::*;
use crate::codec::otlp_json;
use crate::data::{Batch, Context as Request, LogRecord, Signal};
use std::sync::LazyLock;

static REQUEST: LazyLock<Request> = LazyLock::new(Request::default);

pub(super) fn compiler(signal: Signal) -> Compiler<'static> {
    Compiler {
        explicit: None,
        contexts: Context::of_signal(signal),
        usual: Context::usual(signal),
        functions: Functions::default(),
    }
}

/// A batch of OTLP/JSON.
pub(super) fn batch(signal: Signal, json: &str) -> Batch {
    let bytes = otlp_json::decode(signal, json.as_bytes()).expect("the test's JSON");
    crate::data::tests::admit(signal, bytes.to_vec())
}

/// A log record of OTLP/JSON.
pub(super) fn log(json: &str) -> Vec<u8> {
    let request = format!(
        r#"{{"resourceLogs": [{{"resource": {{"attributes":
            [{{"key": "service.name", "value": {{"stringValue": "shop"}}}}]}},
            "scopeLogs": [{{"scope": {{"name": "lib", "version": "1"}}, "logRecords": [{json}]}}]}}]}}"#
    );
    let batch = batch(Signal::Logs, &request);
    let item = batch.logs().items().next().expect("one record");
    item.record.bytes().to_vec()
}

/// The record that most tests look at.
pub(super) const RECORD: &str = r#"{
    "timeUnixNano": "1700000000000000000", "severityNumber": 9, "severityText": "INFO",
    "body": {"stringValue": "user=ann password=secret"},
    "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
    "attributes": [
        {"key": "http.method", "value": {"stringValue": "GET"}},
        {"key": "status", "value": {"intValue": "200"}},
        {"key": "ratio", "value": {"doubleValue": 0.5}},
        {"key": "ok", "value": {"boolValue": true}},
        {"key": "raw", "value": {"bytesValue": "AQID"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "b"}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [
            {"key": "a", "value": {"stringValue": "x"}},
            {"key": "b", "value": {"kvlistValue": {"values": [
                {"key": "c", "value": {"intValue": "7"}}]}}}]}}}
    ]}"#;

/// Runs statements in the context of logs on a record; what it is then, or the first error.
pub(super) fn edited(statements: &[&str], record: &str) -> Result<Vec<u8>, String> {
    let texts: Vec<String> = statements.iter().map(|text| (*text).to_owned()).collect();
    let compiler = Compiler { explicit: Some(Context::Log), ..compiler(Signal::Logs) };
    let program = compiler.program(&[], &texts).map_err(|problems| problems[0].message.clone())?;
    let record = log(record);
    let mut scene = Scene::new(&REQUEST, crate::data::Time::default());
    scene.element.load(&record);
    for statement in &program.statements {
        statement.run(&mut scene).map_err(|error| error.to_string())?;
    }
    let bytes = scene.element.bytes().to_vec();
    // What was written is a valid record.
    ProtoLog::decode(bytes.as_slice()).expect("valid protobuf");
    Ok(bytes)
}

/// The attributes of a record as JSON.
pub(super) fn attributes(record: &[u8]) -> String {
    let mut text = String::new();
    LogRecord::of_encoded(record).attributes().push_json(&mut text);
    text
}
