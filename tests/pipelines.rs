//! The ready-made pipelines: each is loaded, built and run, from OTLP to what can be found.

#![allow(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails"
)]

#[path = "pipelines/agent.rs"]
mod agent;
#[path = "pipelines/server.rs"]
mod server;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use catchment::{app, config};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use agent::{Agent, load};
use server::{Server, highest, series};

/// More than anything takes, however busy the machine is.
const SOON: Duration = Duration::from_secs(60);

fn text(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) })
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: text(value), ..KeyValue::default() }
}

fn resource(service: &str) -> Resource {
    Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() }
}

/// Logs of one service with these times and severities.
fn logs(service: &str, records: &[(u64, &str)]) -> ExportLogsServiceRequest {
    let log_records = records.iter().map(|(time, severity)| LogRecord {
        time_unix_nano: *time,
        severity_number: match *severity {
            "DEBUG" => 5,
            "INFO" => 9,
            "ERROR" => 17,
            other => panic!("no severity is called {other}"),
        },
        severity_text: (*severity).to_owned(),
        body: text("connection refused"),
        ..LogRecord::default()
    });
    let scope_logs = ScopeLogs { log_records: log_records.collect(), ..ScopeLogs::default() };
    let resource = Some(resource(service));
    let resource_logs =
        vec![ResourceLogs { resource, scope_logs: vec![scope_logs], ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }
}

/// Spans of one service, each the root of a trace of its own, of requests to this route.
fn spans(service: &str, route: &str, num_spans: u64) -> ExportTraceServiceRequest {
    let spans = (1..=num_spans).map(|number| Span {
        // Spread evenly over the ids, as random ones would be.
        trace_id: number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().repeat(2),
        span_id: number.to_be_bytes().to_vec(),
        name: "GET".to_owned(),
        attributes: vec![attribute("http.route", route)],
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource = Some(resource(service));
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// A cumulative sum `orders` with one point.
fn orders(service: &str, value: f64) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        time_unix_nano: 1_790_000_000_000_000_000,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
    let data = Some(metric::Data::Sum(sum));
    let metrics = vec![Metric { name: "orders".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource = Some(resource(service));
    let group = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![group] }
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
    let agent = Agent::start("default", &[]).await;
    agent.post("logs", &logs("cart", &[(1_000, "INFO"), (2_000, "ERROR")])).await;
    agent.post("logs", &logs("payment", &[(3_000, "ERROR")])).await;
    agent.until_found("refused", 3).await;
    agent.until_found("service:cart+severity_text:ERROR", 1).await;
    let data_dir = agent.stop().await;
    assert_eq!(num_rows(&data_dir.path().join("archive/logs")), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn default_pipeline_counts_logs_late_ones_too() {
    let prometheus = Server::start();
    let url = prometheus.url("api/v1/write");
    let agent = Agent::start("default", &[(app::REMOTE_WRITE_VARIABLE, &url)]).await;
    for late in 0..3 {
        // About the same times again, as from a client that is behind.
        let records = [(5_000, "INFO"), (6_000, "ERROR"), (7_000, "ERROR")];
        let records = records.map(|(millis, severity)| (millis - late, severity));
        agent.post("logs", &logs("cart", &records)).await;
    }
    agent.post("logs", &logs("cart", &[(1_000, "ERROR")])).await;
    agent.until_found("refused", 10).await;
    agent.stop().await;
    let series = series(&prometheus.stop().await);
    let count = |severity| {
        let name = ("__name__", "log_record_count_total");
        highest(&series, &[name, ("service_name", "cart"), ("severity_text", severity)])
    };
    assert_eq!((count("ERROR"), count("INFO")), (7.0, 3.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demo_pipeline_has_something_to_see() {
    let agent = Agent::start("demo", &[("CATCHMENT_DEMO_LOGS", "1000")]).await;
    agent.until("service:*", |found| found >= 1000).await;
    agent.until("service:payment+severity:info", |found| found > 0).await;
    let data_dir = agent.stop().await;
    for signal in ["logs", "traces", "metrics"] {
        assert!(num_rows(&data_dir.path().join("demo/archive").join(signal)) > 0, "{signal}");
    }
}

/// What agents need to send to `destination`.
fn sending_to(destination: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("CATCHMENT_OTLP_ENDPOINT", destination),
        ("CATCHMENT_OTLP_INSECURE", "true"),
        ("CATCHMENT_LISTEN_HOST", "127.0.0.1"),
    ]
}

/// Stops an agent that others sent to, and counts what it has: logs, spans, data points.
async fn archived(agent: Agent) -> [i64; 3] {
    let data_dir = agent.stop().await;
    ["logs", "traces", "metrics"].map(|signal| {
        let folder = data_dir.path().join("archive").join(signal);
        if folder.exists() { num_rows(&folder) } else { 0 }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sidecar_drops_what_nobody_reads_and_sends_on_a_share_of_the_rest() {
    let destination = Agent::start("default", &[]).await;
    let sidecar = Agent::start("sidecar", &sending_to(&destination.address("grpc"))).await;
    assert_eq!(sidecar.host.budget.limit_bytes(), 64 << 20);
    sidecar
        .post("logs", &logs("cart", &[(1_000, "DEBUG"), (2_000, "INFO"), (3_000, "ERROR")]))
        .await;
    sidecar.post("traces", &spans("cart", "/healthz", 50)).await;
    sidecar.post("traces", &spans("cart", "/cart", 1000)).await;
    sidecar.post("metrics", &orders("cart", 3.0)).await;
    let (_, num_dropped) = sidecar.stop_counting().await;
    destination.until_found("service:cart", 2).await;
    let [num_logs, num_spans, num_points] = archived(destination).await;
    assert_eq!((num_logs, num_points), (2, 1));
    assert!((50..150).contains(&num_spans), "{num_spans}");
    assert_eq!(num_dropped, 1 + 50 + 1000 - num_spans.cast_unsigned());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_of_a_node_says_which_node_it_was() {
    let destination = Agent::start("default", &[]).await;
    let address = destination.address("grpc");
    let mut variables = sending_to(&address);
    variables.push(("K8S_NODE_NAME", "node-1"));
    let agent = Agent::start("daemonset", &variables).await;
    agent.post("logs", &logs("cart", &[(1_000, "DEBUG"), (2_000, "INFO")])).await;
    agent.post("traces", &spans("cart", "/cart", 3)).await;
    agent.post("metrics", &orders("cart", 3.0)).await;
    agent.stop().await;
    destination.until_found("service:cart+k8s.node.name:node-1", 2).await;
    assert_eq!(archived(destination).await, [2, 3, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateway_keeps_everything_and_sends_it_on() {
    let (prometheus, destination) = (Server::start(), Agent::start("default", &[]).await);
    let (url, address) = (prometheus.url("api/v1/write"), destination.address("grpc"));
    let mut variables = sending_to(&address);
    variables.push((app::REMOTE_WRITE_VARIABLE, &url));
    let gateway = Agent::start("gateway", &variables).await;
    gateway.post("logs", &logs("cart", &[(1_000, "INFO"), (2_000, "ERROR")])).await;
    gateway.post("traces", &spans("cart", "/cart", 3)).await;
    gateway.post("metrics", &orders("cart", 42.0)).await;
    gateway.until_found("severity:error", 1).await;
    assert_eq!(archived(gateway).await, [2, 3, 1]);
    destination.until_found("service:cart", 2).await;
    assert_eq!(archived(destination).await, [2, 3, 1]);
    let series = series(&prometheus.stop().await);
    assert_eq!(highest(&series, &[("__name__", "orders_total"), ("job", "cart")]), 42.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grafana_cloud_gets_everything_with_user_and_password() {
    let cloud = Server::start();
    let url = cloud.url("otlp");
    let variables = [
        ("GRAFANA_CLOUD_OTLP_ENDPOINT", url.as_str()),
        ("GRAFANA_CLOUD_INSTANCE_ID", "123456"),
        ("GRAFANA_CLOUD_API_KEY", "glc_0123"),
    ];
    let agent = Agent::start("grafana-cloud", &variables).await;
    agent.post("logs", &logs("cart", &[(1_000, "INFO")])).await;
    agent.post("traces", &spans("cart", "/cart", 1)).await;
    agent.post("metrics", &orders("cart", 3.0)).await;
    agent.stop().await;
    let taken = cloud.stop().await;
    let mut paths: Vec<&str> = taken.iter().map(|(head, _)| head.uri.path()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/otlp/v1/logs", "/otlp/v1/metrics", "/otlp/v1/traces"]);
    for (head, body) in &taken {
        // 123456:glc_0123
        assert_eq!(head.headers["authorization"], "Basic MTIzNDU2OmdsY18wMTIz");
        assert!(!body.is_empty());
    }
}

#[test]
fn variables_that_have_no_default_are_asked_for_by_name() {
    for (name, variables) in [
        ("sidecar", vec!["CATCHMENT_OTLP_ENDPOINT"]),
        ("daemonset", vec!["K8S_NODE_NAME", "CATCHMENT_OTLP_ENDPOINT"]),
        ("gateway", vec!["CATCHMENT_REMOTE_WRITE_URL", "CATCHMENT_OTLP_ENDPOINT"]),
        (
            "grafana-cloud",
            vec![
                "GRAFANA_CLOUD_OTLP_ENDPOINT",
                "GRAFANA_CLOUD_INSTANCE_ID",
                "GRAFANA_CLOUD_API_KEY",
            ],
        ),
    ] {
        let loaded = load(name, "/nonexistent", &[]);
        let checked = loaded.and_then(|loaded| app::check(&loaded, &|_| None));
        let told = config::render(&checked.unwrap_err());
        for variable in variables {
            assert!(told.contains(&format!("the variable `{variable}` is not set")), "{told}");
        }
    }
}

#[test]
fn every_variable_of_a_pipeline_is_explained_at_its_beginning() {
    for pipeline in app::PIPELINES {
        let (about, rest): (Vec<&str>, Vec<&str>) =
            pipeline.text.lines().partition(|line| line.starts_with('#'));
        let about = about.join("\n");
        assert!(pipeline.about().next().is_some(), "{}", pipeline.name);
        for part in rest.join("\n").split("${env:").skip(1) {
            let variable: String =
                part.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect();
            assert!(about.contains(&variable), "{}: {variable}", pipeline.name);
        }
    }
}
