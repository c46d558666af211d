//! Memory is short: clients are told to come back, never to drop.

use http::StatusCode;

use super::agent::Agent;
use super::client::{Called, Grpc, Reply, framed, gzip, post};
use super::downstream::{Downstream, status};
use super::records::{JSON, LOGS, PROTOBUF, logs, logs_of_size, logs_with_body};

const MIB: usize = 1024 * 1024;
const UNAVAILABLE: i32 = 14;

/// A limit of 4 MiB whose door closes at 3.
const TINY: &str = "
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 4, spike_limit_mib: 1}
service:
  pipelines:
    logs: {processors: [memory_limiter]}
";

fn assert_come_back(called: &Called) {
    assert_eq!(called.code, UNAVAILABLE, "{called:?}");
    let details = called.details.as_ref().expect("details");
    assert!(details.retry_delay().is_some_and(|delay| !delay.is_zero()), "{details:?}");
}

fn assert_come_back_over_http(reply: &Reply) {
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{reply:?}");
    assert!(reply.header("retry-after").parse::<u64>().unwrap() > 0, "{reply:?}");
}

#[tokio::test]
async fn closed_door_asks_to_come_back() {
    let agent = Agent::start(TINY).await;
    assert_eq!(agent.host.budget.door_bytes(), 3 * MIB);
    let grpc = Grpc::connect(agent.grpc()).await;
    let taken = agent.host.budget.charge("test", 3 * MIB);
    assert_come_back(&grpc.export(LOGS, &logs(1)).await);
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await;
    assert_come_back_over_http(&reply);
    assert_eq!(reply.status_body().code, UNAVAILABLE);
    let reply = post(agent.http(), "/v1/logs", &[JSON], "{}").await;
    assert_come_back_over_http(&reply);
    assert_eq!(reply.json()["code"], UNAVAILABLE);
    drop(taken);
    assert_eq!(grpc.export(LOGS, &logs(1)).await.code, 0);
    assert_eq!(post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await.status, StatusCode::OK);
    agent.stop().await;
}

#[tokio::test]
async fn body_that_does_not_fit_is_given_back() {
    let agent = Agent::start(TINY).await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    let large = logs_of_size(8 * MIB);
    assert_come_back(&grpc.export(LOGS, &large).await);
    // Small on the wire, and too large when it is inflated.
    let packed = gzip(&large);
    assert!(packed.len() < MIB);
    let called = grpc.call(&path, &[("grpc-encoding", "gzip")], framed(1, &packed)).await;
    assert_come_back(&called);
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    assert_come_back_over_http(&post(agent.http(), "/v1/logs", &headers, packed).await);
    assert_come_back_over_http(&post(agent.http(), "/v1/logs", &[PROTOBUF], large).await);
    agent.until_at_rest().await;
    assert_eq!(grpc.export(LOGS, &logs(1)).await.code, 0);
    agent.stop().await;
}

#[tokio::test]
async fn requests_that_wait_for_the_destination_count() {
    let downstream = Downstream::held(|_| status(200)).await;
    let agent = Agent::start(&downstream.over_http("")).await;
    agent.host.budget.set_limit(4 * MIB, MIB);
    let http = agent.http();
    let request = logs_of_size(2 * MIB);
    let first = {
        let request = request.clone();
        tokio::spawn(async move { post(http, "/v1/logs", &[PROTOBUF], request).await })
    };
    downstream.until_seen(1).await;
    let second = post(http, "/v1/logs", &[PROTOBUF], request.clone()).await;
    assert_come_back_over_http(&second);
    downstream.gate.add_permits(2);
    assert_eq!(first.await.unwrap().status, StatusCode::OK);
    agent.until_at_rest().await;
    assert_eq!(post(http, "/v1/logs", &[PROTOBUF], request).await.status, StatusCode::OK);
    agent.stop().await;
}

#[tokio::test]
async fn repaired_request_counts_as_it_is_kept() {
    let downstream = Downstream::held(|_| status(200)).await;
    let agent = Agent::start(&downstream.over_http("")).await;
    let http = agent.http();
    let mut text = vec![0xff; MIB];
    text.splice(0..0, [0x0a, 0x80, 0x80, 0x40]);
    let request = logs_with_body(&text);
    let sent = tokio::spawn(async move { post(http, "/v1/logs", &[PROTOBUF], request).await });
    downstream.until_seen(1).await;
    // U+FFFD is three bytes for one.
    assert!(agent.host.budget.used_bytes() >= 3 * MIB, "{:?}", agent.host.budget.accounts());
    downstream.gate.add_permits(1);
    assert_eq!(sent.await.unwrap().status, StatusCode::OK);
    agent.until_at_rest().await;
    agent.stop().await;
}
