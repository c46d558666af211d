//! What waits before an exporter: bounded in requests, items or bytes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::component::Ack;
use crate::config::Sizer;
use crate::data::Batch;
use crate::telemetry::Gauge;

/// A batch that waits, and who waits for it.
pub(super) struct Item {
    pub(super) batch: Batch,
    pub(super) ack: Ack,
}

/// What happens to what does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// It is given back.
    Refuse,
    /// The caller waits for room.
    Wait,
}

/// Why an item did not get in; it is given back.
pub(super) enum PushError {
    /// There is no room.
    Full(Item),
    /// The agent stops.
    Closed(Item),
}

/// A bounded queue from worker threads to tasks.
pub(super) struct Queue {
    state: Mutex<State>,
    capacity: usize,
    /// Beside the capacity.
    max_bytes: usize,
    sizer: Sizer,
    overflow: Overflow,
    /// Shows the size.
    gauge: Gauge,
    /// Something went; for one who waits.
    left: Notify,
    /// Something came, or the queue was closed.
    filled: Notify,
    /// Something went, or the queue was closed.
    drained: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    size: usize,
    size_bytes: usize,
    is_closed: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize, sizer: Sizer, overflow: Overflow, gauge: Gauge) -> Self {
        Self {
            state: Mutex::default(),
            capacity,
            max_bytes: usize::MAX,
            sizer,
            overflow,
            gauge,
            left: Notify::new(),
            filled: Notify::new(),
            drained: Condvar::new(),
        }
    }

    /// The same, with so many bytes at the most.
    pub(super) fn with_max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Whether an item with this batch gets in now, or finds the queue closed.
    pub(super) fn has_room(&self, batch: &Batch) -> bool {
        let state = self.lock();
        state.is_closed || self.fits(&state, batch)
    }

    fn fits(&self, state: &State, batch: &Batch) -> bool {
        let is_within = || {
            state.size + size_of(batch, self.sizer) <= self.capacity
                && state.size_bytes.saturating_add(batch.size_bytes()) <= self.max_bytes
        };
        state.items.is_empty() || is_within()
    }

    /// Comes when something went since this came last.
    pub(super) fn left(&self) -> impl Future<Output = ()> + '_ {
        self.left.notified()
    }

    /// Adds an item; blocks only with [`Overflow::Wait`].
    ///
    /// An item that is larger than the whole queue gets in while nothing else waits.
    #[expect(clippy::result_large_err, reason = "the item itself is given back")]
    pub(super) fn push(&self, item: Item) -> Result<(), PushError> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return Err(PushError::Closed(item));
            }
            if self.fits(&state, &item.batch) {
                break;
            }
            match self.overflow {
                Overflow::Refuse => return Err(PushError::Full(item)),
                Overflow::Wait => {
                    state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        self.add(state, item);
        Ok(())
    }

    /// Adds an item that another queue had room for.
    pub(super) fn adopt(&self, item: Item) {
        self.add(self.lock(), item);
    }

    fn add(&self, mut state: MutexGuard<'_, State>, item: Item) {
        state.size += size_of(&item.batch, self.sizer);
        state.size_bytes += item.batch.size_bytes();
        state.items.push_back(item);
        self.show(&state);
        drop(state);
        self.filled.notify_one();
    }

    /// Takes the oldest item as soon as there is one; `None` when the queue is closed and empty.
    ///
    /// # Cancel safety
    ///
    /// Nothing is taken by a future that is dropped.
    pub(super) async fn pop(&self) -> Option<Item> {
        loop {
            let filled = self.filled.notified();
            {
                let mut state = self.lock();
                if let Some(item) = state.items.pop_front() {
                    let size = size_of(&item.batch, self.sizer);
                    state.size = state.size.saturating_sub(size);
                    state.size_bytes = state.size_bytes.saturating_sub(item.batch.size_bytes());
                    self.show(&state);
                    let has_more = !state.items.is_empty();
                    drop(state);
                    self.drained.notify_all();
                    self.left.notify_one();
                    if has_more {
                        // A notification may have been for several items.
                        self.filled.notify_one();
                    }
                    return Some(item);
                }
                if state.is_closed {
                    // The others that wait shall see it, too.
                    self.filled.notify_one();
                    return None;
                }
            }
            filled.await;
        }
    }

    /// Takes no more; what waits can still be taken out.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_one();
        self.drained.notify_all();
    }

    /// Takes out everything that waits.
    pub(super) fn drain(&self) -> Vec<Item> {
        let mut state = self.lock();
        let items = std::mem::take(&mut state.items);
        (state.size, state.size_bytes) = (0, 0);
        self.show(&state);
        drop(state);
        self.drained.notify_all();
        items.into()
    }

    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    fn show(&self, state: &State) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        self.gauge.set(state.size as f64);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much a batch takes up of a queue.
pub(super) fn size_of(batch: &Batch, sizer: Sizer) -> usize {
    match sizer {
        Sizer::Requests => 1,
        Sizer::Items => batch.num_records(),
        Sizer::Bytes => batch.size_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::data::Signal;
    use crate::telemetry::Live;

    fn item() -> Item {
        let batch = Batch::empty(Signal::Logs, Arc::default());
        Item { batch, ack: Ack::detached(Live::none()) }
    }

    fn queue(capacity: usize, overflow: Overflow) -> Arc<Queue> {
        Arc::new(Queue::new(capacity, Sizer::Requests, overflow, Gauge::default()))
    }

    #[test]
    fn full_queue_refuses_and_shows_its_size() {
        let queue = queue(2, Overflow::Refuse);
        assert!(queue.push(item()).is_ok() && queue.push(item()).is_ok());
        assert!(matches!(queue.push(item()), Err(PushError::Full(_))));
        assert_eq!(queue.gauge.get(), 2.0);
        assert_eq!(queue.drain().len(), 2);
        assert_eq!(queue.gauge.get(), 0.0);
    }

    #[test]
    fn closed_queue_lets_a_waiting_producer_go() {
        let queue = queue(1, Overflow::Wait);
        assert!(queue.push(item()).is_ok());
        let producer = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || matches!(queue.push(item()), Err(PushError::Closed(_))))
        };
        queue.close();
        assert!(producer.join().unwrap());
    }

    #[tokio::test]
    async fn every_consumer_ends_when_the_queue_is_closed_and_empty() {
        let queue = queue(10, Overflow::Refuse);
        let consumers: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    let mut count = 0;
                    while queue.pop().await.is_some() {
                        count += 1;
                        tokio::task::yield_now().await;
                    }
                    count
                })
            })
            .collect();
        for _ in 0..7 {
            assert!(queue.push(item()).is_ok());
        }
        queue.close();
        let mut count = 0;
        for consumer in consumers {
            let ended = tokio::time::timeout(Duration::from_secs(5), consumer).await;
            count += ended.unwrap().unwrap();
        }
        assert_eq!(count, 7);
    }
}
