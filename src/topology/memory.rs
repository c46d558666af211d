//! How much memory telemetry may take up: the limit of the one budget.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Plan;
use super::graph::End;
use crate::component::Budget;
use crate::config::Diagnostic;
use crate::telemetry::ProcessUsage;

/// The part of all memory that telemetry may take up where the file says nothing, in percent.
const DEFAULT_LIMIT_PERCENT: usize = 75;

/// The part of the limit by which the door closes earlier, in percent.
const SPIKE_PERCENT: usize = 20;

/// What is taken for the machine's memory where it cannot be told.
const UNKNOWN_TOTAL_BYTES: usize = 1 << 30;

/// How often it is seen to how much memory the process takes.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// Lets `budget` know how much memory the process takes, as long as it is polled; at once over
/// where the system does not tell.
///
/// It is for who owns the process: what else lives in it counts too.
pub async fn watch_process(budget: Budget) {
    let mut ticks = interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Some(bytes) = ProcessUsage::own_private_bytes() {
        budget.observe(usize::try_from(bytes).unwrap_or(usize::MAX));
        ticks.tick().await;
    }
}

/// A budget as `plan` has it.
#[must_use]
pub fn budget(plan: &Plan) -> Budget {
    let (limit_bytes, spike_bytes) = limits(plan);
    Budget::new(limit_bytes, spike_bytes)
}

/// Limit and spike of the budget, in bytes.
pub(super) fn limits(plan: &Plan) -> (usize, usize) {
    let total_bytes = total_memory_bytes();
    plan.memory_limit(total_bytes).unwrap_or_else(|| {
        let limit_bytes = total_bytes / 100 * DEFAULT_LIMIT_PERCENT;
        (limit_bytes, limit_bytes / 100 * SPIKE_PERCENT)
    })
}

/// What is probably not meant in `plan`, with `budget` for its memory.
#[must_use]
pub fn warnings(plan: &Plan, budget: &Budget) -> Vec<Diagnostic> {
    let held = held_by_exporters(plan);
    let total: usize = held.iter().map(|(_, bytes)| bytes).sum();
    let limit = budget.limit_bytes();
    let mut warnings = plan.warnings().to_vec();
    if total > limit {
        let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
        let sum: Vec<String> =
            held.iter().map(|(name, bytes)| format!("{name} {}", mib(*bytes))).collect();
        let message = format!(
            "exporters may hold {} of memory ({}), more than the limit of {}",
            mib(total),
            sum.join(", "),
            mib(limit)
        );
        let hint = "they will commit earlier, in smaller pieces: give more memory, or lower \
                    `memory` of `logindex` and `row_group::max_bytes` of `parquet`";
        warnings.push(Diagnostic::warning(message).hint(hint));
    }
    warnings
}

/// What exporters that are used mean to hold, by exporter and signal.
fn held_by_exporters(plan: &Plan) -> Vec<(String, usize)> {
    let ends = plan.pipelines.iter().flat_map(|pipeline| {
        let signal = pipeline.id.signal();
        pipeline.exporters.iter().map(move |end| (end, signal))
    });
    let used: BTreeSet<_> = ends
        .filter_map(|(end, signal)| match end {
            End::Component(id) => Some((id, signal)),
            End::Connector(_) => None,
        })
        .collect();
    let held = used.into_iter().filter_map(|(id, signal)| {
        let bytes = plan.exporters.get(id)?.loaded.exporter.memory_bytes;
        (bytes > 0).then(|| (format!("`{id}` for {}", signal.as_str()), bytes))
    });
    held.collect()
}

/// The memory of the cgroup, or of the machine where that is less.
fn total_memory_bytes() -> usize {
    let of_process = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let cgroups = limit_files(&of_process).into_iter();
    let cgroups = cgroups.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total_of_meminfo);
    cgroups.chain(machine).min().unwrap_or(UNKNOWN_TOTAL_BYTES)
}

/// Where the limits of a process's cgroup and of those around it stand, by its `/proc/self/cgroup`
/// (cgroups(7)). In a container, where the tree may begin at its own cgroup, only the root exists.
fn limit_files(of_process: &str) -> Vec<PathBuf> {
    let of_line = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let path = Path::new(path.trim_start_matches('/'));
        let around = path.ancestors().map(|cgroup| Path::new(root).join(cgroup).join(file));
        Some(around.collect::<Vec<_>>())
    };
    of_process.lines().filter_map(of_line).flatten().collect()
}

/// `MemTotal` of proc_meminfo(5), in bytes.
fn total_of_meminfo(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_all_cgroups_around_are_looked_for() {
        let files = |text: &str| -> Vec<String> {
            limit_files(text).iter().map(|path| path.display().to_string()).collect()
        };
        let service = [
            "/sys/fs/cgroup/system.slice/catchment.service/memory.max",
            "/sys/fs/cgroup/system.slice/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files("0::/system.slice/catchment.service\n"), service);
        assert_eq!(files("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        let first_version = [
            "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        ];
        assert_eq!(files("9:cpu,cpuacct:/docker\n8:memory:/docker\n"), first_version);
        assert!(files("").is_empty() && files("odd\n1:\n").is_empty());
    }

    #[test]
    fn meminfo_is_read_in_kib() {
        let text = "MemTotal:       24612345 kB\nMemFree:  1 kB\n";
        assert_eq!(total_of_meminfo(text), Some(24_612_345 * 1024));
        assert_eq!(total_of_meminfo("nothing"), None);
    }
}
