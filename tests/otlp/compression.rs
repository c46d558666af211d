//! Compressed bodies over HTTP.

use http::StatusCode;

use super::agent::Agent;
use super::client::{gzip, post, snappy, snappy_framed, zlib, zstd, zstd_stream};
use super::records::{JSON, PROTOBUF, logs};

#[tokio::test]
async fn all_encodings_are_taken() {
    let agent = Agent::start("").await;
    let request = logs(300);
    for (name, packed) in [
        ("", request.clone()),
        ("identity", request.clone()),
        ("gzip", gzip(&request)),
        ("zstd", zstd(&request)),
        ("zstd", zstd_stream(&request)),
        ("deflate", zlib(&request)),
        ("zlib", zlib(&request)),
        ("snappy", snappy(&request)),
        ("x-snappy-framed", snappy_framed(&request)),
    ] {
        let headers = [PROTOBUF, ("content-encoding", name)];
        let reply = post(agent.http(), "/v1/logs", &headers, packed).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {reply:?}");
        assert_eq!(reply.header("content-encoding"), "", "no answer is worth compressing");
    }
    let headers = [JSON, ("content-encoding", "gzip")];
    let reply = post(agent.http(), "/v1/logs", &headers, gzip(b"{}")).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 9 * 300);
    agent.stop().await;
}

#[tokio::test]
async fn damaged_bodies_are_bad_requests_that_name_the_encoding() {
    let agent = Agent::start("").await;
    let request = logs(300);
    for (name, packed) in [
        ("gzip", gzip(&request)),
        ("zstd", zstd(&request)),
        ("deflate", zlib(&request)),
        ("snappy", snappy(&request)),
        ("snappy", snappy_framed(&request)),
    ] {
        let headers = [PROTOBUF, ("content-encoding", name)];
        let cut = packed[..packed.len() / 2].to_vec();
        let mut flipped = packed.clone();
        flipped[packed.len() / 2] ^= 0xff;
        for damaged in [cut, b"nothing of the kind".to_vec()] {
            let reply = post(agent.http(), "/v1/logs", &headers, damaged).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}");
            let told = reply.status_body();
            let named = if name == "deflate" { "zlib" } else { name };
            assert!(told.message.contains(named), "{told:?}");
        }
        // Blocks of snappy and these frames have no checksum: what comes of them may be a request.
        let status = post(agent.http(), "/v1/logs", &headers, flipped).await.status;
        let is_checked = !matches!(name, "snappy" | "zstd");
        assert!(status == StatusCode::BAD_REQUEST || !is_checked, "{name}: {status}");
    }
    agent.stop().await;
}

#[tokio::test]
async fn members_laid_end_to_end_are_one_request() {
    let agent = Agent::start("").await;
    let members = [gzip(&logs(10)), gzip(&logs(20))].concat();
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    assert_eq!(post(agent.http(), "/v1/logs", &headers, members).await.status, StatusCode::OK);
    let frames = [zstd(&logs(10)), zstd_stream(&logs(20))].concat();
    let headers = [PROTOBUF, ("content-encoding", "zstd")];
    assert_eq!(post(agent.http(), "/v1/logs", &headers, frames).await.status, StatusCode::OK);
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 60);
    agent.stop().await;
}

#[tokio::test]
async fn file_may_name_the_encodings() {
    let agent = Agent::start(
        "receivers: {otlp: {protocols: {http: {compression_algorithms: [zstd, '']}}}}",
    )
    .await;
    let packed = [PROTOBUF, ("content-encoding", "zstd")];
    assert_eq!(
        post(agent.http(), "/v1/logs", &packed, zstd(&logs(1))).await.status,
        StatusCode::OK
    );
    assert_eq!(post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await.status, StatusCode::OK);
    let packed = [PROTOBUF, ("content-encoding", "gzip")];
    let reply = post(agent.http(), "/v1/logs", &packed, gzip(&logs(1))).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.status_body().message.contains("gzip"));
    agent.stop().await;
}
