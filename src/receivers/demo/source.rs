//! The source of one signal: a request from a template at every tick, again until it is taken.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::component::{Charge, Inlet, Outcome, RunError};
use crate::data::{Batch, Context, DoorLimits, Signal};
use crate::workload::{Shape, SpanRef, Template};

/// Templates of log records and of spans, which take turns: enough for each of twelve services to
/// have a bit of everything.
const NUM_SCENES: usize = 24;
/// The same of points, fewer for their series to go on: together they have all services.
const NUM_POINTS_SCENES: usize = 3;
/// How far the seeds of scenes are apart: each has four services from its own on.
const SEED_STEP: u64 = 4;
/// The most records of a request.
const MAX_RECORDS: u32 = 500;
/// How often log records and spans are made, in milliseconds; their times are spread over as much.
const PERIOD_MILLIS: u32 = 500;
/// The same for points: as there are three scenes, each series gets one in five seconds.
const POINTS_PERIOD_MILLIS: u32 = 1666;
/// Pauses where the answer does not say how long they are.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The spans made last of each scene, by resource.
#[derive(Default)]
pub(super) struct Made {
    scenes: Mutex<[Vec<Vec<SpanRef>>; NUM_SCENES]>,
}

/// Makes the requests of one signal.
pub(super) struct Source {
    inlet: Inlet,
    signal: Signal,
    templates: Vec<Template>,
    /// The template that is next.
    scene: usize,
    period: Duration,
    made: Arc<Made>,
}

impl Source {
    /// A source of `rate` records per second, more than 0.
    pub(super) fn new(
        inlet: Inlet,
        signal: Signal,
        (rate, seed): (u32, u64),
        made: Arc<Made>,
    ) -> Self {
        let num_scenes = match signal {
            Signal::Logs | Signal::Traces => NUM_SCENES,
            Signal::Metrics => NUM_POINTS_SCENES,
        };
        let (num_records, period) = pace(signal, rate);
        let start = inlet.now();
        let scene = |scene| {
            let seed = seed.wrapping_add(SEED_STEP * scene as u64);
            Template::new(&Shape { signal, num_records, seed, start, run: None }, |_| Vec::new())
        };
        let templates = (0..num_scenes).map(scene).collect();
        Self { inlet, signal, templates, scene: 0, period, made }
    }

    /// Makes requests until it is dropped.
    ///
    /// # Errors
    ///
    /// Fails when what was made is no telemetry.
    pub(super) async fn run(mut self) -> Result<Infallible, RunError> {
        let mut ticks = interval(self.period);
        // What was missed while there was no room is not made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.step().await?;
        }
    }

    /// Makes the next request, and hands it over.
    ///
    /// # Errors
    ///
    /// Fails when what was made is no telemetry.
    pub(super) async fn step(&mut self) -> Result<(), RunError> {
        let charge = self.admit().await;
        let batch = self.batch(charge)?;
        self.scene = (self.scene + 1) % self.templates.len();
        self.deliver(batch).await;
        Ok(())
    }

    /// Waits for memory for the next request.
    async fn admit(&self) -> Charge {
        loop {
            match self.inlet.admit(self.templates[self.scene].size_bytes()) {
                Ok(charge) => return charge,
                Err(pressure) => sleep(pressure.retry_after).await,
            }
        }
    }

    fn batch(&mut self, charge: Charge) -> Result<Batch, RunError> {
        let scene = self.scene;
        let now = self.inlet.now();
        let mut made = self.made.scenes.lock().unwrap_or_else(PoisonError::into_inner);
        let request = self.templates[scene].next_within(now, 1, &made[scene]);
        let context = Arc::new(Context { arrived: now, ..Context::default() });
        let admitted = Batch::try_new(self.signal, request, context, &DoorLimits::default());
        let admitted =
            admitted.map_err(|error| RunError::new("cannot make telemetry up", error))?;
        if self.signal == Signal::Traces {
            made[scene] = SpanRef::by_resource(&admitted.batch);
        }
        let mut charge = Some(charge);
        Ok(admitted.batch.tied(|chunk| match charge.take() {
            Some(charge) => charge.attach(chunk),
            None => chunk,
        }))
    }

    /// Hands a batch over, again while it is not taken. What is refused for good is gone; the
    /// inlet counts it.
    async fn deliver(&self, batch: Batch) {
        let mut next_pause = FIRST_PAUSE;
        loop {
            let answer = self.inlet.deliver(batch.clone()).await;
            if answer.outcome != Outcome::Retry {
                return;
            }
            sleep(answer.retry_after.unwrap_or(next_pause)).await;
            next_pause = (next_pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The records of a request, and the time from one to the next, for so many records per second.
pub(super) fn pace(signal: Signal, rate: u32) -> (usize, Duration) {
    let period_millis = match signal {
        Signal::Logs | Signal::Traces => PERIOD_MILLIS,
        Signal::Metrics => POINTS_PERIOD_MILLIS,
    };
    let num_records = (rate * period_millis).div_ceil(1000).clamp(1, MAX_RECORDS);
    (num_records as usize, Duration::from_secs(1) * num_records / rate)
}
