//! The whole agent on a disk whose power fails: what a client was told to be stored is in the archive
//! and in the index, once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::component::{
    BuildContext, BuildError, Extensions, Host, Inlet, Outcome, Receiver, ReceiverConfig, RunError,
};
use crate::components;
use crate::config::{self, Source};
use crate::data::{Batch, Context, LogsBuilder, Signal, Time, Value};
use crate::storage::files::test_power::Power;
use crate::storage::logindex::{Allowance, Filter, Order, Patience, Search, read_at_rest};
use crate::storage::parquet::FileReader;
use crate::telemetry::{Clock, Ledger, Metrics, Status};
use crate::topology::{self, Engine, Plan};

const FILE: &str = "
receivers: {source: {}}
exporters:
  parquet: {rotation: {max_age: 20ms}}
  logindex: {commit_interval: 20ms, memory: 16MiB}
extensions: {journal: {segment_size: 1MiB, dedup_window: 1h}}
service:
  extensions: [journal]
  pipelines: {logs: {receivers: [source], exporters: [parquet, logindex]}}
";

/// More than anything takes, however busy the machine is.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// Requests of one client, records of one request, and clients.
const REQUESTS: u64 = 12;
pub(super) const RECORDS: u64 = 3;
const CLIENTS: u64 = 4;

/// So many cuts are made of what one agent did.
const CUTS_PER_RUN: usize = 25;

/// What is added to the number of a request when it is sent; when it is answered, it is not.
const SENT: u64 = 1 << 32;

/// The ways into the agents that run, by their data directories.
pub(super) static INLETS: LazyLock<Mutex<BTreeMap<PathBuf, Inlet>>> = LazyLock::new(Mutex::default);

#[derive(Clone, Debug, Deserialize)]
pub(super) struct SourceConfig {}

struct TestSource(PathBuf);

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
    const EXAMPLE: &'static str = "{}";
    const SIGNALS: &'static [Signal] = &[Signal::Logs];

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(TestSource(context.host.data_dir.clone())))
    }
}

/// An agent on a folder, whose changes are recorded.
struct Agent {
    engine: Engine,
    inlet: Inlet,
    power: Power,
}

impl Agent {
    async fn start(folder: &Path) -> Self {
        let power = Power::record(folder);
        let source = Source::Embedded { name: "test.yaml".to_owned(), text: FILE.to_owned() };
        let mut document = config::load(&[source], &[], &|_| None).unwrap();
        let registry = components::builtin().receiver::<SourceConfig>();
        let plan = Plan::try_new(&mut document, &registry).unwrap();
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
        Self { engine, inlet, power }
    }

    /// Sends a request until it is stored, and notes both.
    async fn send(inlet: &Inlet, power: &Power, number: u64) {
        power.note(SENT + number);
        loop {
            let answer = inlet.deliver(request(number, inlet.now())).await;
            match answer.outcome {
                Outcome::Delivered => break,
                Outcome::Retry => sleep(Duration::from_millis(5)).await,
                Outcome::Rejected => panic!("{answer:?}"),
            }
        }
        power.note(number);
    }

    /// Waits until nothing is under way any more, and stops.
    async fn stop(self) -> Power {
        let open = self.engine.host().metrics.gauge("catchment_journal_open_entries", &[]);
        let is_done = async {
            while open.get() > 0.5 {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(SOON, is_done).await.expect("all entries are done with");
        drop(self.inlet);
        timeout(SOON, self.engine.stop()).await.expect("the engine stops");
        self.power.end();
        self.power
    }
}

/// The records of a request: their bodies are numbers that no others have.
pub(super) fn request(number: u64, arrived: Time) -> Batch {
    let mut builder = LogsBuilder::new();
    let padding = "x".repeat(usize::try_from(number % 7 * 900).unwrap());
    for record in 0..RECORDS {
        builder.record(|log| {
            log.time(Time::from_unix_nanos(1 + number));
            log.body(Value::Int(i64::try_from(number * RECORDS + record).unwrap()));
            log.attribute("padding", Value::Str(&padding));
        });
    }
    builder.finish(Arc::new(Context { arrived, ..Context::default() }))
}

/// Lets clients send beside one another while an agent runs; what it did.
async fn run(folder: &Path) -> Power {
    let agent = Agent::start(folder).await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (inlet, power) = (agent.inlet.clone(), agent.power.clone());
            tokio::spawn(async move {
                for number in 0..REQUESTS {
                    Agent::send(&inlet, &power, client * REQUESTS + number).await;
                    sleep(Duration::from_millis(number * client % 11)).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    agent.stop().await
}

fn count(found: &mut BTreeMap<i64, u32>, body: Value<'_>) {
    let Value::Int(number) = body else { panic!("a body is {body:?}") };
    *found.entry(number).or_default() += 1;
}

/// How often each record is in the archive.
pub(super) fn archived(folder: &Path) -> BTreeMap<i64, u32> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((!path.ends_with(".temporary")).then_some(path));
                continue;
            }
            for batch in FileReader::try_new(File::open(&path).unwrap(), 1000).unwrap() {
                for item in batch.unwrap().logs().items() {
                    count(&mut found, item.record.body());
                }
            }
        }
    }
    found
}

/// How often each record is in the index.
pub(super) fn indexed(folder: &Path) -> BTreeMap<i64, u32> {
    let mut found = BTreeMap::new();
    let at_rest = read_at_rest(folder).unwrap();
    assert!(at_rest.left_out.is_empty(), "{:?}", at_rest.left_out);
    let search = Search {
        filter: Filter::All,
        time: 0..i64::MAX,
        order: Order::NewestFirst,
        limit: usize::MAX >> 1,
        patience: Patience::default(),
        allowance: Allowance::default(),
    };
    for source in at_rest.snapshot.into_sources() {
        for hit in source.search(&search, None).unwrap() {
            count(&mut found, hit.found.record().body());
        }
    }
    found
}

/// The requests that are noted as sent, and as stored.
fn noted(notes: &[u64]) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (sent, stored): (Vec<_>, Vec<_>) = notes.iter().partition(|note| **note >= SENT);
    (sent.into_iter().map(|note| note - SENT).collect(), stored.into_iter().collect())
}

/// Changes a bit in a file of a journal; answers whether there is one. That costs a request, of
/// those that were stored last at the same time maybe all, or what is known of some: those may come
/// twice.
fn flip_bit(journal: &Path, random: &mut SmallRng) -> bool {
    let Ok(files) = fs::read_dir(journal) else { return false };
    let segments = files.map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> =
        segments.filter(|path| path.extension().is_some_and(|name| name == "log")).collect();
    segments.sort();
    let Some(path) = segments.get(random.random_range(0..segments.len().max(1))) else {
        return false;
    };
    let mut bytes = fs::read(path).unwrap();
    let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return false };
    bytes[random.random_range(0..=last)] ^= 1 << random.random_range(0..8);
    fs::write(path, bytes).unwrap();
    true
}

/// Cuts the power of an agent, maybe again while the next one recovers, and looks what is there when
/// a last one is done.
async fn cut(power: &Power, seed: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut data = folder();
    let num_changes = random.random_range(power.moments());
    power.cut(num_changes, random.random(), data.path());
    let (sent, mut stored) = noted(&power.notes(num_changes));
    let unanswered: Vec<u64> = sent.difference(&stored).copied().collect();
    if random.random_bool(0.3) {
        let again = Agent::start(data.path()).await.stop().await;
        let num_changes = random.random_range(again.moments());
        let next = folder();
        again.cut(num_changes, random.random(), next.path());
        data = next;
    }
    let is_damaged =
        random.random_bool(0.15) && flip_bit(&data.path().join("journal"), &mut random);
    let agent = Agent::start(data.path()).await;
    // Clients ask again for what was not answered; some give up.
    for number in unanswered {
        if random.random_bool(0.7) {
            Agent::send(&agent.inlet, &agent.power, number).await;
            stored.insert(number);
        }
    }
    agent.stop().await;
    let places = [
        ("archive", archived(&data.path().join("archive"))),
        ("index", indexed(&data.path().join("index"))),
    ];
    for (place, found) in places {
        let is_found = |record: &u64| found.contains_key(&i64::try_from(*record).unwrap());
        let expected = stored.iter().flat_map(|number| number * RECORDS..(number + 1) * RECORDS);
        let missing: Vec<u64> = expected.filter(|record| !is_found(record)).collect();
        let repeated: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
        let kept = data.path().display();
        if is_damaged {
            assert!(
                missing.len() as u64 <= RECORDS * CLIENTS,
                "seed {seed}: {place} lacks {missing:?}"
            );
            continue;
        }
        assert!(
            missing.is_empty() && repeated.is_empty(),
            "seed {seed}, {kept}: {place} lacks {missing:?}, has more than once {repeated:?}"
        );
    }
}

/// A folder in memory where there is one: real disks take their time to sync.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

/// `CATCHMENT_SEEDS` says how many cuts; 200.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_in_archive_and_index_once_after_power_cuts() {
    let seeds = std::env::var("CATCHMENT_SEEDS").map_or(200, |seeds| seeds.parse().unwrap());
    for first in (0..seeds).step_by(CUTS_PER_RUN) {
        let folder = folder();
        let power = run(folder.path()).await;
        let seeds = first as u64..seeds.min(first + CUTS_PER_RUN) as u64;
        let cut = |seed| {
            let power = power.clone();
            async move { tokio::spawn(async move { cut(&power, seed).await }).await.unwrap() }
        };
        stream::iter(seeds.map(cut)).buffer_unordered(16).collect::<()>().await;
    }
}
