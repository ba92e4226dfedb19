//! What all shards counted, asked for by message and waited for no longer than a deadline.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use crate::messages::mail::Outbox;
use crate::messages::{ShardReport, Update};

/// What shards counted.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    /// One of each shard, in the order of their numbers.
    pub reports: Vec<ShardReport>,
    /// How many shards did not answer in time.
    pub silent: usize,
    /// How many shards there are.
    pub shards: usize,
}

/// Asks every shard, all at once, and waits until `deadline` has passed at the latest.
pub fn reports(outboxes: &mut [Outbox], deadline: Duration) -> Reports {
    let until = Instant::now() + deadline;
    let (reply, replies) = sync_channel(outboxes.len().max(1));
    let mut asked = 0;
    for outbox in outboxes.iter_mut() {
        // A shard whose inbox is full is busy or stuck; asking again and again would only pile up
        // questions.
        if outbox.flush() {
            outbox.send(Update::Report(reply.clone()));
            asked += 1;
        }
    }
    drop(reply);
    let mut reports = Vec::with_capacity(asked);
    while reports.len() < asked {
        match replies.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(report) => reports.push(*report),
            Err(_) => break,
        }
    }
    reports.sort_by_key(|report: &ShardReport| report.shard);
    Reports { silent: outboxes.len() - reports.len(), shards: outboxes.len(), reports }
}

/// Asks again and again, and remembers what each shard said last.
pub struct Scraper {
    outboxes: Vec<Outbox>,
    last: Vec<Option<ShardReport>>,
}

impl Scraper {
    /// Of these shards.
    #[must_use]
    pub fn new(outboxes: Vec<Outbox>) -> Self {
        Self { last: outboxes.iter().map(|_| None).collect(), outboxes }
    }

    /// Reports of all shards that ever answered. One that is silent now counts with what it said
    /// last: counters that fell would look like a restart to Prometheus, and its rates would jump.
    pub fn scrape(&mut self, deadline: Duration) -> Reports {
        let fresh = reports(&mut self.outboxes, deadline);
        for report in fresh.reports {
            let number = usize::from(report.shard);
            if let Some(last) = self.last.get_mut(number) {
                *last = Some(report);
            }
        }
        Reports {
            reports: self.last.iter().flatten().cloned().collect(),
            silent: fresh.silent,
            shards: fresh.shards,
        }
    }
}
