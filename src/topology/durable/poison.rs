//! Entries of the journal that kill the process, or make a stage panic, again and again.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::noting::Noting;
use crate::component::{Host, Journal, JournalEntry};
use crate::storage::journal::{Deaths, Executing, executed};
use crate::storage::quarantine::Quarantine;
use crate::telemetry::Counter;

/// How long all entries that run alone may take at one start.
pub(super) const TRIALS: Duration = Duration::from_secs(60);

/// How long one may take to kill.
const TRIAL: Duration = Duration::from_secs(10);

/// How long it may wait in a queue or a sink: it was executed, and nobody has anything to do with it.
const QUIET: Duration = Duration::from_millis(500);

/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What is known of entries that may kill.
pub(super) struct Poison {
    journal: Arc<dyn Journal>,
    executing: Option<Arc<Executing>>,
    state: Mutex<State>,
    quarantine: Quarantine,
    num_set_aside: Counter,
}

#[derive(Default)]
struct State {
    deaths: Option<Deaths>,
    /// The entry that runs alone, as long as it is under way.
    alone: Option<u64>,
}

impl Poison {
    /// Counts what the process before died of, and begins to note anew. Where that cannot be done,
    /// nothing is noted, and it is told.
    pub(super) fn new(journal: Arc<dyn Journal>, host: &Host) -> Self {
        let mut poison = Self {
            executing: None,
            state: Mutex::default(),
            quarantine: Quarantine::new(&host.data_dir, &host.metrics),
            num_set_aside: host.metrics.counter("catchment_journal_quarantined_entries", &[]),
            journal,
        };
        poison.recover();
        poison
    }

    fn recover(&mut self) {
        let (folder, log) = (self.journal.folder().to_owned(), self.journal.id());
        let open: BTreeSet<u64> = self.journal.recovered().into_iter().collect();
        let read = || -> io::Result<(Deaths, Executing)> {
            let mut deaths = Deaths::read(&folder, log)?;
            deaths.count(&executed(&folder, log)?, &open)?;
            Ok((deaths, Executing::begin(&folder, log)?))
        };
        match read() {
            Ok((deaths, executing)) => {
                self.executing = Some(Arc::new(executing));
                self.state().deaths = Some(deaths);
            }
            Err(error) => {
                let path = folder.display();
                warn!(%path, %error, "it cannot be noted what is executed: an entry that kills the agent is not found");
            }
        }
    }

    /// A place for a thread to note what it executes.
    pub(super) fn noting(&self) -> Noting {
        let slot = self.executing.as_ref().map(Executing::slot);
        slot.map(|slot| Noting::new(slot, self.journal.id())).unwrap_or_default()
    }

    /// Entries that must not run any more, and what they kill; and those that must run alone first.
    pub(super) fn accused(&self) -> (Vec<(u64, String)>, Vec<u64>) {
        let state = self.state();
        let Some(deaths) = &state.deaths else { return Default::default() };
        let killers = deaths.killers().map(|(number, what)| (number, what.to_owned()));
        (killers.collect(), deaths.suspects().collect())
    }

    /// Keeps an entry for people and closes it; one that cannot be kept stays in the journal, and
    /// does not run.
    pub(super) async fn set_aside(&self, number: u64, component: &str, why: &'static str) {
        let JournalEntry { batch, .. } = match self.journal.read(number).await {
            Ok(entry) => entry,
            Err(error) => {
                error!(number, component, why, %error, "an entry of the journal cannot be set aside, it stays there");
                return;
            }
        };
        let (quarantine, name) = (self.quarantine.clone(), component.to_owned());
        let keep = move || quarantine.keep(&name, why, &batch);
        if tokio::task::spawn_blocking(keep).await.unwrap_or(false) {
            self.num_set_aside.add(1);
            self.journal.close(number);
            error!(number, component, why, "an entry of the journal is set aside");
        } else {
            error!(number, component, why, "an entry stays in the journal and does not run");
        }
    }

    /// Runs an entry alone, by `run`.
    pub(super) async fn try_alone(&self, number: u64, run: impl Future<Output = ()>) {
        info!(number, "an entry of the journal that was executed at several crashes runs alone");
        self.state().alone = Some(number);
        self.note(number, |deaths| deaths.begin_alone(number));
        run.await;
        let is_open = self.is_open_after(number).await;
        self.state().alone = None;
        self.note(number, if is_open { Deaths::leave_alone } else { Deaths::end_alone });
    }

    fn note(&self, number: u64, write: impl FnOnce(&mut Deaths) -> io::Result<()>) {
        if let Some(Err(error)) = self.state().deaths.as_mut().map(write) {
            warn!(number, %error, "it cannot be noted that an entry runs alone");
        }
    }

    /// Waits until an entry that runs alone is done with, or nothing executes it any more and no
    /// stage has anything to do with it; whether that did not come.
    async fn is_open_after(&self, number: u64) -> bool {
        let (started, mut active) = (Instant::now(), Instant::now());
        while self.is_alone(number) && active.elapsed() < QUIET {
            if started.elapsed() > TRIAL {
                return true;
            }
            sleep(LOOK_INTERVAL).await;
            let executing = self.executing.as_ref();
            if executing.is_some_and(|executing| executing.has(number) || executing.is_held()) {
                active = Instant::now();
            }
        }
        false
    }

    /// An entry is on its way nowhere any more.
    pub(super) fn finished(&self, number: u64) {
        self.state().alone.take_if(|alone| *alone == number);
    }

    fn is_alone(&self, number: u64) -> bool {
        self.state().alone == Some(number)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
