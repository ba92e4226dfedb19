//! The calling thread's standing with the scheduler: shards come first, and background work yields.
//!
//! Contract: integers, and one structure of this frame; on Linux all of it concerns the calling
//! thread, not the process.
#![allow(unsafe_code)]

/// Makes the calling thread, and those that it will start, give way to shards. It is nicer: 0 is
/// normal, 19 the least. And when it is woken it does not take the processor from whoever runs
/// (SCHED_BATCH, sched(7)): mostly a shard wakes it, in the middle of a turn, and would have its
/// own processor back at the next tick of the clock. A hint: failure changes nothing.
pub fn give_way(nice: i32) {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads one integer from this frame; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
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

/// Time slice of a shard on a processor that other threads want too, in nanoseconds; the kernel
/// takes nothing shorter. Theirs are about 3 ms.
const SHORT_TURN_NANOS: u64 = 100_000;

/// Lets the calling thread run as soon as it wakes: since Linux 6.12 a thread that asked for a
/// shorter slice than the running one's need not wait for the end of that slice. Without this a
/// shard that shares its processor, even with a nicer thread, waits up to 3 ms. It is a hint: where
/// the kernel refuses, nothing else changes.
pub fn take_short_turns() {
    const SIZE: u32 = size_of::<libc::sched_attr>() as u32;
    let mut attributes = libc::sched_attr {
        size: SIZE,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel writes at most SIZE bytes into `attributes`; 0 is the calling thread.
    let known = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
    if known == 0 && attributes.sched_policy == libc::SCHED_OTHER as u32 {
        attributes.sched_runtime = SHORT_TURN_NANOS;
        // SAFETY: the kernel reads `size` bytes, which it has just set itself.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    }
}
