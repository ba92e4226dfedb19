//! Child processes that never outlive the harness.
//!
//! Contract: only processes that this program has started itself are signalled, by their id, and
//! only while their `Child` has not been waited for, so the id cannot belong to another one.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// The child gets SIGTERM when the thread that starts it ends, however that comes about.
pub fn die_with_us(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are
    // allowed; prctl is a plain system call, and nothing is allocated.
    unsafe { command.pre_exec(request_death_signal) };
}

fn request_death_signal() -> io::Result<()> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Asks a child to end.
pub fn terminate(child: &Child) -> io::Result<()> {
    let pid = libc::pid_t::try_from(child.id()).expect("a pid fits a pid_t");
    // SAFETY: takes numbers only; the child has not been waited for (module contract).
    if unsafe { libc::kill(pid, libc::SIGTERM) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
