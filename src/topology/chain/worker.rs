//! The threads that run chains.

use std::io;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::Chain;
use super::entrance::{Division, Job, Segment};
use crate::component::Flush;

/// Batches that wait before the workers of a segment, for each of them.
const CAPACITY_PER_WORKER: usize = 2;

/// The threads of a pipeline or connector.
#[derive(Default)]
pub(in crate::topology) struct Workers {
    threads: Vec<JoinHandle<States>>,
}

/// What the stages of a worker knew when it ended, by their ids.
pub(in crate::topology) type States = Vec<State>;

/// What a stage knew.
#[derive(Debug)]
pub(in crate::topology) struct State {
    /// The stage's id.
    pub(in crate::topology) stage: String,
    /// Which of how many workers it was in.
    pub(in crate::topology) worker: (usize, usize),
    /// The version of the bytes.
    pub(in crate::topology) version: u32,
    pub(in crate::topology) bytes: Vec<u8>,
}

impl Workers {
    /// Starts a thread for each of `chains` and gives the way to them. The threads end when all
    /// ways to them are gone, after they have let go of what they hold.
    ///
    /// # Errors
    ///
    /// Fails when the system gives no thread.
    pub(in crate::topology) fn start(
        &mut self,
        name: &str,
        chains: Vec<Chain>,
        division: Division,
    ) -> io::Result<Segment> {
        let num_workers = chains.len();
        let mut senders = Vec::with_capacity(num_workers);
        let shared = flume::bounded(CAPACITY_PER_WORKER * num_workers.max(1));
        for (index, chain) in chains.into_iter().enumerate() {
            let jobs = match division {
                Division::Any => shared.1.clone(),
                Division::ByTraceId => {
                    let (sender, jobs) = flume::bounded(CAPACITY_PER_WORKER);
                    senders.push(sender);
                    jobs
                }
            };
            let thread = Builder::new().name(format!("{name} {index}"));
            let worker = (index, num_workers);
            self.threads.push(thread.spawn(move || run(chain, &jobs, worker))?);
        }
        if division == Division::Any {
            senders.push(shared.0);
        }
        Ok(Segment::new(senders))
    }

    /// Waits for all threads, which end when nobody can send to them any more; what their stages
    /// knew.
    pub(in crate::topology) fn join(self) -> States {
        // Panics of stages are caught; another one was told by the panic hook.
        let ended = self.threads.into_iter().filter_map(|thread| thread.join().ok());
        ended.flatten().collect()
    }
}

fn run(mut chain: Chain, jobs: &flume::Receiver<Job>, worker: (usize, usize)) -> States {
    loop {
        let job = match chain.deadline() {
            None => jobs.recv().map_err(|_| flume::RecvTimeoutError::Disconnected),
            Some(deadline) => {
                let now = chain.clock.now().as_unix_nanos();
                let left = deadline.as_unix_nanos().saturating_sub(now);
                jobs.recv_timeout(Duration::from_nanos(left))
            }
        };
        match job {
            Ok(job) => chain.take(job.batch, job.ack),
            Err(flume::RecvTimeoutError::Timeout) => {}
            Err(flume::RecvTimeoutError::Disconnected) => break,
        }
        chain.tick();
    }
    chain.flush(Flush::Drain);
    chain.stages.iter().filter_map(|stage| stage.state(worker)).collect()
}
