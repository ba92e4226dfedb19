//! Limits of the process and of the machine: descriptors, locked memory, queues, watches.

use super::{Finding, files, number_of};
use crate::config::{BACKLOG, Config};
use crate::ops::machine;
use crate::sys::rlimit::{self, INFINITY, Rlimit};

/// Descriptors below which a busy server is limited by them.
const NOFILE_ENOUGH: u64 = 65_536;

/// Bytes of locked memory that are never too few for our rings.
const MEMLOCK_ENOUGH: u64 = 8 << 20;

/// All of them.
pub fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(rlimit::memlock().ok().map(memlock));
    findings.extend(rlimit::nofile().ok().map(nofile));
    findings.extend(number_of("/proc/sys/net/core/somaxconn").map(somaxconn));
    let watches = number_of("/proc/sys/fs/inotify/max_user_watches");
    findings.extend(watches.map(|watches| inotify(watches, files::folders(config))));
    findings.extend(number_of("/proc/sys/vm/max_map_count").map(maps));
    findings.push(state(config));
    findings
}

fn memlock(limit: Rlimit) -> Finding {
    let found = if limit.soft == INFINITY {
        "unlimited".to_owned()
    } else {
        format!("{} KiB", limit.soft / 1024)
    };
    let finding = Finding::good("memlock", found);
    if limit.soft >= MEMLOCK_ENOUGH {
        return finding;
    }
    finding.costs(
        "rings of unprivileged users count against it, so a start may fail with ENOMEM",
        "ulimit -l unlimited; under systemd: LimitMEMLOCK=infinity",
    )
}

fn nofile(limit: Rlimit) -> Finding {
    let (connections, sources) = machine::descriptors_shared(limit.hard);
    let found = format!(
        "{} now, raised to {} at the start: {connections} connections and {sources} open packs \
         and large files",
        limit.soft, limit.hard
    );
    let finding = Finding::good("nofile", found);
    if limit.hard >= NOFILE_ENOUGH {
        return finding;
    }
    finding.costs(
        "beyond that, accepting pauses",
        "ulimit -Hn 1048576; under systemd: LimitNOFILE=1048576; if that is refused: sysctl -w \
         fs.nr_open=1048576",
    )
}

fn somaxconn(limit: u64) -> Finding {
    let finding = Finding::good("accept queue", format!("net.core.somaxconn is {limit}"));
    let wanted = BACKLOG.unsigned_abs().into();
    if limit >= wanted {
        return finding;
    }
    finding.costs(
        "when many clients come at once, some have to knock twice",
        format!("sysctl -w net.core.somaxconn={wanted}"),
    )
}

fn inotify(watches: u64, folders: files::Count) -> Finding {
    let found = format!("{watches} inotify watches for {folders} folders");
    let finding = Finding::good("watching", found);
    if folders.number() * 2 <= watches && !folders.is_cut() {
        return finding;
    }
    finding.costs(
        "folders without a watch are found again by scanning, which is late",
        format!(
            "sysctl -w fs.inotify.max_user_watches={}",
            (folders.number() * 4).next_power_of_two()
        ),
    )
}

fn maps(limit: u64) -> Finding {
    let finding = Finding::good("mappings", format!("vm.max_map_count is {limit}"));
    if limit >= 65_530 {
        return finding;
    }
    finding.costs("fewer packs can be open", "sysctl -w vm.max_map_count=65530")
}

/// The folder of the server's own files.
fn state(config: &Config) -> Finding {
    let path = config.state.display();
    let exists = std::fs::metadata(&config.state).is_ok_and(|is| is.is_dir());
    let of = if exists { Some(config.state.as_path()) } else { config.state.parent() };
    let finding = Finding::good("state folder", path.to_string());
    match of.map(files::may_write) {
        Some(true) => finding,
        _ => finding.costs(
            "it can't be written, so there is no admin socket",
            format!("install -d -o USER {path}, or --state DIR"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn limits_are_judged_by_what_they_allow() {
        let limit = |soft, hard| Rlimit { soft, hard };
        for (finding, level) in [
            (memlock(limit(0, 0)), Level::Costs),
            (memlock(limit(64 << 10, INFINITY)), Level::Costs),
            (memlock(limit(8 << 20, 8 << 20)), Level::Good),
            (memlock(limit(INFINITY, INFINITY)), Level::Good),
            (nofile(limit(1024, 4096)), Level::Costs),
            (nofile(limit(1024, 1_048_576)), Level::Good),
            (somaxconn(128), Level::Costs),
            (somaxconn(4096), Level::Good),
            (maps(65_530), Level::Good),
            (maps(1000), Level::Costs),
            (inotify(1000, files::Count::of(400)), Level::Good),
            (inotify(1000, files::Count::of(600)), Level::Costs),
        ] {
            assert_eq!(finding.level, level, "{finding}");
        }
    }
}
