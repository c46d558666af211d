//! Another plan in the place of the one that runs: what is equal goes on, the rest is replaced.
//!
//! Receivers that are gone end first; then what comes waits while chains are replaced between two
//! batches. A chain lets go of what it holds, and what its stages know goes to the new ones. What
//! waited in the queue of an exporter goes to the one that takes its place; what it was sending, it
//! sends to the end.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::chain::State;
use super::lifecycle::{ABORT_GRACE, REQUEST_GRACE, join_all};
use super::memory::limits;
use super::prints::{Changes, Prints};
use super::wiring::ChainId;
use super::{Engine, Plan, StartError};
use crate::config::{ComponentId, Diagnostic};
use crate::data::Signal;
use crate::telemetry::with_causes;

/// How long the next exporter waits for the end of the one before, where it must.
const DRIVER_GRACE: Duration = Duration::from_secs(5);

/// The type of the extension behind all receivers, whose entries are under way.
const JOURNAL: &str = "journal";

/// How often it is looked whether a receiver ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Why the agent goes on as it was, or worse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The configuration cannot be used; nothing was changed.
    #[error("the new configuration cannot be used")]
    Refused(Vec<Diagnostic>),
    /// Something of it cannot be started; everything is as it was before.
    #[error("the new configuration cannot be started, everything is as before")]
    RolledBack(#[source] StartError),
    /// Something of it cannot be started, and neither can what was before.
    #[error("neither the new configuration can be started nor the one before: {before}")]
    Broken {
        /// Why the new one cannot be.
        #[source]
        source: StartError,
        /// Why the old one cannot be.
        before: String,
    },
}

/// What `new` changes beside `old`.
///
/// # Errors
///
/// Fails with what cannot be changed while the agent runs.
pub fn changes(old: &Plan, new: &Plan) -> Result<Changes, Vec<Diagnostic>> {
    let (parts, wanted) = (Prints::of(old), Prints::of(new));
    let mut problems = fixed(old, new);
    let extensions = parts.extensions.keys().chain(wanted.extensions.keys());
    let journals: BTreeSet<_> = extensions.filter(|id| id.kind() == JOURNAL).collect();
    let changed =
        journals.into_iter().filter(|id| parts.extensions.get(*id) != wanted.extensions.get(*id));
    problems.extend(changed.map(|id| restart(&format!("the extension `{id}`"))));
    if problems.is_empty() { Ok(parts.changes(&wanted)) } else { Err(problems) }
}

/// What of the service's settings differs and stays until the next start.
fn fixed(old: &Plan, new: &Plan) -> Vec<Diagnostic> {
    let (before, after) = (old.settings(), new.settings());
    let differs = |what: &str, old: &dyn std::fmt::Debug, new: &dyn std::fmt::Debug| {
        (format!("{old:?}") != format!("{new:?}")).then(|| restart(&format!("`service::{what}`")))
    };
    let problems = [
        differs("telemetry", &before.telemetry, &after.telemetry),
        differs("ack", &before.ack, &after.ack),
        differs("api", &before.api, &after.api),
        differs("data_dir", &before.data_dir, &after.data_dir),
    ];
    problems.into_iter().flatten().collect()
}

fn restart(what: &str) -> Diagnostic {
    Diagnostic::error(format!("{what} cannot be changed while the agent runs: restart it"))
}

impl Engine {
    /// Makes what runs be what `plan` says; what is equal keeps connections, queues and state.
    ///
    /// # Errors
    ///
    /// Fails when the plan cannot be used or started; what ran before goes on then, if it can.
    pub async fn reload(&mut self, plan: &Plan) -> Result<Changes, ReloadError> {
        let changes = changes(&self.plan, plan).map_err(ReloadError::Refused)?;
        let old = self.plan.clone();
        let source = match self.apply(plan).await {
            Ok(()) => {
                let (limit_bytes, spike_bytes) = limits(plan);
                self.host.budget.set_limit(limit_bytes, spike_bytes);
                return Ok(changes);
            }
            Err(StartError::Build(problems)) => return Err(ReloadError::Refused(problems)),
            Err(error) => error,
        };
        warn!(
            error = with_causes(&source),
            "a new configuration cannot be started, back to the one before"
        );
        match self.apply(&old).await {
            Ok(()) => Err(ReloadError::RolledBack(source)),
            Err(before) => {
                error!(
                    error = with_causes(&before),
                    "the configuration before cannot be started again"
                );
                Err(ReloadError::Broken { source, before: with_causes(&before) })
            }
        }
    }

    /// Ends everything that is not in `kept`, and notes what the stages of chains knew.
    pub(super) async fn retire(&mut self, wanted: &Prints, kept: &Prints) {
        self.end_receivers(wanted).await;
        let states = self.end_chains(kept).await;
        self.states.extend(states.into_iter().map(|(id, states)| (id.to_string(), states)));
        self.end_drivers(wanted, kept).await;
        for (id, extension) in mem::take(&mut self.extensions) {
            if kept.extensions.contains_key(&id) {
                self.extensions.push((id, extension));
            } else {
                extension.stop().await;
                self.running.extensions.remove(&id);
            }
        }
    }

    /// Ends receivers that are not wanted any more, and waits for their requests.
    async fn end_receivers(&mut self, wanted: &Prints) {
        let gone: Vec<ComponentId> = self
            .receiver_tasks
            .keys()
            .filter(|id| !wanted.receivers.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            self.running.receivers.remove(&id);
            let Some(receiver) = self.receiver_tasks.remove(&id) else { continue };
            receiver.stop.cancel();
            let ended = async {
                while !receiver.task.is_finished() {
                    sleep(LOOK_INTERVAL).await;
                }
            };
            if timeout(REQUEST_GRACE, ended).await.is_err() {
                info!(receiver = %id, "requests of a receiver that is gone are still under way");
            }
            self.intakes.remove(&id.to_string());
        }
    }

    async fn end_chains(&mut self, kept: &Prints) -> BTreeMap<ChainId, Vec<State>> {
        let stays = |id: &ChainId| match id {
            ChainId::Pipeline(id) => kept.pipelines.contains_key(id),
            ChainId::Connector(id, signal) => kept.connectors.contains_key(&(id.clone(), *signal)),
        };
        let (stay, go): (BTreeMap<_, _>, BTreeMap<_, _>) =
            mem::take(&mut self.workers).into_iter().partition(|(id, _)| stays(id));
        self.workers = stay;
        if go.is_empty() {
            return BTreeMap::new();
        }
        // Without these ways the workers end when they are through with what they have.
        self.intakes.all().iter().for_each(|intake| intake.pause());
        self.entrances.pipelines.retain(|id, _| kept.pipelines.contains_key(id));
        self.entrances.connectors.retain(|id, _| kept.connectors.contains_key(id));
        self.running.pipelines.clone_from(&kept.pipelines);
        self.running.connectors.clone_from(&kept.connectors);
        let limit = self.plan.settings().shutdown_timeout.get();
        if let Ok(Ok(states)) = timeout(limit, spawn_blocking(move || join_all(go))).await {
            return states;
        }
        warn!(
            "pipelines wait for an exporter, they end when they can; what their stages know is lost"
        );
        BTreeMap::new()
    }

    async fn end_drivers(&mut self, wanted: &Prints, kept: &Prints) {
        let gone = self.drivers.iter().filter(|(key, _)| !kept.exporters.contains_key(*key));
        let mut gone: Vec<_> =
            gone.map(|(key, driver)| (!driver.has_dead_letters(), key.clone())).collect();
        // What passes dead letters on ends before what gets them.
        gone.sort();
        let gone: Vec<(ComponentId, Signal)> = gone.into_iter().map(|(_, key)| key).collect();
        for key in gone {
            self.running.exporters.remove(&key);
            let Some(driver) = self.drivers.remove(&key) else { continue };
            if wanted.exporters.contains_key(&key) {
                self.waiting.insert(key.clone(), driver.take_waiting());
            }
            let (abort, must_end_first) = (driver.abort_token(), driver.must_end_first());
            self.handles.remove(&key);
            let mut end = Box::pin(driver.stop());
            if must_end_first && timeout(DRIVER_GRACE, &mut end).await.is_ok() {
                continue;
            }
            if must_end_first {
                warn!(exporter = %key.0, "an exporter that is replaced does not end, it is cut short");
                abort.cancel();
                if timeout(ABORT_GRACE, &mut end).await.is_ok() {
                    continue;
                }
            }
            self.retired.spawn(end);
            self.retired_aborts.push(abort);
        }
        // Those that ended need not be remembered.
        while self.retired.try_join_next().is_some() {}
        if self.retired.is_empty() {
            self.retired_aborts.clear();
        }
    }
}
