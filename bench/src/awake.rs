//! Keeps the CPUs of a virtual machine from halting while something is measured.
//!
//! A virtual CPU that halts is taken away by its host, and the time until it gets it back counts as
//! steal: with a server that waits a little between bursts, more of it than `compare` allows. One
//! thread a CPU, of the policy SCHED_IDLE, burns what nobody else wants and gives way at once. Its
//! time is taken off the machine's again (`measure`).
//!
//! Not for measurements in which kernel threads of no fixed CPU do the work: beside these threads
//! Linux 6.18 was seen to leave one of them, ready to run, waiting for ten seconds. Nor for the
//! latency of a server of which several threads share a CPU: when one of them gives way to another
//! and is not eligible (EEVDF: it has had more than its share), Linux 6.18 takes the thread of
//! SCHED_IDLE before it, until the next tick.

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::sys::machine::{self, Affinity};

/// How the threads' names begin.
pub const THREAD_NAME: &str = "awake-";

/// Looks at the flag once in so many turns of the empty loop.
const TURNS: u32 = 10_000;

/// Threads that run until this value goes.
#[derive(Debug)]
pub struct Awake {
    done: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    /// One thread on each of these CPUs.
    pub fn start(cpus: impl IntoIterator<Item = usize>) -> io::Result<Self> {
        let mut awake = Self { done: Arc::new(AtomicBool::new(false)), threads: Vec::new() };
        for cpu in cpus {
            let done = Arc::clone(&awake.done);
            let (tell, told) = std::sync::mpsc::channel();
            let thread =
                thread::Builder::new().name(format!("{THREAD_NAME}{cpu}")).spawn(move || {
                    let ready = prepare(cpu);
                    let run = ready.is_ok();
                    // The receiver waits just for this.
                    let _ = tell.send(ready);
                    while run && !done.load(Ordering::Relaxed) {
                        // No spin hint: hosts take a CPU away that says it is only waiting.
                        (0..TURNS).for_each(|turn| _ = black_box(turn));
                    }
                })?;
            awake.threads.push(thread);
            told.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))?;
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing to say; a panic there has printed itself.
            let _ = thread.join();
        }
    }
}

fn prepare(cpu: usize) -> io::Result<()> {
    Affinity::one(cpu).apply()?;
    machine::yield_to_others()
}
