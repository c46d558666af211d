//! Processor `memory_limiter`: sets the agent's memory budget.
//!
//! The budget is one for the whole agent and is watched by receivers, which refuse before anything
//! is taken; batches pass through this stage as they are.

use serde::Deserialize;

use crate::component::{
    BuildContext, BuildError, Outbox, ProcessError, Processor, ProcessorConfig, Sharding, Stability,
};
use crate::config::Duration;
use crate::data::{Batch, Signal};

const MIB: usize = 1 << 20;

/// Settings of `memory_limiter`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "MemoryLimiterForm")]
pub struct MemoryLimiterConfig {
    /// Required, longer than 0, and without effect: memory is counted as it is taken.
    pub check_interval: Duration,
    /// The most memory that the agent may take.
    pub limit: Amount,
    /// How much of it is for work under way: receivers refuse from limit minus spike on. By
    /// default a fifth of the limit.
    pub spike: Amount,
    /// Without effect, there is no garbage collector. Default 10s.
    pub min_gc_interval_when_soft_limited: Duration,
    /// As above; at most as long. Default 0.
    pub min_gc_interval_when_hard_limited: Duration,
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// In MiB.
    Mib(usize),
    /// In percent of the memory of the machine or cgroup, from 1 to 100.
    Percentage(usize),
    /// A fifth of the limit.
    Fifth,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MemoryLimiterForm {
    check_interval: Duration,
    limit_mib: u32,
    limit_percentage: u32,
    spike_limit_mib: u32,
    spike_limit_percentage: u32,
    min_gc_interval_when_soft_limited: Duration,
    min_gc_interval_when_hard_limited: Duration,
}

impl Default for MemoryLimiterForm {
    fn default() -> Self {
        Self {
            check_interval: Duration::ZERO,
            limit_mib: 0,
            limit_percentage: 0,
            spike_limit_mib: 0,
            spike_limit_percentage: 0,
            min_gc_interval_when_soft_limited: Duration::from_secs(10),
            min_gc_interval_when_hard_limited: Duration::ZERO,
        }
    }
}

impl TryFrom<MemoryLimiterForm> for MemoryLimiterConfig {
    type Error = String;

    fn try_from(form: MemoryLimiterForm) -> Result<Self, String> {
        if form.check_interval.is_zero() {
            return Err("`check_interval` is required and must be longer than 0".to_owned());
        }
        let (soft, hard) =
            (form.min_gc_interval_when_soft_limited, form.min_gc_interval_when_hard_limited);
        if soft < hard {
            return Err(format!(
                "`min_gc_interval_when_soft_limited` is {soft}, it must be at least \
                 `min_gc_interval_when_hard_limited`, which is {hard}"
            ));
        }
        let (limit, spike) = form.amounts()?;
        Ok(Self {
            check_interval: form.check_interval,
            limit,
            spike,
            min_gc_interval_when_soft_limited: soft,
            min_gc_interval_when_hard_limited: hard,
        })
    }
}

impl MemoryLimiterForm {
    /// Limit and spike; what is given in MiB counts before a percentage, as in the Collector.
    fn amounts(&self) -> Result<(Amount, Amount), String> {
        for (name, percentage) in [
            ("limit_percentage", self.limit_percentage),
            ("spike_limit_percentage", self.spike_limit_percentage),
        ] {
            if percentage > 100 {
                return Err(format!("`{name}` is {percentage}, it must be at most 100"));
            }
        }
        let (limit, spike, unit, most) = match (self.limit_mib, self.limit_percentage) {
            (0, 0) => return Err("`limit_mib` or `limit_percentage` is required".to_owned()),
            (0, limit) => {
                let (limit, spike) = (limit as usize, self.spike_limit_percentage as usize);
                (Amount::Percentage(limit), Amount::Percentage(spike), "percentage", limit)
            }
            (limit, _) => {
                let (limit, spike) = (limit as usize, self.spike_limit_mib as usize);
                (Amount::Mib(limit), Amount::Mib(spike), "mib", limit)
            }
        };
        match spike {
            Amount::Mib(0) | Amount::Percentage(0) => Ok((limit, Amount::Fifth)),
            Amount::Mib(spike) | Amount::Percentage(spike) if spike >= most => Err(format!(
                "`spike_limit_{unit}` is {spike}, it must be less than `limit_{unit}`, which is {most}"
            )),
            spike => Ok((limit, spike)),
        }
    }
}

impl Amount {
    fn bytes(self, total_bytes: usize, limit_bytes: usize) -> usize {
        match self {
            Self::Mib(mib) => mib.saturating_mul(MIB),
            Self::Percentage(percentage) => total_bytes / 100 * percentage,
            Self::Fifth => limit_bytes / 5,
        }
    }
}

impl ProcessorConfig for MemoryLimiterConfig {
    const TYPE: &'static str = "memory_limiter";
    const EXAMPLE: &'static str = "\
check_interval: 1s
limit_percentage: 75
spike_limit_percentage: 15
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn memory_limit(&self, total_bytes: usize) -> Option<(usize, usize)> {
        let limit_bytes = self.limit.bytes(total_bytes, total_bytes);
        Some((limit_bytes, self.spike.bytes(total_bytes, limit_bytes)))
    }

    fn build(&self, _context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        Ok(Box::new(PassOn))
    }
}

/// Passes everything on.
struct PassOn;

impl Processor for PassOn {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        out.emit(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{Node, from_node, render};
    use crate::data::Time;

    fn read(text: &str) -> Result<MemoryLimiterConfig, String> {
        from_node(&Node::parse("x.yaml", text).unwrap(), "").map_err(|errors| render(&errors))
    }

    #[test]
    fn limit_and_spike_are_taken_from_the_file() {
        let limits = |text| read(text).unwrap().memory_limit(1000 * MIB).unwrap();
        assert_eq!(limits("{check_interval: 1s, limit_mib: 500}"), (500 * MIB, 100 * MIB));
        let both = "{check_interval: 1s, limit_mib: 500, spike_limit_mib: 90, limit_percentage: 9}";
        assert_eq!(limits(both), (500 * MIB, 90 * MIB));
        assert_eq!(limits("{check_interval: 1s, limit_percentage: 50}"), (500 * MIB, 100 * MIB));
        let percentages = "{check_interval: 1s, limit_percentage: 80, spike_limit_percentage: 25}";
        assert_eq!(limits(percentages), (800 * MIB, 250 * MIB));
    }

    #[test]
    fn wrong_settings_are_named() {
        for (text, message) in [
            ("{limit_mib: 500}", "`check_interval` is required"),
            ("{check_interval: 0s, limit_mib: 500}", "`check_interval` is required"),
            ("{check_interval: 1s}", "`limit_mib` or `limit_percentage` is required"),
            ("{check_interval: 1s, limit_percentage: 101}", "must be at most 100"),
            (
                "{check_interval: 1s, limit_mib: 50, spike_limit_mib: 50}",
                "`spike_limit_mib` is 50, it must be less than `limit_mib`, which is 50",
            ),
            (
                "{check_interval: 1s, limit_percentage: 50, spike_limit_percentage: 60}",
                "`spike_limit_percentage` is 60",
            ),
            (
                "{check_interval: 1s, limit_mib: 50, min_gc_interval_when_hard_limited: 20s}",
                "`min_gc_interval_when_soft_limited` is 10s",
            ),
            ("{check_interval: 1s, limit_mib: 50, ballast: 1}", "ballast"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn batches_pass_as_they_are() {
        let batch = Batch::empty(Signal::Logs, Arc::default());
        let mut out = Outbox::new(Time::default(), None, false);
        PassOn.process(batch, &mut out).unwrap();
        assert_eq!(out.emissions().len(), 1);
    }
}
