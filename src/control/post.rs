//! The way from control to the shards: what did not fit into an inbox is sent when there is room.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::messages::mail::Outbox;
use crate::messages::{Answer, Update};

/// How long a message waits for room in a shard's inbox before it is tried again.
const FLUSH_AGAIN: Duration = Duration::from_millis(5);

/// Every shard's letter box.
pub struct Post {
    outboxes: Mutex<Vec<Outbox>>,
    /// Rings when something waits for room.
    waiting: Notify,
}

impl Post {
    /// To these shards.
    #[must_use]
    pub fn new(outboxes: Vec<Outbox>) -> Self {
        Self { outboxes: Mutex::new(outboxes), waiting: Notify::new() }
    }

    fn outboxes(&self) -> MutexGuard<'_, Vec<Outbox>> {
        // Nothing that is done with them leaves half a change.
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an answer to the shard that asked.
    pub fn answer(&self, answer: Answer) {
        self.tell_one(answer.key.shard, Update::Answered(answer));
    }

    /// Says something to one shard.
    pub fn tell_one(&self, shard: u16, update: Update) {
        if let Some(outbox) = self.outboxes().get_mut(usize::from(shard)) {
            outbox.send(update);
            if !outbox.is_empty() {
                self.waiting.notify_one();
            }
        }
    }

    /// Says the same to every shard.
    pub fn tell(&self, update: impl Fn() -> Update) {
        for outbox in self.outboxes().iter_mut() {
            outbox.send(update());
            if !outbox.is_empty() {
                self.waiting.notify_one();
            }
        }
    }

    /// Sends what did not fit, until it has, for ever.
    pub async fn flush_for_ever(&self) {
        loop {
            self.waiting.notified().await;
            while !self.outboxes().iter_mut().all(Outbox::flush) {
                tokio::time::sleep(FLUSH_AGAIN).await;
            }
        }
    }
}
