//! Sizes: at the limit and one byte over it, on the wire and inflated.

use http::StatusCode;

use super::agent::Agent;
use super::client::{Grpc, framed, gzip, post, snappy, zlib, zstd, zstd_stream};
use super::records::{LOGS, PROTOBUF, logs, logs_of_size};

const RESOURCE_EXHAUSTED: i32 = 8;
const LIMIT: usize = 64 * 1024;
const MIB: usize = 1024 * 1024;

type Pack = fn(&[u8]) -> Vec<u8>;
const PACKS: [(&str, Pack); 5] =
    [("gzip", gzip), ("zstd", zstd), ("zstd", zstd_stream), ("deflate", zlib), ("snappy", snappy)];

async fn limited() -> Agent {
    Agent::start(
        "receivers: {otlp: {protocols: {http: {max_request_body_size: 65536}, \
         grpc: {max_recv_msg_size_mib: 1}}}}",
    )
    .await
}

#[tokio::test]
async fn body_over_the_limit_is_413_and_not_retryable() {
    let agent = limited().await;
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], logs_of_size(LIMIT)).await;
    assert_eq!(reply.status, StatusCode::OK);
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], logs_of_size(LIMIT + 1)).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reply.header("retry-after"), "");
    let told = reply.status_body();
    assert!(told.retry_delay().is_none() && told.message.contains("65536"), "{told:?}");
    agent.stop().await;
}

#[tokio::test]
async fn limit_holds_for_what_is_inflated() {
    let agent = limited().await;
    for (name, pack) in PACKS {
        let headers = [PROTOBUF, ("content-encoding", name)];
        let packed = pack(&logs_of_size(LIMIT));
        assert!(packed.len() < LIMIT / 2);
        let reply = post(agent.http(), "/v1/logs", &headers, packed).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {reply:?}");
        let packed = pack(&logs_of_size(LIMIT + 1));
        let reply = post(agent.http(), "/v1/logs", &headers, packed).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{name}");
    }
    agent.stop().await;
}

#[tokio::test]
async fn limit_holds_for_what_is_compressed() {
    let agent = limited().await;
    // Members of nothing: much on the wire and little behind it.
    let packed = gzip(b"").repeat(LIMIT / 20 + 1);
    assert!(packed.len() > LIMIT);
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    let reply = post(agent.http(), "/v1/logs", &headers, packed).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    agent.stop().await;
}

#[tokio::test]
async fn message_over_the_limit_is_exhausted_without_retry_info() {
    let agent = limited().await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    assert_eq!(grpc.export(LOGS, &logs_of_size(MIB)).await.code, 0);
    let called = grpc.export(LOGS, &logs_of_size(MIB + 1)).await;
    assert_eq!(called.code, RESOURCE_EXHAUSTED);
    assert!(called.details.is_none(), "{called:?}");
    for (name, pack) in PACKS {
        let headers = [("grpc-encoding", name)];
        let body = framed(1, &pack(&logs_of_size(MIB)));
        assert_eq!(grpc.call(&path, &headers, body).await.code, 0, "{name}");
        let body = framed(1, &pack(&logs_of_size(MIB + 1)));
        let called = grpc.call(&path, &headers, body).await;
        assert_eq!(called.code, RESOURCE_EXHAUSTED, "{name}");
        assert!(called.details.is_none(), "{called:?}");
    }
    agent.stop().await;
}

#[tokio::test]
async fn limits_may_be_as_large_as_numbers_are() {
    let agent = Agent::start(
        "receivers: {otlp: {protocols: {http: {max_request_body_size: 9223372036854775807}, \
         grpc: {max_recv_msg_size_mib: 17592186044415}}}}",
    )
    .await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    for (name, pack) in PACKS {
        let body = framed(1, &pack(&logs(100)));
        assert_eq!(grpc.call(&path, &[("grpc-encoding", name)], body).await.code, 0, "{name}");
        let headers = [PROTOBUF, ("content-encoding", name)];
        let reply = post(agent.http(), "/v1/logs", &headers, pack(&logs(100))).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}");
    }
    agent.stop().await;
}

#[tokio::test]
async fn default_is_64_mib() {
    let agent = Agent::start("").await;
    let head = "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n";
    for (length, expected) in [(64 * MIB + 1, "413"), (64 * MIB, "100")] {
        // Whoever asks first is told before the body is sent.
        let asked = format!("{head}content-length: {length}\r\nexpect: 100-continue\r\n\r\n");
        let mut stream = tokio::net::TcpStream::connect(agent.http()).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, asked.as_bytes()).await.unwrap();
        let answer = super::client::answer(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{answer}");
    }
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    let prefix = |length: usize| [&[0][..], &(length as u32).to_be_bytes()].concat();
    assert_eq!(grpc.call(&path, &[], prefix(64 * MIB + 1)).await.code, RESOURCE_EXHAUSTED);
    // Of an allowed size, but cut short.
    assert_eq!(grpc.call(&path, &[], prefix(64 * MIB)).await.code, 13);
    agent.stop().await;
}
