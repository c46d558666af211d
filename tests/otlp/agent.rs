//! An engine under test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use catchment::component::{Endpoint, Extensions, Host};
use catchment::config::{self, Source};
use catchment::telemetry::{Clock, Ledger, Metrics, Status};
use catchment::topology::{self, Changes, Engine, Plan, ReloadError, StartError};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// More than anything takes, however busy the machine is.
pub const SOON: Duration = Duration::from_secs(60);

/// What every test's file begins with; what a test adds is merged over it.
const BASE: &str = "
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:0
      http:
        endpoint: 127.0.0.1:0
exporters:
  nop:
";

/// The pipelines of a test that says nothing else.
const ALL_SIGNALS: &str = "
service:
  pipelines:
    logs: {receivers: [otlp], exporters: [nop]}
    traces: {receivers: [otlp], exporters: [nop]}
    metrics: {receivers: [otlp], exporters: [nop]}
";

/// A pipeline for logs, and none for what else there is.
pub const LOGS_ONLY: &str = "
service: {pipelines: {logs: {receivers: [otlp], exporters: [nop]}}}
";

/// An engine that runs.
pub struct Agent {
    engine: Engine,
    pub host: Host,
    data_dir: Arc<TempDir>,
}

impl Agent {
    /// Starts an engine from the basic file with `more` merged over it.
    pub async fn start(more: &str) -> Self {
        Self::start_all(&[more]).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// The same with several files, each merged over those before it.
    pub async fn start_all(more: &[&str]) -> Result<Self, StartError> {
        Self::try_start(&[&[ALL_SIGNALS], more].concat()).await
    }

    /// The same without any pipelines but those of `files`.
    pub async fn with_pipelines(files: &[&str]) -> Self {
        Self::try_start(files).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// The same over what another agent left in its data directory.
    pub async fn start_after(before: Arc<TempDir>, more: &[&str]) -> Result<Self, StartError> {
        Self::try_start_in(before, &[&[ALL_SIGNALS], more].concat()).await
    }

    async fn try_start(more: &[&str]) -> Result<Self, StartError> {
        Self::try_start_in(Arc::new(TempDir::new().unwrap()), more).await
    }

    async fn try_start_in(data_dir: Arc<TempDir>, more: &[&str]) -> Result<Self, StartError> {
        let plan = plan(more);
        let clock = Clock::system();
        let host = Host {
            metrics: Metrics::default(),
            status: Status::new(clock.clone()),
            ledger: Ledger::default(),
            clock,
            budget: topology::budget(&plan),
            data_dir: data_dir.path().into(),
            extensions: Extensions::default(),
        };
        let engine = Engine::start(&plan, host).await?;
        Ok(Self { host: engine.host().clone(), engine, data_dir })
    }

    /// Makes it run the basic file with `more` merged over it.
    pub async fn reload(&mut self, more: &[&str]) -> Result<Changes, ReloadError> {
        let plan = plan(&[&[ALL_SIGNALS], more].concat());
        timeout(SOON, self.engine.reload(&plan)).await.expect("the engine reloads")
    }

    /// Its data directory, which is kept as long as this is.
    pub fn data_dir(&self) -> Arc<TempDir> {
        Arc::clone(&self.data_dir)
    }

    pub fn grpc(&self) -> SocketAddr {
        self.address("grpc")
    }

    pub fn http(&self) -> SocketAddr {
        self.address("http")
    }

    fn address(&self, protocol: &'static str) -> SocketAddr {
        let endpoint = Endpoint::tcp("127.0.0.1:0", false).named(protocol);
        self.engine.listeners().of("receivers::otlp").local_addr(&endpoint).unwrap()
    }

    /// What the agent's own metrics say of `family` for this receiver.
    pub fn counted(&self, family: &str) -> u64 {
        self.host.metrics.counter(family, &[("receiver", "otlp")]).get()
    }

    /// Waits until no request is charged to the budget.
    pub async fn until_at_rest(&self) {
        eventually("the budget's accounts return to zero", || self.host.budget.used_bytes() == 0)
            .await;
    }

    /// Stops the engine; then nothing may be in flight, lost or charged.
    pub async fn stop(self) {
        let Self { engine, host, data_dir } = self;
        timeout(SOON, engine.stop()).await.expect("the engine stops");
        assert_eq!(host.ledger.unbalanced(), [""; 0], "{}", host.ledger.to_json());
        for account in host.ledger.balance().pipelines.values() {
            assert_eq!(account.in_flight, 0, "{}", host.ledger.to_json());
        }
        let accounts = || format!("accounts {:?}", host.budget.accounts());
        eventually(&accounts(), || host.budget.used_bytes() == 0).await;
        drop(data_dir);
    }
}

/// What the basic file says with `more` merged over it.
fn plan(more: &[&str]) -> Plan {
    let source =
        |name: &str, text: &str| Source::Embedded { name: name.to_owned(), text: text.to_owned() };
    let more = more.iter().map(|text| source("test.yaml", text));
    let sources: Vec<_> = std::iter::once(source("base.yaml", BASE)).chain(more).collect();
    let mut document = config::load(&sources, &[], &|_| None)
        .unwrap_or_else(|problems| panic!("{}", config::render(&problems)));
    Plan::try_new(&mut document, &catchment::components::builtin())
        .unwrap_or_else(|problems| panic!("{}", config::render(&problems)))
}

/// Waits until `holds`, which is not told by an event.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(SOON, waiting).await.is_ok(), "not within {SOON:?}: {what}");
}
