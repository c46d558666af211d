//! `sending_queue::batch`: joins what waits in the queue into larger requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::queue::{Item, Queue, size_of};
use crate::component::{Ack, Acks};
use crate::config::{QueueBatch, Sizer};
use crate::data::{Batch, Parts};

/// Where consumers take batches from.
#[derive(Clone)]
pub(super) enum Source {
    /// The queue itself.
    Queue,
    /// The joiner.
    Joined(flume::Receiver<Item>),
}

impl Source {
    /// The next batch; `None` when there will be none.
    pub(super) async fn next(&self, queue: &Queue) -> Option<Item> {
        match self {
            Self::Queue => queue.pop().await,
            Self::Joined(items) => items.recv_async().await.ok(),
        }
    }
}

/// Spawns a joiner if the settings ask for one, and says where batches come from.
pub(super) fn spawn(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> Source {
    let Some(batch) = shared.settings.queue.batch.clone() else {
        return Source::Queue;
    };
    let (sender, items) = flume::bounded(1);
    tasks.spawn(run(Arc::clone(shared), batch, sender));
    Source::Joined(items)
}

async fn run(shared: Arc<Shared>, settings: QueueBatch, sender: flume::Sender<Item>) {
    let sizer = settings.sizer.unwrap_or(match shared.settings.queue.sizer {
        Sizer::Requests => Sizer::Items,
        sizer => sizer,
    });
    let mut joiner = Joiner { settings, sizer, waiting: Vec::new(), size: 0 };
    let mut deadline = None;
    loop {
        let next = match deadline {
            None => Ok(shared.queue.pop().await),
            Some(deadline) => timeout_at(deadline, shared.queue.pop()).await,
        };
        let is_end = matches!(next, Ok(None));
        let mut ready = Vec::new();
        match next {
            Ok(Some(item)) => joiner.add(item, &mut ready),
            Ok(None) | Err(_) => joiner.finish(&mut ready),
        }
        deadline = joiner.deadline(deadline.filter(|_| ready.is_empty()));
        for item in ready {
            let item = recounted(&shared, item);
            // Consumers end after the joiner, so there is one to take it.
            let _ = sender.send_async(item).await;
        }
        if is_end {
            return;
        }
    }
}

/// A batch and all who wait for it.
struct Joined {
    batch: Batch,
    acks: Acks,
}

/// Counts the records of a joined batch under one share.
fn recounted(shared: &Shared, joined: Joined) -> Item {
    let live = shared.account.live(joined.batch.num_records());
    Item { batch: joined.batch, ack: Ack::join(joined.acks, live) }
}

/// Batches on their way to a size.
struct Joiner {
    settings: QueueBatch,
    sizer: Sizer,
    waiting: Vec<Item>,
    size: usize,
}

impl Joiner {
    fn add(&mut self, item: Item, ready: &mut Vec<Joined>) {
        let can_join = self.waiting.first().is_none_or(|first| {
            let (first, other) = (first.batch.context(), item.batch.context());
            Arc::ptr_eq(first, other) || first.merge(other).is_some()
        });
        if !can_join {
            self.finish(ready);
        }
        self.size += size_of(&item.batch, self.sizer);
        self.waiting.push(item);
        if self.size >= self.settings.min_size {
            self.finish(ready);
        }
    }

    /// When what waits must go, `before` being when that was already said.
    fn deadline(&self, before: Option<Instant>) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        let timeout: Duration = self.settings.flush_timeout.get();
        before.or_else(|| Some(Instant::now() + timeout))
    }

    /// Makes requests of all that waits.
    fn finish(&mut self, ready: &mut Vec<Joined>) {
        self.size = 0;
        let (batches, acks): (Vec<_>, Vec<_>) =
            self.waiting.drain(..).map(|item| (item.batch, item.ack)).unzip();
        let Ok(batch) = Batch::concat(batches) else { return };
        let acks = Acks::from_vec(acks);
        let (max_records, max_bytes) = match self.sizer {
            Sizer::Bytes => (0, self.settings.max_size),
            _ => (self.settings.max_size, 0),
        };
        let mut pieces = batch.split(max_records, max_bytes);
        if pieces.len() > 1 {
            // None of them has all of an entry.
            pieces = pieces.into_iter().map(|piece| piece.with_parts(Parts::new())).collect();
        }
        let Some(last) = pieces.pop() else { return };
        for piece in pieces {
            let acks = acks.iter().map(|ack| ack.share(crate::telemetry::Live::none())).collect();
            ready.push(Joined { batch: piece, acks });
        }
        ready.push(Joined { batch: last, acks });
    }
}
