//! One request until it is answered for: attempts, pauses, halving.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::Shared;
use super::backoff::Backoff;
use crate::component::{Ack, Answer, Cause, Durability, ExportError, Outcome, Request, Sent};
use crate::telemetry::with_causes;

/// Sends a request, again and in halves if need be, and answers for all of its records.
pub(super) async fn send(shared: &Shared, request: Request, ack: Ack) {
    let mut waiting = vec![(request, ack)];
    while let Some((request, ack)) = waiting.pop() {
        let Some(Divided { request, mut ack, source }) = send_whole(shared, request, ack).await
        else {
            continue;
        };
        match shared.exporter.halve(request) {
            Ok([first, second]) => {
                let share = ack.split(first.num_records);
                waiting.push((second, ack));
                waiting.push((first, share));
            }
            Err(_) => reject(shared, ack, &*source),
        }
    }
}

/// A request that must be halved.
struct Divided {
    request: Request,
    ack: Ack,
    source: Cause,
}

/// Sends a request until it is answered for, or must be halved.
async fn send_whole(shared: &Shared, request: Request, ack: Ack) -> Option<Divided> {
    let mut backoff = Backoff::new(&shared.settings.retry);
    let started = Instant::now();
    loop {
        let (hint, source) = match attempt(shared, &request).await {
            Ok(sent) => {
                shared.status.set_up(&shared.name);
                take_sent(shared, &sent, ack);
                return None;
            }
            Err(ExportError::Divide { source }) => return Some(Divided { request, ack, source }),
            Err(ExportError::Rejected { source } | ExportError::Lost { source, .. }) => {
                reject(shared, ack, &*source);
                return None;
            }
            Err(ExportError::Retry { after, source }) => (after, source),
        };
        let why = with_causes(&*source);
        shared.status.set_failing(&shared.name, &why);
        if shared.leave.is_cancelled() {
            shared.give_up(ack);
            if shared.spool.is_some() {
                // The others would not get any further.
                shared.give_up_queue();
            }
            return None;
        }
        let Some(pause) = backoff.pause(hint, started.elapsed()) else {
            let why = format!("exporter `{}`: no more retries: {why}", shared.id);
            let answer = Answer { retry_after: hint, ..Answer::new(Outcome::Retry, &why) };
            shared.drop_for_good(ack, "retries_exhausted", &answer);
            return None;
        };
        if !paused(shared, pause, &why).await {
            shared.give_up(ack);
            return None;
        }
    }
}

/// One attempt within its time.
async fn attempt(shared: &Shared, request: &Request) -> Result<Sent, ExportError> {
    if shared.abort.is_cancelled() {
        return Err(retry("the agent stops".into()));
    }
    let limit = shared.settings.timeout;
    let started = Instant::now();
    let sending = async {
        let sent = AssertUnwindSafe(shared.exporter.send(request)).catch_unwind();
        let sent = match limit.is_zero() {
            true => Ok(sent.await),
            false => timeout(limit, sent).await,
        };
        match sent {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ExportError::Rejected { source: "sending it panicked".into() }),
            Err(_) => Err(retry(format!("no answer within {limit:?}").into())),
        }
    };
    let outcome = tokio::select! {
        outcome = sending => outcome,
        () = shared.abort.cancelled() => Err(retry("the agent stops".into())),
    };
    shared.counters.duration.record(started.elapsed());
    outcome
}

fn retry(source: Cause) -> ExportError {
    ExportError::Retry { after: None, source }
}

/// Waits before the next attempt; false when the agent stops meanwhile.
async fn paused(shared: &Shared, pause: Duration, why: &str) -> bool {
    if let Some(suppressed) = shared.log_throttle.allow(shared.clock.now()) {
        warn!(exporter = shared.name, why, ?pause, suppressed, "export failed, will retry");
    }
    tokio::select! {
        () = sleep(pause) => true,
        () = shared.leave.cancelled() => false,
    }
}

/// Accounts for a request that the destination took, or is to commit.
fn take_sent(shared: &Shared, sent: &Sent, mut ack: Ack) {
    debug!(exporter = shared.name, records = ack.num_records(), "sent");
    if sent.num_rejected > 0 {
        let num_rejected = usize::try_from(sent.num_rejected).unwrap_or(usize::MAX);
        let reason = sent.reason.as_deref().unwrap_or("the destination refused some records");
        // Partial success is an answer, and nothing of it is sent again (OTLP specification,
        // "Partial Success"); so it is for the client, too.
        let answer = Answer { reason: Some(reason.into()), ..Answer::DELIVERED };
        shared.drop_for_good(ack.split(num_rejected), "rejected", &answer);
    } else if let Some(reason) = sent.reason.as_deref().filter(|reason| !reason.is_empty())
        && let Some(suppressed) = shared.log_throttle.allow(shared.clock.now())
    {
        warn!(exporter = shared.name, reason, suppressed, "the destination warns");
    }
    match sent.durability {
        Durability::Durable => shared.deliver(ack),
        Durability::Buffered => shared.commits.add(ack),
    }
}

fn reject(shared: &Shared, ack: Ack, source: &(dyn std::error::Error + Send + Sync)) {
    let why = format!("exporter `{}`: {}", shared.id, with_causes(source));
    shared.drop_for_good(ack, "rejected", &Answer::new(Outcome::Rejected, &why));
}
