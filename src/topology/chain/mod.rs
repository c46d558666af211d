//! The chain: a pipeline's processors in order, plain synchronous calls on worker threads.
//!
//! A pipeline is cut into segments where the sharing of work changes. A segment has workers, each
//! with stages of its own; between segments, and before the first, stand bounded channels. A
//! connector is a chain of one stage whose outputs are the entrances of other pipelines.

mod entrance;
mod stage;
mod worker;

use std::sync::Arc;

pub(super) use entrance::{Division, Entrance, Segment};
use stage::{Passed, Passing};
pub(super) use stage::{Stage, StageContext};
pub(super) use worker::{State, Workers};

use super::durable::Noting;
use super::fanout::FanOut;
use crate::component::{Ack, Flush};
use crate::data::{Batch, Time};
use crate::telemetry::{Clock, PipelineLedger};

/// Where batches go after the last stage.
#[derive(Clone)]
pub(super) enum Exit {
    /// To the pipeline's next segment.
    Next(Segment),
    /// To the pipeline's exporters and connectors.
    FanOut(FanOut),
    /// To the pipelines behind a connector, by output; records are counted as forwarded.
    Outputs(Arc<PipelineLedger>, Vec<Entrance>),
}

/// The stages of one worker, and where their batches go.
pub(super) struct Chain {
    stages: Vec<Stage>,
    exit: Exit,
    clock: Clock,
    noting: Noting,
}

impl Chain {
    pub(super) const fn new(stages: Vec<Stage>, exit: Exit, clock: Clock, noting: Noting) -> Self {
        Self { stages, exit, clock, noting }
    }

    /// Passes a batch through all stages.
    fn take(&mut self, batch: Batch, ack: Ack) {
        let now = self.clock.now();
        self.pass(0, Passed { output: 0, batch, ack }, now);
        self.noting.end();
    }

    /// When [`Chain::tick`] has something to do.
    fn deadline(&self) -> Option<Time> {
        self.stages.iter().filter_map(Stage::deadline).min()
    }

    /// Does what is due in any stage.
    fn tick(&mut self) {
        for index in 0..self.stages.len() {
            let now = self.clock.now();
            let Some(stage) = self.stages.get_mut(index) else { return };
            if stage.deadline().is_some_and(|deadline| deadline <= now) {
                let passing = stage.tick(now);
                self.pass_all(index + 1, passing, now);
            }
        }
        self.noting.hold(self.deadline().is_some());
    }

    /// Lets go of what the stages hold, in order.
    fn flush(&mut self, why: Flush) {
        for index in 0..self.stages.len() {
            let now = self.clock.now();
            let Some(stage) = self.stages.get_mut(index) else { return };
            let passing = stage.flush(why, now);
            self.pass_all(index + 1, passing, now);
        }
    }

    fn pass_all(&mut self, index: usize, passing: Passing, now: Time) {
        for passed in passing {
            self.pass(index, passed, now);
        }
        self.noting.end();
    }

    /// Passes a batch through the stages from `index` on.
    fn pass(&mut self, index: usize, passed: Passed, now: Time) {
        match self.stages.get_mut(index) {
            Some(stage) => {
                self.noting.begin(stage.id(), &passed.ack);
                let passing = stage.process(passed.batch, passed.ack, now);
                self.pass_all(index + 1, passing, now);
            }
            None => {
                // It may wait there.
                self.noting.end();
                self.exit.pass(passed);
            }
        }
    }
}

impl Exit {
    fn pass(&self, passed: Passed) {
        let Passed { output, batch, ack } = passed;
        match self {
            Self::Next(segment) => segment.pass(batch, ack),
            Self::FanOut(fan_out) => fan_out.pass(&batch, ack),
            Self::Outputs(account, entrances) => {
                account.forwarded().add(batch.num_records() as u64);
                match entrances.get(output) {
                    Some(entrance) => entrance.pass(batch, ack),
                    // The engine gives a connector its outputs, so there is one of this number.
                    None => ack.answer(crate::component::Outcome::Delivered),
                }
            }
        }
    }
}
