//! What one call of a stage produces.

use smallvec::SmallVec;

use super::{Ack, Acks};
use crate::data::{Batch, Time};
use crate::telemetry::Live;

/// A batch that a stage let go, and whose answers stand behind it.
#[derive(Debug)]
pub struct Emission {
    /// The index of the output: 0 for a processor, into `BuildContext::outputs` for a connector.
    pub output: usize,
    /// What to pass on.
    pub batch: Batch,
    /// Answers that were held; `None`: those of this call's input.
    pub held: Option<Acks>,
}

/// Records that a stage dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Log records, spans or data points.
    pub num_records: usize,
    /// Why: a constant, for it is a label of a metric.
    pub reason: &'static str,
}

/// Collects what one call of a stage produces.
///
/// A stage accounts for every record: what came in plus what it created is emitted, dropped,
/// absorbed or held. Batches it emits without held answers share the answer to the call's input.
#[derive(Debug)]
pub struct Outbox {
    now: Time,
    input: Option<Ack>,
    holds_answer_client: bool,
    emissions: SmallVec<[Emission; 2]>,
    dropped: SmallVec<[Dropped; 1]>,
    num_created: usize,
    num_absorbed: usize,
    num_held: usize,
}

impl Outbox {
    /// An outbox for a call with `input`'s answer, or for a tick or flush without one.
    ///
    /// With `holds_answer_client` a held answer tells the client at once that its records were
    /// taken (`service::ack: accepted`), and only counts them as in flight.
    #[must_use]
    pub fn new(now: Time, input: Option<Ack>, holds_answer_client: bool) -> Self {
        Self {
            now,
            input,
            holds_answer_client,
            emissions: SmallVec::new(),
            dropped: SmallVec::new(),
            num_created: 0,
            num_absorbed: 0,
            num_held: 0,
        }
    }

    /// The engine's time; it never runs back.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Passes `batch` on, answered for with the call's input.
    pub fn emit(&mut self, batch: Batch) {
        self.emit_to(0, batch);
    }

    /// Passes `batch` on to one of a connector's outputs.
    pub fn emit_to(&mut self, output: usize, batch: Batch) {
        self.emissions.push(Emission { output, batch, held: None });
    }

    /// Takes a share in the answer to this call's input, with `num_records` of its records that
    /// stay in the stage. A stage that aggregates counts its input as absorbed and holds 0.
    ///
    /// In a tick or flush there is no input; then the share is nobody's.
    pub fn hold(&mut self, num_records: usize) -> Ack {
        let Some(input) = &mut self.input else {
            return Ack::detached(Live::none());
        };
        let share = input.split(num_records);
        self.num_held += share.num_records();
        if self.holds_answer_client { share.detach() } else { share }
    }

    /// Passes `batch` on with answers that were held.
    ///
    /// The records counted in flight with `acks` plus those created in this call are the batch's
    /// records plus those dropped.
    pub fn emit_held(&mut self, batch: Batch, acks: Acks) {
        self.emit_held_to(0, batch, acks);
    }

    /// Passes `batch` on to one of a connector's outputs with answers that were held.
    pub fn emit_held_to(&mut self, output: usize, batch: Batch, acks: Acks) {
        self.emissions.push(Emission { output, batch, held: Some(acks) });
    }

    /// Counts records that go no further, by a reason that is a constant.
    pub fn count_dropped(&mut self, num_records: usize, reason: &'static str) {
        if num_records == 0 {
            return;
        }
        match self.dropped.iter_mut().find(|dropped| dropped.reason == reason) {
            Some(dropped) => dropped.num_records += num_records,
            None => self.dropped.push(Dropped { num_records, reason }),
        }
    }

    /// Counts records that did not come in but go out.
    pub fn count_created(&mut self, num_records: usize) {
        self.num_created += num_records;
    }

    /// Counts records that came in and live on only in what is made of them.
    pub fn count_absorbed(&mut self, num_records: usize) {
        self.num_absorbed += num_records;
    }

    /// Records counted as created.
    #[must_use]
    pub const fn num_created(&self) -> usize {
        self.num_created
    }

    /// Records counted as absorbed.
    #[must_use]
    pub const fn num_absorbed(&self) -> usize {
        self.num_absorbed
    }

    /// Records of this call's input that stay in the stage.
    #[must_use]
    pub const fn num_held(&self) -> usize {
        self.num_held
    }

    /// Records counted as dropped, by reason.
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// What was let go, in order.
    #[must_use]
    pub fn emissions(&self) -> &[Emission] {
        &self.emissions
    }

    /// Takes out what was let go, in order, and the answer to the call's input.
    pub fn finish(self) -> (SmallVec<[Emission; 2]>, Option<Ack>) {
        (self.emissions, self.input)
    }
}
