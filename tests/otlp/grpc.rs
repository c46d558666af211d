//! OTLP over gRPC: statuses, partial success, odd calls.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::{Method, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::agent::{Agent, LOGS_ONLY};
use super::client::{Grpc, framed, gzip, snappy, snappy_framed, zlib, zstd};
use super::downstream::{Downstream, NO_RETRY, status, status_with};
use super::records::{LOGS, METRICS, TRACES, logs, points, span_of_trace, spans};

const INVALID_ARGUMENT: i32 = 3;
const DEADLINE_EXCEEDED: i32 = 4;
const UNIMPLEMENTED: i32 = 12;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;

#[tokio::test]
async fn full_success_is_ok_with_an_empty_message() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    for (service, request) in [(LOGS, logs(3)), (TRACES, spans(4)), (METRICS, points(5))] {
        let called = grpc.export(service, &request).await;
        assert_eq!((called.http, called.code), (StatusCode::OK, 0), "{called:?}");
        assert_eq!(called.headers["content-type"], "application/grpc");
        assert_eq!(called.answer.unwrap(), "", "partial_success is not set");
    }
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 3);
    assert_eq!(agent.counted("otelcol_receiver_accepted_spans"), 4);
    assert_eq!(agent.counted("otelcol_receiver_accepted_metric_points"), 5);
    agent.stop().await;
}

#[tokio::test]
async fn request_of_nothing_is_taken() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    for service in [LOGS, TRACES, METRICS] {
        assert_eq!(grpc.export(service, b"").await.code, 0);
        // A resource without anything in it.
        assert_eq!(grpc.export(service, &[0x0a, 0]).await.code, 0);
    }
    agent.stop().await;
}

#[tokio::test]
async fn record_over_a_limit_is_told_in_partial_success() {
    let agent = Agent::start("receivers: {otlp: {limits: {max_record_size: 19}}}").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    // `line 9` fits, `line 10` does not.
    let answer = grpc.export(LOGS, &logs(12)).await.answer.unwrap();
    let told = ExportLogsServiceResponse::decode(answer).unwrap().partial_success.unwrap();
    assert_eq!(told.rejected_log_records, 2);
    assert!(told.error_message.contains("19"), "{}", told.error_message);
    let answer = grpc.export(TRACES, &spans(3)).await.answer.unwrap();
    let told = ExportTraceServiceResponse::decode(answer).unwrap().partial_success.unwrap();
    assert_eq!(told.rejected_spans, 3);
    let answer = grpc.export(METRICS, &points(2)).await.answer.unwrap();
    let told = ExportMetricsServiceResponse::decode(answer).unwrap().partial_success;
    assert_eq!(told.map_or(0, |told| told.rejected_data_points), 2);
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 10);
    assert_eq!(agent.counted("otelcol_receiver_refused_log_records"), 2);
    agent.stop().await;
}

#[tokio::test]
async fn records_of_a_resource_over_a_limit_are_told_in_partial_success() {
    let agent = Agent::start("receivers: {otlp: {limits: {max_resource_size: 40}}}").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    // A resource with one unknown field, in front of a record.
    let with_resource = |size: u8| {
        let scope: &[u8] = &[0x12, 2, 0x12, 0];
        let resource = [&[0x0a, size + 2, 0x7a, size][..], &vec![b'x'; usize::from(size)]].concat();
        let group = [&resource, scope].concat();
        [&[0x0a, u8::try_from(group.len()).unwrap()][..], &group].concat()
    };
    let told = async |size| {
        let answer = grpc.export(LOGS, &with_resource(size)).await.answer.unwrap();
        ExportLogsServiceResponse::decode(answer).unwrap().partial_success.unwrap_or_default()
    };
    assert_eq!(told(38).await.rejected_log_records, 0);
    let over = told(39).await;
    assert_eq!(over.rejected_log_records, 1);
    assert!(over.error_message.contains("Resource has more than 40"), "{}", over.error_message);
    assert_eq!(agent.counted("otelcol_receiver_refused_log_records"), 1);
    agent.stop().await;
}

#[tokio::test]
async fn bad_data_is_an_invalid_argument_that_says_where() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let called = grpc.export(TRACES, &span_of_trace(&[1; 5])).await;
    assert_eq!(called.code, INVALID_ARGUMENT, "{called:?}");
    assert!(called.message.contains("trace_id") && called.message.contains("5 bytes"));
    let details = called.details.unwrap();
    assert_eq!(details.code, INVALID_ARGUMENT);
    assert!(details.has_bad_request() && details.retry_delay().is_none());
    let called = grpc.export(LOGS, b"\x0a\x7fcut").await;
    assert_eq!(called.code, INVALID_ARGUMENT, "{called:?}");
    assert_eq!(grpc.export(LOGS, &logs(1)).await.code, 0);
    agent.stop().await;
}

#[tokio::test]
async fn unknown_calls_are_unimplemented() {
    let agent = Agent::with_pipelines(&[LOGS_ONLY]).await;
    let grpc = Grpc::connect(agent.grpc()).await;
    for path in [
        "/",
        "/nothing",
        &format!("/{LOGS}/Import"),
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "/grpc.health.v1.Health/Check",
        &format!("/{METRICS}/Export"),
    ] {
        let called = grpc.call(path, &[], framed(0, b"")).await;
        assert_eq!((called.http, called.code), (StatusCode::OK, UNIMPLEMENTED), "{path}");
        assert!(!called.message.is_empty());
    }
    agent.stop().await;
}

#[tokio::test]
async fn what_is_not_grpc_is_told_so_over_http() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    let json = [("content-type", "application/json")];
    let called = grpc.call(&path, &json, "{}").await;
    assert_eq!(called.http, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for method in [Method::GET, Method::PUT] {
        let called = grpc.send(method, &path, &[], framed(0, b"").into()).await.unwrap();
        assert_eq!(called.http, StatusCode::METHOD_NOT_ALLOWED);
    }
    agent.stop().await;
}

#[tokio::test]
async fn all_compressions_are_taken() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    let request = logs(500);
    for (name, packed) in [
        ("gzip", gzip(&request)),
        ("zstd", zstd(&request)),
        ("deflate", zlib(&request)),
        ("snappy", snappy(&request)),
        ("snappy", snappy_framed(&request)),
    ] {
        let headers = [("grpc-encoding", name)];
        assert_eq!(grpc.call(&path, &headers, framed(1, &packed)).await.code, 0, "{name}");
        // A message may go without compression all the same.
        assert_eq!(grpc.call(&path, &headers, framed(0, &request)).await.code, 0, "{name}");
        let called = grpc.call(&path, &headers, framed(1, b"not compressed")).await;
        assert_eq!(called.code, INVALID_ARGUMENT, "{name}");
    }
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 10 * 500);
    let called = grpc.call(&path, &[("grpc-encoding", "br")], framed(1, b"x")).await;
    assert_eq!(called.code, UNIMPLEMENTED);
    assert_eq!(called.headers["grpc-accept-encoding"], "identity,gzip,zstd,snappy,deflate");
    let called = grpc.call(&path, &[], framed(1, &gzip(&request))).await;
    assert_eq!(called.code, INTERNAL, "compressed, and nothing says how");
    agent.stop().await;
}

#[tokio::test]
async fn broken_framing_is_an_internal_error() {
    let agent = Agent::start("").await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    let twice = [framed(0, &logs(1)), framed(0, &logs(1))].concat();
    let cut = framed(0, &logs(1))[..10].to_vec();
    for body in [Vec::new(), vec![0, 0], cut, twice, framed(2, &logs(1))] {
        let called = grpc.call(&path, &[], body.clone()).await;
        assert_eq!(called.code, INTERNAL, "{body:?}");
    }
    assert_eq!(grpc.export(LOGS, &logs(1)).await.code, 0);
    agent.stop().await;
}

#[tokio::test]
async fn deadline_of_the_client_is_kept() {
    let downstream = Downstream::held(|_| status(200)).await;
    let agent = Agent::start(&downstream.over_http("")).await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let path = format!("/{LOGS}/Export");
    let called = grpc.call(&path, &[("grpc-timeout", "20m")], framed(0, &logs(1))).await;
    assert_eq!(called.code, DEADLINE_EXCEEDED);
    let called = grpc.call(&path, &[("grpc-timeout", "soon")], framed(0, &logs(1))).await;
    assert_eq!(called.code, INTERNAL);
    downstream.gate.add_permits(1);
    agent.stop().await;
}

#[tokio::test]
async fn answer_of_the_destination_reaches_the_client() {
    let downstream = Downstream::start(|position| match position {
        0 => status(400),
        1 => status_with(429, "retry-after", "7"),
        2 => status(503),
        3 => status(500),
        _ => status(200),
    })
    .await;
    let agent = Agent::start(&downstream.over_http(NO_RETRY)).await;
    let grpc = Grpc::connect(agent.grpc()).await;
    let refused = grpc.export(LOGS, &logs(2)).await;
    assert_eq!(refused.code, INTERNAL, "{refused:?}");
    assert!(refused.message.contains("400"), "{refused:?}");
    let throttled = grpc.export(LOGS, &logs(2)).await;
    assert_eq!(throttled.code, UNAVAILABLE, "{throttled:?}");
    assert_eq!(throttled.details.unwrap().retry_delay(), Some(Duration::from_secs(7)));
    let unavailable = grpc.export(LOGS, &logs(2)).await;
    assert_eq!(unavailable.code, UNAVAILABLE, "{unavailable:?}");
    assert!(unavailable.details.unwrap().retry_delay().is_some_and(|delay| !delay.is_zero()));
    assert_eq!(grpc.export(LOGS, &logs(2)).await.code, INTERNAL);
    assert_eq!(grpc.export(LOGS, &logs(2)).await.code, 0);
    assert_eq!(agent.counted("otelcol_receiver_refused_log_records"), 8);
    agent.stop().await;
}

/// Messages as they are: what the generated clients of tonic encode themselves.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

#[tokio::test]
async fn tonic_clients_understand_the_answers() {
    let agent =
        Agent::start("receivers: {otlp: {protocols: {grpc: {max_recv_msg_size_mib: 1}}}}").await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", agent.grpc()));
    let channel = channel.unwrap().connect().await.unwrap();
    let export = async |message: Vec<u8>| {
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        grpc.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static(
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        );
        grpc.unary(tonic::Request::new(message), path, Raw).await
    };
    assert_eq!(export(logs(10)).await.unwrap().into_inner(), "");
    let refused = export(vec![0xff; 9]).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
    // The answer is there while the client still sends.
    let large = export(vec![0; 32 << 20]).await.unwrap_err();
    assert_eq!(large.code(), tonic::Code::ResourceExhausted, "{large:?}");
    assert!(large.details().is_empty(), "without RetryInfo it is not sent again");
    assert_eq!(export(logs(10)).await.unwrap().into_inner(), "");
    agent.stop().await;
}
