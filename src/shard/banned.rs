//! Whose connections are not taken, and whose are closed: bans, and limits of an address.

use std::net::IpAddr;
use std::sync::Arc;

use super::connection::{Ending, Phase, Via};
use super::kernel::Kernel;
use super::{Inbox, Shard};
use crate::config::BANNED_LOOKED_AT_A_TURN;
use crate::guard::{Bans, Offence};
use crate::request::refusal::Refusal;

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Whether the address of a client that has just come is needed at all.
    pub(super) fn needs_address(&self) -> bool {
        self.settings.limits.connections_per_address > 0
            || self.bans.refuse_connections()
            || !self.settings.door.trusted.is_empty()
    }

    /// Why nothing is taken from this address, if so.
    pub(super) fn shut_to(&mut self, address: IpAddr) -> Option<Refusal> {
        if self.bans.close(address) {
            return Some(Refusal::Banned);
        }
        if !self.is_crowded(address) {
            return None;
        }
        self.refusals.strikes.note(Some(address), (Offence::Flood, 0), b"", self.now.ticks);
        Some(Refusal::TooMany)
    }

    fn is_crowded(&self, address: IpAddr) -> bool {
        let most = self.settings.limits.connections_per_address;
        most > 0 && self.addresses.get(&address).copied().unwrap_or(0) >= most
    }

    /// A connection is of this address from now on, where that is counted.
    pub(super) fn count_address(&mut self, owner: u32, address: IpAddr) {
        if self.settings.limits.connections_per_address > 0 {
            *self.addresses.entry(address).or_default() += 1;
            self.address_of.insert(owner, address);
        }
    }

    /// Others are banned than before: all connections are looked at, some a turn.
    pub(super) fn hear_of_bans(&mut self, bans: Arc<Bans>) {
        self.bans = bans;
        if self.bans.refuse_connections() {
            self.banned_hand = Some(0);
        }
    }

    /// Closes connections of whoever is banned. One that belongs to a proxy is closed only while
    /// it carries a request of such a client.
    pub(super) fn close_banned(&mut self) {
        let Some(from) = self.banned_hand else { return };
        let end = from.saturating_add(BANNED_LOOKED_AT_A_TURN);
        for owner in from..end {
            let Some(connection) = self.connections.get(owner) else { continue };
            let rests = matches!(connection.phase, Phase::Idle { .. } | Phase::Head);
            // One that is closed in peace may still be owed megabytes.
            let is_over = connection.closing == Some(Ending::Reset);
            if is_over || connection.via != Via::Direct && rests {
                continue;
            }
            let address = connection.peer(&self.kernel);
            if address.is_some_and(|address| self.bans.close(address)) {
                self.counters.refused(Refusal::Banned);
                self.close(owner, Ending::Reset);
            }
        }
        let is_over = end as usize >= self.connections.place_count();
        self.banned_hand = (!is_over).then_some(end);
    }
}
