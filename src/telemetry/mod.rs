//! The agent's own: metrics, the ledger of records, health, the clock, logs.

mod clock;
mod ledger;
mod logs;
mod metrics;
mod process;
mod prometheus;
mod status;
mod throttle;

pub use clock::{Clock, ManualClock};
pub use ledger::{ExporterLedger, Ledger, Live, PipelineLedger};
pub use logs::{LogError, LogFormat, LogSettings, init_logs};
pub use metrics::{Counter, Gauge, Latency, Metrics};
pub use status::{ComponentStatus, Phase, RecentError, Status};
pub use throttle::Throttle;
