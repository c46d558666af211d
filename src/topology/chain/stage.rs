//! One stage of a chain: calls a processor, catches its panics, accounts for its records.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;
use tracing::{error, warn};

use super::worker::State;
use crate::component::{
    Ack, Answer, Budget, Emission, Flush, Outbox, Outcome, PANICKED, ProcessError, Processor,
};
use crate::data::{Batch, Time};
use crate::storage::quarantine::Quarantine;
use crate::telemetry::{Counter, Live, PipelineLedger, Status, Throttle, with_causes};

/// The account of what stages make.
const ACCOUNT: &str = "batches";

/// How long a stage waits after a timed call that panicked; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How long it waits at the most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why records are dropped on which a stage panics.
const PANIC: &str = "panic";

/// A batch that leaves a stage, and who waits for it; its records are counted with the share.
pub(in crate::topology) struct Passed {
    pub(super) output: usize,
    pub(super) batch: Batch,
    pub(super) ack: Ack,
}

/// What leaves a stage in one call.
pub(super) type Passing = SmallVec<[Passed; 2]>;

/// A processor or connector in a chain.
pub(in crate::topology) struct Stage {
    id: String,
    processor: Box<dyn Processor>,
    account: Arc<PipelineLedger>,
    incoming: Counter,
    outgoing: Counter,
    /// Whether a share that is held answers its client at once.
    answers_early: bool,
    quarantine: Quarantine,
    status: Status,
    budget: Budget,
    log_throttle: Throttle,
    /// After a timed call that panicked: how long until the next, and when that is.
    pause: Option<(Duration, Time)>,
}

/// What stages of one pipeline share.
pub(in crate::topology) struct StageContext {
    pub(in crate::topology) account: Arc<PipelineLedger>,
    pub(in crate::topology) answers_early: bool,
    pub(in crate::topology) quarantine: Quarantine,
    pub(in crate::topology) status: Status,
    pub(in crate::topology) budget: Budget,
}

impl Stage {
    /// A stage called `id`; `items` count what comes in and what goes out.
    pub(in crate::topology) fn new(
        id: String,
        processor: Box<dyn Processor>,
        (incoming, outgoing): (Counter, Counter),
        context: &StageContext,
    ) -> Self {
        Self {
            id,
            processor,
            account: Arc::clone(&context.account),
            incoming,
            outgoing,
            answers_early: context.answers_early,
            quarantine: context.quarantine.clone(),
            status: context.status.clone(),
            budget: context.budget.clone(),
            log_throttle: Throttle::default(),
            pause: None,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Passes a batch through. One on which the processor panics is halved down to the record.
    pub(super) fn process(&mut self, batch: Batch, ack: Ack, now: Time) -> Passing {
        self.incoming.add(batch.num_records() as u64);
        let mut passing = Passing::new();
        let mut waiting = vec![(batch, ack)];
        while let Some((batch, ack)) = waiting.pop() {
            let mut out = Outbox::new(now, Some(ack), self.answers_early);
            let again = batch.clone();
            let call = AssertUnwindSafe(|| self.processor.process(batch, &mut out));
            match catch_unwind(call) {
                Ok(Ok(())) => self.settle(out, &mut passing),
                Ok(Err(error)) => self.refuse(out, &error),
                Err(_) => self.halve(out, &again, &mut waiting),
            }
        }
        passing
    }

    /// What it knows, if anything.
    pub(super) fn state(&self, worker: (usize, usize)) -> Option<State> {
        let mut bytes = Vec::new();
        let save = AssertUnwindSafe(|| self.processor.save(&mut bytes));
        if !matches!(catch_unwind(save), Ok(Ok(()))) {
            error!(stage = self.id, "the state of a stage cannot be saved, it is lost");
            return None;
        }
        let version = self.processor.state_version();
        (!bytes.is_empty()).then(|| State { stage: self.id.clone(), worker, version, bytes })
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let deadline = self.processor.deadline()?;
        Some(self.pause.map_or(deadline, |(_, until)| deadline.max(until)))
    }

    pub(super) fn tick(&mut self, now: Time) -> Passing {
        self.call(now, |processor, out| processor.tick(out))
    }

    pub(super) fn flush(&mut self, why: Flush, now: Time) -> Passing {
        self.call(now, |processor, out| processor.flush(why, out))
    }

    /// A call without a batch of its own.
    fn call(
        &mut self,
        now: Time,
        call: impl FnOnce(&mut dyn Processor, &mut Outbox) -> Result<(), ProcessError>,
    ) -> Passing {
        let mut out = Outbox::new(now, None, self.answers_early);
        let mut passing = Passing::new();
        let processor = self.processor.as_mut();
        match catch_unwind(AssertUnwindSafe(|| call(processor, &mut out))) {
            Ok(Ok(())) => {
                self.pause = None;
                self.settle(out, &mut passing);
            }
            Ok(Err(error)) => {
                self.pause = None;
                self.refuse(out, &error);
            }
            Err(_) => self.rest(out),
        }
        passing
    }

    /// After a timed call that panicked: what it let go runs again, if there is a journal, and what
    /// is held waits, so that the stage does not panic without end.
    fn rest(&mut self, out: Outbox) {
        let pause = self.pause.map_or(FIRST_PAUSE, |(pause, _)| (pause * 2).min(LONGEST_PAUSE));
        self.pause = Some((pause, out.now().saturating_add(pause)));
        self.status.record_error(&self.id, "a timed call panicked");
        error!(component = self.id, ?pause, "a timed call panicked");
        let answer = Answer::new(Outcome::Retry, PANICKED);
        let (emissions, _) = out.finish();
        let held = emissions.into_iter().filter_map(|emission| emission.held).flatten();
        for ack in held {
            self.account.dropped(&self.id, PANIC).add(ack.num_records() as u64);
            ack.answer_with(&answer);
        }
    }

    /// Accounts for a call that went well and collects what it let go.
    fn settle(&self, out: Outbox, passing: &mut Passing) {
        self.count(&out);
        let (emissions, mut input) = out.finish();
        let num_shared = emissions.iter().filter(|emission| emission.held.is_none()).count();
        let mut num_left = num_shared;
        for Emission { output, batch, held } in emissions {
            let num_records = batch.num_records();
            self.outgoing.add(num_records as u64);
            // What a stage made is charged; what it passed on was charged at the door.
            let charged = |chunk: Bytes| self.budget.charge(ACCOUNT, chunk.len()).attach(chunk);
            let batch = batch.tied(charged);
            let live = self.account.live(num_records);
            let ack = match held {
                Some(acks) => Ack::join(acks, live),
                None => {
                    num_left -= 1;
                    share(&mut input, live, num_left == 0)
                }
            };
            passing.push(Passed { output, batch, ack });
        }
        if let Some(input) = input {
            // What was dropped on purpose is done with.
            input.answer(Outcome::Delivered);
        }
    }

    fn count(&self, out: &Outbox) {
        if out.num_created() > 0 {
            self.account.created(&self.id).add(out.num_created() as u64);
        }
        if out.num_absorbed() > 0 {
            self.account.absorbed(&self.id).add(out.num_absorbed() as u64);
        }
        for dropped in out.dropped() {
            let counter = self.account.dropped(&self.id, dropped.reason);
            counter.add(dropped.num_records as u64);
        }
    }

    /// Nothing of a refused call leaves; what of it was let go before stays with the input.
    fn refuse(&self, out: Outbox, error: &ProcessError) {
        let why = with_causes(error);
        self.status.record_error(&self.id, &why);
        if let Some(suppressed) = self.log_throttle.allow(out.now()) {
            warn!(component = self.id, why, suppressed, "a batch was refused");
        }
        self.reject(out, error.reason, &why);
    }

    fn reject(&self, out: Outbox, reason: &'static str, why: &str) {
        let answer = Answer::new(Outcome::Rejected, &format!("`{}`: {why}", self.id));
        let (emissions, input) = out.finish();
        let held = emissions.into_iter().filter_map(|emission| emission.held).flatten();
        for ack in held.chain(input) {
            self.account.dropped(&self.id, reason).add(ack.num_records() as u64);
            ack.answer_with(&answer);
        }
    }

    /// Divides a batch on which the processor panicked; a single record is kept apart.
    fn halve(&self, out: Outbox, batch: &Batch, waiting: &mut Vec<(Batch, Ack)>) {
        self.status.record_error(&self.id, "panicked on a batch");
        if batch.num_records() <= 1 {
            self.quarantine.keep(&self.id, "it panicked on them", batch);
            self.reject(out, PANIC, "cannot process the record");
            return;
        }
        let (emissions, input) = out.finish();
        drop(emissions);
        let Some(mut ack) = input else { return };
        let mut pieces = batch.split(batch.num_records().div_ceil(2), 0);
        pieces.reverse();
        for piece in pieces {
            let share = ack.split(piece.num_records());
            waiting.push((piece, share));
        }
        ack.answer(Outcome::Delivered);
    }
}

/// A share in the input's answer; the last takes what is left of it.
fn share(input: &mut Option<Ack>, live: Live, is_last: bool) -> Ack {
    if is_last && let Some(mut ack) = input.take() {
        ack.set_live(live);
        return ack;
    }
    match input {
        Some(ack) => ack.share(live),
        None => Ack::detached(live),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::test_support::host;

    /// Always has something to do, and panics on it while it is told to.
    struct Timed(Arc<std::sync::atomic::AtomicBool>);

    impl Processor for Timed {
        fn process(&mut self, _: Batch, _: &mut Outbox) -> Result<(), ProcessError> {
            Ok(())
        }

        fn deadline(&self) -> Option<Time> {
            Some(Time::default())
        }

        fn tick(&mut self, _: &mut Outbox) -> Result<(), ProcessError> {
            assert!(!self.0.load(std::sync::atomic::Ordering::Relaxed), "as told");
            Ok(())
        }
    }

    #[test]
    fn stage_whose_timed_calls_panic_is_called_after_ever_longer_pauses() {
        let host = host();
        let context = StageContext {
            account: host.ledger.pipeline("logs"),
            answers_early: false,
            quarantine: Quarantine::new(&host.data_dir, &host.metrics),
            status: host.status.clone(),
            budget: host.budget.clone(),
        };
        let panics = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let timed = Box::new(Timed(Arc::clone(&panics)));
        let items = (Counter::default(), Counter::default());
        let mut stage = Stage::new("timed".to_owned(), timed, items, &context);
        let mut now = Time::from_unix_nanos(1_000_000_000_000);
        assert_eq!(stage.deadline(), Some(Time::default()));
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            stage.tick(now);
            now = now.saturating_add(Duration::from_secs(seconds));
            assert_eq!(stage.deadline(), Some(now));
        }
        panics.store(false, std::sync::atomic::Ordering::Relaxed);
        stage.tick(now);
        assert_eq!(stage.deadline(), Some(Time::default()));
    }
}
