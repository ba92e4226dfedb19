//! Sessions of tokens that are good for nothing any more, as shards know them: one immutable value
//! that all of them share, as a part of `Rights`.

use ahash::AHashMap;

use crate::config::REVOCATIONS_MAX;
use crate::units::UnixTime;

/// Which sessions were revoked.
#[derive(Clone, Debug, Default)]
pub struct Revoked {
    /// The session of a token, and when the last one with it has expired.
    until: AHashMap<u64, UnixTime>,
}

impl Revoked {
    /// Whether tokens of this session are good for nothing.
    #[must_use]
    pub fn has(&self, session: u64) -> bool {
        !self.until.is_empty() && self.until.contains_key(&session)
    }

    /// Until when a session is revoked, if it is.
    #[must_use]
    pub fn until(&self, session: u64) -> Option<UnixTime> {
        self.until.get(&session).copied()
    }

    /// Whether there is no room for this one, which is none of them.
    #[must_use]
    pub fn is_full_for(&self, session: u64) -> bool {
        self.until.len() >= REVOCATIONS_MAX && !self.has(session)
    }

    /// Those whose last token had expired by then, so many at most.
    #[must_use]
    pub fn over_by(&self, then: UnixTime, most: usize) -> Vec<u64> {
        let over = self.until.iter().filter(|(_, until)| **until <= then);
        over.map(|(session, _)| *session).take(most).collect()
    }

    /// The same with these revoked until then; none = not any more.
    #[must_use]
    pub(super) fn with(&self, changed: &[(u64, Option<UnixTime>)]) -> Self {
        let mut until = self.until.clone();
        for (session, then) in changed {
            match then {
                Some(then) => drop(until.insert(*session, *then)),
                None => drop(until.remove(session)),
            }
        }
        Self { until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_revoked_until_that_is_taken_back() {
        let none = Revoked::default();
        assert!(!none.has(7));
        let (noon, later) = (UnixTime(100), UnixTime(200));
        let two = none.with(&[(7, Some(noon)), (8, Some(later))]);
        assert!(two.has(7) && two.has(8) && !two.has(9) && !none.has(7));
        assert_eq!((two.until(7), two.until(9)), (Some(noon), None));
        assert_eq!(two.over_by(UnixTime(99), 9), [0_u64; 0]);
        assert_eq!(two.over_by(noon, 9), [7]);
        assert_eq!(two.over_by(later, 1).len(), 1);
        let one = two.with(&[(7, None), (9, None)]);
        assert!(!one.has(7) && one.has(8));
    }

    #[test]
    fn where_there_is_no_room_those_that_are_there_may_still_change() {
        let all: Vec<_> =
            (0..REVOCATIONS_MAX as u64).map(|session| (session, Some(UnixTime(1)))).collect();
        let full = Revoked::default().with(&all);
        assert!(full.is_full_for(u64::MAX) && !full.is_full_for(1));
        assert!(!full.with(&[(1, None)]).is_full_for(u64::MAX));
    }
}
