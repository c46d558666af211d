//! What the process itself uses, by the Collector's names.

use std::fs;
use std::sync::LazyLock;
use std::time::Instant;

/// Ticks per second of `/proc/self/stat`: the same on all Linux systems of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// A number of the process.
pub(super) struct Number {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) value: f64,
}

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What can be told; memory and CPU on Linux only.
pub(super) fn numbers() -> Vec<Number> {
    let uptime = STARTED.elapsed().as_secs_f64();
    let mut numbers =
        vec![Number { name: "otelcol_process_uptime", kind: "counter", value: uptime }];
    if let Some(value) = resident_bytes() {
        numbers.push(Number { name: "otelcol_process_memory_rss", kind: "gauge", value });
    }
    if let Some(value) = cpu_seconds() {
        numbers.push(Number { name: "otelcol_process_cpu_seconds", kind: "counter", value });
    }
    numbers
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// User and system time (proc(5), fields 14 and 15 of `stat`).
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name in parentheses, may hold blanks.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_the_process_is_told() {
        let numbers = numbers();
        let resident = numbers.iter().find(|number| number.name.ends_with("rss")).unwrap();
        assert!(resident.value > 1_000_000.0);
    }
}
