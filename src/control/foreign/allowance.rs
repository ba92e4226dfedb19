//! How many signatures that are none an address may show: a bucket for each, which fills again.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::config::foreign::{
    FOREIGN_ADDRESSES_MAX, FOREIGN_FAILURES_A_SECOND, FOREIGN_FAILURES_BURST,
};
use crate::viewer::session;

/// How often it is looked which addresses can be forgotten, if there are too many.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    /// When it was filled last.
    at: Instant,
}

impl Bucket {
    /// As it is now. What is less than one goes on filling.
    fn filled(self, now: Instant) -> Self {
        let millis = now.saturating_duration_since(self.at).as_millis();
        let more = millis * u128::from(FOREIGN_FAILURES_A_SECOND) / 1000;
        let left = u128::from(self.left) + more;
        if left >= u128::from(FOREIGN_FAILURES_BURST) {
            return Self { left: FOREIGN_FAILURES_BURST, at: now };
        }
        match more {
            0 => self,
            _ => Self { left: u32::try_from(left).unwrap_or(FOREIGN_FAILURES_BURST), at: now },
        }
    }
}

/// What every address may still show.
#[derive(Debug, Default)]
pub struct Allowances {
    of: HashMap<IpAddr, Bucket>,
    swept: Option<Instant>,
}

impl Allowances {
    /// Takes one; false if there is none left. Whoever comes from nowhere has one bucket together.
    pub fn take(&mut self, peer: Option<IpAddr>, now: Instant) -> bool {
        let network = network(peer);
        if !self.of.contains_key(&network) && self.of.len() >= FOREIGN_ADDRESSES_MAX {
            self.sweep(now);
            if self.of.len() >= FOREIGN_ADDRESSES_MAX {
                return false;
            }
        }
        let full = Bucket { left: FOREIGN_FAILURES_BURST, at: now };
        let bucket = self.of.entry(network).or_insert(full);
        *bucket = bucket.filled(now);
        let is_left = bucket.left > 0;
        bucket.left = bucket.left.saturating_sub(1);
        is_left
    }

    /// Forgets those that may show as many as one that is new.
    fn sweep(&mut self, now: Instant) {
        let is_time = |swept| now.saturating_duration_since(swept) >= SWEEP_EVERY;
        if self.swept.is_none_or(is_time) {
            self.swept = Some(now);
            self.of.retain(|_, bucket| bucket.filled(now).left < FOREIGN_FAILURES_BURST);
        }
    }

    /// What was taken was a signature, or nothing was done.
    pub fn give_back(&mut self, peer: Option<IpAddr>) {
        if let Some(bucket) = self.of.get_mut(&network(peer)) {
            bucket.left = (bucket.left + 1).min(FOREIGN_FAILURES_BURST);
        }
    }
}

fn network(peer: Option<IpAddr>) -> IpAddr {
    peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), session::network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_may_fail_so_often_and_its_neighbours_do_not_notice() {
        let (mut allowances, now) = (Allowances::default(), Instant::now());
        let one = peer("192.0.2.1");
        let taken = (0..1000).filter(|_| allowances.take(one, now)).count();
        assert_eq!(taken, FOREIGN_FAILURES_BURST as usize);
        assert!(allowances.take(peer("192.0.2.2"), now) && allowances.take(None, now));
        // The same line, whatever it calls itself.
        assert!(!allowances.take(peer("::ffff:192.0.2.1"), now));
        let home = peer("2001:db8::1");
        let taken = (0..1000).filter(|_| allowances.take(home, now)).count();
        assert_eq!(taken, FOREIGN_FAILURES_BURST as usize);
        assert!(!allowances.take(peer("2001:db8::2"), now));
        assert!(allowances.take(peer("2001:db8:0:1::1"), now));
        let soon = now + Duration::from_secs(3);
        let taken = (0..1000).filter(|_| allowances.take(one, soon)).count();
        assert_eq!(taken, 3 * FOREIGN_FAILURES_A_SECOND as usize);
    }

    #[test]
    fn who_asks_all_the_time_is_filled_up_all_the_same() {
        let (mut allowances, now) = (Allowances::default(), Instant::now());
        let one = peer("192.0.2.1");
        let at = |millis| now + Duration::from_millis(millis);
        let taken = (0..10_000).filter(|&millis| allowances.take(one, at(millis))).count();
        let expected = FOREIGN_FAILURES_BURST + 10 * FOREIGN_FAILURES_A_SECOND;
        assert!(taken.abs_diff(expected as usize) <= 1, "{taken}");
    }

    #[test]
    fn good_signatures_cost_nothing() {
        let (mut allowances, now) = (Allowances::default(), Instant::now());
        let one = peer("192.0.2.1");
        for _ in 0..1000 {
            assert!(allowances.take(one, now));
            allowances.give_back(one);
        }
    }

    #[test]
    fn only_so_many_addresses_are_remembered_and_idle_ones_make_room() {
        let (mut allowances, now) = (Allowances::default(), Instant::now());
        let many = u32::try_from(FOREIGN_ADDRESSES_MAX).unwrap();
        let address = |at: u32| Some(IpAddr::from(at.to_be_bytes()));
        assert!((0..many).all(|at| allowances.take(address(at), now)));
        assert!(!allowances.take(address(many), now));
        assert!(allowances.take(address(0), now), "who is known goes on");
        assert_eq!(allowances.of.len(), FOREIGN_ADDRESSES_MAX);
        let later = now + Duration::from_secs(60);
        assert!(allowances.take(address(many), later));
        assert_eq!(allowances.of.len(), 1);
    }
}
