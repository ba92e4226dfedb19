//! How often somebody failed: distinct wrong credentials by (address, account), and distinct
//! offences by address.
//!
//! A device with an old password says the same wrong thing a thousand times; whoever guesses says
//! a thousand different ones. So what was said before is not counted again, and what is right, of
//! whatever line, is never counted at all. What counts is how many *different* ones came within an
//! hour. Pure: `now` is an argument, and credentials come as marks (`Marks`). Nothing is kept over
//! a restart.

use std::net::{IpAddr, Ipv6Addr};

use ahash::AHashMap;

use crate::config::{FAILURES_HOUR_SECONDS, FAILURES_KEPT_MAX, GUESSES_AN_HOUR_MAX};
use crate::units::UnixTime;

/// Whose failures are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// The address; of IPv6 the network of 64 bits, which is one household.
    from: IpAddr,
    /// The mark of the account; none = whatever was done from there.
    account: Option<u64>,
}

impl Who {
    /// Whoever is there.
    #[must_use]
    pub fn at(from: IpAddr) -> Self {
        Self { from: household(from), account: None }
    }

    /// Whoever is there and says to be this account, which is a mark.
    #[must_use]
    pub fn saying(from: IpAddr, account: u64) -> Self {
        Self { from: household(from), account: Some(account) }
    }
}

/// An address, or the 64 bits of one of IPv6 that belong to whoever has it.
#[must_use]
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        address => address,
    }
}

/// Whoever may not try again before then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockedOut {
    /// When the next try is looked at.
    pub until: UnixTime,
}

/// What became of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It was said before, and is not counted again.
    Again,
    /// It is one more; so many different ones within the hour now.
    New(usize),
}

/// Failures of one.
#[derive(Clone, Debug, Default)]
struct Tries {
    /// Marks of what failed, and when it did first, oldest first; as many as are ever asked for.
    failed: Vec<(u64, UnixTime)>,
    /// What was right last: whoever shares an address with somebody who guesses goes on.
    right: Option<u64>,
}

impl Tries {
    fn forget(&mut self, now: UnixTime) {
        // A clock that was put back makes nothing older.
        self.failed.retain(|(_, at)| now.0.saturating_sub(at.0) < FAILURES_HOUR_SECONDS);
    }
}

/// Failures of everybody, in two halves: when the young one is full, or an hour old, it becomes
/// the old one, and what was in that and did not happen again is forgotten.
#[derive(Debug, Default)]
pub struct Failures {
    young: AHashMap<Who, Tries>,
    old: AHashMap<Who, Tries>,
    /// When the young half began.
    since: UnixTime,
}

impl Failures {
    /// Whether a credential may be looked at: one that is not known to be wrong, of whoever has
    /// said `GUESSES_AN_HOUR_MAX` wrong ones, is not.
    ///
    /// # Errors
    ///
    /// `LockedOut`, whether or not it is right: nothing was looked at.
    pub fn may_try(&mut self, who: Who, mark: u64, now: UnixTime) -> Result<(), LockedOut> {
        let Some(tries) = self.tries(who, now) else { return Ok(()) };
        let is_known = tries.right == Some(mark);
        match tries.failed.len().checked_sub(GUESSES_AN_HOUR_MAX) {
            Some(beyond) if !is_known => {
                let first = tries.failed[beyond].1;
                Err(LockedOut { until: UnixTime(first.0 + FAILURES_HOUR_SECONDS) })
            }
            _ => Ok(()),
        }
    }

    /// A credential was wrong, or something else was done that is counted; of more than `most`
    /// different ones an hour the oldest are forgotten.
    pub fn failed(&mut self, who: Who, mark: u64, most: usize, now: UnixTime) -> Counted {
        self.grow_old(now);
        let tries = self.renewed(who);
        tries.forget(now);
        if tries.failed.iter().any(|(of, _)| *of == mark) {
            return Counted::Again;
        }
        if tries.failed.len() >= most.max(1) {
            tries.failed.remove(0);
        }
        tries.failed.push((mark, now));
        Counted::New(tries.failed.len())
    }

    /// A credential was right. Whether its line is paid for is another question.
    pub fn succeeded(&mut self, who: Who, mark: u64, now: UnixTime) {
        self.grow_old(now);
        self.renewed(who).right = Some(mark);
    }

    /// Forgets what was counted: somebody has decided about it.
    pub fn forget(&mut self, who: Who) {
        self.young.remove(&who);
        self.old.remove(&who);
    }

    /// How many are known, for tests of what that may be.
    #[must_use]
    pub fn count(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn tries(&mut self, who: Who, now: UnixTime) -> Option<&mut Tries> {
        let half = if self.young.contains_key(&who) { &mut self.young } else { &mut self.old };
        let tries = half.get_mut(&who)?;
        tries.forget(now);
        Some(tries)
    }

    fn renewed(&mut self, who: Who) -> &mut Tries {
        let before = self.old.remove(&who);
        self.young.entry(who).or_insert_with(|| before.unwrap_or_default())
    }

    fn grow_old(&mut self, now: UnixTime) {
        let age = now.0.saturating_sub(self.since.0);
        if self.young.len() >= FAILURES_KEPT_MAX / 2 || age >= FAILURES_HOUR_SECONDS {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: UnixTime = UnixTime(1_800_000_000);

    fn at(seconds: u64) -> UnixTime {
        UnixTime(NOON.0 + seconds)
    }

    fn anna() -> Who {
        Who::saying("192.0.2.7".parse().unwrap(), 1)
    }

    /// Tries a wrong credential as a login does: looked at only if it may be.
    fn guess(failures: &mut Failures, who: Who, mark: u64, now: UnixTime) -> bool {
        let may = failures.may_try(who, mark, now).is_ok();
        if may {
            failures.failed(who, mark, GUESSES_AN_HOUR_MAX, now);
        }
        may
    }

    #[test]
    fn of_ten_thousand_guesses_as_many_are_looked_at_as_are_stated() {
        let mut failures = Failures::default();
        let looked_at = (0..10_000).filter(|&mark| guess(&mut failures, anna(), mark, NOON));
        assert_eq!(looked_at.count(), GUESSES_AN_HOUR_MAX);
        let until = at(FAILURES_HOUR_SECONDS);
        assert_eq!(failures.may_try(anna(), 99_999, at(1)), Err(LockedOut { until }));
        let bert = Who::saying("192.0.2.7".parse().unwrap(), 2);
        assert_eq!(failures.may_try(bert, 1, at(1)), Ok(()), "another account");
        let elsewhere = Who::saying("192.0.2.8".parse().unwrap(), 1);
        assert_eq!(failures.may_try(elsewhere, 1, at(1)), Ok(()), "another address");
        assert_eq!(failures.may_try(anna(), 99_999, until), Ok(()), "an hour later");
    }

    #[test]
    fn the_same_wrong_one_counts_once_however_often_it_is_said() {
        let mut failures = Failures::default();
        assert_eq!(failures.failed(anna(), 7, 20, NOON), Counted::New(1));
        for second in 1..3_000 {
            assert_eq!(failures.failed(anna(), 7, 20, at(second)), Counted::Again);
        }
        assert_eq!(failures.may_try(anna(), 8, at(3_000)), Ok(()));
        assert_eq!(failures.failed(anna(), 8, 20, at(3_000)), Counted::New(2));
    }

    #[test]
    fn whoever_was_right_goes_on_beside_somebody_who_guesses() {
        let mut failures = Failures::default();
        failures.succeeded(anna(), 42, NOON);
        for mark in 0..100 {
            if mark != 42 {
                guess(&mut failures, anna(), mark, at(1));
            }
        }
        assert!(failures.may_try(anna(), 43, at(2)).is_err());
        assert_eq!(failures.may_try(anna(), 42, at(2)), Ok(()));
    }

    #[test]
    fn a_household_of_ipv6_is_one_and_ipv4_is_written_one_way() {
        let who = |text: &str| Who::at(text.parse().unwrap());
        assert_eq!(who("2001:db8::1"), who("2001:db8::ffff"));
        assert_ne!(who("2001:db8::1"), who("2001:db8:0:1::1"));
        assert_eq!(who("::ffff:192.0.2.7"), who("192.0.2.7"));
    }

    #[test]
    fn there_are_never_more_than_are_kept_and_the_longest_quiet_are_forgotten() {
        let mut failures = Failures::default();
        let of = |number: u32| Who::at(IpAddr::V4(number.into()));
        for number in 0..3 * FAILURES_KEPT_MAX as u32 {
            failures.failed(of(number), 1, 20, NOON);
            // This one fails all the time, and is not forgotten for the sake of others.
            if number % 1000 == 0 {
                failures.failed(anna(), u64::from(number), 20, NOON);
            }
            assert!(failures.count() <= FAILURES_KEPT_MAX + 1);
        }
        assert!(failures.may_try(anna(), 1, NOON).is_err());
        assert_eq!(failures.failed(of(0), 1, 20, NOON), Counted::New(1), "it was forgotten");
        failures.forget(anna());
        assert_eq!(failures.may_try(anna(), 1, NOON), Ok(()));
    }

    #[test]
    fn a_clock_that_jumps_opens_nothing_early_and_breaks_nothing() {
        let mut failures = Failures::default();
        for mark in 0..20 {
            guess(&mut failures, anna(), mark, NOON);
        }
        let yesterday = UnixTime(NOON.0 - 86_400);
        assert!(failures.may_try(anna(), 77, yesterday).is_err());
        assert_eq!(failures.may_try(anna(), 77, UnixTime(NOON.0 + 86_400)), Ok(()));
        assert!(failures.may_try(anna(), 77, UnixTime(u64::MAX)).is_ok());
    }

    proptest! {
        /// The naive way: all that was ever said, with its time.
        #[test]
        fn distinct_ones_within_the_hour_are_counted(
            said in prop::collection::vec((0_u64..30, 0_u64..900), 1..200),
        ) {
            let mut failures = Failures::default();
            let (mut all, mut now): (Vec<(u64, u64)>, u64) = (Vec::new(), NOON.0);
            for (mark, later) in said {
                now += later;
                all.retain(|(_, at)| now - at < FAILURES_HOUR_SECONDS);
                let expected = if all.iter().any(|(of, _)| *of == mark) {
                    Counted::Again
                } else {
                    all.push((mark, now));
                    Counted::New(all.len())
                };
                prop_assert_eq!(failures.failed(anna(), mark, 1000, UnixTime(now)), expected);
            }
        }
    }
}
