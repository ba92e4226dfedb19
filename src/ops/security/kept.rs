//! The newest security events, for operators who ask: what the log says of each, as JSON.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{Event, Events, named};
use crate::config::SECURITY_EVENTS_KEPT_MAX;
use crate::units::UnixTime;

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Counted from 1 since the server began.
    pub number: u64,
    /// When it was.
    pub at: UnixTime,
    /// What it is, in a word: as the log has it.
    pub word: &'static str,
    /// What is known of it.
    pub details: Value,
}

/// Those that are kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// The newest last.
    newest: VecDeque<Told>,
    count: u64,
}

impl Kept {
    /// One more; beyond `SECURITY_EVENTS_KEPT_MAX` the oldest goes.
    pub(super) fn keep(&mut self, at: UnixTime, (word, details): (&'static str, Value)) {
        if self.newest.len() == SECURITY_EVENTS_KEPT_MAX {
            self.newest.pop_front();
        }
        self.count += 1;
        self.newest.push_back(Told { number: self.count, at, word, details });
    }

    /// Those before this number, the newest first, so many at most; 0 = before none.
    #[must_use]
    pub fn before(&self, number: u64, most: usize) -> Vec<Told> {
        let is_before = |told: &&Told| number == 0 || told.number < number;
        self.newest.iter().rev().filter(is_before).take(most).cloned().collect()
    }

    /// The one with this number.
    #[must_use]
    pub fn numbered(&self, number: u64) -> Option<Told> {
        self.newest.iter().find(|told| told.number == number).cloned()
    }
}

impl Events {
    /// Its word, and what is told of it besides. What a client sent is redacted and escaped.
    pub(super) fn details(&self, event: &Event<'_>) -> (&'static str, Value) {
        match *event {
            Event::Refused { from, offence, account, times, head } => (
                "credential-refused",
                json!({
                    "client": from, "reason": offence.word(), "account": account.map(named),
                    "times": times, "request": self.request(head),
                }),
            ),
            Event::LockedOut { from, account, until, head } => (
                "locked-out",
                json!({
                    "client": from, "account": named(account), "until": until.0,
                    "request": self.request(head),
                }),
            ),
            Event::Flood { from, times } => ("flood", json!({ "client": from, "times": times })),
            Event::Banned { network, until, made, reason } => (
                "banned",
                json!({
                    "network": network.to_string(), "until": until.map(|until| until.0),
                    "made": made, "reason": reason,
                }),
            ),
            Event::Lifted { network, expired } => {
                ("ban-lifted", json!({ "network": network.to_string(), "expired": expired }))
            }
            Event::Shared { subscriber, device, from, elsewhere } => (
                "token-shared",
                json!({
                    "subscriber": subscriber, "device": format!("{device:016x}"), "client": from,
                    "elsewhere": elsewhere,
                }),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_each_has_its_number() {
        let events = Events::new(None);
        let from = "192.0.2.7".parse().unwrap();
        // More than are told a second are not kept, either.
        for second in 0..SECURITY_EVENTS_KEPT_MAX as u64 + 3 {
            events.tell(&Event::Flood { from, times: 2 }, UnixTime(1_800_000_000 + second));
        }
        let kept = events.kept();
        let numbers =
            |told: Vec<Told>| told.into_iter().map(|told| told.number).collect::<Vec<_>>();
        let newest = SECURITY_EVENTS_KEPT_MAX as u64 + 3;
        assert_eq!(numbers(kept.before(0, 2)), [newest, newest - 1]);
        assert_eq!(numbers(kept.before(newest - 1, 1)), [newest - 2]);
        assert_eq!(kept.before(0, usize::MAX).len(), SECURITY_EVENTS_KEPT_MAX);
        assert_eq!(kept.numbered(3), None);
        let one = kept.numbered(4).expect("it is the oldest of them");
        assert_eq!((one.word, one.at), ("flood", UnixTime(1_800_000_003)));
        assert_eq!(one.details, json!({ "client": "192.0.2.7", "times": 2 }));
    }

    #[test]
    fn nothing_that_is_secret_is_kept() {
        let events = Events::new(None);
        let head = b"GET /live/anna/secret/1.ts HTTP/1.1\r\nHost: tv\r\n\r\n";
        let from = "192.0.2.7".parse().unwrap();
        let (offence, account) = (crate::guard::Offence::Password, Some("anna\n"));
        let event = Event::Refused { from, offence, account, times: 1, head };
        let (word, details) = events.details(&event);
        let text = details.to_string();
        assert_eq!(word, "credential-refused");
        assert!(!text.contains("secret") && !text.contains("\\n"), "{text}");
    }
}
