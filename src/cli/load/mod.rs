//! `catchment load`: sends made-up or given telemetry to an OTLP server, and measures.

mod arguments;
mod connection;
mod encoding;
mod lines;
mod report;
mod schedule;
mod tally;
mod target;
#[cfg(test)]
mod tests;
mod usage;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(super) use arguments::Load;
use connection::Connection;
use report::Report;
use schedule::Schedule;
use tally::Tally;
use target::Target;
use usage::Watch;
use worker::Worker;

use crate::telemetry::Clock;

impl Load {
    /// Sends the load, prints the report. That some records were not acknowledged is an error.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        if let Err(error) = self.check() {
            error.exit();
        }
        let mut builder = match self.threads.get() {
            1 => tokio::runtime::Builder::new_current_thread(),
            threads => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(threads);
                builder
            }
        };
        let runtime = builder.enable_all().build().context("cannot start the runtime")?;
        let report = runtime.block_on(load(self))?;
        super::print(&if self.json { report.to_json()? } else { report.to_text() })?;
        match report.num_lost() {
            0 => Ok(()),
            num_lost => bail!("{num_lost} records were not acknowledged"),
        }
    }
}

/// Sends the load until it is done or the user interrupts it.
async fn load(arguments: &Load) -> anyhow::Result<Report> {
    let target = Arc::new(Target::try_new(arguments)?);
    let stop = CancellationToken::new();
    let clock = Clock::system();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let run = arguments.ids.then(|| format!("{:08x}", rand::random::<u32>()));
    let connections = connect(arguments, &target).await?;
    let watch = Watch::try_new(arguments)?;
    let tally = Arc::new(Tally::new());
    let schedule = Arc::new(Schedule::try_new(arguments, stop.clone())?);
    let mut workers = JoinSet::new();
    for (index, connection) in connections.into_iter().enumerate() {
        workers.spawn(
            Worker {
                schedule: Arc::clone(&schedule),
                connection,
                target: Arc::clone(&target),
                tally: Arc::clone(&tally),
                clock: clock.clone(),
                retry_for: arguments.retry_for,
                shape: worker::shape(arguments, &clock, (seed, index), run.clone()),
            }
            .run(),
        );
    }
    let until = CancellationToken::new();
    let watching = tokio::spawn(watch.run(Arc::clone(&tally), until.clone()));
    let interrupted = tokio::spawn(stop_when_interrupted(stop.clone(), until.clone()));
    let mut problem = None;
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended.context("a worker failed").and_then(|result| result) {
            // The others finish what they have; the first problem is what the user is told.
            stop.cancel();
            problem.get_or_insert(error);
        }
    }
    let elapsed = schedule.elapsed();
    tokio::time::sleep(arguments.settle).await;
    until.cancel();
    let usage = watching.await.context("the watch failed")?;
    interrupted.await.context("the watch for signals failed")?;
    match problem {
        Some(error) => Err(error),
        None => Ok(Report::new(arguments, (seed, run), elapsed, &tally, usage)),
    }
}

/// Opens all connections, so that a wrong address shows before anything is sent. One for each
/// worker: those of gRPC share one among as many requests as are in flight on it.
async fn connect(arguments: &Load, target: &Arc<Target>) -> anyhow::Result<Vec<Arc<Connection>>> {
    let in_flight = arguments.in_flight.get();
    let (num_connections, sharing) = match arguments.protocol.is_http() {
        true => (arguments.connections.get() * in_flight, 1),
        false => (arguments.connections.get(), in_flight),
    };
    let mut connections = Vec::with_capacity(num_connections * sharing);
    for _ in 0..num_connections {
        let connection = Arc::new(Connection::new(Arc::clone(target)));
        connection.open().await?;
        connections.push(connection);
    }
    // The requests of one connection are not started together.
    Ok((0..sharing).flat_map(|_| connections.iter().cloned()).collect())
}

async fn stop_when_interrupted(stop: CancellationToken, until: CancellationToken) {
    tokio::select! {
        () = until.cancelled() => {}
        Ok(()) = tokio::signal::ctrl_c() => {
            stop.cancel();
            // What is in flight may take as long as its retries do; a second interrupt is not
            // waited for.
            tokio::select! {
                () = until.cancelled() => {}
                Ok(()) = tokio::signal::ctrl_c() => std::process::exit(130),
            }
        }
    }
}

/// Seconds with their fraction.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
