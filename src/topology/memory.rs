//! How much memory telemetry may take up: the limit of the one budget.

use std::fs;

use super::Plan;
use crate::component::Budget;

/// The part of all memory that telemetry may take up where the file says nothing, in percent.
const DEFAULT_LIMIT_PERCENT: usize = 75;

/// The part of the limit by which the door closes earlier, in percent.
const SPIKE_PERCENT: usize = 20;

/// What is taken for the machine's memory where it cannot be told.
const UNKNOWN_TOTAL_BYTES: usize = 1 << 30;

/// A budget as `plan` has it.
#[must_use]
pub fn budget(plan: &Plan) -> Budget {
    let total_bytes = total_memory_bytes();
    let (limit_bytes, spike_bytes) = plan.memory_limit(total_bytes).unwrap_or_else(|| {
        let limit_bytes = total_bytes / 100 * DEFAULT_LIMIT_PERCENT;
        (limit_bytes, limit_bytes / 100 * SPIKE_PERCENT)
    });
    Budget::new(limit_bytes, spike_bytes)
}

/// The memory of the cgroup, or of the machine where that is less.
fn total_memory_bytes() -> usize {
    let cgroup = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let cgroup = cgroup.into_iter().filter_map(|path| fs::read_to_string(path).ok());
    let cgroup = cgroup.filter_map(|text| text.trim().parse().ok()).next();
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total_of_meminfo);
    [cgroup, machine].into_iter().flatten().min().unwrap_or(UNKNOWN_TOTAL_BYTES)
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
    fn meminfo_is_read_in_kib() {
        let text = "MemTotal:       24612345 kB\nMemFree:  1 kB\n";
        assert_eq!(total_of_meminfo(text), Some(24_612_345 * 1024));
        assert_eq!(total_of_meminfo("nothing"), None);
    }
}
