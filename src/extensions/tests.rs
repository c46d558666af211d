use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;

use super::basicauth::BasicAuthConfig;
use super::bearertokenauth::BearerTokenAuthConfig;
use super::health_check::HealthCheckConfig;
use super::pages::{Access, PageServer, Pages};
use super::pprof::PprofConfig;
use super::zpages::ZpagesConfig;
use crate::component::{
    Budget, Endpoint, Extension, ExtensionConfig, Extensions, Host, Listener, Listeners,
};
use crate::config::{Node, from_node};
use crate::data::Time;
use crate::net::{Body, Client, ClientOptions, text};
use crate::telemetry::{Clock, Ledger, ManualClock, Metrics, Status};

struct Echo;

impl Pages for Echo {
    fn page(&self, uri: &Uri, _headers: &HeaderMap) -> Response<Body> {
        text(StatusCode::OK, uri.path().to_owned())
    }
}

/// Listeners with one for `127.0.0.1:0`, and the URL of it.
fn listeners() -> (Listeners, Endpoint, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let endpoint = Endpoint::tcp("127.0.0.1:0", false);
    let listeners = Listeners::default();
    listeners.insert(&endpoint, Listener::Tcp(listener));
    (listeners, endpoint, url)
}

async fn ask(method: Method, url: &str, host: &str) -> (StatusCode, Bytes) {
    let request = Request::builder().method(method).uri(url).header(HOST, host);
    let client = Client::new(ClientOptions {
        timeout: Some(Duration::from_secs(5)),
        ..ClientOptions::default()
    });
    let response = client.send(request.body(Full::default()).unwrap()).await.unwrap();
    (response.status(), response.into_body())
}

#[tokio::test]
async fn pages_are_for_those_who_may_ask() {
    let (listeners, endpoint, url) = listeners();
    let server = PageServer::default();
    let access = Access::SameSite("agent.example".into());
    server.start(&listeners, &endpoint, (access, None), Arc::new(Echo)).unwrap();
    let url = format!("{url}/debug/x");
    for (host, status) in [
        ("localhost", StatusCode::OK),
        ("agent.example:1", StatusCode::OK),
        ("evil.example", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(ask(Method::GET, &url, host).await.0, status, "{host}");
    }
    let (status, _) = ask(Method::POST, &url, "localhost").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ask(Method::GET, &url, "localhost").await.1, "/debug/x");
    server.stop().await;
}

#[tokio::test]
async fn probes_may_call_the_server_by_any_name_and_it_stops() {
    let (listeners, endpoint, url) = listeners();
    let server = PageServer::default();
    server.start(&listeners, &endpoint, (Access::Anyone, None), Arc::new(Echo)).unwrap();
    assert_eq!(ask(Method::GET, &url, "balancer.example").await.0, StatusCode::OK);
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.unwrap();
}

#[tokio::test]
async fn endpoint_that_was_not_bound_is_named() {
    let (listeners, _, _) = listeners();
    let endpoint = Endpoint::tcp("127.0.0.1:1", false);
    let server = PageServer::default();
    let error =
        server.start(&listeners, &endpoint, (Access::Anyone, None), Arc::new(Echo)).unwrap_err();
    assert_eq!(error.to_string(), "cannot serve on `127.0.0.1:1`");
}

fn host() -> (Host, ManualClock) {
    let (clock, manual) = Clock::manual(Time::from_unix_nanos(1_700_000_000_000_000_000));
    let host = Host {
        metrics: Metrics::default(),
        status: Status::new(clock.clone()),
        ledger: Ledger::default(),
        clock,
        budget: Budget::new(100, 20),
        data_dir: PathBuf::new(),
        extensions: Extensions::default(),
    };
    (host, manual)
}

/// Starts an extension from its settings; its endpoint is `127.0.0.1:0`. Returns it with its URL.
async fn start<C: ExtensionConfig>(settings: &str, host: &Host) -> (Arc<dyn Extension>, String) {
    let settings = format!("endpoint: 127.0.0.1:0\n{settings}");
    let node = Node::parse("a.yaml", &settings).unwrap();
    let config: C = from_node(&node, "extensions::x").unwrap();
    let (listeners, endpoint, url) = listeners();
    assert_eq!(config.endpoints(), [endpoint]);
    let extension = config.build(host).unwrap();
    extension.start(&listeners, host).await.unwrap();
    (extension, url)
}

async fn json(url: &str) -> (StatusCode, serde_json::Value) {
    let (status, body) = ask(Method::GET, url, "localhost").await;
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn health_follows_the_agent() {
    let (host, manual) = host();
    let (extension, url) = start::<HealthCheckConfig>("", &host).await;
    let (status, answer) = json(&url).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer["status"], "Server not available");
    host.status.set_ready();
    manual.advance(Duration::from_secs(90));
    let (status, answer) = json(&format!("{url}/any/path")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["status"], "Server available");
    assert_eq!(answer["upSince"], "2023-11-14T22:13:20Z");
    assert_eq!(answer["uptime"], "90s");
    host.status.set_stopping();
    assert_eq!(json(&url).await.0, StatusCode::SERVICE_UNAVAILABLE);
    extension.stop().await;
}

#[tokio::test]
async fn health_has_a_path_and_words_of_the_users_choice() {
    let (host, _) = host();
    host.status.set_ready();
    let settings = "path: /healthz\nresponse_body: {healthy: fine, unhealthy: bad}\n";
    let (extension, url) = start::<HealthCheckConfig>(settings, &host).await;
    assert_eq!(ask(Method::GET, &url, "x").await.0, StatusCode::NOT_FOUND);
    let (status, body) = ask(Method::GET, &format!("{url}/healthz"), "x").await;
    assert_eq!((status, body.as_ref()), (StatusCode::OK, b"fine".as_slice()));
    extension.stop().await;
}

#[tokio::test]
async fn zpages_show_what_the_agent_tells() {
    let (host, _) = host();
    let (extension, url) = start::<ZpagesConfig>("", &host).await;
    host.status.set_failing("otlp", "refused");
    host.status.record_error("otlp", "<script>");
    host.metrics.gauge("otelcol_exporter_queue_size", &[("exporter", "otlp")]).set(3.0);
    let (_, service) = json(&format!("{url}/debug/servicez?format=json")).await;
    assert_eq!(service["phase"], "starting");
    assert_eq!(service["memory"]["limit_bytes"], 100);
    let (_, pipelines) = json(&format!("{url}/debug/pipelinez?format=json")).await;
    assert_eq!(pipelines["components"][0]["last_error"], "refused");
    let queues = pipelines["queues"].as_object().unwrap();
    assert_eq!(queues.values().collect::<Vec<_>>(), [3.0]);
    assert!(pipelines["ledger"].is_object());
    let (_, errors) = json(&format!("{url}/debug/errorz?format=json")).await;
    assert_eq!(errors[0]["error"], "<script>");
    for path in ["/", "/debug/pipelinez", "/debug/extensionz", "/debug/ledgerz", "/debug/errorz"] {
        let (status, page) = ask(Method::GET, &format!("{url}{path}"), "localhost").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(page.starts_with("<!doctype html>") && !page.contains("<script>"), "{page}");
    }
    let (status, _) = ask(Method::GET, &format!("{url}/debug/tracez"), "localhost").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    extension.stop().await;
}

#[tokio::test]
async fn profiles_are_answered_not_implemented() {
    let (host, _) = host();
    let (extension, url) = start::<PprofConfig>("", &host).await;
    let (status, body) = ask(Method::GET, &format!("{url}/debug/pprof/profile"), "localhost").await;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    assert!(body.starts_with(b"profiles are not made"));
    extension.stop().await;
}

#[test]
fn authenticators_are_for_one_side_each() {
    let (host, _) = host();
    let build = |text: &str| {
        let config: BasicAuthConfig = from_node(&Node::parse("a", text).unwrap(), "x").unwrap();
        config.build(&host).map(|made| (made.server_auth().is_some(), made.client_auth().is_some()))
    };
    assert_eq!(build("htpasswd: {inline: 'a:b'}").unwrap(), (true, false));
    assert_eq!(build("client_auth: {username: a, password: b}").unwrap(), (false, true));
    assert!(build("{}").unwrap_err().to_string().starts_with("neither `htpasswd`"));
    let both = build("{htpasswd: {inline: 'a:b'}, client_auth: {username: a}}").unwrap_err();
    assert!(both.to_string().starts_with("both `htpasswd`"));
    assert!(build("htpasswd: {inline: ''}").is_err());
    assert!(build("client_auth: {password: b}").is_err());
    let build = |text: &str| {
        let node = Node::parse("a", text).unwrap();
        let config: BearerTokenAuthConfig = from_node(&node, "x").unwrap();
        config.build(&host).map(|made| (made.server_auth().is_some(), made.client_auth().is_some()))
    };
    assert_eq!(build("token: a").unwrap(), (true, true));
    assert!(build("{}").unwrap_err().to_string().starts_with("no token"));
    assert!(build("{token: a, tokens: [b]}").is_err());
    let error = build("filename: /nowhere/token").unwrap_err();
    assert_eq!(error.to_string(), "cannot use `/nowhere/token`");
}
