//! While a run goes on: what processes use, and the progress line.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::arguments::Load;
use super::report::{grouped, per_second};
use super::tally::Tally;
use crate::telemetry::ProcessUsage;

const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
const SAMPLES_PER_LINE: u64 = 10;

/// What was used over a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// CPU time of the generator.
    pub(super) generator_cpu_seconds: Option<f64>,
    /// That of the agent, if it was looked at.
    pub(super) agent: Option<AgentUsage>,
}

/// What the agent has used over a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct AgentUsage {
    /// CPU time.
    pub(super) cpu_seconds: f64,
    /// Memory that was resident at the end.
    pub(super) rss_bytes: u64,
    /// The most that was resident during the run.
    pub(super) peak_rss_bytes: u64,
    /// Whether it was there at the end; else all this is from a moment before it ended.
    pub(super) is_running: bool,
}

/// Looks at processes, shows the progress.
pub(super) struct Watch {
    own: Option<ProcessUsage>,
    agent: Option<Agent>,
    shown: Option<Shown>,
}

struct Agent {
    pid: u32,
    before: ProcessUsage,
    last: ProcessUsage,
    max_rss_bytes: u64,
}

/// How the progress is shown.
#[derive(Clone, Copy)]
enum Shown {
    /// One line that is written over.
    InPlace,
    /// A line each time.
    Lines,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// Fails when there is no process with the id that the arguments name.
    pub(super) fn try_new(arguments: &Load) -> anyhow::Result<Self> {
        let agent = match arguments.pid {
            Some(pid) => {
                let before = ProcessUsage::of(pid)
                    .with_context(|| format!("there is no process {pid} to look at"))?;
                Some(Agent { pid, before, last: before, max_rss_bytes: before.rss_bytes })
            }
            None => None,
        };
        let shown = match (io::stderr().is_terminal(), arguments.progress) {
            (true, _) => Some(Shown::InPlace),
            (false, true) => Some(Shown::Lines),
            (false, false) => None,
        };
        Ok(Self { own: ProcessUsage::own(), agent, shown })
    }

    /// Watches until it is told to stop.
    pub(super) async fn run(mut self, tally: Arc<Tally>, until: CancellationToken) -> Usage {
        let started = Instant::now();
        let mut ticks = interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = (started, 0);
        for tick in 0_u64.. {
            tokio::select! {
                () = until.cancelled() => break,
                _ = ticks.tick() => {}
            }
            if let Some(agent) = &mut self.agent {
                agent.sample();
            }
            if let Some(shown) = self.shown.filter(|_| tick > 0 && tick % SAMPLES_PER_LINE == 0) {
                last = show(shown, &tally, started, last);
            }
        }
        if matches!(self.shown, Some(Shown::InPlace)) {
            // Makes room for what comes next; when the terminal is gone, nothing does.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        self.usage()
    }

    fn usage(self) -> Usage {
        let spent =
            |before: ProcessUsage| Some(ProcessUsage::own()?.cpu_seconds - before.cpu_seconds);
        Usage {
            generator_cpu_seconds: self.own.and_then(spent),
            agent: self.agent.map(Agent::usage),
        }
    }
}

impl Agent {
    fn sample(&mut self) -> bool {
        let Some(now) = ProcessUsage::of(self.pid) else { return false };
        self.max_rss_bytes = self.max_rss_bytes.max(now.rss_bytes);
        self.last = now;
        true
    }

    fn usage(mut self) -> AgentUsage {
        let is_running = self.sample();
        // The system's own peak is exact, but only this run's if it rose meanwhile.
        let peak_rss_bytes = match self.last.peak_rss_bytes > self.before.peak_rss_bytes {
            true => self.last.peak_rss_bytes,
            false => self.max_rss_bytes,
        };
        AgentUsage {
            cpu_seconds: self.last.cpu_seconds - self.before.cpu_seconds,
            rss_bytes: self.last.rss_bytes,
            peak_rss_bytes,
            is_running,
        }
    }
}

/// Shows the progress since `last`: when it was, and how many records there were.
fn show(shown: Shown, tally: &Tally, started: Instant, last: (Instant, u64)) -> (Instant, u64) {
    let now = Instant::now();
    let (num_records, num_retries) = tally.progress();
    let rate = per_second(num_records - last.1, (now - last.0).as_secs_f64());
    let line = format!(
        "{:.0} s  {} records acknowledged  {rate}/s  {} retries",
        (now - started).as_secs_f64(),
        grouped(num_records),
        grouped(num_retries),
    );
    // When standard error is closed, there is nobody to show it to.
    let _ = match shown {
        Shown::InPlace => write!(io::stderr(), "\r\x1b[K{line}"),
        Shown::Lines => writeln!(io::stderr(), "{line}"),
    };
    (now, num_records)
}
