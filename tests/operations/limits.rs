//! What is missing at the start: threads, locked memory, buffers. One line says so.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use super::running::{Place, get, program, run};

/// `serve` as somebody who is not root, under a limit. Root has none, so somebody else runs a copy
/// of the program that he can read. The kernel counts the threads of all processes of a user:
/// `others` sets him apart from those of other tests.
fn limited(place: &Place, limit: &str, others: u32) -> Command {
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
    command
}

#[test]
fn threads_that_cannot_be_made_are_explained_and_end_no_server_that_runs() {
    let place = Place::new();
    let mut failed = Vec::new();
    // One thread, two, three and so on, until all that are needed at the start can be made.
    for threads in 1..=64 {
        let mut command = limited(&place, &format!("--nproc={threads}:{threads}"), 0);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut lines = lines.inspect(|line| assert!(!line.contains("panicked"), "{line}"));
        let (mut admin, mut last) = (None, String::new());
        let is_ready = lines.any(|line| {
            let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            admin = said["admin"].as_str().map(|text| text.parse().unwrap()).or(admin);
            last = line;
            said["message"] == "ready"
        });
        if is_ready {
            // None is left for whoever asks the shards.
            let metrics = get(admin.unwrap(), "/metrics");
            assert!(metrics.starts_with("HTTP/1.1 503 "), "{metrics}");
            assert!(get(admin.unwrap(), "/readyz").starts_with("HTTP/1.1 200 "));
            let mut kill = Command::new("kill");
            assert!(kill.arg("-QUIT").arg(child.id().to_string()).status().unwrap().success());
            assert!(child.wait().unwrap().success());
            break;
        }
        assert_eq!(child.wait().unwrap().code(), Some(1), "{threads} threads: {last}");
        let what = last.strip_prefix("shardcast: ").and_then(|last| last.split_once(": "));
        let (what, why) = what.unwrap_or_else(|| panic!("{threads} threads: {last}"));
        assert!(why.starts_with("no more threads can be made (ulimit -u"), "{last}");
        assert!(why.contains("TasksMax"), "{last}");
        failed.push(what.to_owned());
    }
    assert_eq!(failed[..3], ["signals", "start the shards", "start the library"]);
    assert!(failed.len() < 64, "it never starts");
}

#[test]
fn memory_that_cannot_be_locked_or_registered_is_explained_with_its_remedy() {
    let place = Place::new();
    let said = run(&mut limited(&place, "--memlock=0:0", 1));
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
