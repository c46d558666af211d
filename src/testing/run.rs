//! Runs a test.

use std::time::{Duration, Instant};

use super::compare::Line;
use super::evaluate::{self, Check};
use super::prepare::{Action, Test};
use super::records::Records;
use crate::config::{PipelineId, Place};
use crate::topology::Rehearsal;

/// Why records are dropped on which a stage panics.
const PANIC: &str = ": panic";

/// How a test went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The test's name.
    pub name: String,
    /// Where that was written.
    pub place: Place,
    /// How long it took.
    pub duration: Duration,
    /// What is not as expected; if nothing, it has passed.
    pub failures: Vec<Failure>,
}

/// Something that is not as expected.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where it was expected.
    pub place: Place,
    /// What, in a line. Lower case, no full stop.
    pub message: String,
    /// What differs, if that can be shown.
    pub lines: Vec<Line>,
}

pub(super) fn run(test: Test) -> Outcome {
    let begun = Instant::now();
    let Test { name, place, mut rehearsal, actions } = test;
    let mut failures = Vec::new();
    for action in &actions {
        match action {
            Action::Take(records, pipelines) => {
                if let Err(message) = take(&mut rehearsal, records, pipelines) {
                    failures.push(Failure { place: place.clone(), message, lines: Vec::new() });
                }
            }
            Action::Advance(duration) => rehearsal.advance(*duration),
            Action::Flush => rehearsal.flush(),
            Action::Expect(check) => failures.extend(check.failures(&rehearsal)),
        }
    }
    let expects_drops =
        |action: &Action| matches!(action, Action::Expect(Check { dropped: Some(_), .. }));
    if !actions.iter().any(expects_drops) {
        let panics =
            evaluate::dropped(&rehearsal).into_iter().filter(|(name, _)| name.ends_with(PANIC));
        failures.extend(panics.map(|(name, num_records)| Failure {
            place: place.clone(),
            message: format!("records were dropped, `{name}`: {num_records}"),
            lines: Vec::new(),
        }));
    }
    Outcome { name, place, duration: begun.elapsed(), failures }
}

/// Puts records into the pipelines of their signals.
fn take(
    rehearsal: &mut Rehearsal,
    records: &Records,
    pipelines: &[PipelineId],
) -> Result<(), String> {
    for batch in records.batches(rehearsal.host().clock.now())? {
        let mut pipelines = pipelines.iter();
        if let Some(pipeline) = pipelines.find(|pipeline| pipeline.signal() == batch.signal()) {
            rehearsal.take(pipeline, batch);
        }
    }
    Ok(())
}
