//! What became of the requests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

use super::schedule::Ticket;
use crate::data::Signal;

/// Latencies are kept in microseconds to three digits, up to an hour.
const MAX_LATENCY_MICROS: u64 = 3_600_000_000;
const LATENCY_DIGITS: u8 = 3;
/// How many different errors are kept.
const MAX_ERRORS: usize = 10;

/// Something for each signal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PerSignal<T>([T; 3]);

impl<T> PerSignal<T> {
    /// The same for each.
    pub(super) fn new(make: impl Fn() -> T) -> Self {
        Self(std::array::from_fn(|_| make()))
    }

    /// That of a signal.
    pub(super) const fn of(&self, signal: Signal) -> &T {
        let [logs, traces, metrics] = &self.0;
        match signal {
            Signal::Logs => logs,
            Signal::Traces => traces,
            Signal::Metrics => metrics,
        }
    }

    /// That of a signal.
    pub(super) const fn of_mut(&mut self, signal: Signal) -> &mut T {
        let [logs, traces, metrics] = &mut self.0;
        match signal {
            Signal::Logs => logs,
            Signal::Traces => traces,
            Signal::Metrics => metrics,
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The server has it, but for some records.
    Acknowledged { num_rejected: u64, reason: Option<String> },
    /// The server refused it for good.
    Rejected { reason: String },
    /// The server did not take it while it was tried.
    Failed { reason: String },
}

/// Records of a signal by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Records {
    /// The server has them.
    pub(super) acknowledged: u64,
    /// The server refused them for good.
    pub(super) rejected: u64,
    /// The server did not take them while they were tried; it may have them all the same.
    pub(super) failed: u64,
    /// The number of the first; 0 when there is none.
    pub(super) first_id: u64,
    /// The number of the last.
    pub(super) last_id: u64,
}

/// The counts of a run.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// By signal.
    pub(super) records: PerSignal<Records>,
    /// Requests that have an answer or were given up.
    pub(super) num_requests: u64,
    /// Attempts after the first.
    pub(super) num_retries: u64,
    /// Bodies that were acknowledged, as they are on the wire.
    pub(super) num_bytes: u64,
    /// From sending to the answer that acknowledges, retries included, in microseconds.
    pub(super) latencies: Option<Histogram<u64>>,
    /// What went wrong, and for how many requests.
    pub(super) errors: Vec<(String, u64)>,
}

impl Counts {
    /// Of all signals.
    pub(super) fn total(&self) -> Records {
        let mut total = Records::default();
        for signal in Signal::ALL {
            let records = self.records.of(signal);
            total.acknowledged += records.acknowledged;
            total.rejected += records.rejected;
            total.failed += records.failed;
        }
        total
    }

    fn note_error(&mut self, reason: String) {
        if let Some((_, count)) = self.errors.iter_mut().find(|(text, _)| *text == reason) {
            *count += 1;
        } else if self.errors.len() < MAX_ERRORS {
            self.errors.push((reason, 1));
        }
    }
}

/// Counts requests of all workers.
pub(super) struct Tally {
    counts: Mutex<Counts>,
}

impl Tally {
    /// Nothing counted yet.
    pub(super) fn new() -> Self {
        let counts = Counts {
            records: PerSignal::default(),
            num_requests: 0,
            num_retries: 0,
            num_bytes: 0,
            latencies: Histogram::new_with_bounds(1, MAX_LATENCY_MICROS, LATENCY_DIGITS).ok(),
            errors: Vec::new(),
        };
        Self { counts: Mutex::new(counts) }
    }

    /// Counts a request whose body has so many bytes.
    pub(super) fn count(&self, ticket: &Ticket, size_bytes: usize, verdict: Verdict) {
        let mut counts = self.lock();
        counts.num_requests += 1;
        let num_records = ticket.num_records as u64;
        let records = counts.records.of_mut(ticket.signal);
        let last_id = ticket.first_id + num_records - 1;
        records.last_id = records.last_id.max(last_id);
        records.first_id = match records.first_id {
            0 => ticket.first_id,
            first_id => first_id.min(ticket.first_id),
        };
        match verdict {
            Verdict::Acknowledged { num_rejected, reason } => {
                let num_rejected = num_rejected.min(num_records);
                records.acknowledged += num_records - num_rejected;
                records.rejected += num_rejected;
                counts.num_bytes += size_bytes as u64;
                if let Some(latencies) = &mut counts.latencies {
                    let micros = ticket.due.elapsed().as_micros();
                    latencies.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX).max(1));
                }
                if let Some(reason) = reason {
                    counts.note_error(format!("partly rejected: {reason}"));
                }
            }
            Verdict::Rejected { reason } => {
                records.rejected += num_records;
                counts.note_error(format!("rejected: {reason}"));
            }
            Verdict::Failed { reason } => {
                records.failed += num_records;
                counts.note_error(format!("given up: {reason}"));
            }
        }
    }

    /// Counts an attempt after the first.
    pub(super) fn count_retry(&self) {
        self.lock().num_retries += 1;
    }

    /// The counts now.
    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Records acknowledged and retries so far.
    pub(super) fn progress(&self) -> (u64, u64) {
        let counts = self.lock();
        (counts.total().acknowledged, counts.num_retries)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
