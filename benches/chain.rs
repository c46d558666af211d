//! What the whole way through the engine costs: door, pipeline, exporter; beside decoding, editing
//! and encoding the same requests with prost.
//!
//! Input: requests of 500 log records of about 444 bytes from the load generator's templates, one
//! after the other. Times are of one request: divide by 500.

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot be set up stops")]

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use catchment::component::{
    Budget, BuildContext, BuildError, Extensions, Host, Inlet, Outcome, Receiver, ReceiverConfig,
    RunError,
};
use catchment::config::{self, Source};
use catchment::data::{Batch, DoorLimits, Signal, Time};
use catchment::telemetry::{Clock, Ledger, Metrics, Status};
use catchment::topology::{Engine, Plan};
use catchment::workload::{Shape, Template};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NUM_RECORDS: usize = 500;
const START: Time = Time::from_unix_nanos(1_763_000_000_000_000_000);
/// Records at this severity or above are kept by the filter.
const WARN: i32 = 13;

const DROP: &str = "
receivers: {direct: }
exporters: {nop: }
service: {pipelines: {logs: {receivers: [direct], exporters: [nop]}}}
";

const EDIT: &str = "
receivers: {direct: }
processors:
  filter: {logs: {include: {match_type: strict, severity_number: {min: WARN}}}}
  attributes: {actions: [{key: env, value: prod, action: upsert}]}
exporters: {nop: }
service:
  pipelines:
    logs: {receivers: [direct], processors: [filter, attributes], exporters: [nop]}
";

/// The way into the engine that was started last.
static INLET: Mutex<Option<Inlet>> = Mutex::new(None);

#[derive(Clone, Debug, Default, Deserialize)]
struct DirectConfig {}

/// Hands its inlet to the benchmark.
struct Direct;

#[async_trait]
impl Receiver for Direct {
    async fn run(self: Box<Self>, inlet: Inlet, stop: CancellationToken) -> Result<(), RunError> {
        *INLET.lock().unwrap_or_else(PoisonError::into_inner) = Some(inlet);
        stop.cancelled().await;
        Ok(())
    }
}

impl ReceiverConfig for DirectConfig {
    const TYPE: &'static str = "direct";
    const EXAMPLE: &'static str = "";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(Direct))
    }
}

fn requests() -> Vec<Bytes> {
    let shape = |seed| Shape {
        signal: Signal::Logs,
        num_records: NUM_RECORDS,
        seed,
        start: START,
        run: None,
    };
    (0..32).map(|seed| Template::new(&shape(seed), |_| Vec::new()).next(START, 0)).collect()
}

async fn start(text: &str) -> (Engine, Inlet) {
    let source = Source::Yaml(text.to_owned());
    let registry = catchment::components::builtin().receiver::<DirectConfig>();
    let mut document = config::load(&[source], &[], &|_| None).expect("the text is right");
    let plan = Plan::try_new(&mut document, &registry)
        .unwrap_or_else(|problems| panic!("{}", config::render(&problems)));
    let clock = Clock::system();
    let host = Host {
        metrics: Metrics::default(),
        status: Status::new(clock.clone()),
        ledger: Ledger::default(),
        clock,
        budget: Budget::new(1 << 30, 1 << 28),
        data_dir: PathBuf::new(),
        extensions: Extensions::default(),
    };
    *INLET.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let engine = Engine::start(&plan, host).await.expect("nothing is needed to start it");
    loop {
        if let Some(inlet) = INLET.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return (engine, inlet);
        }
        tokio::task::yield_now().await;
    }
}

fn engine(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("chain");
    group.throughput(Throughput::Elements(NUM_RECORDS as u64));
    let requests = requests();
    for (name, text) in [("drop", DROP), ("filter and attribute", EDIT)] {
        let (engine, inlet) = runtime.block_on(start(text));
        let mut turn = requests.iter().cycle();
        group.bench_function(format!("{name}/engine"), |bencher| {
            bencher.to_async(&runtime).iter(|| {
                let request = turn.next().cloned().unwrap_or_default();
                let inlet = inlet.clone();
                async move {
                    let limits = DoorLimits::default();
                    let admitted = Batch::try_new(Signal::Logs, request, Arc::default(), &limits);
                    let admitted = admitted.expect("templates are valid OTLP");
                    let answer = inlet.deliver(admitted.batch).await;
                    assert_eq!(answer.outcome, Outcome::Delivered);
                }
            });
        });
        drop(inlet);
        INLET.lock().unwrap_or_else(PoisonError::into_inner).take();
        runtime.block_on(engine.stop());
    }
    let mut turn = requests.iter().cycle();
    group.bench_function("drop/prost", |bencher| {
        bencher.iter(|| {
            let request = turn.next().cloned().unwrap_or_default();
            ExportLogsServiceRequest::decode(black_box(request))
        });
    });
    group.bench_function("filter and attribute/prost", |bencher| {
        bencher.iter(|| edited(turn.next().cloned().unwrap_or_default()));
    });
    group.finish();
}

/// The work of the second file on structs.
fn edited(request: Bytes) -> Vec<u8> {
    let mut request = ExportLogsServiceRequest::decode(request).expect("templates are valid OTLP");
    for resource in &mut request.resource_logs {
        for scope in &mut resource.scope_logs {
            scope.log_records.retain(|record| record.severity_number >= WARN);
            for record in &mut scope.log_records {
                let value = Some(AnyValue { value: Some(ProtoValue::StringValue("prod".into())) });
                let attribute = KeyValue { key: "env".into(), value, ..KeyValue::default() };
                record.attributes.push(attribute);
            }
        }
    }
    request.encode_to_vec()
}

criterion_group!(benches, engine);
criterion_main!(benches);
