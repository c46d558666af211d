//! The tasks between queue and exporter: consumers, or a dispatcher with lanes.

use std::sync::Arc;

use tokio::task::{JoinSet, spawn_blocking};

use super::join;
use super::queue::Item;
use super::{Shared, send};
use crate::component::{Ack, Answer, Lane, Outcome, Prepared, Request};
use crate::data::Batch;

/// Up to this size a batch is prepared where it was taken out of the queue.
const MAX_INLINE_BYTES: usize = 16 * 1024;

/// Requests that wait in a lane behind the one that is being sent.
const LANE_CAPACITY: usize = 1;

/// Spawns what takes batches out of the queue; all of it ends when the queue is closed and empty.
pub(super) fn spawn(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let source = join::spawn(shared, tasks);
    let num_consumers = shared.settings.queue.num_consumers.get();
    if !shared.exporter.is_ordered() {
        for _ in 0..num_consumers {
            tasks.spawn(consume(Arc::clone(shared), source.clone()));
        }
        return;
    }
    let mut lanes = Vec::with_capacity(num_consumers);
    for _ in 0..num_consumers {
        let (sender, requests) = flume::bounded(LANE_CAPACITY);
        lanes.push(sender);
        tasks.spawn(run_lane(Arc::clone(shared), requests));
    }
    tasks.spawn(dispatch(Arc::clone(shared), source, lanes));
}

/// A request and who waits for it.
type Waiting = (Request, Ack);

async fn consume(shared: Arc<Shared>, source: join::Source) {
    while let Some(item) = source.next(&shared.queue).await {
        for (request, ack) in prepare(&shared, item).await {
            send::send(&shared, request, ack).await;
        }
    }
}

async fn dispatch(shared: Arc<Shared>, source: join::Source, lanes: Vec<flume::Sender<Waiting>>) {
    let mut turn = 0_usize;
    while let Some(item) = source.next(&shared.queue).await {
        for (request, ack) in prepare(&shared, item).await {
            let lane = match request.lane {
                Lane::Key(key) => usize::try_from(key % lanes.len() as u64).unwrap_or_default(),
                Lane::Any => {
                    turn = (turn + 1) % lanes.len();
                    turn
                }
            };
            // Lanes end after the dispatcher, so there is one to take it.
            if let Some(lane) = lanes.get(lane) {
                let _ = lane.send_async((request, ack)).await;
            }
        }
    }
}

async fn run_lane(shared: Arc<Shared>, requests: flume::Receiver<Waiting>) {
    while let Ok((request, ack)) = requests.recv_async().await {
        send::send(&shared, request, ack).await;
    }
}

/// Makes the requests of a batch, each with its share of the answer.
async fn prepare(shared: &Arc<Shared>, item: Item) -> Vec<Waiting> {
    let Item { batch, mut ack } = item;
    let Some(prepared) = prepared(shared, batch).await else {
        let why = format!("exporter `{}`: preparing a request panicked", shared.id);
        shared.drop_for_good(ack, "panic", &Answer::new(Outcome::Rejected, &why));
        return Vec::new();
    };
    for rejection in prepared.rejected {
        let refused = ack.split(rejection.num_records);
        let answer = Answer::new(Outcome::Rejected, &rejection.reason);
        shared.drop_for_good(refused, "rejected", &answer);
    }
    let requests = prepared.requests.into_iter();
    let requests = requests
        .map(|request| {
            let share = ack.split(request.num_records);
            (request, share)
        })
        .collect();
    // Everything is in the shares; what the exporter did not account for shows in the ledger.
    ack.answer(Outcome::Delivered);
    requests
}

/// `None` when the exporter panicked.
async fn prepared(shared: &Arc<Shared>, batch: Batch) -> Option<Prepared> {
    let exporter = Arc::clone(&shared.exporter);
    let is_quick = !exporter.prepares_apart() || batch.size_bytes() <= MAX_INLINE_BYTES;
    let work = move || {
        let work = std::panic::AssertUnwindSafe(|| exporter.prepare(batch));
        std::panic::catch_unwind(work).ok()
    };
    if is_quick {
        return work();
    }
    spawn_blocking(work).await.ok().flatten()
}
