//! What processes use, and the metrics of this one: uptime, and where the system has `/proc`,
//! memory and CPU time.

use std::fs;
use std::time::Duration;

use super::prometheus::Page;

/// Ticks in a second of the times in `/proc/<pid>/stat`: `USER_HZ`, 100 on every Linux that we
/// run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used up and holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessUsage {
    /// CPU time of all its threads, user and system, to 10 ms.
    pub cpu_seconds: f64,
    /// Memory that is resident now.
    pub rss_bytes: u64,
    /// The most that ever was.
    pub peak_rss_bytes: u64,
}

impl ProcessUsage {
    /// Reads that of this process; `None` where the system has no `/proc`.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::read("self")
    }

    /// The memory of this process that is resident and not of files; `None` where the system has no
    /// `/proc`.
    #[must_use]
    pub fn own_private_bytes() -> Option<u64> {
        bytes_of("RssAnon:", &fs::read_to_string("/proc/self/status").ok()?)
    }

    /// Reads that of another process; `None` when there is none with this id.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Self::read(&pid.to_string())
    }

    fn read(process: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        Some(Self {
            cpu_seconds: cpu_seconds_of(&stat)?,
            rss_bytes: bytes_of("VmRSS:", &status)?,
            peak_rss_bytes: bytes_of("VmHWM:", &status)?,
        })
    }
}

/// Adds the metrics of this process, which has run for `uptime`.
pub(super) fn push(uptime: Duration, page: &mut Page) {
    if let Some(usage) = ProcessUsage::own() {
        page.push_single("otelcol_process_cpu_seconds", "counter", usage.cpu_seconds);
        page.push_single("otelcol_process_memory_rss", "gauge", usage.rss_bytes as f64);
    }
    page.push_single("otelcol_process_uptime", "counter", uptime.as_secs_f64());
}

/// Fields 14 and 15 of proc_pid_stat(5): utime and stime.
fn cpu_seconds_of(stat: &str) -> Option<f64> {
    // The second field is a name in parentheses that may hold anything, parentheses too.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// A line of proc_pid_status(5) in kibibytes.
fn bytes_of(name: &str, status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::CounterNames;

    #[test]
    fn cpu_time_is_user_and_system() {
        let stat = "7 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 5";
        assert_eq!(cpu_seconds_of(stat), Some(3.0));
        assert_eq!(cpu_seconds_of("7 (a) R 1"), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(bytes_of("VmRSS:", "VmSize: 9 kB\nVmRSS:\t  12 kB\n"), Some(12_288));
        assert_eq!(bytes_of("VmRSS:", ""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_all_of_them() {
        let mut page = Page::new(CounterNames::AsListed);
        push(Duration::from_millis(1500), &mut page);
        let text = page.finish();
        let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(values.len(), 3, "{text}");
        assert_eq!(values[2], "otelcol_process_uptime 1.5");
    }
}
