//! Facts of this process under the names that Prometheus clients agreed on. What `/proc` does not
//! tell is left out.

use super::exposition::{Exposition, Kind};
use crate::sys::rlimit;

/// Appends what can be read.
pub fn append(out: &mut Exposition) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    if let Some(kib) = field(&status, "VmRSS:") {
        let name = "process_resident_memory_bytes";
        out.family(name, Kind::Gauge, "Resident memory.");
        out.sample(name, &[], kib * 1024);
    }
    if let Some(threads) = field(&status, "Threads:") {
        out.family("process_threads", Kind::Gauge, "Threads.");
        out.sample("process_threads", &[], threads);
    }
    if let Some(ticks) = cpu_ticks(&read("/proc/self/stat")) {
        let name = "process_cpu_seconds_total";
        out.family(name, Kind::Counter, "User and system time of all threads.");
        out.sample_real(name, &[], ticks as f64 / TICKS_A_SECOND);
    }
    if let Ok(fds) = std::fs::read_dir("/proc/self/fd") {
        out.family("process_open_fds", Kind::Gauge, "Open descriptors.");
        out.sample("process_open_fds", &[], fds.count() as u64);
    }
    if let Ok(limit) = rlimit::nofile() {
        out.family("process_max_fds", Kind::Gauge, "Descriptors that may be open.");
        out.sample("process_max_fds", &[], limit.soft);
    }
}

/// Linux counts in this unit for user space whatever the kernel's own tick is.
const TICKS_A_SECOND: f64 = 100.0;

/// User and system time. The second field is the program's name in parentheses, which may hold
/// anything; the two are the 12th and 13th after it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The number that follows a name.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
