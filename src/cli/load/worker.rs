//! One request in flight: makes it, sends it, tries again, counts it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::arguments::Load;
use super::connection::Connection;
use super::schedule::{Schedule, Ticket};
use super::tally::{PerSignal, Tally, Verdict};
use super::target::Target;
use crate::component::ExportError;
use crate::data::{Signal, Time};
use crate::telemetry::Clock;
use crate::workload::{Shape, Template};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Sends one request at a time.
pub(super) struct Worker {
    /// What to send.
    pub(super) schedule: Arc<Schedule>,
    /// Where on.
    pub(super) connection: Arc<Connection>,
    /// Where to.
    pub(super) target: Arc<Target>,
    /// What became of it.
    pub(super) tally: Arc<Tally>,
    /// For the times of records.
    pub(super) clock: Clock,
    /// How long after its first attempt a request may be tried again.
    pub(super) retry_for: Duration,
    /// What its templates are like.
    pub(super) shape: Shape,
}

/// The shape of the templates of the worker at `index` of a run with this seed and name.
pub(super) fn shape(
    arguments: &Load,
    clock: &Clock,
    (seed, index): (u64, usize),
    run: Option<String>,
) -> Shape {
    Shape {
        signal: Signal::Logs,
        num_records: usize::try_from(arguments.batch_size).unwrap_or_default(),
        seed: seed.wrapping_add(index as u64),
        start: clock.now(),
        run,
    }
}

impl Worker {
    /// Sends requests until there are no more.
    ///
    /// # Errors
    ///
    /// Fails when a request cannot be made.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut templates: PerSignal<Option<Template>> = PerSignal::new(|| None);
        while let Some(ticket) = self.schedule.next().await? {
            let body = self.body(&ticket, &mut templates)?;
            let size_bytes = body.len();
            let verdict = self.deliver(ticket.signal, body).await;
            self.tally.count(&ticket, size_bytes, verdict);
        }
        Ok(())
    }

    fn body(
        &self,
        ticket: &Ticket,
        templates: &mut PerSignal<Option<Template>>,
    ) -> anyhow::Result<Bytes> {
        let (now, encoding) = (self.clock.now(), self.target.encoding);
        let request = match &ticket.bodies {
            Some(bodies) => {
                let run = self.shape.run.as_deref();
                bodies.encode(now, run.map(|run| (run, ticket.first_id)), encoding)
            }
            None => self.made_up(ticket, templates, now),
        };
        encoding.body(ticket.signal, request)
    }

    fn made_up(
        &self,
        ticket: &Ticket,
        templates: &mut PerSignal<Option<Template>>,
        now: Time,
    ) -> Bytes {
        let make = |num_records| {
            let shape = Shape { signal: ticket.signal, num_records, ..self.shape.clone() };
            Template::new(&shape, |length| self.target.encoding.lead(length))
        };
        // The last request of a run may be smaller.
        if ticket.num_records != self.shape.num_records {
            return make(ticket.num_records).next(now, ticket.first_id);
        }
        let template = templates.of_mut(ticket.signal);
        template.get_or_insert_with(|| make(ticket.num_records)).next(now, ticket.first_id)
    }

    /// Sends a request, again and again if it must be.
    async fn deliver(&self, signal: Signal, body: Bytes) -> Verdict {
        let first_attempt = Instant::now();
        let mut next_pause = FIRST_PAUSE;
        loop {
            let sending = self.connection.send(signal, body.clone(), self.clock.now());
            let (after, source) = match sending.await {
                Ok(sent) => {
                    return Verdict::Acknowledged {
                        num_rejected: sent.num_rejected,
                        reason: sent.reason,
                    };
                }
                Err(ExportError::Retry { after, source }) => (after, source),
                Err(
                    ExportError::Rejected { source }
                    | ExportError::Divide { source }
                    | ExportError::Lost { source, .. },
                ) => {
                    return Verdict::Rejected { reason: with_causes(source.as_ref()) };
                }
            };
            let pause = after.unwrap_or(next_pause);
            if first_attempt.elapsed() + pause > self.retry_for {
                return Verdict::Failed { reason: with_causes(source.as_ref()) };
            }
            self.tally.count_retry();
            sleep(pause).await;
            next_pause = (next_pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// An error in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
