use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use prost::Message;

use super::super::test_server::TestServer;
use super::exporter::RemoteWriteExporter;
use crate::codec::remote_write::{Settings, Targets};
use crate::component::{ExportError, Exporter, Lane, Prepared, Sent};
use crate::data::{Batch, Context, DoorLimits, Signal};
use crate::net::{Body, Client, ClientOptions};
use crate::telemetry::{Clock, with_causes};

fn batch(num_points: u64) -> Batch {
    let points = (0..num_points).map(|number| NumberDataPoint {
        time_unix_nano: 1_000_000_000,
        attributes: vec![KeyValue {
            key: "n".into(),
            value: Some(AnyValue { value: Some(Value::StringValue(number.to_string())) }),
            ..KeyValue::default()
        }],
        value: Some(number_data_point::Value::AsInt(1)),
        ..NumberDataPoint::default()
    });
    let data = Some(Data::Gauge(Gauge { data_points: points.collect() }));
    let metrics = vec![Metric { name: "g".into(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let bytes = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    let (context, limits) = (Arc::new(Context::default()), DoorLimits::default());
    Batch::try_new(Signal::Metrics, Bytes::from(bytes), context, &limits).unwrap().batch
}

fn exporter(url: &str) -> RemoteWriteExporter {
    let user = HeaderMap::from_iter([(
        http::header::CONTENT_ENCODING,
        HeaderValue::from_static("identity"),
    )]);
    RemoteWriteExporter {
        client: Client::new(ClientOptions::default()),
        uri: format!("{url}/api/v1/write").parse().unwrap(),
        headers: RemoteWriteExporter::headers(user),
        auth: None,
        settings: Settings { num_lanes: NonZeroU64::new(3).unwrap(), ..Settings::default() },
        targets: Targets::default(),
        clock: Clock::default(),
    }
}

async fn send(url: &str) -> Result<Sent, ExportError> {
    let exporter = exporter(url);
    let Prepared { requests, rejected } = exporter.prepare(batch(1));
    assert_eq!(rejected, []);
    exporter.send(&requests[0]).await
}

fn answer(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::from("out of order sample"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

#[tokio::test]
async fn request_is_as_the_protocol_says() {
    let server = TestServer::start(|_| answer(204)).await;
    assert_eq!(send(&server.url()).await.unwrap(), Sent::DURABLE);
    let seen = server.seen();
    let [(head, body)] = seen.as_slice() else { panic!("one request") };
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri.path(), "/api/v1/write");
    assert_eq!(head.headers["content-encoding"], "snappy");
    assert_eq!(head.headers["content-type"], "application/x-protobuf");
    assert_eq!(head.headers["x-prometheus-remote-write-version"], "0.1.0");
    assert!(head.headers.contains_key("user-agent"));
    let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    assert!(message.windows(8).any(|window| window == b"__name__"));
}

#[tokio::test]
async fn statuses_are_classified_as_the_protocol_says() {
    for status in [301, 400, 401, 404, 409, 413, 429, 500, 501, 503] {
        let server = TestServer::start(move |_| answer(status)).await;
        let error = send(&server.url()).await.unwrap_err();
        let (is_right, source) = match error {
            ExportError::Retry { after: None, source } => (status == 429 || status >= 500, source),
            ExportError::Divide { source } => (status == 400 || status == 413, source),
            ExportError::Rejected { source } => ([301, 401, 404, 409].contains(&status), source),
            ExportError::Retry { .. } | ExportError::Lost { .. } => panic!("{status}: {error}"),
        };
        assert!(is_right, "{status}: {source}");
        let told = with_causes(&*source);
        assert!(told.ends_with(": out of order sample"), "{told}");
        let names_series = told.starts_with("the series g{n=\"0\"} is refused: ");
        assert_eq!(names_series, status == 400 || status == 413, "{told}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let server = TestServer::start(|_| {
        let mut response = answer(429);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("7"));
        response
    })
    .await;
    let error = send(&server.url()).await.unwrap_err();
    let ExportError::Retry { after, .. } = error else { panic!("{error:?}") };
    assert_eq!(after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn servers_that_are_not_there_or_close_are_retried() {
    for url in [TestServer::gone().await, TestServer::closing().await] {
        let error = send(&url).await.unwrap_err();
        assert!(matches!(error, ExportError::Retry { after: None, .. }), "{error:?}");
    }
}

#[test]
fn series_keep_their_lanes_from_batch_to_batch() {
    let exporter = exporter("http://localhost");
    assert!(exporter.is_ordered());
    let lanes = |num_points| {
        let prepared = exporter.prepare(batch(num_points));
        let num_records: usize = prepared.requests.iter().map(|r| r.num_records).sum();
        assert_eq!(u64::try_from(num_records).unwrap(), num_points);
        prepared.requests.iter().map(|request| request.lane).collect::<Vec<_>>()
    };
    assert_eq!(lanes(60), [Lane::Key(0), Lane::Key(1), Lane::Key(2)]);
    assert_eq!(lanes(1), lanes(1));
}
