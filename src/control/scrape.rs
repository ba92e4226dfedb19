//! What all shards counted, asked for by message and waited for no longer than a deadline.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use crate::messages::mail::Outbox;
use crate::messages::{ShardReport, Update};

/// The reports that came in time.
#[derive(Debug, Default)]
pub struct Reports {
    /// One of each shard that answered, in the order of their numbers.
    pub reports: Vec<ShardReport>,
    /// How many shards did not answer.
    pub silent: usize,
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
    Reports { silent: outboxes.len() - reports.len(), reports }
}
