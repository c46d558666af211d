//! OTLP over HTTP: statuses, bodies in the request's encoding, odd requests, CORS.

use http::{Method, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::agent::{Agent, LOGS_ONLY};
use super::client::{Grpc, post, send};
use super::downstream::{Downstream, NO_RETRY, status, status_with};
use super::records::{JSON, PROTOBUF, logs, points, span_of_trace, spans};

const TEXT: (&str, &str) = ("content-type", "text/plain");

#[tokio::test]
async fn success_mirrors_the_content_type() {
    let agent = Agent::start("").await;
    for (path, request) in
        [("/v1/logs", logs(3)), ("/v1/traces", spans(4)), ("/v1/metrics", points(5))]
    {
        let reply = post(agent.http(), path, &[PROTOBUF], request).await;
        assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b""[..]));
        assert_eq!(reply.header("content-type"), "application/x-protobuf");
    }
    let charset = ("content-type", "application/json; charset=utf-8");
    for (header, path, request) in [
        (JSON, "/v1/logs", r#"{"resourceLogs":[]}"#),
        (JSON, "/v1/traces", "{}"),
        (charset, "/v1/metrics", r#"{"resourceMetrics":[{"scopeMetrics":[]}]}"#),
    ] {
        let reply = post(agent.http(), path, &[header], request).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.body, r#"{"partialSuccess":{}}"#);
    }
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 3);
    assert_eq!(agent.counted("otelcol_receiver_accepted_spans"), 4);
    assert_eq!(agent.counted("otelcol_receiver_accepted_metric_points"), 5);
    agent.stop().await;
}

#[tokio::test]
async fn empty_body_is_an_empty_request_in_protobuf_and_nothing_in_json() {
    let agent = Agent::start("").await;
    for path in ["/v1/logs", "/v1/traces", "/v1/metrics"] {
        assert_eq!(post(agent.http(), path, &[PROTOBUF], "").await.status, StatusCode::OK);
        let reply = post(agent.http(), path, &[JSON], "").await;
        assert_eq!(
            (reply.status, reply.json()["code"].as_i64()),
            (StatusCode::BAD_REQUEST, Some(3))
        );
    }
    agent.stop().await;
}

#[tokio::test]
async fn refusals_are_a_status_in_the_encoding_of_the_request() {
    let agent = Agent::start("").await;
    let reply = post(agent.http(), "/v1/traces", &[PROTOBUF], span_of_trace(&[1; 5])).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let told = reply.status_body();
    assert_eq!(told.code, 3);
    assert!(told.message.contains("trace_id") && told.has_bad_request(), "{told:?}");
    let reply = post(agent.http(), "/v1/traces", &[JSON], "{\"resourceSpans\": 7}").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.header("content-type"), "application/json");
    let told = reply.json();
    assert_eq!(told["code"], 3);
    assert!(told["message"].as_str().unwrap().contains("line 1"), "{told}");
    assert_eq!(told["details"][0]["@type"], "type.googleapis.com/google.rpc.BadRequest");
    let nowhere = post(agent.http(), "/v1/nothing", &[PROTOBUF], logs(1)).await;
    assert_eq!((nowhere.status, nowhere.status_body().code), (StatusCode::NOT_FOUND, 12));
    let nowhere = post(agent.http(), "/v1/nothing", &[JSON], "{}").await;
    assert_eq!(
        (nowhere.status, nowhere.json()["code"].as_i64()),
        (StatusCode::NOT_FOUND, Some(12))
    );
    let encoded = [PROTOBUF, ("content-encoding", "br")];
    let reply = post(agent.http(), "/v1/logs", &encoded, logs(1)).await;
    assert_eq!((reply.status, reply.status_body().code), (StatusCode::BAD_REQUEST, 3));
    agent.stop().await;
}

#[tokio::test]
async fn unknown_methods_and_types_are_refused() {
    let agent = Agent::start("").await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let reply = send(agent.http(), method, "/v1/logs", &[PROTOBUF], "").await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(reply.header("allow"), "POST");
    }
    for headers in [&[TEXT][..], &[], &[("content-type", "application/grpc")]] {
        let reply = post(agent.http(), "/v1/logs", headers, logs(1)).await;
        assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let reply = post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await;
    assert_eq!(reply.status, StatusCode::OK);
    agent.stop().await;
}

#[tokio::test]
async fn paths_are_the_files() {
    let agent = Agent::start(
        "receivers: {otlp: {protocols: {http: {logs_url_path: /in/logs, traces_url_path: t}}}}",
    )
    .await;
    assert_eq!(post(agent.http(), "/in/logs", &[PROTOBUF], logs(1)).await.status, StatusCode::OK);
    assert_eq!(post(agent.http(), "/t", &[PROTOBUF], spans(1)).await.status, StatusCode::OK);
    let old = post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await;
    assert_eq!(old.status, StatusCode::NOT_FOUND);
    agent.stop().await;
}

#[tokio::test]
async fn signal_without_a_pipeline_is_not_found() {
    let agent = Agent::with_pipelines(&[LOGS_ONLY]).await;
    let reply = post(agent.http(), "/v1/traces", &[PROTOBUF], spans(1)).await;
    assert_eq!((reply.status, reply.status_body().code), (StatusCode::NOT_FOUND, 12));
    assert_eq!(post(agent.http(), "/v1/logs", &[PROTOBUF], logs(1)).await.status, StatusCode::OK);
    agent.stop().await;
}

#[tokio::test]
async fn http2_is_spoken_on_the_same_port() {
    let agent = Agent::start("").await;
    let client = Grpc::connect(agent.http()).await;
    let reply = client.call("/v1/logs", &[PROTOBUF], logs(1)).await;
    assert_eq!(reply.http, StatusCode::OK);
    agent.stop().await;
}

#[tokio::test]
async fn partial_success_is_told_in_both_encodings() {
    let agent = Agent::start("receivers: {otlp: {limits: {max_attributes: 1}}}").await;
    let crowded = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"spanId":"0000000000000001","attributes":[{"key":"a"},{"key":"b"}]},
        {"spanId":"0000000000000002","attributes":[{"key":"a"}]}]}]}]}"#;
    let reply = post(agent.http(), "/v1/traces", &[JSON], crowded).await;
    assert_eq!(reply.status, StatusCode::OK);
    let told = reply.json();
    assert_eq!(told["partialSuccess"]["rejectedSpans"], "1");
    assert!(!told["partialSuccess"]["errorMessage"].as_str().unwrap().is_empty());
    let signal = catchment::data::Signal::Traces;
    let crowded = catchment::codec::otlp_json::decode(signal, crowded.as_bytes()).unwrap();
    let reply = post(agent.http(), "/v1/traces", &[PROTOBUF], crowded).await;
    let told = ExportTraceServiceResponse::decode(reply.body).unwrap().partial_success.unwrap();
    assert_eq!(told.rejected_spans, 1);
    assert!(!told.error_message.is_empty());
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
    let export = async || post(agent.http(), "/v1/logs", &[PROTOBUF], logs(2)).await;
    let refused = export().await;
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(refused.status_body().message.contains("400"));
    let throttled = export().await;
    assert_eq!(throttled.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(throttled.header("retry-after"), "7");
    assert_eq!(throttled.status_body().code, 14);
    let unavailable = export().await;
    assert_eq!(unavailable.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(unavailable.header("retry-after"), "1");
    assert_eq!(export().await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(export().await.status, StatusCode::OK);
    agent.stop().await;
}

#[tokio::test]
async fn pages_of_allowed_origins_may_send() {
    let agent = Agent::start(
        "receivers: {otlp: {protocols: {http: {cors: {allowed_origins: ['https://*.example'], \
         allowed_headers: [x-token], exposed_headers: [x-seen], max_age: 600}}}}}",
    )
    .await;
    let own = ("origin", "https://app.example");
    let asks = [own, ("access-control-request-method", "POST")];
    let asks = [&asks[..], &[("access-control-request-headers", "content-type,x-token")]].concat();
    let reply = send(agent.http(), Method::OPTIONS, "/v1/logs", &asks, "").await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_eq!(reply.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(reply.header("access-control-allow-methods"), "POST");
    assert_eq!(reply.header("access-control-allow-headers"), "content-type,x-token");
    assert_eq!(reply.header("access-control-max-age"), "600");
    let reply = post(agent.http(), "/v1/logs", &[JSON, own], "{}").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(reply.header("access-control-expose-headers"), "x-seen");
    assert_eq!(reply.header("vary"), "Origin");
    // What is refused can be read by the page too.
    let reply = post(agent.http(), "/v1/logs", &[JSON, own], "no").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.header("access-control-allow-origin"), "https://app.example");
    let other = [("origin", "https://evil.test"), ("access-control-request-method", "POST")];
    let reply = send(agent.http(), Method::OPTIONS, "/v1/logs", &other, "").await;
    assert_eq!(reply.header("access-control-allow-origin"), "");
    agent.stop().await;
}

#[tokio::test]
async fn headers_of_the_file_are_in_every_response() {
    let agent = Agent::start(
        "receivers: {otlp: {protocols: {http: {response_headers: {x-agent: catchment}}}}}",
    )
    .await;
    for (path, body) in [("/v1/logs", "{}"), ("/v1/logs", "no"), ("/nowhere", "{}")] {
        let reply = post(agent.http(), path, &[JSON], body).await;
        assert_eq!(reply.header("x-agent"), "catchment");
    }
    agent.stop().await;
}
