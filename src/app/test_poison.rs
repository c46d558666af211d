//! The whole agent, killed by what it executes: what kills it is set aside after the designed number of
//! deaths, and everything else arrives once.
//!
//! The tests start themselves as processes of their own: those have a folder in their environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::test_power_cuts::{INLETS, RECORDS, SOON, SourceConfig, archived, indexed, request};
use crate::component::{
    BuildContext, BuildError, Extensions, Host, Outbox, Outcome, ProcessError, Processor,
    ProcessorConfig, Sharding,
};
use crate::components;
use crate::config::{self, Source};
use crate::data::{Batch, Context, DoorLimits, Signal, Value};
use crate::telemetry::{Clock, Ledger, Metrics, Status};
use crate::topology::{self, Engine, Plan};

/// What tells a process that it is one to die; its folder.
const FOLDER: &str = "CATCHMENT_TEST_POISON_FOLDER";

/// Its processors.
const PROCESSORS: &str = "CATCHMENT_TEST_POISON_PROCESSORS";

/// Set if it is to die as soon as everything is stored.
const DIES_ANYWAY: &str = "CATCHMENT_TEST_POISON_DIES";

/// The test that is run in such a process.
const TEST: &str = "app::test_poison::request_that_kills_is_set_aside_after_four_deaths_and_all_others_arrive_once";

/// Requests, and the one that kills.
const REQUESTS: u64 = 12;
const DEADLY: u64 = 7;

/// Kills the process when it sees the deadly request.
struct Deadly;

impl Processor for Deadly {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        let is_deadly =
            |body| matches!(body, Value::Int(body) if body == (DEADLY * RECORDS).cast_signed());
        if batch.logs().items().any(|item| is_deadly(item.record.body())) {
            process::abort();
        }
        out.emit(batch);
        Ok(())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
struct DeadlyConfig {}

impl ProcessorConfig for DeadlyConfig {
    const TYPE: &'static str = "deadly";
    const EXAMPLE: &'static str = "";
    const SIGNALS: &'static [Signal] = &[Signal::Logs];

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        Ok(Box::new(Deadly))
    }
}

fn plan(processors: &str) -> Plan {
    let text = format!(
        "
receivers: {{source: {{}}}}
processors: {{batch: {{timeout: 300ms}}, batch/long: {{timeout: 5s}}, deadly: }}
exporters:
  parquet: {{rotation: {{max_age: 20ms}}}}
  logindex: {{commit_interval: 20ms, memory: 16MiB}}
extensions: {{journal: {{segment_size: 1MiB, dedup_window: 1h}}}}
service:
  extensions: [journal]
  pipelines: {{logs: {{receivers: [source], processors: {processors}, exporters: [parquet, logindex]}}}}
"
    );
    let source = Source::Embedded { name: "test.yaml".to_owned(), text };
    let mut document = config::load(&[source], &[], &|_| None).unwrap();
    let registry = components::builtin().receiver::<SourceConfig>().processor::<DeadlyConfig>();
    Plan::try_new(&mut document, &registry).unwrap()
}

/// The numbers of requests that were answered with OK, by any process.
fn stored(folder: &Path) -> BTreeSet<u64> {
    let text = fs::read_to_string(folder.join("stored")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// What a process does that may die: sends what was not answered yet, and ends when everything has
/// arrived.
async fn live(folder: &Path, processors: &str, dies_anyway: bool) {
    let plan = plan(processors);
    let clock = Clock::system();
    let host = Host {
        metrics: Metrics::default(),
        status: Status::new(clock.clone()),
        ledger: Ledger::default(),
        clock,
        budget: topology::budget(&plan),
        data_dir: folder.to_owned(),
        extensions: Extensions::default(),
    };
    let engine = Engine::start(&plan, host).await.unwrap_or_else(|error| panic!("{error:?}"));
    let inlet = loop {
        if let Some(inlet) = INLETS.lock().unwrap().get(folder).cloned() {
            break inlet;
        }
        sleep(Duration::from_millis(1)).await;
    };
    let stored = stored(folder);
    let mut file =
        OpenOptions::new().create(true).append(true).open(folder.join("stored")).unwrap();
    for number in (0..REQUESTS).filter(|number| !stored.contains(number)) {
        let answer = inlet.deliver(request(number, inlet.now())).await;
        assert_eq!(answer.outcome, Outcome::Delivered);
        writeln!(file, "{number}").unwrap();
    }
    if dies_anyway {
        // Now nothing is executed any more.
        sleep(Duration::from_millis(500)).await;
        process::abort();
    }
    let open = engine.host().metrics.gauge("catchment_journal_open_entries", &[]);
    while open.get() > 0.5 {
        sleep(Duration::from_millis(2)).await;
    }
    drop(inlet);
    engine.stop().await;
}

/// Runs a process in a folder; whether it ended well.
fn run(folder: &Path, processors: &str, dies_anyway: bool) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env(PROCESSORS, processors);
    if dies_anyway {
        command.env(DIES_ANYWAY, "1");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code().is_none(), !output.status.success(), "it fails: {text}");
    assert!(text.contains("running 1 test"), "{text}");
    output.status.success()
}

/// In a process that [`run`] started, does its work.
async fn is_child() -> bool {
    let (Some(folder), Ok(processors)) = (std::env::var_os(FOLDER), std::env::var(PROCESSORS))
    else {
        return false;
    };
    let folder = PathBuf::from(folder);
    let living = live(&folder, &processors, std::env::var_os(DIES_ANYWAY).is_some());
    timeout(SOON, living).await.expect("it comes to an end");
    true
}

/// What arrived: all records once but those of some requests.
fn assert_arrived_but(folder: &Path, missing: &[u64]) {
    let expected = (0..REQUESTS).filter(|number| !missing.contains(number));
    let expected = expected.flat_map(|number| number * RECORDS..(number + 1) * RECORDS);
    let expected: BTreeMap<i64, u32> = expected.map(|body| (body.cast_signed(), 1)).collect();
    assert_eq!(archived(&folder.join("archive")), expected);
    assert_eq!(indexed(&folder.join("index")), expected);
}

/// Requests that were set aside, by the names of their files.
fn set_aside(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder.join("quarantine")).into_iter().flatten();
    let named = files.map(|file| {
        let file = file.unwrap();
        (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())
    });
    named.collect()
}

/// Lets processes die until one does not; how many did.
fn num_deaths(folder: &Path, processors: &str) -> usize {
    (0..10).find(|_| run(folder, processors, false)).expect("one lives")
}

/// The deadly request is set aside whole, and named; all others are where they belong.
fn assert_only_deadly_is_set_aside(folder: &Path) {
    assert_eq!(stored(folder).len() as u64, REQUESTS);
    assert_arrived_but(folder, &[DEADLY]);
    let set_aside = set_aside(folder);
    assert_eq!(set_aside.len(), 1);
    let (name, bytes) = set_aside.into_iter().next().unwrap();
    assert!(name.contains("-deadly-"), "{name}");
    let context = Arc::new(Context::default());
    let kept = Batch::try_new(Signal::Logs, bytes.into(), context, &DoorLimits::NONE).unwrap();
    let expected = request(DEADLY, crate::data::Time::default());
    assert_eq!(kept.batch.merged_bytes(), expected.merged_bytes());
    // Nothing is known any more of an entry that is closed.
    assert!(run(folder, "[deadly]", false));
    assert!(!folder.join("journal/deaths.json").exists());
}

fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_that_kills_is_set_aside_after_four_deaths_and_all_others_arrive_once() {
    if is_child().await {
        return;
    }
    let folder = folder();
    // Three with others beside it, one alone.
    assert_eq!(num_deaths(folder.path(), "[deadly]"), 4);
    assert_only_deadly_is_set_aside(folder.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_requests_that_are_joined_the_one_that_kills_is_found() {
    let folder = folder();
    assert_eq!(num_deaths(folder.path(), "[batch, deadly]"), 4);
    assert_only_deadly_is_set_aside(folder.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_or_open_at_deaths_is_not_accused() {
    let folder = folder();
    for _ in 0..5 {
        assert!(!run(folder.path(), "[batch/long]", true));
        assert!(!folder.path().join("journal/deaths.json").exists());
    }
    assert_eq!(stored(folder.path()).len() as u64, REQUESTS);
    assert!(run(folder.path(), "[batch]", false));
    assert_arrived_but(folder.path(), &[]);
    assert!(set_aside(folder.path()).is_empty());
}
