//! What is made piece by piece: who sends it waits for the next piece, which somebody off the shard
//! makes once for all.
//!
//! A piece is sent from memory, and may go for want of room while a slow client has not taken all
//! of it: then it is asked for again.

use super::Shard;
use super::connection::Ending;
use super::exchange::{State, Waiter, Work, add_waiter};
use super::kernel::Kernel;
use super::output::Stepped;
use crate::config::COLD_DEADLINE_MS;
use crate::messages::mail::Inbox;
use crate::messages::{Made, Payload, SourceId, WantedPiece};

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// What becomes of the exchange if its next byte lies in a piece that is not there; none if it
    /// is, or in memory anyway.
    pub(super) fn unless_made(&mut self, place: u32) -> Option<Stepped> {
        let Work::Object { key, at, end, resident, .. } = &mut self.exchanges[place].work else {
            return None;
        };
        let held = self.catalog.opened(key.source);
        let Payload::Reel(reel) = &held.payload else {
            *resident = *end - *at;
            return None;
        };
        let found = reel.at(*at).and_then(|number| Some((number, reel.extent(number)?)));
        let Some((number, piece)) = found else { return Some(Stepped::Broken) };
        if self.catalog.piece_of(held.source, number).is_some() {
            *resident = (piece.offset + piece.size).min(*end) - *at;
            return None;
        }
        let wanted = WantedPiece { source: held.source, number };
        Some(self.wait_for_piece(place, wanted))
    }

    /// An exchange waits for a piece that is not there; it is asked for, if nobody has.
    fn wait_for_piece(&mut self, place: u32, wanted: WantedPiece) -> Stepped {
        let is_asked = self.pieces.contains_key(&wanted);
        let ask = |wanted| self.outside.pieces.as_ref()?.try_send(wanted).ok();
        if !is_asked && ask(wanted).is_none() {
            return Stepped::Full;
        }
        let exchange = &mut self.exchanges[place];
        exchange.state = State::Unmade;
        let waiter = Waiter { exchange: place, generation: exchange.generation };
        let owner = exchange.owner;
        add_waiter(self.pieces.entry(wanted).or_default(), waiter, &self.exchanges);
        self.set_deadline(owner, self.now.ticks.plus(COLD_DEADLINE_MS));
        Stepped::Waiting
    }

    /// Whoever makes pieces says what has become of one.
    pub(super) fn take_piece(&mut self, source: SourceId, number: u32, made: &Made) {
        self.catalog.take_piece(source, number, made);
        for waiter in self.pieces.remove(&WantedPiece { source, number }).unwrap_or_default() {
            let Some(exchange) = self.waiting(waiter) else { continue };
            if exchange.state != State::Unmade {
                continue;
            }
            let owner = exchange.owner;
            if matches!(made, Made::Never) {
                self.counters.faults += 1;
                self.close(owner, Ending::Reset);
            } else {
                // Until now the piece was late, not the client.
                self.judge_anew(owner, waiter.exchange);
                self.make_ready(waiter.exchange);
            }
        }
    }
}
