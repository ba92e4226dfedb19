//! Why a ring can't be made, and what to do: each error number has a few causes that can be told
//! apart by looking around.

use std::io;

use super::machine;
use crate::sys::{probe, rlimit};

/// What is looked at to tell the causes apart.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// kernel.io_uring_disabled, where the kernel has it.
    pub io_uring_disabled: Option<u8>,
    /// Whether a seccomp filter holds for this process.
    pub seccomp: bool,
    /// Bytes of memory that may be locked.
    pub memlock: Option<u64>,
    /// The kernel's release.
    pub kernel: String,
}

/// Makes the rings of all shards, and lets them go.
pub fn tried(shards: usize) -> io::Result<()> {
    probe::rings(shards)
}

/// The surroundings of this process.
#[must_use]
pub fn surroundings() -> Surroundings {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    Surroundings {
        io_uring_disabled: std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        seccomp: status
            .lines()
            .filter_map(|line| line.strip_prefix("Seccomp:"))
            .any(|mode| mode.trim() != "0"),
        memlock: rlimit::memlock().ok().map(|limit| limit.soft),
        kernel: machine::kernel_release(),
    }
}

/// Why `io_uring_setup` failed here, and the command that mends it.
#[must_use]
pub fn explained(error: &io::Error) -> (String, String) {
    explained_in(error, &surroundings())
}

fn explained_in(error: &io::Error, here: &Surroundings) -> (String, String) {
    let seccomp = "run the container with a seccomp profile that allows io_uring_setup, \
                   io_uring_enter and io_uring_register (docker run --security-opt \
                   seccomp=PROFILE.json); under systemd: SystemCallFilter=@system-service";
    let (why, remedy) = match (error.raw_os_error(), here.io_uring_disabled) {
        (Some(libc::EPERM), Some(2)) => (
            "kernel.io_uring_disabled is 2: nobody may make rings".to_owned(),
            "sysctl -w kernel.io_uring_disabled=0",
        ),
        (Some(libc::EPERM), Some(1)) => (
            "kernel.io_uring_disabled is 1: only kernel.io_uring_group may make rings".to_owned(),
            "sysctl -w kernel.io_uring_disabled=0, or put the server's user into the group of \
             sysctl kernel.io_uring_group",
        ),
        (Some(libc::EPERM), _) => {
            ("a seccomp filter forbids it, as Docker's default profile does".to_owned(), seccomp)
        }
        (Some(libc::ENOSYS), _) if here.seccomp => {
            ("a seccomp filter hides it".to_owned(), seccomp)
        }
        (Some(libc::ENOSYS), _) => (
            format!("kernel {} has none", here.kernel),
            "use a kernel from 6.1 on that is built with CONFIG_IO_URING",
        ),
        (Some(libc::ENOMEM), _) if here.memlock == Some(rlimit::INFINITY) => (
            "the kernel has no memory for them, or the cgroup may not have more".to_owned(),
            "free some, or under systemd: MemoryMax=infinity (memlock is unlimited already)",
        ),
        (Some(libc::ENOMEM), _) => (
            format!("RLIMIT_MEMLOCK is too small: {} bytes", here.memlock.unwrap_or_default()),
            "ulimit -l unlimited; under systemd: LimitMEMLOCK=infinity; in a container: \
             --ulimit memlock=-1",
        ),
        (Some(libc::EINVAL), _) => (
            format!("kernel {} is too old: it lacks SINGLE_ISSUER or DEFER_TASKRUN", here.kernel),
            "use a kernel from 6.1 on",
        ),
        (Some(libc::EMFILE | libc::ENFILE), _) => {
            ("no descriptor is left".to_owned(), "ulimit -n 1048576; systemd: LimitNOFILE=1048576")
        }
        _ => (error.to_string(), "see what the kernel says: dmesg"),
    };
    (why, remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_remedy() {
        for (errno, disabled, seccomp, why, remedy) in [
            (libc::EPERM, Some(2), false, "nobody may", "sysctl -w kernel.io_uring_disabled=0"),
            (libc::EPERM, Some(1), false, "io_uring_group", "io_uring_group"),
            (libc::EPERM, Some(0), true, "seccomp", "--security-opt"),
            (libc::EPERM, None, false, "seccomp", "--security-opt"),
            (libc::ENOSYS, None, false, "has none", "CONFIG_IO_URING"),
            (libc::ENOSYS, None, true, "seccomp", "--security-opt"),
            (libc::ENOMEM, Some(0), false, "RLIMIT_MEMLOCK", "ulimit -l"),
            (libc::EINVAL, Some(0), false, "too old", "6.1"),
            (libc::EMFILE, Some(0), false, "descriptor", "ulimit -n"),
            (libc::EIO, Some(0), false, "os error 5", "dmesg"),
        ] {
            let here =
                Surroundings { io_uring_disabled: disabled, seccomp, ..Surroundings::default() };
            let said = explained_in(&io::Error::from_raw_os_error(errno), &here);
            assert!(said.0.contains(why), "{errno}: {said:?}");
            assert!(said.1.contains(remedy), "{errno}: {said:?}");
        }
        let memlock = Some(rlimit::INFINITY);
        let here = Surroundings { memlock, ..Surroundings::default() };
        let said = explained_in(&io::Error::from_raw_os_error(libc::ENOMEM), &here);
        assert!(said.0.contains("no memory") && said.1.contains("MemoryMax"), "{said:?}");
    }
}
