//! Commits to the journal, beside a bare write and fdatasync of the same bytes on the same disk.

#![allow(clippy::expect_used, missing_docs, reason = "a benchmark")]

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catchment::data::{Signal, Time};
use catchment::storage::disk::LocalDisk;
use catchment::storage::journal::{Log, NewEntry, OnFull, Settings, Sync};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Bytes of a request: 500 log records of 446 bytes.
const REQUEST_BYTES: usize = 223_000;

/// Requests that share a commit.
const GROUP: usize = 8;

/// After so many bytes the bare file begins anew, as segments do.
const FILE_BYTES: u64 = 64 << 20;

fn log(folder: &std::path::Path, sync: Sync) -> Log {
    let settings = Settings {
        folder: folder.to_owned(),
        segment_bytes: FILE_BYTES,
        max_bytes: 4 * FILE_BYTES,
        sync,
        dedup_window: Duration::ZERO,
        on_full: OnFull::Refuse,
    };
    Log::open(Arc::new(LocalDisk), settings, 1, Time::default()).expect("a log").0
}

fn group() -> Vec<NewEntry> {
    let body = vec![Bytes::from(vec![7; REQUEST_BYTES])];
    let entry = NewEntry {
        arrived: Time::default(),
        signal: Signal::Logs,
        origin: b"{\"receiver\":\"otlp\"}".to_vec(),
        owner: b"otlp".to_vec(),
        body,
        packed: None,
    };
    vec![entry; GROUP]
}

/// Stores a group and closes it, so that its segment can go.
fn commit(log: &mut Log, group: &[NewEntry]) {
    for answer in log.append(Time::default(), group) {
        match answer.expect("an entry that is stored") {
            catchment::storage::journal::Appended::Stored(number) => log.close(number),
            catchment::storage::journal::Appended::Repeated(_) => {}
        }
    }
    log.collect(Time::default()).expect("segments that go");
}

/// A file of zeros on the disk, as a segment is when it is begun.
fn reserved(path: &std::path::Path) -> File {
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).open(path).expect("a file");
    let zeros = vec![0; 1 << 20];
    for _ in 0..FILE_BYTES >> 20 {
        file.write_all(&zeros).expect("room");
    }
    file.sync_all().expect("a disk");
    file
}

fn commits(criterion: &mut Criterion) {
    use std::os::unix::fs::FileExt as _;
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let mut group_of = criterion.benchmark_group("journal");
    group_of.throughput(Throughput::Bytes((GROUP * REQUEST_BYTES) as u64)).sample_size(30);
    let entries = group();
    for (name, sync) in [("always", Sync::Always), ("later", Sync::Later)] {
        let mut log = log(&folder.path().join(name), sync);
        group_of.bench_function(name, |bencher| bencher.iter(|| commit(&mut log, &entries)));
    }
    let file = reserved(&folder.path().join("bare"));
    let bytes = vec![7; GROUP * REQUEST_BYTES];
    let mut offset = 0;
    group_of.bench_function("bare write and fdatasync", |bencher| {
        bencher.iter(|| {
            if offset + bytes.len() as u64 > FILE_BYTES {
                offset = 0;
            }
            file.write_all_at(&bytes, offset).expect("room");
            file.sync_data().expect("a disk");
            offset += bytes.len() as u64;
        });
    });
    group_of.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
