//! Metrics of the process: uptime, and where the system has `/proc`, memory and CPU time.

use std::fs;
use std::time::Duration;

use super::prometheus::Page;

/// Ticks in a second of the times in `/proc/<pid>/stat`: `USER_HZ`, 100 on every Linux that we
/// run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds the metrics of this process, which has run for `uptime`.
pub(super) fn push(uptime: Duration, page: &mut Page) {
    if let Some(seconds) = cpu_seconds() {
        page.push_single("otelcol_process_cpu_seconds", "counter", seconds);
    }
    if let Some(bytes) = memory_rss_bytes() {
        page.push_single("otelcol_process_memory_rss", "gauge", bytes);
    }
    page.push_single("otelcol_process_uptime", "counter", uptime.as_secs_f64());
}

fn cpu_seconds() -> Option<f64> {
    cpu_seconds_of(&fs::read_to_string("/proc/self/stat").ok()?)
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

fn memory_rss_bytes() -> Option<f64> {
    memory_rss_bytes_of(&fs::read_to_string("/proc/self/status").ok()?)
}

fn memory_rss_bytes_of(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024.0)
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
        assert_eq!(memory_rss_bytes_of("VmSize: 9 kB\nVmRSS:\t  12 kB\n"), Some(12_288.0));
        assert_eq!(memory_rss_bytes_of(""), None);
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
