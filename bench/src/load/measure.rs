//! One measurement: a warm-up, a run, and the machine's figures around the run.
//!
//! Who pays for what on loopback: the softirq work of a packet is charged to the task that sent
//! it, or to whoever was interrupted. So the server's own CPU time is only comparable between
//! servers under the same client, and the whole machine's time stands beside it.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::Serialize;

use super::engine::Engine;
use super::tally::{Latency, Seen, Tally};
use crate::awake;
use crate::proc::{self, ThreadTimes, Ticks};
use crate::sys::machine::{thread_cpu, ticks_per_second};

/// Above this share of one CPU a thread counts as busy all the time.
const BUSY_SHARE: f64 = 0.95;

/// How long, and whose CPU time is watched.
#[derive(Clone, Debug)]
pub struct Course {
    /// Load before anything is counted.
    pub warmup: Duration,
    /// Load that is counted.
    pub duration: Duration,
    /// Processes of the server, descendants included; empty when unknown.
    pub server_pids: Vec<u32>,
}

/// What one run found. Fields that need the server's pid are absent without it.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Length of the run.
    pub seconds: f64,
    /// Whole, correct responses.
    pub requests: u64,
    /// Of them a second.
    pub requests_per_second: f64,
    /// Bytes of bodies.
    pub body_bytes: u64,
    /// Of them a second, in MiB.
    pub mib_per_second: f64,
    /// Whole exchanges.
    pub latency: Latency,
    /// The histogram that these come from. `saturate` reports it; of `compare`'s many rounds it
    /// would be most of the report.
    #[serde(skip)]
    pub histogram: Vec<Seen>,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// Connections that the server ended properly between requests.
    pub reconnects: u64,
    /// Requests of an open loop that were due at the end and had found no free connection.
    pub overdue: u64,
    /// CPU of the server's threads, in µs a request.
    pub server_cpu_us_per_request: Option<f64>,
    /// CPU of the server's threads, in ms a GiB of bodies.
    pub server_cpu_ms_per_gib: Option<f64>,
    /// CPU of the whole machine without steal, in µs a request. Made of ticks.
    pub machine_cpu_us_per_request: f64,
    /// CPU of the whole machine without steal, in ms a GiB of bodies. Made of ticks.
    pub machine_cpu_ms_per_gib: f64,
    /// Half a tick a CPU at both ends, as a share of the machine's busy time.
    pub machine_cpu_uncertainty_percent: f64,
    /// Who used how much CPU.
    #[serde(flatten)]
    pub usage: Usage,
    /// The generator was busy all the time and the server was not: not a figure of the server.
    pub generator_was_the_limit: bool,
}

/// CPU times at one moment.
pub struct Observation {
    server: Option<ThreadTimes>,
    machine: Ticks,
    /// What was burnt to keep CPUs awake: nobody's work.
    awake: Duration,
    generator: Duration,
}

/// What was used between two looks, in seconds.
struct Spent {
    server: Option<f64>,
    machine: f64,
    generator: f64,
    steal_share: f64,
}

impl Observation {
    fn since(&self, before: &Self) -> Spent {
        let server = match (&self.server, &before.server) {
            (Some(now), Some(before)) => Some(now.since(before).as_secs_f64()),
            _ => None,
        };
        let ticks = self.machine.since(before.machine);
        let awake = self.awake.saturating_sub(before.awake);
        Spent {
            server,
            machine: ticks.busy_time().saturating_sub(awake).as_secs_f64(),
            generator: self.generator.saturating_sub(before.generator).as_secs_f64(),
            steal_share: ticks.steal_share(),
        }
    }
}

/// Warms up, runs, and sums up.
pub fn measure(engine: &mut Engine<'_>, course: &Course) -> io::Result<Figures> {
    if !course.warmup.is_zero() {
        engine.run(course.warmup)?;
    }
    let before = observe(&course.server_pids)?;
    let (tally, elapsed) = engine.run(course.duration)?;
    let after = observe(&course.server_pids)?;
    Ok(figures(&tally, elapsed, engine.overdue(), &before, &after))
}

/// Looks at these processes, the machine and this thread.
pub fn observe(pids: &[u32]) -> io::Result<Observation> {
    let generator = thread_cpu()?;
    let machine = proc::machine_ticks()?;
    let server = match pids {
        [] => None,
        _ => Some(proc::thread_times(pids)?),
    };
    let awake = proc::own_threads_time(awake::THREAD_NAME)?;
    Ok(Observation { server, machine, awake, generator })
}

/// Who used how much CPU between two looks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Usage {
    /// CPU of the server's threads as a share of one CPU.
    pub server_cpu_share: Option<f64>,
    /// This thread's.
    pub generator_cpu_share: f64,
    /// CPU that neither the server nor the generator used, as a share of one CPU: other programs on
    /// the machine, where the server's processes are known. Made of ticks.
    pub other_cpu_share: Option<f64>,
    /// Time that the hypervisor took away, of all CPUs' time.
    pub steal_percent: f64,
}

impl Usage {
    /// Between `before` and `after`, `elapsed` later.
    pub fn between(before: &Observation, after: &Observation, elapsed: Duration) -> Self {
        Self::of(&after.since(before), elapsed.as_secs_f64())
    }

    fn of(spent: &Spent, seconds: f64) -> Self {
        let server = spent.server.map(|server| server / seconds);
        let generator = spent.generator / seconds;
        let other = |server: f64| (spent.machine / seconds - server - generator).max(0.0);
        Self {
            server_cpu_share: server,
            generator_cpu_share: generator,
            other_cpu_share: server.map(other),
            steal_percent: 100.0 * spent.steal_share,
        }
    }

    /// Whether this thread was busy all the time.
    pub fn generator_was_busy(&self) -> bool {
        self.generator_cpu_share > BUSY_SHARE
    }
}

fn figures(
    tally: &Tally,
    elapsed: Duration,
    overdue: u64,
    before: &Observation,
    after: &Observation,
) -> Figures {
    let seconds = elapsed.as_secs_f64();
    let spent = after.since(before);
    let usage = Usage::of(&spent, seconds);
    let Spent { server, machine, .. } = spent;
    let requests = tally.requests.max(1) as f64;
    let gib = (tally.body_bytes.max(1)) as f64 / f64::from(1 << 30);
    let tick = 1.0 / ticks_per_second() as f64;
    Figures {
        seconds,
        requests: tally.requests,
        requests_per_second: tally.requests as f64 / seconds,
        body_bytes: tally.body_bytes,
        mib_per_second: tally.body_bytes as f64 / f64::from(1 << 20) / seconds,
        latency: tally.percentiles(),
        histogram: tally.distribution(),
        errors: tally.errors.clone(),
        reconnects: tally.reconnects,
        overdue,
        server_cpu_us_per_request: server.map(|server| server * 1e6 / requests),
        server_cpu_ms_per_gib: server.map(|server| server * 1e3 / gib),
        machine_cpu_us_per_request: machine * 1e6 / requests,
        machine_cpu_ms_per_gib: machine * 1e3 / gib,
        machine_cpu_uncertainty_percent: 100.0 * cpu_count() * tick / machine.max(tick),
        usage,
        generator_was_the_limit: usage.generator_was_busy()
            && usage.server_cpu_share.is_none_or(|share| share < BUSY_SHARE),
    }
}

fn cpu_count() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation(server: Option<u64>, busy: u64, generator: u64) -> Observation {
        Observation {
            server: server.map(|time| ThreadTimes::one(Duration::from_millis(time))),
            machine: Ticks { busy, idle: 0, steal: 0 },
            awake: Duration::ZERO,
            generator: Duration::from_millis(generator),
        }
    }

    fn found(server: Option<u64>, generator: u64) -> Figures {
        let mut tally = Tally::new();
        for _ in 0..1_000 {
            tally.record(1 << 20, 5_000);
        }
        let before = observation(server.map(|_| 100), 50, 10);
        let after = observation(server.map(|cpu| 100 + cpu), 250, 10 + generator);
        figures(&tally, Duration::from_secs(1), 0, &before, &after)
    }

    #[test]
    fn cpu_is_divided_by_requests_and_by_bytes() {
        let figures = found(Some(500), 300);
        assert_eq!(figures.server_cpu_us_per_request, Some(500.0));
        assert_eq!(figures.server_cpu_ms_per_gib, Some(512.0));
        assert_eq!(figures.usage.server_cpu_share, Some(0.5));
        assert_eq!(figures.machine_cpu_us_per_request, 2_000.0);
        assert_eq!(figures.mib_per_second, 1_000.0);
        // 2 s of the machine in a second, 0.5 of them the server's and 0.3 the generator's.
        assert_eq!(figures.usage.other_cpu_share.map(|share| (share * 10.0).round()), Some(12.0));
    }

    #[test]
    fn a_busy_generator_is_the_limit_unless_the_server_is_busy_too() {
        assert!(!found(Some(500), 940).generator_was_the_limit);
        assert!(found(Some(500), 960).generator_was_the_limit);
        assert!(!found(Some(960), 960).generator_was_the_limit);
        assert!(found(None, 960).generator_was_the_limit);
    }
}
