//! What the engine's tests have in common: a host, batches, an exporter that answers by script.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

use crate::component::{
    Budget, Durability, ExportError, Exporter, Extensions, Host, Lane, Payload, Prepared, Request,
    Sent,
};
use crate::data::{Batch, Context, DoorLimits, Signal, Time};
use crate::telemetry::{Clock, Ledger, Metrics, Status};

pub(super) fn host() -> Host {
    let clock = Clock::system();
    Host {
        metrics: Metrics::default(),
        status: Status::new(clock.clone()),
        ledger: Ledger::default(),
        clock,
        budget: Budget::new(1 << 30, 1 << 20),
        data_dir: PathBuf::from("/nonexistent"),
        extensions: Extensions::default(),
    }
}

/// Log records whose times are `times`.
pub(super) fn batch(times: &[u64]) -> Batch {
    let log_records = times
        .iter()
        .map(|time| LogRecord { time_unix_nano: *time, ..LogRecord::default() })
        .collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let request = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    let context = Arc::new(Context::default());
    Batch::try_new(Signal::Logs, request.into(), context, &DoorLimits::default()).unwrap().batch
}

/// The times of a batch's log records.
pub(super) fn times(batch: &Batch) -> Vec<u64> {
    batch.logs().items().map(|item| item.record.time().as_unix_nanos()).collect()
}

/// What a scripted exporter does with one attempt.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Take,
    Buffer,
    TakePartly(u64),
    Fail,
    Reject,
    Divide,
    /// Buffered, and taken along by a flush before the send ends.
    Flushed,
    Hang,
}

/// Answers attempts by a script; when that is over, takes everything.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) steps: Mutex<VecDeque<Step>>,
    /// The times in every attempt, and whether it was taken.
    pub(super) attempts: Mutex<Vec<(Vec<u64>, bool)>>,
    pub(super) buffered: Mutex<Option<Time>>,
    pub(super) flush_failures: AtomicUsize,
    /// How many records the next flush that succeeds says are lost.
    pub(super) flush_losses: AtomicU64,
    pub(super) num_flushes: AtomicUsize,
    /// Lanes are the last digit of the first record's time.
    pub(super) is_ordered: bool,
    /// Records with this time are refused by dividing until they are alone.
    pub(super) poison: Option<u64>,
    /// Sending records with this time panics.
    pub(super) panics_on: Option<u64>,
    /// Preparing records with this time panics.
    pub(super) prepare_panics_on: Option<u64>,
    /// The reason that the first record of every attempt has for being a dead letter.
    pub(super) reasons: Mutex<Vec<Option<String>>>,
}

impl Scripted {
    pub(super) fn with(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: Mutex::new(steps.into_iter().collect()), ..Self::default() }
    }

    pub(super) fn taken(&self) -> Vec<u64> {
        let attempts = self.attempts.lock().unwrap();
        attempts.iter().filter(|(_, taken)| *taken).flat_map(|(times, _)| times.clone()).collect()
    }
}

fn request(batch: Batch) -> Request {
    let key = times(&batch).first().copied().unwrap_or_default() % 10;
    Request {
        lane: Lane::Key(key),
        num_records: batch.num_records(),
        size_bytes: batch.size_bytes(),
        parts: batch.parts().clone(),
        payload: Payload::Batch(batch),
    }
}

#[async_trait]
impl Exporter for Scripted {
    fn is_ordered(&self) -> bool {
        self.is_ordered
    }

    fn prepare(&self, batch: Batch) -> Prepared {
        assert!(!self.prepare_panics_on.is_some_and(|time| times(&batch).contains(&time)));
        Prepared { requests: vec![request(batch)], rejected: Vec::new() }
    }

    async fn send(&self, request: &Request) -> Result<Sent, ExportError> {
        let Payload::Batch(batch) = &request.payload else { panic!("not a batch") };
        let times = times(batch);
        assert!(!self.panics_on.is_some_and(|time| times.contains(&time)), "one of {times:?}");
        let first = batch.logs().items().next();
        let reason = first.and_then(|item| {
            let reason = item.record.attributes().get("catchment.dead_letter.reason");
            reason.and_then(|reason| reason.as_str().map(str::to_owned))
        });
        self.reasons.lock().unwrap().push(reason);
        let mut step = self.steps.lock().unwrap().pop_front().unwrap_or(Step::Take);
        if self.poison.is_some_and(|poison| times.contains(&poison)) {
            step = Step::Divide;
        }
        let outcome = match step {
            Step::Take => Ok(Sent::DURABLE),
            Step::Buffer => {
                *self.buffered.lock().unwrap() = Some(Time::default());
                Ok(Sent::BUFFERED)
            }
            Step::Flushed => Ok(Sent::BUFFERED),
            Step::TakePartly(num_rejected) => Ok(Sent {
                durability: Durability::Durable,
                num_rejected,
                reason: Some("some are bad".into()),
            }),
            Step::Fail => Err(ExportError::Retry { after: None, source: "down".into() }),
            Step::Reject => Err(ExportError::Rejected { source: "bad".into() }),
            Step::Divide => Err(ExportError::Divide { source: "too much".into() }),
            Step::Hang => std::future::pending().await,
        };
        self.attempts.lock().unwrap().push((times, outcome.is_ok()));
        outcome
    }

    fn halve(&self, whole: Request) -> Result<[Request; 2], Request> {
        let Payload::Batch(batch) = &whole.payload else { panic!("not a batch") };
        if batch.num_records() < 2 {
            return Err(whole);
        }
        let mut halves = batch.split(batch.num_records().div_ceil(2), 0).into_iter().map(request);
        Ok([halves.next().unwrap(), halves.next().unwrap()])
    }

    fn deadline(&self) -> Option<Time> {
        *self.buffered.lock().unwrap()
    }

    async fn flush(&self) -> Result<(), ExportError> {
        self.num_flushes.fetch_add(1, Ordering::SeqCst);
        let failures = &self.flush_failures;
        let fail = |left: usize| left.checked_sub(1);
        if failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail).is_ok() {
            return Err(ExportError::Retry { after: None, source: "disk full".into() });
        }
        *self.buffered.lock().unwrap() = None;
        match self.flush_losses.swap(0, Ordering::SeqCst) {
            0 => Ok(()),
            num_records => Err(ExportError::Lost { num_records, source: "worn out".into() }),
        }
    }
}

/// Waits for something that must come about soon.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it must come about")
}
