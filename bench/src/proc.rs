//! Figures from /proc: CPU time of processes and of the machine, memory, the machine's facts.
//!
//! Every file's text is read by a pure function with a test; the functions that open files are
//! thin. Times come in two resolutions: the scheduler's nanoseconds (`schedstat`, for processes)
//! and clock ticks of usually 10 ms (`/proc/stat`, for the machine).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::sys::machine::{loopback_mtu, ticks_per_second};
use crate::sys::socket::loopback_congestion;

/// CPU time of the whole machine or of one CPU since boot, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// user + nice + system + irq + softirq: work done by this machine. Guest time is in user.
    pub busy: u64,
    /// idle + iowait.
    pub idle: u64,
    /// Time that the hypervisor gave to somebody else.
    pub steal: u64,
}

impl Ticks {
    /// What has passed since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            busy: self.busy.saturating_sub(before.busy),
            idle: self.idle.saturating_sub(before.idle),
            steal: self.steal.saturating_sub(before.steal),
        }
    }

    /// Steal as a share of all time, 0 to 1.
    pub fn steal_share(self) -> f64 {
        let all = self.busy + self.idle + self.steal;
        if all == 0 { 0.0 } else { self.steal as f64 / all as f64 }
    }

    /// The busy time.
    pub fn busy_time(self) -> Duration {
        Duration::from_secs_f64(self.busy as f64 / ticks_per_second() as f64)
    }
}

/// The line `name` ("cpu", "cpu0", …) of /proc/stat.
fn ticks(stat: &str, name: &str) -> Option<Ticks> {
    let line = stat.lines().find(|line| line.split(' ').next() == Some(name))?;
    let values: Vec<u64> = line
        .split_ascii_whitespace()
        .skip(1)
        .map(|value| value.parse().ok())
        .collect::<Option<_>>()?;
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = values[..] else {
        return None;
    };
    Some(Ticks { busy: user + nice + system + irq + softirq, idle: idle + iowait, steal })
}

/// Ticks of the whole machine.
pub fn machine_ticks() -> io::Result<Ticks> {
    let text = fs::read_to_string("/proc/stat")?;
    ticks(&text, "cpu").ok_or_else(|| unexpected("/proc/stat"))
}

/// CPU time of threads, by process and thread id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadTimes(BTreeMap<(u32, u32), Duration>);

impl ThreadTimes {
    /// The account of a single thread.
    #[cfg(test)]
    pub fn one(time: Duration) -> Self {
        Self(BTreeMap::from([((1, 1), time)]))
    }

    /// What has passed since `before`, for the threads that live now.
    ///
    /// A thread that has ended took its account with it, but nothing of the others' is lost.
    pub fn since(&self, before: &Self) -> Duration {
        let passed = |(thread, time): (&(u32, u32), &Duration)| {
            time.saturating_sub(before.0.get(thread).copied().unwrap_or_default())
        };
        self.0.iter().map(passed).sum()
    }
}

/// CPU times of all threads of these processes and of their descendants.
///
/// The scheduler's own account where the kernel has it, else ticks. An error means that one of the
/// processes themselves is gone.
pub fn thread_times(pids: &[u32]) -> io::Result<ThreadTimes> {
    let mut times = ThreadTimes::default();
    for pid in with_descendants(pids)? {
        let tasks = match fs::read_dir(format!("/proc/{pid}/task")) {
            Ok(tasks) => tasks,
            // A descendant may end at any time.
            Err(error) if is_gone(&error) && !pids.contains(&pid) => continue,
            Err(error) => return Err(error),
        };
        // A listing that breaks off means that the process ends; its threads are gone with it.
        for task in tasks.map_while(Result::ok) {
            let thread = task.file_name().to_str().and_then(|name| name.parse().ok());
            match (thread, task_cpu(&task.path())) {
                (Some(thread), Ok(time)) => drop(times.0.insert((pid, thread), time)),
                (None, _) => return Err(unexpected("task")),
                (_, Err(error)) if is_gone(&error) => {}
                (_, Err(error)) => return Err(error),
            }
        }
    }
    Ok(times)
}

/// CPU time of this process's threads whose names begin so.
pub fn own_threads_time(prefix: &str) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task")?.map_while(Result::ok) {
        // A thread may end at any time.
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.starts_with(prefix) {
            sum += task_cpu(&task.path())?;
        }
    }
    Ok(sum)
}

fn task_cpu(task: &Path) -> io::Result<Duration> {
    match fs::read_to_string(task.join("schedstat")) {
        Ok(text) => run_time(&text).ok_or_else(|| unexpected("schedstat")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = fs::read_to_string(task.join("stat"))?;
            let ticks = stat_ticks(&text).ok_or_else(|| unexpected("stat"))?;
            Ok(Duration::from_secs_f64(ticks as f64 / ticks_per_second() as f64))
        }
        Err(error) => Err(error),
    }
}

/// The first number of a schedstat: nanoseconds on a CPU.
fn run_time(schedstat: &str) -> Option<Duration> {
    schedstat.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// utime + stime of a /proc/PID/stat. The name in brackets may itself hold spaces and brackets.
fn stat_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The given processes and all their descendants that live now.
fn with_descendants(pids: &[u32]) -> io::Result<Vec<u32>> {
    let mut pairs = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat"))
            && let Some(parent) = parent(&stat)
        {
            pairs.push((pid, parent));
        }
    }
    let mut found: BTreeSet<u32> = pids.iter().copied().collect();
    loop {
        let before = found.len();
        let children = pairs.iter().filter(|(_, parent)| found.contains(parent));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        if found.len() == before {
            return Ok(found.into_iter().collect());
        }
    }
}

/// One line of a `/proc` file of the form `Name:   123 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|size| size * 1024)
}

/// Resident memory of these processes and their descendants, in bytes.
pub fn resident(pids: &[u32]) -> io::Result<u64> {
    let mut sum = 0;
    for pid in with_descendants(pids)? {
        let size = fs::read_to_string(format!("/proc/{pid}/status"))
            .and_then(|text| kilobytes(&text, "VmRSS").ok_or_else(|| unexpected("status")));
        match size {
            Ok(size) => sum += size,
            // A descendant may end at any time, and one that is not yet reaped has no memory.
            Err(_) if !pids.contains(&pid) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// Memory at one moment, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Resident, of the watched processes.
    pub user: u64,
    /// The whole machine's kernel: slab, page tables, kernel stacks, per-CPU memory, and what
    /// /proc/net/sockstat counts for TCP; neither cache nor user pages.
    pub kernel: u64,
    /// The whole machine's memory files, as far as they have pages: live media may lie there
    /// without being mapped.
    pub files: u64,
}

/// Memory of these processes and their descendants, and of the machine.
pub fn memory(pids: &[u32]) -> io::Result<Memory> {
    let machine = fs::read_to_string("/proc/meminfo")?;
    let sockets = fs::read_to_string("/proc/net/sockstat")?;
    let names = ["Slab", "KernelStack", "PageTables", "Percpu"];
    let kernel: u64 = names.iter().filter_map(|name| kilobytes(&machine, name)).sum();
    Ok(Memory {
        user: resident(pids)?,
        kernel: kernel + tcp_pages(&sockets).unwrap_or(0) * 4096,
        files: kilobytes(&machine, "Shmem").ok_or_else(|| unexpected("/proc/meminfo"))?,
    })
}

/// Pages that TCP has allocated for its queues.
fn tcp_pages(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "))?;
    line.rsplit_once("mem ")?.1.trim().parse().ok()
}

/// What the figures of a report were measured on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Release of the running kernel.
    pub kernel: String,
    /// As the CPU names itself.
    pub cpu_model: String,
    /// CPUs that are online.
    pub cpus: usize,
    /// What a loopback connection of this network namespace gets.
    pub congestion_control: String,
    /// Of the loopback device of this network namespace, in bytes.
    pub loopback_mtu: i32,
    /// Resolution of the whole machine's CPU times.
    pub tick_ms: f64,
}

/// Reads the machine's facts.
pub fn machine() -> io::Result<Machine> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let online = fs::read_to_string("/proc/stat")?;
    Ok(Machine {
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        cpu_model: model.map_or("unknown", |(_, name)| name.trim()).to_owned(),
        cpus: online.lines().filter(|line| line.starts_with("cpu")).count() - 1,
        congestion_control: loopback_congestion()?,
        loopback_mtu: loopback_mtu()?,
        tick_ms: 1e3 / ticks_per_second() as f64,
    })
}

/// Whether reading failed because the process or thread has ended.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn unexpected(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{file} is not as this program knows it"))
}

#[cfg(test)]
mod tests;
