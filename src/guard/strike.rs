//! What shards and others tell of clients that do what nobody does by mistake for long.

use std::net::IpAddr;

use ahash::RandomState;

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Offence {
    /// It came with a token that is none of ours.
    Token,
    /// It asked for a path of nobody's.
    Path,
    /// It opened more connections than one address may have.
    Flood,
    /// It said a wrong password.
    Password,
}

impl Offence {
    /// Its word in events.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Token => "token-unknown",
            Self::Path => "path-unknown",
            Self::Flood => "connections",
            Self::Password => "password-wrong",
        }
    }
}

/// One client that did the same thing, once or several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Who.
    pub from: IpAddr,
    /// What.
    pub offence: Offence,
    /// Which credential or path it was, as a keyed hash; 0 where there is none.
    pub mark: u64,
    /// How often.
    pub times: u32,
    /// Whose account it was to be, if somebody's.
    pub account: Option<Box<str>>,
    /// The beginning of a request's head, of the first time: neither redacted nor escaped.
    pub head: Box<[u8]>,
}

/// Tells credentials apart without keeping them: the same one has the same mark as long as the
/// process lives, and nobody outside can find two with one mark.
#[derive(Clone, Debug, Default)]
pub struct Marks(RandomState);

impl Marks {
    /// The mark of a credential.
    #[must_use]
    pub fn of(&self, credential: &[u8]) -> u64 {
        // 0 says that there is none.
        self.0.hash_one(credential).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_credential_has_one_mark_in_a_process_and_another_in_the_next() {
        let (one, other) = (Marks::default(), Marks::default());
        assert_eq!(one.of(b"secret"), one.clone().of(b"secret"));
        assert_ne!(one.of(b"secret"), one.of(b"secres"));
        assert_ne!(one.of(b"secret"), other.of(b"secret"));
    }
}
