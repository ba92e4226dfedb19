//! Affinity, limits, the thread's own CPU time, and the machine's facts that need a system call.
//!
//! Contract: each function is one or two system calls on values owned by the caller.

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// The CPUs a thread may run on.
#[derive(Clone)]
pub struct Affinity(libc::cpu_set_t);

impl Affinity {
    /// Just this CPU. The kernel refuses one that does not exist when it is applied.
    pub fn one(cpu: usize) -> Self {
        // SAFETY: a cpu_set_t is a plain array of bits, and all zero is the empty set.
        let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
        if cpu < libc::CPU_SETSIZE as usize {
            // SAFETY: the index was checked against the size of the set.
            unsafe { libc::CPU_SET(cpu, &mut set) };
        }
        Self(set)
    }

    /// What the calling thread has now.
    pub fn current() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
        let size = size_of::<libc::cpu_set_t>();
        // SAFETY: the kernel writes at most `size` bytes to a set of that size.
        let result = unsafe { libc::sched_getaffinity(0, size, set.as_mut_ptr()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: zeroed first and filled by the call; every bit pattern is a set.
        Ok(Self(unsafe { set.assume_init() }))
    }

    /// Binds the calling thread, and with it the children it starts from now on.
    pub fn apply(&self) -> io::Result<()> {
        // SAFETY: the set is initialised and of the stated size.
        let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &self.0) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// Raises the soft limit of open files to the hard one, and returns it.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills the struct given.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the struct is initialised by the call above.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// CPU time of the calling thread, user and system together.
pub fn thread_cpu() -> io::Result<Duration> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel fills the struct given.
    if unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed first and filled by the call; every bit pattern is valid.
    let usage = unsafe { usage.assume_init() };
    let time = |value: libc::timeval| {
        Duration::from_secs(value.tv_sec.unsigned_abs())
            + Duration::from_micros(value.tv_usec.unsigned_abs())
    };
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}

/// Timers of this thread fire within a microsecond instead of the default fifty.
pub fn sharpen_timers() -> io::Result<()> {
    let nanoseconds: libc::c_ulong = 1_000;
    // SAFETY: this option takes one number and touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The calling thread runs only when nobody else wants its CPU.
pub fn yield_to_others() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the struct is initialised; 0 is the calling thread.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameter) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Ticks a second of the times in /proc/stat and /proc/PID/stat.
pub fn ticks_per_second() -> u64 {
    // SAFETY: no memory is involved.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// The largest packet of the loopback device of this network namespace, in bytes.
pub fn loopback_mtu() -> io::Result<i32> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let mut request = loopback_request();
    // SAFETY: the request names a device and has room for the answer.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &mut request) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: SIOCGIFMTU has filled this member of the union.
    Ok(unsafe { request.ifr_ifru.ifru_mtu })
}

/// An interface request for `lo`, otherwise zero.
pub(super) fn loopback_request() -> libc::ifreq {
    // SAFETY: an ifreq is plain data, and all zero is a valid one.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *byte as libc::c_char;
    }
    request
}
