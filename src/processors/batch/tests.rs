use std::collections::BTreeMap;

use proptest::prelude::*;
use tokio::sync::oneshot::Receiver;

use super::*;
use crate::component::{Answer, Emission, Flush, Outbox, Outcome, promise};
use crate::config::{Node, from_node, render};
use crate::data::{Batch, Context, LogsBuilder, Time, Value};
use crate::telemetry::{Ledger, Metrics};

fn read(text: &str) -> Result<BatchConfig, String> {
    from_node(&Node::parse("x.yaml", text).unwrap(), "").map_err(|errors| render(&errors))
}

fn batcher(text: &str) -> Batcher {
    counting_batcher(text, &Metrics::default())
}

fn counting_batcher(text: &str, metrics: &Metrics) -> Batcher {
    let config = read(text).unwrap();
    let settings = Settings {
        size: config.send_batch_size,
        max_size: config.send_batch_max_size,
        timeout: config.max_hold(),
        metadata_keys: config.metadata_keys,
        max_combinations: config.metadata_cardinality_limit,
    };
    let sent = Sent {
        size: metrics.counter("size", &[]),
        timeout: metrics.counter("timeout", &[]),
        sizes: metrics.sizes("sizes", &[], &[2, 4]),
    };
    Batcher::new(settings, sent)
}

fn lines(bodies: impl IntoIterator<Item = i64>, context: Context) -> Batch {
    let mut builder = LogsBuilder::new();
    for body in bodies {
        builder.record(|record| record.body(Value::Int(body)));
    }
    builder.finish(context.into())
}

fn bodies(batch: &Batch) -> Vec<i64> {
    let body = |value| if let Value::Int(body) = value { body } else { panic!("{value:?}") };
    batch.logs().items().map(|item| body(item.record.body())).collect()
}

fn tenant(name: &str) -> Context {
    Context { tenant: Some(name.into()), ..Context::default() }
}

fn millis(millis: u64) -> Time {
    Time::from_unix_nanos(millis * 1_000_000)
}

/// Runs a call without anybody who waits, and returns what it emits.
fn call(
    batcher: &mut Batcher,
    now: Time,
    run: impl FnOnce(&mut Batcher, &mut Outbox),
) -> Vec<Vec<i64>> {
    let mut out = Outbox::new(now, None, false);
    run(batcher, &mut out);
    out.emissions().iter().map(|emission| bodies(&emission.batch)).collect()
}

fn process(batcher: &mut Batcher, now: Time, batch: Batch) -> Vec<Vec<i64>> {
    call(batcher, now, |batcher, out| batcher.process(batch, out).unwrap())
}

fn tick(batcher: &mut Batcher, now: Time) -> Vec<Vec<i64>> {
    call(batcher, now, |batcher, out| batcher.tick(out).unwrap())
}

#[test]
fn size_is_a_trigger_and_the_largest_size_a_limit() {
    let mut batcher = batcher("{send_batch_size: 3, send_batch_max_size: 4}");
    assert!(process(&mut batcher, millis(0), lines(0..2, Context::default())).is_empty());
    let sent = process(&mut batcher, millis(1), lines(2..13, Context::default()));
    assert_eq!(sent, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9, 10, 11]]);
    assert_eq!(batcher.deadline(), Some(millis(201)));
    assert_eq!(tick(&mut batcher, millis(201)), [[12]]);
    assert_eq!(batcher.deadline(), None);
}

#[test]
fn sizes_and_triggers_are_counted() {
    let metrics = Metrics::default();
    let mut batcher = counting_batcher("{send_batch_size: 3, send_batch_max_size: 4}", &metrics);
    process(&mut batcher, millis(0), lines(0..9, Context::default()));
    tick(&mut batcher, millis(200));
    let page = metrics.to_prometheus();
    let lines = ["size 2", "timeout 1", "sizes_bucket{le=\"2\"} 1", "sizes_sum 9", "sizes_count 3"];
    for line in lines {
        assert!(page.lines().any(|other| other == line), "{line}: {page}");
    }
}

#[test]
fn batches_are_joined_without_copying() {
    let mut batcher = batcher("send_batch_size: 3");
    let inputs = [lines(0..2, Context::default()), lines(2..9, Context::default())];
    let mut out = Outbox::new(millis(0), None, false);
    for input in &inputs {
        batcher.process(input.clone(), &mut out).unwrap();
    }
    let [Emission { batch, .. }] = out.emissions() else { panic!("one batch") };
    let pointers = |chunks: &[bytes::Bytes]| chunks.iter().map(|chunk| chunk.as_ptr()).collect();
    let expected: Vec<_> = inputs.iter().map(|input| input.chunks()[0].as_ptr()).collect();
    let pointers: Vec<_> = pointers(batch.chunks());
    assert_eq!(pointers, expected);
}

#[test]
fn nothing_waits_when_size_or_timeout_is_zero() {
    for text in ["timeout: 0s", "send_batch_size: 0"] {
        let mut batcher = batcher(text);
        assert_eq!(process(&mut batcher, millis(0), lines(0..2, Context::default())), [[0, 1]]);
        assert_eq!(batcher.deadline(), None);
        assert_eq!(read(text).unwrap().max_hold(), None);
    }
    let mut only_splits = batcher("{timeout: 0s, send_batch_size: 2, send_batch_max_size: 2}");
    let sent = process(&mut only_splits, millis(0), lines(0..5, Context::default()));
    assert_eq!(sent, [vec![0, 1], vec![2, 3], vec![4]]);
}

#[test]
fn tenants_and_arrival_windows_stay_apart() {
    let mut batcher = batcher("send_batch_size: 4");
    assert!(process(&mut batcher, millis(0), lines(0..2, tenant("a"))).is_empty());
    assert!(process(&mut batcher, millis(5), lines(2..4, tenant("b"))).is_empty());
    assert_eq!(process(&mut batcher, millis(7), lines(4..6, tenant("a"))), [[0, 1, 4, 5]]);
    let later = Context { arrived: Time::from_unix_nanos(60_000_000_000), ..tenant("b") };
    assert_eq!(process(&mut batcher, millis(8), lines(6..9, later)), [[2, 3]]);
    let drained = call(&mut batcher, millis(9), |batcher, out| {
        batcher.flush(Flush::Suspend, out).unwrap();
        assert!(out.emissions().is_empty());
        batcher.flush(Flush::Drain, out).unwrap();
    });
    assert_eq!(drained, [[6, 7, 8]]);
}

#[test]
fn metadata_keep_batches_apart_up_to_a_limit() {
    let mut batcher =
        batcher("{send_batch_size: 3, metadata_keys: [X-Team], metadata_cardinality_limit: 2}");
    let team = |values: &[&str]| Context {
        metadata: BTreeMap::from([
            ("x-team".to_owned(), values.iter().map(|value| (*value).to_owned()).collect()),
            ("x-request".to_owned(), vec![values.join("/")]),
        ]),
        ..Context::default()
    };
    assert!(process(&mut batcher, millis(0), lines(0..2, team(&["a"]))).is_empty());
    assert!(process(&mut batcher, millis(0), lines(2..4, team(&["a", "b"]))).is_empty());
    let mut out = Outbox::new(millis(0), None, false);
    let error = batcher.process(lines(4..6, Context::default()), &mut out).unwrap_err();
    assert_eq!(error.reason, "too many combinations of metadata values");
    batcher.process(lines(6..7, team(&["a"])), &mut out).unwrap();
    let [Emission { batch, .. }] = out.emissions() else { panic!("one batch") };
    assert_eq!(bodies(batch), [0, 1, 6]);
    assert_eq!(batch.context().metadata, team(&["a"]).metadata);
}

#[test]
fn wrong_settings_are_named() {
    for (text, message) in [
        ("{send_batch_size: 10, send_batch_max_size: 9}", "it must be 0 or at least"),
        ("send_batch_max_size: 9", "`send_batch_size`, which is 8192"),
        ("metadata_keys: [a, b, A]", "`metadata_keys` has `a` twice"),
        ("send_batch_size: -1", "-1"),
        ("send_batchsize: 1", "send_batch_size"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
    let defaults = read("{}").unwrap();
    assert_eq!(defaults.send_batch_size, 8192);
    assert_eq!(defaults.max_hold(), Some(time::Duration::from_millis(200)));
    assert_eq!((defaults.send_batch_max_size, defaults.metadata_cardinality_limit), (0, 1000));
}

/// Runs a batcher as the engine does, and checks what must hold of every call.
struct Harness {
    batcher: Batcher,
    size: usize,
    max_size: usize,
    timeout: u64,
    ledger: Ledger,
    answers: Vec<Receiver<Answer>>,
    /// The record's body is its index here: its tenant and when it came, in milliseconds.
    records: Vec<(usize, u64)>,
    sent: [Vec<i64>; 2],
}

impl Harness {
    fn arrive(&mut self, now: u64, num_records: usize, tenant: usize) {
        let first = self.records.len() as i64;
        self.records.extend(vec![(tenant, now); num_records]);
        let context = self::tenant(["a", "b"][tenant]);
        let batch = lines(first..first + num_records as i64, context);
        let live = self.ledger.pipeline("logs").live(num_records);
        let (ack, answer) = promise(live);
        self.answers.push(answer);
        let mut out = Outbox::new(millis(now), Some(ack), false);
        self.batcher.process(batch, &mut out).unwrap();
        self.check(now, out, true);
    }

    /// Lets the time pass until `now`.
    fn wait(&mut self, now: u64) {
        while let Some(due) = self.batcher.deadline().filter(|due| *due <= millis(now)) {
            let mut out = Outbox::new(due, None, false);
            self.batcher.tick(&mut out).unwrap();
            assert!(!out.emissions().is_empty());
            self.check(due.as_unix_millis(), out, false);
        }
    }

    fn check(&mut self, now: u64, out: Outbox, is_by_size: bool) {
        let (emissions, input) = out.finish();
        let mut num_of_input = 0;
        for Emission { batch, held, .. } in emissions {
            let num_records = batch.num_records();
            assert!(self.max_size == 0 || num_records <= self.max_size);
            assert!(num_records >= self.size || !is_by_size);
            let bodies = bodies(&batch);
            let (tenant, _) = self.records[bodies[0] as usize];
            for body in &bodies {
                let (of, came) = self.records[*body as usize];
                assert_eq!(of, tenant);
                assert!(now - came <= self.timeout, "{body} waited for {}", now - came);
            }
            self.sent[tenant].extend(bodies);
            match held {
                Some(acks) => {
                    assert_eq!(
                        acks.iter().map(|ack| ack.num_records()).sum::<usize>(),
                        num_records
                    );
                    acks.into_iter().for_each(|ack| ack.answer(Outcome::Delivered));
                }
                None => num_of_input += num_records,
            }
        }
        assert_eq!(input.as_ref().map_or(0, |ack| ack.num_records()), num_of_input);
        if let Some(ack) = input {
            ack.answer(Outcome::Delivered);
        }
    }
}

proptest! {
    /// Whatever comes: nothing is lost, doubled or late, each tenant's order is kept, sizes are
    /// as set, and every request is answered by the shares that were handed on.
    #[test]
    fn every_record_goes_on_once_in_time_and_in_order(
        steps in prop::collection::vec((0_u64..80, 0_usize..12, 0_usize..2), 1..40),
        size in 1_usize..15,
        more in prop::option::of(0_usize..10),
    ) {
        let max_size = more.map_or(0, |more| size + more);
        let text = format!(
            "{{send_batch_size: {size}, send_batch_max_size: {max_size}, timeout: 100ms}}"
        );
        let mut harness = Harness {
            batcher: batcher(&text),
            size,
            max_size,
            timeout: 100,
            ledger: Ledger::default(),
            answers: Vec::new(),
            records: Vec::new(),
            sent: Default::default(),
        };
        let mut now = 0;
        for (pause, num_records, tenant) in steps {
            now += pause;
            harness.wait(now);
            harness.arrive(now, num_records, tenant);
        }
        let mut out = Outbox::new(millis(now), None, false);
        harness.batcher.flush(Flush::Drain, &mut out).unwrap();
        harness.check(now, out, false);
        let expected = [0, 1].map(|tenant| {
            let of_tenant = |index: &i64| harness.records[*index as usize].0 == tenant;
            (0..harness.records.len() as i64).filter(of_tenant).collect::<Vec<_>>()
        });
        prop_assert_eq!(&harness.sent, &expected);
        prop_assert_eq!(harness.ledger.pipeline("logs").in_flight(), 0);
        for mut answer in harness.answers {
            prop_assert_eq!(answer.try_recv().unwrap().outcome, Outcome::Delivered);
        }
    }
}
