use std::sync::Arc;
use std::time::Duration as StdDuration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

use super::exporter::LogIndexExporter;
use super::*;
use crate::component::{Budget, ExportError, Extensions, Host, Prepared, Sent};
use crate::data::{Batch, Context, DoorLimits, EntryId, Part, Time};
use crate::storage::logindex::LogIndex;
use crate::telemetry::{Clock, Ledger, Metrics, Status};

fn batch(num_records: usize) -> Batch {
    let log_records = vec![LogRecord { time_unix_nano: 1, ..LogRecord::default() }; num_records];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let request = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    let context = Arc::new(Context::default());
    Batch::try_new(Signal::Logs, request.into(), context, &DoorLimits::default()).unwrap().batch
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

fn settings(directory: &std::path::Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        window: StdDuration::from_secs(3600),
        detail: Detail::Full,
        memory_bytes: 64 << 20,
        max_age: None,
        max_size_bytes: None,
    }
}

fn exporter(directory: &std::path::Path, host: &Host) -> LogIndexExporter {
    LogIndexExporter::new(
        "logindex".to_owned(),
        settings(directory),
        StdDuration::from_secs(15),
        host,
    )
}

async fn send(exporter: &LogIndexExporter, num_records: usize) -> Sent {
    let Prepared { requests, .. } = exporter.prepare(batch(num_records));
    exporter.send(&requests[0]).await.unwrap()
}

fn found(exporter: &LogIndexExporter) -> usize {
    let index = exporter.handle().unwrap().downcast::<LogIndex>().unwrap();
    let search = crate::storage::logindex::Search {
        filter: crate::storage::logindex::Filter::All,
        time: 0..i64::MAX,
        order: crate::storage::logindex::Order::NewestFirst,
        limit: 1000,
        patience: crate::storage::logindex::Patience::default(),
        allowance: crate::storage::logindex::Allowance::default(),
    };
    let sources = index.snapshot().into_sources();
    sources.iter().map(|source| source.search(&search, None).unwrap().len()).sum()
}

#[tokio::test]
async fn batch_is_found_when_it_was_sent_and_is_safe_after_a_flush() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(Time::from_unix_nanos(1_000));
    let host = host(&clock);
    let exporter = exporter(folder.path(), &host);
    exporter.start().await.unwrap();
    assert_eq!(exporter.deadline(), None);
    assert_eq!(send(&exporter, 3).await, Sent::BUFFERED);
    assert_eq!(found(&exporter), 3);
    let in_time = Time::from_unix_nanos(1_000).saturating_add(StdDuration::from_secs(15));
    assert_eq!(exporter.deadline(), Some(in_time));
    exporter.flush().await.unwrap();
    assert_eq!(exporter.deadline(), None);
    assert_eq!(found(&exporter), 3);
    assert_eq!(host.budget.used_bytes(), 0);
}

#[tokio::test]
async fn commit_is_due_earlier_while_memory_is_short_if_there_is_much_to_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(Time::from_unix_nanos(1_000));
    let host = host(&clock);
    let exporter = exporter(folder.path(), &host);
    exporter.start().await.unwrap();
    let of_others = host.budget.charge("others", host.budget.door_bytes());
    send(&exporter, 1).await;
    assert_ne!(exporter.deadline(), Some(Time::default()));
    // More than an eighth of the index's memory and less than the half at which it is always due.
    send(&exporter, (64 << 20) / 4 / batch(100).size_bytes() * 100).await;
    assert_eq!(exporter.deadline(), Some(Time::default()));
    drop(of_others);
    assert_ne!(exporter.deadline(), Some(Time::default()));
}

#[tokio::test]
async fn failed_flush_names_the_folder_and_is_due_again() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(Time::from_unix_nanos(1_000));
    let exporter = exporter(folder.path(), &host(&clock));
    exporter.start().await.unwrap();
    std::fs::write(folder.path().join("default"), "in the way").unwrap();
    send(&exporter, 2).await;
    let Err(ExportError::Retry { source, .. }) = exporter.flush().await else {
        panic!("it cannot have been committed");
    };
    assert!(source.to_string().contains(&*folder.path().to_string_lossy()), "{source}");
    assert!(exporter.deadline().is_some());
    std::fs::remove_file(folder.path().join("default")).unwrap();
    exporter.flush().await.unwrap();
    assert_eq!(found(&exporter), 2);
}

#[test]
fn named_exporters_have_folders_of_their_own() {
    assert_eq!(default_folder(&"logindex".parse().unwrap()), "index");
    assert_eq!(default_folder(&"logindex/a.b".parse().unwrap()), "index-a_b");
}

#[tokio::test]
async fn entries_of_the_last_commits_are_held() {
    let folder = tempfile::tempdir().unwrap();
    let index = LogIndex::open(settings(folder.path())).unwrap();
    let of = |number| {
        let part = Part { entry: EntryId { journal: 5, number }, route: "a".into() };
        batch(1).with_parts([part].into_iter().collect())
    };
    let held = |index: &LogIndex| -> Vec<(u64, u64)> {
        index.held().iter().map(|run| (run.first, run.last)).collect()
    };
    let at = Time::from_unix_nanos;
    for (number, now, settled) in [(1, 10, 0), (2, 20, 0), (3, 30, 20)] {
        index.try_add(&of(number)).unwrap();
        index.note_settled(at(settled));
        index.commit(at(now)).await.unwrap().unwrap();
    }
    // The first commit was answered for when the second began, at 20.
    assert_eq!(held(&index), [(1, 1), (2, 2), (3, 3)]);
    index.note_settled(at(21));
    index.try_add(&of(4)).unwrap();
    index.commit(at(40)).await.unwrap().unwrap();
    assert_eq!(held(&index), [(2, 2), (3, 3), (4, 4)]);
    index.try_add(&of(5)).unwrap();
    drop(index);
    let index = LogIndex::open(settings(folder.path())).unwrap();
    assert_eq!(held(&index), [(2, 2), (3, 3), (4, 4)]);
}
