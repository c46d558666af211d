//! A journal behind the receiver: what was answered with OK arrives, whatever stands behind it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tempfile::TempDir;

use super::agent::{Agent, eventually};
use super::client::{Grpc, gzip, post};
use super::downstream::{Downstream, QUICK_RETRY, status};
use super::records::{LOGS, PROTOBUF, log, logs, logs_of, logs_of_size, text};

const JOURNAL: &str = "
extensions: {journal: {segment_size: 1MiB, max_size: 4MiB}}
service: {extensions: [journal]}
";

/// A single request waits before the exporter of [`Downstream::over_http`].
const SHORT_QUEUE: &str = "
exporters: {otlphttp: {sending_queue: {enabled: true, queue_size: 1, num_consumers: 1}}}
";

/// What does not get through is not waited for at the end.
const NO_PATIENCE: &str = "
service: {shutdown_timeout: 100ms}
";

async fn send(agent: &Agent, request: &[u8]) -> StatusCode {
    post(agent.http(), "/v1/logs", &[PROTOBUF], request.to_vec()).await.status
}

fn has_open(agent: &Agent, count: u32) -> bool {
    let open = agent.host.metrics.gauge("catchment_journal_open_entries", &[]).get();
    (open - f64::from(count)).abs() < 0.5
}

async fn until_closed(agent: &Agent) {
    eventually("all entries are closed", || has_open(agent, 0)).await;
}

fn bodies(downstream: &Downstream) -> Vec<Bytes> {
    downstream.seen().into_iter().map(|(_, body)| body).collect()
}

/// Requests that differ.
fn requests(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| logs_of(vec![log(text(&format!("request {i}")))])).collect()
}

/// What two agents that run one after the other have in common.
async fn crash(downstream: &Downstream, files: &[&str], sent: &[Vec<u8>]) -> Arc<TempDir> {
    let agent = Agent::start_all(files).await.unwrap();
    let data_dir = agent.data_dir();
    for request in sent {
        assert_eq!(send(&agent, request).await, StatusCode::OK);
    }
    downstream.until_seen(1).await;
    agent.stop().await;
    data_dir
}

#[tokio::test]
async fn client_is_answered_when_its_request_is_stored() {
    let downstream = Downstream::held(|_| status(200)).await;
    let agent = Agent::start_all(&[&downstream.over_http(""), JOURNAL]).await.unwrap();
    assert_eq!(send(&agent, &logs(3)).await, StatusCode::OK);
    let grpc = Grpc::connect(agent.grpc()).await;
    assert_eq!(grpc.export(LOGS, &logs(4)).await.code, 0);
    downstream.until_seen(2).await;
    eventually("two entries are open", || has_open(&agent, 2)).await;
    downstream.gate.add_permits(2);
    until_closed(&agent).await;
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 7);
    agent.stop().await;
}

#[tokio::test]
async fn what_did_not_arrive_is_sent_after_the_next_start() {
    let downstream = Downstream::held(|_| status(200)).await;
    let file = downstream.over_http("");
    let sent = requests(5);
    let data_dir = crash(&downstream, &[&file, JOURNAL, NO_PATIENCE], &sent).await;
    downstream.gate.add_permits(100);
    let before = downstream.num_seen();
    let agent = Agent::start_after(data_dir, &[&file, JOURNAL]).await.unwrap();
    downstream.until_seen(before + sent.len()).await;
    until_closed(&agent).await;
    let arrived: BTreeSet<Bytes> = bodies(&downstream).split_off(before).into_iter().collect();
    assert_eq!(arrived, sent.into_iter().map(Bytes::from).collect());
    let data_dir = agent.data_dir();
    agent.stop().await;
    // What arrived does not come again.
    let before = downstream.num_seen();
    let agent = Agent::start_after(data_dir, &[&file, JOURNAL]).await.unwrap();
    assert!(has_open(&agent, 0));
    agent.stop().await;
    assert_eq!(downstream.num_seen(), before);
}

#[tokio::test]
async fn compressed_request_is_kept_as_it_came_and_arrives_after_the_next_start() {
    let downstream = Downstream::held(|_| status(200)).await;
    let file = downstream.over_http("");
    let agent = Agent::start_all(&[&file, JOURNAL, NO_PATIENCE]).await.unwrap();
    let data_dir = agent.data_dir();
    let sent = logs_of(vec![log(text(&"many words ".repeat(50_000)))]);
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    let reply = post(agent.http(), "/v1/logs", &headers, gzip(&sent)).await;
    assert_eq!(reply.status, StatusCode::OK);
    // The same without compression is the same.
    assert_eq!(send(&agent, &sent).await, StatusCode::OK);
    downstream.until_seen(1).await;
    assert!(has_open(&agent, 1));
    agent.stop().await;
    let segments = std::fs::read_dir(data_dir.path().join("journal")).unwrap();
    let segments = segments.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let used: usize =
        segments.map(|bytes| bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0)).sum();
    assert!(used < sent.len() / 10, "{used} of {} bytes", sent.len());
    downstream.gate.add_permits(100);
    let before = downstream.num_seen();
    let agent = Agent::start_after(data_dir, &[&file, JOURNAL]).await.unwrap();
    downstream.until_seen(before + 1).await;
    until_closed(&agent).await;
    assert_eq!(bodies(&downstream)[before], sent);
    agent.stop().await;
}

#[tokio::test]
async fn only_who_did_not_get_it_gets_it_again() {
    let [good, bad] =
        [Downstream::start(|_| status(200)).await, Downstream::held(|_| status(200)).await];
    let both = format!(
        "
exporters:
  otlphttp/good: {{endpoint: 'http://{}', compression: none}}
  otlphttp/bad: {{endpoint: 'http://{}', compression: none}}
service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [otlphttp/good, otlphttp/bad]}}}}}}
",
        good.address, bad.address
    );
    let data_dir = crash(&bad, &[&both, JOURNAL, NO_PATIENCE], &requests(3)).await;
    assert_eq!(good.num_seen(), 3);
    bad.gate.add_permits(100);
    let before = bad.num_seen();
    let agent = Agent::start_after(data_dir, &[&both, JOURNAL]).await.unwrap();
    bad.until_seen(before + 3).await;
    until_closed(&agent).await;
    agent.stop().await;
    assert_eq!((good.num_seen(), bad.num_seen()), (3, before + 3));
}

#[tokio::test]
async fn what_finds_the_queue_full_comes_again() {
    let downstream = Downstream::held(|_| status(200)).await;
    let files = [&downstream.over_http(QUICK_RETRY), SHORT_QUEUE, JOURNAL];
    let agent = Agent::start_all(&files).await.unwrap();
    let sent = requests(8);
    for request in &sent {
        assert_eq!(send(&agent, request).await, StatusCode::OK);
    }
    downstream.gate.add_permits(100);
    until_closed(&agent).await;
    agent.stop().await;
    let arrived = bodies(&downstream);
    assert_eq!(arrived.len(), sent.len());
    let arrived: BTreeSet<Bytes> = arrived.into_iter().collect();
    assert_eq!(arrived, sent.into_iter().map(Bytes::from).collect());
}

#[tokio::test]
async fn request_that_comes_again_is_answered_and_not_taken_in_twice() {
    let downstream = Downstream::start(|_| status(200)).await;
    let agent = Agent::start_all(&[&downstream.over_http(""), JOURNAL]).await.unwrap();
    for _ in 0..3 {
        assert_eq!(send(&agent, &logs(2)).await, StatusCode::OK);
    }
    assert_eq!(send(&agent, &logs(3)).await, StatusCode::OK);
    until_closed(&agent).await;
    let repeated = agent.host.metrics.counter("catchment_journal_repeated_entries", &[]).get();
    assert_eq!((downstream.num_seen(), repeated), (2, 2));
    agent.stop().await;
}

#[tokio::test]
async fn full_journal_asks_clients_to_come_back() {
    let downstream = Downstream::held(|_| status(200)).await;
    let agent = Agent::start_all(&[&downstream.over_http(""), JOURNAL]).await.unwrap();
    let mut num_taken = 0;
    let refused = loop {
        let request = logs_of_size(900_000 + num_taken);
        let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], request).await;
        if reply.status != StatusCode::OK {
            break reply;
        }
        num_taken += 1;
    };
    assert_eq!((refused.status, num_taken), (StatusCode::SERVICE_UNAVAILABLE, 4));
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.status_body().message.contains("is full"), "{refused:?}");
    downstream.gate.add_permits(100);
    until_closed(&agent).await;
    assert_eq!(send(&agent, &logs_of_size(900_004)).await, StatusCode::OK);
    agent.stop().await;
    assert_eq!(downstream.num_seen(), 5);
}

#[tokio::test]
async fn folder_is_used_once_and_there_is_one_journal() {
    let agent = Agent::start(JOURNAL).await;
    let second = Agent::start_after(agent.data_dir(), &[JOURNAL]).await.err().unwrap();
    let told = format!("{second:?}");
    assert!(told.contains("Locked") && told.contains(&std::process::id().to_string()), "{told}");
    agent.stop().await;
    let two = "
extensions: {journal: , journal/other: {directory: other}}
service: {extensions: [journal, journal/other]}
";
    let error = Agent::start_all(&[two]).await.err().unwrap();
    assert!(format!("{error:?}").contains("is a second journal"), "{error:?}");
}
