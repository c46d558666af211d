//! Commits: what was sent to an exporter that buffers, until its next flush.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Shared;
use super::backoff::Backoff;
use crate::component::{Ack, Answer, ExportError, Outcome};
use crate::telemetry::with_causes;

/// Shares whose records wait for the next flush.
#[derive(Default)]
pub(super) struct Commits {
    waiting: Mutex<Vec<Ack>>,
    /// Something was sent, so the deadline may have changed.
    added: Notify,
}

impl Commits {
    pub(super) fn add(&self, ack: Ack) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(ack);
        self.added.notify_one();
    }

    fn is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn take(&self) -> Vec<Ack> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put_back(&self, mut acks: Vec<Ack>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        acks.append(&mut waiting);
        *waiting = acks;
    }
}

/// Flushes the exporter whenever it asks for it; after `finish` once more, then returns.
pub(super) async fn run(shared: Arc<Shared>, finish: CancellationToken) {
    loop {
        tokio::select! {
            () = finish.cancelled() => break,
            () = shared.commits.added.notified() => {}
            // Where memory is short, what waits may be due at once.
            () = shared.budget.shortage().notified() => {}
            () = until_due(&shared) => flush(&shared, &finish).await,
        }
    }
    flush(&shared, &finish).await;
    for ack in shared.commits.take() {
        shared.give_up(ack);
    }
}

/// Waits for the exporter's deadline; for ever where it has none, unless shares wait: a flush may
/// have taken records with it whose send only ended after it had begun.
async fn until_due(shared: &Shared) {
    let Some(deadline) = shared.exporter.deadline() else {
        if shared.commits.is_empty() {
            std::future::pending::<()>().await;
        }
        return;
    };
    let nanos = deadline.as_unix_nanos().saturating_sub(shared.clock.now().as_unix_nanos());
    sleep_until(Instant::now() + Duration::from_nanos(nanos)).await;
}

/// Flushes until it succeeds, the exporter refuses for good, or the time for stopping is over.
async fn flush(shared: &Shared, finish: &CancellationToken) {
    let mut backoff = Backoff::new(&shared.settings.retry);
    let started = Instant::now();
    loop {
        // Only what was sent before the flush begins is covered by it.
        let acks = shared.commits.take();
        let flushed = AssertUnwindSafe(shared.exporter.flush()).catch_unwind().await;
        let panicked = |_| Err(ExportError::Retry { after: None, source: "it panicked".into() });
        let error = match flushed.unwrap_or_else(panicked) {
            Ok(()) => {
                acks.into_iter().for_each(|ack| shared.deliver(ack));
                return;
            }
            Err(error) => error,
        };
        let (hint, source) = match error {
            ExportError::Retry { after, source } => (after, source),
            ExportError::Lost { num_records, source } => {
                drop_lost(shared, acks, num_records, &*source);
                return;
            }
            ExportError::Rejected { source } | ExportError::Divide { source } => {
                let why = format!("exporter `{}`: {}", shared.id, with_causes(&*source));
                let answer = Answer::new(Outcome::Rejected, &why);
                for ack in acks {
                    shared.drop_for_good(ack, "rejected", &answer);
                }
                return;
            }
        };
        let why = with_causes(&*source);
        shared.status.set_failing(&shared.name, &why);
        shared.status.record_error(&shared.name, &why);
        if let Some(suppressed) = shared.log_throttle.allow(shared.clock.now()) {
            warn!(exporter = shared.name, why, suppressed, "commit failed, will retry");
        }
        shared.commits.put_back(acks);
        if !wait(shared, finish, backoff.pause(hint, started.elapsed())).await {
            return;
        }
    }
}

/// Accounts for records of which it is known only how many are lost; the others are delivered.
fn drop_lost(
    shared: &Shared,
    acks: Vec<Ack>,
    num_lost: u64,
    source: &(dyn std::error::Error + Send + Sync),
) {
    let why = format!("exporter `{}`: {}", shared.id, with_causes(source));
    let answer = Answer::new(Outcome::Rejected, &why);
    let mut num_left = usize::try_from(num_lost).unwrap_or(usize::MAX);
    for mut ack in acks {
        let num_dropped = ack.num_records().min(num_left);
        if num_dropped > 0 {
            num_left -= num_dropped;
            shared.drop_for_good(ack.split(num_dropped), "lost", &answer);
        }
        shared.deliver(ack);
    }
}

/// Waits before the next attempt to commit; what is buffered is never given up before the end.
async fn wait(shared: &Shared, finish: &CancellationToken, pause: Option<Duration>) -> bool {
    let longest = shared.settings.retry.max_interval.get();
    let pause = pause.unwrap_or(longest);
    // While stopping, attempts follow one another quickly.
    let pause = if finish.is_cancelled() { pause.min(Duration::from_millis(200)) } else { pause };
    tokio::select! {
        () = sleep(pause) => true,
        () = shared.abort.cancelled() => false,
    }
}
