//! Facts of this machine that defaults depend on.

use std::io;

use crate::sys::{calls, rlimit};

/// How many CPUs this process may run on, by its affinity mask.
#[must_use]
pub fn cpus() -> usize {
    calls::allowed_processors().len().max(1)
}

/// How many descriptors the process may have, after raising that as far as it may.
pub fn raised_nofile() -> io::Result<u64> {
    rlimit::raise_nofile().map(|limit| limit.soft)
}

/// Makes room for so many descriptors, before there are threads that would have to wait for it.
pub fn make_room_for(descriptors: u64) {
    if let Err(error) = rlimit::widen_table(descriptors) {
        tracing::warn!(%error, "the table of descriptors grows as it is needed");
    }
}

/// How many connections and open sources so many descriptors allow, as the shards share them out,
/// less a reserve: three quarters for connections, half for sources. `shard::thread` says why that
/// may be more than there are.
#[must_use]
pub fn descriptors_shared(descriptors: u64) -> (u64, u64) {
    let free = descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(64);
    (free / 4 * 3, free / 2)
}

/// Descriptors that are for neither: rings, inboxes, logs, the admin port.
const DESCRIPTORS_RESERVED: u64 = 256;

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
            let (connections, sources) = descriptors_shared(limit.hard);
            let count = if key == "limits.connections" { connections } else { sources };
            Some(format!("0 means {count}, as RLIMIT_NOFILE is {}", limit.hard))
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
