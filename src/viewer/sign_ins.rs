//! What one shard remembers of app passwords that were said: who said a wrong one lately, who a
//! right one, and whom control has let in.
//!
//! A right one is looked up by the shard itself. Where somebody said a wrong one of that account
//! from that place within the hour, control looks at everything that is new to this shard, since
//! control counts for all of them; whoever said the right one there before goes on. Tables with a
//! place for each, which the next one with the same place takes over; the places are by a hash
//! whose key nobody knows.

use std::net::IpAddr;

use ahash::RandomState;

use super::accounts::Credential;
use super::session::network;
use crate::config::{LET_IN_MS, SIGN_INS_KEPT, SIGN_INS_KEPT_MS};
use crate::units::Ticks;

/// What somebody said, as marks that nobody outside can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Of the account, and the place that it came from.
    account: u64,
    /// Of the password as well.
    credential: u64,
    /// And of the player.
    device: u64,
}

/// Marks that are remembered until then.
#[derive(Debug, Default)]
struct Table {
    /// Empty until the first one comes.
    places: Box<[(u64, Ticks)]>,
}

impl Table {
    fn has(&self, mark: u64, now: Ticks) -> bool {
        self.places.get(place(mark)).is_some_and(|(of, until)| *of == mark && now < *until)
    }

    fn put(&mut self, mark: u64, until: Ticks) {
        if self.places.is_empty() {
            self.places = vec![(0, Ticks(0)); SIGN_INS_KEPT].into();
        }
        self.places[place(mark)] = (mark, until);
    }
}

fn place(mark: u64) -> usize {
    mark as usize % SIGN_INS_KEPT
}

/// What was said at one shard.
#[derive(Debug, Default)]
pub struct SignIns {
    hasher: RandomState,
    /// Accounts, and the place that a wrong password came from.
    failed: Table,
    /// Passwords that were right, and the place.
    right: Table,
    /// Whom control has let in.
    let_in: Table,
}

impl SignIns {
    /// The marks of what is said there.
    #[must_use]
    pub fn said(
        &self,
        (user, credential): (&str, Credential),
        from: Option<IpAddr>,
        agent: &[u8],
    ) -> Said {
        let from = from.map(network);
        let credential = self.hasher.hash_one((credential, from));
        let (account, device) =
            (self.hasher.hash_one((user, from)), self.hasher.hash_one((credential, agent)));
        Said { account, credential, device }
    }

    /// Whether this shard may go by what it has looked up itself; else control is to be asked.
    pub fn judge(&mut self, said: &Said, is_right: bool, now: Ticks) -> bool {
        let until = now.plus(SIGN_INS_KEPT_MS);
        if !is_right {
            self.failed.put(said.account, until);
            return false;
        }
        let is_known = self.right.has(said.credential, now);
        if !is_known && self.failed.has(said.account, now) {
            return false;
        }
        self.right.put(said.credential, until);
        true
    }

    /// Whether control has let this device in a moment ago.
    #[must_use]
    pub fn is_let_in(&self, said: &Said, now: Ticks) -> bool {
        self.let_in.has(said.device, now)
    }

    /// Control lets it in.
    pub fn let_in(&mut self, said: &Said, now: Ticks) {
        self.right.put(said.credential, now.plus(SIGN_INS_KEPT_MS));
        self.let_in.put(said.device, now.plus(LET_IN_MS));
    }
}

/// Why control does not let somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLetIn {
    /// No such user, or not this password.
    Wrong,
    /// Too many different ones were wrong.
    LockedOut,
    /// The operator's back end says no.
    Hook,
    /// The operator's back end says nothing.
    HookFailed,
    /// Too many want to know.
    Busy,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::viewer::accounts::Hasher;

    fn said(sign_ins: &SignIns, password: &str, from: &str, agent: &str) -> Said {
        let credential = Credential::of(&Hasher::new(&[7; 32]).hash("anna", password));
        sign_ins.said(("anna", credential), from.parse().ok(), agent.as_bytes())
    }

    const HOME: &str = "192.0.2.1";

    #[test]
    fn after_a_wrong_one_control_looks_at_all_that_is_new_from_there() {
        let mut sign_ins = SignIns::default();
        let right = said(&sign_ins, "right", HOME, "VLC");
        let elsewhere = said(&sign_ins, "right", "192.0.2.2", "VLC");
        assert!(sign_ins.judge(&right, true, Ticks(1)));
        let wrong = said(&sign_ins, "wrong", HOME, "VLC");
        assert!(!sign_ins.judge(&wrong, false, Ticks(2)));
        assert!(sign_ins.judge(&right, true, Ticks(3)), "it was right there before");
        let other = said(&sign_ins, "other", HOME, "VLC");
        assert!(!sign_ins.judge(&other, true, Ticks(3)), "right, and new");
        assert!(sign_ins.judge(&elsewhere, true, Ticks(3)));
        sign_ins.let_in(&other, Ticks(4));
        assert!(sign_ins.judge(&other, true, Ticks(5)));
        let later = Ticks(2).plus(SIGN_INS_KEPT_MS);
        let third = said(&sign_ins, "third", HOME, "VLC");
        assert!(!sign_ins.judge(&third, true, Ticks(later.0 - 1)));
        assert!(sign_ins.judge(&third, true, later), "an hour later");
    }

    #[test]
    fn whoever_was_let_in_is_so_for_a_moment_and_with_one_player() {
        let mut sign_ins = SignIns::default();
        let (vlc, kodi) =
            (said(&sign_ins, "right", HOME, "VLC"), said(&sign_ins, "right", HOME, "Kodi"));
        sign_ins.let_in(&vlc, Ticks(5));
        assert!(sign_ins.is_let_in(&vlc, Ticks(6)) && !sign_ins.is_let_in(&kodi, Ticks(6)));
        assert!(!sign_ins.is_let_in(&vlc, Ticks(5).plus(LET_IN_MS)));
    }

    #[test]
    fn others_take_a_place_and_memory_is_bounded() {
        let mut sign_ins = SignIns::default();
        for number in 0..3 * SIGN_INS_KEPT {
            let wrong =
                said(&sign_ins, "wrong", &format!("10.0.{}.{}", number / 256, number % 256), "");
            sign_ins.judge(&wrong, false, Ticks(1));
        }
        assert_eq!(sign_ins.failed.places.len(), SIGN_INS_KEPT);
        assert_eq!(size_of_val(&*sign_ins.failed.places), 16 * SIGN_INS_KEPT);
    }
}
