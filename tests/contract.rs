//! Every component of the registry keeps its contract; a new one is covered by its `EXAMPLE`.
//!
//! Stages are driven as the engine drives them, with random batches, and consumers that take,
//! refuse or fail.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod random;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use catchment::component::{
    Ack, Answer, Budget, BuildContext, BuildError, Extensions, Flush, Host, Outbox, Outcome,
    Output, ProcessError, Processor, Registered, Shard, Sharding, promise,
};
use catchment::components::builtin;
use catchment::config::{Node, render};
use catchment::data::{Batch, LogsBuilder, Signal, Time, Value};
use catchment::telemetry::{Clock, Ledger, Live, Metrics, PipelineLedger, Status};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Random inputs for each stage and signal.
const NUM_CASES: u32 = 48;

/// How long stages wait for others at the most, about; ticks come by this step.
const STEP: Duration = Duration::from_millis(150);

fn host(folder: &TempDir) -> Host {
    let (clock, _) = Clock::manual(Time::from_unix_nanos(random::START_NANOS));
    Host {
        metrics: Metrics::default(),
        status: Status::new(clock.clone()),
        ledger: Ledger::default(),
        clock,
        budget: Budget::new(1 << 30, 1 << 28),
        data_dir: folder.path().to_owned(),
        extensions: Extensions::default(),
    }
}

fn context(type_name: &str, signal: Signal, outputs: &[Output], host: &Host) -> BuildContext {
    BuildContext {
        id: type_name.parse().unwrap(),
        pipeline: Some(signal.as_str().parse().unwrap()),
        signal,
        outputs: outputs.to_vec(),
        shard: Shard { index: 0, count: 1 },
        host: host.clone(),
    }
}

/// Reads a component's example.
fn load<T>(registered: &Registered<T>) -> T {
    let name = registered.type_name;
    let mut body = Node::parse(name, registered.example).unwrap();
    let _ = body.take_off(registered.driver_keys);
    let read = registered.load(&body, name).unwrap_or_else(|told| panic!("{}", render(&told)));
    assert!(read.warnings.is_empty(), "{name}: {}", render(&read.warnings));
    read.value
}

type Build = Box<dyn Fn() -> Result<Box<dyn Processor>, BuildError>>;

/// A processor, or a connector for one signal in.
struct Subject {
    name: String,
    signal: Signal,
    outputs: Vec<Output>,
    sharding: Sharding,
    build: Build,
}

impl Subject {
    fn built(&self) -> Box<dyn Processor> {
        (self.build)().unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// All stages, each for each of its signals; a connector gets two pipelines for each signal out.
fn subjects(folder: &TempDir) -> Vec<Subject> {
    let registry = builtin();
    let host = host(folder);
    let mut subjects = Vec::new();
    for registered in registry.processors.values() {
        let loaded = load(registered);
        for (signal, _) in registered.pairs.iter().copied() {
            let context = context(registered.type_name, signal, &[], &host);
            let (loaded, sharding) = (loaded.clone(), loaded.sharding);
            subjects.push(Subject {
                name: format!("{} for {}", registered.type_name, signal.as_str()),
                signal,
                outputs: Vec::new(),
                sharding,
                build: Box::new(move || loaded.build(&context)),
            });
        }
    }
    for registered in registry.connectors.values() {
        let loaded = load(registered);
        for signal in Signal::ALL {
            let made = registered.pairs.iter().filter(|(taken, _)| *taken == signal);
            let outputs: Vec<Output> = made
                .flat_map(|(_, made)| ["a", "b"].map(|name| (*made, name)))
                .map(|(signal, name)| Output {
                    pipeline: format!("{}/{name}", signal.as_str()).parse().unwrap(),
                    signal,
                })
                .collect();
            if outputs.is_empty() {
                continue;
            }
            let context = context(registered.type_name, signal, &outputs, &host);
            let (loaded, sharding) = (loaded.clone(), loaded.sharding);
            subjects.push(Subject {
                name: format!("{} for {}", registered.type_name, signal.as_str()),
                signal,
                outputs,
                sharding,
                build: Box::new(move || loaded.build(&context)),
            });
        }
    }
    subjects
}

/// A stage with the account of its records, and whoever waits for it.
struct Driven<'a> {
    subject: &'a Subject,
    processor: Box<dyn Processor>,
    account: Arc<PipelineLedger>,
    now: Time,
    emitted: Vec<(usize, Batch)>,
    num_absorbed: usize,
    /// Whether what goes on has records, for what came in has.
    is_input_empty: bool,
    /// Shares in answers that consumers have not given.
    unanswered: Vec<Ack>,
    clients: Vec<Client>,
}

/// Who sent a batch.
struct Client {
    answer: oneshot::Receiver<Answer>,
    /// Whether records of its batch went on in its own call, and so decide its answer.
    is_passed_on: bool,
    is_refused: bool,
}

impl<'a> Driven<'a> {
    fn new(subject: &'a Subject) -> Self {
        Self {
            subject,
            processor: subject.built(),
            account: Ledger::default().pipeline("subject"),
            now: Time::from_unix_nanos(random::START_NANOS),
            emitted: Vec::new(),
            num_absorbed: 0,
            is_input_empty: false,
            unanswered: Vec::new(),
            clients: Vec::new(),
        }
    }

    fn process(&mut self, batch: Batch) {
        let num_records = batch.num_records();
        self.is_input_empty = num_records == 0;
        let (ack, answer) = promise(self.account.live(num_records));
        self.account.received().add(num_records as u64);
        let mut out = Outbox::new(self.now, Some(ack), false);
        let outcome = self.processor.process(batch, &mut out);
        let is_passed_on = out.emissions().iter().any(|emission| emission.held.is_none());
        let is_refused = outcome.is_err();
        match outcome {
            Ok(()) => self.settle(out),
            Err(error) => {
                let (emissions, input) = out.finish();
                let held = emissions.into_iter().filter_map(|emission| emission.held).flatten();
                for ack in held.chain(input) {
                    self.dropped(error.reason, ack.num_records());
                    ack.answer(Outcome::Rejected);
                }
            }
        }
        self.clients.push(Client { answer, is_passed_on, is_refused });
        self.is_input_empty = false;
        self.assert_balanced("process");
    }

    /// Time goes on, and what is due is done.
    fn pass_time(&mut self) {
        self.now = self.now.saturating_add(STEP);
        if self.processor.deadline().is_some_and(|deadline| deadline <= self.now) {
            let mut out = Outbox::new(self.now, None, false);
            self.processor.tick(&mut out).unwrap();
            self.settle(out);
            self.assert_balanced("tick");
            let deadline = self.processor.deadline();
            let is_later = deadline.is_none_or(|deadline| deadline > self.now);
            assert!(is_later, "{} is due at once after a tick", self.subject.name);
        }
    }

    fn flush(&mut self, why: Flush) {
        let mut out = Outbox::new(self.now, None, false);
        self.processor.flush(why, &mut out).unwrap();
        self.settle(out);
        self.assert_balanced("flush");
    }

    fn drain(&mut self) {
        self.flush(Flush::Drain);
        let in_flight = self.account.in_flight();
        assert_eq!(in_flight, 0, "{} keeps records when it is drained", self.subject.name);
    }

    fn settle(&mut self, out: Outbox) {
        self.account.created("subject").add(out.num_created() as u64);
        self.num_absorbed += out.num_absorbed();
        self.account.absorbed("subject").add(out.num_absorbed() as u64);
        for dropped in out.dropped() {
            self.dropped(dropped.reason, dropped.num_records);
        }
        let (emissions, mut input) = out.finish();
        for emission in emissions {
            let num_records = emission.batch.num_records();
            self.account.forwarded().add(num_records as u64);
            let ack = match (emission.held, &mut input) {
                (Some(acks), _) => Ack::join(acks, Live::none()),
                (None, Some(input)) => input.share(Live::none()),
                (None, None) => Ack::detached(Live::none()),
            };
            self.unanswered.push(ack);
            self.check_emitted(emission.output, &emission.batch);
            self.emitted.push((emission.output, emission.batch));
        }
        if let Some(input) = input {
            input.answer(Outcome::Delivered);
        }
    }

    fn check_emitted(&self, output: usize, batch: &Batch) {
        let name = &self.subject.name;
        let signal = match self.subject.outputs.get(output) {
            Some(output) => output.signal,
            None => {
                assert!(self.subject.outputs.is_empty() && output == 0, "{name}: output {output}");
                self.subject.signal
            }
        };
        assert_eq!(batch.signal(), signal, "{name}");
        assert!(!batch.is_empty() || self.is_input_empty, "{name} emits nothing as a batch");
        let again = random::batch(signal, batch.merged_bytes());
        assert_eq!(again.num_records(), batch.num_records(), "{name} counts its records wrongly");
    }

    fn dropped(&self, reason: &'static str, num_records: usize) {
        self.account.dropped("subject", reason).add(num_records as u64);
    }

    fn assert_balanced(&self, call: &str) {
        let Self { account, subject, .. } = self;
        assert!(account.is_balanced(), "{}: {call} does not balance: {account:#?}", subject.name);
    }

    /// The consumers answer, then every client must have its answer; gives them back.
    fn answer(&mut self, outcome: Outcome) -> Vec<(Client, Outcome)> {
        for ack in self.unanswered.drain(..) {
            ack.answer(outcome);
        }
        let name = &self.subject.name;
        let clients = self.clients.drain(..).map(|mut client| {
            let answer = client.answer.try_recv();
            let answer = answer.unwrap_or_else(|_| panic!("{name} forgets to answer a client"));
            (client, answer.outcome)
        });
        clients.collect()
    }

    /// What came out, record by record, in no order.
    fn records(&self) -> Vec<(usize, Vec<u8>)> {
        let mut records: Vec<_> = self
            .emitted
            .iter()
            .flat_map(|(output, batch)| {
                random::records(batch).into_iter().map(|record| (*output, record))
            })
            .collect();
        records.sort();
        records
    }
}

/// Runs `check` on random batches for each stage that `is_meant`.
fn for_each(is_meant: fn(&Subject) -> bool, check: fn(&Subject, &[Batch])) {
    let folder = tempfile::tempdir().unwrap();
    let subjects: Vec<Subject> = subjects(&folder).into_iter().filter(is_meant).collect();
    assert!(!subjects.is_empty());
    for subject in &subjects {
        let config = Config { cases: NUM_CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new(config);
        let input = prop::collection::vec(random::batches(subject.signal), 1..6);
        let outcome = runner.run(&input, |batches| {
            check(subject, &batches);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{}: {error}", subject.name));
    }
}

fn drive<'a>(subject: &'a Subject, batches: &[Batch]) -> Driven<'a> {
    let mut driven = Driven::new(subject);
    for batch in batches {
        driven.process(batch.clone());
        driven.pass_time();
    }
    driven
}

#[test]
fn stages_account_for_every_record_and_answer_every_client() {
    for_each(
        |_| true,
        |subject, batches| {
            let mut driven = drive(subject, batches);
            driven.drain();
            for (client, outcome) in driven.answer(Outcome::Delivered) {
                let expected =
                    if client.is_refused { Outcome::Rejected } else { Outcome::Delivered };
                assert_eq!(outcome, expected, "{}", subject.name);
            }
        },
    );
}

#[test]
fn stages_pass_the_answers_of_consumers_on() {
    for_each(
        |_| true,
        |subject, batches| {
            for failure in [Outcome::Rejected, Outcome::Retry] {
                let mut driven = drive(subject, batches);
                driven.drain();
                let is_emitted = !driven.emitted.is_empty();
                let answers = driven.answer(failure);
                for (client, outcome) in &answers {
                    if client.is_passed_on {
                        assert_eq!(*outcome, failure, "{}", subject.name);
                    }
                }
                let is_told = answers.iter().any(|(_, outcome)| *outcome == failure);
                assert!(!is_emitted || is_told, "{} keeps a failure to itself", subject.name);
            }
        },
    );
}

#[test]
fn stages_without_state_do_not_see_how_input_is_cut() {
    for_each(
        |subject| subject.sharding == Sharding::Stateless,
        |subject, batches| {
            let mut whole = drive(subject, batches);
            whole.drain();
            if whole.num_absorbed > 0 {
                // It makes something of each batch, such as a sum.
                return;
            }
            for size in [1, 3] {
                let pieces: Vec<Batch> =
                    batches.iter().flat_map(|batch| batch.split(size, 0)).collect();
                let mut cut = drive(subject, &pieces);
                cut.drain();
                assert_eq!(cut.records(), whole.records(), "{} in pieces of {size}", subject.name);
            }
        },
    );
}

#[test]
fn restored_stages_go_on_as_if_nothing_had_happened() {
    for_each(
        |_| true,
        |subject, batches| {
            let (before, after) = batches.split_at(batches.len() / 2);
            let (mut kept, mut replaced) = (drive(subject, before), drive(subject, before));
            kept.drain();
            replaced.drain();
            let mut state = Vec::new();
            replaced.processor.save(&mut state).unwrap();
            let version = replaced.processor.state_version();
            replaced.processor = subject.built();
            replaced.processor.restore(&mut state.as_slice(), version).unwrap();
            for driven in [&mut kept, &mut replaced] {
                driven.emitted.clear();
                for batch in after {
                    driven.process(batch.clone());
                    driven.pass_time();
                }
                driven.drain();
            }
            assert_eq!(replaced.records(), kept.records(), "{}", subject.name);
        },
    );
}

#[test]
fn damaged_state_is_refused_without_panic() {
    for_each(
        |_| true,
        |subject, batches| {
            let mut driven = drive(subject, batches);
            driven.drain();
            let mut state = Vec::new();
            driven.processor.save(&mut state).unwrap();
            let version = driven.processor.state_version();
            for length in 0..state.len().min(64) {
                let _ = subject.built().restore(&mut &state[..length], version);
            }
            for at in (0..state.len()).step_by(7) {
                let mut damaged = state.clone();
                damaged[at] ^= 0x55;
                let _ = subject.built().restore(&mut damaged.as_slice(), version);
            }
        },
    );
}

fn assert_built<T>(name: impl Display, built: Result<T, BuildError>) -> T {
    built.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn exporters_prepare_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    for registered in builtin().exporters.values() {
        let loaded = load(registered);
        for (signal, _) in registered.pairs.iter().copied() {
            let name = format!("{} for {}", registered.type_name, signal.as_str());
            let context = context(registered.type_name, signal, &[], &host);
            let exporter = assert_built(&name, loaded.build(&context));
            let config =
                Config { cases: NUM_CASES, failure_persistence: None, ..Config::default() };
            let outcome = TestRunner::new(config).run(&random::batches(signal), |batch| {
                let prepared = exporter.prepare(batch.clone());
                let requests = prepared.requests.iter().map(|request| request.num_records);
                let rejected = prepared.rejected.iter().map(|rejection| rejection.num_records);
                prop_assert_eq!(requests.chain(rejected).sum::<usize>(), batch.num_records());
                for request in prepared.requests {
                    let num_records = request.num_records;
                    let num_halved = match exporter.halve(request) {
                        Ok([one, other]) => one.num_records + other.num_records,
                        Err(whole) => whole.num_records,
                    };
                    prop_assert_eq!(num_halved, num_records);
                }
                Ok(())
            });
            outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

#[test]
fn receivers_and_extensions_are_built_from_their_examples() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let registry = builtin();
    for registered in registry.receivers.values() {
        let loaded = load(registered);
        assert!(!registered.pairs.is_empty(), "{} takes nothing", registered.type_name);
        for (signal, _) in registered.pairs.iter().copied() {
            let context = context(registered.type_name, signal, &[], &host);
            assert_built(registered.type_name, loaded.build(&context));
        }
    }
    for registered in registry.extensions.values() {
        assert_built(registered.type_name, load(registered).build(&host));
    }
}

/// Stages that break the contract, each in one way.
#[derive(Clone, Copy)]
enum Broken {
    /// Neither emits nor counts.
    Loses,
    /// Emits twice, but creates nothing.
    Doubles,
    /// Lets a share in an answer fall.
    ForgetsAnswer,
    /// Keeps everything for ever.
    Hoards,
}

struct BrokenStage {
    how: Broken,
    held: Vec<(Batch, Ack)>,
}

impl Processor for BrokenStage {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        match self.how {
            Broken::Loses => {}
            Broken::Doubles => {
                out.emit(batch.clone());
                out.emit(batch);
            }
            Broken::ForgetsAnswer => {
                drop(out.hold(0));
                out.emit(batch);
            }
            Broken::Hoards => {
                let ack = out.hold(batch.num_records());
                self.held.push((batch, ack));
            }
        }
        Ok(())
    }
}

#[test]
fn stages_that_break_the_contract_are_found() {
    let mut builder = LogsBuilder::new();
    builder.record(|record| record.body(Value::Str("lost")));
    let batch = builder.finish(Arc::default());
    for (how, expected) in [
        (Broken::Loses, "process does not balance"),
        (Broken::Doubles, "process does not balance"),
        (Broken::ForgetsAnswer, "answered Retry"),
        (Broken::Hoards, "keeps records when it is drained"),
    ] {
        let subject = Subject {
            name: "broken".to_owned(),
            signal: Signal::Logs,
            outputs: Vec::new(),
            sharding: Sharding::Stateless,
            build: Box::new(move || Ok(Box::new(BrokenStage { how, held: Vec::new() }))),
        };
        let run = || {
            let mut driven = drive(&subject, std::slice::from_ref(&batch));
            driven.drain();
            for (_, outcome) in driven.answer(Outcome::Delivered) {
                assert!(outcome == Outcome::Delivered, "a client is answered {outcome:?}");
            }
        };
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
        let told = panic.downcast_ref::<String>().unwrap();
        assert!(told.contains(expected), "{told}");
    }
}
