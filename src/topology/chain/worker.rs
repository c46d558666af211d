//! What runs chains: threads, or whoever goes step by step.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::Chain;
use super::entrance::{Division, Job, Segment};
use crate::component::Flush;
use crate::data::Time;

/// Batches that wait before the workers of a segment, for each of them.
const CAPACITY_PER_WORKER: usize = 2;

/// Batches that wait before a worker that runs step by step: nobody can wait for it to catch up, so
/// this is more than a step makes of input that was read from a file of limited size.
const CAPACITY_OF_STEPS: usize = 1 << 24;

/// What runs the chains of a pipeline or connector.
pub(in crate::topology) enum Workers {
    /// A thread for each.
    Threads(Vec<JoinHandle<States>>),
    /// Whoever calls [`Workers::work`]. Never locked: stages are not `Sync`, what holds them is.
    Steps(Mutex<Vec<Worker>>),
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

impl Default for Workers {
    fn default() -> Self {
        Self::Threads(Vec::new())
    }
}

fn inside(workers: &mut Mutex<Vec<Worker>>) -> &mut Vec<Worker> {
    workers.get_mut().unwrap_or_else(PoisonError::into_inner)
}

impl Workers {
    /// Workers that run when they are told to.
    pub(in crate::topology) fn by_steps() -> Self {
        Self::Steps(Mutex::default())
    }

    /// Starts a worker for each of `chains` and gives the way to them. Threads end when all
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
        let capacity = match self {
            Self::Threads(_) => CAPACITY_PER_WORKER,
            Self::Steps(_) => CAPACITY_OF_STEPS,
        };
        let num_workers = chains.len();
        let mut senders = Vec::with_capacity(num_workers);
        let shared = flume::bounded(capacity * num_workers.max(1));
        for (index, chain) in chains.into_iter().enumerate() {
            let jobs = match division {
                Division::Any => shared.1.clone(),
                Division::ByTraceId => {
                    let (sender, jobs) = flume::bounded(capacity);
                    senders.push(sender);
                    jobs
                }
            };
            let worker = Worker { chain, jobs, place: (index, num_workers) };
            match self {
                Self::Threads(threads) => {
                    let thread = Builder::new().name(format!("{name} {index}"));
                    threads.push(thread.spawn(move || worker.run())?);
                }
                Self::Steps(workers) => inside(workers).push(worker),
            }
        }
        if division == Division::Any {
            senders.push(shared.0);
        }
        Ok(Segment::new(senders))
    }

    /// Waits for all threads, which end when nobody can send to them any more; what their stages
    /// knew.
    pub(in crate::topology) fn join(self) -> States {
        match self {
            Self::Threads(threads) => {
                // Panics of stages are caught; another one was told by the panic hook.
                threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
            }
            Self::Steps(workers) => {
                let workers = workers.into_inner().unwrap_or_else(PoisonError::into_inner);
                workers.into_iter().flat_map(Worker::end).collect()
            }
        }
    }

    /// Does what waits for one of them; whether there was anything. Threads do so themselves.
    pub(in crate::topology) fn work(&mut self) -> bool {
        self.steps().any(Worker::work)
    }

    /// When [`Workers::tick`] has something to do.
    pub(in crate::topology) fn deadline(&mut self) -> Option<Time> {
        self.steps().filter_map(|worker| worker.chain.deadline()).min()
    }

    /// Does what is due. Threads do so themselves.
    pub(in crate::topology) fn tick(&mut self) {
        self.steps().for_each(|worker| worker.chain.tick());
    }

    /// Lets go of what stages hold. Threads do so at their end.
    pub(in crate::topology) fn flush(&mut self) {
        self.steps().for_each(|worker| worker.chain.flush(Flush::Drain));
    }

    fn steps(&mut self) -> impl Iterator<Item = &mut Worker> {
        match self {
            Self::Threads(_) => [].iter_mut(),
            Self::Steps(workers) => inside(workers).iter_mut(),
        }
    }
}

/// A chain, and what comes to it.
pub(in crate::topology) struct Worker {
    chain: Chain,
    jobs: flume::Receiver<Job>,
    /// Which of how many it is.
    place: (usize, usize),
}

impl Worker {
    fn run(mut self) -> States {
        loop {
            let job = match self.chain.deadline() {
                None => self.jobs.recv().map_err(|_| flume::RecvTimeoutError::Disconnected),
                Some(deadline) => {
                    let now = self.chain.clock.now().as_unix_nanos();
                    let left = deadline.as_unix_nanos().saturating_sub(now);
                    self.jobs.recv_timeout(Duration::from_nanos(left))
                }
            };
            match job {
                Ok(job) => self.chain.take(job.batch, job.ack),
                Err(flume::RecvTimeoutError::Timeout) => {}
                Err(flume::RecvTimeoutError::Disconnected) => break,
            }
            self.chain.tick();
        }
        self.chain.flush(Flush::Drain);
        self.end()
    }

    /// Does what waits; whether there was anything.
    fn work(&mut self) -> bool {
        let mut has_worked = false;
        while let Ok(job) = self.jobs.try_recv() {
            self.chain.take(job.batch, job.ack);
            self.chain.tick();
            has_worked = true;
        }
        has_worked
    }

    fn end(self) -> States {
        self.chain.stages.iter().filter_map(|stage| stage.state(self.place)).collect()
    }
}
