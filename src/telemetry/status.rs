//! Health of the agent and its components, and recent errors.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::Clock;
use crate::data::Time;

/// How many errors are kept.
const MAX_ERRORS: usize = 50;

/// Where the agent is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not everything runs yet.
    #[default]
    Starting,
    /// Everything runs.
    Ready,
    /// It takes no more in.
    Stopping,
}

/// How a component is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentStatus {
    /// Which component.
    pub component: String,
    /// Since when it fails, if it does.
    pub failing_since: Option<Time>,
    /// What failed last, also when that is over.
    pub why: Option<String>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentError {
    /// When.
    pub time: Time,
    /// Where.
    pub component: String,
    /// What.
    pub message: String,
}

/// The board that components write on and extensions show. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Status {
    clock: Clock,
    board: Arc<Mutex<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    phase: Phase,
    components: BTreeMap<String, ComponentStatus>,
    errors: VecDeque<RecentError>,
}

impl Status {
    /// An empty board.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, board: Arc::default() }
    }

    /// Everything runs.
    pub fn set_ready(&self) {
        self.with(|board| board.phase = Phase::Ready);
    }

    /// Nothing more is taken in.
    pub fn set_stopping(&self) {
        self.with(|board| board.phase = Phase::Stopping);
    }

    /// Where the agent is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.with(|board| board.phase)
    }

    /// `component` works.
    pub fn set_up(&self, component: &str) {
        self.with(|board| board.component(component).failing_since = None);
    }

    /// `component` does not work now, and tries again.
    pub fn set_failing(&self, component: &str, message: &str) {
        let now = self.clock.now();
        self.with(|board| {
            let status = board.component(component);
            status.failing_since.get_or_insert(now);
            status.why = Some(message.to_owned());
        });
    }

    /// Keeps an error for people to see.
    pub fn record_error(&self, component: &str, message: &str) {
        let error = RecentError {
            time: self.clock.now(),
            component: component.to_owned(),
            message: message.to_owned(),
        };
        self.with(|board| {
            if board.errors.len() == MAX_ERRORS {
                board.errors.pop_front();
            }
            board.errors.push_back(error);
        });
    }

    /// Whether everything runs and takes in.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Ready
    }

    /// How each component is that said so, by name.
    #[must_use]
    pub fn components(&self) -> Vec<ComponentStatus> {
        self.with(|board| board.components.values().cloned().collect())
    }

    /// The errors that are kept, oldest first.
    #[must_use]
    pub fn recent_errors(&self) -> Vec<RecentError> {
        self.with(|board| board.errors.iter().cloned().collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Board) -> T) -> T {
        work(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Board {
    fn component(&mut self, name: &str) -> &mut ComponentStatus {
        self.components.entry(name.to_owned()).or_insert_with(|| ComponentStatus {
            component: name.to_owned(),
            ..ComponentStatus::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn failing_since_the_first_failure_until_it_works() {
        let (clock, manual) = Clock::manual(Time::from_unix_nanos(1));
        let status = Status::new(clock);
        status.set_failing("otlp", "refused");
        manual.advance(Duration::from_nanos(5));
        status.set_failing("otlp", "timeout");
        let otlp = &status.components()[0];
        assert_eq!(otlp.component, "otlp");
        assert_eq!(otlp.failing_since, Some(Time::from_unix_nanos(1)));
        assert_eq!(otlp.why.as_deref(), Some("timeout"));
        status.set_up("otlp");
        assert_eq!(status.components()[0].failing_since, None);
    }

    #[test]
    fn latest_errors_are_kept() {
        let status = Status::default();
        for number in 0..=MAX_ERRORS {
            status.record_error("x", &number.to_string());
        }
        let errors = status.recent_errors();
        assert_eq!((errors.len(), errors[0].message.as_str()), (MAX_ERRORS, "1"));
        assert_eq!(status.phase(), Phase::Starting);
        status.set_ready();
        assert_eq!(status.phase(), Phase::Ready);
    }
}
