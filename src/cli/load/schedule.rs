//! Who sends what, and when: requests are given out one after the other, until a limit.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::arguments::Load;
use super::lines::{Bodies, Lines};
use super::tally::PerSignal;
use crate::data::Signal;

const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// A request that is to be sent.
pub(super) struct Ticket {
    /// What is in it.
    pub(super) signal: Signal,
    /// How many records.
    pub(super) num_records: usize,
    /// The number of the first of them among the signal's.
    pub(super) first_id: u64,
    /// When it is due, or was asked for.
    pub(super) due: Instant,
    /// What the records say; without it they are made up.
    pub(super) bodies: Option<Bodies>,
}

/// Gives out requests.
pub(super) struct Schedule {
    started: Instant,
    end: Option<Instant>,
    rate: Option<f64>,
    signals: Vec<Signal>,
    stop: CancellationToken,
    state: Mutex<State>,
}

struct State {
    requests_left: u64,
    records_left: u64,
    batch_size: u64,
    num_requests: usize,
    num_records: u64,
    next_ids: PerSignal<u64>,
    lines: Option<Lines>,
}

impl Schedule {
    /// The schedule that begins now and ends at the arguments' limits or with `stop`.
    pub(super) fn try_new(arguments: &Load, stop: CancellationToken) -> anyhow::Result<Self> {
        let lines = match &arguments.lines {
            Some(path) => Some(Lines::open(path, arguments.repeat)?),
            None => None,
        };
        let has_end = arguments.requests.is_some()
            || arguments.records.is_some()
            || (lines.is_some() && !arguments.repeat);
        let duration = arguments.duration.or((!has_end).then_some(DEFAULT_DURATION));
        let mut signals: Vec<Signal> = Vec::new();
        for signal in arguments.signals.iter().copied().map(Signal::from) {
            if !signals.contains(&signal) {
                signals.push(signal);
            }
        }
        let started = Instant::now();
        let state = State {
            requests_left: arguments.requests.unwrap_or(u64::MAX),
            records_left: arguments.records.unwrap_or(u64::MAX),
            batch_size: arguments.batch_size,
            num_requests: 0,
            num_records: 0,
            next_ids: PerSignal::new(|| 1),
            lines,
        };
        let end = duration.and_then(|duration| started.checked_add(duration));
        let (rate, state) = (arguments.rate, Mutex::new(state));
        Ok(Self { started, end, rate, signals, stop, state })
    }

    /// How long ago it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until the next request is due; none is when a limit is reached.
    ///
    /// # Errors
    ///
    /// Fails when lines cannot be read.
    pub(super) async fn next(&self) -> anyhow::Result<Option<Ticket>> {
        // Whoever waits for the time holds the lock, so that nothing is given out and not sent.
        let mut state = self.state.lock().await;
        let due = self.due(state.num_records);
        if self.stop.is_cancelled() || self.end.is_some_and(|end| due >= end) {
            return Ok(None);
        }
        if self.rate.is_some() {
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.stop.cancelled() => return Ok(None),
            }
        }
        let signal = self.signals[state.num_requests % self.signals.len()];
        state.take(signal, due)
    }

    fn due(&self, num_records: u64) -> Instant {
        match self.rate {
            Some(rate) => {
                let after = Duration::try_from_secs_f64(num_records as f64 / rate);
                let due = after.ok().and_then(|after| self.started.checked_add(after));
                // So far off that nobody waits for it.
                due.unwrap_or_else(|| self.started + Duration::from_secs(86_400 * 365))
            }
            None => Instant::now(),
        }
    }
}

impl State {
    fn take(&mut self, signal: Signal, due: Instant) -> anyhow::Result<Option<Ticket>> {
        let mut num_records = self.records_left.min(self.batch_size);
        if num_records == 0 || self.requests_left == 0 {
            return Ok(None);
        }
        let mut bodies = None;
        if let Some(lines) = &mut self.lines {
            let read = lines.read(usize::try_from(num_records)?)?;
            num_records = read.len() as u64;
            if num_records == 0 {
                return Ok(None);
            }
            bodies = Some(read);
        }
        self.requests_left -= 1;
        self.records_left -= num_records;
        self.num_requests += 1;
        self.num_records += num_records;
        let next_id = self.next_ids.of_mut(signal);
        let first_id = *next_id;
        *next_id += num_records;
        let num_records = usize::try_from(num_records)?;
        Ok(Some(Ticket { signal, num_records, first_id, due, bodies }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::tests::arguments;

    fn schedule(line: &[&str]) -> Schedule {
        Schedule::try_new(&arguments(line), CancellationToken::new()).unwrap()
    }

    async fn sizes(line: &[&str]) -> Vec<(Signal, usize, u64)> {
        let schedule = schedule(line);
        let mut sizes = Vec::new();
        while let Some(ticket) = schedule.next().await.unwrap() {
            sizes.push((ticket.signal, ticket.num_records, ticket.first_id));
        }
        sizes
    }

    #[tokio::test]
    async fn last_request_has_the_rest_of_the_records() {
        let sizes = sizes(&["--records", "1200"]).await;
        let logs = Signal::Logs;
        assert_eq!(sizes, [(logs, 500, 1), (logs, 500, 501), (logs, 200, 1001)]);
    }

    #[tokio::test]
    async fn signals_take_turns_and_are_numbered_apart() {
        let line = ["--requests", "5", "--batch-size", "2", "--signal", "traces"];
        let more = ["--signal", "metrics", "--signal", "traces"];
        let sizes = sizes(&[line.as_slice(), more.as_slice()].concat()).await;
        let (traces, metrics) = (Signal::Traces, Signal::Metrics);
        let wanted =
            [(traces, 2, 1), (metrics, 2, 1), (traces, 2, 3), (metrics, 2, 3), (traces, 2, 5)];
        assert_eq!(sizes, wanted);
    }

    #[tokio::test]
    async fn requests_are_due_at_the_rate() {
        let schedule = schedule(&["--rate", "1000"]);
        let after = |num_records| schedule.due(num_records) - schedule.started;
        assert_eq!(after(0), Duration::ZERO);
        assert_eq!(after(500), Duration::from_millis(500));
        assert!(after(u64::MAX) > Duration::from_secs(86_400));
    }

    #[tokio::test]
    async fn nothing_is_due_after_the_end() {
        assert_eq!(sizes(&["--duration", "0", "--rate", "1000"]).await, []);
    }

    #[tokio::test]
    async fn stop_ends_the_wait_for_the_next_request() {
        let schedule = schedule(&["--rate", "0.001", "--batch-size", "1"]);
        assert!(schedule.next().await.unwrap().is_some());
        let (next, ()) = tokio::join!(schedule.next(), async { schedule.stop.cancel() });
        assert!(next.unwrap().is_none());
    }
}
