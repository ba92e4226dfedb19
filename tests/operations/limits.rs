//! What is missing at the start: threads, locked memory, buffers. One line says so.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::running::{Place, Said, program, run};

/// `serve` as somebody who is not root, under a limit. Root has none, so somebody else runs a copy
/// of the program that he can read. The kernel counts the threads of all processes of a user:
/// `others` sets him apart from those of other tests.
fn limited(place: &Place, limit: &str, others: u32) -> Said {
    let copy = place.path("shardcast");
    if !copy.exists() {
        fs::copy(program().get_program(), &copy).unwrap();
        for path in [copy.clone(), place.path("")] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
    }
    let somebody = (100_000 + 2 * std::process::id() + others).to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &somebody, "--regid", &somebody, "--clear-groups", "prlimit", limit]);
    command.arg("--").arg(&copy).arg("serve").arg("--config").arg(place.config(""));
    run(&mut command)
}

#[test]
fn threads_that_cannot_be_made_are_explained_with_their_remedy() {
    let place = Place::new();
    let mut failed = Vec::new();
    // One thread, two, three: signals, a shard, the library. All fail before clients come.
    for threads in 1..=3 {
        let said = limited(&place, &format!("--nproc={threads}:{threads}"), 0);
        assert_eq!(said.code, 1, "{threads} threads: {}", said.err);
        let last = said.err.lines().last().unwrap_or_default();
        let what = last.strip_prefix("shardcast: ").and_then(|last| last.split_once(": "));
        let (what, why) = what.unwrap_or_else(|| panic!("{threads} threads: {}", said.err));
        assert!(why.starts_with("no more threads can be made (ulimit -u"), "{last}");
        assert!(why.contains("TasksMax"), "{last}");
        failed.push(what.to_owned());
    }
    assert_eq!(failed, ["signals", "start the shards", "start the library"]);
}

#[test]
fn memory_that_cannot_be_locked_or_registered_is_explained_with_its_remedy() {
    let place = Place::new();
    let said = limited(&place, "--memlock=0:0", 1);
    assert_eq!(said.code, 1);
    let last = said.err.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("shardcast: io_uring: RLIMIT_MEMLOCK is too small: 0 bytes"),
        "{last}"
    );
    assert!(last.contains("LimitMEMLOCK=infinity"), "{last}");
    // The ring is there, and its buffers are refused.
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "trace=io_uring_register"]);
    strace.args(["-e", "inject=io_uring_register:error=ENOMEM"]);
    strace.arg(program().get_program()).arg("serve").arg("--config").arg(place.config(""));
    let said = run(&mut strace);
    assert_eq!(said.code, 1, "{}", said.err);
    let last = said.err.lines().last().unwrap_or_default();
    assert!(last.starts_with("shardcast: io_uring: "), "{last}");
    assert!(last.contains("memlock"), "{last}");
}

#[test]
fn the_unit_file_restricts_what_the_server_may_do() {
    let unit = include_str!("../../dist/shardcast.service");
    for line in [
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        "ProtectProc=invisible",
        "RestrictNamespaces=yes",
        "RestrictSUIDSGID=yes",
        "RestrictRealtime=yes",
        "LockPersonality=yes",
        "MemoryDenyWriteExecute=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
    ] {
        assert!(unit.lines().any(|own| own == line), "{line} is missing");
    }
}
