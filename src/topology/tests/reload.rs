//! Another plan in the place of the one that runs.

use std::io::{self, Read, Write};

use super::*;
use crate::component::{ExportError, Held, Prepared, Request, RestoreError, Sent};
use crate::topology::{Changes, ReloadError, changes};

/// Passes on, instead of each batch, how many it has seen; knows that also after a reload.
struct Tally(u64);

impl Processor for Tally {
    fn process(&mut self, _: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        self.0 += 1;
        out.emit(batch(&[self.0]));
        Ok(())
    }

    fn save(&self, to: &mut dyn Write) -> io::Result<()> {
        to.write_all(&self.0.to_le_bytes())
    }

    fn restore(&mut self, from: &mut dyn Read, _: u32) -> Result<(), RestoreError> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes)?;
        self.0 = u64::from_le_bytes(bytes);
        Ok(())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TallyConfig {
    name: String,
}

impl ProcessorConfig for TallyConfig {
    const TYPE: &'static str = "tally";
    const EXAMPLE: &'static str = "name: a";
    const SIGNALS: &'static [Signal] = &[Signal::Logs];

    fn sharding(&self) -> Sharding {
        Sharding::Single
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let _ = &self.name;
        Ok(Box::new(Tally(0)))
    }
}

/// An exporter that cannot be started.
struct Bad;

#[async_trait]
impl Exporter for Bad {
    async fn start(&self) -> Result<Held, ExportError> {
        Err(ExportError::Rejected { source: "it is bad".into() })
    }

    fn prepare(&self, batch: Batch) -> Prepared {
        Prepared::whole(batch)
    }

    async fn send(&self, _: &Request) -> Result<Sent, ExportError> {
        Ok(Sent::DURABLE)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
struct BadConfig {}

impl ExporterConfig for BadConfig {
    const TYPE: &'static str = "bad";
    const EXAMPLE: &'static str = "";
    const SIGNALS: &'static [Signal] = &[Signal::Logs];

    fn build(&self, _: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        Ok(Arc::new(Bad))
    }
}

fn reloadable(text: &str) -> Plan {
    let source = Source::Yaml(text.to_owned());
    let mut document = config::load(&[source], &[], &|_| None).unwrap();
    let registry = registry().processor::<TallyConfig>().exporter::<BadConfig>();
    let planned = Plan::try_new(&mut document, &registry);
    planned.unwrap_or_else(|problems| panic!("{}", config::render(&problems)))
}

async fn run(text: &str) -> Engine {
    Engine::start(&reloadable(text), host()).await.unwrap()
}

async fn reload(engine: &mut Engine, text: &str) -> Result<Changes, ReloadError> {
    soon(engine.reload(&reloadable(text))).await
}

/// A pipeline from a source to a sink, both called `name`, with processors between.
fn pipeline(name: &str, processors: &str) -> String {
    format!(
        "
receivers: {{source: {{name: {name}}}}}
processors: {{even: {{}}, hold: {{}}, tally: {{}}}}
exporters: {{sink: {{name: {name}}}}}
service: {{pipelines: {{logs: {{receivers: [source], processors: {processors}, exporters: [sink]}}}}}}
"
    )
}

async fn until_taken(sink: &Scripted, expected: &[u64]) {
    soon(async {
        loop {
            let mut taken = sink.taken();
            taken.sort_unstable();
            if taken == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn receiver_goes_on_before_other_processors() {
    let sink = sink("reload-kept", Scripted::default());
    let mut engine = run(&pipeline("reload-kept", "[even]")).await;
    let inlet = inlet("reload-kept").await;
    assert_eq!(inlet.deliver(batch(&[1, 2])).await, Answer::DELIVERED);
    let same = reload(&mut engine, &pipeline("reload-kept", "[even]")).await.unwrap();
    assert!(same.is_empty(), "{same:?}");
    let changes = reload(&mut engine, &pipeline("reload-kept", "[]")).await.unwrap();
    assert_eq!(changes.changed, ["service::pipelines::logs"]);
    let kept: Vec<&str> = changes.kept.iter().map(String::as_str).collect();
    assert!(kept.contains(&"receivers::source") && kept.contains(&"exporters::sink"), "{kept:?}");
    assert_eq!(inlet.deliver(batch(&[3, 4])).await, Answer::DELIVERED);
    until_taken(&sink, &[2, 3, 4]).await;
    drop(inlet);
    soon(engine.stop()).await;
}

#[tokio::test]
async fn what_a_stage_holds_goes_out_and_what_it_knows_goes_on() {
    let sink = sink("reload-hold", Scripted::default());
    let mut engine = run(&pipeline("reload-hold", "[hold]")).await;
    let inlet = inlet("reload-hold").await;
    assert_eq!(inlet.deliver(batch(&[7])).await, Answer::DELIVERED);
    assert_eq!(sink.taken(), [0; 0]);
    reload(&mut engine, &pipeline("reload-hold", "[tally]")).await.unwrap();
    until_taken(&sink, &[7]).await;
    assert_eq!(inlet.deliver(batch(&[50])).await, Answer::DELIVERED);
    let renamed = pipeline("reload-hold", "[tally]").replace("tally: {}", "tally: {name: b}");
    let changes = reload(&mut engine, &renamed).await.unwrap();
    assert_eq!(changes.changed, ["processors::tally", "service::pipelines::logs"]);
    assert_eq!(inlet.deliver(batch(&[60])).await, Answer::DELIVERED);
    until_taken(&sink, &[1, 2, 7]).await;
    drop(inlet);
    soon(engine.stop()).await;
}

#[tokio::test]
async fn what_a_stage_knows_is_kept_from_a_stop_to_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink("reload-state", Scripted::default());
    let plan = reloadable(&pipeline("reload-state", "[tally]"));
    for _ in 0..3 {
        let host = Host { data_dir: folder.path().join("data"), ..host() };
        let engine = Engine::start(&plan, host).await.unwrap();
        let inlet = inlet("reload-state").await;
        assert_eq!(inlet.deliver(batch(&[100])).await, Answer::DELIVERED);
        drop(inlet);
        soon(engine.stop()).await;
    }
    until_taken(&sink, &[1, 2, 3]).await;
    // What cannot be read is told and left out.
    std::fs::write(folder.path().join("data/stages.json"), "{}").unwrap();
    let host = Host { data_dir: folder.path().join("data"), ..host() };
    let engine = Engine::start(&plan, host).await.unwrap();
    assert!(!folder.path().join("data/stages.json").exists());
    soon(engine.stop()).await;
}

#[tokio::test]
async fn what_waits_for_an_exporter_goes_to_the_next_and_what_it_sends_stays() {
    let before = sink("reload-before", Scripted::with(vec![Step::Fail; 200]));
    let after = sink("reload-after", Scripted::default());
    let text = |name: &str| {
        format!(
            "
receivers: {{source: {{name: reload-queue}}}}
exporters:
  sink:
    name: {name}
    sending_queue: {{num_consumers: 1}}
    retry_on_failure: {{initial_interval: 1ms, max_interval: 1ms}}
service: {{pipelines: {{logs: {{receivers: [source], exporters: [sink]}}}}}}
"
        )
    };
    let mut engine = run(&text("reload-before")).await;
    let inlet = inlet("reload-queue").await;
    for time in 1..=4 {
        assert_eq!(inlet.deliver(batch(&[time])).await, Answer::DELIVERED);
    }
    soon(async {
        while before.attempts.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    reload(&mut engine, &text("reload-after")).await.unwrap();
    until_taken(&after, &[2, 3, 4]).await;
    until_taken(&before, &[1]).await;
    drop(inlet);
    soon(engine.stop()).await;
}

#[tokio::test]
async fn what_cannot_be_started_changes_nothing() {
    let sink = sink("reload-bad", Scripted::default());
    let good = pipeline("reload-bad", "[even]");
    let mut engine = run(&good).await;
    let inlet = inlet("reload-bad").await;
    let bad = good
        .replace("exporters: {sink", "exporters: {bad: {}, sink")
        .replace("exporters: [sink]", "exporters: [sink, bad]")
        .replace("[even]", "[]");
    let error = reload(&mut engine, &bad).await.unwrap_err();
    assert!(matches!(error, ReloadError::RolledBack(_)), "{error}");
    assert_eq!(inlet.deliver(batch(&[1, 2])).await, Answer::DELIVERED);
    until_taken(&sink, &[2]).await;
    reload(&mut engine, &good).await.unwrap();
    drop(inlet);
    soon(engine.stop()).await;
}

#[tokio::test]
async fn requests_wait_while_pipelines_are_replaced() {
    let sink = sink("reload-load", Scripted::default());
    let mut engine = run(&pipeline("reload-load", "[]")).await;
    let inlet = inlet("reload-load").await;
    let client = tokio::spawn({
        let inlet = inlet.clone();
        async move {
            for time in 1..=300 {
                assert_eq!(inlet.deliver(batch(&[2 * time])).await, Answer::DELIVERED);
                tokio::task::yield_now().await;
            }
        }
    });
    for turn in 0..20 {
        let processors = if turn % 2 == 0 { "[even]" } else { "[]" };
        reload(&mut engine, &pipeline("reload-load", processors)).await.unwrap();
    }
    soon(client).await.unwrap();
    until_taken(&sink, &(1..=300).map(|time| 2 * time).collect::<Vec<_>>()).await;
    drop(inlet);
    soon(engine.stop()).await;
}

#[tokio::test]
async fn pipelines_and_receivers_come_and_go() {
    let [first, second] = ["reload-one", "reload-two"].map(|name| sink(name, Scripted::default()));
    let one = pipeline("reload-one", "[]");
    let both = "
receivers: {source: {name: reload-one}, source/2: {name: reload-two}}
processors: {even: {}, hold: {}, tally: {}}
exporters: {sink: {name: reload-one}, sink/2: {name: reload-two}}
connectors: {copy: {}}
service:
  pipelines:
    logs: {receivers: [source], exporters: [sink]}
    logs/2: {receivers: [source/2], exporters: [copy]}
    logs/3: {receivers: [copy], processors: [even], exporters: [sink/2]}
";
    let mut engine = run(&one).await;
    let changes = reload(&mut engine, both).await.unwrap();
    assert_eq!(changes.added.len(), 5, "{changes:?}");
    assert_eq!(inlet("reload-two").await.deliver(batch(&[1, 2])).await, Answer::DELIVERED);
    assert_eq!(inlet("reload-one").await.deliver(batch(&[3])).await, Answer::DELIVERED);
    until_taken(&second, &[2]).await;
    let changes = reload(&mut engine, &one).await.unwrap();
    assert_eq!(changes.removed.len(), 5, "{changes:?}");
    assert!(!INLETS.lock().unwrap().contains_key("reload-two"));
    assert_eq!(inlet("reload-one").await.deliver(batch(&[4])).await, Answer::DELIVERED);
    until_taken(&first, &[3, 4]).await;
    soon(engine.stop()).await;
}

#[test]
fn what_stays_until_the_next_start_is_named() {
    let text = pipeline("reload-fixed", "[]");
    let other =
        format!("{text}\n").replace("service: {", "service: {ack: delivered, data_dir: x, ");
    let problems = changes(&reloadable(&text), &reloadable(&other)).unwrap_err();
    let text = config::render(&problems);
    assert!(text.contains("`service::ack` cannot be changed while the agent runs"), "{text}");
    assert!(text.contains("`service::data_dir`"), "{text}");
}
