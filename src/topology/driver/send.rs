//! One request until it is answered for: attempts, pauses, halving.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::{Shared, consume};
use crate::component::{
    Ack, Answer, Cause, Durability, ExportError, Outcome, Payload, Request, Sent,
};
use crate::telemetry::with_causes;
use crate::topology::durable::Noting;

/// Sends a request, again and in halves if need be, and answers for all of its records.
pub(super) async fn send(shared: &Shared, request: Request, ack: Ack, noting: &mut Noting) {
    let mut waiting = vec![(request, ack)];
    while let Some((request, ack)) = waiting.pop() {
        let Some(Divided { request, mut ack, why }) =
            send_whole(shared, request, ack, noting).await
        else {
            continue;
        };
        match halve(shared, request, &why) {
            Ok([first, second]) => {
                let share = ack.split(first.num_records);
                waiting.push((second, ack));
                waiting.push((first, share));
            }
            Err(request) => match why {
                Why::Divide(source) => reject(shared, &request, ack, &*source).await,
                Why::Panicked => {
                    let record = shared.exporter.records(&request);
                    shared.set_aside(record, ack).await;
                }
            },
        }
    }
}

/// A request that must be halved.
struct Divided {
    request: Request,
    ack: Ack,
    why: Why,
}

/// Why a request must be halved.
enum Why {
    /// The destination refuses it as a whole.
    Divide(Cause),
    /// The exporter panicked on it.
    Panicked,
}

/// Halves a request as the exporter does it; a batch on which it panicked, without asking it.
#[expect(clippy::result_large_err, reason = "the request itself is given back")]
fn halve(shared: &Shared, request: Request, why: &Why) -> Result<[Request; 2], Request> {
    if let (Why::Panicked, Payload::Batch(batch)) = (why, &request.payload) {
        if batch.num_records() <= 1 {
            return Err(request);
        }
        return Ok(consume::halves(batch).map(|batch| Request {
            lane: request.lane,
            num_records: batch.num_records(),
            size_bytes: batch.size_bytes(),
            parts: batch.parts().clone(),
            payload: Payload::Batch(batch),
        }));
    }
    shared.exporter.halve(request)
}

/// Sends a request until it is answered for, or must be halved.
async fn send_whole(
    shared: &Shared,
    request: Request,
    ack: Ack,
    noting: &mut Noting,
) -> Option<Divided> {
    let mut backoff = Backoff::new(&shared.settings.retry);
    let started = Instant::now();
    loop {
        // Others than sinks of batches only wait for an answer.
        if matches!(request.payload, Payload::Batch(_)) {
            noting.begin(&shared.name, &ack);
        }
        let attempted = attempt(shared, &request).await;
        noting.end();
        let (hint, source) = match attempted {
            Ok(Ok(sent)) => {
                shared.status.set_up(&shared.name);
                take_sent(shared, &request, &sent, ack).await;
                return None;
            }
            Err(Panicked) => return Some(Divided { request, ack, why: Why::Panicked }),
            Ok(Err(ExportError::Divide { source })) => {
                return Some(Divided { request, ack, why: Why::Divide(source) });
            }
            Ok(Err(ExportError::Rejected { source } | ExportError::Lost { source, .. })) => {
                reject(shared, &request, ack, &*source).await;
                return None;
            }
            Ok(Err(ExportError::Retry { after, source })) => (after, source),
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

/// The exporter panicked.
struct Panicked;

/// One attempt within its time.
async fn attempt(
    shared: &Shared,
    request: &Request,
) -> Result<Result<Sent, ExportError>, Panicked> {
    if shared.abort.is_cancelled() {
        return Ok(Err(retry("the agent stops".into())));
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
            Ok(outcome) => outcome.map_err(|_| Panicked),
            Err(_) => Ok(Err(retry(format!("no answer within {limit:?}").into()))),
        }
    };
    let outcome = tokio::select! {
        outcome = sending => outcome,
        () = shared.abort.cancelled() => Ok(Err(retry("the agent stops".into()))),
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
async fn take_sent(shared: &Shared, request: &Request, sent: &Sent, mut ack: Ack) {
    debug!(exporter = shared.name, records = ack.num_records(), "sent");
    if sent.num_rejected > 0 {
        let num_rejected = usize::try_from(sent.num_rejected).unwrap_or(usize::MAX);
        let reason = sent.reason.as_deref().unwrap_or("the destination refused some records");
        // Partial success is an answer, and nothing of it is sent again (OTLP specification,
        // "Partial Success"); so it is for the client, too.
        let answer = Answer { reason: Some(reason.into()), ..Answer::DELIVERED };
        // Which records it is, the destination does not say.
        let why = format!("{num_rejected} of {} records: {reason}", request.num_records);
        shared.bury(request, &ack, &why).await;
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

async fn reject(
    shared: &Shared,
    request: &Request,
    ack: Ack,
    source: &(dyn std::error::Error + Send + Sync),
) {
    let why = with_causes(source);
    shared.bury(request, &ack, &why).await;
    let why = format!("exporter `{}`: {why}", shared.id);
    shared.drop_for_good(ack, "rejected", &Answer::new(Outcome::Rejected, &why));
}
