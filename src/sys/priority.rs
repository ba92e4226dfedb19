//! The calling thread's standing with the scheduler: background work yields to the shards.
//!
//! Contract: integers only; on Linux both calls concern the calling thread, not the process.
#![allow(unsafe_code)]

/// Makes the calling thread nicer: it gets the processor's spare time. 0 is normal, 19 the least.
/// A hint: failure changes nothing.
pub fn lower_thread_priority(nice: i32) {
    // SAFETY: integers only; 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}

/// Lets the calling thread read from disks only when nobody else does. A hint.
pub fn idle_disk_priority() {
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_IDLE: libc::c_int = 3 << 13;
    // SAFETY: integers only; 0 is the calling thread.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE) };
}
