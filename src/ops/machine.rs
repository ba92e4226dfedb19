//! Facts of this machine that defaults depend on.

use crate::sys::rlimit;

/// How many CPUs this process may run on: its affinity mask and its cgroup's quota.
#[must_use]
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How many shards a config of `shards` means here.
#[must_use]
pub fn shards(configured: usize) -> usize {
    if configured == 0 { cpus().min(crate::config::SHARDS_MAX) } else { configured }
}

/// What a 0 of this key means here.
#[must_use]
pub fn meaning_of_zero(key: &str) -> Option<String> {
    match key {
        "server.shards" => Some(format!("0 means {}", cpus())),
        "limits.connections" | "limits.open_sources" => {
            let limit = rlimit::nofile().ok()?;
            Some(format!("RLIMIT_NOFILE allows {} descriptors in all", limit.hard))
        }
        _ => None,
    }
}

/// The kernel's release, as `uname -r` prints it.
#[must_use]
pub fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
