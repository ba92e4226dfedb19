//! Who is signed in: sessions of people, by the hash of what their browser sends.
//!
//! Pure: times are milliseconds of a clock that never goes back. The id itself is told once and not
//! kept, so that nobody who sees this memory could use it. A session says which state of its person
//! it began in; when that changes (another password, another factor, no admin any more) it is over
//! by itself, wherever it was changed.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::{
    SIGNED_IN_IDLE_MS, SIGNED_IN_MAX, SIGNED_IN_MS, SIGNED_IN_OF_ONE_MAX, STEP_UP_MS,
};

/// Size of an id and of the token against forged requests, in bytes: twice the 128 bits that
/// ASVS 5.0, 7.2.3 asks for.
const SIZE: usize = 32;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose.
    pub user: String,
    /// The state that its person was in: another one ends it.
    pub stamp: String,
    /// What a request that changes something has to bring.
    pub token: String,
    /// A second factor that is being set up, until a code of it was given.
    pub factor: Option<[u8; super::factor::SECRET_SIZE]>,
    since: u64,
    seen: u64,
}

impl Session {
    /// Whether this is its token.
    #[must_use]
    pub fn is_token(&self, token: &[u8]) -> bool {
        self.token.as_bytes().ct_eq(token).into()
    }

    /// Whether the password was given a short time ago: each time begins a session of its own.
    #[must_use]
    pub fn is_fresh(&self, now: u64) -> bool {
        now < self.since + STEP_UP_MS
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.seen + SIGNED_IN_IDLE_MS || now >= self.since + SIGNED_IN_MS
    }
}

/// What is kept of an id.
type Hash = [u8; 32];

fn hash(id: &str) -> Hash {
    Sha256::digest(id.as_bytes()).into()
}

/// All of them.
#[derive(Default)]
pub struct SignedIn(HashMap<Hash, Session>);

impl SignedIn {
    /// Begins one; gives its id.
    ///
    /// # Errors
    ///
    /// None can be drawn.
    pub fn begin(&mut self, user: &str, stamp: &str, now: u64) -> Result<String, String> {
        let (id, token) = (drawn()?, drawn()?);
        self.0.retain(|_, session| !session.is_over(now));
        let of_one = self.0.values().filter(|session| session.user == user).count();
        if of_one >= SIGNED_IN_OF_ONE_MAX {
            self.end_oldest(|session| session.user == user);
        } else if self.0.len() >= SIGNED_IN_MAX {
            self.end_oldest(|_| true);
        }
        let (user, stamp) = (user.to_owned(), stamp.to_owned());
        let (since, seen, factor) = (now, now, None);
        let session = Session { user, stamp, token, factor, since, seen };
        self.0.insert(hash(&id), session);
        Ok(id)
    }

    /// The session of this id, which has been seen now; none if there is none, or it is over.
    pub fn found(&mut self, id: &str, now: u64) -> Option<&mut Session> {
        let hash = hash(id);
        if self.0.get(&hash)?.is_over(now) {
            self.0.remove(&hash);
        }
        let session = self.0.get_mut(&hash)?;
        session.seen = now;
        Some(session)
    }

    /// Ends one.
    pub fn end(&mut self, id: &str) {
        self.0.remove(&hash(id));
    }

    /// Ends all of a person, but the one of this id, which goes on in the state `stamp`.
    pub fn end_others(&mut self, user: &str, id: Option<&str>, stamp: &str) {
        let kept = id.map(hash);
        self.0.retain(|hash, session| session.user != user || Some(*hash) == kept);
        if let Some(session) = kept.and_then(|kept| self.0.get_mut(&kept)) {
            stamp.clone_into(&mut session.stamp);
        }
    }

    fn end_oldest(&mut self, among: impl Fn(&Session) -> bool) {
        let among = self.0.iter().filter(|(_, session)| among(session));
        let oldest = among.min_by_key(|(_, session)| session.seen).map(|(hash, _)| *hash);
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
    }
}

/// A text that nobody can guess.
///
/// # Errors
///
/// The kernel has none.
pub fn drawn() -> Result<String, String> {
    let mut bytes = [0; SIZE];
    getrandom::fill(&mut bytes).map_err(|error| format!("no secret can be drawn: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_long_random_and_not_kept() {
        let mut all = SignedIn::default();
        let (one, other) = (all.begin("anna", "1", 0).unwrap(), all.begin("anna", "1", 0).unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43, "256 bits in base64");
        assert!(!format!("{:?}", all.0).contains(&one));
        let token = all.found(&one, 0).unwrap().token.clone();
        assert!(token != one && !all.found(&other, 0).unwrap().is_token(token.as_bytes()));
        assert!(all.found(&one, 0).unwrap().is_token(token.as_bytes()));
        assert!(!all.found(&one, 0).unwrap().is_token(b""));
        assert!(all.found("", 0).is_none() && all.found(&one[1..], 0).is_none());
    }

    #[test]
    fn who_is_idle_or_long_there_signs_in_again() {
        let mut all = SignedIn::default();
        let idle = all.begin("anna", "1", 0).unwrap();
        assert!(all.found(&idle, SIGNED_IN_IDLE_MS - 1).is_some());
        assert!(all.found(&idle, 2 * SIGNED_IN_IDLE_MS - 2).is_some(), "seen meanwhile");
        assert!(all.found(&idle, 3 * SIGNED_IN_IDLE_MS - 2).is_none());
        assert!(all.0.is_empty());
        let busy = all.begin("anna", "1", 0).unwrap();
        let half = SIGNED_IN_IDLE_MS / 2;
        let lived = (1..).find(|half_hours| all.found(&busy, half_hours * half).is_none());
        assert_eq!(lived.unwrap() * half, SIGNED_IN_MS);
    }

    #[test]
    fn a_password_is_enough_for_a_while() {
        let mut all = SignedIn::default();
        let id = all.begin("anna", "1", 0).unwrap();
        assert!(all.found(&id, 0).unwrap().is_fresh(STEP_UP_MS - 1));
        assert!(!all.found(&id, 0).unwrap().is_fresh(STEP_UP_MS));
    }

    #[test]
    fn others_end_and_this_one_goes_on() {
        let mut all = SignedIn::default();
        let mut begin = |user| all.begin(user, "1", 0).unwrap();
        let (one, other, belas) = (begin("anna"), begin("anna"), begin("bela"));
        all.end_others("anna", Some(&one), "2");
        assert_eq!(all.found(&one, 0).unwrap().stamp, "2");
        assert!(all.found(&other, 0).is_none());
        assert_eq!(all.found(&belas, 0).unwrap().stamp, "1");
        all.end_others("anna", None, "3");
        assert!(all.found(&one, 0).is_none());
        all.end(&belas);
        assert!(all.0.is_empty());
    }

    #[test]
    fn there_is_room_for_so_many_and_the_oldest_makes_it() {
        let mut all = SignedIn::default();
        let first = all.begin("anna", "1", 0).unwrap();
        for at in 1..=SIGNED_IN_OF_ONE_MAX as u64 {
            all.begin("anna", "1", at).unwrap();
        }
        assert!(all.found(&first, 1).is_none());
        assert_eq!(all.0.len(), SIGNED_IN_OF_ONE_MAX);
        for user in 0..2 * SIGNED_IN_MAX as u64 {
            all.begin(&user.to_string(), "1", 100 + user).unwrap();
        }
        assert_eq!(all.0.len(), SIGNED_IN_MAX);
    }
}
