//! The HTTP surface over real sockets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::search::Searcher;
use super::server::Indexes;
use super::{Reloaded, ServeError, Servers, Sources, serve};
use crate::component::Budget;
use crate::config::{Api, Diagnostic, Endpoint, Optional, Settings};
use crate::data::{Batch, Context, DoorLimits, Signal, Time};
use crate::net::{self, Socket};
use crate::storage::logindex::{Detail, LogIndex, Patience, Settings as IndexSettings};
use crate::topology::Changes;

const START: u64 = 1_795_532_400_000_000_000;

fn text(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Any::StringValue(text.to_owned())) })
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn requests() -> Bytes {
    let record = |second: u64, severity_number, body: &str| LogRecord {
        time_unix_nano: START + second * 1_000_000_000,
        observed_time_unix_nano: START,
        severity_number,
        severity_text: "Error".to_owned(),
        body: text(body),
        attributes: vec![attribute("http.status_code", Any::IntValue(502))],
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        flags: 1,
        ..LogRecord::default()
    };
    let scope_logs = ScopeLogs {
        scope: Some(InstrumentationScope { name: "lib".into(), ..Default::default() }),
        log_records: vec![
            record(0, 9, "started"),
            record(1, 17, "connection refused by 10.0.0.1"),
            record(2, 17, "connection \"reset\""),
        ],
        ..ScopeLogs::default()
    };
    let resource = Resource {
        attributes: vec![attribute("service.name", Any::StringValue("checkout".into()))],
        ..Resource::default()
    };
    let resource_logs = ResourceLogs {
        resource: Some(resource),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![resource_logs] }.encode_to_vec().into()
}

fn batch(requests: Bytes) -> Batch {
    let context = Arc::new(Context::default());
    Batch::try_new(Signal::Logs, requests, context, &DoorLimits::default()).unwrap().batch
}

pub(super) fn index(directory: &Path) -> Arc<LogIndex> {
    let index = LogIndex::open(IndexSettings {
        directory: directory.to_owned(),
        window: Duration::from_secs(3600),
        detail: Detail::Full,
        memory_bytes: 64 << 20,
        max_age: None,
        max_size_bytes: None,
    });
    let index = index.unwrap();
    index.try_add(&batch(requests())).unwrap();
    Arc::new(index)
}

async fn servers(directory: &Path) -> Servers {
    serve_indexes([index(directory)]).await
}

async fn serve_indexes<const N: usize>(indexes: [Arc<LogIndex>; N]) -> Servers {
    serve_within(Budget::default(), indexes).await
}

async fn serve_within<const N: usize>(budget: Budget, indexes: [Arc<LogIndex>; N]) -> Servers {
    let mut settings = Settings::default();
    let endpoint = Endpoint::new("127.0.0.1", 0);
    settings.api = Optional::from(Some(Api { endpoint: endpoint.clone(), auth: None }));
    settings.telemetry.metrics.address = Some(endpoint);
    let mut handles: Vec<Arc<dyn std::any::Any + Send + Sync>> = vec![Arc::new("no index")];
    handles.extend(indexes.map(|index| index as _));
    let sources = Sources { budget, ..Sources::default() };
    serve(&settings, sources.with_handles(move || handles.clone())).await.unwrap()
}

/// The status and the body of the answer to a request.
async fn ask(addr: SocketAddr, method: &str, target: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let host = if headers.contains("host:") { String::new() } else { format!("host: {addr}\r\n") };
    let request = format!("{method} {target} HTTP/1.1\r\n{host}{headers}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn get(addr: SocketAddr, target: &str) -> (u16, Value) {
    let (status, body) = ask(addr, "GET", target, "").await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn records_are_found_by_query_time_and_limit() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(folder.path()).await;
    let addr = servers.api_addr().unwrap();
    let (status, answer) =
        get(addr, "/api/v1/logs/search?query=severity:%3E%3Derror+%22connection+refused%22").await;
    assert_eq!(status, 200);
    assert_eq!(answer["num_hits"], 1);
    assert_eq!(answer["has_more"], false);
    assert_eq!(
        answer["hits"][0],
        json!({
            "time": "2026-11-24T15:00:01Z",
            "time_unix_nano": "1795532401000000000",
            "observed_time_unix_nano": "1795532400000000000",
            "severity": "ERROR",
            "severity_number": 17,
            "severity_text": "Error",
            "service": "checkout",
            "body": "connection refused by 10.0.0.1",
            "trace_id": "abababababababababababababababab",
            "span_id": "cdcdcdcdcdcdcdcd",
            "flags": 1,
            "attributes": { "http.status_code": 502 },
            "resource": { "service.name": "checkout" },
            "scope": { "name": "lib" },
        })
    );
    let bodies = |answer: &Value| -> Vec<String> {
        let hits = answer["hits"].as_array().unwrap();
        hits.iter().map(|hit| hit["body"].as_str().unwrap().to_owned()).collect()
    };
    let (_, newest) = get(addr, "/api/v1/logs/search?limit=1").await;
    assert_eq!(bodies(&newest), ["connection \"reset\""]);
    assert_eq!(newest["has_more"], true);
    let range = "start=2026-11-24T15:00:00Z&end=1795532402";
    let (_, within) = get(addr, &format!("/api/v1/logs/search?{range}")).await;
    assert_eq!(bodies(&within), ["connection refused by 10.0.0.1", "started"]);
    servers.stop().await;
}

#[tokio::test]
async fn pages_hold_every_record_once() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(folder.path()).await;
    let addr = servers.api_addr().unwrap();
    for sort in ["newest", "oldest"] {
        let mut bodies = Vec::new();
        let mut cursor = String::new();
        for _ in 0..3 {
            let target = format!("/api/v1/logs/search?limit=1&sort={sort}{cursor}");
            let (_, answer) = get(addr, &target).await;
            bodies.push(answer["hits"][0]["body"].as_str().unwrap().to_owned());
            assert_eq!(answer["has_more"], bodies.len() < 3);
            cursor = format!("&cursor={}", answer["next"].as_str().unwrap_or_default());
        }
        let mut expected = ["connection \"reset\"", "connection refused by 10.0.0.1", "started"];
        if sort == "oldest" {
            expected.reverse();
        }
        assert_eq!(bodies, expected);
    }
    assert_eq!(get(addr, "/api/v1/logs/search?cursor=x").await.0, 400);
    assert_eq!(get(addr, "/api/v1/logs/search?sort=best").await.0, 400);
    servers.stop().await;
}

#[tokio::test]
async fn records_are_counted_over_time_and_by_field() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(folder.path()).await;
    let addr = servers.api_addr().unwrap();
    let target = "/api/v1/logs/histogram?start=1795532400&end=1795532404&buckets=2";
    let (status, answer) = get(addr, target).await;
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!({
            "num_records": 3,
            "bucket_seconds": 2.0,
            "buckets": [
                {
                    "start": "2026-11-24T15:00:00Z",
                    "count": 2,
                    "severities": { "INFO": 1, "ERROR": 1 },
                },
                { "start": "2026-11-24T15:00:02Z", "count": 1, "severities": { "ERROR": 1 } },
            ],
        })
    );
    let (_, answer) = get(addr, "/api/v1/logs/histogram?start=1").await;
    assert_eq!(answer["error"]["parameter"], "end");
    let (_, answer) = get(addr, "/api/v1/logs/fields?query=connection").await;
    assert_eq!(answer["num_records"], 2);
    assert_eq!(answer["fields"][0], json!({ "name": "http.status_code", "count": 2 }));
    let (_, answer) = get(addr, "/api/v1/logs/fields/severity/values").await;
    let values = [("ERROR", 2), ("INFO", 1)];
    let values = values.map(|(value, count)| json!({ "value": value, "count": count }));
    assert_eq!(answer["values"], json!(values));
    let (_, answer) = get(addr, "/api/v1/logs/fields/http%2Estatus_code/values").await;
    assert_eq!(answer["values"], json!([{ "value": "502", "count": 3 }]));
    servers.stop().await;
}

#[tokio::test]
async fn description_names_what_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(folder.path()).await;
    let addr = servers.api_addr().unwrap();
    let (status, description) = get(addr, "/api/v1/openapi.json").await;
    assert_eq!(status, 200);
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.contains_key("/api/v1/logs/tail"));
    // The tail does not end, and has its own tests.
    for path in paths.keys().filter(|path| *path != "/api/v1/logs/tail") {
        let target = format!("{path}?start=1&end=2").replace("{name}", "severity");
        assert_eq!(get(addr, &target).await.0, 200, "{path}");
    }
    let (_, answer) = get(addr, "/api/v1/logs/search?limit=1").await;
    let schemas = &description["components"]["schemas"];
    for (schema, value) in [("Records", &answer), ("Record", &answer["hits"][0])] {
        for name in value.as_object().unwrap().keys() {
            assert!(schemas[schema]["properties"][name].is_object(), "{schema} {name}");
        }
    }
    servers.stop().await;
}

/// The documentation's examples of JSON, which hold for the records of the tests.
#[tokio::test]
async fn documented_answers_are_those_that_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(folder.path()).await;
    let addr = servers.api_addr().unwrap();
    let page = include_str!("../docs/search.md");
    let documented =
        page.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let documented: Vec<Value> =
        documented.map(|block| serde_json::from_str(block).unwrap()).collect();
    let targets = [
        "search?query=severity:%3E=error+refused&limit=20",
        "histogram?start=1795532400&end=1795532404&buckets=2",
        "fields?query=connection",
        "fields/severity/values",
        "search?query=a+AND+severity:loud",
    ];
    assert_eq!(documented.len(), targets.len());
    for (mut expected, target) in documented.into_iter().zip(targets) {
        let (_, mut given) = get(addr, &format!("/api/v1/logs/{target}")).await;
        for answer in [&mut expected, &mut given] {
            if answer.get("elapsed_ms").is_some() {
                answer["elapsed_ms"] = json!(1);
            }
            // The documentation shows the most frequent one.
            if let Some(Value::Array(fields)) = answer.get_mut("fields") {
                fields.truncate(1);
            }
        }
        assert_eq!(given, expected, "{target}");
    }
    let commands =
        page.lines().filter_map(|line| line.trim().strip_prefix("curl ")?.split('\'').nth(1));
    for url in commands {
        let target = url.strip_prefix("http://localhost:3100").unwrap();
        assert_eq!(ask_status(addr, target).await, 200, "{target}");
    }
    servers.stop().await;
}

#[tokio::test]
async fn wrong_request_is_told_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(folder.path()).await;
    let addr = servers.api_addr().unwrap();
    let (status, answer) = get(addr, "/api/v1/logs/search?query=a+AND+severity:loud").await;
    assert_eq!(status, 400);
    assert_eq!(answer["error"]["parameter"], "query");
    assert_eq!(answer["error"]["position"], 15);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("expected a severity: trace, debug"), "{message}");
    for (target, word) in [
        ("/api/v1/logs/search?limit=0", "1 to 10000"),
        ("/api/v1/logs/search?start=noon", "RFC 3339"),
        ("/api/v1/logs/search?start=2&end=1", "after"),
        ("/api/v1/logs/search?q=x", "unknown parameter"),
    ] {
        let (status, answer) = get(addr, target).await;
        assert_eq!(status, 400);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(get(addr, "/nothing").await.0, 404);
    assert_eq!(ask(addr, "POST", "/api/v1/logs/search", "").await.0, 405);
    servers.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_read_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(folder.path()).await;
    let addr = servers.api_addr().unwrap();
    for headers in ["host: evil.example\r\n", "origin: https://evil.example\r\n"] {
        assert_eq!(ask(addr, "GET", "/api/v1/logs/search", headers).await.0, 403);
    }
    servers.stop().await;
}

#[tokio::test]
async fn own_metrics_and_ledger_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(folder.path()).await;
    let [addr] = servers.metrics_addrs() else { panic!("one address was asked for") };
    assert_eq!(ask(*addr, "GET", "/metrics", "").await.0, 200);
    assert_eq!(get(*addr, "/debug/ledger").await.0, 200);
    assert_eq!(get(*addr, "/api/v1/logs/search").await.0, 404);
    servers.stop().await;
}

#[tokio::test]
async fn taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = Settings::default();
    let endpoint = Endpoint::new("127.0.0.1", taken.local_addr().unwrap().port());
    settings.telemetry.metrics.address = Some(endpoint.clone());
    let Err(error) = serve(&settings, Sources::default()).await else { panic!("it was bound") };
    assert!(matches!(error, ServeError::Bind { .. }));
    assert!(error.to_string().contains(&endpoint.to_string()));
}

/// One record of a time with a body.
pub(super) fn request(time: u64, body: &str) -> Batch {
    let record = LogRecord { time_unix_nano: time, body: text(body), ..LogRecord::default() };
    let scope_logs = ScopeLogs { log_records: vec![record], ..ScopeLogs::default() };
    let resource_logs = ResourceLogs { scope_logs: vec![scope_logs], ..ResourceLogs::default() };
    batch(ExportLogsServiceRequest { resource_logs: vec![resource_logs] }.encode_to_vec().into())
}

/// The lines of a tail that is open.
struct Tail(BufReader<TcpStream>);

impl Tail {
    async fn open(addr: SocketAddr, target: &str) -> Self {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // So the lines come as they are, not in chunks.
        let request = format!("GET {target} HTTP/1.0\r\nhost: {addr}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut tail = Self(BufReader::new(stream));
        assert_eq!(tail.text().await, "HTTP/1.0 200 OK\r\n");
        while tail.text().await != "\r\n" {}
        tail
    }

    async fn text(&mut self) -> String {
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
        line
    }

    async fn line(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }
}

#[tokio::test]
async fn tail_has_every_new_match_once_in_the_order_of_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(folder.path());
    let servers = serve_indexes([Arc::clone(&index)]).await;
    let addr = servers.api_addr().unwrap();
    let mut tail = Tail::open(addr, "/api/v1/logs/tail?query=wanted").await;
    let second = 1_000_000_000;
    for (time, body) in
        [(START + 9 * second, "wanted 1"), (START, "other"), (START - 9 * second, "wanted 2, late")]
    {
        index.try_add(&request(time, body)).unwrap();
    }
    let lines = [tail.line().await, tail.line().await];
    index.commit(Time::from_unix_nanos(START)).await.unwrap().unwrap();
    index.try_add(&request(START, "wanted 3")).unwrap();
    let last = tail.line().await;
    assert_eq!(last["body"], "wanted 3");
    // The same JSON as that of a search.
    let (_, found) = get(addr, "/api/v1/logs/search?query=wanted").await;
    assert_eq!(found["hits"], json!([lines[0], last, lines[1]]));
    servers.stop().await;
    assert_eq!(tail.text().await, "", "it ends with the server");
}

#[tokio::test]
async fn tail_begins_with_the_past_and_misses_nothing_after_it() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let indexes = folders.each_ref().map(|folder| index(folder.path()));
    indexes[0].commit(Time::from_unix_nanos(START)).await.unwrap().unwrap();
    let servers = serve_indexes(indexes.clone()).await;
    let addr = servers.api_addr().unwrap();
    let target = "/api/v1/logs/tail?start=2026-11-24T15:00:01Z";
    let mut tail = Tail::open(addr, target).await;
    for index in &indexes {
        index.try_add(&request(START, "late")).unwrap();
    }
    let mut bodies = Vec::new();
    for _ in 0..6 {
        bodies.push(tail.line().await["body"].as_str().unwrap().to_owned());
    }
    let [refused, reset] = ["connection refused by 10.0.0.1", "connection \"reset\""];
    assert_eq!(bodies, [refused, refused, reset, reset, "late", "late"]);
    for (target, parameter) in [("query=a+OR", "query"), ("start=soon", "start")] {
        let (status, answer) = get(addr, &format!("/api/v1/logs/tail?{target}")).await;
        assert_eq!((status, &answer["error"]["parameter"]), (400, &json!(parameter)));
    }
    servers.stop().await;
}

#[tokio::test]
async fn tails_are_limited_and_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(folder.path()).await;
    let addr = servers.api_addr().unwrap();
    let mut tails = Vec::new();
    for _ in 0..super::tail::MAX_TAILS {
        tails.push(Tail::open(addr, "/api/v1/logs/tail").await);
    }
    let (status, answer) = get(addr, "/api/v1/logs/tail").await;
    assert_eq!(status, 429);
    assert_eq!(answer["error"]["message"], "16 tails are open, and no more may be");
    let evil = ask(addr, "GET", "/api/v1/logs/tail", "origin: https://evil.example\r\n").await;
    assert_eq!(evil.0, 403);
    // That a client is gone is seen a moment later.
    tails.clear();
    let given_back = async { while ask_status(addr, "/api/v1/logs/tail").await == 429 {} };
    tokio::time::timeout(Duration::from_secs(20), given_back).await.unwrap();
    servers.stop().await;
}

/// The status of an answer that may have no end.
async fn ask_status(addr: SocketAddr, target: &str) -> u16 {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nhost: {addr}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn searches_are_charged_and_take_no_more_than_a_part_of_the_memory() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let indexes = folders.each_ref().map(|folder| index(folder.path()));
    // The records of one are in files, those of the other wait.
    indexes[0].commit(Time::from_unix_nanos(START)).await.unwrap().unwrap();
    let budget = Budget::new(8 * 1_000, 0);
    let servers = serve_within(budget.clone(), indexes).await;
    let addr = servers.api_addr().unwrap();
    let search = "/api/v1/logs/search?query=connection";
    assert_eq!(get(addr, search).await.0, 200);
    assert_eq!(budget.accounts(), [("queries", 0)], "it is given back");
    // The hits of one index have room, those of both have not; what is not wanted takes none.
    budget.set_limit(8 * 500, 0);
    let (status, answer) = get(addr, search).await;
    assert_eq!((status, answer["error"]["position"].is_null()), (503, true), "{answer}");
    let told = answer["error"]["message"].as_str().unwrap();
    assert!(told.starts_with("the search takes more than the 0 MiB of memory"), "{told}");
    assert_eq!(get(addr, &format!("{search}&limit=1")).await.0, 200);
    assert_eq!(budget.accounts(), [("queries", 0)]);
    servers.stop().await;
}

#[tokio::test]
async fn search_ends_when_its_client_is_gone() {
    let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
    let (ended, mut has_ended) = tokio::sync::mpsc::channel(1);
    let searcher = Arc::new(Searcher::new(Indexes::default(), Budget::default()));
    let handler = move |_, _| {
        let (searcher, begun, ended) = (Arc::clone(&searcher), begun.clone(), ended.clone());
        async move {
            let patience = Patience::default();
            let asked = patience.clone();
            let search = move |_| {
                begun.blocking_send(()).unwrap();
                while asked.check().is_ok() {
                    std::thread::yield_now();
                }
                ended.blocking_send(()).unwrap();
                Ok(())
            };
            let answer = searcher.run(patience, search).await;
            net::text(StatusCode::OK, format!("it was not given up: {}", answer.is_ok()))
        }
    };
    let listener = net::bind_tcp("127.0.0.1:0").unwrap().listener;
    let addr = listener.local_addr().unwrap();
    let (socket, stop) = (Socket::try_from(listener).unwrap(), CancellationToken::new());
    let serving = tokio::spawn(net::serve(socket, Default::default(), handler, stop.clone()));
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    has_begun.recv().await.unwrap();
    assert!(has_ended.try_recv().is_err());
    drop(client);
    tokio::time::timeout(Duration::from_secs(20), has_ended.recv()).await.unwrap().unwrap();
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn reload_is_answered_with_what_came_of_it() {
    let mut settings = Settings::default();
    let endpoint = Endpoint::new("127.0.0.1", 0);
    settings.api = Optional::from(Some(Api { endpoint, auth: None }));
    let (ask_reload, mut asked) = tokio::sync::mpsc::channel(1);
    let sources = Sources { reload: Some(ask_reload), ..Sources::default() };
    let servers = serve(&settings, sources).await.unwrap();
    let addr = servers.api_addr().unwrap();
    tokio::spawn(async move {
        let changes = Changes { changed: vec!["exporters::otlp".to_owned()], ..Changes::default() };
        let problems = vec![Diagnostic::error("it is wrong"), Diagnostic::warning("it is odd")];
        let failed = Reloaded::Failed("the port is in use".to_owned());
        for answer in [Reloaded::Done(changes), Reloaded::Refused(problems), failed] {
            let reply: tokio::sync::oneshot::Sender<_> = asked.recv().await.unwrap();
            reply.send(answer).unwrap();
        }
    });
    let mut answers = Vec::new();
    for _ in 0..4 {
        let (status, body) = ask(addr, "POST", "/-/reload", "content-length: 0\r\n").await;
        answers.push((status, serde_json::from_str::<Value>(&body).unwrap()));
    }
    let nothing = json!([]);
    assert_eq!(
        answers,
        [
            (
                200,
                json!({"added": nothing, "removed": nothing, "changed": ["exporters::otlp"], "kept": nothing})
            ),
            (400, json!({"errors": ["error: it is wrong"]})),
            (500, json!({"errors": ["the port is in use"]})),
            (503, json!({"errors": ["the agent stops"]})),
        ]
    );
    assert_eq!(ask(addr, "GET", "/-/reload", "").await.0, 405);
    servers.stop().await;
}
