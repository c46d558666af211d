//! An agent with an embedded pipeline.

use std::time::Duration;

use bytes::Bytes;
use catchment::api::{self, Servers, Sources};
use catchment::app::{self, Loaded};
use catchment::component::{Endpoint, Extensions, Host};
use catchment::config::{self, Diagnostic};
use catchment::net::{Client, ClientOptions};
use catchment::telemetry::{Clock, Ledger, Metrics, Status};
use catchment::topology::{self, Engine};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use prost::Message;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::SOON;

/// Over the files, so that runs do not meet.
const FREE_PORTS: [(&str, &str); 5] = [
    ("\n  otlp:\n    protocols:", "receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0"),
    ("\n  otlp:\n    protocols:", "receivers.otlp.protocols.http.endpoint=127.0.0.1:0"),
    ("health_check:", "extensions.health_check.endpoint=127.0.0.1:0"),
    ("\n  api:", "service.api.endpoint=127.0.0.1:0"),
    ("", "service.telemetry.metrics.level=none"),
];

/// The agent with an embedded pipeline.
pub(super) struct Agent {
    engine: Engine,
    servers: Servers,
    pub(super) host: Host,
    client: Client,
    data_dir: TempDir,
}

impl Agent {
    pub(super) async fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let data_dir = TempDir::new().unwrap();
        let folder = data_dir.path().to_str().unwrap().to_owned();
        let loaded = load(name, &folder, variables)
            .unwrap_or_else(|problems| panic!("{}", config::render(&problems)));
        assert_eq!(loaded.plan.warnings(), []);
        let clock = Clock::system();
        let host = Host {
            metrics: Metrics::default(),
            status: Status::new(clock.clone()),
            ledger: Ledger::default(),
            clock,
            budget: topology::budget(&loaded.plan),
            data_dir: data_dir.path().into(),
            extensions: Extensions::default(),
        };
        let engine = Engine::start(&loaded.plan, host.clone()).await.unwrap();
        let sources = Sources { ledger: host.ledger.clone(), ..Sources::default() };
        let handles = engine.handles().clone();
        let sources = sources.with_handles(move || handles.all());
        let servers = api::serve(loaded.plan.settings(), sources).await.unwrap();
        let client = Client::new(ClientOptions::default());
        Self { engine, servers, host, client, data_dir }
    }

    /// Where it takes OTLP in, over `grpc` or `http`.
    pub(super) fn address(&self, protocol: &'static str) -> String {
        let endpoint = Endpoint::tcp("127.0.0.1:0", false).named(protocol);
        let listeners = self.engine.listeners().of("receivers::otlp");
        listeners.local_addr(&endpoint).unwrap().to_string()
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

    pub(super) async fn post(&self, path: &str, request: &impl Message) {
        let uri = format!("http://{}/v1/{path}", self.address("http"));
        self.send(Method::POST, uri, request.encode_to_vec().into()).await;
    }

    /// Waits until a search finds so many records.
    pub(super) async fn until_found(&self, query: &str, num_hits: u64) {
        self.until(query, |found| found == num_hits).await;
    }

    /// Waits until a search finds as many records as are wanted.
    pub(super) async fn until(&self, query: &str, is_wanted: impl Fn(u64) -> bool) {
        let address = self.servers.api_addr().unwrap();
        let uri = format!("http://{address}/api/v1/logs/search?query={query}&limit=1000");
        let searching = async {
            loop {
                let answer = self.send(Method::GET, uri.clone(), Bytes::new()).await;
                let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
                if answer["num_hits"].as_u64().is_some_and(&is_wanted) {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, searching).await.expect("the records are found");
    }

    /// Stops; then everything is accounted for, and nothing was dropped.
    pub(super) async fn stop(self) -> TempDir {
        let (data_dir, num_dropped) = self.stop_counting().await;
        assert_eq!(num_dropped, 0);
        data_dir
    }

    /// Stops; then everything is accounted for. Gives the folder of the data, and how many
    /// records were dropped.
    pub(super) async fn stop_counting(self) -> (TempDir, u64) {
        timeout(SOON, self.engine.stop()).await.unwrap();
        timeout(SOON, self.servers.stop()).await.unwrap();
        let balance = self.host.ledger.balance();
        assert!(balance.is_balanced, "{}", balance.to_table());
        let pipelines = balance.pipelines.values().flat_map(|account| account.dropped.values());
        let exporters = balance.exporters.values().flat_map(|account| account.dropped.values());
        (self.data_dir, pipelines.chain(exporters).sum::<u64>())
    }
}

/// Reads an embedded pipeline where these variables are set and its data goes to `folder`.
pub(super) fn load(
    name: &str,
    folder: &str,
    variables: &[(&str, &str)],
) -> Result<Loaded, Vec<Diagnostic>> {
    let env = |name: &str| {
        let set = variables.iter().find(|(variable, _)| *variable == name);
        match (set, name) {
            (Some((_, value)), _) => Some((*value).to_owned()),
            (None, app::DATA_DIR_VARIABLE) => Some(folder.to_owned()),
            (None, _) => None,
        }
    };
    let text = app::Pipeline::of(name).unwrap().text;
    let sets = FREE_PORTS.into_iter().filter(|(part, _)| text.contains(part));
    let sets: Vec<String> = sets.map(|(_, set)| set.to_owned()).collect();
    let sources = app::sources(&[format!("embedded:{name}")], &env)?;
    app::load(&sources, &sets, &env)
}
