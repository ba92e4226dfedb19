//! The doctor, and the server, where rings are forbidden: the right remedy in one line.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::running::{Place, Said, program, run};

#[test]
fn a_healthy_machine_can_serve() {
    let place = Place::new();
    let said = run(program().arg("doctor").arg("--config").arg(place.config("")));
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    for what in ["kernel: ", "io_uring: rings for 1 shards", "memlock: ", "nofile: ", "residency: "]
    {
        assert!(said.out.contains(what), "{what}\n{}", said.out);
    }
    let said = run(program().args(["doctor", "--json", "--config"]).arg(place.config("")));
    let findings: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["level"] != "broken"));
}

#[test]
fn switched_off_features_are_shown_as_such() {
    let said = run(program().arg("doctor").env("SHARDCAST_RING_FEATURES", "-all"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.out.matches("switched off").count() + said.out.matches("lacks it").count(), 3);
    let said = run(program().arg("doctor").env("SHARDCAST_RING_FEATURES", "-warp"));
    assert!(said.out.contains("\"warp\" is not a feature"), "{}", said.out);
}

/// Runs `shardcast ARGUMENTS` with every io_uring_setup failing.
fn without_rings(error: &str, arguments: &[&str]) -> Said {
    let inject = format!("inject=io_uring_setup:error={error}");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "trace=io_uring_setup", "-e", &inject]);
    strace.arg(program().get_program()).args(arguments);
    let said = run(&mut strace);
    assert!(!said.err.contains("strace: "), "strace must work here: {}", said.err);
    said
}

#[test]
fn forbidden_rings_are_explained_with_their_remedy() {
    let place = Place::new();
    let library = place.path("library");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--admin", "off", library.to_str().unwrap()];
    for (error, remedy) in
        [("EPERM", "seccomp"), ("ENOSYS", "CONFIG_IO_URING"), ("ENOMEM", "memlock")]
    {
        let said = without_rings(error, &["doctor"]);
        assert_eq!(said.code, 1, "{}", said.out);
        let line = said.out.lines().find(|line| line.contains("io_uring: ")).unwrap();
        assert!(line.starts_with("broken "), "{line}");
        assert!(line.contains(remedy), "{error}: {line}");
        assert!(said.err.starts_with("shardcast: doctor: 1 thing keeps"), "{}", said.err);

        let said = without_rings(error, &serve);
        assert_eq!(said.code, 1);
        let last = said.err.lines().last().unwrap_or_default();
        assert!(last.starts_with("shardcast: io_uring: "), "{last}");
        assert!(last.contains(remedy), "{error}: {last}");
    }
}

#[test]
fn too_little_locked_memory_is_explained_with_its_remedy() {
    // Root may lock what it likes, so this is seen by somebody else only; he needs a copy of the
    // program where he can read it.
    let place = Place::new();
    let open = std::fs::Permissions::from_mode(0o755);
    let (folder, copy) = (place.path(""), place.path("shardcast"));
    std::fs::set_permissions(&folder, open.clone()).unwrap();
    std::fs::copy(program().get_program(), &copy).unwrap();
    std::fs::set_permissions(&copy, open).unwrap();
    let am_root = run(Command::new("id").arg("-u")).out.trim() == "0";
    let mut command = Command::new(if am_root { "setpriv" } else { "prlimit" });
    if am_root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit"]);
    }
    command.arg("--memlock=0:0").arg(&copy).arg("doctor");
    let said = run(&mut command);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let line = said.out.lines().find(|line| line.contains(" io_uring: ")).unwrap();
    assert!(line.starts_with("broken "), "{line}");
    assert!(line.contains("RLIMIT_MEMLOCK is too small: 0 bytes"), "{line}");
    assert!(line.contains("LimitMEMLOCK=infinity"), "{line}");
    let line = said.out.lines().find(|line| line.contains(" memlock: ")).unwrap();
    assert!(line.contains("ulimit -l unlimited"), "{line}");
}
