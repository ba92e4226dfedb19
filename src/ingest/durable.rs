//! Whether what a request brought is durable, and what its encoder is told of that.
//!
//! Where the archive is required, success means that every segment of which the request brought
//! something is on the disk, or was there before; anything else is 507. Where it is not, success
//! means that it is published, and a header says whether it is on the disk by then.

use std::rc::Rc;
use std::time::Duration;

use super::Live;
use super::receive::Outcome;
use crate::config::ARCHIVE_DEADLINE_MS;
use crate::ingest::channel::Channel;
use crate::live::boxes::stream::Chunk;
use crate::live::publisher::Taken;
use crate::live::records::Records;

/// What a request has brought something of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Touched {
    /// The first and the last segment.
    numbers: Option<(i64, i64)>,
    /// Something is not published, and was not before.
    is_lost: bool,
    /// Something was kept before the server was started again.
    was_kept: bool,
    /// Of a published time other bytes came, which are not kept.
    is_other: bool,
}

impl Touched {
    /// Notes a chunk that waits for what it follows. Success means that its segment is durable,
    /// too.
    pub fn await_one(&mut self, channel: &Channel, feed: usize, chunk: &Chunk) {
        if channel.archive().is_required() {
            self.add_number(channel.number_awaiting(feed, chunk));
        }
    }

    fn add_number(&mut self, number: Option<i64>) {
        let Some(number) = number else { return };
        let (first, last) = self.numbers.unwrap_or((number, number));
        self.numbers = Some((first.min(number), last.max(number)));
    }

    /// Notes what came of a chunk.
    pub fn add(
        &mut self,
        records: &Records,
        channel: &Channel,
        feed: usize,
        chunk: &Chunk,
        taken: Taken,
    ) {
        if !channel.archive().is_kept() {
            return;
        }
        let number = channel.number_of(feed, chunk, taken);
        match (taken, number) {
            (Taken::Published(_) | Taken::Repeated, Some(_)) => self.add_number(number),
            (Taken::Conflict, _) => self.is_other = true,
            (Taken::Late | Taken::NotIndependent, Some(number))
                if is_kept(records, channel, feed, number) =>
            {
                self.was_kept = true;
            }
            _ => self.is_lost = true,
        }
    }
}

/// Whether a segment is durable that is not published any more.
fn is_kept(records: &Records, channel: &Channel, feed: usize, number: i64) -> bool {
    let Some(rendition) = channel.rendition(feed) else { return false };
    let found = records.with(channel.id(), |record| {
        record.rendition(&rendition)?.segment(number).filter(|kept| !kept.is_gap()).copied()
    });
    found.flatten().is_some()
}

/// What an encoder is told of a request that would have succeeded.
pub async fn told(
    outcome: Outcome,
    live: &Rc<Live>,
    feed: Option<usize>,
    touched: Touched,
) -> Outcome {
    let (archive, rendition) = {
        let channel = live.channel.borrow();
        (channel.archive().clone(), feed.and_then(|feed| channel.rendition(feed)))
    };
    if !outcome.status.is_success() || !archive.is_kept() {
        return outcome;
    }
    let is_durable = match (touched.numbers, &rendition) {
        _ if touched.is_lost => false,
        (None, _) if touched.was_kept || touched.is_other => true,
        // A header, or nothing. A header is kept with each segment that needs it.
        (None, _) => return outcome,
        (Some((first, last)), Some(rendition)) if archive.is_required() => {
            let settled = archive.progress().settled(rendition, first, last);
            let deadline = Duration::from_millis(ARCHIVE_DEADLINE_MS);
            tokio::time::timeout(deadline, settled).await.unwrap_or(false)
        }
        (Some((first, last)), Some(rendition)) => {
            archive.progress().is_durable(rendition, first, last) == Some(true)
        }
        (Some(_), None) => false,
    };
    if archive.is_required() && !is_durable {
        let why = if touched.is_lost { outcome.why } else { "it could not be kept".to_owned() };
        return Outcome::new(507, format!("not durable: {why}"));
    }
    Outcome { durable: Some(is_durable && !touched.is_other), ..outcome }
}
