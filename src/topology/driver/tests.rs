mod spool;

use std::sync::atomic::Ordering;
use std::time::Duration as StdDuration;

use tokio::sync::oneshot;

use super::super::test_support::{Scripted, Step, batch, host, soon, times};
use super::*;
use crate::component::promise;
use crate::config::{Duration, QueueBatch, Retry};
use crate::data::DoorLimits;
use crate::telemetry::Live;

/// Settings with pauses that a test can wait for.
fn settings() -> DriverSettings {
    let mut settings = DriverSettings {
        timeout: StdDuration::from_secs(10),
        retry: Retry {
            initial_interval: Duration::from_millis(1),
            max_interval: Duration::from_millis(2),
            ..Retry::default()
        },
        ..DriverSettings::default()
    };
    settings.queue.num_consumers = std::num::NonZeroUsize::new(3).unwrap();
    settings
}

struct Bench {
    host: Host,
    exporter: Arc<Scripted>,
    driver: Driver,
}

fn start(exporter: Scripted, settings: DriverSettings, answers_early: bool) -> Bench {
    let around = Around { answers_early, ..Around::default() };
    start_on(host(), exporter, settings, around)
}

fn start_on(host: Host, exporter: Scripted, settings: DriverSettings, around: Around) -> Bench {
    let exporter = Arc::new(exporter);
    let id: ComponentId = "scripted".parse().unwrap();
    let shared = Arc::clone(&exporter) as Arc<dyn Exporter>;
    let driver = Driver::start((&id, Signal::Logs), shared, settings, around, &host);
    Bench { host, exporter, driver }
}

impl Bench {
    fn enqueue(&self, times: &[u64]) -> oneshot::Receiver<Answer> {
        let (ack, answer) = promise(Live::none());
        self.driver.inlet().enqueue(batch(times), ack);
        answer
    }

    async fn send(&self, times: &[u64]) -> Answer {
        soon(self.enqueue(times)).await.unwrap()
    }

    /// Stops and gives the exporter's account: delivered, dropped, by reason.
    async fn stop(self) -> (Arc<Scripted>, u64, Vec<(String, u64)>) {
        soon(self.driver.stop()).await;
        let balance = self.host.ledger.balance();
        assert!(balance.is_balanced, "{}", balance.to_table());
        let account = &balance.exporters["scripted logs"];
        assert_eq!(account.in_flight, 0);
        let dropped = account.dropped.iter().filter(|(_, count)| **count > 0);
        let dropped = dropped.map(|(reason, count)| (reason.clone(), *count)).collect();
        (self.exporter, account.delivered, dropped)
    }
}

#[tokio::test]
async fn failed_request_is_sent_again_as_it_was() {
    let bench = start(Scripted::with([Step::Fail, Step::Fail]), settings(), false);
    assert_eq!(bench.send(&[1, 2]).await.outcome, Outcome::Delivered);
    let (exporter, delivered, dropped) = bench.stop().await;
    let attempts = exporter.attempts.lock().unwrap();
    assert_eq!(*attempts, [(vec![1, 2], false), (vec![1, 2], false), (vec![1, 2], true)]);
    assert_eq!((delivered, dropped), (2, vec![]));
}

#[tokio::test]
async fn refused_request_is_dropped_and_said_to_be() {
    let bench = start(Scripted::with([Step::Reject]), settings(), false);
    let answer = bench.send(&[1, 2]).await;
    assert_eq!(answer.outcome, Outcome::Rejected);
    assert_eq!(answer.reason.as_deref(), Some("exporter `scripted`: bad"));
    let (exporter, delivered, dropped) = bench.stop().await;
    assert_eq!(exporter.attempts.lock().unwrap().len(), 1);
    assert_eq!((delivered, dropped), (0, vec![("rejected".into(), 2)]));
}

/// The requests in the quarantine of a host, as times.
fn set_aside(host: &Host) -> Vec<Vec<u64>> {
    let files = std::fs::read_dir(host.data_dir.join("quarantine")).unwrap();
    let bytes = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let admitted = bytes.map(|bytes| {
        Batch::try_new(Signal::Logs, bytes.into(), Arc::default(), &DoorLimits::NONE).unwrap()
    });
    admitted.map(|admitted| times(&admitted.batch)).collect()
}

#[tokio::test]
async fn record_on_which_an_exporter_panics_is_set_aside_and_the_others_arrive() {
    let panics = [
        Scripted { panics_on: Some(3), ..Scripted::default() },
        Scripted { prepare_panics_on: Some(3), ..Scripted::default() },
    ];
    for exporter in panics {
        let folder = tempfile::tempdir().unwrap();
        let host = Host { data_dir: folder.path().to_owned(), ..host() };
        let bench = start_on(host.clone(), exporter, settings(), Around::default());
        let answer = bench.send(&[1, 2, 3, 4, 5]).await;
        assert_eq!(answer.outcome, Outcome::Rejected);
        assert_eq!(bench.send(&[6]).await.outcome, Outcome::Delivered);
        let (exporter, delivered, dropped) = bench.stop().await;
        let mut taken = exporter.taken();
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 4, 5, 6]);
        assert_eq!((delivered, dropped), (5, vec![("panic".into(), 1)]));
        assert_eq!(set_aside(&host), [[3]]);
        let labels = [("component", "scripted")];
        assert_eq!(host.metrics.counter("catchment_quarantined_log_records", &labels).get(), 1);
    }
}

/// A driver, and another one that gets its dead letters.
fn with_dead_letters(source: Scripted, target: Scripted) -> (Bench, Bench) {
    let to = start(target, settings(), false);
    let exporter = Arc::new(source);
    let id: ComponentId = "scripted".parse().unwrap();
    let shared = Arc::clone(&exporter) as Arc<dyn Exporter>;
    let around = Around { dead_letters: Some(to.driver.inlet()), ..Around::default() };
    let host = host();
    let driver = Driver::start((&id, Signal::Logs), shared, settings(), around, &host);
    (Bench { host, exporter, driver }, to)
}

#[tokio::test]
async fn refused_records_go_to_the_exporter_of_dead_letters() {
    let steps = [Step::Reject, Step::Take, Step::TakePartly(1)];
    let source = Scripted { poison: Some(9), ..Scripted::with(steps) };
    let (bench, to) = with_dead_letters(source, Scripted::default());
    let answer = bench.send(&[1, 2]).await;
    assert_eq!(answer.outcome, Outcome::Rejected);
    assert_eq!(bench.send(&[3]).await.outcome, Outcome::Delivered);
    // Which of them was refused is not known.
    assert_eq!(bench.send(&[4, 5]).await.outcome, Outcome::Delivered);
    // What is too large together arrives in pieces; only the one that is refused alone is dead.
    assert_eq!(bench.send(&[7, 8, 9]).await.outcome, Outcome::Rejected);
    let labels = [("exporter", "scripted")];
    let family = "catchment_exporter_dead_letter_log_records";
    assert_eq!(bench.host.metrics.counter(family, &labels).get(), 5);
    let (_, delivered, dropped) = bench.stop().await;
    assert_eq!((delivered, dropped), (4, vec![("rejected".into(), 4)]));
    let (to, delivered, _) = to.stop().await;
    assert_eq!((to.taken(), delivered), (vec![1, 2, 4, 5, 9], 5));
    let reasons = to.reasons.lock().unwrap();
    let reasons: Vec<&str> = reasons.iter().map(|reason| reason.as_deref().unwrap()).collect();
    assert_eq!(reasons, ["bad", "1 of 2 records: some are bad", "too much"]);
}

#[tokio::test]
async fn client_is_asked_to_retry_when_dead_letters_cannot_be_taken() {
    let mut target = settings();
    target.retry.enabled = false;
    let to = start(Scripted::with([Step::Fail]), target, false);
    let exporter = Arc::new(Scripted::with([Step::Reject]));
    let id: ComponentId = "scripted".parse().unwrap();
    let around = Around { dead_letters: Some(to.driver.inlet()), ..Around::default() };
    let host = host();
    let shared = Arc::clone(&exporter) as Arc<dyn Exporter>;
    let driver = Driver::start((&id, Signal::Logs), shared, settings(), around, &host);
    let bench = Bench { host, exporter, driver };
    assert_eq!(bench.send(&[1]).await.outcome, Outcome::Retry);
    bench.stop().await;
    to.stop().await;
}

#[tokio::test]
async fn partial_success_is_never_sent_again() {
    let bench = start(Scripted::with([Step::TakePartly(1)]), settings(), false);
    assert_eq!(bench.send(&[1, 2, 3]).await.outcome, Outcome::Delivered);
    let (exporter, delivered, dropped) = bench.stop().await;
    assert_eq!(exporter.attempts.lock().unwrap().len(), 1);
    assert_eq!((delivered, dropped), (2, vec![("rejected".into(), 1)]));
}

#[tokio::test]
async fn request_is_halved_until_only_the_bad_record_is_left() {
    let exporter = Scripted { poison: Some(5), ..Scripted::default() };
    let bench = start(exporter, settings(), false);
    assert_eq!(bench.send(&[1, 2, 3, 4, 5, 6, 7]).await.outcome, Outcome::Rejected);
    let (exporter, delivered, dropped) = bench.stop().await;
    assert_eq!(exporter.taken(), [1, 2, 3, 4, 6, 7]);
    assert_eq!((delivered, dropped), (6, vec![("rejected".into(), 1)]));
}

#[tokio::test]
async fn lane_keeps_its_order_over_retries() {
    let steps = (0..40).map(|step| if step % 3 == 0 { Step::Take } else { Step::Fail });
    let exporter = Scripted { is_ordered: true, ..Scripted::with(steps) };
    let bench = start(exporter, settings(), false);
    let answers: Vec<_> =
        (0..30).map(|number| bench.enqueue(&[number * 10 + number % 3])).collect();
    for answer in answers {
        assert_eq!(soon(answer).await.unwrap().outcome, Outcome::Delivered);
    }
    let (exporter, delivered, _) = bench.stop().await;
    assert_eq!(delivered, 30);
    for lane in 0..3 {
        let taken = exporter.taken();
        let of_lane: Vec<_> = taken.iter().filter(|time| **time % 10 == lane).collect();
        assert!(of_lane.is_sorted(), "{of_lane:?}");
    }
}

#[tokio::test]
async fn buffered_records_are_answered_by_the_commit_that_succeeds() {
    let exporter = Scripted::with([Step::Buffer, Step::Buffer]);
    exporter.flush_failures.store(2, Ordering::SeqCst);
    let bench = start(exporter, settings(), false);
    let (first, second) = (bench.enqueue(&[1]), bench.enqueue(&[2]));
    assert_eq!(soon(first).await.unwrap().outcome, Outcome::Delivered);
    assert_eq!(soon(second).await.unwrap().outcome, Outcome::Delivered);
    assert!(bench.exporter.num_flushes.load(Ordering::SeqCst) >= 3);
    let (_, delivered, dropped) = bench.stop().await;
    assert_eq!((delivered, dropped), (2, vec![]));
}

#[tokio::test]
async fn record_that_a_flush_took_before_its_send_ended_is_answered() {
    let bench = start(Scripted::with([Step::Flushed]), settings(), false);
    assert_eq!(bench.send(&[1]).await.outcome, Outcome::Delivered);
    let (_, delivered, dropped) = bench.stop().await;
    assert_eq!((delivered, dropped), (1, vec![]));
}

#[tokio::test]
async fn records_that_a_commit_lost_are_counted_and_the_others_delivered() {
    let exporter = Scripted::with([Step::Buffer]);
    exporter.flush_losses.store(2, Ordering::SeqCst);
    let bench = start(exporter, settings(), false);
    let answer = soon(bench.enqueue(&[1, 2, 3])).await.unwrap();
    assert_eq!(answer.outcome, Outcome::Rejected);
    let (_, delivered, dropped) = bench.stop().await;
    assert_eq!((delivered, dropped), (1, vec![("lost".into(), 2)]));
}

#[tokio::test]
async fn stopping_commits_what_is_buffered() {
    let exporter = Scripted::default();
    let bench = start(exporter, settings(), true);
    assert_eq!(bench.send(&[1]).await.outcome, Outcome::Delivered);
    let (exporter, delivered, _) = bench.stop().await;
    assert_eq!(exporter.num_flushes.load(Ordering::SeqCst), 1);
    assert_eq!(delivered, 1);
}

#[tokio::test]
async fn full_queue_asks_for_a_retry_and_others_are_answered_at_once() {
    let mut settings = settings();
    settings.queue.queue_size = 2;
    settings.queue.num_consumers = std::num::NonZeroUsize::MIN;
    let bench = start(Scripted::with([Step::Hang]), settings, true);
    assert_eq!(bench.send(&[1]).await.outcome, Outcome::Delivered);
    // The consumer may still be on its way to the first one.
    while bench.driver.shared.queue.len() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.send(&[2]).await.outcome, Outcome::Delivered);
    assert_eq!(bench.send(&[3]).await.outcome, Outcome::Delivered);
    let answer = bench.send(&[4]).await;
    assert_eq!(answer.outcome, Outcome::Retry);
    assert_eq!(answer.reason.as_deref(), Some("exporter `scripted`: sending queue is full"));
    bench.driver.abort_token().cancel();
    let (_, delivered, dropped) = bench.stop().await;
    assert_eq!(delivered, 0);
    assert_eq!(dropped, [("queue_full".into(), 1), ("shutdown".into(), 3)]);
}

#[tokio::test]
async fn attempt_that_takes_too_long_is_a_failed_one() {
    let mut settings = settings();
    settings.timeout = StdDuration::from_millis(5);
    let bench = start(Scripted::with([Step::Hang]), settings, false);
    assert_eq!(bench.send(&[1]).await.outcome, Outcome::Delivered);
    let (_, delivered, _) = bench.stop().await;
    assert_eq!(delivered, 1);
}

#[tokio::test]
async fn time_for_retries_ends() {
    let mut settings = settings();
    settings.retry.max_elapsed_time = Duration::from_millis(20);
    let bench = start(Scripted::with(vec![Step::Fail; 1000]), settings, false);
    let answer = bench.send(&[1]).await;
    assert_eq!(answer.outcome, Outcome::Retry);
    let reason = answer.reason.unwrap();
    assert_eq!(&*reason, "exporter `scripted`: no more retries: down");
    let (_, _, dropped) = bench.stop().await;
    assert_eq!(dropped, [("retries_exhausted".into(), 1)]);
}

#[tokio::test]
async fn waiting_batches_are_joined_and_cut_to_size() {
    let mut settings = settings();
    settings.queue.num_consumers = std::num::NonZeroUsize::MIN;
    settings.queue.batch = Some(QueueBatch {
        flush_timeout: Duration::from_secs(3600),
        min_size: 4,
        max_size: 4,
        sizer: None,
    });
    let bench = start(Scripted::default(), settings, false);
    let answers = [bench.enqueue(&[1, 2]), bench.enqueue(&[3]), bench.enqueue(&[4, 5])];
    for answer in answers {
        assert_eq!(soon(answer).await.unwrap().outcome, Outcome::Delivered);
    }
    let last = bench.enqueue(&[6]);
    let (exporter, delivered, _) = bench.stop().await;
    assert_eq!(soon(last).await.unwrap().outcome, Outcome::Delivered);
    let attempts = exporter.attempts.lock().unwrap();
    let sizes: Vec<_> = attempts.iter().map(|(times, _)| times.clone()).collect();
    assert_eq!(sizes, [vec![1, 2, 3, 4], vec![5], vec![6]]);
    assert_eq!(delivered, 6);
}
