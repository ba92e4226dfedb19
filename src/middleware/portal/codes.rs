//! Codes that televisions show, and that somebody who is signed in confirms on a phone: a device
//! flow as RFC 8628 describes one.
//!
//! Pure: times are milliseconds of a clock that never goes back. Whoever shows a code also holds a
//! secret, by which alone the sign-in is fetched: the code is of no use to who reads it. A code is
//! confirmed once, fetched once, and forgotten after a few minutes.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::portal::{
    TV_CODE_CHARACTERS, TV_CODE_SECONDS, TV_CODES_MAX, TV_CODES_OF_ONE_MAX, TV_WRONG_CODES_MAX,
};
use crate::control::inside::Credential;

/// Consonants of which no word comes, and none of which looks like another (RFC 8628, 6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// A television that waits.
#[derive(Clone, Debug)]
struct Waiting {
    /// Hash of what it fetches its sign-in with.
    secret: [u8; 32],
    address: IpAddr,
    agent: String,
    until: u64,
    confirmed: Option<Credential>,
}

/// What whoever confirms is shown of a television.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Where it is.
    pub address: IpAddr,
    /// What it says of itself.
    pub agent: String,
    /// Whether somebody has confirmed it.
    pub is_confirmed: bool,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such code: it is wrong, or too old.
    Unknown,
    /// There are too many, or too many were wrong: in so many milliseconds again.
    Wait(u64),
}

/// What a television hears that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Nobody has confirmed it yet.
    Pending,
    /// It is signed in as this; the code is used up.
    Confirmed(Credential),
    /// It is to ask for another code.
    Over,
}

/// All codes that are shown.
#[derive(Default)]
pub struct Codes {
    waiting: HashMap<String, Waiting>,
    /// Wrong codes of subscribers, by number: how many, and until when they count.
    wrong: HashMap<u32, (u32, u64)>,
}

/// A code of these bytes, each of which is one character; none of them is more likely.
#[must_use]
pub fn spelled(drawn: &[u8]) -> Option<String> {
    let fair = drawn.iter().filter(|byte| **byte < 240);
    let characters = fair.map(|byte| char::from(ALPHABET[usize::from(byte % 20)]));
    let code: String = characters.take(TV_CODE_CHARACTERS).collect();
    (code.len() == TV_CODE_CHARACTERS).then_some(code)
}

/// A code as it was typed: case, spaces and dashes don't count.
#[must_use]
pub fn typed(text: &str) -> Option<String> {
    if text.len() > 4 * TV_CODE_CHARACTERS {
        return None;
    }
    let plain = text.chars().filter(|one| !matches!(one, '-' | ' '));
    let plain: String = plain.map(|one| one.to_ascii_uppercase()).collect();
    let is_code =
        plain.len() == TV_CODE_CHARACTERS && plain.bytes().all(|byte| ALPHABET.contains(&byte));
    is_code.then_some(plain)
}

impl Codes {
    /// A television shows this code from now on.
    ///
    /// # Errors
    ///
    /// There are too many, or the code is shown by another one.
    pub fn show(
        &mut self,
        code: &str,
        secret: [u8; 32],
        (address, agent): (IpAddr, &str),
        now: u64,
    ) -> Result<(), Refused> {
        self.waiting.retain(|_, waiting| waiting.until > now);
        let of_one = self.waiting.values().filter(|waiting| waiting.address == address).count();
        if self.waiting.len() >= TV_CODES_MAX || of_one >= TV_CODES_OF_ONE_MAX {
            return Err(Refused::Wait(60_000));
        }
        if self.waiting.contains_key(code) {
            return Err(Refused::Wait(1_000));
        }
        let until = now + TV_CODE_SECONDS * 1_000;
        let agent = agent.to_owned();
        let waiting = Waiting { secret, address, agent, until, confirmed: None };
        self.waiting.insert(code.to_owned(), waiting);
        Ok(())
    }

    /// What a code is of, for a subscriber who may confirm it.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub fn shown(&mut self, code: &str, by: u32, now: u64) -> Result<Shown, Refused> {
        let waiting = self.looked_up(code, by, now)?;
        let is_confirmed = waiting.confirmed.is_some();
        Ok(Shown { address: waiting.address, agent: waiting.agent.clone(), is_confirmed })
    }

    /// A subscriber says that a television may sign in as it.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub fn confirm(&mut self, code: &str, by: Credential, now: u64) -> Result<(), Refused> {
        let waiting = self.looked_up(code, by.number.get(), now)?;
        if waiting.confirmed.is_some() {
            return Err(Refused::Unknown);
        }
        waiting.confirmed = Some(by);
        Ok(())
    }

    fn looked_up(&mut self, code: &str, by: u32, now: u64) -> Result<&mut Waiting, Refused> {
        self.wrong.retain(|_, (_, until)| *until > now);
        let (count, until) = self.wrong.get(&by).copied().unwrap_or_default();
        if count >= TV_WRONG_CODES_MAX {
            return Err(Refused::Wait(until - now));
        }
        match self.waiting.get_mut(code) {
            Some(waiting) if waiting.until > now => Ok(waiting),
            _ => {
                self.wrong.insert(by, (count + 1, now + TV_CODE_SECONDS * 1_000));
                Err(Refused::Unknown)
            }
        }
    }

    /// A television asks whether it is signed in.
    pub fn fetch(&mut self, secret: &[u8; 32], now: u64) -> Fetched {
        // The hash of a secret of 256 bits: what a comparison's time says of it is of no use.
        let found = self.waiting.iter().find(|(_, waiting)| waiting.secret == *secret);
        let Some((code, waiting)) = found.filter(|(_, waiting)| waiting.until > now) else {
            return Fetched::Over;
        };
        let Some(confirmed) = waiting.confirmed.clone() else { return Fetched::Pending };
        let code = code.clone();
        self.waiting.remove(&code);
        Fetched::Confirmed(confirmed)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::num::NonZeroU32;

    use super::*;

    const HERE: (IpAddr, &str) = (IpAddr::V4(Ipv4Addr::LOCALHOST), "TV");

    fn anna() -> Credential {
        let number = NonZeroU32::new(7).unwrap();
        Credential { user: "anna".to_owned(), number, app: None, stamp: "1".to_owned() }
    }

    #[test]
    fn a_code_is_typed_as_people_type() {
        let code = spelled(&[0, 1, 2, 250, 3, 4, 5, 6, 19]).unwrap();
        assert_eq!(code, "BCDFGHJZ");
        for text in ["BCDFGHJZ", "bcdf-ghjz", " BCDF GHJZ "] {
            assert_eq!(typed(text).as_deref(), Some("BCDFGHJZ"), "{text}");
        }
        for text in ["", "BCDFGHJ", "BCDFGHJZZ", "ACDFGHJZ", "BCDFGHJ1", &"-".repeat(1000)] {
            assert_eq!(typed(text), None, "{text}");
        }
        assert_eq!(spelled(&[255; 40]), None);
    }

    #[test]
    fn a_television_is_signed_in_once_by_its_secret() {
        let mut codes = Codes::default();
        codes.show("BCDFGHJK", [1; 32], HERE, 0).unwrap();
        assert_eq!(codes.fetch(&[1; 32], 1), Fetched::Pending);
        assert_eq!(codes.fetch(&[2; 32], 1), Fetched::Over);
        let shown = codes.shown("BCDFGHJK", 7, 1).unwrap();
        assert_eq!((shown.agent.as_str(), shown.is_confirmed), ("TV", false));
        codes.confirm("BCDFGHJK", anna(), 1).unwrap();
        assert_eq!(codes.confirm("BCDFGHJK", anna(), 1), Err(Refused::Unknown), "once");
        assert_eq!(codes.fetch(&[1; 32], 2), Fetched::Confirmed(anna()));
        assert_eq!(codes.fetch(&[1; 32], 2), Fetched::Over);
    }

    #[test]
    fn a_code_is_good_for_minutes() {
        let mut codes = Codes::default();
        codes.show("BCDFGHJK", [1; 32], HERE, 0).unwrap();
        let end = TV_CODE_SECONDS * 1_000;
        assert!(codes.shown("BCDFGHJK", 7, end - 1).is_ok());
        assert_eq!(codes.fetch(&[1; 32], end), Fetched::Over);
        assert_eq!(codes.confirm("BCDFGHJK", anna(), end), Err(Refused::Unknown));
    }

    #[test]
    fn who_guesses_has_to_wait_and_others_need_not() {
        let mut codes = Codes::default();
        codes.show("BCDFGHJK", [1; 32], HERE, 0).unwrap();
        for _ in 0..TV_WRONG_CODES_MAX {
            assert_eq!(codes.shown("ZZZZZZZZ", 7, 5), Err(Refused::Unknown));
        }
        let wait = TV_CODE_SECONDS * 1_000;
        assert_eq!(codes.confirm("BCDFGHJK", anna(), 5), Err(Refused::Wait(wait)));
        assert!(codes.shown("BCDFGHJK", 8, 5).is_ok());
        codes.show("CCCCCCCC", [2; 32], HERE, 5 + wait).unwrap();
        assert!(codes.shown("CCCCCCCC", 7, 5 + wait).is_ok());
    }

    #[test]
    fn one_address_shows_few_codes_at_once() {
        let mut codes = Codes::default();
        for at in 0..TV_CODES_OF_ONE_MAX {
            codes.show(&at.to_string(), [0; 32], HERE, 0).unwrap();
        }
        assert_eq!(codes.show("one more", [0; 32], HERE, 0), Err(Refused::Wait(60_000)));
        let elsewhere = (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), "TV");
        assert!(codes.show("one more", [0; 32], elsewhere, 0).is_ok());
        assert_eq!(codes.show("one more", [0; 32], elsewhere, 0), Err(Refused::Wait(1_000)));
        assert!(codes.show("again", [0; 32], HERE, TV_CODE_SECONDS * 1_000).is_ok());
    }
}
