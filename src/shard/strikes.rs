//! What clients do that nobody does by mistake for long, for control, once a second.
//!
//! It is looked at only where a request or a connection is refused, so good ones cost nothing.
//! Between two tellings the same offence of the same address is one entry; of more than
//! `STRIKES_TOLD_MAX` different ones the rest is left out.

use std::net::IpAddr;

use ahash::AHashMap;

use super::kernel::Kernel;
use super::{Inbox, Shard};
use crate::config::{STRIKE_HEAD_SIZE_MAX, STRIKES_TELL_MS, STRIKES_TOLD_MAX, TOKEN_SECONDS_MAX};
use crate::guard::{Marks, Offence, Strike};
use crate::request::View;
use crate::request::parse::Request;
use crate::request::refusal::Refusal;
use crate::request::start::may_be;
use crate::units::Ticks;

/// What one shard has to tell.
#[derive(Debug)]
pub struct Strikes {
    marks: Marks,
    lot: Vec<Strike>,
    places: AHashMap<(IpAddr, Offence, u64), usize>,
    /// When it is told; none = there is nothing to tell.
    due: Option<Ticks>,
    /// Whether anybody wants to know.
    is_heard: bool,
    /// Whether keys were told of once.
    has_keys: bool,
    /// Until then tokens of ours may be void because keys were changed.
    forgiven_until: Ticks,
}

impl Strikes {
    /// None, with these marks.
    pub fn new(marks: Marks, is_heard: bool) -> Self {
        Self {
            marks,
            lot: Vec::new(),
            places: AHashMap::new(),
            due: None,
            is_heard,
            has_keys: false,
            forgiven_until: Ticks(0),
        }
    }

    /// Keys were told of. If they were others before, tokens that were good then are none of ours
    /// any more, and who comes with one has guessed nothing.
    pub fn hear_of_keys(&mut self, now: Ticks) {
        if self.has_keys {
            self.forgiven_until = now.plus(u64::from(TOKEN_SECONDS_MAX) * 1000);
        }
        self.has_keys = true;
    }

    /// A request was refused, whose head these bytes begin with.
    pub fn note_refused(
        &mut self,
        request: &Request<'_>,
        refusal: Refusal,
        bytes: &[u8],
        view: &View<'_>,
    ) {
        let path = request.path;
        let token = || path.strip_prefix(b"/s/").and_then(|rest| rest.split(|b| *b == b'/').next());
        let is_ours =
            [&b"/vod/"[..], b"/tv/", b"/s/", b"/slate/"].iter().any(|own| path.starts_with(own));
        // Of an app that signed in only the number can be unknown: its list is old.
        let is_ours = is_ours || may_be(path);
        let (offence, credential) = match refusal {
            Refusal::TokenUnknown if view.now.ticks >= self.forgiven_until => match token() {
                Some(token) => (Offence::Token, token),
                None => return,
            },
            // What is gone from a channel's window, or of slates that were made anew, is asked for
            // by everybody.
            Refusal::NotFound if !is_ours => (Offence::Path, path),
            _ => return,
        };
        if !self.is_heard {
            return;
        }
        let mark = self.marks.of(credential);
        self.note((view.peer)(), (offence, mark), bytes, view.now.ticks);
    }

    /// Somebody did this.
    pub fn note(
        &mut self,
        from: Option<IpAddr>,
        (offence, mark): (Offence, u64),
        head: &[u8],
        now: Ticks,
    ) {
        let Some(from) = from.filter(|_| self.is_heard) else { return };
        if let Some(&place) = self.places.get(&(from, offence, mark)) {
            self.lot[place].times = self.lot[place].times.saturating_add(1);
            return;
        }
        if self.lot.len() == STRIKES_TOLD_MAX {
            return;
        }
        self.places.insert((from, offence, mark), self.lot.len());
        let head = head[..head.len().min(STRIKE_HEAD_SIZE_MAX)].into();
        self.lot.push(Strike { from, offence, mark, times: 1, account: None, head });
        self.due.get_or_insert(now.plus(STRIKES_TELL_MS));
    }

    /// What is to be told now, if anything is.
    fn take_due(&mut self, now: Ticks) -> Option<Vec<Strike>> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        self.places.clear();
        Some(std::mem::take(&mut self.lot))
    }

    /// Milliseconds until something is to be told.
    pub fn wait_ms(&self, now: Ticks) -> Option<u64> {
        self.due.map(|due| due.since(now))
    }
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Tells control of offences. What finds no room is left out: whoever goes on is told of again.
    pub(super) fn tell_strikes(&mut self) {
        if let Some(lot) = self.refusals.strikes.take_due(self.now.ticks)
            && let Some(to) = &self.outside.strikes
        {
            let _ = to.try_send(lot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Capacity, Catalog};
    use crate::guard::Bans;
    use crate::live::slate::Shown;
    use crate::request::parse;
    use crate::units::Now;
    use crate::viewer::foreign::carrier::Watched;
    use crate::viewer::{Apps, Keys, Rights};

    fn strikes() -> Strikes {
        Strikes::new(Marks::default(), true)
    }

    fn address(last: u16) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, (last >> 8) as u8, last as u8]))
    }

    #[test]
    fn the_same_offence_is_one_entry_and_is_told_of_after_a_second() {
        let mut strikes = strikes();
        assert_eq!(strikes.wait_ms(Ticks(0)), None);
        for at in 5..10 {
            strikes.note(address(1), (Offence::Token, 7), b"GET /s/x", Ticks(at));
        }
        strikes.note(address(1), (Offence::Token, 8), b"GET /s/y", Ticks(11));
        strikes.note(address(2), (Offence::Token, 7), b"GET /s/x", Ticks(12));
        strikes.note(None, (Offence::Token, 9), b"", Ticks(12));
        assert_eq!(strikes.wait_ms(Ticks(12)), Some(993));
        assert_eq!(strikes.take_due(Ticks(1_004)), None);
        let lot = strikes.take_due(Ticks(1_005)).unwrap();
        let times: Vec<_> = lot.iter().map(|one| (one.from, one.mark, one.times)).collect();
        let of = |last| address(last).unwrap();
        assert_eq!(times, [(of(1), 7, 5), (of(1), 8, 1), (of(2), 7, 1)]);
        assert_eq!(strikes.take_due(Ticks(9_999)), None);
    }

    #[test]
    fn a_flood_of_offences_takes_no_more_memory_than_is_stated() {
        let mut strikes = strikes();
        let head = [b'x'; 4_000];
        for number in 0..10_000 {
            strikes.note(address(number), (Offence::Path, u64::from(number)), &head, Ticks(5));
        }
        let lot = strikes.take_due(Ticks(5_000)).unwrap();
        assert_eq!(lot.len(), STRIKES_TOLD_MAX);
        assert!(lot.iter().all(|one| one.head.len() == STRIKE_HEAD_SIZE_MAX));
    }

    #[test]
    fn tokens_of_before_are_no_guesses_for_a_day_after_keys_were_changed() {
        let mut strikes = strikes();
        let catalog = Catalog::new(Capacity { sources: 0, heap_bytes: 0 });
        let (keys, rights, bans) = (Keys::default(), Rights::default(), Bans::default());
        let peer = || address(1);
        let day = u64::from(TOKEN_SECONDS_MAX) * 1000;
        let count = |strikes: &mut Strikes, ms, refusal, target: &str| {
            let head = format!("GET {target} HTTP/1.1\r\nHost: tv\r\n\r\n");
            let request = parse::request(head.as_bytes()).unwrap().unwrap();
            let now = Now { ticks: Ticks(ms), ..Now::default() };
            let (catalog, keys, rights, bans) = (&catalog, &keys, &rights, &bans);
            let apps = &Apps::default();
            let (foreign, slates) = (&Watched::default(), &Shown::default());
            let view =
                View { catalog, keys, rights, apps, foreign, bans, slates, peer: &peer, now };
            strikes.note_refused(&request, refusal, head.as_bytes(), &view);
            strikes.lot.len()
        };
        let token = Refusal::TokenUnknown;
        strikes.hear_of_keys(Ticks(1));
        assert_eq!(count(&mut strikes, 2, token, "/s/one/vod/a"), 1);
        strikes.hear_of_keys(Ticks(1_000));
        assert_eq!(count(&mut strikes, 2_000, token, "/s/two/vod/a"), 1);
        assert_eq!(count(&mut strikes, 2_000, Refusal::NotFound, "/wp-login.php"), 2);
        assert_eq!(count(&mut strikes, 1_000 + day, token, "/s/two/vod/a"), 3);
        // What is right of a line that has ended, and what was there once, is nothing.
        for refusal in [Refusal::TokenExpired, Refusal::SubscriberBlocked, Refusal::NotEntitled] {
            assert_eq!(count(&mut strikes, 2 * day, refusal, "/s/three/vod/a"), 3);
        }
        assert_eq!(count(&mut strikes, 2 * day, Refusal::NotFound, "/tv/news/v/1.m4s"), 3);
    }

    #[test]
    fn where_nobody_listens_nothing_is_kept() {
        let mut strikes = Strikes::new(Marks::default(), false);
        strikes.note(address(1), (Offence::Flood, 0), b"", Ticks(5));
        assert_eq!(strikes.wait_ms(Ticks(5)), None);
    }
}
