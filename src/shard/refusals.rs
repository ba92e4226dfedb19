//! What subscribers were refused last, for whoever helps them.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use super::strikes::Strikes;
use crate::config::{REFUSALS_REMEMBERED, REFUSALS_TOLD_MAX};
use crate::messages::Refused;
use crate::request::View;
use crate::request::refusal::Refusal;
use crate::request::start::holds_secret;

/// Among so many of the newest, one that is repeated is found and counted: a player that is refused
/// asks again and again.
const LOOKED_AT: usize = 64;

/// Most bytes of a path that are remembered.
const PATH_SIZE_MAX: usize = 96;

/// The newest refusals of a shard.
#[derive(Debug)]
pub struct Refusals {
    newest_last: VecDeque<Refused>,
    /// Those of which control is told.
    pub strikes: Strikes,
}

impl Refusals {
    /// None yet.
    pub fn new(strikes: Strikes) -> Self {
        Self { newest_last: VecDeque::new(), strikes }
    }

    /// Remembers that a request of a subscriber was refused; `bytes` begin with its head.
    pub fn note(
        &mut self,
        subscriber: NonZeroU32,
        (refusal, bytes): (Refusal, &[u8]),
        view: &View<'_>,
    ) {
        let (from, now) = ((view.peer)(), view.now.unix);
        let (reason, path) = (refusal.reason(), path(bytes));
        let is_same = |one: &Refused| {
            (one.subscriber, one.reason, one.from) == (subscriber, reason, from)
                && *one.path == *path
        };
        let end = self.newest_last.len();
        let newest = end.saturating_sub(LOOKED_AT)..end;
        let same = newest.rev().find(|&at| self.newest_last.get(at).is_some_and(is_same));
        if let Some(mut same) = same.and_then(|at| self.newest_last.remove(at)) {
            (same.last, same.count) = (now, same.count.saturating_add(1));
            self.newest_last.push_back(same);
            return;
        }
        if end == REFUSALS_REMEMBERED {
            self.newest_last.pop_front();
        }
        let (path, count) = (path.into(), 1);
        let refused = Refused { subscriber, reason, path, from, first: now, last: now, count };
        self.newest_last.push_back(refused);
    }

    /// The newest of a subscriber, the newest first.
    pub fn of(&self, subscriber: NonZeroU32) -> Vec<Refused> {
        let newest_first = self.newest_last.iter().rev();
        let of = newest_first.filter(|one| one.subscriber == subscriber);
        of.take(REFUSALS_TOLD_MAX).cloned().collect()
    }
}

/// What was asked for, without the token: that is nobody's business.
fn path(bytes: &[u8]) -> String {
    let target = bytes.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let path = match path.strip_prefix(b"/s/") {
        Some(token) => &token[token.iter().position(|byte| *byte == b'/').unwrap_or(token.len())..],
        // A password is in it, and a user name.
        None if holds_secret(path) => {
            &path[path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)..]
        }
        // It carries one of others, and not in its path.
        None if path.starts_with(b"/") => path,
        // Of a whole address nobody knows where its token is.
        None => b"",
    };
    String::from_utf8_lossy(&path[..path.len().min(PATH_SIZE_MAX)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Capacity, Catalog};
    use crate::guard::{Bans, Marks};
    use crate::live::slate::Shown;
    use crate::units::{Now, UnixTime};
    use crate::viewer::foreign::carrier::Watched;
    use crate::viewer::{Apps, Keys, Rights};

    fn refusals() -> Refusals {
        Refusals::new(Strikes::new(Marks::default(), false))
    }

    /// A request of the subscriber of this number is refused, at this second.
    fn note(refusals: &mut Refusals, subscriber: u32, refusal: Refusal, target: &str, at: u64) {
        let head = format!("GET {target} HTTP/1.1\r\n\r\n");
        let catalog = Catalog::new(Capacity { sources: 0, heap_bytes: 0 });
        let (keys, rights) = (Keys::default(), Rights::default());
        let now = Now { unix: UnixTime(at), ..Now::default() };
        let (catalog, keys, rights, apps) = (&catalog, &keys, &rights, &Apps::default());
        let (foreign, bans) = (&Watched::default(), &Bans::default());
        let slates = &Shown::default();
        let view = View { catalog, keys, rights, apps, foreign, bans, slates, peer: &|| None, now };
        let subscriber = NonZeroU32::new(subscriber).unwrap();
        refusals.note(subscriber, (refusal, head.as_bytes()), &view);
    }

    fn shown(refusals: &Refusals, subscriber: u32) -> Vec<String> {
        let all = refusals.of(NonZeroU32::new(subscriber).unwrap());
        let shown = |one: &Refused| {
            format!("{} {} {}x {}-{}", one.reason, one.path, one.count, one.first.0, one.last.0)
        };
        all.iter().map(shown).collect()
    }

    #[test]
    fn what_is_repeated_is_counted_and_nobody_sees_tokens() {
        let mut refusals = refusals();
        let mut note = |subscriber, refusal, target: &str, at| {
            note(&mut refusals, subscriber, refusal, target, at);
        };
        note(7, Refusal::NotEntitled, "/s/secret/tv/news/v/1.m4s?a=b", 10);
        note(8, Refusal::SubscriberBlocked, "/s/other/vod/a", 11);
        note(7, Refusal::NotEntitled, "/s/secret/tv/news/v/1.m4s", 12);
        note(7, Refusal::SubscriberExpired, "/s/secret/tv/news/v/1.m4s", 13);
        note(7, Refusal::NotEntitled, "/s/secret", 14);
        note(9, Refusal::NotEntitled, "/live/anna/secret/12.ts", 15);
        note(9, Refusal::NotEntitled, "/anna/secret/13", 16);
        let expected = [
            "not-entitled  1x 14-14",
            "subscriber-expired /tv/news/v/1.m4s 1x 13-13",
            "not-entitled /tv/news/v/1.m4s 2x 10-12",
        ];
        assert_eq!(shown(&refusals, 7), expected);
        assert_eq!(shown(&refusals, 8), ["subscriber-blocked /vod/a 1x 11-11"]);
        let expected = ["not-entitled /13 1x 16-16", "not-entitled /12.ts 1x 15-15"];
        assert_eq!(shown(&refusals, 9), expected);
        assert_eq!(shown(&refusals, 10), [""; 0]);
    }

    #[test]
    fn there_is_a_limit_and_the_oldest_go() {
        let mut refusals = refusals();
        let subscriber = NonZeroU32::new(7).unwrap();
        for number in 0..2 * REFUSALS_REMEMBERED {
            let target = format!("/s/t/vod/{number}");
            note(&mut refusals, 7, Refusal::NotEntitled, &target, number as u64);
        }
        assert_eq!(refusals.newest_last.len(), REFUSALS_REMEMBERED);
        let newest = refusals.of(subscriber);
        assert_eq!(newest.len(), REFUSALS_TOLD_MAX);
        assert_eq!(&*newest[0].path, format!("/vod/{}", 2 * REFUSALS_REMEMBERED - 1));
    }
}
