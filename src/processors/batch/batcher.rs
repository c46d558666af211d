//! The processor itself: what waits, by who it belongs to.

use std::collections::{HashSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::component::{Acks, Flush, Outbox, ProcessError, Processor};
use crate::data::{Batch, Context, Time};
use crate::telemetry::{Counter, Sizes};

/// Sinks choose a window by arrival time; windows are whole numbers of these, so what arrived in
/// different ones is not joined.
const ARRIVAL_WINDOW_NANOS: u64 = 60_000_000_000;

/// What the processor goes by.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// So many records go on.
    pub(super) size: usize,
    /// No more than so many go on in one batch; 0: any number.
    pub(super) max_size: usize,
    /// How long records wait; `None`: not at all.
    pub(super) timeout: Option<Duration>,
    /// Request headers that keep batches apart, in lower case.
    pub(super) metadata_keys: Vec<String>,
    /// How many combinations of their values there may be; 0: any number.
    pub(super) max_combinations: usize,
}

/// Counts batches that went on.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// There were enough records.
    pub(super) size: Counter,
    /// They had waited long enough.
    pub(super) timeout: Counter,
    /// How many records they had.
    pub(super) sizes: Sizes,
}

/// Joins small batches and divides large ones, without decoding them.
#[derive(Debug)]
pub struct Batcher {
    settings: Settings,
    sent: Sent,
    /// What waits, in the order in which it is due. Few belong to different senders, so looking
    /// for one's is looking at all.
    waiting: VecDeque<Waiting>,
    /// The combinations of metadata that were seen, if there are keys.
    combinations: HashSet<Vec<Vec<String>>>,
}

/// Records that wait for others, all of one sender; fewer than make a batch.
#[derive(Debug)]
struct Waiting {
    batches: Vec<Batch>,
    acks: Acks,
    num_records: usize,
    due: Time,
}

impl Sent {
    fn by_size(&self, num_records: usize) {
        self.size.add(1);
        self.sizes.record(num_records);
    }

    fn by_timeout(&self, num_records: usize) {
        self.timeout.add(1);
        self.sizes.record(num_records);
    }
}

impl Batcher {
    pub(super) fn new(settings: Settings, sent: Sent) -> Self {
        Self { settings, sent, waiting: VecDeque::new(), combinations: HashSet::new() }
    }

    /// Notes the combination of metadata; fails when it is one too many.
    fn check_combination(&mut self, context: &Context) -> Result<(), ProcessError> {
        let Settings { metadata_keys: keys, max_combinations, .. } = &self.settings;
        if keys.is_empty() {
            return Ok(());
        }
        let combination: Vec<Vec<String>> =
            keys.iter().map(|key| context.metadata.get(key).cloned().unwrap_or_default()).collect();
        if self.combinations.contains(&combination) {
            return Ok(());
        }
        if *max_combinations > 0 && self.combinations.len() >= *max_combinations {
            let reason = "too many combinations of metadata values";
            return Err(ProcessError { reason, source: None });
        }
        self.combinations.insert(combination);
        Ok(())
    }

    /// Takes out what waits of the sender of `context`.
    fn take_waiting(&mut self, context: &Context) -> Option<Waiting> {
        let keys = &self.settings.metadata_keys;
        let at = self.waiting.iter().position(|waiting| {
            waiting
                .batches
                .first()
                .is_some_and(|batch| is_one_sender(keys, batch.context(), context))
        })?;
        self.waiting.remove(at)
    }

    /// Passes on what waits together with the call's input, in batches that are not too large;
    /// what is left of the input waits.
    fn send(&mut self, waiting: Option<Waiting>, input: Batch, out: &mut Outbox) {
        let Settings { size, max_size, timeout, .. } = self.settings;
        let (context, parts) = (Arc::clone(input.context()), input.parts().clone());
        let (mut acks, mut num_waiting) = (Acks::new(), 0);
        let joined = match waiting {
            Some(mut waiting) => {
                (acks, num_waiting) = (mem::take(&mut waiting.acks), waiting.num_records);
                waiting.batches.push(input);
                join(waiting.batches)
            }
            None => input,
        };
        for piece in joined.split(max_size, 0) {
            let num_records = piece.num_records();
            if num_waiting > 0 {
                // The first piece; it is larger than what waited, which was too little to go on.
                acks.push(out.hold(num_records - num_waiting));
                num_waiting = 0;
                self.sent.by_size(num_records);
                out.emit_held(piece, mem::take(&mut acks));
                continue;
            }
            let piece = piece.with_context(Arc::clone(&context)).with_parts(parts.clone());
            match timeout {
                Some(timeout) if num_records < size => self.keep(None, piece, timeout, out),
                _ => {
                    self.sent.by_size(num_records);
                    out.emit(piece);
                }
            }
        }
    }

    /// Keeps the call's input, or the rest of it, until there is more or it is due.
    fn keep(
        &mut self,
        waiting: Option<Waiting>,
        input: Batch,
        timeout: Duration,
        out: &mut Outbox,
    ) {
        let due = out.now().saturating_add(timeout);
        let mut waiting = waiting.unwrap_or_else(|| Waiting {
            batches: Vec::new(),
            acks: Acks::new(),
            num_records: 0,
            due,
        });
        waiting.num_records += input.num_records();
        waiting.acks.push(out.hold(input.num_records()));
        waiting.batches.push(input.compact());
        let at = self.waiting.partition_point(|other| other.due <= waiting.due);
        self.waiting.insert(at, waiting);
    }

    fn let_go(&self, waiting: Waiting, out: &mut Outbox) {
        self.sent.by_timeout(waiting.num_records);
        out.emit_held(join(waiting.batches), waiting.acks);
    }
}

impl Processor for Batcher {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.check_combination(batch.context())?;
        let mut waiting = self.take_waiting(batch.context());
        if let Some(other) = waiting.take_if(|waiting| !is_one_window(waiting, &batch)) {
            self.let_go(other, out);
        }
        let num_records = batch.num_records() + waiting.as_ref().map_or(0, |held| held.num_records);
        match self.settings.timeout {
            Some(timeout) if num_records < self.settings.size => {
                self.keep(waiting, batch, timeout, out);
            }
            _ => self.send(waiting, batch, out),
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Time> {
        self.waiting.front().map(|waiting| waiting.due)
    }

    fn tick(&mut self, out: &mut Outbox) -> Result<(), ProcessError> {
        let now = out.now();
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.due <= now) {
            self.let_go(waiting, out);
        }
        Ok(())
    }

    fn flush(&mut self, why: Flush, out: &mut Outbox) -> Result<(), ProcessError> {
        if why == Flush::Drain {
            for waiting in mem::take(&mut self.waiting) {
                self.let_go(waiting, out);
            }
        }
        Ok(())
    }
}

fn is_one_sender(metadata_keys: &[String], left: &Context, right: &Context) -> bool {
    left.tenant == right.tenant
        && left.identity == right.identity
        && left.done == right.done
        && metadata_keys.iter().all(|key| left.metadata.get(key) == right.metadata.get(key))
}

fn is_one_window(waiting: &Waiting, batch: &Batch) -> bool {
    let window = |batch: &Batch| batch.context().arrived.as_unix_nanos() / ARRIVAL_WINDOW_NANOS;
    waiting.batches.first().is_some_and(|other| window(other) == window(batch))
}

#[expect(clippy::expect_used, reason = "what waits is of one signal and one sender")]
fn join(batches: Vec<Batch>) -> Batch {
    Batch::concat(batches).expect("at least one batch, all of one signal, tenant and identity")
}
