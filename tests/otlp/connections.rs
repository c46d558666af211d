//! The life of connections: keep-alive, age, idleness, and the end of the server.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::agent::{Agent, SOON};
use super::client::{Grpc, answer, framed, post, rest};
use super::downstream::{Downstream, grpc_status, status};
use super::frames::{
    self, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, HELLO, SETTINGS, call_fields, frame,
};
use super::records::{LOGS, PROTOBUF, logs};

/// A request over HTTP/1.1 on a bare socket.
fn posted(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn connections_serve_many_requests() {
    let agent = Agent::start("").await;
    let mut stream = TcpStream::connect(agent.http()).await.unwrap();
    for _ in 0..3 {
        stream.write_all(&posted(&logs(1))).await.unwrap();
        let answered = answer(&mut stream).await;
        assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
        assert!(!answered.contains("connection: close"), "{answered}");
    }
    // What is refused does not end the connection either.
    stream.write_all(&posted(b"no")).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 400"));
    // Several requests before the first answer.
    stream.write_all(&posted(&logs(1)).repeat(2)).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    agent.stop().await;
}

#[tokio::test]
async fn keep_alive_may_be_off() {
    let agent =
        Agent::start("receivers: {otlp: {protocols: {http: {keep_alives_enabled: false}}}}").await;
    let mut stream = TcpStream::connect(agent.http()).await.unwrap();
    stream.write_all(&posted(&logs(1))).await.unwrap();
    let answered = rest(&mut stream).await;
    assert!(answered.starts_with(b"HTTP/1.1 200"));
    agent.stop().await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let agent = Agent::start(
        "receivers: {otlp: {protocols: {http: {idle_timeout: 20ms}, grpc: {keepalive: \
         {server_parameters: {max_connection_idle: 20ms}}}}}}",
    )
    .await;
    let mut stream = TcpStream::connect(agent.http()).await.unwrap();
    stream.write_all(&posted(&logs(1))).await.unwrap();
    assert!(rest(&mut stream).await.starts_with(b"HTTP/1.1 200"));
    let grpc = Grpc::connect(agent.grpc()).await;
    let gone = async {
        while grpc.is_open() {
            tokio::time::sleep(Duration::from_millis(2)).await
        }
    };
    timeout(SOON, gone).await.unwrap();
    agent.stop().await;
}

#[tokio::test]
async fn old_connections_are_told_to_go_away() {
    let agent = Agent::start(
        "receivers: {otlp: {protocols: {grpc: {keepalive: {server_parameters: \
         {max_connection_age: 30ms, max_connection_age_grace: 50ms}}}}}}",
    )
    .await;
    let mut stream = TcpStream::connect(agent.grpc()).await.unwrap();
    stream.write_all(HELLO).await.unwrap();
    frames::until(&mut stream, GOAWAY).await;
    rest(&mut stream).await;
    agent.stop().await;
}

#[tokio::test]
async fn old_connection_finishes_the_call_that_it_has() {
    let downstream = Downstream::held(|_| grpc_status(0, None)).await;
    let keepalive = "
receivers: {otlp: {protocols: {grpc: {keepalive: {server_parameters: {max_connection_age: 30ms}}}}}}
";
    let agent = Agent::start_all(&[&downstream.over_grpc(""), keepalive]).await.unwrap();
    let mut stream = TcpStream::connect(agent.grpc()).await.unwrap();
    let head = frame(HEADERS, END_HEADERS, 1, &call_fields());
    let message = frame(DATA, END_STREAM, 1, &framed(0, &logs(1)));
    stream.write_all(&[HELLO, &head, &message].concat()).await.unwrap();
    downstream.until_seen(1).await;
    // The server says goodbye while the call is under way.
    frames::until(&mut stream, GOAWAY).await;
    assert_eq!(downstream.num_seen(), 1);
    downstream.gate.add_permits(1);
    assert_eq!(frames::until(&mut stream, DATA).await, [0; 5]);
    drop(stream);
    agent.stop().await;
}

#[tokio::test]
async fn requests_under_way_are_finished_at_the_end() {
    let downstream = Downstream::held(|_| status(200)).await;
    let agent = Agent::start(&downstream.over_http("")).await;
    let (http, grpc) = (agent.http(), Grpc::connect(agent.grpc()).await);
    let call = tokio::spawn({
        let grpc = grpc.clone();
        async move { grpc.export(LOGS, &logs(1)).await }
    });
    let mut stream = TcpStream::connect(http).await.unwrap();
    stream.write_all(&posted(&logs(1))).await.unwrap();
    let mut idle = TcpStream::connect(http).await.unwrap();
    idle.write_all(&posted(b"")).await.unwrap();
    assert!(answer(&mut idle).await.starts_with("HTTP/1.1 200"));
    let mut idle_grpc = TcpStream::connect(agent.grpc()).await.unwrap();
    idle_grpc.write_all(HELLO).await.unwrap();
    frames::until(&mut idle_grpc, SETTINGS).await;
    downstream.until_seen(2).await;
    let stopping = tokio::spawn(agent.stop());
    // Connections without a request are closed at once.
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    frames::until(&mut idle_grpc, GOAWAY).await;
    downstream.gate.add_permits(2);
    let answered = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    assert!(answered.contains("connection: close"), "{answered}");
    assert_eq!(call.await.unwrap().code, 0);
    stopping.await.unwrap();
    assert!(TcpStream::connect(http).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn client_that_goes_away_takes_nothing_with_it() {
    let downstream = Downstream::held(|_| status(200)).await;
    let agent = Agent::start(&downstream.over_http("")).await;
    let mut stream = TcpStream::connect(agent.http()).await.unwrap();
    stream.write_all(&posted(&logs(1))).await.unwrap();
    downstream.until_seen(1).await;
    drop(stream);
    let mut halfway = TcpStream::connect(agent.http()).await.unwrap();
    let request = posted(&logs(1000));
    halfway.write_all(&request[..request.len() / 2]).await.unwrap();
    drop(halfway);
    downstream.gate.add_permits(2);
    agent.until_at_rest().await;
    assert_eq!(post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await.status, StatusCode::OK);
    agent.stop().await;
}

#[tokio::test]
async fn calls_of_one_connection_do_not_wait_for_each_other() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let calls = (0..300).map(|_| {
        let grpc = grpc.clone();
        tokio::spawn(async move {
            grpc.call(&format!("/{LOGS}/Export"), &[], framed(0, &logs(2))).await.code
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 0);
    }
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 600);
    agent.stop().await;
}
