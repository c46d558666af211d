//! Requests made to do harm: each is answered by an error of the right class or loses its
//! connection, what was charged for it is given back, and the next request works.

use std::time::Duration;

use http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::agent::{Agent, SOON};
use super::client::{
    Grpc, answer, framed, gzip, post, rest, snappy, snappy_framed, zlib, zstd, zstd_stream,
};
use super::downstream::{Downstream, status};
use super::frames::{
    CONTINUATION, DATA, END_HEADERS, HEADERS, HELLO, PING, PREFACE, RESET, SETTINGS, call_fields,
    frame, literal,
};
use super::records::{
    JSON, LOGS, PROTOBUF, TRACES, attribute, log, logs, logs_nested, logs_of, logs_with_body,
    nested, span_of_trace, text,
};

const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const MIB: usize = 1024 * 1024;

/// The next requests work, and the attack left nothing behind.
async fn assert_unharmed(agent: Agent) {
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(Grpc::connect(agent.grpc()).await.export(LOGS, &logs(1)).await.code, 0);
    agent.until_at_rest().await;
    agent.stop().await;
}

/// Bodies that become many times as large.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = vec![0; 16 * MIB];
    let huge_block = {
        // The length of a block of snappy, 4 GiB less one, and a start of something.
        let mut block = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
        block.extend(&snappy(&zeros[..1000])[2..]);
        block
    };
    let huge_frame = {
        // A frame of zstd that says it holds 2^60 bytes (RFC 8878, section 3.1.1.1).
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        frame.extend((1_u64 << 60).to_le_bytes());
        frame.extend([0x01, 0, 0]);
        frame
    };
    vec![
        ("gzip", gzip(&zeros)),
        ("gzip", gzip(&zeros).repeat(16)),
        ("zstd", zstd(&zeros)),
        ("zstd", zstd_stream(&zeros)),
        ("zstd", zstd(&zeros[..3 * MIB]).repeat(100)),
        ("zstd", huge_frame),
        ("deflate", zlib(&zeros)),
        ("snappy", snappy(&zeros)),
        ("snappy", huge_block),
        ("snappy", snappy_framed(&zeros)),
    ]
}

#[tokio::test]
async fn bombs_are_too_large() {
    let agent = Agent::start(
        "receivers: {otlp: {protocols: {http: {max_request_body_size: 4MiB}, \
         grpc: {max_recv_msg_size_mib: 4}}}}",
    )
    .await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    for (name, bomb) in bombs() {
        assert!(bomb.len() < 4 * MIB, "{name} {}", bomb.len());
        let headers = [PROTOBUF, ("content-encoding", name)];
        let reply = post(agent.http(), "/v1/logs", &headers, bomb.clone()).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{name} {}", bomb.len());
        let headers = [JSON, ("content-encoding", name)];
        let reply = post(agent.http(), "/v1/logs", &headers, bomb.clone()).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{name} {}", bomb.len());
        let called = grpc.call(&path, &[("grpc-encoding", name)], framed(1, &bomb)).await;
        assert_eq!(called.code, RESOURCE_EXHAUSTED, "{name} {}", bomb.len());
        assert!(called.details.is_none(), "a bomb is not sent again");
    }
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn bomb_within_a_bomb_stays_shut() {
    let agent = Agent::start("").await;
    let inner = gzip(&gzip(&vec![0; 16 * MIB]));
    let once = [PROTOBUF, ("content-encoding", "gzip")];
    let reply = post(agent.http(), "/v1/logs", &once, inner.clone()).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "what is inflated is no request");
    let twice = [PROTOBUF, ("content-encoding", "gzip, gzip")];
    let reply = post(agent.http(), "/v1/logs", &twice, inner).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.status_body().message.contains("gzip, gzip"));
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn bottomless_values_are_invalid() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let deep = logs_nested(10_000);
    let called = grpc.export(LOGS, &deep).await;
    assert_eq!(called.code, INVALID_ARGUMENT, "{called:?}");
    assert!(called.message.contains("64 levels"), "{called:?}");
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], deep).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let known = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{}{}}}]}}]}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(10_000),
        "]}}".repeat(10_000)
    );
    let reply = post(agent.http(), "/v1/logs", &[JSON], known).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.json()["message"].as_str().unwrap().contains("recursion limit"), "{reply:?}");
    // What is passed over may be as deep as it likes, but must end.
    let unknown = format!(r#"{{"new":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(post(agent.http(), "/v1/logs", &[JSON], unknown).await.status, StatusCode::OK);
    let open = format!(r#"{{"new":{}"#, r#"{"a":"#.repeat(500_000));
    let reply = post(agent.http(), "/v1/logs", &[JSON], open).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    // What people send in earnest is far from it.
    let shallow = logs_of(vec![log(nested(20))]);
    assert_eq!(grpc.export(LOGS, &shallow).await.code, 0);
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn message_of_two_gib_is_refused_by_its_prefix() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    for size in [0x8000_0000_u32, u32::MAX] {
        for flag in [0, 1] {
            let prefix = [&[flag][..], &size.to_be_bytes(), b"and a little"].concat();
            let called = grpc.call(&path, &[("grpc-encoding", "gzip")], prefix).await;
            assert_eq!(called.code, RESOURCE_EXHAUSTED, "{called:?}");
            assert!(called.details.is_none());
        }
    }
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn ids_of_odd_lengths_are_invalid() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    for length in [1, 5, 15, 17, 32, 100_000] {
        let called = grpc.export(TRACES, &span_of_trace(&vec![1; length])).await;
        assert_eq!(called.code, INVALID_ARGUMENT, "{length}");
    }
    // None, and one of zeros, are invalid to whoever reads traces, but no reason to refuse.
    for absent in [&[][..], &[0; 16]] {
        assert_eq!(grpc.export(TRACES, &span_of_trace(absent)).await.code, 0);
    }
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405"}]}]}]}"#;
    let reply = post(agent.http(), "/v1/traces", &[JSON], json).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let told = reply.json();
    assert!(told["message"].as_str().unwrap().contains("expected 32 hex"), "{told}");
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_is_repaired_and_counted() {
    let downstream = Downstream::start(|_| status(200)).await;
    let agent = Agent::start(&downstream.over_http("")).await;
    let request = logs_with_body(b"\x0a\x05a\xffb\xc3c");
    assert!(ExportLogsServiceRequest::decode(&request[..]).is_err());
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], request).await;
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b""[..]));
    assert_eq!(agent.counted("catchment_receiver_invalid_utf8_fields"), 1);
    let (_, sent) = downstream.seen().pop().unwrap();
    let sent = ExportLogsServiceRequest::decode(sent).unwrap();
    let record = &sent.resource_logs[0].scope_logs[0].log_records[0];
    let expected = Value::StringValue("a\u{fffd}b\u{fffd}c".to_owned());
    assert_eq!(record.body.as_ref().unwrap().value, Some(expected));
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_may_be_refused() {
    let agent = Agent::start("receivers: {otlp: {invalid_utf8: refuse}}").await;
    let request = logs_with_body(b"\x0a\x03a\xffb");
    let called = Grpc::connect(agent.grpc()).await.export(LOGS, &request).await;
    assert_eq!(called.code, INVALID_ARGUMENT);
    assert!(called.message.contains("UTF-8"), "{called:?}");
    let before = &br#"{"resourceLogs":[{"schemaUrl":"a"#[..];
    let json = [before, b"\xff", br#""}]}"#].concat();
    for body in [json, b"\xff\xfe{}".to_vec()] {
        let reply = post(agent.http(), "/v1/logs", &[JSON], body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "JSON is UTF-8 always");
    }
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn record_of_100_000_attributes_is_rejected_alone() {
    let agent = Agent::start("").await;
    let crowded = |count: usize| {
        let attributes = (0..count).map(|i| attribute(&format!("k{i}"), text("v"))).collect();
        let crowded =
            opentelemetry_proto::tonic::logs::v1::LogRecord { attributes, ..log(text("crowded")) };
        logs_of(vec![log(text("before")), crowded, log(text("after"))])
    };
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], crowded(100_000)).await;
    assert_eq!(reply.status, StatusCode::OK);
    let told = ExportLogsServiceResponse::decode(reply.body).unwrap().partial_success.unwrap();
    assert_eq!(told.rejected_log_records, 1);
    assert!(told.error_message.contains("65536"), "{}", told.error_message);
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], crowded(65_536)).await;
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b""[..]));
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 5);
    assert_eq!(agent.counted("otelcol_receiver_refused_log_records"), 1);
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn millions_of_empty_records_are_too_many() {
    let agent = Agent::start("receivers: {otlp: {limits: {max_records: 1000}}}").await;
    let empty = |count: usize| {
        let records = vec![opentelemetry_proto::tonic::logs::v1::LogRecord::default(); count];
        logs_of(records)
    };
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], empty(1001)).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.status_body().message.contains("1001 records"));
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], empty(1000)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn client_that_dawdles_over_headers_loses_its_connection() {
    let agent =
        Agent::start("receivers: {otlp: {protocols: {http: {read_header_timeout: 50ms}}}}").await;
    let beginnings: [&[u8]; 4] =
        [b"", b"PRI * HT", b"POST /v1/lo", b"POST /v1/logs HTTP/1.1\r\nhost: a\r\nx-a: "];
    for begun in beginnings {
        let mut stream = TcpStream::connect(agent.http()).await.unwrap();
        stream.write_all(begun).await.unwrap();
        // A byte now and then does not help.
        let dawdling = async {
            while stream.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let mut byte = [0];
                let read = timeout(Duration::from_millis(1), stream.read(&mut byte)).await;
                if matches!(read, Ok(Ok(0) | Err(_))) {
                    return;
                }
            }
        };
        timeout(SOON, dawdling).await.expect("the connection is closed");
    }
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn client_that_dawdles_over_a_body_is_told_so() {
    let agent = Agent::start("receivers: {otlp: {protocols: {http: {read_timeout: 100ms}}}}").await;
    let (mut reader, mut writer) = TcpStream::connect(agent.http()).await.unwrap().into_split();
    let head = "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                content-length: 100000\r\n\r\n";
    writer.write_all(head.as_bytes()).await.unwrap();
    let dawdling = tokio::spawn(async move {
        while writer.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let told = String::from_utf8(rest(&mut reader).await).unwrap();
    assert!(told.starts_with("HTTP/1.1 408"), "{told}");
    dawdling.abort();
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn many_that_dawdle_hold_up_nobody() {
    let agent = Agent::start("").await;
    let head = "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                content-length: 100000\r\n\r\n{";
    let mut slow = Vec::new();
    for begun in [&head[..20], head].repeat(50) {
        let mut stream = TcpStream::connect(agent.http()).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await;
    assert_eq!(reply.status, StatusCode::OK);
    drop(slow);
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn thousand_idle_connections_hold_up_nobody() {
    let agent = Agent::start("").await;
    let mut idle = Vec::new();
    for _ in 0..(max_connections() / 2).min(500) {
        idle.push(TcpStream::connect(agent.http()).await.unwrap());
        let mut grpc = TcpStream::connect(agent.grpc()).await.unwrap();
        grpc.write_all(PREFACE).await.unwrap();
        idle.push(grpc);
    }
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(Grpc::connect(agent.grpc()).await.export(LOGS, &logs(1)).await.code, 0);
    assert_eq!(agent.host.budget.used_bytes(), 0, "an idle connection is charged nothing");
    // The engine stops while they are still there.
    agent.stop().await;
    drop(idle);
}

/// How many connections this process may have both ends of, beside those of other tests.
fn max_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft = files.split_whitespace().nth(3).unwrap();
    soft.parse::<usize>().map_or(usize::MAX, |soft| soft.saturating_sub(400) / 2)
}

/// Sends as much as the server takes, and reads until it closes or `SOON`.
async fn pour(agent: &Agent, frames: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = TcpStream::connect(agent.grpc()).await.unwrap().into_split();
    let writing = tokio::spawn(async move {
        let mut sent = HELLO.to_vec();
        sent.extend(frames);
        // The server may close before all of it is sent.
        let _ = writer.write_all(&sent).await;
        let _ = writer.shutdown().await;
    });
    let read = rest(&mut reader).await;
    writing.await.unwrap();
    read
}

#[tokio::test]
async fn streams_opened_and_reset_end_the_connection() {
    let agent = Agent::start("").await;
    let mut frames = Vec::new();
    for id in (1..100_000).step_by(2) {
        frames.extend(frame(HEADERS, END_HEADERS, id, &call_fields()));
        frames.extend(frame(RESET, 0, id, &8_u32.to_be_bytes()));
    }
    pour(&agent, frames).await;
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn streams_reset_in_the_middle_of_a_message_are_given_back() {
    let agent = Agent::start("").await;
    let mut frames = Vec::new();
    let begun = &framed(0, &logs(1000))[..10_000];
    for id in (1..400).step_by(2) {
        frames.extend(frame(HEADERS, END_HEADERS, id, &call_fields()));
        frames.extend(frame(DATA, 0, id, begun));
        frames.extend(frame(RESET, 0, id, &8_u32.to_be_bytes()));
    }
    pour(&agent, frames).await;
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn continuation_without_end_ends_the_connection() {
    let agent = Agent::start("").await;
    let mut frames = frame(HEADERS, 0, 1, &call_fields());
    let more = frame(CONTINUATION, 0, 1, &literal("x-a", &"a".repeat(100)).repeat(100));
    frames.extend(more.repeat(1000));
    pour(&agent, frames).await;
    let empty =
        [frame(HEADERS, 0, 1, &call_fields()), frame(CONTINUATION, 0, 1, &[]).repeat(100_000)];
    pour(&agent, empty.concat()).await;
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn table_of_headers_is_no_bomb() {
    let agent = Agent::start("").await;
    // A field of 3 KiB that is kept in the table, and then named again by one byte each.
    let name = "x-bomb";
    let value = "b".repeat(100);
    let mut fields = call_fields();
    fields.extend([&[0x40, name.len() as u8], name.as_bytes(), &[value.len() as u8]].concat());
    fields.extend(value.as_bytes());
    fields.extend([0xbe].repeat(10_000));
    let frames = frame(HEADERS, END_HEADERS, 1, &fields);
    let mut stream = TcpStream::connect(agent.grpc()).await.unwrap();
    stream.write_all(&[HELLO, &frames].concat()).await.unwrap();
    // Whatever the answer is, the call is not taken.
    let mut read = vec![0; 64 * 1024];
    let size = timeout(SOON, stream.read(&mut read)).await.unwrap().unwrap();
    assert!(size > 0);
    drop(stream);
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 0);
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn floods_of_settings_and_pings_hold_up_nobody() {
    let agent = Agent::start("").await;
    pour(&agent, frame(SETTINGS, 0, 0, &[]).repeat(20_000)).await;
    pour(&agent, frame(PING, 0, 0, &[0; 8]).repeat(20_000)).await;
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn oversized_headers_are_431() {
    let agent = Agent::start("").await;
    for headers in [
        format!("x-long: {}\r\n", "a".repeat(200_000)),
        "x-a: b\r\n".repeat(20_000),
        format!("{}: b\r\n", "x".repeat(100_000)),
    ] {
        let (mut reader, mut writer) = TcpStream::connect(agent.http()).await.unwrap().into_split();
        let writing = tokio::spawn(async move {
            let head = format!("POST /v1/logs HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
            let _ = writer.write_all(head.as_bytes()).await;
            writer
        });
        let told = String::from_utf8(rest(&mut reader).await).unwrap();
        assert!(told.starts_with("HTTP/1.1 431"), "{told}");
        drop(writing.await.unwrap());
    }
    assert_unharmed(agent).await;
}

#[tokio::test]
async fn bytes_of_another_protocol_are_no_request() {
    let agent = Agent::start("").await;
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1/logs HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\
          content-type: application/json\r\n\r\nffffffffffffffffff\r\n",
    ] {
        for address in [agent.http(), agent.grpc()] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(nonsense).await.unwrap();
            stream.shutdown().await.unwrap();
            let told = rest(&mut stream).await;
            assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 4"), "{told:?}");
        }
    }
    let mut stream = TcpStream::connect(agent.http()).await.unwrap();
    let smuggled = "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                    content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    stream.write_all(smuggled.as_bytes()).await.unwrap();
    let told = answer(&mut stream).await;
    assert!(told.starts_with("HTTP/1.1 400"), "two lengths of one body: {told}");
    assert_unharmed(agent).await;
}
