//! Another configuration while clients send.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;

use super::agent::{Agent, eventually};
use super::client::{Grpc, framed, post};
use super::downstream::{Downstream, status};
use super::records::{LOGS, PROTOBUF, log, logs_of, logs_of_size, text};

/// The turns of the test under load; `CATCHMENT_RELOADS` says how many, 30.
fn turns() -> usize {
    std::env::var("CATCHMENT_RELOADS").map_or(30, |turns| turns.parse().unwrap())
}

/// A file for one turn: where records go, what is set on them, and how large requests may be.
fn file(downstream: &Downstream, stamp: usize, max_body_bytes: usize) -> String {
    format!(
        "
receivers: {{otlp: {{protocols: {{http: {{max_request_body_size: {max_body_bytes}}}}}}}}}
processors: {{attributes: {{actions: [{{key: stamp, value: 's{stamp}', action: upsert}}]}}}}
exporters: {{otlphttp: {{endpoint: 'http://{}', compression: none, encoding: proto}}}}
service: {{pipelines: {{logs: {{receivers: [otlp], processors: [attributes], exporters: [otlphttp]}}}}}}
",
        downstream.address
    )
}

/// Bodies and stamps of the records that a server saw after its first requests.
fn seen(downstream: &Downstream, num_before: usize) -> Vec<(String, String)> {
    let requests = downstream.seen_after(num_before).into_iter();
    requests.flat_map(|(_, body)| records(&body)).collect()
}

fn records(body: &Bytes) -> Vec<(String, String)> {
    let request = ExportLogsServiceRequest::decode(body.clone()).unwrap();
    let scopes = request.resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
    let records = scopes.flat_map(|logs| logs.log_records);
    let pairs = records.map(|record| {
        let stamp = record.attributes.into_iter().find(|pair| pair.key == "stamp");
        (string(record.body), string(stamp.and_then(|pair| pair.value)))
    });
    pairs.collect()
}

fn string(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

/// Each turn changes the processor, the exporter or the receiver's limit, and a record proves it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_no_request_cut_off_while_settings_change() {
    let places =
        [Downstream::start(|_| status(200)).await, Downstream::start(|_| status(200)).await];
    let (mut place, mut stamp, mut limit) = (0, 0, 100_000);
    let mut agent = Agent::start_all(&[&file(&places[place], stamp, limit)]).await.unwrap();
    let (is_over, num_sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..2)
        .map(|client| {
            let (address, grpc) = (agent.http(), agent.grpc());
            let (is_over, num_sent) = (Arc::clone(&is_over), Arc::clone(&num_sent));
            tokio::spawn(async move {
                let mut connection = Grpc::connect(grpc).await;
                while !is_over.load(Ordering::Relaxed) {
                    let number = num_sent.fetch_add(1, Ordering::Relaxed);
                    let request = logs_of(vec![log(text(&format!("load {number}")))]);
                    if client == 0 {
                        let reply = post(address, "/v1/logs", &[PROTOBUF], request).await;
                        assert_eq!(reply.status, StatusCode::OK, "request {number}");
                        continue;
                    }
                    // A receiver that is replaced ends connections between requests.
                    if !connection.is_open() {
                        connection = Grpc::connect(grpc).await;
                    }
                    let path = format!("/{LOGS}/Export");
                    let called = connection.try_call(&path, &[], framed(0, &request)).await;
                    // It may have ended just before the request came.
                    let called = match called {
                        Ok(called) => called,
                        Err(_) => {
                            connection = Grpc::connect(grpc).await;
                            connection.export(LOGS, &request).await
                        }
                    };
                    assert_eq!(called.code, 0, "request {number}");
                }
            })
        })
        .collect();
    for turn in 0..turns() {
        let kept = match turn % 3 {
            0 => {
                stamp += 1;
                ["receivers::otlp", "exporters::otlphttp"]
            }
            1 => {
                place = 1 - place;
                ["receivers::otlp", "processors::attributes"]
            }
            _ => {
                limit = 300_000 - limit;
                ["processors::attributes", "exporters::otlphttp"]
            }
        };
        let changes = agent.reload(&[&file(&places[place], stamp, limit)]).await.unwrap();
        assert!(
            kept.iter().all(|part| changes.kept.iter().any(|kept| kept == part)),
            "{changes:?}"
        );
        // With a limit of 100,000 bytes it is too large.
        let expected = if limit < 150_000 { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::OK };
        let large = post(agent.http(), "/v1/logs", &[PROTOBUF], logs_of_size(150_000)).await;
        assert_eq!(large.status, expected, "turn {turn}");
        let num_before = places[place].num_seen();
        let probe = format!("probe {turn}");
        let request = logs_of(vec![log(text(&probe))]);
        let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], request).await;
        assert_eq!(reply.status, StatusCode::OK);
        let wanted = (probe, format!("s{stamp}"));
        let is_there = || seen(&places[place], num_before).contains(&wanted);
        eventually(&format!("turn {turn} shows"), is_there).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let sent = num_sent.load(Ordering::Relaxed);
    let all = || -> BTreeSet<String> {
        let seen = places.iter().flat_map(|place| seen(place, 0)).map(|(body, _)| body);
        seen.filter(|body| body.starts_with("load ")).collect()
    };
    eventually("everything arrives", || all().len() as u64 == sent).await;
    agent.stop().await;
}

#[tokio::test]
async fn connection_of_a_receiver_that_stays_goes_on() {
    let downstream = Downstream::start(|_| status(200)).await;
    let mut agent = Agent::start_all(&[&file(&downstream, 1, 100_000)]).await.unwrap();
    let grpc = Grpc::connect(agent.grpc()).await;
    for stamp in 2..5 {
        assert_eq!(grpc.export(LOGS, &logs_of(vec![log(text("a"))])).await.code, 0);
        agent.reload(&[&file(&downstream, stamp, 100_000)]).await.unwrap();
    }
    assert!(grpc.is_open());
    assert_eq!(grpc.export(LOGS, &logs_of(vec![log(text("last"))])).await.code, 0);
    downstream.until_seen(4).await;
    assert_eq!(seen(&downstream, 3).pop().unwrap(), ("last".to_owned(), "s4".to_owned()));
    agent.stop().await;
}
