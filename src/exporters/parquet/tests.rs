use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use super::exporter::{self, ParquetExporter};
use super::*;
use crate::component::{Budget, ExportError, Extensions, Host, Prepared, Sent};
use crate::config::{Node, from_node};
use crate::data::{Batch, Context, LogsBuilder, Time, Value};
use crate::storage::parquet::FileReader;
use crate::telemetry::{Clock, Ledger, Metrics, Status};

const HOUR: StdDuration = StdDuration::from_secs(3600);
const START: Time = Time::from_unix_nanos(1_795_532_400_000_000_000);

fn batch(num_records: usize, arrived: Time) -> Batch {
    let mut builder = LogsBuilder::new();
    for number in 0..num_records {
        builder.record(|record| {
            record.time(arrived);
            record.body(Value::Int(i64::try_from(number).unwrap()));
        });
    }
    builder.finish(Arc::new(Context { arrived, ..Context::default() }))
}

fn host(clock: &Clock) -> Host {
    Host {
        metrics: Metrics::default(),
        status: Status::new(clock.clone()),
        ledger: Ledger::default(),
        clock: clock.clone(),
        budget: Budget::new(1 << 30, 1 << 20),
        data_dir: PathBuf::new(),
        extensions: Extensions::default(),
    }
}

fn settings(folder: &Path) -> exporter::Settings {
    exporter::Settings {
        folder: folder.to_owned(),
        node: Some("node".to_owned()),
        id: "parquet".to_owned(),
        signal: Signal::Logs,
        partitioning: Partitioning { by: Vec::new(), max_open: 64 },
        format: Format {
            row_group: parquet::RowGroup { max_rows: 1000, max_bytes: 1 << 20 },
            zstd_level: 1,
            promoted: Vec::new(),
        },
        rotation: parquet::Rotation { max_bytes: 1 << 20, max_rows: 100 },
        max_age: StdDuration::from_secs(300),
        retention: parquet::Retention { max_age: Some(48 * HOUR), max_bytes: None },
    }
}

async fn send(exporter: &ParquetExporter, batch: Batch) -> Result<Sent, ExportError> {
    let Prepared { requests, .. } = exporter.prepare(batch);
    exporter.send(&requests[0]).await
}

/// Names of the Parquet files in a folder and below, with their number of records.
fn files(folder: &Path) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let is_hidden = path.ends_with(".temporary");
                folders.extend(Some(path).filter(|_| !is_hidden));
            } else {
                let reader = FileReader::try_new(std::fs::File::open(&path).unwrap(), 1000);
                let count = reader.unwrap().map(|batch| batch.unwrap().num_records()).sum();
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.push((name, count));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn records_are_seen_after_a_flush_and_their_memory_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(START);
    let host = host(&clock);
    let exporter = ParquetExporter::new(settings(folder.path()), &host);
    exporter.start().await.unwrap();
    exporter.flush().await.unwrap();
    assert_eq!(exporter.deadline(), Some(START.saturating_add(StdDuration::from_secs(60))));
    assert_eq!(send(&exporter, batch(3, START)).await.unwrap(), Sent::BUFFERED);
    assert!(files(folder.path()).is_empty());
    assert!(host.budget.used_bytes() > 0);
    assert_eq!(exporter.deadline(), Some(START.saturating_add(StdDuration::from_secs(300))));
    exporter.flush().await.unwrap();
    assert_eq!(host.budget.used_bytes(), 0);
    let files = files(folder.path());
    let [(name, 3)] = files.as_slice() else { panic!("{files:?}") };
    assert!(name.starts_with("logs/date=2026-11-24/hour=15/node-"), "{name}");
    assert!(name.ends_with("-1.parquet"), "{name}");
}

#[tokio::test]
async fn records_that_come_while_a_flush_ends_wait_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(START);
    let exporter = ParquetExporter::new(settings(folder.path()), &host(&clock));
    exporter.start().await.unwrap();
    send(&exporter, batch(3, START)).await.unwrap();
    let mut flush = exporter.flush();
    let is_begun = poll_fn(|context| Poll::Ready(flush.as_mut().poll(context).is_pending()));
    assert!(is_begun.await);
    // It gets the archive when the flush is done with it, and ends before the flush is told so.
    send(&exporter, batch(3, START)).await.unwrap();
    flush.await.unwrap();
    let max_age = settings(folder.path()).max_age;
    assert_eq!(exporter.deadline(), Some(START.saturating_add(max_age)));
}

#[tokio::test]
async fn commit_is_due_at_once_when_a_file_is_full_or_its_hour_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(START);
    let exporter = ParquetExporter::new(settings(folder.path()), &host(&clock));
    exporter.start().await.unwrap();
    send(&exporter, batch(99, START)).await.unwrap();
    assert_ne!(exporter.deadline(), Some(Time::default()));
    send(&exporter, batch(1, START)).await.unwrap();
    assert_eq!(exporter.deadline(), Some(Time::default()));
    exporter.flush().await.unwrap();
    send(&exporter, batch(1, START)).await.unwrap();
    send(&exporter, batch(1, START.saturating_add(HOUR))).await.unwrap();
    assert_eq!(exporter.deadline(), Some(Time::default()));
    exporter.flush().await.unwrap();
    assert_eq!(files(folder.path()).len(), 3);
}

#[tokio::test]
async fn what_a_full_disk_does_not_take_is_written_once_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(START);
    let exporter = ParquetExporter::new(settings(folder.path()), &host(&clock));
    exporter.start().await.unwrap();
    let in_the_way = folder.path().join("logs");
    std::fs::write(&in_the_way, "").unwrap();
    send(&exporter, batch(5, START)).await.unwrap();
    for _ in 0..2 {
        let Err(ExportError::Retry { source, .. }) = exporter.flush().await else {
            panic!("it cannot have been committed");
        };
        let cause = source.source().unwrap().to_string();
        assert!(cause.contains(&*folder.path().to_string_lossy()), "{cause}");
    }
    assert!(matches!(send(&exporter, batch(7, START)).await, Err(ExportError::Retry { .. })));
    std::fs::remove_file(&in_the_way).unwrap();
    send(&exporter, batch(7, START)).await.unwrap();
    exporter.flush().await.unwrap();
    let counts: Vec<usize> = files(folder.path()).into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts.iter().sum::<usize>(), 12);
}

fn read(text: &str) -> Result<ParquetConfig, String> {
    let node = Node::parse("test.yaml", text).unwrap();
    from_node(&node, "exporters::parquet").map_err(|errors| crate::config::render(&errors))
}

#[test]
fn settings_that_we_lack_are_refused_by_name() {
    let refused = read("path: s3://bucket/logs").unwrap_err();
    assert!(refused.contains("scheme `s3` is not supported"), "{refused}");
    assert!(read("max_partitions: 0").unwrap_err().contains("1 to 1000"));
    assert!(read("rotation: {max_size: 1MiB}").unwrap_err().contains("max_size"));
    assert!(read("rotation: {max_rows: 0}").is_err());
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let check = |text| read(text).unwrap().check(Signal::Logs).map_err(|error| error.to_string());
    for (text, expected) in [
        ("promote_attributes: [http.route, http_route]", "`http_route`"),
        ("promote_attributes: [severity.text]", "`severity.text`"),
        ("partition_by: [a.b, a_b]", "`a_b`"),
        ("partition_by: ['']", "``"),
        ("partition_by: [a, b, c, d, e]", "at most 4"),
        ("{promote_attributes: [partition.a], partition_by: [a]}", "`a`"),
        ("compression: {level: 23}", "`compression::level`"),
        ("row_group: {max_bytes: 1KiB}", "`row_group::max_bytes`"),
        ("node: a/b", "`node`"),
    ] {
        let refused = check(text).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
    check("{node: a-b.c, promote_attributes: [http.route, k8s.pod.name]}").unwrap();
}
