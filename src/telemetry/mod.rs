//! What the agent tells of itself: its clock, metrics, ledger, status and log.

mod causes;
mod clock;
mod ledger;
mod log;
mod metrics;
mod process;
mod prometheus;
mod sizes;
mod status;
mod throttle;

pub use causes::with_causes;
pub use clock::{Clock, ManualClock};
pub use ledger::{
    Balance, ExporterBalance, ExporterLedger, Ledger, Live, PipelineBalance, PipelineLedger,
};
pub use log::{LogEncoding, LogError, LogLevel, LogSampling, LogSettings, init_logs};
pub use metrics::{Counter, Gauge, Latency, Metrics};
pub use process::ProcessUsage;
pub use prometheus::CounterNames;
pub use sizes::Sizes;
pub use status::{ComponentStatus, Phase, PipelineDescription, QueueStatus, RecentError, Status};
pub use throttle::Throttle;
