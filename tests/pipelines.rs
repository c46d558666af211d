//! The ready-made pipelines: each is loaded, built and run, from OTLP to what can be found.

#![allow(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails"
)]

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use catchment::api::{self, Servers, Sources};
use catchment::app;
use catchment::component::{Budget, Endpoint, Extensions, Host};
use catchment::config;
use catchment::net::{self, Client, ClientOptions, ServerOptions, Socket};
use catchment::telemetry::{Clock, Ledger, Metrics, Status};
use catchment::topology::Engine;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use prost::Message;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// More than anything takes, however busy the machine is.
const SOON: Duration = Duration::from_secs(60);

/// Over the files, so that runs do not meet.
const FREE_PORTS: [&str; 4] = [
    "receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0",
    "receivers.otlp.protocols.http.endpoint=127.0.0.1:0",
    "service.api.endpoint=127.0.0.1:0",
    "service.telemetry.metrics.level=none",
];

/// The agent with its embedded pipeline.
struct Agent {
    engine: Engine,
    servers: Servers,
    host: Host,
    client: Client,
    data_dir: TempDir,
}

impl Agent {
    async fn start(remote_write: Option<&str>) -> Self {
        let data_dir = TempDir::new().unwrap();
        let folder = data_dir.path().to_str().unwrap().to_owned();
        let env = |name: &str| match name {
            app::DATA_DIR_VARIABLE => Some(folder.clone()),
            app::REMOTE_WRITE_VARIABLE => remote_write.map(str::to_owned),
            _ => None,
        };
        let sets = FREE_PORTS.map(str::to_owned);
        let loaded = app::load(&app::sources(&[], &env), &sets, &env)
            .unwrap_or_else(|problems| panic!("{}", config::render(&problems)));
        assert_eq!(loaded.plan.warnings(), []);
        let clock = Clock::system();
        let host = Host {
            metrics: Metrics::default(),
            status: Status::new(clock.clone()),
            ledger: Ledger::default(),
            clock,
            budget: Budget::new(1 << 30, 1 << 28),
            data_dir: data_dir.path().into(),
            extensions: Extensions::default(),
        };
        let engine = Engine::start(&loaded.plan, host.clone()).await.unwrap();
        let sources = Sources { ledger: host.ledger.clone(), ..Sources::default() };
        let sources = sources.with_handles(engine.handles().iter().cloned());
        let servers = api::serve(loaded.plan.settings(), sources).await.unwrap();
        let client = Client::new(ClientOptions::default());
        Self { engine, servers, host, client, data_dir }
    }

    async fn send(&self, method: Method, uri: String, body: Bytes) -> Bytes {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", "application/x-protobuf")
            .body(Full::new(body))
            .unwrap();
        let response = timeout(SOON, self.client.send(request)).await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{:?}", response.body());
        response.into_body()
    }

    async fn post(&self, request: &impl Message) {
        let endpoint = Endpoint::tcp("127.0.0.1:0", false).named("http");
        let listeners = self.engine.listeners().of("receivers::otlp");
        let address = listeners.local_addr(&endpoint).unwrap();
        let body = request.encode_to_vec().into();
        self.send(Method::POST, format!("http://{address}/v1/logs"), body).await;
    }

    /// Waits until a search finds so many records.
    async fn until_found(&self, query: &str, num_hits: u64) {
        let address = self.servers.api_addr().unwrap();
        let uri = format!("http://{address}/api/v1/logs/search?query={query}&limit=1000");
        let searching = async {
            loop {
                let answer = self.send(Method::GET, uri.clone(), Bytes::new()).await;
                let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
                if answer["num_hits"] == num_hits {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, searching).await.expect("the records are found");
    }

    /// Stops; then everything is accounted for. Gives the folder of the data.
    async fn stop(self) -> TempDir {
        timeout(SOON, self.engine.stop()).await.unwrap();
        timeout(SOON, self.servers.stop()).await.unwrap();
        let balance = self.host.ledger.balance();
        assert!(balance.is_balanced, "{}", balance.to_table());
        let pipelines = balance.pipelines.values().flat_map(|account| account.dropped.values());
        let exporters = balance.exporters.values().flat_map(|account| account.dropped.values());
        assert_eq!(pipelines.chain(exporters).sum::<u64>(), 0, "{}", balance.to_table());
        self.data_dir
    }
}

fn text(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) })
}

/// Logs of one service with these times and severities.
fn logs(service: &str, records: &[(u64, &str)]) -> ExportLogsServiceRequest {
    let log_records = records.iter().map(|(time, severity)| LogRecord {
        time_unix_nano: *time,
        severity_text: (*severity).to_owned(),
        body: text("connection refused"),
        ..LogRecord::default()
    });
    let scope_logs = ScopeLogs { log_records: log_records.collect(), ..ScopeLogs::default() };
    let attribute =
        KeyValue { key: "service.name".into(), value: text(service), ..KeyValue::default() };
    let resource = Resource { attributes: vec![attribute], ..Resource::default() };
    let resource_logs = vec![ResourceLogs {
        resource: Some(resource),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    }];
    ExportLogsServiceRequest { resource_logs }
}

/// Rows of all Parquet files below `folder`.
fn num_rows(folder: &Path) -> i64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rows = entries.map(|path| {
        if path.is_dir() {
            return num_rows(&path);
        }
        if path.extension().is_none_or(|extension| extension != "parquet") {
            return 0;
        }
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        reader.metadata().file_metadata().num_rows()
    });
    rows.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn default_pipeline_finds_logs_and_archives_them() {
    let agent = Agent::start(None).await;
    agent.post(&logs("cart", &[(1_000, "INFO"), (2_000, "ERROR")])).await;
    agent.post(&logs("payment", &[(3_000, "ERROR")])).await;
    agent.until_found("refused", 3).await;
    agent.until_found("service:cart+severity_text:ERROR", 1).await;
    let data_dir = agent.stop().await;
    assert_eq!(num_rows(&data_dir.path().join("archive/logs")), 3);
}

/// A series of a remote-write request (prometheus/prompb, `types.proto`).
#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Prometheus {
    series: Arc<Mutex<Vec<TimeSeries>>>,
}

impl Prometheus {
    async fn take(self, request: Request<hyper::body::Incoming>) -> Response<net::Body> {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let request = WriteRequest::decode(&body[..]).unwrap();
        self.series.lock().unwrap().extend(request.timeseries);
        net::text(StatusCode::NO_CONTENT, "")
    }

    /// The highest count of log records with these labels.
    fn count(&self, service: &str, severity: &str) -> f64 {
        let has = |series: &TimeSeries, name: &str, value: &str| {
            series.labels.iter().any(|label| label.name == name && label.value == value)
        };
        let all = self.series.lock().unwrap();
        let series = all.iter().filter(|series| {
            has(series, "__name__", "log_record_count_total")
                && has(series, "service_name", service)
                && has(series, "severity_text", severity)
        });
        let samples = series.flat_map(|series| &series.samples).map(|sample| sample.value);
        samples.fold(0.0, f64::max)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn default_pipeline_counts_logs_late_ones_too() {
    let prometheus = Prometheus::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let taker = prometheus.clone();
    let handler = move |request, _| taker.clone().take(request);
    let socket = Socket::try_from(listener).unwrap();
    let server = net::serve(socket, ServerOptions::default(), handler, stop.clone());
    let server = tokio::spawn(server);

    let agent = Agent::start(Some(&url)).await;
    for _ in 0..3 {
        // The same times again, as from a client that is behind.
        agent.post(&logs("cart", &[(5_000, "INFO"), (6_000, "ERROR"), (7_000, "ERROR")])).await;
    }
    agent.post(&logs("cart", &[(1_000, "ERROR")])).await;
    agent.until_found("refused", 10).await;
    agent.stop().await;
    assert_eq!(prometheus.count("cart", "ERROR"), 7.0);
    assert_eq!(prometheus.count("cart", "INFO"), 3.0);
    stop.cancel();
    timeout(SOON, server).await.unwrap().unwrap();
}
