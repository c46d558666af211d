//! Commits, rolling, and stores that fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::{format, read};
use crate::data::{Batch, Context, EntryId, LogsBuilder, Part, PartRun, Signal, Time, Value};
use crate::storage::object::{LocalStore, Object, ObjectError, ObjectStore, Upload};
use crate::storage::parquet::{
    Archive, ParquetArchiveError, Partitioning, Retention, Rotation, RowGroup, Settings,
};

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const START: Time = Time::from_unix_nanos(1_795_532_400_000_000_000);

/// A store in memory in which any call may fail.
#[derive(Debug, Default)]
pub(super) struct Memory {
    objects: Mutex<BTreeMap<String, Bytes>>,
    /// How many of the next calls fail.
    failures: AtomicU32,
}

impl Memory {
    fn check(&self, what: &'static str, name: &str) -> Result<(), ObjectError> {
        let before = |count: u32| count.checked_sub(1);
        match self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, before) {
            Ok(_) => {
                let source = io::Error::from(io::ErrorKind::StorageFull);
                Err(ObjectError::Failed { what, name: name.to_owned(), source })
            }
            Err(_) => Ok(()),
        }
    }

    fn fail(&self, times: u32) {
        self.failures.store(times, Ordering::SeqCst);
    }

    pub(super) fn files(&self) -> BTreeMap<String, Bytes> {
        self.objects.lock().unwrap().clone()
    }

    fn bodies(&self) -> Vec<i64> {
        let files = self.files();
        let batches = files.values().flat_map(|file| read(file.clone(), 100));
        let mut bodies: Vec<i64> = batches
            .flat_map(|batch| {
                let bodies = batch.logs().items().map(|item| item.record.body().as_int().unwrap());
                bodies.collect::<Vec<_>>()
            })
            .collect();
        bodies.sort_unstable();
        bodies
    }
}

#[derive(Debug)]
struct MemoryUpload {
    store: Arc<Shared>,
    name: String,
    bytes: Vec<u8>,
}

/// The store as archives have it.
#[derive(Debug, Default)]
pub(super) struct Shared(Memory);

#[derive(Debug, Default, Clone)]
pub(super) struct Handle(Arc<Shared>);

impl Handle {
    pub(super) fn files(&self) -> BTreeMap<String, Bytes> {
        self.0.0.files()
    }
}

impl ObjectStore for Handle {
    fn open(&self) -> Result<(), ObjectError> {
        Ok(())
    }

    fn create(&self, name: &str) -> Result<Box<dyn Upload>, ObjectError> {
        self.0.0.check("create", name)?;
        let (store, name) = (Arc::clone(&self.0), name.to_owned());
        Ok(Box::new(MemoryUpload { store, name, bytes: Vec::new() }))
    }

    fn list(&self, folder: &str) -> Result<Vec<Object>, ObjectError> {
        let files = self.0.0.files().into_iter();
        let files = files.filter(|(name, _)| name.starts_with(folder));
        let object = |(name, bytes): (String, Bytes)| Object {
            name,
            size_bytes: bytes.len() as u64,
            modified: START,
        };
        Ok(files.map(object).collect())
    }

    fn read_end(&self, name: &str, num_bytes: u64) -> Result<Bytes, ObjectError> {
        let bytes = self.files().remove(name).unwrap();
        Ok(bytes.slice(bytes.len() - usize::try_from(num_bytes).unwrap()..))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        self.0.0.objects.lock().unwrap().remove(name);
        Ok(())
    }
}

impl Upload for MemoryUpload {
    fn append(&mut self, bytes: &[u8]) -> Result<(), ObjectError> {
        self.store.0.check("write", &self.name)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ObjectError> {
        self.store.0.check("finish", &self.name)?;
        let bytes = Bytes::from(self.bytes.clone());
        let before = self.store.0.objects.lock().unwrap().insert(self.name.clone(), bytes);
        assert_eq!(before, None, "{} was there", self.name);
        Ok(())
    }
}

pub(super) fn settings() -> Settings {
    let mut format = format(&[]);
    format.row_group.max_rows = 10;
    Settings {
        signal: Signal::Logs,
        file_prefix: format!("node-{:032x}", 7),
        format,
        partitioning: Partitioning { by: Vec::new(), max_open: 64 },
        rotation: Rotation { max_bytes: 1 << 30, max_rows: 1 << 30 },
        retention: Retention::default(),
    }
}

pub(super) fn archive(store: &Handle) -> Archive {
    Archive::new(settings(), Arc::new(store.clone()))
}

fn batch(bodies: std::ops::Range<i64>, arrived: Time) -> Batch {
    let mut builder = LogsBuilder::new();
    bodies.for_each(|body| builder.record(|record| record.body(Value::Int(body))));
    builder.finish(Arc::new(Context { arrived, ..Context::default() }))
}

#[test]
fn every_record_is_there_once_whatever_call_fails() {
    // As many calls fail as the disk is full for; each is made again, as the driver does.
    for num_before in 0..12 {
        for num_failures in 1..5 {
            let store = Handle::default();
            let mut archive = archive(&store);
            let mut num_calls = 0;
            let mut next = || {
                num_calls += 1;
                if num_calls == num_before {
                    store.0.0.fail(num_failures);
                }
            };
            for number in 0..6 {
                let arrived = START.saturating_add(HOUR * (number / 3));
                let first = i64::from(number) * 25;
                let batch = batch(first..first + 25, arrived);
                next();
                while archive.add(&batch, START).is_err() {}
                if number % 2 == 1 {
                    next();
                    while archive.commit(START).is_err() {}
                    let bodies = store.0.0.bodies();
                    assert_eq!(bodies, (0..first + 25).collect::<Vec<_>>());
                }
            }
            assert!(archive.is_empty());
            assert_eq!(archive.memory_bytes(), 0);
        }
    }
}

#[test]
fn failure_names_the_object_and_its_cause() {
    let store = Handle::default();
    let mut archive = archive(&store);
    store.0.0.fail(1);
    let Err(ParquetArchiveError::Store(error)) = archive.add(&batch(0..1, START), START) else {
        panic!("the store is full")
    };
    assert!(error.to_string().starts_with("cannot create `logs/date=2026-11-24/"), "{error}");
    assert!(archive.is_empty());
}

#[test]
fn commit_of_several_hours_has_a_file_for_each_and_footers_that_say_so() {
    let store = Handle::default();
    let mut archive = archive(&store);
    let part =
        |number| Part { entry: EntryId { journal: 5, number }, route: "logs > parquet".into() };
    for number in 0..4_u32 {
        let arrived = START.saturating_add(HOUR * (number % 2));
        let parts = [part(u64::from(number))].into_iter().collect();
        archive.add(&batch(0..1, arrived).with_parts(parts), START).unwrap();
    }
    archive.commit(START).unwrap();
    let files = store.0.0.files();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let id = format!("{:032x}", 7);
    assert_eq!(
        names,
        [
            format!("logs/date=2026-11-24/hour=15/node-{id}-1.parquet"),
            format!("logs/date=2026-11-24/hour=16/node-{id}-2.parquet")
        ]
    );
    let mut commits = Vec::new();
    for (file, entries) in files.values().zip(["[[0,0],[2,2]]", "[[1,1],[3,3]]"]) {
        let reader = SerializedFileReader::new(file.clone()).unwrap();
        let metadata = reader.metadata().file_metadata();
        let entry = |key: &str| {
            let mut all = metadata.key_value_metadata().unwrap().iter();
            let found = all.find(|entry| entry.key == format!("catchment.{key}"));
            found.and_then(|entry| entry.value.clone())
        };
        let journal = format!("{:032x}", 5);
        let parts = format!(
            "[{{\"journal\":\"{journal}\",\"route\":\"logs > parquet\",\"entries\":{entries}}}]"
        );
        assert_eq!(entry("parts"), Some(parts));
        assert_eq!(entry("commit_files").as_deref(), Some("2"));
        assert_eq!(entry("schema_version").as_deref(), Some("1"));
        assert_eq!(entry("signal").as_deref(), Some("logs"));
        assert_eq!(entry("min_time"), None);
        commits.push(entry("commit").unwrap());
    }
    assert_eq!(commits[0], commits[1]);
    assert_eq!(commits[0].len(), 32);
}

#[test]
fn commit_is_due_by_rows_and_by_bytes() {
    let store = Handle::default();
    let mut by_rows = Archive::new(
        Settings { rotation: Rotation { max_bytes: 1 << 30, max_rows: 20 }, ..settings() },
        Arc::new(store.clone()),
    );
    by_rows.add(&batch(0..19, START), START).unwrap();
    assert!(!by_rows.is_commit_due());
    by_rows.add(&batch(19..20, START), START).unwrap();
    assert!(by_rows.is_commit_due());
    by_rows.commit(START).unwrap();
    assert!(!by_rows.is_commit_due());
    let mut by_bytes = Archive::new(
        Settings { rotation: Rotation { max_bytes: 20_000, max_rows: 1 << 30 }, ..settings() },
        Arc::new(store),
    );
    let mut num_batches = 0;
    while !by_bytes.is_commit_due() {
        by_bytes.add(&batch(0..1000, START), START).unwrap();
        num_batches += 1;
    }
    assert!(num_batches > 1, "{num_batches}");
}

#[test]
fn relief_ends_row_groups_that_take_much_and_no_others() {
    let store = Handle::default();
    let mut settings = settings();
    settings.format.row_group = RowGroup { max_rows: 1 << 20, max_bytes: 1 << 20 };
    let mut archive = Archive::new(settings, Arc::new(store.clone()));
    archive.add(&batch(0..10, START), START).unwrap();
    archive.relieve();
    while archive.memory_bytes() < (1 << 20) / 8 {
        archive.add(&batch(10..1010, START), START).unwrap();
    }
    archive.relieve();
    assert!(archive.memory_bytes() < (1 << 20) / 8, "{}", archive.memory_bytes());
    archive.add(&batch(0..10, START), START).unwrap();
    archive.commit(START).unwrap();
    let file = store.0.0.files().into_values().next().unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 2);
}

#[test]
fn retention_removes_what_is_too_old_and_then_what_is_too_much() {
    let store = Handle::default();
    let max_age = Some(2 * HOUR);
    let mut archive = Archive::new(
        Settings { retention: Retention { max_age, max_bytes: None }, ..settings() },
        Arc::new(store.clone()),
    );
    for hour in 0..4 {
        let now = START.saturating_add(HOUR * hour);
        archive.add(&batch(i64::from(hour)..i64::from(hour) + 1, now), START).unwrap();
        archive.commit(now).unwrap();
    }
    assert_eq!(store.0.0.bodies(), [0, 1, 2, 3]);
    archive.commit(START.saturating_add(HOUR * 4)).unwrap();
    assert_eq!(store.0.0.bodies(), [1, 2, 3]);
    let total: u64 = store.list("logs").unwrap().iter().map(|file| file.size_bytes).sum();
    let max_bytes = Some(total - 1);
    let mut archive = Archive::new(
        Settings { retention: Retention { max_age: None, max_bytes }, ..settings() },
        Arc::new(store.clone()),
    );
    archive.commit(START).unwrap();
    assert_eq!(store.0.0.bodies(), [2, 3]);
}

#[test]
fn retention_makes_room_while_the_store_is_full() {
    let store = Handle::default();
    let retention = Retention { max_age: Some(2 * HOUR), max_bytes: None };
    let mut archive = Archive::new(Settings { retention, ..settings() }, Arc::new(store.clone()));
    archive.add(&batch(0..1, START), START).unwrap();
    archive.commit(START).unwrap();
    let now = START.saturating_add(HOUR * 4);
    archive.add(&batch(1..2, now), now).unwrap();
    store.0.0.fail(1);
    assert!(archive.commit(now).is_err());
    assert_eq!(store.0.0.bodies(), [0_i64; 0]);
    archive.commit(now).unwrap();
    assert_eq!(store.0.0.bodies(), [1]);
}

#[test]
fn left_overs_of_dead_processes_go_and_those_of_living_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = || {
        let store = LocalStore::new(folder.path().to_owned(), "node-".to_owned());
        store.open().unwrap();
        store
    };
    let mut living = store().create("logs/date=x/node-1.parquet").unwrap();
    living.append(b"begun, ").unwrap();
    let temporary = folder.path().join(".temporary");
    std::fs::write(temporary.join("node-2.parquet.tmp"), "half").unwrap();
    std::fs::write(temporary.join("other-3.parquet.tmp"), "half").unwrap();
    let again = store();
    let mut names: Vec<_> = std::fs::read_dir(&temporary)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["node-1.parquet.tmp", "other-3.parquet.tmp"]);
    living.append(b"ended").unwrap();
    living.finish().unwrap();
    let path = folder.path().join("logs/date=x/node-1.parquet");
    assert_eq!(std::fs::read(&path).unwrap(), b"begun, ended");
    let objects = again.list("logs").unwrap();
    let objects: Vec<_> =
        objects.iter().map(|object| (object.name.as_str(), object.size_bytes)).collect();
    assert_eq!(objects, [("logs/date=x/node-1.parquet", 12)]);
    assert_eq!(again.read_end("logs/date=x/node-1.parquet", 5).unwrap(), "ended");
    drop(again.create("logs/given-up.parquet").unwrap());
    assert!(!temporary.join("given-up.parquet.tmp").exists());
    again.delete("logs/date=x/node-1.parquet").unwrap();
    assert!(!folder.path().join("logs").exists());
}

#[test]
fn entries_of_whole_commits_are_held_and_files_of_others_go() {
    let store = Handle::default();
    let part = |number| Part { entry: EntryId { journal: 5, number }, route: "a".into() };
    let of = |number: u64, hour: u32| {
        let arrived = START.saturating_add(HOUR * hour);
        batch(0..1, arrived).with_parts([part(number)].into_iter().collect())
    };
    let mut archive = archive(&store);
    for (number, hour) in [(1, 0), (2, 1), (4, 1)] {
        archive.add(&of(number, hour), START).unwrap();
    }
    archive.commit(START).unwrap();
    let whole = store.files();
    for (number, hour) in [(7, 0), (8, 1)] {
        archive.add(&of(number, hour), START).unwrap();
    }
    archive.commit(START).unwrap();
    let torn = store.files().into_keys().find(|name| !whole.contains_key(name)).unwrap();
    store.delete(&torn).unwrap();
    let run = |first, last| PartRun { journal: 5, route: "a".into(), first, last };
    let held_of = |journal, since, is_open: bool| {
        let archive = self::archive(&store);
        let mut held = archive.held((journal, since), &|_| is_open).unwrap();
        held.sort();
        held
    };
    let held = || held_of(5, START, true);
    // Of another journal it is not known whether they come again.
    assert!(held_of(6, START, true).is_empty());
    // What is done with was whole once.
    assert_eq!(held_of(5, START, false), [run(1, 1), run(2, 2), run(4, 4)]);
    assert_eq!(store.files().len(), 3);
    assert_eq!(held(), [run(1, 1), run(2, 2), run(4, 4)]);
    assert_eq!(store.files(), whole);
    assert_eq!(held(), [run(1, 1), run(2, 2), run(4, 4)]);
    let later = START.saturating_add(HOUR);
    assert!(held_of(5, later, true).is_empty());
}

#[test]
fn footer_longer_than_the_first_read_is_read() {
    let store = Handle::default();
    let mut archive = archive(&store);
    let of = |number| Part { entry: EntryId { journal: 5, number }, route: "a".into() };
    // Runs cannot be joined.
    let parts = (0..20_000).map(|number| of(number * 2)).collect();
    archive.add(&batch(0..1, START).with_parts(parts), START).unwrap();
    archive.commit(START).unwrap();
    assert_eq!(self::archive(&store).held((5, START), &|_| true).unwrap().len(), 20_000);
}
