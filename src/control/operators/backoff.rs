//! How often one may try to sign in: by address, and by user name at an address.
//!
//! Pure: times are milliseconds of a clock that never goes back. An attempt counts as failed from
//! the moment it begins, so that many at once are no way around it, and is taken back if it was
//! right. What happens at one address holds up nobody at another: a wrong password can't lock
//! anybody out. Memory is bounded, and at the bound nothing that was counted is forgotten early.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use super::hashing::Turn;
use crate::config::{
    FAILING_ADDRESSES_MAX, FAILING_USERS_MAX, FAILURE_WAIT_MAX_MS, FAILURES_FREE, FAILURES_KEPT_MS,
    SIGN_IN_EVERY_MS, SIGN_INS_IN_A_ROW, UNKNOWN_KEY_EVERY_MS, UNKNOWN_KEYS_IN_A_ROW,
    WRONG_CODES_MAX, WRONG_CODES_MS,
};

/// How long to wait, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub u64);

/// So many in a row, and then one every so often.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// When it is full again.
    full_at: u64,
}

impl Bucket {
    /// Milliseconds until one may be taken.
    fn wait(self, most: u32, every_ms: u64, now: u64) -> u64 {
        let owed = self.full_at.saturating_sub(now);
        (owed + every_ms).saturating_sub(u64::from(most) * every_ms)
    }

    fn take(&mut self, every_ms: u64, now: u64) {
        self.full_at = self.full_at.max(now) + every_ms;
    }
}

/// A user name at an address.
#[derive(Clone, Copy, Debug)]
struct Failing {
    /// Its hash; names that have the same one share a place.
    user: u64,
    failures: u32,
    last: u64,
}

impl Failing {
    fn until(&self) -> u64 {
        match self.failures.checked_sub(FAILURES_FREE) {
            None => self.last,
            Some(beyond) => {
                let wait = 1_000_u64.checked_shl(beyond).unwrap_or(FAILURE_WAIT_MAX_MS);
                self.last + wait.clamp(1_000, FAILURE_WAIT_MAX_MS)
            }
        }
    }
}

#[derive(Debug, Default)]
struct Address {
    sign_ins: Bucket,
    unknown_keys: Bucket,
    told: Bucket,
    users: Vec<Failing>,
    last: u64,
}

impl Address {
    fn is_idle(&self, now: u64) -> bool {
        let is_failing = self.users.iter().any(|user| now < user.last + FAILURES_KEPT_MS);
        let buckets = [self.sign_ins, self.unknown_keys, self.told];
        !is_failing && buckets.iter().all(|bucket| bucket.full_at <= now)
    }
}

/// What is remembered of attempts.
#[derive(Default)]
pub struct Backoff {
    addresses: HashMap<IpAddr, Address>,
    /// Of all addresses for which there was no room.
    others: Address,
    swept: u64,
    codes: HashMap<String, Bucket>,
    hasher: RandomState,
}

impl Backoff {
    /// Whether somebody may try now, and when the attempt has its turn. It counts as failed.
    ///
    /// # Errors
    ///
    /// How long to wait.
    pub fn attempt(&mut self, address: IpAddr, user: &str, now: u64) -> Result<Turn, Wait> {
        let user = self.hasher.hash_one(user);
        let address = self.address(address, now);
        let wait = address.sign_ins.wait(SIGN_INS_IN_A_ROW, SIGN_IN_EVERY_MS, now);
        if wait > 0 {
            return Err(Wait(wait));
        }
        address.users.retain(|failing| now < failing.last + FAILURES_KEPT_MS);
        let turn = if address.users.is_empty() { Turn::First } else { Turn::Last };
        let has_room = address.users.len() < FAILING_USERS_MAX;
        match address.users.iter_mut().find(|failing| failing.user == user) {
            Some(failing) if failing.until() > now => return Err(Wait(failing.until() - now)),
            Some(failing) => {
                failing.failures = failing.failures.saturating_add(1);
                failing.last = now;
            }
            None if has_room => {
                address.users.push(Failing { user, failures: 1, last: now });
            }
            None => {
                // Of those that hold up nobody the oldest makes room; never one that does.
                let free = address.users.iter_mut().filter(|failing| failing.until() <= now);
                let oldest = free.min_by_key(|failing| failing.last);
                let Some(oldest) = oldest else { return Err(Wait(FAILURE_WAIT_MAX_MS)) };
                *oldest = Failing { user, failures: 1, last: now };
            }
        }
        address.sign_ins.take(SIGN_IN_EVERY_MS, now);
        Ok(turn)
    }

    /// The attempt was right, and so was whoever made those before.
    pub fn succeeded(&mut self, address: IpAddr, user: &str, now: u64) {
        let user = self.hasher.hash_one(user);
        self.address(address, now).users.retain(|failing| failing.user != user);
    }

    /// The attempt came to nothing through no fault of whoever made it.
    pub fn forgiven(&mut self, address: IpAddr, user: &str, now: u64) {
        let user = self.hasher.hash_one(user);
        let users = &mut self.address(address, now).users;
        if let Some(failing) = users.iter_mut().find(|failing| failing.user == user) {
            failing.failures -= 1;
        }
        users.retain(|failing| failing.failures > 0);
    }

    /// How long the next attempt has to wait, in milliseconds.
    pub fn lock_out(&mut self, address: IpAddr, user: &str, now: u64) -> u64 {
        let user = self.hasher.hash_one(user);
        let users = &self.address(address, now).users;
        let failing = users.iter().find(|failing| failing.user == user);
        failing.map_or(0, |failing| failing.until().saturating_sub(now))
    }

    /// Whether keys of the API may be looked at that come from there.
    ///
    /// # Errors
    ///
    /// How long to wait.
    pub fn may_show_a_key(&mut self, address: IpAddr, now: u64) -> Result<(), Wait> {
        let bucket = self.address(address, now).unknown_keys;
        match bucket.wait(UNKNOWN_KEYS_IN_A_ROW, UNKNOWN_KEY_EVERY_MS, now) {
            0 => Ok(()),
            wait => Err(Wait(wait)),
        }
    }

    /// A key that came from there is none.
    pub fn unknown_key(&mut self, address: IpAddr, now: u64) {
        self.address(address, now).unknown_keys.take(UNKNOWN_KEY_EVERY_MS, now);
    }

    /// Whether something odd that came from there is told of: anybody can send it, and a log is to
    /// be read.
    pub fn is_told(&mut self, address: IpAddr, now: u64) -> bool {
        let told = &mut self.address(address, now).told;
        let is_told = told.wait(UNKNOWN_KEYS_IN_A_ROW, UNKNOWN_KEY_EVERY_MS, now) == 0;
        if is_told {
            told.take(UNKNOWN_KEY_EVERY_MS, now);
        }
        is_told
    }

    /// Whether a code of a second factor may be looked at. Only for users that there are, with the
    /// right password. It counts as wrong.
    ///
    /// # Errors
    ///
    /// How long to wait.
    pub fn code(&mut self, user: &str, now: u64) -> Result<(), Wait> {
        let every = WRONG_CODES_MS / WRONG_CODES_MAX as u64;
        self.codes.retain(|_, bucket| bucket.full_at > now);
        let bucket = self.codes.entry(user.to_owned()).or_default();
        match bucket.wait(WRONG_CODES_MAX as u32, every, now) {
            0 => {
                bucket.take(every, now);
                Ok(())
            }
            wait => Err(Wait(wait)),
        }
    }

    /// It was right.
    pub fn right_code(&mut self, user: &str) {
        self.codes.remove(user);
    }

    fn address(&mut self, address: IpAddr, now: u64) -> &mut Address {
        let address = network(address);
        let is_full = self.addresses.len() >= FAILING_ADDRESSES_MAX;
        // At most once a second, so that a flood at the bound does not pay for it each time.
        if is_full && now >= self.swept + 1_000 {
            self.swept = now;
            self.addresses.retain(|_, address| !address.is_idle(now));
        }
        let is_full = self.addresses.len() >= FAILING_ADDRESSES_MAX;
        let found = if is_full && !self.addresses.contains_key(&address) {
            &mut self.others
        } else {
            self.addresses.entry(address).or_default()
        };
        found.last = now;
        found
    }
}

/// Whose address it is: a household has a /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const HOUR: u64 = 3_600_000;

    #[test]
    fn each_further_failure_takes_twice_as_long_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let mut now = HOUR;
        let mut waits = Vec::new();
        for _ in 0..18 {
            let wait = match backoff.attempt(HERE, "anna", now) {
                Ok(_) => 0,
                Err(Wait(wait)) => {
                    assert_eq!(backoff.attempt(HERE, "anna", now + wait - 1), Err(Wait(1)));
                    now += wait;
                    backoff.attempt(HERE, "anna", now).unwrap();
                    wait / 1_000
                }
            };
            waits.push(wait);
        }
        let expected = [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900];
        assert_eq!(waits, expected);
        assert_eq!(backoff.lock_out(HERE, "anna", now), FAILURE_WAIT_MAX_MS);
        backoff.succeeded(HERE, "anna", now);
        assert_eq!(backoff.attempt(HERE, "anna", now), Ok(Turn::First));
    }

    #[test]
    fn failures_at_one_address_hold_up_nobody_at_another() {
        let mut backoff = Backoff::default();
        while backoff.attempt(HERE, "anna", HOUR).is_ok() {}
        assert_eq!(backoff.attempt(THERE, "anna", HOUR), Ok(Turn::First));
        assert_eq!(backoff.attempt(HERE, "bela", HOUR), Ok(Turn::Last), "behind the others");
        // A household is one address, whatever it calls itself.
        let home = |text: &str| text.parse().unwrap();
        while backoff.attempt(home("2001:db8::1"), "anna", HOUR).is_ok() {}
        assert!(backoff.attempt(home("2001:db8::2"), "anna", HOUR).is_err());
        assert!(backoff.attempt(home("2001:db8:0:1::2"), "anna", HOUR).is_ok());
        assert!(backoff.attempt(home("::ffff:192.0.2.1"), "anna", HOUR).is_err());
    }

    #[test]
    fn an_address_has_a_budget_whatever_names_it_tries() {
        let mut backoff = Backoff::default();
        let tried = |backoff: &mut Backoff, now| {
            (0..1000).filter(|name| backoff.attempt(HERE, &name.to_string(), now).is_ok()).count()
        };
        assert_eq!(tried(&mut backoff, HOUR), SIGN_INS_IN_A_ROW as usize);
        assert_eq!(tried(&mut backoff, HOUR + 60_000), 20);
        assert_eq!(tried(&mut backoff, HOUR + 60_000 + SIGN_IN_EVERY_MS - 1), 0);
        assert!(backoff.addresses[&HERE].users.len() <= FAILING_USERS_MAX);
    }

    #[test]
    fn other_names_do_not_wash_a_failure_away() {
        let mut backoff = Backoff::default();
        let mut now = HOUR;
        for _ in 0..12 {
            while let Err(Wait(wait)) = backoff.attempt(HERE, "anna", now) {
                now += wait;
            }
        }
        let until = now + 64_000;
        for name in 0..1000 {
            if let Err(Wait(wait)) = backoff.attempt(HERE, &name.to_string(), now) {
                now += wait.min(SIGN_IN_EVERY_MS);
            }
            if now < until {
                assert!(backoff.attempt(HERE, "anna", now).is_err());
            }
        }
    }

    #[test]
    fn what_was_nobodys_fault_is_not_counted() {
        let mut backoff = Backoff::default();
        for _ in 0..15 {
            assert_eq!(backoff.attempt(HERE, "anna", HOUR), Ok(Turn::First));
            backoff.forgiven(HERE, "anna", HOUR);
        }
        assert_eq!(backoff.lock_out(HERE, "anna", HOUR), 0);
    }

    #[test]
    fn memory_is_bounded_and_who_is_counted_stays_counted() {
        let mut backoff = Backoff::default();
        while backoff.attempt(HERE, "anna", HOUR).is_ok() {}
        for bits in 0..2 * FAILING_ADDRESSES_MAX as u32 {
            let _ = backoff.attempt(IpAddr::V4(bits.into()), "anna", HOUR);
        }
        assert!(backoff.addresses.len() <= FAILING_ADDRESSES_MAX);
        assert!(backoff.attempt(HERE, "anna", HOUR).is_err());
        assert!(backoff.attempt(THERE, "anna", HOUR).is_err(), "who finds no room shares one");
        let later = HOUR + FAILURES_KEPT_MS + 1;
        assert_eq!(backoff.attempt(THERE, "anna", later), Ok(Turn::First));
        assert_eq!(backoff.addresses.len(), 1);
    }

    #[test]
    fn codes_and_keys_are_not_guessed_for_long() {
        let mut backoff = Backoff::default();
        for _ in 0..WRONG_CODES_MAX {
            assert_eq!(backoff.code("anna", HOUR), Ok(()));
        }
        assert_eq!(backoff.code("anna", HOUR), Err(Wait(180_000)));
        assert_eq!(backoff.code("bela", HOUR), Ok(()));
        assert_eq!(backoff.code("anna", HOUR + 180_000), Ok(()));
        assert!(backoff.code("anna", HOUR + 180_000).is_err());
        backoff.right_code("anna");
        assert_eq!(backoff.code("anna", HOUR + 180_000), Ok(()));
        for _ in 0..UNKNOWN_KEYS_IN_A_ROW {
            assert_eq!(backoff.may_show_a_key(HERE, HOUR), Ok(()));
            backoff.unknown_key(HERE, HOUR);
        }
        assert!(backoff.may_show_a_key(HERE, HOUR).is_err());
        assert_eq!(backoff.may_show_a_key(THERE, HOUR), Ok(()));
        assert_eq!((0..1000).filter(|_| backoff.is_told(HERE, HOUR)).count(), 60);
    }
}
