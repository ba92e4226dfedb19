//! The threads that hash passwords: few, behind everything else, with a queue that is bounded.
//!
//! Hashing is made to be slow, so it never happens on control's thread, and a flood of sign-ins
//! gets as far as this queue. Who comes from an address where nothing failed goes first, so that a
//! flood from elsewhere holds up an operator by one hash at most.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::config::{HASHES_AT_ONCE_MAX, HASHES_SUSPECT_MAX, HASHES_WAITING_MAX};
use crate::sys::priority;

/// Where something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// With those from whose address nothing failed.
    First,
    /// Behind them.
    Last,
}

/// Too many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    first: VecDeque<Job>,
    last: VecDeque<Job>,
    /// Nobody is left who could ask.
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    bell: Condvar,
}

/// The way to them. They end when it is dropped.
pub struct Hashing(Arc<Shared>);

impl Drop for Hashing {
    fn drop(&mut self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.0.bell.notify_all();
    }
}

impl Hashing {
    /// Starts them.
    ///
    /// # Errors
    ///
    /// No thread can be made.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let hashing = Self(Arc::clone(&shared));
        for _ in 0..HASHES_AT_ONCE_MAX {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name("hashing".to_owned());
            thread.spawn(move || {
                priority::give_way(NICE);
                while let Some(job) = next(&shared) {
                    job();
                }
            })?;
        }
        Ok(hashing)
    }

    /// Does this on one of them. If whoever asked has gone before its turn comes, nothing is done.
    ///
    /// # Errors
    ///
    /// `Full`.
    pub async fn run<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Full> {
        let (told, tells) = tokio::sync::oneshot::channel();
        let job = move || {
            if !told.is_closed() {
                let _ = told.send(work());
            }
        };
        {
            let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let (waiting, most) = match turn {
                Turn::First => (&mut queue.first, HASHES_WAITING_MAX),
                Turn::Last => (&mut queue.last, HASHES_SUSPECT_MAX),
            };
            if waiting.len() >= most {
                return Err(Full);
            }
            waiting.push_back(Box::new(job));
        }
        self.0.bell.notify_one();
        tells.await.map_err(|_| Full)
    }
}

/// How far behind shards: they are woken in the middle of a hash, and go on at once.
const NICE: i32 = 10;

/// The next job; none when there will be no more.
fn next(shared: &Shared) -> Option<Job> {
    let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let job = queue.first.pop_front().or_else(|| queue.last.pop_front());
        if job.is_some() || queue.is_closed {
            return job;
        }
        queue = shared.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Runs a test on a thread that waits for both.
    fn on_a_runtime<F: Future<Output = ()>>(test: F) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
    }

    #[test]
    fn only_so_many_are_hashed_at_once_and_so_many_wait() {
        on_a_runtime(async {
            let hashing = Arc::new(Hashing::start().unwrap());
            let (begun, begins) = channel();
            let (done, goes_on) = channel::<()>();
            let goes_on = Arc::new(Mutex::new(goes_on));
            let mut asked = tokio::task::JoinSet::new();
            let ask = |turn, name: &'static str, asked: &mut tokio::task::JoinSet<_>| {
                let (hashing, begun) = (Arc::clone(&hashing), begun.clone());
                let goes_on = Arc::clone(&goes_on);
                asked.spawn(async move {
                    let work = move || {
                        begun.send(name).unwrap();
                        goes_on.lock().unwrap().recv().unwrap();
                    };
                    hashing.run(turn, work).await
                });
            };
            for _ in 0..HASHES_AT_ONCE_MAX {
                ask(Turn::Last, "busy", &mut asked);
            }
            for _ in 0..HASHES_AT_ONCE_MAX {
                tokio::task::yield_now().await;
                begins.recv().unwrap();
            }
            for _ in 0..HASHES_SUSPECT_MAX {
                ask(Turn::Last, "last", &mut asked);
            }
            ask(Turn::First, "first", &mut asked);
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            assert_eq!(hashing.run(Turn::Last, || ()).await, Err(Full));
            assert!(begins.try_recv().is_err(), "no third one is hashed");
            done.send(()).unwrap();
            assert_eq!(begins.recv(), Ok("first"), "who is above suspicion goes first");
            for _ in 0..HASHES_AT_ONCE_MAX + HASHES_SUSPECT_MAX {
                done.send(()).unwrap();
            }
            while let Some(result) = asked.join_next().await {
                assert_eq!(result.unwrap(), Ok(()));
            }
        });
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_hashed() {
        on_a_runtime(async {
            let hashing = Hashing::start().unwrap();
            let (begun, begins) = channel();
            let (done, goes_on) = channel::<()>();
            let goes_on = Arc::new(Mutex::new(goes_on));
            let mut busy = Vec::new();
            for _ in 0..HASHES_AT_ONCE_MAX {
                let (begun, goes_on) = (begun.clone(), Arc::clone(&goes_on));
                busy.push(Box::pin(hashing.run(Turn::First, move || {
                    begun.send(()).unwrap();
                    goes_on.lock().unwrap().recv().unwrap();
                })));
            }
            for one in &mut busy {
                let soon = std::future::poll_fn(|context| {
                    let _ = one.as_mut().poll(context);
                    std::task::Poll::Ready(())
                });
                soon.await;
            }
            (0..HASHES_AT_ONCE_MAX).for_each(|_| begins.recv().unwrap());
            let mut given_up = Box::pin(hashing.run(Turn::First, || panic!("it was given up")));
            std::future::poll_fn(|context| {
                assert!(given_up.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            drop(given_up);
            (0..HASHES_AT_ONCE_MAX).for_each(|_| done.send(()).unwrap());
            for one in busy {
                one.await.unwrap();
            }
            assert_eq!(hashing.run(Turn::Last, || 7).await, Ok(7));
        });
    }
}
