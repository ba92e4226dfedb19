//! Making room: the longest idle are closed, rather than new clients kept waiting.
//!
//! This happens only while accepting is paused, at the limit of connections or for want of
//! descriptors. Then a few hundred connections are looked at each turn, and the longest idle of
//! them closed. So it costs nothing while there is room, and a bounded time a turn when there is
//! none.

use super::Shard;
use super::connection::{Ending, Phase};
use super::kernel::{Errno, Kernel};
use crate::config::{
    IDLE_CLOSES_A_TURN_MAX, IDLE_GIVEN_UP_AFTER_MS, IDLE_LOOKS_A_TURN_MAX, TIMER_TICK_MS,
};
use crate::messages::mail::Inbox;
use crate::units::Ticks;

/// The longest idle of the connections that were looked at, the very longest first.
#[derive(Default)]
struct Idlest {
    found: [(Ticks, u32); IDLE_CLOSES_A_TURN_MAX],
    count: usize,
}

impl Idlest {
    fn note(&mut self, since: Ticks, owner: u32) {
        let later = self.found[..self.count].iter().position(|&(known, _)| since < known);
        let place = later.unwrap_or(self.count);
        if place == self.found.len() {
            return;
        }
        self.count = (self.count + 1).min(self.found.len());
        self.found[place..self.count].rotate_right(1);
        self.found[place] = (since, owner);
    }
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Closes some of those that are idle, if new clients have no room.
    pub(super) fn make_room(&mut self) {
        let is_short = !self.has_room() || self.lacks_descriptors;
        if !is_short || !self.listening || self.now.ticks < self.room_after {
            return;
        }
        let count = self.connections.place_count();
        let mut idlest = Idlest::default();
        for _ in 0..count.min(IDLE_LOOKS_A_TURN_MAX) {
            self.room_hand = (self.room_hand + 1) % count;
            let owner = u32::try_from(self.room_hand).expect("owners fit 28 bits");
            let Some(connection) = self.connections.get(owner) else { continue };
            if let Phase::Idle { since } = connection.phase
                && connection.pending.is_none()
                && connection.closing.is_none()
                && self.now.ticks.since(since) >= IDLE_GIVEN_UP_AFTER_MS
            {
                idlest.note(since, owner);
            }
        }
        for &(_, owner) in &idlest.found[..idlest.count] {
            self.close(owner, Ending::Close);
        }
        if idlest.count > 0 {
            self.lacks_descriptors = false;
        } else {
            // Nobody was found, so the next look can wait for a tick.
            self.room_after = self.now.ticks.plus(TIMER_TICK_MS);
        }
    }
}

/// Whether accepting failed for want of something that a connection gives back when it ends.
pub(super) fn is_for_want_of_room(errno: Errno) -> bool {
    matches!(errno.0, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_are_found() {
        let mut idlest = Idlest::default();
        for owner in 0..100_u32 {
            // Every number below 101 once, in some order.
            idlest.note(Ticks(u64::from((owner + 1) * 37 % 101)), owner);
        }
        let found: Vec<u64> =
            idlest.found[..idlest.count].iter().map(|(since, _)| since.0).collect();
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_few_are_all_found() {
        let mut idlest = Idlest::default();
        for (since, owner) in [(7, 1), (5, 2), (6, 3)] {
            idlest.note(Ticks(since), owner);
        }
        let owners: Vec<u32> =
            idlest.found[..idlest.count].iter().map(|&(_, owner)| owner).collect();
        assert_eq!(owners, [2, 3, 1]);
    }
}
