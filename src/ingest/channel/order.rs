//! A channel of one encoder, whose chunks may come in another order than they are published in.

use std::time::Duration;

use super::{Channel, Unfit};
use crate::config::{AWAITING_CHUNKS_MAX, AWAITING_SIZE_MAX};
use crate::ingest::output::Stamp;
use crate::live::boxes::stream::Chunk;
use crate::live::order::{Held, Order};
use crate::live::publisher::{Taken, lead};

/// A request of an encoder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Of which source it is.
    pub source: usize,
    /// Which of the channel's it is.
    pub number: u64,
}

impl Channel {
    /// A request of a source begins.
    pub fn begin_request(&mut self, source: usize) -> Request {
        self.requests += 1;
        Request { source, number: self.requests }
    }

    /// Publishes a chunk, whose bytes have this hash, or holds it. Gives what came of it, if that
    /// is known.
    pub(super) fn publish_in_order(
        &mut self,
        at: usize,
        request: u64,
        chunk: &Chunk,
        (bytes, hash): (&[u8], u64),
        stamp: Stamp,
    ) -> Result<Option<Taken>, Unfit> {
        self.orders.resize_with(self.renditions.len(), Order::default);
        let publisher = &self.renditions[at].publisher;
        let missing = publisher.missing_before(chunk);
        let run = chunk.fragment.run(lead(publisher.init()).id);
        // Where nothing is said there may be no text at all, so nothing is missing.
        let is_awaited = !self.is_text(at)
            && self.orders[at].holds(missing, request)
            && !self.is_overdue(at, Duration::ZERO, stamp);
        let run = run.filter(|_| is_awaited);
        if let Some(decode_time) = run.map(|run| run.decode_time) {
            let (chunk, bytes) = (chunk.clone(), bytes.to_vec());
            let came = self.since_began(stamp);
            let (is_over, ends_request) = (false, false);
            let held = Held { chunk, bytes, hash, request, came, is_over, ends_request };
            let known = self.orders[at].hold(decode_time, held);
            known.into_iter().for_each(|taken| self.counts.add(taken));
            self.bound_awaiting(at, stamp);
            // Of what comes again it is not known either what will come of it.
            return Ok(known.filter(|taken| *taken == Taken::Conflict));
        }
        let taken = self.publish(at, chunk, (bytes, hash), stamp)?;
        if let Taken::Published(_) = taken {
            self.orders[at].publishes(request, true);
            self.publish_awaited(at, stamp);
        }
        Ok(Some(taken))
    }

    /// What waits has a largest size; beyond it the first of it is published.
    fn bound_awaiting(&mut self, at: usize, stamp: Stamp) {
        let size = |orders: &[Order]| orders.iter().map(Order::size).sum::<usize>();
        while size(&self.orders) > AWAITING_SIZE_MAX
            || self.orders[at].count() > AWAITING_CHUNKS_MAX
        {
            let Some(first) = self.orders[at].pop() else { break };
            self.publish_held(at, &first, stamp);
        }
        self.publish_awaited(at, stamp);
    }

    /// Publishes what has waited for what was published, and what has waited for too long.
    pub(super) fn publish_awaited(&mut self, at: usize, stamp: Stamp) {
        let now = self.since_began(stamp);
        while self.orders.get(at).is_some_and(|order| !order.is_empty()) {
            let is_overdue = self.is_overdue(at, Duration::ZERO, stamp);
            let publisher = &self.renditions[at].publisher;
            let Some(first) = self.orders[at].poll(publisher, is_overdue, now) else { break };
            self.publish_held(at, &first, stamp);
        }
    }

    /// What waits is published as it is: what comes now does not go on from it.
    pub(super) fn publish_all_awaiting(&mut self, at: usize, stamp: Stamp) {
        while let Some(first) = self.orders.get_mut(at).and_then(Order::pop) {
            self.publish_held(at, &first, stamp);
        }
    }

    fn publish_held(&mut self, at: usize, held: &Held, stamp: Stamp) {
        match self.publish(at, &held.chunk, (&held.bytes, held.hash), stamp) {
            Ok(Taken::Published(_)) => self.orders[at].publishes(held.request, !held.is_over),
            Ok(_) => {}
            Err(unfit) => {
                tracing::warn!(channel = self.id, ?unfit, "what was held is not published");
            }
        }
        if held.ends_request {
            self.end_request(at, stamp);
        }
    }

    /// A request of the one encoder has ended, or broke off.
    pub(super) fn end_request_in_order(
        &mut self,
        at: usize,
        request: u64,
        is_whole: bool,
        stamp: Stamp,
    ) {
        let Some(order) = self.orders.get_mut(at) else { return };
        if order.end_request(request, is_whole) {
            self.end_request(at, stamp);
        }
        self.publish_awaited(at, stamp);
    }

    /// The number of the segment in which a chunk that waits will lie, or a later one.
    #[must_use]
    pub fn number_awaiting(&self, feed: usize, chunk: &Chunk) -> Option<i64> {
        let is_one = self.sources.count() == 1;
        let of = self.renditions.get(feed).filter(|_| is_one)?;
        of.publisher.number_after_missing(chunk)
    }
}
