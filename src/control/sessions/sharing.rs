//! Signals that a token is shared: what the table has seen in, what is news out.
//!
//! Whoever shares a token does so for hours, and each time that one of the places is one too many
//! it is seen again: for a while that is the same signal.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::table::{Moment, Owner};
use crate::config::{SHARING_AGAIN_MS, SHARING_MAX};
use crate::units::{Ticks, UnixTime};

/// One token that is used in several networks at once; or, where both are the same, by devices that
/// look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Whose.
    pub owner: Owner,
    /// The token's session.
    pub device: u64,
    /// Where it was one too many,
    pub from: Option<IpAddr>,
    /// and where it goes on.
    pub elsewhere: Option<IpAddr>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What was seen, the last time.
    pub sharing: Sharing,
    /// When first,
    pub first: UnixTime,
    /// when last,
    pub last: UnixTime,
    /// and how often.
    pub times: u32,
    began: Ticks,
}

/// The newest.
#[derive(Debug, Default)]
pub struct Signals {
    /// The newest last.
    newest: VecDeque<Signal>,
    total: u64,
}

impl Signals {
    /// Takes one; whether it is news.
    pub fn hear(&mut self, sharing: Sharing, now: Moment) -> bool {
        self.total += 1;
        let is_same = |of: &&mut Signal| {
            (of.sharing.owner, of.sharing.device) == (sharing.owner, sharing.device)
        };
        let known = self.newest.iter_mut().rev().find(is_same);
        if let Some(known) = known
            && now.ticks.since(known.began) < SHARING_AGAIN_MS
        {
            known.times = known.times.saturating_add(1);
            (known.sharing, known.last) = (sharing, now.unix);
            return false;
        }
        if self.newest.len() == SHARING_MAX {
            self.newest.pop_front();
        }
        let (first, last, times, began) = (now.unix, now.unix, 1, now.ticks);
        self.newest.push_back(Signal { sharing, first, last, times, began });
        true
    }

    /// The newest first, so many at most.
    pub fn newest(&self, most: usize) -> Vec<Signal> {
        self.newest.iter().rev().take(most).copied().collect()
    }

    /// How often any was heard.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn sharing(number: u32) -> Sharing {
        let owner = Owner::Subscriber(NonZeroU32::new(number).unwrap());
        let from = Some([192, 0, 2, 1].into());
        Sharing { owner, device: 7, from, elsewhere: None }
    }

    fn at(ms: u64) -> Moment {
        Moment { ticks: Ticks(1 + ms), unix: UnixTime(1_800_000_000 + ms / 1000) }
    }

    #[test]
    fn what_goes_on_is_told_once_and_counted() {
        let mut signals = Signals::default();
        assert!(signals.hear(sharing(1), at(0)));
        assert!(!signals.hear(sharing(1), at(1000)));
        assert!(signals.hear(sharing(2), at(2000)), "somebody else's is another one");
        assert!(!signals.hear(sharing(1), at(SHARING_AGAIN_MS - 1)));
        let of =
            |signals: &Signals| signals.newest(9).iter().map(|of| of.times).collect::<Vec<_>>();
        assert_eq!(of(&signals), [1, 3]);
        assert!(signals.hear(sharing(1), at(SHARING_AGAIN_MS)), "it still goes on");
        assert_eq!((of(&signals), signals.total()), (vec![1, 1, 3], 5));
        assert_eq!(signals.newest(1).len(), 1);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut signals = Signals::default();
        for number in 1..=SHARING_MAX as u32 + 3 {
            assert!(signals.hear(sharing(number), at(0)));
        }
        assert_eq!(signals.newest(usize::MAX).len(), SHARING_MAX);
        assert!(signals.hear(sharing(1), at(1)), "it is as good as new");
    }
}
