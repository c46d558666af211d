//! A driver whose queue is on disk, in part or as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::super::super::test_support::times;
use super::*;
use crate::component::{
    EntryPromise, EntryWatch, ExportError, ExtensionConfig as _, Listeners, Outstanding, Payload,
    Request, Sent,
};
use crate::config::{Node, from_node};
use crate::data::{Context, EntryId, Time};
use crate::extensions::journal::FileStorageConfig;
use crate::storage::files::test_power::Power;

/// A driver for one consumer with a spool in a folder.
async fn start_in(folder: &Path, exporter: Scripted, storage: &str, is_early: bool) -> Bench {
    start_with(folder, exporter, storage, is_early, one_consumer()).await
}

async fn start_with(
    folder: &Path,
    exporter: Scripted,
    storage: &str,
    is_early: bool,
    settings: DriverSettings,
) -> Bench {
    let host = host();
    let spool = open(folder, storage, &host).await;
    let around = Around { answers_early: is_early, spool: Some(spool), ..Around::default() };
    start_on(host, exporter, settings, around)
}

async fn open(folder: &Path, storage: &str, host: &Host) -> OpenSpool {
    let text = format!("{{directory: {}, segment_size: 1MiB, {storage}}}", folder.display());
    let node = Node::parse("x.yaml", &text).unwrap();
    let config: FileStorageConfig = from_node(&node, "file_storage").unwrap();
    let extension = config.build(host).unwrap();
    extension.start(&Listeners::default(), host).await.unwrap();
    let storage = extension.storage().unwrap();
    let id: ComponentId = "scripted".parse().unwrap();
    let spool = storage.open(&id, Signal::Logs, host).await.unwrap();
    (spool, storage.extent().unwrap_or(Extent::All))
}

fn one_consumer() -> DriverSettings {
    let mut settings = settings();
    settings.queue.num_consumers = std::num::NonZeroUsize::MIN;
    settings
}

fn spool_of(folder: &Path) -> PathBuf {
    folder.join("exporter_scripted__logs")
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(spool_of(folder)).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

fn hanging() -> Scripted {
    Scripted::with(vec![Step::Hang; 100])
}

impl Bench {
    fn gauge(&self, family: &str) -> f64 {
        let labels = [("exporter", "scripted"), ("data_type", "logs")];
        self.host.metrics.gauge(family, &labels).get()
    }

    async fn until_taken(&self, num_records: usize) {
        soon(async {
            while self.exporter.taken().len() < num_records {
                tokio::time::sleep(StdDuration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// Stops, for the deadline has come; gives records delivered, kept and dropped, by reason.
    async fn cut_short(self) -> (u64, u64, Vec<(String, u64)>) {
        self.driver.abort_token().cancel();
        let host = self.host.clone();
        let (_, delivered, dropped) = self.stop().await;
        (delivered, host.ledger.balance().exporters["scripted logs"].kept, dropped)
    }
}

/// Records of a size, of which only the first time counts.
fn large(time: u64) -> Batch {
    let many: Vec<u64> = (0..20_000).map(|_| time).collect();
    batch(&many)
}

#[tokio::test]
async fn answered_records_outlive_the_driver_and_leave_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let bench = start_in(folder.path(), hanging(), "", true).await;
    for time in 1..=30 {
        assert_eq!(bench.send(&[time]).await.outcome, Outcome::Delivered);
    }
    assert_eq!(bench.gauge("catchment_spool_open_entries"), 30.0);
    assert_eq!(bench.cut_short().await, (0, 30, vec![]));
    let bench = start_in(folder.path(), Scripted::default(), "", true).await;
    assert_eq!(bench.send(&[31]).await.outcome, Outcome::Delivered);
    bench.until_taken(31).await;
    let (exporter, delivered, dropped) = bench.stop().await;
    assert_eq!(exporter.taken(), (1..=31).collect::<Vec<_>>());
    assert_eq!((delivered, dropped), (31, vec![]));
    let bench = start_in(folder.path(), Scripted::default(), "", true).await;
    let (exporter, delivered, _) = bench.stop().await;
    assert_eq!((exporter.taken(), delivered), (vec![], 0));
}

#[tokio::test]
async fn what_memory_has_no_room_for_waits_on_disk_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = one_consumer();
    settings.queue.queue_size = 3;
    let steps = (0..400).map(|step| if step % 3 == 0 { Step::Take } else { Step::Fail });
    let exporter = Scripted::with(steps);
    let bench = start_with(folder.path(), exporter, "store: overflow", true, settings).await;
    for time in 1..=100 {
        assert_eq!(bench.send(&[time]).await.outcome, Outcome::Delivered);
    }
    let labels = [("exporter", "scripted"), ("data_type", "logs")];
    let appended = bench.host.metrics.counter("catchment_spool_appended_entries", &labels).get();
    assert!((1..100).contains(&appended), "{appended}");
    bench.until_taken(100).await;
    let (exporter, delivered, dropped) = bench.stop().await;
    assert_eq!(exporter.taken(), (1..=100).collect::<Vec<_>>());
    assert_eq!((delivered, dropped), (100, vec![]));
}

#[tokio::test]
async fn what_was_in_memory_only_goes_to_disk_when_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let bench = start_in(folder.path(), hanging(), "store: overflow", true).await;
    for time in 1..=5 {
        assert_eq!(bench.send(&[time]).await.outcome, Outcome::Delivered);
    }
    assert_eq!(bench.gauge("catchment_spool_open_entries"), 0.0);
    assert_eq!(bench.cut_short().await, (0, 5, vec![]));
    let bench = start_in(folder.path(), Scripted::default(), "store: overflow", true).await;
    bench.until_taken(5).await;
    let (exporter, delivered, _) = bench.stop().await;
    assert_eq!(delivered, 5);
    let mut taken = exporter.taken();
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn stopping_leaves_a_destination_that_is_down_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = one_consumer();
    settings.retry.initial_interval = Duration::from_secs(3600);
    settings.retry.max_elapsed_time = Duration::ZERO;
    let exporter = Scripted::with(vec![Step::Fail; 100]);
    let bench = start_with(folder.path(), exporter, "store: overflow", true, settings).await;
    for time in 1..=5 {
        assert_eq!(bench.send(&[time]).await.outcome, Outcome::Delivered);
    }
    let host = bench.host.clone();
    // Without the deadline having come.
    let (_, delivered, dropped) = bench.stop().await;
    let kept = host.ledger.balance().exporters["scripted logs"].kept;
    assert_eq!((delivered, kept, dropped), (0, 5, vec![]));
}

#[derive(Default)]
struct Told(Mutex<Vec<(u64, bool)>>);

impl EntryWatch for Told {
    fn done(&self, _number: u64, _route: &Arc<str>) {}

    fn finished(&self, number: u64, outstanding: Outstanding) {
        self.0.lock().unwrap().push((number, outstanding.is_empty()));
    }
}

#[tokio::test]
async fn entry_of_the_journal_is_done_with_when_the_spool_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = one_consumer();
    settings.queue.queue_size = 1;
    let bench = start_with(folder.path(), hanging(), "store: overflow", false, settings).await;
    let told = Arc::new(Told::default());
    for number in 1..=9 {
        let watch = Arc::clone(&told) as Arc<dyn EntryWatch>;
        let entry = EntryPromise::new(EntryId { journal: 1, number }, watch);
        let ack = entry.share(&"logs".into(), Live::none());
        drop(entry);
        assert!(bench.driver.inlet().enqueue(batch(&[number]), ack));
        if number == 1 {
            soon(async {
                while bench.driver.shared.queue.len() > 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
    }
    // One is being sent, one waits in memory.
    soon(async {
        while told.0.lock().unwrap().len() < 7 {
            tokio::time::sleep(StdDuration::from_millis(1)).await;
        }
    })
    .await;
    assert!(told.0.lock().unwrap().iter().all(|(number, is_done)| *number > 2 && *is_done));
    assert_eq!(bench.cut_short().await, (0, 9, vec![]));
    let told = told.0.lock().unwrap();
    assert_eq!((told.len(), told.iter().all(|(_, is_done)| *is_done)), (9, true));
}

#[tokio::test]
async fn nothing_is_missing_after_a_crash_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let steps = (0..2000).map(|step| if step % 5 == 4 { Step::Fail } else { Step::Take });
    let bench = start_in(folder.path(), Scripted::with(steps), "", true).await;
    let crashed = tempfile::tempdir().unwrap();
    for time in 1..=300 {
        assert_eq!(bench.send(&[time]).await.outcome, Outcome::Delivered);
        if time == 200 {
            // What a process that was killed would leave.
            let from = spool_of(folder.path());
            fs::create_dir_all(spool_of(crashed.path())).unwrap();
            for segment in segments(folder.path()) {
                let to = spool_of(crashed.path()).join(segment.strip_prefix(&from).unwrap());
                fs::copy(&segment, to).unwrap();
            }
        }
    }
    bench.until_taken(300).await;
    let (before, ..) = bench.stop().await;
    let bench = start_in(crashed.path(), Scripted::default(), "", true).await;
    soon(async {
        while bench.gauge("catchment_spool_open_entries") > 0.0 {
            tokio::time::sleep(StdDuration::from_millis(20)).await;
        }
    })
    .await;
    let (after, ..) = bench.stop().await;
    let (before, after) = (before.taken(), after.taken());
    assert!(after.is_sorted());
    let missing: Vec<_> = (1..=200).filter(|t| !before.contains(t) && !after.contains(t)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn damage_costs_the_entry_that_it_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let bench = start_in(folder.path(), hanging(), "", true).await;
    for time in 1..=9 {
        let (ack, answer) = promise(Live::none());
        let batch = large(time);
        assert!(batch.size_bytes() > 200_000, "several segments are needed");
        bench.driver.inlet().enqueue(batch, ack);
        assert_eq!(soon(answer).await.unwrap().outcome, Outcome::Delivered);
    }
    let (_, kept, _) = bench.cut_short().await;
    assert_eq!(kept, 9 * 20_000);
    let first = segments(folder.path())[0].clone();
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&first, bytes).unwrap();
    let bench = start_in(folder.path(), Scripted::default(), "", true).await;
    bench.until_taken(8 * 20_000).await;
    let (exporter, delivered, _) = bench.stop().await;
    assert_eq!(delivered, 8 * 20_000);
    let mut taken = exporter.taken();
    taken.dedup();
    taken.sort_unstable();
    assert_eq!((taken.len(), taken[0], taken[7]), (8, 1, 9));
    assert!(segments(folder.path()).iter().any(|path| path.extension().unwrap() == "damaged"));
}

/// Fills the spool behind an exporter that hangs; the times that were taken, then the refusal.
async fn fill(bench: &Bench) -> (Vec<u64>, Answer) {
    let mut taken = Vec::new();
    for time in 1..=100 {
        let (ack, answer) = promise(Live::none());
        bench.driver.inlet().enqueue(large(time), ack);
        let answer = soon(answer).await.unwrap();
        if answer.outcome != Outcome::Delivered {
            return (taken, answer);
        }
        taken.push(time);
    }
    panic!("it is never full");
}

#[tokio::test]
async fn full_spool_asks_for_a_retry_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = one_consumer();
    settings.timeout = StdDuration::from_secs(2);
    let exporter = Scripted::with(vec![Step::Hang; 1]);
    let bench = start_with(folder.path(), exporter, "max_size: 4MiB", true, settings).await;
    let (mut taken, refusal) = fill(&bench).await;
    assert_eq!(refusal.outcome, Outcome::Retry);
    assert!(refusal.retry_after.is_some());
    let reason = refusal.reason.unwrap();
    assert!(reason.starts_with("exporter `scripted`: not stored: the log in"), "{reason}");
    assert!(taken.len() > 5, "{taken:?}");
    // The attempt that hangs is over after a while, then there is room again.
    soon(async {
        loop {
            let (ack, answer) = promise(Live::none());
            bench.driver.inlet().enqueue(large(1000), ack);
            if answer.await.unwrap().outcome == Outcome::Delivered {
                return;
            }
            tokio::time::sleep(StdDuration::from_millis(100)).await;
        }
    })
    .await;
    taken.push(1000);
    bench.until_taken(taken.len() * 20_000).await;
    let host = bench.host.clone();
    let (exporter, delivered, dropped) = bench.stop().await;
    let mut arrived = exporter.taken();
    arrived.dedup();
    assert_eq!(arrived, taken);
    assert_eq!(delivered, taken.len() as u64 * 20_000);
    assert!(dropped.iter().all(|(reason, _)| reason == "not_stored"), "{dropped:?}");
    assert_eq!(host.ledger.balance().exporters["scripted logs"].kept, 0);
}

#[tokio::test]
async fn full_spool_lets_the_oldest_go_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = one_consumer();
    settings.queue.queue_size = 1;
    let storage = "max_size: 4MiB, on_full: drop_oldest";
    let bench = start_with(folder.path(), hanging(), storage, true, settings).await;
    for time in 1..=40 {
        let (ack, answer) = promise(Live::none());
        bench.driver.inlet().enqueue(large(time), ack);
        assert_eq!(soon(answer).await.unwrap().outcome, Outcome::Delivered);
    }
    let (delivered, kept, dropped) = bench.cut_short().await;
    let [(reason, num_dropped)] = &*dropped else { panic!("{dropped:?}") };
    assert_eq!((delivered, reason.as_str()), (0, "spool_full"));
    assert_eq!(num_dropped + kept, 40 * 20_000);
    assert!(*num_dropped > 10 * 20_000 && kept > 5 * 20_000, "{num_dropped} dropped, {kept} kept");
    let bench = start_in(folder.path(), Scripted::default(), "max_size: 4MiB", true).await;
    bench.until_taken(5 * 20_000).await;
    let mut taken = bench.exporter.taken();
    taken.dedup();
    assert!(taken.len() >= 5 && taken.is_sorted(), "{taken:?}");
    assert!(!taken.contains(&3));
    drop(bench.stop().await);
}

#[tokio::test]
async fn what_is_refused_or_too_old_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = one_consumer();
    settings.retry.max_elapsed_time = Duration::from_millis(20);
    let steps = std::iter::once(Step::Reject).chain(vec![Step::Fail; 1000]);
    let bench = start_with(folder.path(), Scripted::with(steps), "", true, settings).await;
    assert_eq!(bench.send(&[1]).await.outcome, Outcome::Delivered);
    assert_eq!(bench.send(&[2]).await.outcome, Outcome::Delivered);
    soon(async {
        while bench.gauge("catchment_spool_open_entries") > 0.0 {
            tokio::time::sleep(StdDuration::from_millis(20)).await;
        }
    })
    .await;
    let (_, delivered, dropped) = bench.stop().await;
    assert_eq!(delivered, 0);
    assert_eq!(dropped, [("rejected".into(), 1), ("retries_exhausted".into(), 1)]);
    let bench = start_in(folder.path(), Scripted::default(), "", true).await;
    let (exporter, ..) = bench.stop().await;
    assert!(exporter.taken().is_empty());
}

#[tokio::test]
async fn context_of_a_batch_outlives_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    let bench = start_in(folder.path(), hanging(), "", true).await;
    let metadata = [("key".to_owned(), vec!["value".to_owned()])].into();
    let arrived = Time::from_unix_nanos(5);
    let context = Context { tenant: Some("a".into()), metadata, arrived, ..Context::default() };
    let (ack, answer) = promise(Live::none());
    let sent = batch(&[7]).with_context(Arc::new(context));
    bench.driver.inlet().enqueue(sent.clone(), ack);
    assert_eq!(soon(answer).await.unwrap().outcome, Outcome::Delivered);
    bench.cut_short().await;
    let (spool, _) = open(folder.path(), "", &host()).await;
    let found = spool.take_found();
    assert_eq!(found.iter().map(|(_, arrived)| *arrived).collect::<Vec<_>>(), [arrived]);
    let read = spool.read(found[0].0).await.unwrap().batch;
    assert_eq!((times(&read), read.context()), (vec![7], sent.context()));
    spool.end().await;
}

/// Marks a note of what the destination took; without it, of what was answered.
const TAKEN: u64 = 1 << 32;

/// Fails by chance, and notes what it takes.
struct Noting {
    power: Power,
    random: Mutex<SmallRng>,
}

#[async_trait]
impl Exporter for Noting {
    async fn send(&self, request: &Request) -> Result<Sent, ExportError> {
        let is_failure = self.random.lock().unwrap().random_bool(0.3);
        if is_failure {
            return Err(ExportError::Retry { after: None, source: "by chance".into() });
        }
        let Payload::Batch(batch) = &request.payload else { panic!("not a batch") };
        times(batch).into_iter().for_each(|time| self.power.note(TAKEN + time));
        Ok(Sent::DURABLE)
    }
}

/// What a driver does with these records and those that are in its folder, until all are sent.
async fn record(folder: &Path, new: std::ops::Range<u64>, storage: &str, seed: u64) -> Power {
    let power = Power::record(folder);
    let host = host();
    let spool = open(&folder.join("spools"), storage, &host).await;
    let random = Mutex::new(SmallRng::seed_from_u64(seed));
    let exporter = Arc::new(Noting { power: power.clone(), random });
    let id: ComponentId = "scripted".parse().unwrap();
    let settings = settings();
    let around = Around { answers_early: true, spool: Some(spool), ..Around::default() };
    let driver = Driver::start((&id, Signal::Logs), exporter, settings, around, &host);
    for time in new {
        let (ack, answer) = promise(Live::none());
        driver.inlet().enqueue(batch(&[time]), ack);
        if soon(answer).await.unwrap().outcome == Outcome::Delivered {
            power.note(time);
        }
    }
    soon(async {
        while !driver.shared.spool.as_ref().unwrap().is_empty() {
            tokio::time::sleep(StdDuration::from_millis(1)).await;
        }
    })
    .await;
    soon(driver.stop()).await;
    power.end();
    power
}

/// What was answered by then, and what the destination had.
fn noted(notes: &[u64]) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (taken, answered): (Vec<_>, Vec<_>) = notes.iter().partition(|note| **note >= TAKEN);
    (answered.into_iter().collect(), taken.into_iter().map(|note| note - TAKEN).collect())
}

/// `CATCHMENT_SEEDS` says how many cuts; 60.
#[tokio::test]
async fn what_was_acknowledged_reaches_the_destination_after_power_cuts() {
    let seeds = std::env::var("CATCHMENT_SEEDS").map_or(60, |seeds| seeds.parse().unwrap());
    let folder = || tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut power = None;
    for seed in 0..seeds {
        if seed % 30 == 0 {
            power = Some(record(folder().path(), 1..60, "store: all", seed).await);
        }
        let power = power.as_ref().unwrap();
        let mut random = SmallRng::seed_from_u64(seed);
        let (cut, moment) = (folder(), random.random_range(power.moments()));
        power.cut(moment, random.random(), cut.path());
        let (answered, mut taken) = noted(&power.notes(moment));
        let again = record(cut.path(), 100..110, "store: all", seed).await;
        let (later, taken_later) = noted(&again.notes(*again.moments().end()));
        taken.extend(taken_later);
        let missing: Vec<_> = answered.union(&later).filter(|time| !taken.contains(time)).collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?}");
        assert_eq!(later.len(), 10);
    }
}
