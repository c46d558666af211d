//! The engine as a whole, with components that tests steer.

mod dead_letter;
mod reload;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::test_support::{Scripted, Step, batch, host, soon, times};
use super::*;
use crate::component::{
    Acks, Answer, BuildContext, BuildError, ConnectorConfig, DriverSettings, Exporter,
    ExporterConfig, Flush, Host, Inlet, Outbox, Outcome, ProcessError, Processor, ProcessorConfig,
    Receiver, ReceiverConfig, Registry, RunError, Sharding,
};
use crate::config::{self, Source};
use crate::data::{Batch, Signal};

/// The ways in and the ends of running engines, by the names that tests gave them.
static INLETS: LazyLock<Mutex<HashMap<String, Inlet>>> = LazyLock::new(Mutex::default);
static SINKS: LazyLock<Mutex<HashMap<String, Arc<Scripted>>>> = LazyLock::new(Mutex::default);

#[derive(Clone, Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct SourceConfig(Named);

struct TestSource(String);

#[async_trait]
impl Receiver for TestSource {
    async fn run(self: Box<Self>, inlet: Inlet, stop: CancellationToken) -> Result<(), RunError> {
        INLETS.lock().unwrap().insert(self.0.clone(), inlet);
        stop.cancelled().await;
        INLETS.lock().unwrap().remove(&self.0);
        Ok(())
    }
}

impl ReceiverConfig for SourceConfig {
    const TYPE: &'static str = "source";
    const EXAMPLE: &'static str = "name: a";
    const SIGNALS: &'static [Signal] = &[Signal::Logs];

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(TestSource(self.0.name.clone())))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct SinkConfig(Named);

impl ExporterConfig for SinkConfig {
    const TYPE: &'static str = "sink";
    const EXAMPLE: &'static str = "name: a";
    const SIGNALS: &'static [Signal] = &[Signal::Logs];

    fn driver_defaults() -> DriverSettings {
        let mut settings = DriverSettings::default();
        settings.retry.initial_interval = config::Duration::from_millis(1);
        settings
    }

    fn build(&self, _: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        Ok(Arc::clone(SINKS.lock().unwrap().entry(self.0.name.clone()).or_default()) as _)
    }
}

/// Lets even times through, counts odd ones as dropped, panics on 13.
struct Even;

impl Processor for Even {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        assert!(!times(&batch).contains(&13), "13");
        if times(&batch).contains(&99) {
            return Err(ProcessError { reason: "ninety_nine", source: None });
        }
        let (even, odd): (Vec<_>, Vec<_>) = times(&batch).into_iter().partition(|t| t % 2 == 0);
        out.count_dropped(odd.len(), "odd");
        if !even.is_empty() {
            out.emit(test_support::batch(&even));
        }
        Ok(())
    }
}

/// Holds everything until it is flushed.
#[derive(Default)]
struct Hold(Vec<Batch>, Acks);

impl Processor for Hold {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        self.1.push(out.hold(batch.num_records()));
        self.0.push(batch);
        Ok(())
    }

    fn flush(&mut self, _: Flush, out: &mut Outbox) -> Result<(), ProcessError> {
        if let Ok(batch) = Batch::concat(self.0.drain(..)) {
            out.emit_held(batch, std::mem::take(&mut self.1));
        }
        Ok(())
    }
}

macro_rules! stage {
    ($config:ident, $type:literal, $trait:ident, $sharding:expr, $make:expr, $($rest:tt)*) => {
        #[derive(Clone, Debug, Default, Deserialize)]
        struct $config {}

        impl $trait for $config {
            const TYPE: &'static str = $type;
            const EXAMPLE: &'static str = "";
            $($rest)*

            fn sharding(&self) -> Sharding {
                $sharding
            }

            fn build(&self, _: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
                Ok(Box::new($make))
            }
        }
    };
}

stage!(
    EvenConfig,
    "even",
    ProcessorConfig,
    Sharding::Stateless,
    Even,
    const SIGNALS: &'static [Signal] = &[Signal::Logs];
);
stage!(
    HoldConfig,
    "hold",
    ProcessorConfig,
    Sharding::Single,
    Hold::default(),
    const SIGNALS: &'static [Signal] = &[Signal::Logs];
);
stage!(
    CopyConfig,
    "copy",
    ConnectorConfig,
    Sharding::Stateless,
    Copy,
    const PAIRS: &'static [(Signal, Signal)] = &[(Signal::Logs, Signal::Logs)];
);

/// A connector that sends each batch to all of its outputs; here there is one.
struct Copy;

impl Processor for Copy {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        out.emit_to(0, batch);
        Ok(())
    }
}

fn registry() -> Registry {
    Registry::default()
        .receiver::<SourceConfig>()
        .processor::<EvenConfig>()
        .processor::<HoldConfig>()
        .connector::<CopyConfig>()
        .exporter::<SinkConfig>()
}

fn plan(text: &str) -> Plan {
    let source = Source::Yaml(text.to_owned());
    let mut document = config::load(&[source], &[], &|_| None).unwrap();
    let problems = Plan::try_new(&mut document, &registry());
    problems.unwrap_or_else(|problems| panic!("{}", config::render(&problems)))
}

fn problems(text: &str) -> String {
    let source = Source::Yaml(text.to_owned());
    let mut document = config::load(&[source], &[], &|_| None).unwrap();
    match Plan::try_new(&mut document, &registry()) {
        Ok(_) => panic!("it was accepted"),
        Err(problems) => config::render(&problems),
    }
}

/// Steers a sink that an engine is going to have.
fn sink(name: &str, scripted: Scripted) -> Arc<Scripted> {
    let scripted = Arc::new(scripted);
    SINKS.lock().unwrap().insert(name.to_owned(), Arc::clone(&scripted));
    scripted
}

async fn inlet(name: &str) -> Inlet {
    soon(async {
        loop {
            if let Some(inlet) = INLETS.lock().unwrap().get(name) {
                return inlet.clone();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

async fn start(text: &str) -> (Engine, Host) {
    start_with(text, host()).await
}

async fn start_with(text: &str, host: Host) -> (Engine, Host) {
    let engine = Engine::start(&plan(text), host.clone()).await.unwrap();
    (engine, host)
}

async fn stop(engine: Engine, host: &Host) -> crate::telemetry::Balance {
    soon(engine.stop()).await;
    let balance = host.ledger.balance();
    assert!(balance.is_balanced, "{}", balance.to_table());
    assert!(balance.pipelines.values().all(|account| account.in_flight == 0));
    assert!(balance.exporters.values().all(|account| account.in_flight == 0));
    balance
}

/// One pipeline from `name` with `processors` to the sink `name`.
fn one_pipeline(name: &str, processors: &str, service: &str) -> String {
    format!(
        "receivers: {{source: {{name: {name}}}}}
processors: {{even: , even/2: , hold: }}
exporters: {{sink: {{name: {name}}}}}
service: {{{service}pipelines: {{logs: {{receivers: [source], processors: {processors}, \
         exporters: [sink]}}}}}}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_pass_and_what_a_stage_drops_is_counted() {
    let sink = sink("pass", Scripted::default());
    let (engine, host) = start(&one_pipeline("pass", "[even]", "")).await;
    assert_eq!(inlet("pass").await.deliver(batch(&[1, 2, 3, 4])).await, Answer::DELIVERED);
    let balance = stop(engine, &host).await;
    assert_eq!(sink.taken(), [2, 4]);
    let account = &balance.pipelines["logs"];
    assert_eq!((account.received, account.forwarded), (4, 2));
    assert_eq!(account.dropped["even: odd"], 2);
    let accepted =
        host.metrics.counter("otelcol_receiver_accepted_log_records", &[("receiver", "source")]);
    assert_eq!(accepted.get(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_that_makes_a_stage_panic_is_set_aside_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink("panic", Scripted::default());
    let host = Host { data_dir: folder.path().to_owned(), ..host() };
    let (engine, host) = start_with(&one_pipeline("panic", "[even]", ""), host).await;
    let answer = inlet("panic").await.deliver(batch(&[2, 4, 13, 6, 8])).await;
    assert_eq!(answer.outcome, Outcome::Rejected);
    assert_eq!(answer.reason.as_deref(), Some("`even`: cannot process the record"));
    let balance = stop(engine, &host).await;
    let mut taken = sink.taken();
    taken.sort_unstable();
    assert_eq!(taken, [2, 4, 6, 8]);
    assert_eq!(balance.pipelines["logs"].dropped["even: panic"], 1);
    let files: Vec<_> = std::fs::read_dir(folder.path().join("quarantine")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let kept = std::fs::read(files[0].as_ref().unwrap().path()).unwrap();
    assert_eq!(kept, batch(&[13]).merged_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_batch_leaves_nothing_behind() {
    let sink = sink("refused", Scripted::default());
    let (engine, host) = start(&one_pipeline("refused", "[even]", "")).await;
    let answer = inlet("refused").await.deliver(batch(&[2, 99])).await;
    assert_eq!(answer.outcome, Outcome::Rejected);
    let balance = stop(engine, &host).await;
    assert_eq!(sink.taken(), [0_u64; 0]);
    assert_eq!(balance.pipelines["logs"].dropped["even: ninety_nine"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_records_are_answered_at_once_and_let_go_at_the_stop() {
    let sink = sink("hold", Scripted::default());
    let (engine, host) = start(&one_pipeline("hold", "[hold, even]", "")).await;
    let inlet = inlet("hold").await;
    assert_eq!(soon(inlet.deliver(batch(&[2, 3]))).await, Answer::DELIVERED);
    assert_eq!(soon(inlet.deliver(batch(&[4]))).await, Answer::DELIVERED);
    drop(inlet);
    assert_eq!(host.ledger.balance().pipelines["logs"].in_flight, 3);
    stop(engine, &host).await;
    assert_eq!(sink.taken(), [2, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivered_waits_for_what_a_stage_holds() {
    sink("wait", Scripted::default());
    let (engine, host) = start(&one_pipeline("wait", "[hold]", "ack: delivered, ")).await;
    let inlet = inlet("wait").await;
    let client = tokio::spawn(async move { inlet.deliver(batch(&[2])).await });
    soon(async {
        while host.ledger.balance().pipelines.get("logs").is_none_or(|a| a.in_flight == 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!client.is_finished());
    let balance = stop(engine, &host).await;
    assert_eq!(soon(client).await.unwrap(), Answer::DELIVERED);
    assert_eq!(balance.exporters["sink logs"].delivered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connector_begins_another_pipeline() {
    let sink = sink("connect", Scripted::default());
    let (engine, host) = start(
        "receivers: {source: {name: connect}}
processors: {even: }
connectors: {copy: }
exporters: {sink: {name: connect}}
service:
  pipelines:
    logs/in: {receivers: [source], exporters: [copy]}
    logs/out: {receivers: [copy], processors: [even], exporters: [sink]}
",
    )
    .await;
    assert_eq!(inlet("connect").await.deliver(batch(&[1, 2])).await, Answer::DELIVERED);
    let balance = stop(engine, &host).await;
    assert_eq!(sink.taken(), [2]);
    assert_eq!(balance.pipelines["copy"].forwarded, 2);
    assert_eq!(balance.pipelines["logs/out"].received, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worst_of_several_exporters_decides_and_the_others_have_it() {
    let good = sink("good", Scripted::default());
    sink("bad", Scripted::with([Step::Reject]));
    let (engine, host) = start(
        "receivers: {source: {name: several}}
exporters:
  sink/good: {name: good, sending_queue: {enabled: false}}
  sink/bad: {name: bad, sending_queue: {enabled: false}}
service:
  pipelines:
    logs: {receivers: [source], exporters: [sink/good, sink/bad]}
",
    )
    .await;
    let answer = inlet("several").await.deliver(batch(&[2])).await;
    assert_eq!(answer.outcome, Outcome::Rejected);
    stop(engine, &host).await;
    assert_eq!(good.taken(), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exporter_that_hangs_does_not_keep_the_agent_from_stopping() {
    sink("hang", Scripted::with([Step::Hang]));
    let text = one_pipeline("hang", "[]", "shutdown_timeout: 50ms, ");
    let (engine, host) = start(&text).await;
    assert_eq!(inlet("hang").await.deliver(batch(&[2])).await, Answer::DELIVERED);
    let balance = stop(engine, &host).await;
    assert_eq!(balance.exporters["sink logs"].dropped["shutdown"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stages_make_is_charged_while_it_waits() {
    sink("charged", Scripted::with([Step::Hang]));
    let text = one_pipeline("charged", "[even]", "shutdown_timeout: 50ms, ");
    let (engine, host) = start(&text).await;
    assert_eq!(inlet("charged").await.deliver(batch(&[1, 2])).await, Answer::DELIVERED);
    assert_eq!(host.budget.accounts(), [("batches", batch(&[2]).size_bytes())]);
    stop(engine, &host).await;
    assert_eq!(host.budget.used_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_batches_from_many_clients_all_arrive() {
    let sink = sink("many", Scripted::default());
    let text = one_pipeline("many", "[even, hold, even/2]", "");
    let (engine, host) = start(&text).await;
    let inlet = inlet("many").await;
    let clients: Vec<_> = (0..8_u64)
        .map(|client| {
            let inlet = inlet.clone();
            tokio::spawn(async move {
                for number in 0..50 {
                    let time = client * 1000 + number * 2 + 100;
                    assert_eq!(inlet.deliver(batch(&[time, 1])).await, Answer::DELIVERED);
                }
            })
        })
        .collect();
    for client in clients {
        soon(client).await.unwrap();
    }
    drop(inlet);
    stop(engine, &host).await;
    let mut taken = sink.taken();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 400);
}

#[test]
fn unknown_type_is_named_with_what_is_near() {
    let text =
        one_pipeline("x", "[evn]", "").replace("{even: , even/2: , hold: }", "{evn: , sink: }");
    let problems = problems(&text);
    assert!(problems.contains("unknown processor `evn`"), "{problems}");
    assert!(problems.contains("did you mean `even`?"), "{problems}");
    assert!(problems.contains("unknown processor `sink`"), "{problems}");
    assert!(problems.contains("`sink` is an exporter"), "{problems}");
}

#[test]
fn signal_that_a_component_lacks_is_an_error() {
    let text = one_pipeline("x", "[even]", "").replace("{logs:", "{traces:");
    let problems = problems(&text);
    assert!(problems.contains("the receiver `source` does not support traces"), "{problems}");
    assert!(problems.contains("the processor `even` does not support traces"), "{problems}");
    assert!(problems.contains("the exporter `sink` does not support traces"), "{problems}");
}

#[test]
fn written_driver_keys_stand_over_the_exporters_own_defaults() {
    let text = "receivers: {source: {name: x}}
exporters: {sink: {name: x, timeout: 7s, retry_on_failure: {max_interval: 9s}, \
                sending_queue: {queue_size: 5}}}
service: {pipelines: {logs: {receivers: [source], exporters: [sink]}}}
";
    let plan = plan(text);
    let driver = &plan.exporters.values().next().unwrap().loaded.driver;
    assert_eq!(driver.timeout, Duration::from_secs(7));
    assert_eq!(driver.retry.initial_interval, config::Duration::from_millis(1));
    assert_eq!(driver.retry.max_interval, config::Duration::from_secs(9));
    assert_eq!((driver.queue.queue_size, driver.queue.num_consumers.get()), (5, 10));
}

#[test]
fn queue_of_some_exporters_cannot_be_kept_on_disk() {
    let text = "receivers: {source: {name: x}}
exporters: {sink: {name: x, sending_queue: {storage: file_storage}}}
service: {pipelines: {logs: {receivers: [source], exporters: [sink]}}}
";
    let problems = problems(text);
    assert!(problems.contains("the queue of this exporter cannot be kept on disk"), "{problems}");
}
