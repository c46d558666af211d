use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use super::source::pace;
use super::*;
use crate::component::{Answer, Budget, Intake, Listeners, Outcome};
use crate::config::Node;
use crate::data::{Batch, Packed, Time, TraceId};
use crate::telemetry::Clock;

const NOW: Time = Time::from_unix_nanos(1_790_000_000_000_000_000);

/// Takes batches, and stops the receiver when there is one of every signal.
struct Taker {
    signals: Vec<Signal>,
    answers: Mutex<VecDeque<Answer>>,
    taken: Mutex<Vec<Batch>>,
    stop: CancellationToken,
}

#[async_trait]
impl Intake for Taker {
    fn accepts(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }

    async fn deliver(&self, batch: Batch, _packed: Option<Packed>) -> Answer {
        let mut taken = self.taken.lock().unwrap();
        taken.push(batch);
        let has = |signal: &Signal| taken.iter().any(|batch| batch.signal() == *signal);
        if self.signals.iter().all(has) {
            self.stop.cancel();
        }
        self.answers.lock().unwrap().pop_front().unwrap_or(Answer::DELIVERED)
    }

    fn count_refused(&self, _signal: Signal, _num_records: usize) {}
}

fn taker(signals: &[Signal], answers: impl IntoIterator<Item = Answer>) -> Arc<Taker> {
    Arc::new(Taker {
        signals: signals.to_vec(),
        answers: Mutex::new(answers.into_iter().collect()),
        taken: Mutex::default(),
        stop: CancellationToken::new(),
    })
}

fn demo(settings: &str) -> Box<Demo> {
    let node = Node::parse("demo", settings).unwrap();
    let config: DemoConfig = crate::config::from_node(&node, "demo").unwrap();
    Box::new(Demo { rates: config.rate, seed: config.seed })
}

fn inlet(taker: &Arc<Taker>, budget: &Budget) -> Inlet {
    let (clock, _) = Clock::manual(NOW);
    let intake = Arc::clone(taker) as Arc<dyn Intake>;
    Inlet::new(intake, budget.clone(), clock, Listeners::default())
}

/// What is handed over when each source makes so many requests, in turns; answers begin with
/// `answers`.
async fn made(
    settings: &str,
    signals: &[Signal],
    num_rounds: usize,
    answers: impl IntoIterator<Item = Answer>,
) -> Vec<Batch> {
    let taker = taker(signals, answers);
    let budget = Budget::new(1 << 30, 1 << 28);
    let mut sources = demo(settings).sources(&inlet(&taker, &budget));
    for _ in 0..num_rounds {
        for source in &mut sources {
            source.step().await.unwrap();
        }
    }
    let taken = std::mem::take(&mut *taker.taken.lock().unwrap());
    let size_bytes: usize = taken.iter().map(Batch::size_bytes).sum();
    assert!(budget.used_bytes() <= size_bytes && budget.used_bytes() > 0);
    taken
}

const FAST: &str = "{rate: {logs: 100000, traces: 100000, metrics: 100000}, seed: 7}";

#[tokio::test]
async fn every_signal_that_has_a_pipeline_is_made_until_it_is_stopped() {
    for signals in [&Signal::ALL[..], &[Signal::Metrics], &[Signal::Logs, Signal::Traces]] {
        let taker = taker(signals, []);
        let budget = Budget::new(1 << 30, 1 << 28);
        demo(FAST).run(inlet(&taker, &budget), taker.stop.clone()).await.unwrap();
        let taken = taker.taken.lock().unwrap();
        let made: HashSet<Signal> = taken.iter().map(Batch::signal).collect();
        assert_eq!(made, signals.iter().copied().collect());
    }
}

#[tokio::test]
async fn all_services_take_turns_in_every_signal() {
    let all = made(FAST, &Signal::ALL, 3, []).await;
    let mut services: HashMap<Signal, HashSet<String>> = HashMap::new();
    for batch in &all {
        assert_eq!(batch.num_records(), 500);
        assert_eq!(batch.context().arrived, NOW);
        for item in batch.records() {
            let name = format!("{:?}", item.resource.attributes().get("service.name"));
            services.entry(batch.signal()).or_default().insert(name);
        }
    }
    for signal in Signal::ALL {
        assert_eq!(services[&signal].len(), 12, "{signal:?}");
    }
    let none = "{rate: {logs: 0, traces: 100000}}";
    let traces = made(none, &[Signal::Logs, Signal::Traces], 1, []).await;
    assert_eq!(traces.iter().map(Batch::signal).collect::<Vec<_>>(), [Signal::Traces]);
}

#[tokio::test]
async fn log_records_belong_to_spans_that_were_made() {
    let all = made(FAST, &[Signal::Logs, Signal::Traces], 3, []).await;
    let (traces, logs): (Vec<&Batch>, Vec<&Batch>) =
        all.iter().partition(|batch| batch.signal() == Signal::Traces);
    assert_eq!((traces.len(), logs.len()), (3, 3));
    let spans = traces.iter().flat_map(|batch| batch.spans().items());
    let known: HashSet<Option<TraceId>> = spans.map(|item| item.record.trace_id()).collect();
    let records = logs.iter().flat_map(|batch| batch.logs().items());
    let of_logs: Vec<_> = records.filter_map(|item| item.record.trace_id()).collect();
    assert!(of_logs.len() * 2 == logs.len() * 500);
    assert!(of_logs.into_iter().all(|trace| known.contains(&Some(trace))));
}

#[tokio::test]
async fn batch_that_is_not_taken_comes_again_and_one_that_is_refused_does_not() {
    let retry = || Answer {
        retry_after: Some(Duration::ZERO),
        ..Answer::new(Outcome::Retry, "the queue is full")
    };
    let answers = [retry(), retry(), Answer::new(Outcome::Rejected, "no"), Answer::DELIVERED];
    let all = made(FAST, &[Signal::Metrics], 3, answers).await;
    let bytes: Vec<_> = all.iter().map(Batch::merged_bytes).collect();
    assert!(bytes[0] == bytes[1] && bytes[1] == bytes[2]);
    assert!(bytes[2] != bytes[3] && bytes[3] != bytes[4]);
}

#[tokio::test]
async fn seed_decides_what_is_made() {
    let texts = async |seed: &str| {
        let settings = format!("{{rate: {{traces: 100000}}{seed}}}");
        let all = made(&settings, &[Signal::Traces], 4, []).await;
        all.iter().map(Batch::merged_bytes).collect::<Vec<_>>()
    };
    assert_eq!(texts(", seed: 7").await, texts(", seed: 7").await);
    assert_ne!(texts(", seed: 7").await, texts(", seed: 8").await);
    assert_ne!(texts("").await, texts("").await);
}

#[test]
fn pace_keeps_the_rate_and_requests_small() {
    let millis = Duration::from_millis;
    assert_eq!(pace(Signal::Logs, 1), (1, millis(1000)));
    assert_eq!(pace(Signal::Logs, 100), (50, millis(500)));
    assert_eq!(pace(Signal::Metrics, 60), (100, millis(100_000) / 60));
    assert_eq!(pace(Signal::Metrics, MAX_RATE), (500, millis(5)));
    assert_eq!(pace(Signal::Traces, 1000), (500, millis(500)));
}

#[test]
fn rate_that_is_too_high_is_refused() {
    let node = Node::parse("demo", "rate: {logs: 100001}").unwrap();
    let told = crate::config::from_node::<DemoConfig>(&node, "demo").unwrap_err();
    let told = crate::config::render(&told);
    assert!(told.contains("at most 100000 records per second"), "{told}");
}
