//! The tasks between queue and exporter: consumers, or a dispatcher with lanes.

use std::sync::Arc;

use tokio::task::{JoinSet, spawn_blocking};

use super::join;
use super::queue::Item;
use super::{Shared, send};
use crate::component::{Ack, Answer, Lane, Outcome, Prepared, Rejection, Request};
use crate::data::{Batch, Parts};
use crate::topology::durable::Noting;

/// Up to this size a batch is prepared where it was taken out of the queue.
const MAX_INLINE_BYTES: usize = 16 * 1024;

/// Requests that wait in a lane behind the one that is being sent.
const LANE_CAPACITY: usize = 1;

/// Spawns what takes batches out of the queue; all of it ends when the queue is closed and empty.
pub(super) fn spawn(shared: &Arc<Shared>, noting: &impl Fn() -> Noting, tasks: &mut JoinSet<()>) {
    let source = join::spawn(shared, tasks);
    let num_consumers = shared.settings.queue.num_consumers.get();
    if !shared.exporter.is_ordered() {
        for _ in 0..num_consumers {
            tasks.spawn(consume(Arc::clone(shared), source.clone(), noting()));
        }
        return;
    }
    let mut lanes = Vec::with_capacity(num_consumers);
    for _ in 0..num_consumers {
        let (sender, requests) = flume::bounded(LANE_CAPACITY);
        lanes.push(sender);
        tasks.spawn(run_lane(Arc::clone(shared), requests, noting()));
    }
    tasks.spawn(dispatch(Arc::clone(shared), source, lanes, noting()));
}

/// A request and who waits for it.
type Waiting = (Request, Ack);

async fn consume(shared: Arc<Shared>, source: join::Source, mut noting: Noting) {
    while let Some(item) = source.next(&shared.queue).await {
        for (request, ack) in prepare(&shared, item, &mut noting).await {
            send::send(&shared, request, ack, &mut noting).await;
        }
    }
}

async fn dispatch(
    shared: Arc<Shared>,
    source: join::Source,
    lanes: Vec<flume::Sender<Waiting>>,
    mut noting: Noting,
) {
    let mut turn = 0_usize;
    while let Some(item) = source.next(&shared.queue).await {
        for (request, ack) in prepare(&shared, item, &mut noting).await {
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

async fn run_lane(shared: Arc<Shared>, requests: flume::Receiver<Waiting>, mut noting: Noting) {
    while let Ok((request, ack)) = requests.recv_async().await {
        send::send(&shared, request, ack, &mut noting).await;
    }
}

/// Makes the requests of a batch, each with its share of the answer. A batch on which that panics is
/// halved down to the record.
async fn prepare(shared: &Arc<Shared>, item: Item, noting: &mut Noting) -> Vec<Waiting> {
    let mut requests = Vec::new();
    let mut waiting = vec![(item.batch, item.ack)];
    while let Some((batch, mut ack)) = waiting.pop() {
        noting.begin(&shared.name, &ack);
        let prepared = prepared(shared, batch.clone()).await;
        noting.end();
        match prepared {
            Some(prepared) => {
                reject(shared, &prepared.rejected, &batch, &mut ack).await;
                requests.extend(prepared.requests.into_iter().map(|request| {
                    let share = ack.split(request.num_records);
                    (request, share)
                }));
                // Everything is in the shares; what the exporter did not account for shows in the
                // ledger.
                ack.answer(Outcome::Delivered);
            }
            None if batch.num_records() <= 1 => shared.set_aside(Some(batch), ack).await,
            None => {
                let [first, second] = halves(&batch);
                let share = ack.split(first.num_records());
                waiting.extend([(second, ack), (first, share)]);
            }
        }
    }
    requests
}

/// Accounts for what an exporter cannot send.
async fn reject(shared: &Shared, rejected: &[Rejection], batch: &Batch, ack: &mut Ack) {
    for rejection in rejected {
        if rejection.num_records == batch.num_records() {
            shared.bury_batch(batch, ack, &rejection.reason).await;
        }
        let refused = ack.split(rejection.num_records);
        let answer = Answer::new(Outcome::Rejected, &rejection.reason);
        shared.drop_for_good(refused, "rejected", &answer);
    }
}

/// Both halves of a batch; neither has all of a journal entry.
pub(super) fn halves(batch: &Batch) -> [Batch; 2] {
    let mut halves = batch.split(batch.num_records().div_ceil(2), 0).into_iter();
    let empty = || Batch::empty(batch.signal(), Arc::clone(batch.context()));
    [halves.next(), halves.next()].map(|half| half.unwrap_or_else(empty).with_parts(Parts::new()))
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
