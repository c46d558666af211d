//! How the agent is: its phase, pipelines, queues, the health of components, recent errors.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::Serialize;

use super::{Clock, Gauge};
use crate::data::Time;

/// Different errors that are remembered.
const MAX_ERRORS: usize = 64;

/// Bytes of an error's message that are remembered.
const MAX_MESSAGE_BYTES: usize = 1024;

/// A board that components write their condition on; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Status {
    board: Arc<Board>,
}

#[derive(Debug, Default)]
struct Board {
    clock: Clock,
    phase: AtomicU8,
    components: RwLock<BTreeMap<String, Option<Failure>>>,
    errors: Mutex<VecDeque<RecentError>>,
    pipelines: Mutex<Vec<PipelineDescription>>,
    queues: Mutex<Vec<Queue>>,
}

#[derive(Clone, Debug)]
struct Failure {
    since: Time,
    why: String,
}

#[derive(Debug)]
struct Queue {
    component: String,
    signal: String,
    size: Gauge,
    capacity: Gauge,
}

/// Where the agent is between start and stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not everything runs yet.
    Starting,
    /// Everything runs.
    Ready,
    /// Told to stop; what was taken in gets out.
    Stopping,
}

/// The health of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentStatus {
    /// The component's id.
    pub component: String,
    /// Since when it fails; `None` while it is up.
    pub failing_since: Option<Time>,
    /// What it said last, while it fails.
    pub why: Option<String>,
}

/// An error that came up lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentError {
    /// When it came up last.
    pub time: Time,
    /// The component's id.
    pub component: String,
    /// What went wrong.
    pub message: String,
    /// How often it came up since it is remembered.
    pub count: u64,
}

/// What a pipeline is made of, by ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PipelineDescription {
    /// The pipeline.
    pub id: String,
    /// Where its records come from.
    pub receivers: Vec<String>,
    /// What is done to them, in order.
    pub processors: Vec<String>,
    /// Where they go.
    pub exporters: Vec<String>,
}

/// How full an exporter's queue is, in the unit of its sizer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueueStatus {
    /// The exporter's id.
    pub component: String,
    /// The signal that it queues.
    pub signal: String,
    /// What waits.
    pub size: f64,
    /// What has room.
    pub capacity: f64,
}

impl Status {
    /// A board of an agent that starts.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { board: Arc::new(Board { clock, ..Board::default() }) }
    }

    /// Notes that everything runs.
    pub fn set_ready(&self) {
        self.board.phase.store(Phase::Ready as u8, Ordering::Release);
    }

    /// Notes that the agent was told to stop.
    pub fn set_stopping(&self) {
        self.board.phase.store(Phase::Stopping as u8, Ordering::Release);
    }

    /// Where the agent is between start and stop.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let phase = self.board.phase.load(Ordering::Acquire);
        let all = [Phase::Ready, Phase::Stopping];
        all.into_iter().find(|known| *known as u8 == phase).unwrap_or(Phase::Starting)
    }

    /// Whether everything runs.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Ready
    }

    /// Notes that a component does its work.
    pub fn set_up(&self, component: &str) {
        let components = self.board.components.read().unwrap_or_else(PoisonError::into_inner);
        if matches!(components.get(component), Some(None)) {
            return;
        }
        drop(components);
        let mut components = self.board.components.write().unwrap_or_else(PoisonError::into_inner);
        components.insert(component.to_owned(), None);
    }

    /// Notes that a component cannot do its work now, and why.
    pub fn set_failing(&self, component: &str, why: &str) {
        let now = self.board.clock.now();
        let why = shortened(why).to_owned();
        let mut components = self.board.components.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(failure)) = components.get_mut(component) {
            failure.why = why;
            return;
        }
        components.insert(component.to_owned(), Some(Failure { since: now, why }));
    }

    /// The health of the components that noted it, by id.
    #[must_use]
    pub fn components(&self) -> Vec<ComponentStatus> {
        let components = self.board.components.read().unwrap_or_else(PoisonError::into_inner);
        let statuses = components.iter().map(|(component, failure)| ComponentStatus {
            component: component.clone(),
            failing_since: failure.as_ref().map(|failure| failure.since),
            why: failure.as_ref().map(|failure| failure.why.clone()),
        });
        statuses.collect()
    }

    /// Remembers an error; one that is remembered already is counted.
    pub fn record_error(&self, component: &str, message: &str) {
        let time = self.board.clock.now();
        let message = shortened(message);
        let mut errors = lock(&self.board.errors);
        let known = errors
            .iter()
            .position(|error| error.component == component && error.message == message)
            .and_then(|index| errors.remove(index));
        if let Some(known) = known {
            errors.push_back(RecentError { time, count: known.count + 1, ..known });
            return;
        }
        if errors.len() == MAX_ERRORS {
            errors.pop_front();
        }
        errors.push_back(RecentError {
            time,
            component: component.to_owned(),
            message: message.to_owned(),
            count: 1,
        });
    }

    /// The errors that are remembered, oldest first.
    #[must_use]
    pub fn recent_errors(&self) -> Vec<RecentError> {
        lock(&self.board.errors).iter().cloned().collect()
    }

    /// Says what the pipelines are made of; after a reload anew.
    pub fn set_pipelines(&self, pipelines: Vec<PipelineDescription>) {
        *lock(&self.board.pipelines) = pipelines;
    }

    /// What the pipelines are made of.
    #[must_use]
    pub fn pipelines(&self) -> Vec<PipelineDescription> {
        lock(&self.board.pipelines).clone()
    }

    /// Shows an exporter's queue by its gauges, in place of one that was shown before.
    pub fn show_queue(&self, component: &str, signal: &str, size: Gauge, capacity: Gauge) {
        let mut queues = lock(&self.board.queues);
        queues.retain(|queue| queue.component != component || queue.signal != signal);
        queues.push(Queue {
            component: component.to_owned(),
            signal: signal.to_owned(),
            size,
            capacity,
        });
    }

    /// How full the queues are.
    #[must_use]
    pub fn queues(&self) -> Vec<QueueStatus> {
        let queues = lock(&self.board.queues);
        let statuses = queues.iter().map(|queue| QueueStatus {
            component: queue.component.clone(),
            signal: queue.signal.clone(),
            size: queue.size.get(),
            capacity: queue.capacity.get(),
        });
        statuses.collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shortened(message: &str) -> &str {
    let end = message.floor_char_boundary(MAX_MESSAGE_BYTES);
    message.get(..end).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn board() -> (Status, super::super::ManualClock) {
        let (clock, hand) = Clock::manual(Time::from_unix_nanos(100));
        (Status::new(clock), hand)
    }

    #[test]
    fn only_a_running_agent_is_ready() {
        let (status, _) = board();
        assert_eq!(status.phase(), Phase::Starting);
        status.clone().set_ready();
        assert!(status.is_ready());
        status.set_stopping();
        assert_eq!(status.phase(), Phase::Stopping);
        assert!(!status.is_ready());
    }

    #[test]
    fn component_fails_since_its_first_failure() {
        let (status, hand) = board();
        status.set_up("otlp");
        status.set_failing("otlp", "refused");
        hand.advance(Duration::from_nanos(5));
        status.set_failing("otlp", "timed out");
        let [component] = status.components().try_into().unwrap();
        assert_eq!(component.failing_since, Some(Time::from_unix_nanos(100)));
        assert_eq!(component.why.as_deref(), Some("timed out"));
        status.set_up("otlp");
        assert_eq!(status.components()[0].failing_since, None);
    }

    #[test]
    fn repeated_error_is_counted_and_comes_last() {
        let (status, hand) = board();
        status.record_error("a", "x");
        status.record_error("b", "y");
        hand.advance(Duration::from_nanos(5));
        status.record_error("a", "x");
        let errors = status.recent_errors();
        assert_eq!(errors.len(), 2);
        assert_eq!((errors[1].component.as_str(), errors[1].count), ("a", 2));
        assert_eq!(errors[1].time, Time::from_unix_nanos(105));
    }

    #[test]
    fn errors_are_bounded_in_number_and_length() {
        let (status, _) = board();
        for number in 0..=MAX_ERRORS {
            status.record_error("a", &format!("{number}"));
        }
        status.record_error("a", &"ä".repeat(MAX_MESSAGE_BYTES));
        let errors = status.recent_errors();
        assert_eq!(errors.len(), MAX_ERRORS);
        assert_eq!(errors[0].message, "2");
        assert_eq!(errors[MAX_ERRORS - 1].message.len(), MAX_MESSAGE_BYTES);
    }

    #[test]
    fn pipelines_and_queues_are_shown_as_they_are() {
        let (status, _) = board();
        let logs = PipelineDescription { id: "logs".into(), ..PipelineDescription::default() };
        status.set_pipelines(vec![logs.clone()]);
        assert_eq!(status.pipelines(), [logs]);
        status.show_queue("otlp", "logs", Gauge::default(), Gauge::default());
        let size = Gauge::default();
        status.show_queue("otlp", "logs", size.clone(), Gauge::default());
        size.set(4.0);
        let [queue] = status.queues().try_into().unwrap();
        assert_eq!((queue.component.as_str(), queue.size), ("otlp", 4.0));
    }
}
